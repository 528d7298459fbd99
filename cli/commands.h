/* cli/commands.h - the rows of the command table, each defined by its own file. */
#pragma once

#include "cli/command.h"

extern const struct command command_agent_info;
extern const struct command command_agent_reload;
extern const struct command command_monitor;
extern const struct command command_node_config;
extern const struct command command_node_meta_apply;
extern const struct command command_node_meta_read;
extern const struct command command_node_status;
extern const struct command command_fingerprint;
extern const struct command command_version;
extern const struct command command_config_validate;
extern const struct command command_config_keys;
