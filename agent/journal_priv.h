/* agent/journal_priv.h - inside the journal: files and formats (journal.c), facts
 * (journal_facts.c).
 */
#pragma once

#include "agent/journal.h"

/* what every file begins with; the first member of each fact */
struct fact_head {
    char *node_id;
    uint64_t version;
};

struct fact_registered {
    struct fact_head head;
    bool registered;
};
struct fact_identity {
    struct fact_head head;
    char *jwt;
};
struct fact_allocs {
    struct fact_head head;
    struct journal_alloc *allocs;
    size_t n_allocs;
};
struct fact_events {
    struct fact_head head;
    struct node_event *events;
    size_t n_events;
};
struct fact_meta {
    struct fact_head head;
    struct optmap meta;
};

enum fact { FACT_REGISTERED, FACT_IDENTITY, FACT_ALLOCS, FACT_EVENTS, FACT_META, FACT_MAX };

struct fact_row {
    const char *file;
    const struct desc *desc;
    size_t off; /* in struct journal */
};
extern const struct fact_row fact_rows[FACT_MAX];

struct journal {
    struct loop *loop;
    struct writer *writer;  /* owned; made by the first write */
    char *dir;              /* owned */
    bool unsaved[FACT_MAX]; /* the last write of it failed */
    struct timer again;     /* tries those once more */
    struct fact_registered registered;
    struct fact_identity identity;
    struct fact_allocs allocs;
    struct fact_events events;
    struct fact_meta meta;
};

/* the fact as it is now, on its way to the disk */
void journal_save(struct journal *j, enum fact fact);
