/* tests/fuzz/driver.c - a fuzz target as an ordinary test program.
 *
 * Runs every file of tests/fuzz/corpus/<name>/ (or the files and folders named as arguments) and
 * cheap mutations of each through LLVMFuzzerTestOneInput.  Everything is derived from a fixed seed,
 * the file's bytes and its place in the sorted list, so a run can be repeated exactly.  When the
 * target dies, the input is written to <program>.crash and named with the file it came from;
 * `<program> <program>.crash` runs it alone.
 *
 *   FUZZ_MUTATIONS   mutations per file (default 2000, fewer when the corpus is large); 0: only the
 * files
 *
 * Real fuzzing is `make fuzz`; this keeps every input that was ever interesting in `make check`.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES  (1024 * 1024)
#define GROW_MAX_BYTES  512
#define TOTAL_RUNS      200000
#define INPUT_LIMIT_SEC 20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
/* a target whose inputs are whole scenes says how many runs are enough */
extern const unsigned fuzz_total_runs __attribute__((weak));
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

struct input {
    char *path;
    uint8_t *data;
    size_t size;
};

static struct input *inputs;
static size_t n_inputs;
static uint64_t n_runs;

/* What is running now, for the report of a death. */
static const uint8_t *current;
static size_t current_size;
static const char *current_path = "(no file)";
static unsigned current_mutation;
static char crash_path[4096];

static void say(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
}

/* No stdio: this also runs in a signal handler. */
static void say_number(unsigned n)
{
    char text[16], *at = text + sizeof(text) - 1;

    *at = '\0';
    do
        *--at = (char)('0' + n % 10);
    while (n /= 10);
    say(at);
}

static void report_death(void)
{
    int fd;

    say("fuzz: died on mutation ");
    say_number(current_mutation);
    say(" of ");
    say(current_path);
    fd = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd >= 0 && write(fd, current, current_size) == (ssize_t)current_size) {
        say(", input kept in ");
        say(crash_path);
    }
    say("\n");
}

static void on_death(int sig)
{
    if (sig == SIGALRM)
        say("fuzz: one input takes too long\n");
    report_death();
    (void)signal(sig, SIG_DFL);
    (void)raise(sig);
}

static void watch_for_death(void)
{
    static const int sigs[] = {SIGALRM, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

    for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
        if (__sanitizer_set_death_callback && sigs[i] != SIGALRM)
            continue; /* the sanitizer handles these and calls back */
        (void)signal(sigs[i], on_death);
    }
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(report_death);
}

static void *need(void *p)
{
    if (!p) {
        say("fuzz: out of memory\n");
        exit(1);
    }
    return p;
}

/* ---- the corpus ---- */

static int add_file(const char *path)
{
    struct input *in;
    struct stat st;
    ssize_t n;
    int fd;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > FILE_MAX_BYTES) {
        (void)fprintf(stderr, "fuzz: %s: %s\n", path, errno ? strerror(errno) : "over 1 MiB");
        return -1;
    }
    inputs = need(realloc(inputs, (n_inputs + 1) * sizeof(*inputs)));
    in = &inputs[n_inputs++];
    in->path = need(strdup(path));
    in->data = need(malloc((size_t)st.st_size + 1));
    n = read(fd, in->data, (size_t)st.st_size);
    in->size = n > 0 ? (size_t)n : 0;
    (void)close(fd);
    return 0;
}

static int add_path(const char *path)
{
    struct dirent *entry;
    struct stat st;
    char *file;
    DIR *dir;
    int r = 0;

    if (stat(path, &st) < 0) {
        (void)fprintf(stderr, "fuzz: %s: %s\n", path, strerror(errno));
        return -1;
    }
    if (!S_ISDIR(st.st_mode))
        return add_file(path);
    dir = opendir(path);
    if (!dir)
        return -1;
    while (r == 0 && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        if (asprintf(&file, "%s/%s", path, entry->d_name) < 0)
            (void)need(NULL);
        if (stat(file, &st) == 0 && S_ISREG(st.st_mode))
            r = add_file(file);
        free(file);
    }
    (void)closedir(dir);
    return r;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct input *)a)->path, ((const struct input *)b)->path);
}

