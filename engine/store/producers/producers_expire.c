/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk over all producers collects those that are due, some thousand at a time; then a
 * transaction deletes them. What is read stays as it is in between: only who holds the maintenance
 * lock changes it. What is damaged is left to verification.
 */
#include "producers_expire.h"

#include "alter.h"
#include "bytes.h"
#include "cleanup.h"
#include "producers.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 1024 /* keys in one transaction */
#define WALK  8192 /* producers that are looked at in one read transaction */

struct expiry {
    struct db *index;
    int64_t before_ms;
    struct db_key at; /* the key that is looked at next; empty: the first */
    struct db_key due[BATCH];
    size_t count;
};

static void look_at(struct expiry *expiry, const MDB_val *key, const MDB_val *value)
{
    struct producer producer;
    expiry->at = db_key_bytes(key->mv_data, key->mv_size);
    if (producers_unpack(key, value, &producer) == 1 && producer.seen_ms <= expiry->before_ms)
        expiry->due[expiry->count++] = expiry->at;
}

/* Collect what is due from where the walk is. Returns 1 where there is more to look at. */
static int collect(struct expiry *expiry, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    MDB_cursor *cursor;
    MDB_val key = {.mv_size = expiry->at.size, .mv_data = expiry->at.bytes};
    MDB_val value;
    expiry->count = 0;
    int r = db_begin(expiry->index, false, &txn, error);
    if (r < 0)
        return r;
    r = db_cursor(txn, expiry->index->dbis[INDEX_PRODUCERS], &cursor);
    if (r < 0)
        return r == -ENOENT ? 0 : report_errno(error, r, "index.mdb: producers cannot be read");
    r = db_errno(mdb_cursor_get(cursor, &key, &value, key.mv_size ? MDB_SET_RANGE : MDB_FIRST));
    for (int i = 0; r == 0 && i < WALK && expiry->count < BATCH; i++) {
        if (key.mv_size <= sizeof(expiry->at.bytes))
            look_at(expiry, &key, &value);
        r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
    }
    if (r == 0 && key.mv_size <= sizeof(expiry->at.bytes))
        expiry->at = db_key_bytes(key.mv_data, key.mv_size);
    mdb_cursor_close(cursor);
    if (r < 0 && r != -ENOENT)
        return report_errno(error, r, "index.mdb: producers cannot be read");
    return r == 0;
}

static int delete_due(struct expiry *expiry, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    if (expiry->count == 0)
        return 0;
    int r = db_begin(expiry->index, true, &txn, error);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < expiry->count; i++) {
        const uint8_t *key = expiry->due[i].bytes;
        r = producers_delete(expiry->index, txn, load_be32(key), load_be32(key + 4),
                             (int64_t)load_be64(key + 8));
    }
    if (r < 0)
        return report_errno(error, r, "index.mdb: producers cannot be deleted");
    return db_commit(expiry->index, TAKE_POINTER(txn), error);
}

int producers_expire(struct beck_store *store, int64_t now_ms, int64_t expiration_ms,
                     struct beck_error *error)
{
    _cleanup_free_ struct expiry *expiry = calloc(1, sizeof(*expiry));
    int more = 1;
    if (!expiry)
        return report(error, -ENOMEM, "out of memory");
    expiry->index = &store->index;
    expiry->before_ms = now_ms - expiration_ms;
    while (more == 1) {
        more = collect(expiry, error);
        int r = more < 0 ? more : delete_due(expiry, error);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- as a part of maintenance -------------------------------------------------------------- */

bool producers_expire_is_due(struct beck_store *store, bool all, uint32_t *next_ms)
{
    int64_t last_ms = atomic_load(&store->producers_expired_ms);
    int64_t now_ms = store_monotonic_ms();
    (void)next_ms; /* it is seldom, and does not matter when */
    if (!all && last_ms == 0)
        atomic_store(&store->producers_expired_ms,
                     now_ms); /* a process that is short has no time */
    return all || (last_ms != 0 && now_ms - last_ms >= PRODUCERS_EXPIRE_MS);
}

int producers_expire_run(struct beck_store *store, bool all, struct beck_error *error)
{
    struct config_store config;
    (void)all;
    atomic_store(&store->producers_expired_ms, store_monotonic_ms());
    int r = alter_resolve(store, &config, error);
    return r < 0 ? r
                 : producers_expire(store, store_now_ms(), config.producer_id_expiration_ms, error);
}
