#include "server/auth.h"

#include <errno.h>

#include "base/str.h"
#include "model/texts.h"
#include "state/secrets.h"

int auth_node(const struct node_item *it, const char *token, struct err *e)
{
    if (str_empty(token) || secret_equal(it->secret_id, token))
        return 0;
    return err_set(e, -EACCES, "%s", TEXT_PERMISSION_DENIED);
}

const struct node_item *auth_find(const struct store *s, const struct uuid *bound,
                                  const char *token)
{
    const struct node_item *it;

    if (str_empty(token))
        return NULL;
    it = bound ? store_node(s, bound) : NULL;
    if (it && secret_equal(it->secret_id, token))
        return it;
    return store_node_of_secret(s, token);
}
