/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verification reads each segment from its first byte to its published end and holds it against the
 * catalogue and the sparse index; then every record of meta.mdb that names a topic or partition.
 * Damage is told and passed over: by the length in the batch's header where that can be believed,
 * else to the end of the segment. Nothing is changed.
 */
#include "verify.h"

#include "check.h"
#include "cleanup.h"
#include "lookup.h"
#include "partition.h"
#include "report.h"
#include "segments.h"
#include "topics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_BYTES (4 * 1024 * 1024)

struct verify {
    struct beck_store *store;
    const struct verify_callbacks *callbacks;
    struct beck_verify_totals totals;
    uint64_t all_bytes;
    uint64_t told_bytes; /* when progress was told last */
    int damages;
    int stop; /* what a callback returned, to end with */

    struct beck_partition *partition;
    struct segment *segment;
    struct index_entry *entries; /* of the segment */
    size_t entry_count;
    size_t entry_next; /* the first that no batch was held against yet */
};

/* ---- telling ------------------------------------------------------------------------------- */

__attribute__((format(printf, 5, 6))) static void tell(struct verify *verify, const char *file,
                                                       int64_t offset, int64_t byte,
                                                       const char *format, ...)
{
    struct beck_damage found = {.partition = -1, .offset = offset, .byte = byte};
    va_list arguments;
    (void)snprintf(found.file, sizeof(found.file), "%s", file);
    if (verify->partition) {
        (void)snprintf(found.topic, sizeof(found.topic), "%s", verify->partition->topic.name);
        found.partition = verify->partition->number;
    }
    va_start(arguments, format);
    (void)vsnprintf(found.what, sizeof(found.what), format, arguments);
    va_end(arguments);
    verify->damages++;
    if (!verify->stop)
        verify->stop = verify->callbacks->damage(verify->callbacks->context, &found);
}

static void progress(struct verify *verify, uint64_t bytes)
{
    verify->totals.bytes += bytes;
    if (!verify->callbacks->progress || verify->stop ||
        verify->totals.bytes - verify->told_bytes < PROGRESS_BYTES)
        return;
    verify->told_bytes = verify->totals.bytes;
    verify->stop = verify->callbacks->progress(verify->callbacks->context, verify->totals.bytes,
                                               verify->all_bytes);
}

/* ---- one segment --------------------------------------------------------------------------- */

