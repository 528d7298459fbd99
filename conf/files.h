/* conf/files.h - the bytes of the configuration files, apart from what they mean.
 *
 * Reading may block for as long as a file system likes; all that follows (conf/args.h,
 * conf/reload.h) touches none.  So a daemon whose loop must not stop has a child do this part and
 * send the result over as one msgpack object.
 *
 * Depends on: base/, codec/.
 */
#pragma once

#include "codec/desc.h"

struct conf_file {
    char *given;       /* the file or folder that was asked for */
    char *path;        /* "" : that folder has no files of ours */
    struct bytes text; /* at most READ_CAP_CONFIG */
    char *error;       /* why there is no text: a sentence that names what could not be read; "" */
};
struct conf_files {
    struct conf_file *v; /* in the order in which they are merged */
    size_t n;
};
extern const struct desc desc_conf_files; /* ops_clear() releases */

/* Reads files and folders in order (folder: *.hcl and *.json in byte order), CONFIG_TOTAL_MAX in
 * all.  What cannot be read is an entry with its error.  step, which may be NULL, is told of each
 * path before it is touched. */
void conf_files_read(const char *const *paths, size_t n, void (*step)(const char *path),
                     struct conf_files *ret);
