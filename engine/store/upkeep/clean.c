/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who cleans has a lock on a byte of `live`, which falls with the process: a dead cleaner needs no
 * putting right but what each part of the work does for itself. The threads of one process share
 * that lock, so a flag tells them apart.
 */
#include "clean.h"

#include "check.h"
#include "compact.h"
#include "exchange.h"
#include "process.h"
#include "report.h"
#include "seal.h"

#include <errno.h>

bool clean_must_stop(struct clean *clean)
{
    int64_t now_ms = store_monotonic_ms();
    if (clean->is_stopped || !clean->stop || now_ms - clean->asked_ms < CLEAN_ASK_MS)
        return clean->is_stopped;
    clean->asked_ms = now_ms;
    clean->is_stopped = clean->stop(clean->context);
    return clean->is_stopped;
}

/* Become the one who cleans. -EAGAIN: somebody else is. */
static int role_take(struct beck_store *store)
{
    CHECK(pthread_mutex_lock(&store->mutex) == 0);
    int r = store->is_cleaning ? -EAGAIN
                               : store->io->lock(store->io, store->live_fd, LIVE_LOCK_CLEANER,
                                                 IO_LOCK_EXCLUSIVE, false);
    if (r == 0) {
        store->is_cleaning = true;
        process_set_role(store, LIVE_ROLE_CLEANER, true);
    }
    CHECK(pthread_mutex_unlock(&store->mutex) == 0);
    return r;
}

static void role_give(struct beck_store *store)
{
    CHECK(pthread_mutex_lock(&store->mutex) == 0);
    store->is_cleaning = false;
    process_set_role(store, LIVE_ROLE_CLEANER, false);
    (void)store->io->lock(store->io, store->live_fd, LIVE_LOCK_CLEANER, IO_LOCK_NONE, false);
    CHECK(pthread_mutex_unlock(&store->mutex) == 0);
}

/* Compaction first: what it writes anew has its digest. */
static int run_parts(struct clean *clean, struct beck_error *error)
{
    int r = exchange_finish_now(clean->store, error);
    if (r == 0)
        r = compact_run(clean, error);
    int sealed = seal_run(clean, r == 0 ? error : NULL);
    return r < 0 ? r : sealed;
}

int clean_run_with(struct clean *clean, uint32_t *ret_next_ms, struct beck_error *error)
{
    struct beck_store *store = clean->store;
    int r = role_take(store);
    if (r < 0 && r != -EAGAIN)
        return report_errno(error, r, "live: the cleaner's role cannot be taken");
    if (r == 0) {
        r = run_parts(clean, error);
        role_give(store);
        if (r < 0)
            return r;
    }
    *ret_next_ms = clean->next_ms;
    return 0;
}

int clean_run(struct beck_store *store, bool (*stop)(void *context), void *context,
              uint32_t *ret_next_ms, struct beck_error *error)
{
    struct clean clean = {.store = store,
                          .stop = stop,
                          .context = context,
                          .now_ms = store_now_ms(),
                          .map_bytes = compact_map_bytes(store),
                          .next_ms = CLEAN_IDLE_MS};
    return clean_run_with(&clean, ret_next_ms, error);
}
