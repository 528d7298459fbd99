#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/proc.h"
#include "base/str.h"

enum {
    WAIT_TEXT_MAX = 512,
    STAT_SKIP = 11, /* words between the name and utime in /proc/PID/stat; proc(5) */
};

struct call_name {
    long number;
    const char *name;
    bool has_fd; /* the first argument is a descriptor */
};

/* The system calls in which a probe may be found waiting. */
/* clang-format off */
static const struct call_name call_names[] = {
    {SYS_read, "read", true},             {SYS_write, "write", true},
    {SYS_readv, "readv", true},           {SYS_pread64, "pread64", true},
    {SYS_openat, "openat", false},        {SYS_close, "close", true},
    {SYS_statfs, "statfs", false},        {SYS_fstatfs, "fstatfs", true},
    {SYS_newfstatat, "newfstatat", false}, {SYS_statx, "statx", false},
    {SYS_readlinkat, "readlinkat", false}, {SYS_getdents64, "getdents64", true},
    {SYS_connect, "connect", true},       {SYS_sendto, "sendto", true},
    {SYS_recvfrom, "recvfrom", true},     {SYS_sendmsg, "sendmsg", true},
    {SYS_recvmsg, "recvmsg", true},       {SYS_ioctl, "ioctl", true},
    {SYS_fsync, "fsync", true},           {SYS_flock, "flock", true},
    {SYS_fcntl, "fcntl", true},           {SYS_ppoll, "ppoll", false},
    {SYS_pselect6, "pselect6", false},    {SYS_epoll_pwait, "epoll_pwait", true},
    {SYS_wait4, "wait4", false},          {SYS_waitid, "waitid", false},
    {SYS_nanosleep, "nanosleep", false},  {SYS_clock_nanosleep, "clock_nanosleep", false},
    {SYS_futex, "futex", false},          {SYS_execve, "execve", false},
#ifdef SYS_poll /* calls that younger architectures do not have */
    {SYS_poll, "poll", false},            {SYS_select, "select", false},
    {SYS_open, "open", false},            {SYS_stat, "stat", false},
    {SYS_lstat, "lstat", false},          {SYS_access, "access", false},
    {SYS_pause, "pause", false},          {SYS_epoll_wait, "epoll_wait", true},
#endif
};
/* clang-format on */

static const struct call_name *find_call(uint64_t number)
{
    for (size_t i = 0; i < ARRAY_LEN(call_names); i++)
        if ((uint64_t)call_names[i].number == number)
            return &call_names[i];
    return NULL;
}

static char *read_proc(pid_t pid, const char *name)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/%s", (int)pid, name);
    char *text = NULL;

    if (file_read(path, (size_t)64 * 1024, &text, NULL) < 0)
        return NULL;
    return text;
}

/* the number at *p behind blanks; *p goes behind it */
static int take_number(const char **p, uint64_t *ret)
{
    _cleanup_free_ char *word = NULL;
    size_t n;

    *p += strspn(*p, " ");
    n = strcspn(*p, " ");
    word = xstrndup(*p, n);
    *p += n;
    return parse_u64(word, ret);
}

/* CPU time used so far, in clock ticks: fields 14 and 15 of the stat file, counted behind the name,
 * which may hold anything */
static bool read_cpu_ticks(pid_t pid, uint64_t *ret)
{
    _cleanup_free_ char *text = read_proc(pid, "stat");
    const char *at = text ? strrchr(text, ')') : NULL;
    uint64_t user, system;

    if (!at)
        return false;
    at++;
    for (int i = 0; i < STAT_SKIP; i++) {
        at += strspn(at, " ");
        at += strcspn(at, " ");
    }
    if (take_number(&at, &user) < 0 || take_number(&at, &system) < 0)
        return false;
    *ret = user + system;
    return true;
}

/* One that runs waits for nothing: what it has used says whether it spins or did not get its turn.
 * Only how many digits it has: the sentence becomes a driver's health, and is the same next time.
 */
