/* base/mem.h - allocation, ownership and cleanup.
 *
 * Memory of our own size aborts on exhaustion (xnew0, xstrdup ...): when a few hundred bytes cannot
 * be had the machine is gone, and systemd restarts us.  Memory whose size a peer, a file or a user
 * chose goes through try_alloc() after a comparison with a named ceiling of base/limits.h.
 *
 * Depends on: libc.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define _must_check_    __attribute__((warn_unused_result))
#define _printf_(f, a)  __attribute__((format(printf, f, a)))
#define _nonnull_       __attribute__((nonnull))
#define _unused_        __attribute__((unused))
#define _cleanup_(fn)   __attribute__((cleanup(fn)))
#define _cleanup_free_  _cleanup_(mem_freep)
#define _cleanup_close_ _cleanup_(mem_closep)

/* defines fnp(), the cleanup function of a destructor that takes and returns a pointer */
#define DEFINE_CLEANUP(T, fn)                                                                      \
    static inline void fn##p(T **p)                                                                \
    {                                                                                              \
        *p = fn(*p);                                                                               \
    }

/* moves ownership out of a variable; the variable becomes NULL */
#define steal_ptr(pp)                                                                              \
    ({                                                                                             \
        __typeof__(pp) _pp = (pp);                                                                 \
        __typeof__(*_pp) _v = *_pp;                                                                \
        *_pp = NULL;                                                                               \
        _v;                                                                                        \
    })
/* the same for a descriptor; the variable becomes -1 */
#define steal_fd(pp)                                                                               \
    ({                                                                                             \
        int *_fp = (pp);                                                                           \
        int _f = *_fp;                                                                             \
        *_fp = -1;                                                                                 \
        _f;                                                                                        \
    })

#define ARRAY_LEN(a)          (sizeof(a) / sizeof((a)[0]))
#define container_of(p, T, m) ((T *)((char *)(p)-offsetof(T, m)))
#define MIN(a, b)             ((a) < (b) ? (a) : (b))
#define MAX(a, b)             ((a) > (b) ? (a) : (b))

#define NSEC_PER_SEC          UINT64_C(1000000000)
#define NSEC_PER_MSEC         UINT64_C(1000000)
#define NSEC_PER_USEC         UINT64_C(1000)

/* one zeroed T; never NULL */
#define xnew0(T) ((T *)xcalloc(1, sizeof(T)))
/* n zeroed T; never NULL, also for n = 0 */
#define xnew0_n(T, n) ((T *)xcalloc((n), sizeof(T)))

/* zeroed memory for n objects; never NULL (n or size 0 give one byte); aborts when exhausted */
void *xcalloc(size_t n, size_t size) _must_check_;
/* realloc that aborts when exhausted; n objects of the given size */
void *xrealloc(void *p, size_t n, size_t size) _must_check_;
/* copy of a string; NULL gives NULL */
char *xstrdup(const char *s) _must_check_;
/* copy of n bytes with a NUL behind them */
char *xstrndup(const char *s, size_t n) _must_check_;
void *xmemdup(const void *p, size_t n) _must_check_;
char *xasprintf(const char *fmt, ...) _printf_(1, 2) _must_check_;
char *xvasprintf(const char *fmt, va_list ap) _printf_(1, 0) _must_check_;

/* input-sized memory: NULL when it cannot be had, or when torture mode says so */
void *try_alloc(size_t n) _must_check_;
void *try_realloc(void *p, size_t n) _must_check_;
/* tests: the nth try_alloc from now fails (1 = the next one); 0 switches it off */
void mem_torture(size_t nth);

/* frees and returns NULL, so that p = mem_free(p) */
static inline void *mem_free(void *p)
{
    free(p);
    return NULL;
}
void mem_freep(void *pp);
void mem_closep(int *fd);
/* closes a descriptor, keeps errno, ignores -1; returns -1 */
int fd_close(int fd);

/* replaces an owned string by a copy of s (which may be NULL) */
void str_set(char **p, const char *s);
