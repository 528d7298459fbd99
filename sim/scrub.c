#include "sim/scrub.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "model/attrs.h"
#include "sim/ident.h"
#include "sim/strings.h"

enum { MAC_TEXT_LEN = 17, HOSTNAME_MIN = 3 };

struct scrub {
    char *name, *id; /* the host's; owned */
    char **uuids;    /* seen so far, in order: {uuid:1} ... */
    size_t n_uuids;
};

/* --- tokens --- */

/* a piece of text that may be an address, an id or a name */
struct token {
    const char *p;
    size_t n;
};

static bool is_token_char(char c)
{
    return isalnum((unsigned char)c) || c == '.' || c == ':' || c == '-' || c == '_';
}

static bool is_mac(const char *s)
{
    for (size_t i = 0; i < MAC_TEXT_LEN; i++)
        if (i % 3 == 2 ? s[i] != ':' : !isxdigit((unsigned char)s[i]))
            return false;
    return s[MAC_TEXT_LEN] == '\0';
}

/* AF_INET, AF_INET6 or 0; own: those that every host has for itself count too */
static int address_family(const char *s, bool own)
{
    uint8_t a[16];

    if (inet_pton(AF_INET, s, a) == 1)
        return a[0] == 0 || a[0] == 255 || (a[0] == 127 && !own) ? 0 : AF_INET;
    if (inet_pton(AF_INET6, s, a) == 1)
        return str_eq(s, "::") || str_eq(s, "::1") ? 0 : AF_INET6;
    return 0;
}

static size_t uuid_number(struct scrub *sc, const char *s)
{
    for (size_t i = 0; i < sc->n_uuids; i++)
        if (str_eq(sc->uuids[i], s))
            return i + 1;
    strv_add(&sc->uuids, &sc->n_uuids, s);
    return sc->n_uuids;
}

/* appends what stands for one word; own: where hosts differ */
static bool put_word(struct scrub *sc, const char *s, bool own, struct buf *out)
{
    struct uuid u;

    if (str_eq(s, sc->id)) {
        buf_add_str(out, own ? "{id}" : "00000000-0000-0000-0000-000000000000");
    } else if (uuid_parse(s, &u) == 0) {
        if (own)
            buf_printf(out, "{uuid:%zu}", uuid_number(sc, s));
        else
            buf_add_str(out, "00000000-0000-0000-0000-000000000000");
    } else if (is_mac(s)) {
        buf_add_str(out, own ? "{mac}" : "02:00:00:00:00:01");
    } else if (address_family(s, own) == AF_INET) {
        buf_add_str(out, own ? "{ip}" : "192.0.2.1");
    } else if (address_family(s, own) == AF_INET6) {
        buf_add_str(out, own ? "2001:db8::{number}" : "2001:db8::1");
    } else if (strlen(sc->name) >= HOSTNAME_MIN && str_eq(s, sc->name)) {
        buf_add_str(out, own ? "{name}" : "host");
    } else {
        return false;
    }
    return true;
}

/* a word of token characters: as a whole, else without a port or prefix ("10.0.0.5:4646",
 * "GPU-<uuid>") */
static void put_token(struct scrub *sc, struct token t, bool own, struct buf *out)
{
    _cleanup_free_ char *word = xstrndup(t.p, t.n), *head = NULL;
    const char *colon = strrchr(word, ':'), *tail = word + t.n - MIN(t.n, (size_t)UUID_TEXT_LEN);

    if (put_word(sc, word, own, out))
        return;
    if (colon) {
        head = xstrndup(word, (size_t)(colon - word));
        if (put_word(sc, head, own, out)) {
            buf_add_str(out, colon);
            return;
        }
    }
    if (tail > word && tail[-1] == '-') {
        buf_add(out, word, (size_t)(tail - word));
        if (put_word(sc, tail, own, out))
            return;
        out->len -= (size_t)(tail - word);
    }
    buf_add(out, t.p, t.n);
}

