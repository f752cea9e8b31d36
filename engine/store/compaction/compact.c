/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path, for one partition: the keys of its dirty part are noted, as many as there is room
 * for; then all segments from the first on are read and, where something in them is obsolete,
 * written again, as many at a time as make one segment; each of these groups is exchanged on its
 * own. In the end the log is clean up to where the keys were noted. Where not all of them had room,
 * the same is done with the rest.
 *
 * Nothing is held up meanwhile: segments that are trimmed, or a topic that is deleted, are found
 * out at the exchange, and the partition is looked at anew. A kill leaves the groups that were
 * exchanged, and the rest as it was.
 */
#include "compact.h"

#include "aborted.h"
#include "check.h"
#include "cleaning.h"
#include "cleanings.h"
#include "cleanup.h"
#include "dirty.h"
#include "exchange.h"
#include "producers.h"
#include "report.h"
#include "rewrite.h"
#include "topics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COMPACT_RETRY_MS (60 * 60 * 1000)
#define COMPACT_AGAIN_MS 1000 /* where the segments changed while they were read */

/* One partition being compacted. */
struct compaction {
    struct clean *clean;
    struct beck_store *store;
    struct dirty_log log;
    struct offset_map *map;
    int64_t map_end;
    struct scan scan;
    struct last_record *producers;
    size_t producer_count;
    bool knows_producers;
    struct aborted_list aborted;
    bool knows_aborted;
};

/* ---- what is passed over ------------------------------------------------------------------- */

static bool is_refused(const struct beck_store *store, uint32_t topic_number, uint32_t partition)
{
    int64_t now_ms = store_monotonic_ms();
    size_t count = 0;
    for (size_t i = 0; i < COMPACT_REFUSED_MAX; i++) {
        const struct compact_refused *refused = &store->compact_refused[i];
        if (refused->until_ms <= now_ms)
            continue;
        if (refused->topic_number == topic_number && refused->partition == partition)
            return true;
        count++;
    }
    return count == COMPACT_REFUSED_MAX;
}

/* Remember it in the place of one whose time is over. */
static void refuse(struct compaction *compaction, int64_t for_ms)
{
    const struct beck_partition *partition = compaction->log.partition;
    struct compact_refused *refused = compaction->store->compact_refused;
    int64_t now_ms = store_monotonic_ms();
    size_t i = 0;
    while (i + 1 < COMPACT_REFUSED_MAX && refused[i].until_ms > now_ms)
        i++;
    refused[i] = (struct compact_refused){.topic_number = partition->topic.number,
                                          .partition = (uint32_t)partition->number,
                                          .until_ms = now_ms + for_ms};
}

/* ---- which partition ----------------------------------------------------------------------- */

/* Is this one dirtier than what was found so far? */
static int consider(struct compaction *compaction, const struct beck_topic *topic, uint32_t number,
                    const struct config_resolved *config, struct beck_error *error)
{
    struct dirty_log log;
    if (is_refused(compaction->store, topic->number, number))
        return 0;
    int r = dirty_log_look(&log, compaction->store, topic->name, (int32_t)number, config,
                           compaction->clean->now_ms, error);
    if (r == 0 && log.is_due && (!compaction->log.partition || log.ratio > compaction->log.ratio)) {
        struct dirty_log other = compaction->log;
        compaction->log = log;
        log = other;
    }
    dirty_log_done(&log);
    return r == -ENOENT || r == -ESTALE ? 0 : r;
}

/* Find the dirtiest partition. Returns 1; 0: none is due. */
static int choose(struct compaction *compaction, struct beck_error *error)
{
    struct beck_topic topic = {0};
    struct config_resolved config;
    int r;
    while ((r = topics_next(compaction->store, topic.name, &topic, error)) == 1) {
        r = dirty_topic(compaction->store, topic.name, &config, error);
        for (uint32_t i = 0; r == 1 && i < topic.partition_count; i++) {
            int failed = consider(compaction, &topic, i, &config, error);
            if (failed < 0)
                r = failed;
        }
        if (r < 0 && r != -ENOENT)
            return r;
    }
    return r < 0 ? r : compaction->log.partition != NULL;
}

/* ---- producers and transactions ------------------------------------------------------------ */

