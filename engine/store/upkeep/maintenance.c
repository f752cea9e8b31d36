/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of maintenance are asked whether there is something to do, which costs little; where
 * one has, all that have are run under the lock, in their order. A part that fails does not keep
 * the others from their work; the first failure is told.
 */
#include "maintenance.h"

#include "check.h"
#include "checkpoint.h"
#include "exchange.h"
#include "groups_expire.h"
#include "meta_copy.h"
#include "producers_expire.h"
#include "retention.h"
#include "segments.h"

#include <errno.h>

#define MAINTENANCE_IDLE_MS 1000

/* `is_due` is asked without the lock, and lowers `*next_ms` to when it wants to be asked again;
 * `run` is called under it. */
static const struct part {
    bool (*is_due)(struct beck_store *store, bool all, uint32_t *next_ms);
    int (*run)(struct beck_store *store, bool all, struct beck_error *error);
} parts[] = {
    {checkpoint_is_due, checkpoint_run},
    {groups_expire_is_due, groups_expire_run},
    {producers_expire_is_due, producers_expire_run},
    {exchange_is_due, exchange_finish},
    {retention_is_due, retention_run},
    {meta_copy_is_due, meta_copy_run},
};

static int run_parts(struct beck_store *store, size_t count, bool all, uint32_t *next_ms,
                     struct beck_error *error)
{
    pthread_mutex_t *lock = &live_store(&store->live)->maintenance;
    bool is_due[ELEMENTS(parts)];
    bool any = false;
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        is_due[i] = parts[i].is_due(store, all, next_ms);
        any = any || is_due[i];
    }
    if (!any)
        return 0;
    if (all)
        (void)live_lock(lock);
    else if (live_trylock(lock) == -EBUSY)
        return 0;
    db_clear_readers(&store->meta);
    db_clear_readers(&store->index);
    for (size_t i = 0; i < count; i++) {
        int r = is_due[i] ? parts[i].run(store, all, result == 0 ? error : NULL) : 0;
        if (result == 0)
            result = r;
    }
    db_reserve(&store->meta);
    db_reserve(&store->index);
    live_unlock(lock);
    return result;
}

/* Each process for itself, whoever has the lock. */
static void let_go(struct beck_store *store, bool all)
{
    int64_t now_ms = store_monotonic_ms();
    if (!all && now_ms < atomic_load(&store->let_go_ms))
        return;
    atomic_store(&store->let_go_ms, now_ms + MAINTENANCE_IDLE_MS);
    segments_let_go(store);
}

int maintenance_run(struct beck_store *store, bool all, uint32_t *ret_next_ms,
                    struct beck_error *error)
{
    *ret_next_ms = MAINTENANCE_IDLE_MS;
    let_go(store, all);
    return run_parts(store, ELEMENTS(parts), all, ret_next_ms, error);
}

int maintenance_checkpoint(struct beck_store *store, struct beck_error *error)
{
    uint32_t next_ms = MAINTENANCE_IDLE_MS;
    return run_parts(store, 1, true, &next_ms, error);
}
