#include "server/auth.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "model/texts.h"

bool auth_secret_equal(const char *a, const char *b)
{
    size_t n = strlen(a);
    unsigned char diff = 0;

    if (n == 0 || n != strlen(b)) /* lengths are no secret */
        return false;
    for (size_t i = 0; i < n; i++)
        diff |= (unsigned char)(a[i] ^ b[i]);
    return diff == 0;
}

int auth_node(const struct node_item *it, const char *token, struct err *e)
{
    if (str_empty(token) || auth_secret_equal(it->secret_id, token))
        return 0;
    return err_set(e, -EACCES, "%s", TEXT_PERMISSION_DENIED);
}

const struct node_item *auth_find(const struct store *s, const struct uuid *bound,
                                  const char *token)
{
    static const struct uuid all;
    const struct node_item *it;
    size_t pos = 0;

    if (str_empty(token))
        return NULL;
    it = bound ? store_node(s, bound) : NULL;
    if (it && auth_secret_equal(it->secret_id, token))
        return it;
    while ((it = store_node_next(s, &all, 0, &pos)))
        if (auth_secret_equal(it->secret_id, token))
            return it;
    return NULL;
}
