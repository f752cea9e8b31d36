/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop over the kernel's requests; see serve.h. It guarantees that each request is taken by one
 * thread, which answers it before it takes another; that a request waits at most about two TICK_MS
 * for others to be answered, unless as many as there are threads wait for the disk; that an idle
 * mount uses no processor time; and that there are at most THREADS_MAX threads.
 *
 * The happy path. Waking a thread costs several times what a small request costs, so as few as
 * possible are woken. One thread, the leader, listens to the device, and answers what is quick
 * itself. Before it goes to sleep it asks for SPIN_USEC whether there is another request: who
 * appends a line sends five of them, one after the other.
 *
 * A request that waits for the disk (what is quick, see below) is answered by the thread that took
 * it, too, but before it begins it gives the lead to another one. So do reads and writes while they
 * are crowded: where requests came in during large ones, or during several small ones that took
 * long, working on several processors is worth the waking. Who has answered without the lead asks
 * for LINGER_USEC for another request, which saves that one from waiting until somebody wakes; the
 * leader of a crowd sleeps at once, as others have more use for its processor.
 *
 * What can fail:
 * - A quick request is not quick: a page must come from the disk, a lock is held. The thread that
 *   called serve_session() looks each TICK_MS whether the leader is where it was, and gives the
 *   lead to another thread. It sleeps while there are no requests.
 * - No thread can be made, or all are busy: the first that is ready leads again.
 * - The device fails or says that it is unmounted: the leader stops all.
 * - A signal: libfuse's handler marks the session, and the thread in serve_session(), the only one
 *   that gets it, stops all. Threads end after the request that they answer.
 */
#include "serve.h"
#include "fuse_api.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* A thread waits in each fsync(2), and a group of them shares one sync of the disk: so there may be
 * many, though few stay when they have nothing to do. */
#define THREADS_MAX      64
#define THREADS_IDLE_MAX 8

#define SPIN_USEC    50
#define LINGER_USEC  100
#define TICK_MS      2
#define TICKS_QUIET  5 /* ticks without a request after which nobody looks any more */
#define LARGE_BYTES  65536
#define LONG_USEC    100
#define LONG_IN_ROW  4 /* one alone may just have lost its processor for a while */
#define CROWDED_USEC 100000

struct server {
    struct fuse_session *session;
    int device;
    int stop_fd;  /* readable: all stop */
    int watch_fd; /* readable: requests come again */

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t free;  /* there is no leader */
    pthread_cond_t gone;  /* there is no thread */
    unsigned threads;
    unsigned idle; /* threads that would lead */
    bool led;
    uint64_t term; /* counts leaders: who has an older one leads no more */
    bool serving;  /* the leader answers a request */
    uint64_t taken;
    bool watched;
    int64_t large_crowded_until_usec;
    int64_t small_crowded_until_usec;
    unsigned long_in_row; /* small requests that took long while others came */
    bool stopping;
    int result;
};

static int64_t now_usec(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Make an eventfd readable; it cannot be full. */
static void event_raise(int fd)
{
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof(one));
    (void)written;
}

/* ---- what a request is -------------------------------------------------------------------- */

/* The request as the kernel sent it; libfuse checks nothing more than that there is a header. */
struct request {
    const struct fuse_in_header *header;
    const void *arguments;
    size_t bytes;
};

static struct request request_in(const struct fuse_buf *buffer)
{
    const struct fuse_in_header *header = buffer->mem;
    return (struct request){header, header + 1, buffer->size};
}

static bool request_moves_data(const struct request *request)
{
    return request->header->opcode == FUSE_READ || request->header->opcode == FUSE_WRITE;
}

static bool request_is_large(const struct request *request)
{
    const struct fuse_read_in *read = request->arguments;
    if (request->header->opcode == FUSE_READ)
        return request->bytes >= sizeof(*request->header) + sizeof(*read) &&
               read->size >= LARGE_BYTES;
    return request->bytes >= LARGE_BYTES;
}

/* Is no disk waited for, as a rule? */
static bool request_is_quick(const struct request *request)
{
    const struct fuse_write_in *write = request->arguments;
    switch (request->header->opcode) {
    case FUSE_INIT:
    case FUSE_LOOKUP:
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
    case FUSE_GETATTR:
    case FUSE_OPEN:
    case FUSE_LSEEK:
    case FUSE_READ:
    case FUSE_FLUSH:
    case FUSE_RELEASE:
        return true;
    case FUSE_WRITE:
        return request->bytes >= sizeof(*request->header) + sizeof(*write) &&
               (write->flags & O_DSYNC) == 0;
    default:
        return false;
    }
}

