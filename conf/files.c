/* Which files are read, in which order (fact: platform.md 1.2). */
#include "conf/files.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/vec.h"

/* clang-format off */
#define T struct conf_file
static const struct field file_fields[] = {
    { "Error", STR(error) },
    { "Given", STR(given) },
    { "Path", STR(path) },
    { "Text", BYTES(text) },
};
static DESC(desc_conf_file, struct conf_file, file_fields);
#undef T

#define T struct conf_files
static const struct field files_fields[] = {
    { "Files", VEC(v, n, desc_conf_file) },
};
DESC(desc_conf_files, struct conf_files, files_fields);
#undef T
/* clang-format on */

enum { ENTRY_BYTES = 64 }; /* what an entry takes besides its texts */

struct reading {
    const char *given;
    void (*step)(const char *path);
    struct conf_files *files;
    size_t total;
    bool full;
};

/* text or error, or neither for an empty folder; nothing any more once there is too much */
static void add(struct reading *r, const char *path, struct bytes take_text, char *take_error)
{
    size_t bytes = strlen(r->given) + strlen(path) + take_text.n + ENTRY_BYTES +
                   (take_error ? strlen(take_error) : 0);
    bool fits = r->total + bytes <= CONFIG_TOTAL_MAX;

    if (!r->full && fits)
        *vec_add(&r->files->v, &r->files->n) =
            (struct conf_file){xstrdup(r->given), xstrdup(path), take_text, take_error};
    else if (!r->full)
        *vec_add(&r->files->v, &r->files->n) =
            (struct conf_file){.given = xstrdup(r->given),
                               .path = xstrdup(path),
                               .error = xasprintf("%s: all files together are larger than %zu MiB",
                                                  path, CONFIG_TOTAL_MAX / MIB)};
    if (r->full || !fits) {
        free(take_text.p);
        free(take_error);
    }
    r->full = r->full || !fits;
    r->total += bytes;
}

static void add_error(struct reading *r, const char *path, char *take_error)
{
    add(r, path, (struct bytes){0}, take_error);
}

static void touch(const struct reading *r, const char *path)
{
    if (r->step)
        r->step(path);
}

static void read_file(struct reading *r, const char *path)
{
    char *text = NULL;
    size_t n = 0;
    int failed;

    touch(r, path);
    failed = file_read(path, READ_CAP_CONFIG, &text, &n);
    if (failed == 0)
        add(r, path, (struct bytes){(uint8_t *)text, n}, NULL);
    else if (failed == -EFBIG)
        add_error(r, path, xasprintf("%s: larger than %zu MiB", path, READ_CAP_CONFIG / MIB));
    else
        add_error(r, path, xasprintf("%s: %s", path, strerror(-failed)));
}

/* "*.hcl" and "*.json", but not what editors leave behind */
static bool is_config_name(const char *name)
{
    size_t n = strlen(name);

    if (!str_ends(name, ".hcl") && !str_ends(name, ".json"))
        return false;
    return !str_starts(name, ".#") && !(name[0] == '#' && name[n - 1] == '#');
}

static int select_name(const struct dirent *entry)
{
    return is_config_name(entry->d_name);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_entry(struct reading *r, const char *path)
{
    struct stat st;

    touch(r, path);
    if (stat(path, &st) < 0)
        add_error(r, path, xasprintf("%s: %s", path, strerror(errno)));
    else if (!S_ISDIR(st.st_mode))
        read_file(r, path);
}

static void read_folder(struct reading *r, const char *path)
{
    struct dirent **names = NULL;
    size_t before = r->files->n;
    int n = scandir(path, &names, select_name, by_bytes);

    if (n < 0)
        add_error(r, path, xstrdup(strerror(errno)));
    for (int i = 0; i < n; i++) {
        _cleanup_free_ char *file = xasprintf("%s/%s", path, names[i]->d_name);

        if (!r->full)
            read_entry(r, file);
        free(names[i]);
    }
    free(names);
    if (r->files->n == before)
        add_error(r, "", NULL);
}

void conf_files_read(const char *const *paths, size_t n, void (*step)(const char *path),
                     struct conf_files *ret)
{
    struct conf_files files = {0};
    struct reading r = {.step = step, .files = &files};

    for (size_t i = 0; i < n && !r.full; i++) {
        struct stat st;

        r.given = paths[i];
        touch(&r, paths[i]);
        if (stat(paths[i], &st) < 0)
            add_error(&r, paths[i], xasprintf("stat %s: %s", paths[i], strerror(errno)));
        else if (S_ISDIR(st.st_mode))
            read_folder(&r, paths[i]);
        else
            read_file(&r, paths[i]);
    }
    *ret = files;
}
