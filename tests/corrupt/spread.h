/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work on the bytes of a store's files, shared by several processes: each has a copy of the store,
 * so that none sees what another one flips.
 */
#ifndef TESTS_SPREAD_H
#define TESTS_SPREAD_H

#include "store_fixture.h"

#include <stdbool.h>

extern int spread_jobs; /* processes */

struct spread {
    struct fixture fixture; /* with the path of this process's copy; nothing is open */
    void *counts;           /* shared by all; add with atomics */
    int job;
    int64_t next; /* of spread_mine() */
};

/*
 * Have all processes do `work`, each with its share; `counts` begins as zeroes, and what they add
 * to it is there in the end. Fails the test where one of them fails.
 */
void spread_work(struct fixture *fixture, void (*work)(struct spread *spread), void *counts,
                 size_t counts_size);
/* Is the next one mine? To be asked by all for all, in the same order. */
bool spread_mine(struct spread *spread);
/* In such a process: else say where, and end. */
void spread_check(bool condition, const char *file, int64_t byte, const char *what);

#endif
