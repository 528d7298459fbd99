/* conf/plugins.h - what is known inside the two free-form places: plugin "x" { config { } } and
 * client.options.  Internal to conf/. */
#pragma once

#include "conf/draft.h"

/* Each key of a built-in driver's configuration is known, at any depth (fact: config.md 5.8,
 * task-running.md 17); plugins that are not built in are not looked into. */
void plugin_check_config(struct draft *d, const char *plugin, const struct hcl_value *config);
/* Warnings about plugins and options that have no effect. */
void plugin_answer(struct draft *d);
