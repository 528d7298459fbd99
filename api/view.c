#include "api/view.h"

void node_items_done(struct node_items *l)
{
    for (size_t i = 0; i < l->n; i++)
        (void)node_item_unref(l->v[i]);
    free(l->v);
    *l = (struct node_items){0};
}