static int note_producer(void *context, const struct producer *producer)
{
    struct compaction *compaction = context;
    size_t count = compaction->producer_count;
    if ((count & (count - 1)) == 0) {
        struct last_record *grown =
            reallocarray(compaction->producers, count ? 2 * count : 1, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        compaction->producers = grown;
    }
    struct last_record *last = &compaction->producers[compaction->producer_count++];
    *last = (struct last_record){
        .producer_id = producer->id, .last_offset = -1, .epoch = producer->epoch};
    if (producer->batch_count > 0) {
        const struct producer_batch *batch = &producer->batches[producer->batch_count - 1];
        last->last_offset = batch->base_offset + batch->last_offset_delta;
    }
    return 0;
}

/* How far each producer came: up to the last checkpoint, which is behind all that is catalogued.
 * Where that is not known, the batches of all producers stay. */
static int load_producers(struct compaction *compaction)
{
    const struct beck_partition *partition = compaction->log.partition;
    struct db *index = &compaction->store->index;
    _cleanup_txn_ MDB_txn *txn = NULL;
    int64_t known_to = 0;
    compaction->producer_count = 0;
    int r = db_begin(index, false, &txn, NULL);
    if (r == 0)
        r = producers_walk(index, txn, partition->topic.number, (uint32_t)partition->number,
                           note_producer, compaction, &known_to);
    compaction->knows_producers = r == 0;
    return r == -ENOENT || r == -EBADMSG || r == -EPROTONOSUPPORT ? 0 : r;
}

/* The list of aborted transactions, when there is one of any kind. What one that has not ended yet
 * may still change is left for another round. */
static int load_aborted(struct compaction *compaction, struct beck_error *error)
{
    struct dirty_log *log = &compaction->log;
    int64_t first_open = INT64_MAX;
    int r = aborted_list_make(&compaction->aborted, compaction->clean, log->partition,
                              log->segments, log->segment_count, &first_open, error);
    if (r < 0)
        return r;
    compaction->knows_aborted = true;
    while (log->segment_count > 0 && log->segments[log->segment_count - 1].next_offset > first_open)
        log->segment_count--;
    log->round_end = log->segment_count > 0 ? log->segments[log->segment_count - 1].next_offset
                                            : log->first_dirty;
    return 0;
}

static struct cleaned_transactions transactions_begin(const struct compaction *compaction)
{
    return (struct cleaned_transactions){.is_unknown = !compaction->knows_aborted,
                                         .aborted = compaction->aborted.all,
                                         .aborted_count = compaction->aborted.count};
}

/* ---- the map ------------------------------------------------------------------------------- */

/* Where the first batch to be mapped may stand. */
static uint64_t map_position(struct compaction *compaction, const struct segment_record *segment)
{
    const struct beck_partition *partition = compaction->log.partition;
    struct db *index = &compaction->store->index;
    struct index_entry entry = {0};
    _cleanup_txn_ MDB_txn *txn = NULL;
    if (segment->base_offset < compaction->log.first_dirty &&
        db_begin(index, false, &txn, NULL) == 0 &&
        index_entry_find(index, txn, partition->topic.number, (uint32_t)partition->number,
                         segment->base_offset, INDEX_BY_OFFSET, compaction->log.first_dirty,
                         &entry) == 1 &&
        entry.position < segment->bytes)
        return entry.position;
    return 0;
}

/* Returns 1 where the map is full. */
static int map_file(struct compaction *compaction, struct cleaned_transactions *transactions,
                    const struct segment_record *segment, int fd, struct beck_error *error)
{
    struct decompressor *decompressor;
    struct scan_batch batch;
    int r = scan_decompressor(&compaction->scan, &decompressor);
    if (r < 0)
        return report(error, r, "out of memory");
    scan_begin(&compaction->scan, compaction->store->io, fd, SCAN_CRC,
               map_position(compaction, segment), segment->bytes);
    while ((r = scan_next(&compaction->scan, &batch, error)) == 1) {
        if (batch_next_offset(&batch.summary.header) > segment->next_offset)
            return report(error, -EBADMSG, "an offset does not fit between its neighbours");
        r = cleaning_map(compaction->map, transactions, decompressor, batch.bytes, batch.size,
                         compaction->log.first_dirty, &compaction->map_end);
        if (r < 0 && r != -EAGAIN)
            return report_errno(error, r, "byte %llu: the batch is damaged",
                                (unsigned long long)batch.position);
        if (r != 0)
            return r;
        if (clean_must_stop(compaction->clean))
            return -ECANCELED;
    }
    if (r == 0 && segment->next_offset > compaction->map_end)
        compaction->map_end = segment->next_offset; /* holes are known of, too */
    return r;
}

static int map_build(struct compaction *compaction, struct beck_error *error)
{
    const struct dirty_log *log = &compaction->log;
    __attribute__((cleanup(cleaned_transactions_done))) struct cleaned_transactions transactions =
        transactions_begin(compaction);
    uint64_t keys = (uint64_t)(log->round_end - log->first_dirty);
    compaction->map = offset_map_free(compaction->map);
    compaction->map_end = log->first_dirty;
    int r = offset_map_new(compaction->clean->map_bytes, keys, log->first_dirty, &compaction->map);
    if (r < 0)
        return report_errno(error, r, "no memory for the keys");
    for (size_t i = 0; r == 0 && i < log->segment_count; i++) {
        const struct segment_record *segment = &log->segments[i];
        if (segment->next_offset <= log->first_dirty)
            continue;
        int fd = rewrite_open(log->partition, segment, error);
        if (fd < 0)
            return fd;
        r = map_file(compaction, &transactions, segment, fd, error);
        (void)compaction->store->io->close(compaction->store->io, fd);
        if (r < 0)
            report_place(error, NULL, -1, segment->base_offset, -1);
    }
    return r < 0 ? r : 0;
}

/* ---- groups -------------------------------------------------------------------------------- */

/* How many segments from `begin` on make one together. */
static uint32_t group_count(const struct dirty_log *log, size_t begin, int64_t end_offset)
{
    const struct segment_record *first = &log->segments[begin];
    uint64_t bytes = first->bytes;
    uint32_t count = 1;
    while (begin + count < log->segment_count && count < CLEANING_SOURCES_MAX) {
        const struct segment_record *next = &log->segments[begin + count];
        bytes += next->bytes;
        if (next->base_offset >= end_offset || bytes > log->config.segment_bytes ||
            next->next_offset - 1 - first->base_offset > INT32_MAX)
            break;
        count++;
    }
    return count;
}

/* Write a group again. Where the file would be as large as the first source, it is made of that one
 * alone, where need be without the horizons that may have made up for what went. Tells how many
 * sources it is of. */
static int rewrite_group(struct rewrite *rewrite, const struct segment_record *sources,
                         uint32_t *count, struct beck_error *error)
{
    struct cleaning *cleaning = rewrite->cleaning;
    struct cleaned_transactions before;
    for (;;) {
        int r = cleaned_transactions_copy(&before, &cleaning->transactions);
        if (r < 0)
            return report(error, r, "out of memory");
        r = rewrite_segments(rewrite, sources, *count, error);
        bool is_last = *count == 1 && cleaning->delays_horizons;
        if (r != -EEXIST || is_last) {
            cleaned_transactions_done(&before);
            cleaning->delays_horizons = false;
            return r == -EEXIST
                       ? report(error, r, "%s would be as large as what it replaces", rewrite->path)
                       : r;
        }
        cleaned_transactions_done(&cleaning->transactions);
        cleaning->transactions = before;
        cleaning->delays_horizons = *count == 1;
        *count = 1;
    }
}

static int clean_group(struct compaction *compaction, struct rewrite *rewrite,
                       const struct segment_record *sources, uint32_t *count,
                       struct beck_error *error)
{
    int r = rewrite_group(rewrite, sources, count, error);
    if (r <= 0)
        return r;
    struct exchange exchange = {.partition = compaction->log.partition,
                                .sources = sources,
                                .source_count = *count,
                                .made = rewrite->made.bytes > 0 ? &rewrite->made : NULL,
                                .entries = rewrite->entries,
                                .entry_count = rewrite->entry_count};
    r = exchange_run(&exchange, error);
    if (r == -ESTALE)
        rewrite_discard(rewrite);
    return r;
}

static int clean_groups(struct compaction *compaction, struct beck_error *error)
{
    const struct dirty_log *log = &compaction->log;
    struct cleaning cleaning = {
        .map = compaction->map,
        .map_end = compaction->map_end,
        .round_end = log->round_end,
        .now_ms = compaction->clean->now_ms,
        .delete_retention_ms = log->config.delete_retention_ms,
        .producers = compaction->producers,
        .producer_count = compaction->producer_count,
        .keeps_producers = !compaction->knows_producers,
        .transactions = transactions_begin(compaction),
    };
    struct rewrite rewrite = {.clean = compaction->clean,
                              .partition = log->partition,
                              .cleaning = &cleaning,
                              .scan = {.fd = -1},
                              .fd = -1};
    int r = 0;
    size_t i = 0;
    while (r == 0 && i < log->segment_count && log->segments[i].base_offset < compaction->map_end) {
        uint32_t count = group_count(log, i, compaction->map_end);
        r = clean_group(compaction, &rewrite, &log->segments[i], &count, error);
        i += count;
    }
    rewrite_done(&rewrite);
    cleaned_transactions_done(&cleaning.transactions);
    return r;
}

/* ---- one partition ------------------------------------------------------------------------- */

static int commit_cleaned(struct compaction *compaction, struct beck_error *error)
{
    const struct beck_partition *partition = compaction->log.partition;
    struct db *index = &compaction->store->index;
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(index, true, &txn, error);
    if (r < 0)
        return r;
    if (partition_is_deleted(partition))
        return -ESTALE;
    r = cleaned_put(index, txn, partition->topic.number, (uint32_t)partition->number,
                    compaction->map_end);
    if (r < 0)
        return report_errno(error, r, "index.mdb: cannot be written");
    return db_commit(index, TAKE_POINTER(txn), error);
}

/* A damaged segment that is not in the catalogue as it was any more is no damage. */
static bool went_away(struct compaction *compaction)
{
    const struct dirty_log *log = &compaction->log;
    struct db *index = &compaction->store->index;
    struct segment_record now;
    _cleanup_txn_ MDB_txn *txn = NULL;
    if (partition_is_deleted(log->partition))
        return true;
    if (db_begin(index, false, &txn, NULL) < 0)
        return false;
    for (size_t i = 0; i < log->segment_count; i++)
        if (index_segment_get(index, txn, log->partition->topic.number,
                              (uint32_t)log->partition->number, log->segments[i].base_offset,
                              &now) == -ENOENT ||
            now.bytes != log->segments[i].bytes)
            return true;
    return false;
}

/* Note keys, and clean what they make obsolete. */
static int clean_once(struct compaction *compaction, struct beck_error *error)
{
    int r = map_build(compaction, error);
    if (r == 0)
        r = clean_groups(compaction, error);
    if (r == -EAGAIN && !compaction->knows_aborted) {
        r = load_aborted(compaction, error);
        return r == 0 && compaction->log.round_end > compaction->log.first_dirty
                   ? clean_once(compaction, error)
                   : r;
    }
    if (r == 0)
        r = commit_cleaned(compaction, error);
    if (r == -EBADMSG || r == -ENOENT)
        r = went_away(compaction) ? -ESTALE : r;
    return r;
}

static int clean_partition(struct compaction *compaction, struct beck_error *error)
{
    struct dirty_log *log = &compaction->log;
    int r;
    do {
        r = load_producers(compaction);
        if (r < 0)
            return report_errno(error, r, "index.mdb: the producers cannot be read");
        r = clean_once(compaction, error);
        if (r < 0 || compaction->map_end >= log->round_end)
            return r;
        /* There were more keys than room. */
        int64_t before = log->first_dirty;
        r = dirty_log_refresh(log, compaction->clean->now_ms, error);
        if (r == 0 && log->first_dirty <= before)
            r = -ESTALE;
    } while (r == 0 && log->round_end > log->first_dirty);
    return r;
}

static void compaction_done(struct compaction *compaction)
{
    dirty_log_done(&compaction->log);
    scan_done(&compaction->scan);
    aborted_list_done(&compaction->aborted);
    (void)offset_map_free(compaction->map);
    free(compaction->producers);
}

/* Returns 1 where a partition was compacted, or passed over; 0: none is due. */
static int compact_next(struct clean *clean, struct beck_error *error)
{
    struct compaction compaction = {.clean = clean, .store = clean->store, .scan = {.fd = -1}};
    int r = choose(&compaction, error);
    if (r == 1) {
        const struct beck_partition *partition = compaction.log.partition;
        r = clean_partition(&compaction, error);
        if (r == -ESTALE)
            refuse(&compaction, COMPACT_AGAIN_MS);
        else if (r < 0 && r != -ECANCELED && r != -ENOMEM) {
            refuse(&compaction, COMPACT_RETRY_MS);
            report_place(error, partition->topic.name, partition->number, -1, -1);
        }
        r = r == 0 || r == -ESTALE ? 1 : r;
    }
    compaction_done(&compaction);
    return r;
}

int compact_run(struct clean *clean, struct beck_error *error)
{
    int r;
    do
        r = clean_must_stop(clean) ? 0 : compact_next(clean, error);
    while (r == 1);
    return r == -ECANCELED ? 0 : r;
}
