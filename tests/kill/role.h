/* SPDX-License-Identifier: Apache-2.0 */
/* What each process of the kill test begins and ends with. */
#ifndef TESTS_KILL_ROLE_H
#define TESTS_KILL_ROLE_H

#include "ledger.h"
#include "store_fixture.h"

/* A process's place in the store. */
struct role {
    struct ledger *ledger;
    struct beck_store *store;
    struct beck_partition *partitions[LEDGER_PARTITIONS];
    uint64_t random;
    struct beck_error error;
};

/* Open the store, and the topic's partitions. False: it failed, which is told. */
bool role_begin(struct role *role, struct ledger *ledger, unsigned seed);
void role_end(struct role *role);

static inline bool goes_on(const struct role *role)
{
    return !atomic_load(&role->ledger->stop) && atomic_load(&role->ledger->failures) == 0;
}

#endif
