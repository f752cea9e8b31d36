/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads for what may block: syncs, and requests that read or write the store's databases. A loop
 * hands in a work and goes on; a worker runs it; the loop is woken and finishes it. A work belongs
 * to the loop until it is submitted and again when `done` is called; in between to the workers.
 *
 * It leaves to others: order. Works of one inbox may run at once and finish in any order.
 */
#ifndef BECK_NETD_WORKERS_H
#define BECK_NETD_WORKERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#define WORKERS_MAX 256

struct inbox;

struct work {
    TAILQ_ENTRY(work) link;
    struct inbox *inbox;
    bool is_later;                   /* see workers_submit_later() */
    void (*run)(struct work *work);  /* on a worker */
    void (*done)(struct work *work); /* on the inbox's loop; may free or submit it again */
    bool is_posted;                  /* nobody in the inbox's loop waits for it */
};

TAILQ_HEAD(work_list, work);

/* Where a loop finds the works that were run for it. */
struct inbox {
    pthread_mutex_t lock;
    struct work_list finished; /* under lock */
    int event_fd;              /* readable when something is there */
    size_t submitted;          /* not yet done; the loop's alone */
};

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t available;
    struct work_list queue; /* this and all up to `stopping` under lock */
    struct work_list later;
    size_t later_running;
    size_t later_max;
    bool later_is_next; /* where there is work of both kinds, they take turns */
    bool stopping;
    pthread_t threads[WORKERS_MAX];
    size_t thread_count;
};

/* 0 or a negative errno, then with nothing left behind. Signals must be blocked by the caller. */
int workers_start(struct workers *workers, size_t count);
/* Runs what is queued, then ends the threads. */
void workers_stop(struct workers *workers);

int inbox_init(struct inbox *inbox);
void inbox_done(struct inbox *inbox);

/* Hands a work in. Called by the inbox's loop. */
void workers_submit(struct workers *workers, struct inbox *inbox, struct work *work);
/* The same for what may take long and is waited for by one client only: one worker is always left
 * for works that many wait for. */
void workers_submit_later(struct workers *workers, struct inbox *inbox, struct work *work);
/* Has another loop call `done`. From any thread. */
void inbox_post(struct inbox *inbox, struct work *work);
/* The same for a work that the inbox's loop gave away and waits for: see inbox_expect(). */
void inbox_return(struct inbox *inbox, struct work *work);
/* Says that one will come by inbox_return(). Called by the inbox's loop. */
static inline void inbox_expect(struct inbox *inbox)
{
    inbox->submitted++;
}
/* Has the inbox's loop come round. From any thread. */
void inbox_wake(struct inbox *inbox);
/* Calls `done` of all that is finished. Called by the inbox's loop when event_fd is readable. */
void inbox_finish(struct inbox *inbox);

#endif