static int note_entry(void *context, const struct index_entry *entry)
{
    struct verify *verify = context;
    size_t count = verify->entry_count;
    if ((count & (count - 1)) == 0) {
        struct index_entry *grown =
            reallocarray(verify->entries, count ? 2 * count : 1, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        verify->entries = grown;
    }
    verify->entries[verify->entry_count++] = *entry;
    return 0;
}

static int load_entries(struct verify *verify)
{
    const struct beck_partition *partition = verify->partition;
    _cleanup_txn_ MDB_txn *txn = NULL;
    struct segment_record record;
    verify->entry_count = 0;
    verify->entry_next = 0;
    int r = db_begin(&verify->store->index, false, &txn, NULL);
    /* Entries of a file that replaced this one a moment ago are not held against it. */
    if (r == 0 &&
        index_segment_get(&verify->store->index, txn, partition->topic.number,
                          (uint32_t)partition->number, verify->segment->base_offset,
                          &record) == 0 &&
        record.bytes != verify->segment->bytes)
        return 0;
    if (r == 0)
        r = index_entries(&verify->store->index, txn, partition->topic.number,
                          (uint32_t)partition->number, verify->segment->base_offset, note_entry,
                          verify);
    if (r < 0 && r != -ENOMEM) {
        tell(verify, STORE_PATH_INDEX, -1, -1, "the index of segment %s is damaged",
             verify->segment->path);
        r = 0;
    }
    return r;
}

/* Hold a batch, and the log before it, against the index. */
static void check_entries(struct verify *verify, const struct scan_batch *batch,
                          const struct live_tail *sum, bool view_known)
{
    while (verify->entry_next < verify->entry_count) {
        const struct index_entry *entry = &verify->entries[verify->entry_next];
        if (entry->position > batch->position)
            return;
        verify->entry_next++;
        if (entry->position != batch->position ||
            entry->offset != batch->summary.header.base_offset)
            tell(verify, STORE_PATH_INDEX, entry->offset, (int64_t)entry->position,
                 "an index entry points into %s where no batch of that offset begins",
                 verify->segment->path);
        else if (view_known &&
                 (entry->view != sum->end.view || entry->max_timestamp_ms != sum->max_timestamp_ms))
            tell(verify, STORE_PATH_INDEX, entry->offset, (int64_t)entry->position,
                 "an index entry's view position or timestamp is not that of %s",
                 verify->segment->path);
    }
}

static void add_batch(struct verify *verify, const struct scan_batch *batch, struct live_tail *sum)
{
    const struct batch_summary *summary = &batch->summary;
    if (summary->header.base_offset < sum->end.offset)
        tell(verify, verify->segment->path, summary->header.base_offset, (int64_t)batch->position,
             "offset %" PRId64 " comes after %" PRId64, summary->header.base_offset,
             sum->end.offset - 1);
    sum->end.offset = batch_next_offset(&summary->header);
    sum->end.view += summary->view_bytes;
    sum->end.position = batch->position;
    if (summary->max_timestamp_ms > sum->max_timestamp_ms)
        sum->max_timestamp_ms = summary->max_timestamp_ms;
    verify->totals.batches++;
    verify->totals.records += (uint64_t)summary->header.record_count;
    progress(verify, batch->size);
}

/* Go behind a bad batch. False: there is no telling where the next one begins. */
static bool pass_damage(struct scan *scan)
{
    struct scan_batch batch;
    scan->depth = SCAN_HEADERS;
    bool passed = scan_next(scan, &batch, NULL) == 1;
    scan->depth = SCAN_RECORDS;
    return passed;
}

/* The newest segment ends where the slot says that the log does. */
static void check_end(struct verify *verify, const struct live_tail *sum,
                      const struct live_tail *tail)
{
    int64_t records_end = live_tail_hides(tail) ? tail->end.offset : tail->high.offset;
    if (sum->end.position > 0 &&
        (sum->end.offset != records_end || sum->end.view != tail->end.view))
        tell(verify, verify->segment->path, sum->end.offset, (int64_t)sum->end.position,
             "the last batch ends at offset %" PRId64 " and byte %" PRIu64
             " of the view, the log at %" PRId64 " and %" PRIu64,
             sum->end.offset, sum->end.view, records_end, tail->end.view);
}

static void check_catalogue(struct verify *verify, const struct live_tail *sum)
{
    const struct segment *segment = verify->segment;
    if (sum->end.offset > segment->next_offset || sum->end.view != segment->view_bytes ||
        sum->max_timestamp_ms != segment->max_timestamp_ms)
        tell(verify, STORE_PATH_INDEX, segment->base_offset, -1,
             "the catalogue says of %s: next offset %" PRId64 ", view %" PRIu64
             " bytes; it has %" PRId64 " and %" PRIu64,
             segment->path, segment->next_offset, segment->view_bytes, sum->end.offset,
             sum->end.view);
}

/* Is the segment in the list still? Where it was replaced, go on with the new one. */
static bool follow_segment(struct verify *verify)
{
    struct live_tail tail;
    if (segments_lock(verify->partition, &tail, NULL) < 0)
        return false;
    struct segment *now = segments_find(verify->partition, verify->segment->base_offset);
    if (now && now != verify->segment) {
        segment_unref(verify->segment);
        verify->segment = segment_ref(now);
    }
    segments_unlock(verify->partition);
    return now;
}

/* Pin the segment. Returns a descriptor, or a negative errno; -ESTALE: it is gone, and no damage.
 */
static int pin_segment(struct verify *verify)
{
    for (;;) {
        int fd = segment_pin(verify->segment, false);
        if (fd >= 0 || segments_stale(verify->partition, verify->segment, fd, NULL) != -EAGAIN)
            return fd;
        if (!follow_segment(verify))
            return -ESTALE;
    }
}

static int verify_segment(struct verify *verify, struct scan *scan, const struct live_tail *tail)
{
    int fd = pin_segment(verify);
    struct segment *segment = verify->segment;
    struct live_tail sum = {.end.offset = segment->base_offset, .max_timestamp_ms = INT64_MIN};
    struct scan_batch batch;
    struct beck_error error;
    uint64_t limit = segment_limit(segment, &tail->end);
    bool whole = true;
    int r = load_entries(verify);
    if (r < 0) {
        if (fd >= 0)
            segment_unpin(segment);
        return r;
    }
    if (fd < 0) {
        if (limit > 0 && fd != -ESTALE)
            tell(verify, segment->path, segment->base_offset, -1, "cannot be opened: %s",
                 strerror(-fd));
        return 0;
    }
    scan_begin(scan, verify->store->io, fd, SCAN_RECORDS, 0, limit);
    while (!verify->stop && (r = scan_next(scan, &batch, &error)) != 0) {
        if (r == 1) {
            check_entries(verify, &batch, &sum, whole);
            add_batch(verify, &batch, &sum);
            continue;
        }
        if (r == -ENOMEM)
            break;
        const char *why = strstr(error.message, ": ");
        tell(verify, segment->path, sum.end.offset, (int64_t)scan->position, "%.180s",
             why ? why + 2 : error.message);
        whole = false;
        if (!pass_damage(scan))
            break;
    }
    segment_unpin(segment);
    if (whole && r == 0 && !verify->stop) {
        if (segment->base_offset == tail->end.segment)
            check_end(verify, &sum, tail);
        else if (segment->next_offset != INT64_MAX)
            check_catalogue(verify, &sum);
    }
    verify->totals.segments++;
    return r == -ENOMEM ? r : 0;
}

/* ---- partitions and topics ----------------------------------------------------------------- */

/* The list may change under us: each segment is held while it is read. Under the mutex. */
static struct segment *first_segment(struct beck_partition *partition)
{
    return partition->segment_count > 0 ? segment_ref(partition->segments[0]) : NULL;
}

static void next_segment(struct verify *verify)
{
    struct beck_partition *partition = verify->partition;
    int64_t base_offset = verify->segment->base_offset;
    segment_unref(verify->segment);
    CHECK(pthread_mutex_lock(&partition->mutex) == 0);
    verify->segment = segments_after(partition, base_offset);
    if (verify->segment)
        segment_ref(verify->segment);
    CHECK(pthread_mutex_unlock(&partition->mutex) == 0);
}

static int verify_partition(struct verify *verify, struct scan *scan)
{
    struct beck_partition *partition = verify->partition;
    struct live_tail tail;
    struct beck_error error;
    int r = partition_tail(partition, &tail, &error);
    if (r < 0) {
        if (r != -ESTALE)
            tell(verify, STORE_PATH_LIVE, -1, -1, "%.180s", error.message);
        return 0;
    }
    r = segments_lock(partition, &tail, &error);
    verify->segment = r == 0 ? first_segment(partition) : NULL;
    if (r == 0)
        segments_unlock(partition);
    if (r == -ESTALE)
        return 0;
    if (r < 0) {
        tell(verify, STORE_PATH_INDEX, -1, -1, "the list of segments is damaged");
        return r == -ENOMEM ? r : 0;
    }
    while (r == 0 && !verify->stop && verify->segment) {
        r = verify_segment(verify, scan, &tail);
        next_segment(verify);
    }
    verify->segment = segment_unref(verify->segment);
    verify->totals.partitions++;
    return r;
}

static int verify_topic(struct verify *verify, struct scan *scan, const struct beck_topic *topic)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && !verify->stop && i < topic->partition_count; i++) {
        struct beck_error error;
        verify->partition = NULL;
        r = partition_open(verify->store, topic->name, (int32_t)i, &verify->partition, &error);
        if (r == -ENOMEM)
            return r;
        if (r == 0)
            r = verify_partition(verify, scan);
        else if (r == -ENOENT)
            r = 0; /* deleted meanwhile */
        else {
            tell(verify, STORE_PATH_META, -1, -1, "%.180s", error.message);
            r = 0;
        }
        verify->partition = partition_close(verify->partition);
    }
    return r;
}