/* ---- leading ------------------------------------------------------------------------------ */

static void *thread_main(void *argument);

/* With the lock. */
static int thread_add(struct server *server)
{
    pthread_t thread;
    int result = pthread_create(&thread, NULL, thread_main, server);
    if (result != 0)
        return -result;
    server->threads++;
    (void)pthread_detach(thread);
    return 0;
}

/* Nobody leads from now on; who does next hears of it. With the lock. */
static void lead_give(struct server *server)
{
    server->led = false;
    server->serving = false;
    if (server->idle > 0)
        pthread_cond_signal(&server->free);
    else if (server->threads < THREADS_MAX)
        (void)thread_add(server);
}

/* Wait for the lead. Returns false where the thread should end. With the lock. */
static bool lead_take(struct server *server, uint64_t *ret_term)
{
    if (server->led && server->idle >= THREADS_IDLE_MAX)
        return false;
    server->idle++;
    while (server->led && !server->stopping)
        pthread_cond_wait(&server->free, &server->lock);
    server->idle--;
    if (server->stopping)
        return false;
    server->led = true;
    *ret_term = ++server->term;
    return true;
}

/* With the lock. */
static void stop_all(struct server *server, int result)
{
    if (server->stopping)
        return;
    server->stopping = true;
    server->result = result;
    event_raise(server->stop_fd);
    pthread_cond_broadcast(&server->free);
}

/* The next request, if it comes soon: its size; -EAGAIN: it does not; 0: the mount is over; or
 * another negative errno. */
static int receive_soon(const struct server *server, int64_t usec, struct fuse_buf *buffer)
{
    int64_t until = now_usec() + usec;
    int result;
    do
        result = fuse_session_receive_buf(server->session, buffer);
    while (result == -EINTR || (result == -EAGAIN && now_usec() < until));
    return result;
}

/* How long the leader asks before it sleeps. */
static int64_t spin_usec(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    int64_t crowded_until = server->large_crowded_until_usec;
    pthread_mutex_unlock(&server->lock);
    return now_usec() < crowded_until ? 0 : SPIN_USEC;
}

/* The next request: its size; 0: the mount is over; or a negative errno. */
static int receive(struct server *server, struct fuse_buf *buffer)
{
    int result = receive_soon(server, spin_usec(server), buffer);
    while (result == -EAGAIN) {
        struct pollfd events[] = {{.fd = server->device, .events = POLLIN},
                                  {.fd = server->stop_fd, .events = POLLIN}};
        (void)poll(events, 2, -1);
        if (events[1].revents != 0)
            return 0;
        result = receive_soon(server, 0, buffer);
    }
    return result;
}

static bool is_waiting(const struct server *server)
{
    struct pollfd event = {.fd = server->device, .events = POLLIN};
    return poll(&event, 1, 0) > 0;
}

/* The leader has a request. Returns whether it leads while it answers. */
static bool serve_begin(struct server *server, const struct request *request, bool large,
                        int64_t now)
{
    pthread_mutex_lock(&server->lock);
    int64_t until = large ? server->large_crowded_until_usec : server->small_crowded_until_usec;
    bool keeps = request_is_quick(request) && !(request_moves_data(request) && now < until);
    bool wakes = keeps && !server->watched;
    server->taken++;
    if (keeps)
        server->serving = true;
    else
        lead_give(server);
    if (wakes)
        server->watched = true;
    pthread_mutex_unlock(&server->lock);
    if (wakes)
        event_raise(server->watch_fd);
    return keeps;
}

/* The request is answered. Returns whether the thread leads still. */
static bool serve_end(struct server *server, uint64_t term, bool was_large, int64_t began)
{
    int64_t now = now_usec();
    bool crowd = (was_large || now - began > LONG_USEC) && is_waiting(server);
    pthread_mutex_lock(&server->lock);
    bool leads = server->led && server->term == term;
    if (leads)
        server->serving = false;
    if (crowd && was_large)
        server->large_crowded_until_usec = now + CROWDED_USEC;
    if (!was_large)
        server->long_in_row = crowd ? server->long_in_row + 1 : 0;
    if (server->long_in_row >= LONG_IN_ROW)
        server->small_crowded_until_usec = now + CROWDED_USEC;
    pthread_mutex_unlock(&server->lock);
    return leads;
}