static void add_cpu(struct buf *b, pid_t pid)
{
    long per_sec = sysconf(_SC_CLK_TCK);
    uint64_t ticks;

    if (per_sec > 0 && read_cpu_ticks(pid, &ticks))
        buf_printf(b, ", on the CPU for over %" PRIu64 " ms so far",
                   proc_round_down(ticks * 1000 / (uint64_t)per_sec));
}

uint64_t proc_round_down(uint64_t n)
{
    uint64_t ten = 1;

    while (n / ten >= 10)
        ten *= 10;
    return n ? ten : 0;
}

/* "D (disk sleep)" from the status file; returns its letter, 0 when it cannot be read */
static char add_state(struct buf *b, pid_t pid)
{
    _cleanup_free_ char *text = read_proc(pid, "status");
    const char *at = text ? strstr(text, "\nState:") : NULL;

    if (!at)
        return 0;
    at += strlen("\nState:");
    at += strspn(at, " \t");
    buf_add_str(b, "state ");
    buf_add(b, at, strcspn(at, "\n"));
    return *at;
}

static void add_channel(struct buf *b, pid_t pid)
{
    _cleanup_free_ char *text = read_proc(pid, "wchan");

    if (!str_empty(text) && !str_eq(text, "0"))
        buf_printf(b, ", waiting in %s", text);
}

static void add_file(struct buf *b, pid_t pid, uint64_t fd)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/fd/%llu", (int)pid, (unsigned long long)fd);
    char target[256];
    ssize_t n = readlink(path, target, sizeof(target) - 1);

    if (n <= 0)
        return;
    target[n] = 0;
    buf_printf(b, " on %s", target);
}

/* The file is "NUMBER 0xARG ... 0xSP 0xPC", "running", or "-1 0xSP 0xPC". */
static void add_call(struct buf *b, pid_t pid)
{
    _cleanup_free_ char *text = read_proc(pid, "syscall");
    const struct call_name *call;
    uint64_t number;
    int64_t fd;
    char *args;

    if (!text)
        return;
    (void)str_trim(text);
    args = strchr(text, ' ');
    if (!args)
        return;
    *args++ = 0;
    args[strcspn(args, " \n")] = 0;
    if (parse_u64(text, &number) < 0)
        return;
    call = find_call(number);
    if (!call) {
        buf_printf(b, ", system call %s", text);
        return;
    }
    buf_printf(b, ", system call %s", call->name);
    if (call->has_fd && parse_i64_base0(args, &fd) == 0 && fd >= 0)
        add_file(b, pid, (uint64_t)fd);
}

char *proc_describe_wait(pid_t pid)
{
    _cleanup_buf_ struct buf b = BUF_INIT(WAIT_TEXT_MAX);
    char state = add_state(&b, pid);

    if (state == 'R') {
        add_cpu(&b, pid);
    } else if (state) {
        add_channel(&b, pid);
        add_call(&b, pid);
    }
    return (char *)buf_take(&b, NULL);
}

/* appends the children of one process to the list, as far as there is room */
static size_t add_children(pid_t pid, pid_t *list, size_t n)
{
    _cleanup_free_ char *name = xasprintf("task/%d/children", (int)pid);
    _cleanup_free_ char *text = read_proc(pid, name);
    char **numbers = NULL;
    size_t n_numbers = 0;
    uint64_t child;

    strv_split(str_or_empty(text), " ", &numbers, &n_numbers);
    for (size_t i = 0; i < n_numbers && n < PROC_TREE_MAX; i++)
        if (parse_u64(numbers[i], &child) == 0 && child <= INT32_MAX)
            list[n++] = (pid_t)child;
    strv_done(&numbers, &n_numbers);
    return n;
}

size_t proc_count_tree(pid_t pid)
{
    pid_t list[PROC_TREE_MAX];
    size_t n = add_children(pid, list, 0);

    for (size_t i = 0; i < n && n < PROC_TREE_MAX; i++)
        n = add_children(list[i], list, n);
    return n;
}
