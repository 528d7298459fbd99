/* base/list.h - intrusive doubly linked list with a head node.  Owns nothing. */
#pragma once

#include "base/mem.h"

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name)                                                                            \
    {                                                                                              \
        &(name), &(name)                                                                           \
    }

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
    return l->next == l || !l->next;
}
static inline void list_append(struct list *head, struct list *l)
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}
/* takes l out of its list; harmless when it is in none; leaves it alone in its own */
static inline void list_remove(struct list *l)
{
    if (l->next) {
        l->prev->next = l->next;
        l->next->prev = l->prev;
    }
    l->next = l->prev = l;
}
#define list_entry(l, T, m)    container_of(l, T, m)
#define list_first(head, T, m) (list_empty(head) ? NULL : list_entry((head)->next, T, m))
/* safe against removal of the current entry, not of the one behind it */
#define list_for_each(i, head, T, m)                                                               \
    for (T *i = list_entry((head)->next, T, m), *_n_##i = list_entry(i->m.next, T, m);             \
         &i->m != (head); i = _n_##i, _n_##i = list_entry(i->m.next, T, m))
