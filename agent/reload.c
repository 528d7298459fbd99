#include "agent/reload.h"

int reload_run(const struct conf_args *args, struct conf *conf, struct agent *agent,
               struct conf_reloaded *said)
{
    int r = conf_reload_begin(args, conf, CONF_CLIENT, said);

    if (r == 0)
        agent_reload(agent, said);
    conf_reload_end(said);
    return r;
}
