/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that does the store's maintenance when it is due, so that a mount works with no beckd
 * running. The library starts no threads: this one is the program's.
 */
#ifndef FUSEFS_KEEPER_H
#define FUSEFS_KEEPER_H

#include "beck.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct keeper {
    struct beck_store *store;
    pthread_t thread;
    bool running;
    atomic_size_t appended_bytes; /* since the last round */

    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;  /* under lock */
    bool hurry; /* under lock: much was appended */
};

int keeper_start(struct keeper *keeper, struct beck_store *store);
/* Wait for a round that runs, and end the thread. Also without a start. */
void keeper_stop(struct keeper *keeper);
/* Something was appended. Cheap; now and then wakes the thread. */
void keeper_appended(struct keeper *keeper, size_t bytes);

#endif
