/* No web interface is served; its places answer as a Nomad without one does. */
#include "api/handlers.h"

static void html(struct reply *r, const char *text)
{
    buf_add_str(&r->body, text);
    r->content_type = "text/html; charset=utf-8";
}

int root_redirect(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    (void)v;
    (void)q;
    (void)e;
    ret->status = 307;
    ret->location = xstrdup("/ui/");
    html(ret, "<a href=\"/ui/\">Temporary Redirect</a>.\n\n");
    return 0;
}

int ui_page(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    (void)v;
    (void)q;
    (void)e;
    html(ret, "<html><p>Nomad UI is disabled</p></html>\n");
    return 0;
}
