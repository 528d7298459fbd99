/* base/parse.h - strict text to number conversions: the whole string or an error, never a guess.
 *
 * All return 0, -EINVAL (not of that form) or -ERANGE, and write the result only on success.
 */
#pragma once

#include "base/mem.h"

/* 0..15 for a hexadecimal digit of either case, else -1 */
int parse_hex_digit(int c);
int parse_u64(const char *s, uint64_t *ret) _must_check_; /* decimal digits only */
int parse_i64(const char *s, int64_t *ret) _must_check_;  /* optional sign, decimal */
/* Go's strconv.ParseInt(s, 0, 64) as configuration needs it: sign, 0x, 0b, 0o, leading-0 octal */
int parse_i64_base0(const char *s, int64_t *ret) _must_check_;
int parse_f64(const char *s, double *ret) _must_check_; /* decimal, no blanks, no inf or nan */
/* Go's strconv.ParseBool: 1 t T TRUE true True 0 f F FALSE false False */
int parse_bool(const char *s, bool *ret) _must_check_;
/* Go's time.ParseDuration: optional sign, then number+unit pairs (ns us µs ms s m h), or "0" */
int parse_duration(const char *s, int64_t *ret_ns) _must_check_;
/* Go's Duration.String(): "1h5m0s", "1.5s", "20ms", "0s" */
char *format_duration(int64_t ns) _must_check_;
/* "0-3,5" into a sorted list without doubles, at most max entries, each at most 65535 */
int parse_cpulist(const char *s, size_t max, uint16_t **ret, size_t *ret_n) _must_check_;
