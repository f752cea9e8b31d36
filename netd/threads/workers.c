/* SPDX-License-Identifier: Apache-2.0
 *
 * A queue, a few threads, and an eventfd for each loop on the way back; see workers.h. Lock order:
 * none, the queue's and an inbox's lock are never held together.
 */
#include "workers.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The library's deepest calls (LMDB, compression) stay far below this. */
#define WORKER_STACK_BYTES (512 * 1024)

void inbox_wake(struct inbox *inbox)
{
    uint64_t one = 1;
    ssize_t written = write(inbox->event_fd, &one, sizeof(one));
    (void)written; /* fails only when the counter is full, and then the loop is awake */
}

static void inbox_put(struct inbox *inbox, struct work *work)
{
    pthread_mutex_lock(&inbox->lock);
    bool ring = TAILQ_EMPTY(&inbox->finished);
    TAILQ_INSERT_TAIL(&inbox->finished, work, link);
    pthread_mutex_unlock(&inbox->lock);
    if (ring)
        inbox_wake(inbox);
}

void inbox_post(struct inbox *inbox, struct work *work)
{
    work->is_posted = true;
    inbox_put(inbox, work);
}

void inbox_return(struct inbox *inbox, struct work *work)
{
    work->is_posted = false;
    inbox_put(inbox, work);
}

/* The next work for a worker; NULL: none that it may do. Under the lock. */
static struct work *take_work(struct workers *workers)
{
    bool may_later = !TAILQ_EMPTY(&workers->later) && workers->later_running < workers->later_max;
    bool later = may_later && (TAILQ_EMPTY(&workers->queue) || workers->later_is_next);
    struct work_list *list = later ? &workers->later : &workers->queue;
    struct work *work = TAILQ_FIRST(list);
    if (!work)
        return NULL;
    TAILQ_REMOVE(list, work, link);
    workers->later_running += later;
    workers->later_is_next = !later;
    return work;
}

static void *worker_main(void *argument)
{
    struct workers *workers = argument;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        struct work *work = take_work(workers);
        if (work) {
            bool was_later = work->is_later; /* it belongs to its loop again, soon */
            pthread_mutex_unlock(&workers->lock);
            work->run(work);
            inbox_return(work->inbox, work);
            pthread_mutex_lock(&workers->lock);
            workers->later_running -= was_later;
        } else if (workers->stopping) {
            break;
        } else {
            pthread_cond_wait(&workers->available, &workers->lock);
        }
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

int workers_start(struct workers *workers, size_t count)
{
    *workers = (struct workers){.later_max = count > 1 ? count - 1 : 1};
    TAILQ_INIT(&workers->queue);
    TAILQ_INIT(&workers->later);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->available, NULL);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES);
    int error = 0;
    for (size_t i = 0; i < count && i < WORKERS_MAX && error == 0; i++) {
        error = pthread_create(&workers->threads[i], &attributes, worker_main, workers);
        if (error == 0)
            workers->thread_count++;
    }
    pthread_attr_destroy(&attributes);
    if (error != 0)
        workers_stop(workers);
    return -error;
}

void workers_stop(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    pthread_cond_broadcast(&workers->available);
    pthread_mutex_unlock(&workers->lock);
    for (size_t i = 0; i < workers->thread_count; i++)
        pthread_join(workers->threads[i], NULL);
    workers->thread_count = 0;
    pthread_cond_destroy(&workers->available);
    pthread_mutex_destroy(&workers->lock);
}

int inbox_init(struct inbox *inbox)
{
    *inbox = (struct inbox){.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    if (inbox->event_fd < 0)
        return -errno;
    TAILQ_INIT(&inbox->finished);
    pthread_mutex_init(&inbox->lock, NULL);
    return 0;
}

void inbox_done(struct inbox *inbox)
{
    close(inbox->event_fd);
    pthread_mutex_destroy(&inbox->lock);
}

static void submit(struct workers *workers, struct inbox *inbox, struct work *work, bool later)
{
    work->inbox = inbox;
    work->is_later = later;
    inbox->submitted++;
    pthread_mutex_lock(&workers->lock);
    TAILQ_INSERT_TAIL(later ? &workers->later : &workers->queue, work, link);
    pthread_cond_signal(&workers->available);
    pthread_mutex_unlock(&workers->lock);
}

void workers_submit(struct workers *workers, struct inbox *inbox, struct work *work)
{
    submit(workers, inbox, work, false);
}

void workers_submit_later(struct workers *workers, struct inbox *inbox, struct work *work)
{
    submit(workers, inbox, work, true);
}

void inbox_finish(struct inbox *inbox)
{
    uint64_t count;
    ssize_t got = read(inbox->event_fd, &count, sizeof(count));
    (void)got; /* cleared before looking: what comes later rings again */
    struct work_list finished = TAILQ_HEAD_INITIALIZER(finished);
    pthread_mutex_lock(&inbox->lock);
    TAILQ_CONCAT(&finished, &inbox->finished, link);
    pthread_mutex_unlock(&inbox->lock);
    struct work *work;
    while ((work = TAILQ_FIRST(&finished))) {
        TAILQ_REMOVE(&finished, work, link);
        if (!work->is_posted)
            inbox->submitted--;
        work->done(work);
    }
}
