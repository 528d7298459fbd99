#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct {
    bool on;
    uint64_t boot_ns, slept_ns;
    int64_t wall_ns;
} fake;

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts = {0};

    (void)clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t clock_boot_ns(void)
{
    return fake.on ? fake.boot_ns : read_clock(CLOCK_BOOTTIME);
}

int64_t clock_wall_ns(void)
{
    return fake.on ? fake.wall_ns : (int64_t)read_clock(CLOCK_REALTIME);
}

uint64_t clock_slept_ns(void)
{
    uint64_t mono;

    if (fake.on)
        return fake.slept_ns;
    mono = read_clock(CLOCK_MONOTONIC); /* first: the difference must not come out below zero */
    return read_clock(CLOCK_BOOTTIME) - mono;
}

int64_t clock_wall_of(uint64_t boot_ns)
{
    return clock_wall_ns() - (int64_t)(clock_boot_ns() - boot_ns);
}

void clock_fake(bool on, uint64_t boot_ns, int64_t wall_ns)
{
    fake.on = on;
    fake.boot_ns = boot_ns;
    fake.wall_ns = wall_ns;
    fake.slept_ns = 0;
}

void clock_fake_advance(uint64_t ns)
{
    fake.boot_ns += ns;
    fake.wall_ns += (int64_t)ns;
}

void clock_fake_sleep(uint64_t ns)
{
    clock_fake_advance(ns);
    fake.slept_ns += ns;
}

void clock_fake_jump(int64_t ns)
{
    fake.wall_ns += ns;
}

struct gotime gotime_from_unix_ns(int64_t ns)
{
    int64_t sec = ns / (int64_t)NSEC_PER_SEC, rest = ns % (int64_t)NSEC_PER_SEC;

    if (rest < 0) {
        rest += (int64_t)NSEC_PER_SEC;
        sec--;
    }
    return (struct gotime){.sec = sec + GOTIME_UNIX_EPOCH, .nsec = (uint32_t)rest};
}

struct gotime gotime_now(void)
{
    return gotime_from_unix_ns(clock_wall_ns());
}

int64_t gotime_to_unix_ns(struct gotime t)
{
    int64_t ns;

    if (__builtin_mul_overflow(t.sec - GOTIME_UNIX_EPOCH, (int64_t)NSEC_PER_SEC, &ns))
        return t.sec < GOTIME_UNIX_EPOCH ? INT64_MIN : INT64_MAX;
    return ns + t.nsec;
}

/* v as n digits at p; returns what is behind them */
static char *put_digits(char *p, unsigned v, int n)
{
    for (int i = n - 1; i >= 0; i--, v /= 10)
        p[i] = (char)('0' + v % 10);
    return p + n;
}

static char *put_zone(char *p, int16_t offset_min)
{
    unsigned m = (unsigned)(offset_min < 0 ? -offset_min : offset_min);

    if (m == 0) {
        *p++ = 'Z';
        return p;
    }
    *p++ = offset_min < 0 ? '-' : '+';
    p = put_digits(p, m / 60, 2);
    *p++ = ':';
    return put_digits(p, m % 60, 2);
}

/* without printf: a list of nodes has several times for each of them */
void gotime_format(struct gotime t, char ret[GOTIME_TEXT_MAX])
{
    time_t sec = (time_t)(t.sec - GOTIME_UNIX_EPOCH + (int64_t)t.offset_min * 60);
    struct tm tm = {0};
    char *p = ret;

    (void)gmtime_r(&sec, &tm);
    p = put_digits(p, (unsigned)(tm.tm_year + 1900), 4);
    *p++ = '-';
    p = put_digits(p, (unsigned)tm.tm_mon + 1, 2);
    *p++ = '-';
    p = put_digits(p, (unsigned)tm.tm_mday, 2);
    *p++ = 'T';
    p = put_digits(p, (unsigned)tm.tm_hour, 2);
    *p++ = ':';
    p = put_digits(p, (unsigned)tm.tm_min, 2);
    *p++ = ':';
    p = put_digits(p, (unsigned)tm.tm_sec, 2);
    if (t.nsec % 1000000000U) {
        *p++ = '.';
        p = put_digits(p, t.nsec % 1000000000U, 9);
        while (p[-1] == '0')
            p--;
    }
    p = put_zone(p, t.offset_min);
    *p = 0;
}

/* n digits at *s as a number; -1 when there are fewer */
static int take_digits(const char **s, int n)
{
    int v = 0;

    for (int i = 0; i < n; i++, (*s)++) {
        if (**s < '0' || **s > '9')
            return -1;
        v = v * 10 + (**s - '0');
    }
    return v;
}

static bool take_char(const char **s, char c)
{
    if (**s != c)
        return false;
    (*s)++;
    return true;
}

static int parse_zone(const char **s, int16_t *ret_min)
{
    char sign = **s;
    int h, m;

    *ret_min = 0;
    if (take_char(s, 'Z'))
        return 0;
    if (sign != '+' && sign != '-')
        return -EINVAL;
    (*s)++;
    h = take_digits(s, 2);
    if (h < 0 || h > 23 || !take_char(s, ':'))
        return -EINVAL;
    m = take_digits(s, 2);
    if (m < 0 || m > 59)
        return -EINVAL;
    *ret_min = (int16_t)(sign == '-' ? -(h * 60 + m) : h * 60 + m);
    return 0;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap);
}

int gotime_parse(const char *s, struct gotime *ret)
{
    struct tm tm = {0};
    uint32_t nsec = 0, unit = 100000000;
    int16_t offset;
    int year, month;

    year = take_digits(&s, 4);
    if (year < 0 || !take_char(&s, '-'))
        return -EINVAL;
    month = take_digits(&s, 2);
    if (month < 1 || month > 12 || !take_char(&s, '-'))
        return -EINVAL;
    tm.tm_mday = take_digits(&s, 2);
    if (tm.tm_mday < 1 || tm.tm_mday > 31 || !take_char(&s, 'T'))
        return -EINVAL;
    tm.tm_hour = take_digits(&s, 2);
    if (tm.tm_hour < 0 || tm.tm_hour > 23 || !take_char(&s, ':'))
        return -EINVAL;
    tm.tm_min = take_digits(&s, 2);
    if (tm.tm_min < 0 || tm.tm_min > 59 || !take_char(&s, ':'))
        return -EINVAL;
    tm.tm_sec = take_digits(&s, 2);
    if (tm.tm_sec < 0 || tm.tm_sec > 59 || tm.tm_mday > days_in(year, month))
        return -EINVAL;
    if (take_char(&s, '.')) {
        if (*s < '0' || *s > '9')
            return -EINVAL;
        for (; *s >= '0' && *s <= '9'; s++, unit /= 10)
            nsec += (uint32_t)(*s - '0') * unit;
    }
    if (parse_zone(&s, &offset) < 0 || *s)
        return -EINVAL;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    *ret = (struct gotime){
        .sec = (int64_t)timegm(&tm) + GOTIME_UNIX_EPOCH - (int64_t)offset * 60,
        .nsec = nsec,
        .offset_min = offset,
    };
    return 0;
}