/* The records of topics that cannot be read: the others are found by topics_next(). */
static int verify_records(struct verify *verify)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    _cleanup_free_ struct meta_topic *topic = malloc(sizeof(*topic));
    struct db *meta = &verify->store->meta;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    if (!topic)
        return -ENOMEM;
    int r = db_begin(meta, false, &txn, NULL);
    if (r == 0)
        r = db_errno(mdb_cursor_open(txn, meta->dbis[META_TOPICS], &cursor));
    if (r < 0)
        return r;
    r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_FIRST));
    while (r == 0 && !verify->stop) {
        char name[BECK_TOPIC_NAME_BYTES + 1];
        (void)snprintf(name, sizeof(name), "%.*s", (int)key.mv_size, (const char *)key.mv_data);
        if (meta_topic_get(meta, txn, name, topic) < 0)
            tell(verify, STORE_PATH_META, -1, -1, "the record of topic %.100s is damaged", name);
        r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
    }
    mdb_cursor_close(cursor);
    return r == -ENOENT ? 0 : r;
}

/* What there is to read, for the progress. */
static void measure(struct verify *verify, const char *only)
{
    struct beck_topic topic = {0};
    while (topics_next(verify->store, topic.name, &topic, NULL) == 1) {
        for (uint32_t i = 0; i < topic.partition_count; i++) {
            struct beck_partition *partition;
            struct live_tail tail;
            if (only && strcmp(only, topic.name) != 0)
                continue;
            if (partition_open(verify->store, topic.name, (int32_t)i, &partition, NULL) < 0)
                continue;
            if (segments_lock(partition, &tail, NULL) == 0) {
                for (size_t s = 0; s < partition->segment_count; s++)
                    verify->all_bytes += segment_limit(partition->segments[s], &tail.end);
                segments_unlock(partition);
            }
            partition_close(partition);
        }
    }
}

int verify_store(struct beck_store *store, const char *topic,
                 const struct verify_callbacks *callbacks, struct beck_verify_totals *ret_totals,
                 struct beck_error *error)
{
    struct verify verify = {.store = store, .callbacks = callbacks};
    struct scan scan = {.fd = -1};
    struct beck_topic at = {0};
    _cleanup_free_ struct meta_topic *only = malloc(sizeof(*only));
    int r = only ? 0 : report(error, -ENOMEM, "out of memory");
    if (r == 0 && topic)
        r = topics_find(store, topic, only, error);
    if (r < 0)
        return r;
    if (callbacks->progress)
        measure(&verify, topic);
    if (topic)
        r = verify_topic(&verify, &scan, &only->topic);
    else
        r = verify_records(&verify);
    while (r == 0 && !topic && !verify.stop && topics_next(store, at.name, &at, NULL) == 1)
        r = verify_topic(&verify, &scan, &at);
    scan_done(&scan);
    free(verify.entries);
    if (r < 0)
        return report_errno(error, r, "the store cannot be verified");
    *ret_totals = verify.totals;
    return verify.damages;
}
