#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/proc.h"
#include "base/str.h"

enum { WAIT_TEXT_MAX = 512 };

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

/* "D (disk sleep)" from the status file */
static void add_state(struct buf *b, pid_t pid)
{
    _cleanup_free_ char *text = read_proc(pid, "status");
    const char *at = text ? strstr(text, "\nState:") : NULL;

    if (!at)
        return;
    at += strlen("\nState:");
    at += strspn(at, " \t");
    buf_add_str(b, "state ");
    buf_add(b, at, strcspn(at, "\n"));
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

    add_state(&b, pid);
    if (b.len > 0) {
        add_channel(&b, pid);
        add_call(&b, pid);
    }
    return (char *)buf_take(&b, NULL);
}
