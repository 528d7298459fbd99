/* cli/table.h - aligned columns on a terminal, as Nomad's CLI prints them. */
#pragma once

#include "base/buf.h"
#include "base/map.h"

enum { TABLE_COLUMNS_MAX = 16 };

struct table {
    char **cells; /* owned, row by row */
    size_t n_cells;
    size_t n_columns; /* 0 = pairs of name and value, printed "name  = value" */
};

/* the heading; columns separated by '|' */
void table_init(struct table *t, const char *heading);
/* columns without a heading */
void table_init_plain(struct table *t, size_t n_columns);
/* a table of names and values */
void table_init_pairs(struct table *t);
void table_done(struct table *t);
/* adds one cell; NULL or "" prints as <none> */
void table_cell(struct table *t, const char *text);
void table_cellf(struct table *t, const char *fmt, ...) _printf_(2, 3);
/* a name and its value, for tables of pairs */
void table_pair(struct table *t, const char *name, const char *value);
void table_pairf(struct table *t, const char *name, const char *fmt, ...) _printf_(3, 4);
/* appends the lines; the last column is not padded; widths count characters */
void table_print(const struct table *t, struct buf *out);
/* a heading and the pairs of a map, or an empty line when it has none */
void table_map(const char *heading, const struct strmap *m, struct buf *out);

/* "600 MiB", "1.5 GiB", "0 B" as go-humanize writes it */
void format_ibytes(uint64_t bytes, char ret[32]);
/* a cell "20 GiB/252 GiB" */
void table_share(struct table *t, uint64_t used, uint64_t total);
/* "3s ago", "5m20s ago"; unix nanoseconds */
void format_ago(int64_t then_ns, int64_t now_ns, char ret[32]);
