#include "agent/back_refuse.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/rpc_client.h"
#include "model/texts.h"

static const struct {
    const char *name;
    const char *text; /* NULL: what is said of an allocation that is not known */
} refused[] = {
    {"Allocations.Checks",           NULL                                                    },
    {"Allocations.GarbageCollect",   NULL                                                    },
    {"Allocations.GetPauseState",    NULL                                                    },
    {"Allocations.Restart",          NULL                                                    },
    {"Allocations.SetPauseState",    NULL                                                    },
    {"Allocations.Signal",           NULL                                                    },
    {"Allocations.Stats",            NULL                                                    },
    {"FileSystem.List",              NULL                                                    },
    {"FileSystem.Stat",              NULL                                                    },
    {"CSI.ControllerAttachVolume",   "this node runs no CSI plugins"                         },
    {"CSI.ControllerCreateSnapshot", "this node runs no CSI plugins"                         },
    {"CSI.ControllerCreateVolume",   "this node runs no CSI plugins"                         },
    {"CSI.ControllerDeleteSnapshot", "this node runs no CSI plugins"                         },
    {"CSI.ControllerDeleteVolume",   "this node runs no CSI plugins"                         },
    {"CSI.ControllerDetachVolume",   "this node runs no CSI plugins"                         },
    {"CSI.ControllerExpandVolume",   "this node runs no CSI plugins"                         },
    {"CSI.ControllerListSnapshots",  "this node runs no CSI plugins"                         },
    {"CSI.ControllerListVolumes",    "this node runs no CSI plugins"                         },
    {"CSI.ControllerValidateVolume", "this node runs no CSI plugins"                         },
    {"CSI.NodeDetachVolume",         "this node runs no CSI plugins"                         },
    {"CSI.NodeExpandVolume",         "this node runs no CSI plugins"                         },
    {"HostVolume.Create",            "this node has no plugins that make host volumes"       },
    {"HostVolume.Delete",            "this node has no plugins that make host volumes"       },
    {"HostVolume.Register",          "host volumes of this node stand in its configuration"  },
    {"NodeIdentity.Get",             "this node cannot show its identity"                    },
    {"NodeIdentity.Renew",           "this node renews its identity with its next heartbeats"},
};

/* whether the service of a method, the part up to its dot, is one of ours */
static bool is_service(const char *method, bool (*known)(const char *method))
{
    size_t n = strcspn(method, ".");

    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (strncmp(refused[i].name, method, n + 1) == 0)
            return true;
    return known(method);
}

/* Go net/rpc's words */
static void unknown_method(struct rpc_request *take_q, bool (*known)(const char *method))
{
    const char *name = take_q->method;
    struct err e;

    if (!strchr(name, '.'))
        (void)err_set(&e, -ENOSYS, TEXT_ILL_FORMED, name);
    else if (is_service(name, known))
        (void)err_set(&e, -ENOSYS, TEXT_NO_METHOD, name);
    else
        (void)err_set(&e, -ENOSYS, TEXT_NO_SERVICE, name);
    rpc_fail_close(take_q, e.text);
}

static void refuse_alloc(struct rpc_request *take_q)
{
    struct alloc_specific_request a = {0};
    struct err e = {0};

    if (mp_decode(&desc_alloc_specific_request, take_q->body, take_q->body_len, &a, &e) < 0)
        rpc_fail_close(take_q, e.text);
    else {
        (void)err_set(&e, -ENOENT, TEXT_UNKNOWN_ALLOC, str_or_empty(a.alloc_id));
        rpc_fail(take_q, e.text);
    }
    ops_clear(&desc_alloc_specific_request, &a);
}

void back_refuse(struct rpc_request *take_q, bool (*known)(const char *method))
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (!str_eq(refused[i].name, take_q->method))
            continue;
        if (refused[i].text)
            rpc_fail(take_q, refused[i].text);
        else
            refuse_alloc(take_q);
        return;
    }
    unknown_method(take_q, known);
}
