/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk over all offsets, or records, collects keys without a lock; then a transaction looks at
 * each of these again, because somebody may have committed since, and deletes it. Some hundred at a
 * time, so that nobody waits long for the write lock. What is damaged is left to verification.
 */
#include "groups_expire.h"

#include "alter.h"
#include "check.h"
#include "cleanup.h"
#include "meta_groups.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 512  /* keys in one transaction */
#define WALK  4096 /* offsets that are looked at in one read transaction */

struct due_key {
    uint8_t hash[GROUP_HASH_BYTES];
    struct offset_place place;
};

/* A run over all offsets. */
struct expiry {
    struct beck_store *store;
    int64_t now_ms;
    int64_t retention_ms;
    uint32_t topic_number; /* 0: what has expired; else all of this topic's */
    struct due_key at;     /* where the walk is */
    struct due_key due[BATCH];
    size_t count;
};

/* ---- what is due --------------------------------------------------------------------------- */

/* Since when nothing of a group was needed, or -1 as long as it has members. `*ret_has_record`. */
static int group_empty_since(struct expiry *expiry, MDB_txn *txn,
                             const uint8_t hash[GROUP_HASH_BYTES], bool *ret_has_record,
                             int64_t *ret_empty_since_ms)
{
    struct meta_group group;
    int r = meta_group_get(&expiry->store->meta, txn, hash, &group);
    *ret_has_record = r == 0;
    *ret_empty_since_ms = r == 0 ? group.empty_since_ms : 0;
    return r == -ENOENT ? 0 : r;
}

/* 1 or 0; a negative errno: there is no telling, and so it stays. */
static int offset_is_due(struct expiry *expiry, MDB_txn *txn, const struct due_key *key,
                         const struct meta_offset *offset)
{
    bool has_record;
    int64_t empty_since_ms;
    if (expiry->topic_number != 0)
        return key->place.topic_number == expiry->topic_number;
    int r = group_empty_since(expiry, txn, key->hash, &has_record, &empty_since_ms);
    if (r < 0)
        return r;
    if (has_record && empty_since_ms < 0)
        return 0;
    if (offset->expire_ms >= 0)
        return expiry->now_ms >= offset->expire_ms;
    int64_t base_ms = offset->commit_ms > empty_since_ms ? offset->commit_ms : empty_since_ms;
    return expiry->now_ms - base_ms >= expiry->retention_ms;
}

/* ---- offsets ------------------------------------------------------------------------------- */

/* Collect what is due from where the walk is. Returns 1 when there is more to look at. */
static int collect(struct expiry *expiry, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    struct meta_offset offset;
    expiry->count = 0;
    int r = db_begin(&expiry->store->meta, false, &txn, error);
    if (r < 0)
        return r;
    for (int i = 0; i < WALK && expiry->count < BATCH; i++) {
        r = meta_offset_next(&expiry->store->meta, txn, expiry->at.hash, &expiry->at.place,
                             &offset);
        if (r == 0)
            return 0;
        bool damaged = r == -EBADMSG || r == -EPROTONOSUPPORT;
        if (r < 0 && !damaged)
            return report_errno(error, r, "meta.mdb: offsets cannot be read");
        if ((!damaged && offset_is_due(expiry, txn, &expiry->at, &offset) == 1) ||
            (damaged && expiry->topic_number != 0 &&
             expiry->at.place.topic_number == expiry->topic_number))
            expiry->due[expiry->count++] = expiry->at;
    }
    return 1;
}

static int delete_due(struct expiry *expiry, struct beck_error *error)
{
    struct db *meta = &expiry->store->meta;
    _cleanup_txn_ MDB_txn *txn = NULL;
    struct meta_offset offset;
    if (expiry->count == 0)
        return 0;
    int r = db_begin(meta, true, &txn, error);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < expiry->count; i++) {
        const struct due_key *key = &expiry->due[i];
        bool due = expiry->topic_number != 0 ||
                   (meta_offset_get(meta, txn, key->hash, key->place, &offset) == 0 &&
                    offset_is_due(expiry, txn, key, &offset) == 1);
        if (due)
            r = meta_offset_delete(meta, txn, key->hash, key->place);
    }
    if (r < 0)
        return report_errno(error, r, "meta.mdb: offsets cannot be deleted");
    return db_commit(meta, TAKE_POINTER(txn), error);
}

static int expire_offsets(struct expiry *expiry, struct beck_error *error)
{
    int more;
    do {
        more = collect(expiry, error);
        int r = more < 0 ? more : delete_due(expiry, error);
        if (r < 0)
            return r;
    } while (more == 1);
    return 0;
}

