#include "conf/sockaddr.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "conf/sockaddr_rules.h"

/* each piece of text is appended to out, each call run; ifs NULL = syntax only */
static int expand(const char *text, const struct sockaddr_if *ifs, size_t n, struct buf *out,
                  struct err *e)
{
    const char *open;

    while ((open = strstr(text, "{{"))) {
        const char *close = strstr(open, "}}");
        _cleanup_free_ char *inside = NULL;
        int r;

        if (!close)
            return err_set(e, -EINVAL, "unclosed action");
        buf_add(out, text, (size_t)(open - text));
        inside = xstrndup(open + 2, (size_t)(close - open) - 2);
        r = sockaddr_run(inside, ifs, n, out, e);
        if (r < 0)
            return r;
        text = close + 2;
    }
    buf_add_str(out, text);
    return buf_ok(out);
}

static int wrap(struct err *e, int r, const char *text)
{
    return err_wrap(e, r, "unable to parse address template \"%.120s\"", text);
}

int sockaddr_check(const char *text, struct err *e)
{
    struct buf out _cleanup_buf_ = BUF_INIT(65536);
    int r;

    if (!text || !strstr(text, "{{"))
        return 0;
    r = expand(text, NULL, 0, &out, e);
    return r < 0 ? wrap(e, r, text) : 0;
}

int sockaddr_eval_with(const char *text, const struct sockaddr_if *ifs, size_t n, char **ret,
                       struct err *e)
{
    static const struct sockaddr_if none;
    struct buf out _cleanup_buf_ = BUF_INIT(65536);
    char *word;
    int r;

    if (!strstr(text, "{{")) {
        *ret = xstrdup(text);
        return 0;
    }
    r = expand(text, ifs ? ifs : &none, n, &out, e);
    if (r < 0)
        return wrap(e, r, text);
    buf_add_byte(&out, 0);
    word = str_trim((char *)out.p);
    if (!*word)
        return err_set(e, -EINVAL, "template \"%.120s\" evaluated to empty result", text);
    if (word[strcspn(word, " \t\n")])
        return err_set(e, -EINVAL, "multiple addresses found (\"%.120s\"), please configure one.",
                       word);
    *ret = xstrdup(word);
    return 0;
}

int sockaddr_eval(const char *text, char **ret, struct err *e)
{
    _cleanup_free_ struct sockaddr_if *ifs = NULL;
    size_t n = 0;
    int r = 0;

    if (strstr(text, "{{"))
        r = sockaddr_host(&ifs, &n);
    if (r < 0)
        return err_errno(e, r, "cannot list the network interfaces");
    return sockaddr_eval_with(text, ifs, n, ret, e);
}
