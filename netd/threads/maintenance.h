/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread that does the store's maintenance when it is due, because it may wait for the disk and
 * the loop may not.
 */
#ifndef BECK_NETD_MAINTENANCE_H
#define BECK_NETD_MAINTENANCE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct beck_store;

struct maintenance {
    struct beck_store *store;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* on the monotonic clock */
    uint32_t longest_ms;    /* between two looks */
    atomic_llong beat_ms;   /* when it last began or ended something, by clock_ms() */
    atomic_bool at_work;    /* in the library, which may wait for the disk */
    bool wanted;            /* under lock: look now, whatever was said about the next time */
    bool stopping;          /* under lock */
};

/* Looks each `longest_ms` at least, 0: as seldom as it likes. 0 or a negative errno. Signals must
 * be blocked by the caller. */
int maintenance_start(struct maintenance *maintenance, struct beck_store *store,
                      uint32_t longest_ms);
/* Something may be due sooner than it was: much was appended. */
void maintenance_kick(struct maintenance *maintenance);
void maintenance_stop(struct maintenance *maintenance);

/* Has it moved since then, or may it be waiting for the disk? For that it has ten minutes: a call
 * of the library ends after seconds but for one wait for the disk, and of one on which others have
 * written much, that may last. */
bool maintenance_is_alive(const struct maintenance *maintenance, int64_t since_ms);

#endif
