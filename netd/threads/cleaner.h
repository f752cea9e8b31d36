/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread that does the store's long work (beck_store_clean()) for as long as it takes, apart
 * from the maintenance, which must not wait for it.
 */
#ifndef BECK_NETD_CLEANER_H
#define BECK_NETD_CLEANER_H

#include <pthread.h>
#include <stdatomic.h>

struct beck_store;

struct cleaner {
    struct beck_store *store;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* on the monotonic clock */
    atomic_bool stopping;   /* set under lock */
};

/* 0 or a negative errno. Signals must be blocked by the caller. */
int cleaner_start(struct cleaner *cleaner, struct beck_store *store);
/* Ends the work that is under way within a moment. */
void cleaner_stop(struct cleaner *cleaner);

#endif
