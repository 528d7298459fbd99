#include "conf/usage.h"

#include <string.h>

#include "base/str.h"
#include "conf/keys.h"

const char *conf_program(unsigned role)
{
    return role == CONF_SERVER ? "picket-server" : "picketd";
}

static bool is_switch(const struct conf_key *k)
{
    return k->type == K_BOOL || k->type == K_BOOLP;
}

static void usage_flag(struct buf *out, const char *flag, const char *arg, const char *help)
{
    buf_printf(out, "  -%s%s\n      %s\n", flag, arg, help);
}

void conf_usage(unsigned role, struct buf *out)
{
    buf_printf(out,
               "Usage: %s [flags]\n\n"
               "  %s. Flags are written -flag value or -flag=value and win over the\n"
               "  configuration files, which are Nomad's (HCL 1 or JSON).\n\n",
               conf_program(role),
               role == CONF_SERVER ? "The companion server of a fleet of Nomad clients"
                                   : "A node agent that speaks Nomad's protocol");
    usage_flag(out, "config", "=<path>",
               "File, or folder of *.hcl and *.json files; may be repeated, later ones win.");
    usage_flag(out, "check", "", "Validate the configuration, say what is wrong, and leave.");
    usage_flag(out, "dev", "",
               "For trying out: bind and advertise loopback, log level DEBUG. Needs -data-dir.");
    usage_flag(out, "version", "", "Print the version and leave.");
    usage_flag(out, "help", "", "Print this text and leave.");
    for (size_t i = 0; i < n_conf_keys; i++) {
        const struct conf_key *k = &conf_keys[i];
        const char *arg = "=<value>";

        if (!k->flag || k->action != KEY_USE || !(k->roles & role))
            continue;
        if (is_switch(k))
            arg = "";
        else if (k->type == K_MAP)
            arg = "=<key=value>";
        buf_printf(out, "  -%s%s\n      %s (%s%s%s).\n", k->flag, arg, k->help, k->path,
                   k->def && !is_switch(k) ? ", default " : "",
                   k->def && !is_switch(k) ? k->def : "");
    }
    buf_add_str(out, "\nKeys without a flag: docs/config.md.\n");
}

static const char *role_text(unsigned roles)
{
    if (roles == CONF_CLIENT)
        return "agent";
    return roles == CONF_SERVER ? "server" : "both";
}

/* a cell of a table: no line ends, no bars */
static void cell(struct buf *out, const char *text)
{
    for (const char *p = str_or_empty(text); *p; p++) {
        if (*p == '|')
            buf_add_byte(out, '\\');
        buf_add_byte(out, (uint8_t)(*p == '\n' ? ' ' : *p));
    }
}

static void manual_row(struct buf *out, const struct conf_key *k)
{
    bool label = k->type == K_LABEL;

    buf_printf(out, "| `%s%s` | %s | ", k->path, label ? " \"name\"" : "",
               k->type == K_FREE ? "free-form block" : key_type_name(k->type));
    if (k->def)
        buf_printf(out, "`%s`", k->def);
    buf_printf(out, " | %s | %s | %s | ", role_text(k->roles), str_or_empty(k->since),
               key_action_name(k->action));
    cell(out, k->help);
    if (k->flags & KEY_HUP)
        buf_add_str(out, "; applied on reload");
    if (k->flag)
        buf_printf(out, "; `-%s`", k->flag);
    if (k->why) {
        buf_add_str(out, k->help ? " - " : "");
        cell(out, k->why);
    }
    buf_add_str(out, " |\n");
}

void conf_manual(struct buf *out)
{
    buf_add_str(
        out,
        "# Configuration\n\n"
        "<!-- made from the key table by `picket config keys -markdown`; do not edit -->\n\n"
        "Picket reads Nomad's agent configuration: HCL 1 or JSON, `-config` may be repeated, a "
        "folder "
        "stands for its\n`*.hcl` and `*.json` files in byte order, later files win field by field. "
        "Every "
        "key of Nomad 0.10 to 2.0 is known:\n\n"
        "| word | meaning |\n|---|---|\n"
        "| used | it has an effect |\n"
        "| with its block | the row of its block, or the switch beside it, says what happens |\n"
        "| warns | no effect; a warning at start when it is set to anything but its default |\n"
        "| refused | it would change security or placement: an error when it is set to anything "
        "but its "
        "default |\n"
        "| ignored | no effect and harmless, for the reason given |\n\n"
        "A key that is not in this list is an error. A reload (SIGHUP, `picket agent reload`) "
        "reads all "
        "files again, "
        "applies "
        "the keys marked so\nand says which others need a restart.\n\n"
        "| key | type | default | of | since | Picket | notes |\n|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < n_conf_keys; i++)
        manual_row(out, &conf_keys[i]);
}

void conf_key_list(struct buf *out)
{
    for (size_t i = 0; i < n_conf_keys; i++) {
        const struct conf_key *k = &conf_keys[i];

        buf_printf(out, "%-66s %-20s %s\n", k->path, key_type_name(k->type),
                   key_action_name(k->action));
    }
}