/* Listen and answer while this thread leads. Returns above 0 when it does no more, else why all
 * end. */
static int lead(struct server *server, uint64_t term, struct fuse_buf *buffer)
{
    bool leads = true;
    while (leads) {
        int received = receive(server, buffer);
        if (received <= 0)
            return received;
        struct request request = request_in(buffer);
        bool large = request_moves_data(&request) && request_is_large(&request);
        int64_t began = now_usec();
        leads = serve_begin(server, &request, large, began);
        fuse_session_process_buf(server->session, buffer);
        if (leads)
            leads = serve_end(server, term, large, began);
    }
    return 1;
}

/* Answer without the lead what comes soon. What it is does not matter: another thread listens. */
static void linger(const struct server *server, struct fuse_buf *buffer)
{
    while (receive_soon(server, LINGER_USEC, buffer) > 0)
        fuse_session_process_buf(server->session, buffer);
}

static void *thread_main(void *argument)
{
    struct server *server = argument;
    struct fuse_buf buffer = {0};
    uint64_t term;
    pthread_mutex_lock(&server->lock);
    while (lead_take(server, &term)) {
        pthread_mutex_unlock(&server->lock);
        int result = lead(server, term, &buffer);
        if (result > 0)
            linger(server, &buffer);
        pthread_mutex_lock(&server->lock);
        if (result <= 0)
            stop_all(server, result);
    }
    free(buffer.mem);
    if (--server->threads == 0)
        pthread_cond_signal(&server->gone);
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* ---- watching ----------------------------------------------------------------------------- */

/* A tick: has the leader been in one request since the last? Returns false when nothing has come
 * for a while. */
static bool watch_tick(struct server *server, uint64_t *seen, unsigned *quiet)
{
    pthread_mutex_lock(&server->lock);
    if (server->taken != *seen)
        *quiet = 0;
    else if (server->led && server->serving)
        lead_give(server);
    else
        ++*quiet;
    *seen = server->taken;
    server->watched = *quiet < TICKS_QUIET;
    bool watched = server->watched;
    pthread_mutex_unlock(&server->lock);
    return watched;
}

/* Returns when all should stop. Signals come only here. */
static void watch(struct server *server, const sigset_t *signals)
{
    static const struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
    bool watching = false;
    uint64_t seen = 0;
    unsigned quiet = 0;
    while (!fuse_session_exited(server->session)) {
        struct pollfd events[] = {{.fd = server->stop_fd, .events = POLLIN},
                                  {.fd = watching ? -1 : server->watch_fd, .events = POLLIN}};
        int count = ppoll(events, 2, watching ? &tick : NULL, signals);
        if (count < 0)
            continue; /* a signal */
        if (events[0].revents != 0)
            return;
        if (watching) {
            watching = watch_tick(server, &seen, &quiet);
            continue;
        }
        uint64_t ignored;
        ssize_t bytes = read(server->watch_fd, &ignored, sizeof(ignored));
        (void)bytes;
        watching = true;
        quiet = 0;
    }
}

/* ---- from the first request to the last --------------------------------------------------- */

static int run(struct server *server, const sigset_t *signals)
{
    pthread_mutex_lock(&server->lock);
    int result = thread_add(server);
    pthread_mutex_unlock(&server->lock);
    if (result < 0)
        return result;
    watch(server, signals);
    pthread_mutex_lock(&server->lock);
    stop_all(server, 0);
    while (server->threads > 0)
        pthread_cond_wait(&server->gone, &server->lock);
    result = server->result;
    pthread_mutex_unlock(&server->lock);
    return result;
}

static int run_with_events(struct server *server, const sigset_t *signals)
{
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (server->stop_fd < 0)
        return -errno;
    server->watch_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = server->watch_fd < 0 ? -errno : run(server, signals);
    if (server->watch_fd >= 0)
        close(server->watch_fd);
    close(server->stop_fd);
    return result;
}

int serve_session(struct fuse_session *session)
{
    static struct server server; /* static: a thread that ends may still be about to unlock it */
    server = (struct server){
        .session = session,
        .device = fuse_session_fd(session),
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .free = PTHREAD_COND_INITIALIZER,
        .gone = PTHREAD_COND_INITIALIZER,
    };
    int flags = fcntl(server.device, F_GETFL);
    if (flags < 0 || fcntl(server.device, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    sigset_t ours;
    sigset_t before;
    sigemptyset(&ours);
    sigaddset(&ours, SIGHUP);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &ours, &before);
    int result = run_with_events(&server, &before);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}