/* ---- records ------------------------------------------------------------------------------- */

/* Is a group empty since long, and nothing left of it but its record? */
static bool group_is_due(struct expiry *expiry, MDB_txn *txn, const uint8_t hash[GROUP_HASH_BYTES])
{
    uint8_t next[GROUP_HASH_BYTES];
    struct offset_place place = {0};
    struct meta_offset offset;
    bool has_record;
    int64_t empty_since_ms;
    if (group_empty_since(expiry, txn, hash, &has_record, &empty_since_ms) < 0 || !has_record ||
        empty_since_ms < 0 || expiry->now_ms - empty_since_ms < expiry->retention_ms)
        return false;
    memcpy(next, hash, sizeof(next));
    int r = meta_offset_next(&expiry->store->meta, txn, next, &place, &offset);
    return r == 0 || memcmp(next, hash, sizeof(next)) != 0;
}

static int collect_groups(struct expiry *expiry, struct beck_error *error)
{
    struct db *meta = &expiry->store->meta;
    _cleanup_txn_ MDB_txn *txn = NULL;
    struct meta_group group;
    expiry->count = 0;
    int r = db_begin(meta, false, &txn, error);
    if (r < 0)
        return r;
    for (int i = 0; i < WALK && expiry->count < BATCH; i++) {
        r = meta_group_next(meta, txn, expiry->at.hash, &group);
        if (r == 0)
            return 0;
        if (r < 0 && r != -EBADMSG && r != -EPROTONOSUPPORT)
            return report_errno(error, r, "meta.mdb: groups cannot be read");
        if (r == 1 && group_is_due(expiry, txn, expiry->at.hash))
            expiry->due[expiry->count++] = expiry->at;
    }
    return 1;
}

static int delete_groups(struct expiry *expiry, struct beck_error *error)
{
    struct db *meta = &expiry->store->meta;
    _cleanup_txn_ MDB_txn *txn = NULL;
    if (expiry->count == 0)
        return 0;
    int r = db_begin(meta, true, &txn, error);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < expiry->count; i++)
        if (group_is_due(expiry, txn, expiry->due[i].hash))
            r = meta_group_delete(meta, txn, expiry->due[i].hash);
    if (r < 0)
        return report_errno(error, r, "meta.mdb: groups cannot be deleted");
    return db_commit(meta, TAKE_POINTER(txn), error);
}

static int expire_groups(struct expiry *expiry, struct beck_error *error)
{
    int more;
    memset(&expiry->at, 0, sizeof(expiry->at));
    do {
        more = collect_groups(expiry, error);
        int r = more < 0 ? more : delete_groups(expiry, error);
        if (r < 0)
            return r;
    } while (more == 1);
    return 0;
}

/* ---- runs ---------------------------------------------------------------------------------- */

int groups_expire(struct beck_store *store, int64_t now_ms, struct beck_error *error)
{
    _cleanup_free_ struct expiry *expiry = calloc(1, sizeof(*expiry));
    if (!expiry)
        return report(error, -ENOMEM, "out of memory");
    expiry->store = store;
    expiry->now_ms = now_ms;
    struct config_store config;
    int r = alter_resolve(store, &config, error);
    if (r == 0)
        expiry->retention_ms = config.offsets_retention_ms;
    if (r == 0)
        r = expire_offsets(expiry, error);
    return r < 0 ? r : expire_groups(expiry, error);
}

bool groups_expire_is_due(struct beck_store *store, bool all, uint32_t *next_ms)
{
    int64_t last_ms = atomic_load(&store->groups_expired_ms);
    (void)next_ms; /* it is seldom, and does not matter when */
    return all || last_ms == 0 || store_monotonic_ms() - last_ms >= GROUPS_EXPIRE_MS;
}

int groups_expire_run(struct beck_store *store, bool all, struct beck_error *error)
{
    (void)all;
    atomic_store(&store->groups_expired_ms, store_monotonic_ms());
    return groups_expire(store, store_now_ms(), error);
}

int groups_forget_topic(struct beck_store *store, uint32_t topic_number, struct beck_error *error)
{
    _cleanup_free_ struct expiry *expiry = calloc(1, sizeof(*expiry));
    if (!expiry)
        return report(error, -ENOMEM, "out of memory");
    expiry->store = store;
    expiry->topic_number = topic_number;
    return expire_offsets(expiry, error);
}