/* ---- mutations ---- */

static uint64_t rng;

static uint64_t rnd(void)
{
    /* xorshift64*: small, and the same everywhere */
    rng ^= rng >> 12;
    rng ^= rng << 25;
    rng ^= rng >> 27;
    return rng * UINT64_C(2685821657736338717);
}

static size_t below(size_t n)
{
    return n ? (size_t)(rnd() % n) : 0;
}

/* Bytes that lengths, type tags and text parsers care about. */
static const uint8_t odd_bytes[] = {
    0,    1,    0x7f, 0x80, 0xff, 0xfe, ' ',  '\n', '\r', '\t', '"',  '\'', '\\', '{',  '}',  '[',
    ']',  ':',  ',',  '=',  '%',  '/',  '0',  '9',  '-',  '.',  0xc0, 0xc1, 0xc4, 0xc6, 0xc7, 0xc9,
    0xca, 0xcf, 0xd3, 0xd4, 0xd8, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0x90, 0x9f, 0xa0, 0xbf, 0x8f,
};

/* The mutations: each changes the n bytes at b, at most room of them, and returns how many there
 * are now. */

static size_t flip_bit(uint8_t *b, size_t n, size_t room)
{
    (void)room;
    if (n)
        b[below(n)] ^= (uint8_t)(1U << below(8));
    return n;
}

static size_t set_any_byte(uint8_t *b, size_t n, size_t room)
{
    (void)room;
    if (n)
        b[below(n)] = (uint8_t)rnd();
    return n;
}

static size_t set_odd_byte(uint8_t *b, size_t n, size_t room)
{
    (void)room;
    if (n)
        b[below(n)] = odd_bytes[below(sizeof(odd_bytes))];
    return n;
}

static size_t nudge_byte(uint8_t *b, size_t n, size_t room)
{
    (void)room;
    if (n) {
        size_t at = below(n);

        b[at] = (uint8_t)(b[at] + below(9) - 4);
    }
    return n;
}

static size_t cut_short(uint8_t *b, size_t n, size_t room)
{
    (void)b;
    (void)room;
    return below(n);
}

static size_t take_out(uint8_t *b, size_t n, size_t room)
{
    size_t at = below(n), len = below(n - at < 32 ? n - at + 1 : 32);

    (void)room;
    memmove(b + at, b + at + len, n - at - len);
    return n - len;
}

static size_t put_in(uint8_t *b, size_t n, size_t room)
{
    size_t at = below(n), len = 1 + below(8);

    if (n + len > room)
        return n;
    memmove(b + at + len, b + at, n - at);
    for (size_t i = at; i < at + len; i++)
        b[i] = below(2) ? odd_bytes[below(sizeof(odd_bytes))] : (uint8_t)rnd();
    return n + len;
}

static size_t repeat_piece(uint8_t *b, size_t n, size_t room)
{
    size_t at = below(n), len = below(n - at < 64 ? n - at + 1 : 64);

    if (n + len > room)
        return n;
    memmove(b + at + len, b + at, n - at);
    return n + len;
}

/* A 32-bit number, big endian, as most lengths on our wires are. */
static size_t set_length(uint8_t *b, size_t n, size_t room)
{
    static const uint32_t numbers[] = {0, 1, 0x100, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff};
    uint32_t v = numbers[below(sizeof(numbers) / sizeof(numbers[0]))] - (uint32_t)below(2);
    size_t at = below(n);

    (void)room;
    for (size_t i = 0; i < 4 && at + i < n; i++)
        b[at + i] = (uint8_t)(v >> (24 - 8 * i));
    return n;
}

static size_t splice_other(uint8_t *b, size_t n, size_t room)
{
    const struct input *other = &inputs[below(n_inputs)];
    size_t at = below(n), from = below(other->size), len = other->size - from;

    if (at + len > room)
        return n;
    memcpy(b + at, other->data + from, len);
    return at + len;
}

