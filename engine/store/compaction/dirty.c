/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments take part that are in the catalogue, which the active one never is, and that are wholly
 * below the last stable offset. From the first one on that has a record younger than the lag,
 * nothing is cleaned yet.
 */
#include "dirty.h"

#include "batch.h"
#include "check.h"
#include "cleanings.h"
#include "cleanup.h"
#include "report.h"
#include "rewrite.h"

#include <errno.h>
#include <stdlib.h>

void dirty_log_done(struct dirty_log *log)
{
    free(log->segments);
    partition_close(log->partition);
    *log = (struct dirty_log){0};
}

int dirty_topic(struct beck_store *store, const char *topic, struct config_resolved *ret_config,
                struct beck_error *error)
{
    _cleanup_free_ struct meta_topic *record = malloc(sizeof(*record));
    _cleanup_free_ struct meta_store *defaults = malloc(sizeof(*defaults));
    _cleanup_txn_ MDB_txn *txn = NULL;
    if (!record || !defaults)
        return report(error, -ENOMEM, "out of memory");
    int r = db_begin(&store->meta, false, &txn, error);
    if (r < 0)
        return r;
    r = meta_store_get(&store->meta, txn, defaults);
    if (r == 0)
        r = meta_topic_get(&store->meta, txn, topic, record);
    if (r < 0)
        return r == -ENOENT ? r : report(error, r, "meta.mdb: the record of %s is damaged", topic);
    config_resolve(&record->configs, &defaults->configs, ret_config);
    return ret_config->compact;
}

/* ---- what there is ------------------------------------------------------------------------- */

struct listing {
    struct dirty_log *log;
    size_t room;
    int64_t end; /* base offset of the first segment that may not take part */
};

static int note_segment(void *context, const struct segment_record *segment)
{
    struct listing *listing = context;
    struct dirty_log *log = listing->log;
    if (segment->base_offset >= listing->end)
        return 1;
    if (log->segment_count == listing->room) {
        size_t room = listing->room > 0 ? 2 * listing->room : 64;
        struct segment_record *grown = reallocarray(log->segments, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        log->segments = grown;
        listing->room = room;
    }
    log->segments[log->segment_count++] = *segment;
    return 0;
}

static int list_segments(struct dirty_log *log, const struct live_tail *tail,
                         struct beck_error *error)
{
    struct beck_partition *partition = log->partition;
    struct db *index = &partition->store->index;
    struct listing listing = {.log = log, .end = tail->stable.segment};
    uint32_t topic = partition->topic.number;
    uint32_t number = (uint32_t)partition->number;
    int64_t log_start = tail->log_start.offset;
    _cleanup_txn_ MDB_txn *txn = NULL;
    free(log->segments);
    log->segments = NULL;
    log->segment_count = 0;
    int r = db_begin(index, false, &txn, error);
    if (r < 0)
        return r;
    r = index_segments(index, txn, topic, number, note_segment, &listing);
    if (r < 0)
        return report_errno(error, r, "index.mdb: the catalogue cannot be read");
    r = cleaned_get(index, txn, topic, number, &log->first_dirty);
    /* Cut off, or never cleaned, or not to be believed: all of it is dirty. */
    if (r == -ENOENT || r == -EBADMSG ||
        (r == 0 && (log->first_dirty < log_start || log->first_dirty > tail->end.offset))) {
        log->first_dirty = log_start;
        r = 0;
    }
    return r < 0 ? report_errno(error, r, "index.mdb: cannot be read") : 0;
}

/* ---- how dirty it is ----------------------------------------------------------------------- */

static bool is_dirty(const struct dirty_log *log, const struct segment_record *segment)
{
    return segment->next_offset > log->first_dirty;
}

/* Leave out what is too young, and what comes behind it. */
static void apply_min_lag(struct dirty_log *log, int64_t now_ms)
{
    int64_t lag_ms = log->config.min_compaction_lag_ms;
    if (lag_ms <= 0)
        return;
    for (size_t i = 0; i < log->segment_count; i++) {
        const struct segment_record *segment = &log->segments[i];
        if (is_dirty(log, segment) && segment->max_timestamp_ms > now_ms - lag_ms) {
            log->segment_count = i;
            return;
        }
    }
}

/* The time of a segment's first batch, or 0. */
static int64_t first_timestamp(struct dirty_log *log, const struct segment_record *segment)
{
    const struct io *io = log->partition->store->io;
    uint8_t bytes[BATCH_HEADER_BYTES];
    struct batch_header header = {0};
    int fd = rewrite_open(log->partition, segment, NULL);
    if (fd < 0)
        return 0;
    ssize_t n = io->read(io, fd, bytes, sizeof(bytes), 0);
    (void)io->close(io, fd);
    if (n == (ssize_t)sizeof(bytes))
        (void)batch_header_read(bytes, sizeof(bytes), &header, NULL);
    return header.max_timestamp_ms;
}

/* Is there a record that has waited as long as it may? */
static bool is_overdue(struct dirty_log *log, int64_t now_ms)
{
    int64_t limit_ms;
    if (log->config.max_compaction_lag_ms == INT64_MAX ||
        __builtin_sub_overflow(now_ms, log->config.max_compaction_lag_ms, &limit_ms))
        return false;
    for (size_t i = 0; i < log->segment_count; i++) {
        int64_t first_ms =
            is_dirty(log, &log->segments[i]) ? first_timestamp(log, &log->segments[i]) : 0;
        if (first_ms > 0 && first_ms < limit_ms)
            return true;
    }
    return false;
}

static void measure(struct dirty_log *log, int64_t now_ms)
{
    uint64_t clean = 0;
    uint64_t dirty = 0;
    for (size_t i = 0; i < log->segment_count; i++) {
        const struct segment_record *segment = &log->segments[i];
        if (segment->base_offset < log->first_dirty)
            clean += segment->bytes;
        if (is_dirty(log, segment))
            dirty += segment->bytes;
    }
    log->ratio = dirty > 0 ? (double)dirty / (double)(clean + dirty) : 0;
    log->is_due = dirty > 0 &&
                  (log->ratio > log->config.min_cleanable_dirty_ratio || is_overdue(log, now_ms));
}

int dirty_log_refresh(struct dirty_log *log, int64_t now_ms, struct beck_error *error)
{
    struct live_tail tail;
    int r = partition_tail(log->partition, &tail, error);
    if (r == 0)
        r = list_segments(log, &tail, error);
    if (r < 0)
        return r;
    apply_min_lag(log, now_ms);
    log->round_end = log->first_dirty;
    if (log->segment_count > 0 && is_dirty(log, &log->segments[log->segment_count - 1]))
        log->round_end = log->segments[log->segment_count - 1].next_offset;
    measure(log, now_ms);
    return 0;
}

int dirty_log_look(struct dirty_log *log, struct beck_store *store, const char *topic,
                   int32_t partition, const struct config_resolved *config, int64_t now_ms,
                   struct beck_error *error)
{
    *log = (struct dirty_log){.config = *config};
    int r = partition_open(store, topic, partition, &log->partition, error);
    return r < 0 ? r : dirty_log_refresh(log, now_ms, error);
}