/* replaces whatever is known in a text; true when something was */
static bool replace_words(struct scrub *sc, char **s, bool own)
{
    _cleanup_buf_ struct buf out = BUF_INIT(SIM_TEXT_MAX);
    const char *p = *s;
    bool changed;

    while (*p) {
        struct token t = {.p = p};

        while (is_token_char(p[t.n]))
            t.n++;
        if (*p == '{')
            t.n = strcspn(p, "}"); /* a place: scrubbed already */
        if (*p == '{' || p[t.n] == '{')
            buf_add(&out, p, t.n);
        else if (t.n > 0)
            put_token(sc, t, own, &out);
        else
            buf_add_byte(&out, (uint8_t)p[t.n++]);
        p += t.n;
    }
    changed = !str_eq(buf_str(&out), *s);
    if (changed)
        str_set(s, buf_str(&out));
    return changed;
}

/* --- places --- */

/* "unique." attributes that hosts may share, or that say nothing of them */
static bool unique_may_stay(const char *key, const char *value)
{
    static const char *const plain[] = {"unique.storage.", "unique.cgroup."};

    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (str_starts(key, plain[i]))
            return true;
    return value[strspn(value, "0123456789.")] == '\0';
}

static void scrub_text(void *arg, const struct string_place *at, char **s)
{
    struct scrub *sc = arg;
    bool attribute = str_eq(at->within, "Attributes");
    bool unique = attribute && str_starts(at->name, ATTR_UNIQUE_PREFIX);
    /* the releases that had it without "unique." told the host's own address all the same */
    bool advertised = attribute && str_eq(at->name, "nomad.advertise.address");
    bool own = unique || advertised || str_eq(at->within, "NodeResources") ||
               str_eq(at->within, "Resources") || str_eq(at->within, "HTTPAddr");

    if (str_empty(*s))
        return;
    if (str_eq(at->within, "Meta")) {
        if (!str_starts(at->name, "connect."))
            memset(*s, 'x', strlen(*s));
        return;
    }
    if (attribute && str_ends(at->name, "version"))
        return; /* four numbers in a row are no address there */
    if (replace_words(sc, s, own) || ident_has_place(*s))
        return;
    if (unique && !unique_may_stay(at->name, *s))
        str_set(s, "{name}");
}

/* what servers keep of a node, and what allocations have brought */
static void leave_out(struct node *n)
{
    static const char *const fields[] = {
        "CSIControllerPlugins",
        "CSINodePlugins",
        "ComputedClass",
        "CreateIndex",
        "Drain",
        "DrainStrategy",
        "Events",
        "IdentitySigningKeyID",
        "LastAllocUpdateIndex",
        "LastDrain",
        "LastMissedHeartbeatIndex",
        "Links",
        "ModifyIndex",
        "SecretID",
        "Status",
        "StatusDescription",
        "StatusUpdatedAt",
        "SchedulingEligibility",
    };

    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        ops_clear_field(desc_find(&desc_node, fields[i]), n);
    for (size_t i = 0; i < n->n_host_volumes; i++)
        str_set(&n->host_volumes[i].id, NULL);
}

void scrub_node(struct node *n)
{
    struct scrub sc = {.name = xstrdup(str_or_empty(n->name)), .id = xstrdup(str_or_empty(n->id))};

    leave_out(n);
    str_set(&n->id, "{id}");
    str_set(&n->name, "{name}");
    strings_each(&desc_node, n, scrub_text, &sc);
    strv_done(&sc.uuids, &sc.n_uuids);
    free(sc.name);
    free(sc.id);
}

/* --- JSON --- */

int scrub_json(const char *text, size_t n, struct buf *out, struct err *e)
{
    _cleanup_(node_freep) struct node *node = node_new();
    _cleanup_buf_ struct buf compact = BUF_INIT(2 * SIM_PROFILE_MAX);
    int r = js_decode(&desc_node, text, n, node, e);

    if (r < 0)
        return r;
    if (str_empty(node->id) || node->attributes.n == 0)
        return err_set(e, -EINVAL,
                       "this is no node as GET /v1/node/:id shows it (\"nomad node status -json "
                       "ID\"): it has no ID or no Attributes");
    scrub_node(node);
    js_encode(&compact, &desc_node, node, 0);
    if (buf_ok(&compact) < 0)
        return err_set(e, -EMSGSIZE, "the node is too large");
    js_pretty(out, buf_str(&compact), compact.len);
    return buf_ok(out) < 0 ? err_set(e, -EMSGSIZE, "the node is too large") : 0;
}
