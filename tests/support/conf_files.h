/* tests/support/conf_files.h - configuration files in the test's own folder, and what conf says of
 * them. */
#pragma once

#include "conf/conf.h"

/* $TMPDIR/<name>; owned by the caller */
char *conf_file_path(const char *name);
/* writes it (folders are made); returns the path, owned by the caller */
char *conf_file_write(const char *name, const char *text);

/* conf_load() of texts, each a file f0.hcl, f1.hcl ...; the list ends with NULL.  Messages have the
 * folder cut off: "f0.hcl:1:1: ...".  Releases what c and r hold first. */
#define conf_texts(role, c, r, ...)                                                                \
    conf_texts_of((role), (c), (r), (const char *const[]){__VA_ARGS__})
int conf_texts_of(unsigned role, struct conf *c, struct conf_report *r, const char *const *texts);
/* cuts the folder off messages */
void conf_report_shorten(struct conf_report *r);
/* the lines of a report as one text, each ended by a newline; owned by the caller */
char *conf_lines(char *const *lines, size_t n);
