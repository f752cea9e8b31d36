/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Committing offsets. First, with no lock: each is checked, and its log synced up to it. Then all
 * that are good go into one transaction, shared with what other threads commit. There each is held
 * against what is true now: a topic may have been deleted since.
 */
#include "check.h"
#include "cleanup.h"
#include "combine.h"
#include "groups.h"
#include "partition.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FEW 16 /* commits for which no memory is taken */

/* A commit that was found good so far. */
struct pending {
    struct beck_offset_commit *commit;
    struct meta_offset offset;
    struct offset_place place;
};

struct round {
    struct beck_store *store;
    struct pending *pending;
    size_t count;
    int64_t now_ms;
    uint32_t metadata_max_bytes;
    struct beck_partition *partition; /* the one that was looked at last; they often repeat */
    struct beck_error *error;
};

/* ---- before the transaction ---------------------------------------------------------------- */

static int check_commit(const struct round *round, const struct beck_offset_commit *commit)
{
    struct beck_error *error = round->error;
    if (commit->group_size > BECK_GROUP_ID_BYTES)
        return report(error, -EINVAL, "a group's name has at most %d bytes, and %zu were given",
                      BECK_GROUP_ID_BYTES, commit->group_size);
    if (commit->leader_epoch < -1 || commit->expire_ms < -1)
        return report(error, -EINVAL, "an epoch or time below 0 cannot be committed");
    if (commit->flags & ~(unsigned)BECK_OFFSET_BEYOND_END)
        return report(error, -EINVAL, "there is no such flag for a commit");
    if (commit->metadata_size > round->metadata_max_bytes)
        return report(error, -EMSGSIZE,
                      "metadata of %zu bytes are above offset.metadata.max.bytes, which is %u",
                      commit->metadata_size, round->metadata_max_bytes);
    return 0;
}

static int open_partition(struct round *round, const struct beck_offset_commit *commit)
{
    struct beck_partition *partition = round->partition;
    if (partition && partition->number == commit->partition &&
        strcmp(partition->topic.name, commit->topic) == 0)
        return 0;
    round->partition = partition_close(partition);
    return partition_open(round->store, commit->topic, commit->partition, &round->partition,
                          round->error);
}

/* Have the log synced up to the offset, as far as there is one. */
static int sync_log(struct round *round, const struct beck_offset_commit *commit)
{
    struct beck_partition *partition = round->partition;
    struct live_tail tail;
    int r = partition_tail(partition, &tail, round->error);
    if (r < 0 || commit->offset < 0)
        return r;
    if (commit->offset > tail.end.offset && !(commit->flags & BECK_OFFSET_BEYOND_END))
        return report(round->error, -ERANGE,
                      "offset %" PRId64
                      " of topic %s partition %d is beyond the log's end, %" PRId64,
                      commit->offset, commit->topic, commit->partition, tail.end.offset);
    return partition_sync(partition, commit->offset, false, round->error);
}

/* Check one commit and note it. Returns its result. */
static int prepare(struct round *round, struct beck_offset_commit *commit)
{
    struct pending *pending = &round->pending[round->count];
    int r = check_commit(round, commit);
    if (r == 0)
        r = open_partition(round, commit);
    if (r == 0)
        r = sync_log(round, commit);
    if (r < 0)
        return r == -ESTALE ? -ENOENT : r;
    const struct beck_topic *topic = &round->partition->topic;
    *pending = (struct pending){
        .commit = commit,
        .offset = {.group = group_name_of(commit->group, commit->group_size),
                   .offset = commit->offset,
                   .leader_epoch = commit->leader_epoch,
                   .commit_ms = round->now_ms,
                   .expire_ms = commit->expire_ms,
                   .metadata = commit->metadata,
                   .metadata_size = commit->metadata_size},
        .place = {topic->number, (uint32_t)commit->partition},
    };
    memcpy(pending->offset.topic_id, topic->id, BECK_ID_BYTES);
    round->count++;
    return 0;
}

static int load_limits(struct round *round, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    struct meta_store record;
    struct config_store config;
    int r = db_begin(&round->store->meta, false, &txn, error);
    if (r < 0)
        return r;
    r = meta_store_get(&round->store->meta, txn, &record);
    if (r < 0)
        return report(error, r, "meta.mdb: the store's record is damaged");
    config_resolve_store(&record.configs, &config);
    round->metadata_max_bytes = config.offset_metadata_max_bytes;
    return 0;
}

/* ---- in the transaction -------------------------------------------------------------------- */

/* May it be put? Else its result says why not. */
static int hold_against_store(struct db *meta, MDB_txn *txn, struct pending *pending)
{
    struct meta_partition location;
    struct meta_offset before;
    struct offset_place place = pending->place;
    int r = meta_partition_get(meta, txn, place.topic_number, place.partition, &location);
    if (r < 0)
        return r;
    r = meta_offset_get(meta, txn, pending->offset.group.hash, place, &before);
    if (r == 0 && !group_name_equal(&before.group, &pending->offset.group))
        return -EEXIST;
    /* A damaged one is replaced by a good one. */
    return r == 0 || r == -ENOENT || r == -EBADMSG ? 0 : r;
}

/* Clients take an offset below 0 for none: so it is one that is forgotten. */
static int apply_one(struct db *meta, MDB_txn *txn, const struct pending *pending)
{
    if (pending->offset.offset >= 0)
        return meta_offset_put(meta, txn, pending->place, &pending->offset);
    int r = meta_offset_delete(meta, txn, pending->offset.group.hash, pending->place);
    return r == -ENOENT ? 0 : r;
}

static int apply_round(void *context, MDB_txn *txn)
{
    const struct round *round = context;
    struct db *meta = &round->store->meta;
    for (size_t i = 0; i < round->count; i++) {
        struct pending *pending = &round->pending[i];
        pending->commit->result = hold_against_store(meta, txn, pending);
        if (pending->commit->result < 0)
            continue;
        int r = apply_one(meta, txn, pending);
        if (r < 0)
            return r;
    }
    return 0;
}

static int commit_round(struct round *round, struct beck_error *error)
{
    struct combine_job job = {.apply = apply_round, .context = round};
    int stored = 0;
    int r = combine_commit(&round->store->combine, &round->store->meta, &job, error);
    if (r < 0)
        return r;
    for (size_t i = 0; i < round->count; i++) {
        const struct beck_offset_commit *commit = round->pending[i].commit;
        stored += commit->result == 0;
        if (commit->result < 0)
            (void)report(error, commit->result,
                         commit->result == -EEXIST
                             ? "another group's name has the same hash"
                             : "topic %s partition %d was deleted, or its record is damaged",
                         commit->topic, commit->partition);
    }
    return stored;
}

int groups_commit(struct beck_store *store, struct beck_offset_commit *commits, size_t count,
                  struct beck_error *error)
{
    struct pending few[FEW];
    _cleanup_free_ struct pending *many = count > FEW ? calloc(count, sizeof(*many)) : NULL;
    struct round round = {
        .store = store, .pending = many ? many : few, .now_ms = store_now_ms(), .error = error};
    int r = count > FEW && !many ? report(error, -ENOMEM, "out of memory") : 0;
    if (r == 0)
        r = load_limits(&round, error);
    for (size_t i = 0; r == 0 && i < count; i++)
        commits[i].result = prepare(&round, &commits[i]);
    (void)partition_close(round.partition);
    if (r == 0 && round.count > 0)
        r = commit_round(&round, error);
    for (size_t i = 0; r < 0 && i < count; i++)
        commits[i].result = r;
    return r;
}
