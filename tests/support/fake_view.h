/* tests/support/fake_view.h - a view over a handful of nodes, for tests of the API.
 *
 * Changes are made by hand; each raises the index and fires the waits that a real view would.
 */
#pragma once

#include "api/view.h"

struct fake_view {
    struct view view;
    const struct node_item **v; /* counted, in id order */
    size_t n;
    uint64_t index; /* of the nodes table */
    uint64_t allocs_index;
    struct buf allocs;     /* packed; handed out for every id */
    struct view_meta meta; /* known_leader, last_contact_ms */
    const char *leader;    /* NULL = none */
    const char *region;
    int health_status;
    const char *health_body;
    const char *health_type; /* what was asked last */
    const char *failure;     /* when set, questions about nodes fail with this text */
    int failure_status;
    struct list waits;
    size_t n_waits, n_asked;
    struct view_ops ops;
};

void fake_view_init(struct fake_view *f);
void fake_view_done(struct fake_view *f);
/* from the JSON form, adds or replaces; with set_index the node gets the view's next one */
void fake_view_put_json(struct fake_view *f, const char *json, size_t n, bool set_index);
/* a small ready node */
void fake_view_put(struct fake_view *f, const char *id, const char *name);
void fake_view_remove(struct fake_view *f, const char *id);
void fake_view_set_fingerprint(struct fake_view *f); /* as on an agent */
/* an event that moves the table's index but not the node's */
void fake_view_touch_table(struct fake_view *f);