static size_t (*const mutations_known[])(uint8_t *b, size_t n, size_t room) = {
    flip_bit, set_any_byte, set_odd_byte, nudge_byte, cut_short,
    take_out, put_in,       repeat_piece, set_length, splice_other,
};

static size_t mutate_once(uint8_t *b, size_t n, size_t room)
{
    return mutations_known[below(sizeof(mutations_known) / sizeof(mutations_known[0]))](b, n, room);
}

/* Each input is a copy of exactly its size, so that a sanitizer sees a read past its end. */
static void run_one(const uint8_t *data, size_t size)
{
    uint8_t *copy = need(malloc(size ? size : 1));

    if (size)
        memcpy(copy, data, size);
    current = data;
    current_size = size;
    (void)alarm(INPUT_LIMIT_SEC);
    (void)LLVMFuzzerTestOneInput(copy, size);
    (void)alarm(0);
    free(copy);
    n_runs++;
}

static void run_input(const struct input *in, unsigned mutations, uint64_t place)
{
    size_t room = in->size + GROW_MAX_BYTES, n;
    uint8_t *work = need(malloc(room));

    current_path = in->path;
    current_mutation = 0;
    run_one(in->data, in->size);
    rng = UINT64_C(0x9e3779b97f4a7c15) * (place + 1);
    for (unsigned i = 1; i <= mutations; i++) {
        current_mutation = i;
        if (in->size)
            memcpy(work, in->data, in->size);
        n = in->size;
        for (size_t k = 1 + below(4); k > 0; k--)
            n = mutate_once(work, n, room);
        run_one(work, n);
    }
    free(work);
}

static unsigned mutations_per_file(void)
{
    const char *env = getenv("FUZZ_MUTATIONS");
    unsigned long n = env ? strtoul(env, NULL, 10) : 2000;
    size_t total = &fuzz_total_runs ? fuzz_total_runs : TOTAL_RUNS;

    return n < total / n_inputs ? (unsigned)n : (unsigned)(total / n_inputs);
}

int main(int argc, char **argv)
{
    const char *name = strstr(argv[0], "fuzz_");
    unsigned mutations;
    char corpus[512];
    size_t n_files;

    for (const char *next = name; next; next = strstr(next + 1, "fuzz_"))
        name = next;
    name = name ? name + strlen("fuzz_") : "unknown";
    (void)snprintf(crash_path, sizeof(crash_path), "%s.crash", argv[0]);
    (void)snprintf(corpus, sizeof(corpus), "tests/fuzz/corpus/%s", name);
    if (LLVMFuzzerInitialize)
        (void)LLVMFuzzerInitialize(&argc, &argv);

    for (int i = 1; i < argc; i++)
        if (add_path(argv[i]) < 0)
            return 1;
    if (argc < 2 && access(corpus, F_OK) == 0 && add_path(corpus) < 0)
        return 1;
    n_files = n_inputs;
    if (n_inputs == 0) { /* no corpus yet: start from nothing */
        inputs = need(calloc(1, sizeof(*inputs)));
        inputs[0].path = need(strdup("(empty)"));
        inputs[0].data = need(malloc(1));
        n_inputs = 1;
    }
    qsort(inputs, n_inputs, sizeof(*inputs), by_path);

    watch_for_death();
    mutations = argc < 2 ? mutations_per_file() : 0;
    for (size_t i = 0; i < n_inputs; i++)
        run_input(&inputs[i], mutations, i);

    current_path = "all of them (a leak)"; /* a report at exit must not touch what is freed here */
    current_size = 0;
    for (size_t i = 0; i < n_inputs; i++) {
        free(inputs[i].path);
        free(inputs[i].data);
    }
    free(inputs);
    (void)printf("fuzz %s: %zu files, %llu inputs\n", name, n_files, (unsigned long long)n_runs);
    return 0;
}
