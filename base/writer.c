#include "base/writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

struct queue {
    struct writer_job *head, *tail;
};

struct writer {
    struct io io;
    int event_fd;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the three below */
    pthread_cond_t wake;
    struct queue todo, finished;
    bool stop;
    size_t pending; /* loop side only */
};

static void queue_add(struct queue *q, struct writer_job *j)
{
    j->next = NULL;
    if (q->tail)
        q->tail->next = j;
    else
        q->head = j;
    q->tail = j;
}

static struct writer_job *queue_take(struct queue *q)
{
    struct writer_job *j = q->head;

    if (j) {
        q->head = j->next;
        if (!q->head)
            q->tail = NULL;
    }
    return j;
}

static void *writer_main(void *arg)
{
    struct writer *w = arg;
    uint64_t one = 1;

    (void)pthread_mutex_lock(&w->lock);
    for (;;) {
        struct writer_job *j = queue_take(&w->todo);

        if (!j && w->stop)
            break;
        if (!j) {
            (void)pthread_cond_wait(&w->wake, &w->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&w->lock);
        j->run(j);
        (void)pthread_mutex_lock(&w->lock);
        queue_add(&w->finished, j);
        (void)!write(w->event_fd, &one, sizeof(one));
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void deliver(struct writer *w)
{
    struct queue finished;

    (void)pthread_mutex_lock(&w->lock);
    finished = w->finished;
    w->finished = (struct queue){0};
    (void)pthread_mutex_unlock(&w->lock);
    for (struct writer_job *j; (j = queue_take(&finished));) {
        w->pending--;
        j->done(j);
    }
}

/* what a done() of the last ones has submitted, when the thread is gone already */
static void run_rest(struct writer *w)
{
    for (struct writer_job *j; (j = queue_take(&w->todo));) {
        j->run(j);
        w->pending--;
        j->done(j);
    }
}

static void on_event(void *arg, uint32_t revents)
{
    struct writer *w = arg;
    uint64_t n;

    (void)revents;
    (void)!read(w->event_fd, &n, sizeof(n));
    deliver(w);
}

int writer_new(struct loop *l, const char *thread_name, struct writer **ret)
{
    struct writer *w = xnew0(struct writer);
    sigset_t all, old;
    int r;

    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->wake, NULL);
    w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->event_fd < 0) {
        r = -errno;
        free(w);
        return r;
    }
    r = io_add(l, &w->io, w->event_fd, EPOLLIN, "writer", on_event, w);
    if (r == 0) {
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_BLOCK, &all, &old);
        r = -pthread_create(&w->thread, NULL, writer_main, w);
        (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    if (r < 0) {
        io_del(&w->io);
        (void)close(w->event_fd);
        free(w);
        return r;
    }
    (void)pthread_setname_np(w->thread, thread_name);
    *ret = w;
    return 0;
}

struct writer *writer_free(struct writer *w)
{
    if (!w)
        return NULL;
    (void)pthread_mutex_lock(&w->lock);
    w->stop = true;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_join(w->thread, NULL);
    deliver(w);
    run_rest(w);
    io_del(&w->io);
    (void)close(w->event_fd);
    (void)pthread_cond_destroy(&w->wake);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
    return NULL;
}

void writer_submit(struct writer *w, struct writer_job *j)
{
    w->pending++;
    (void)pthread_mutex_lock(&w->lock);
    queue_add(&w->todo, j);
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
}

/* lets done() be called that are due; waits for the next one for so long at most, -1: for ever */
static void flush_step(struct writer *w, int ms)
{
    struct pollfd p = {.fd = w->event_fd, .events = POLLIN};

    (void)poll(&p, 1, ms);
    on_event(w, POLLIN);
}

void writer_flush(struct writer *w)
{
    while (w->pending > 0)
        flush_step(w, -1);
}

int writer_flush_for(struct writer *w, uint64_t limit_ns)
{
    uint64_t end = clock_boot_ns() + limit_ns;

    while (w->pending > 0) {
        uint64_t now = clock_boot_ns();

        if (now >= end)
            return -ETIMEDOUT;
        flush_step(w, (int)((end - now) / NSEC_PER_MSEC + 1));
    }
    return 0;
}

size_t writer_pending(const struct writer *w)
{
    return w->pending;
}
