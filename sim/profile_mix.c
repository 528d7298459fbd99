#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/str.h"
#include "sim/profile.h"

/* Which profiles there are, and how often each is taken. */

enum { WEIGHT_MAX = 1000000 };

/* names of the profiles of a folder, in order */
static void list_folder(const char *folder, char ***ret, size_t *ret_n)
{
    struct dirent **v = NULL;
    int n = folder ? scandir(folder, &v, NULL, alphasort) : 0;

    for (int i = 0; i < n; i++) {
        if (str_ends(v[i]->d_name, ".json")) {
            _cleanup_free_ char *name =
                xstrndup(v[i]->d_name, strlen(v[i]->d_name) - strlen(".json"));

            strv_add(ret, ret_n, name);
        }
        free(v[i]);
    }
    free(v);
}

static int unknown_profile(const char *folder, const char *name, struct err *e)
{
    char **names = NULL;
    size_t n = 0;
    const char *near;

    list_folder(folder, &names, &n);
    near = str_nearest(name, (const char *const *)names, n);
    (void)err_set(e, -ENOENT, "there is no profile \"%s\" in %s%s%s%s", name,
                  folder ? folder : "any folder (-profiles)", near ? ", did you mean \"" : "",
                  near ? near : "", near ? "\"?" : "");
    strv_done(&names, &n);
    return -ENOENT;
}

/* one "name" or "name=weight" */
static int add_one(struct profile_mix *m, const char *folder, const char *text, struct err *e)
{
    const char *eq = strrchr(text, '=');
    _cleanup_free_ char *name = eq ? xstrndup(text, (size_t)(eq - text)) : xstrdup(text);
    struct profile *p = NULL;
    uint64_t weight = 1;
    int r;

    if (eq && (parse_u64(eq + 1, &weight) < 0 || weight < 1 || weight > WEIGHT_MAX))
        return err_set(e, -EINVAL, "profile %s: \"%s\" is no weight, which are 1 to %d", name,
                       eq + 1, WEIGHT_MAX);
    if (m->n >= SIM_PROFILES_MAX)
        return err_set(e, -EINVAL, "more than %d profiles", SIM_PROFILES_MAX);
    r = profile_load(folder, name, &p, e);
    if (r == -ENOENT && !strchr(name, '/'))
        return unknown_profile(folder, name, e);
    if (r < 0)
        return r;
    m->weights[m->n] = (unsigned)weight;
    m->profiles[m->n++] = p;
    m->total += (unsigned)weight;
    return 0;
}

int profile_mix_load(const char *folder, const char *text, struct profile_mix *ret, struct err *e)
{
    struct profile_mix m = {0};
    char **names = NULL;
    size_t n = 0;
    int r = 0;

    if (text)
        strv_split(text, ",", &names, &n);
    else
        list_folder(folder, &names, &n);
    if (n == 0)
        r = err_set(e, -EINVAL, text ? "there is no profile in \"%s\"" : "no profiles in %s",
                    text     ? text
                    : folder ? folder
                             : "any folder (-profiles)");
    m.profiles = xnew0_n(struct profile *, SIM_PROFILES_MAX);
    m.weights = xnew0_n(unsigned, SIM_PROFILES_MAX);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = add_one(&m, folder, names[i], e);
    strv_done(&names, &n);
    if (r < 0) {
        profile_mix_done(&m);
        return r;
    }
    *ret = m;
    return 0;
}

void profile_mix_done(struct profile_mix *m)
{
    for (size_t i = 0; i < m->n; i++)
        (void)profile_free(m->profiles[i]);
    free(m->profiles);
    free(m->weights);
    *m = (struct profile_mix){0};
}

struct profile *profile_mix_pick(const struct profile_mix *m, uint64_t seed, uint64_t number)
{
    const uint64_t in[] = {seed, number};
    uint64_t at = fnv1(FNV1_INIT, in, sizeof(in));
    size_t i = 0;

    at = (at ^ at >> 32) % m->total;
    while (at >= m->weights[i])
        at -= m->weights[i++];
    return m->profiles[i];
}

char *profile_folder(void)
{
    static const char *const places[] = {"../share/picket/profiles", "../../sim/profiles",
                                         "../../../sim/profiles"};
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    char *slash;

    if (n <= 0)
        return NULL;
    exe[n] = '\0';
    slash = strrchr(exe, '/');
    if (slash)
        *slash = '\0';
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        char *path = xasprintf("%s/%s", exe, places[i]);

        if (access(path, R_OK | X_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}
