/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One segment, from its first byte to its published end, held against the catalogue, its digest,
 * the sparse index and the checkpoint. Damage is told and passed over: by the length in the batch's
 * header where that can be believed, else to the end of the segment.
 */
#include "verify.h"

#include "check.h"
#include "cleanup.h"
#include "lookup.h"
#include "report.h"
#include "segments.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- what index.mdb says ------------------------------------------------------------------- */

static int note_entry(void *context, const struct index_entry *entry)
{
    struct verify_worker *worker = context;
    if (worker->entry_count == worker->entry_room) {
        size_t room = worker->entry_room ? 2 * worker->entry_room : 256;
        struct index_entry *grown = reallocarray(worker->entries, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        worker->entries = grown;
        worker->entry_room = room;
    }
    worker->entries[worker->entry_count++] = *entry;
    return 0;
}

/* Entries and record of one moment: both are of the same file, or of none. */
static int load_index(struct verify_worker *worker)
{
    const struct beck_partition *partition = worker->partition;
    struct db *index = &worker->store->index;
    uint32_t topic = partition->topic.number;
    uint32_t number = (uint32_t)partition->number;
    int64_t base = worker->segment->base_offset;
    _cleanup_txn_ MDB_txn *txn = NULL;
    worker->entry_count = 0;
    worker->entry_next = 0;
    int r = db_begin(index, false, &txn, NULL);
    if (r < 0)
        return r;
    r = index_segment_get(index, txn, topic, number, base, &worker->record);
    worker->is_catalogued = r == 0;
    r = index_checkpoint_get(index, txn, topic, number, &worker->checkpoint);
    worker->has_checkpoint = r == 0 && worker->checkpoint.end.segment == base;
    worker->has_log_start =
        worker->tail.log_start.segment == base && worker->tail.log_start.offset > base;
    if (r == -EBADMSG)
        verify_tell(worker, STORE_PATH_INDEX, -1, -1, "the checkpoint is damaged");
    r = index_entries(index, txn, topic, number, base, note_entry, worker);
    if (r < 0 && r != -ENOMEM) {
        verify_tell(worker, STORE_PATH_INDEX, -1, -1, "the index of segment %s is damaged",
                    worker->segment->path);
        r = 0;
    }
    return r < 0 ? r : verify_producers_load(worker, txn);
}

/* Is the file of which index.mdb speaks the one that the list has? */
static bool is_of_index(const struct verify_worker *worker)
{
    return !worker->is_catalogued || worker->segment->bytes == UINT64_MAX ||
           worker->record.bytes == worker->segment->bytes;
}

/* Pin the segment, and have what index.mdb says of this very file; where another one has taken its
 * place, that one. Returns a descriptor, or a negative errno; -ESTALE: it is gone, and no damage.
 */
static int pin_segment(struct verify_worker *worker)
{
    enum { TRIES = 20 };
    for (int tries = 0;; tries++) {
        int fd = segment_pin(worker->segment, false);
        int r = fd < 0 ? fd : load_index(worker);
        if (fd >= 0 && r == 0 && (is_of_index(worker) || tries == TRIES))
            return fd;
        if (fd >= 0)
            segment_unpin(worker->segment);
        if (fd >= 0 && r < 0)
            return r;
        /* A segment without bytes may have no file yet: nobody has to be waited for. */
        if (fd == -ENOENT && segment_limit(worker->segment, &worker->tail.end) == 0)
            return fd;
        if (segments_stale(worker->partition, worker->segment, fd < 0 ? fd : -ESTALE, NULL) !=
            -EAGAIN)
            return fd;
        r = verify_find(worker, worker->segment->base_offset);
        if (r <= 0)
            return r < 0 ? r : -ESTALE;
    }
}

/* Where it cannot be read, verify_records() tells of it. */
static int load_epochs(struct verify_worker *worker)
{
    const struct beck_partition *partition = worker->partition;
    struct db *meta = &worker->store->meta;
    _cleanup_txn_ MDB_txn *txn = NULL;
    epoch_history_done(&worker->epochs);
    int r = db_begin(meta, false, &txn, NULL);
    if (r == 0)
        r = epoch_history_load(&worker->epochs, meta, txn, partition->topic.number,
                               (uint32_t)partition->number);
    worker->has_epochs = r == 0;
    return r == -ENOMEM ? r : 0;
}

/* ---- batches ------------------------------------------------------------------------------- */

/* Hold a batch, and the log before it, against the index. */
static void check_entries(struct verify_worker *worker, const struct scan_batch *batch,
                          const struct live_tail *sum, bool view_known)
{
    while (worker->entry_next < worker->entry_count) {
        const struct index_entry *entry = &worker->entries[worker->entry_next];
        if (entry->position > batch->position)
            return;
        worker->entry_next++;
        if (entry->position != batch->position ||
            entry->offset != batch->summary.header.base_offset)
            verify_tell(worker, STORE_PATH_INDEX, entry->offset, (int64_t)entry->position,
                        "an index entry points into %s where no batch of that offset begins",
                        worker->segment->path);
        else if (view_known &&
                 (entry->view != sum->end.view || entry->max_timestamp_ms != sum->max_timestamp_ms))
            verify_tell(worker, STORE_PATH_INDEX, entry->offset, (int64_t)entry->position,
                        "an index entry's view position or timestamp is not that of %s",
                        worker->segment->path);
    }
}

/* Does the sum end where records are said to? Ones that a power cut took from below the log start
 * are not missed. */
static bool ends_at(const struct verify_worker *worker, const struct live_tail *sum,
                    int64_t records_end)
{
    return sum->end.offset == records_end ||
           (sum->end.offset < records_end && records_end == worker->tail.log_start.offset);
}

/* The checkpoint stands where the log before it has come to, and says what that has. */
static void check_checkpoint(struct verify_worker *worker, const struct live_tail *sum)
{
    const struct index_checkpoint *checkpoint = &worker->checkpoint;
    if (!worker->has_checkpoint || checkpoint->end.position > sum->end.position)
        return;
    worker->has_checkpoint = false;
    if (checkpoint->end.position == 0)
        return;
    if (checkpoint->end.position != sum->end.position)
        verify_tell(worker, STORE_PATH_INDEX, checkpoint->end.offset,
                    (int64_t)checkpoint->end.position,
                    "the checkpoint stands in %s where no batch ends", worker->segment->path);
    else if (!ends_at(worker, sum, checkpoint->records_end) ||
             checkpoint->end.view != sum->end.view ||
             checkpoint->max_timestamp_ms != sum->max_timestamp_ms)
        verify_tell(worker, STORE_PATH_INDEX, checkpoint->end.offset,
                    (int64_t)checkpoint->end.position,
                    "the checkpoint's offset, view position or timestamp is not that of %s",
                    worker->segment->path);
}

/* The log start stands at a batch, and has a part of its view before it. */
static void check_log_start(struct verify_worker *worker, const struct scan_batch *batch,
                            const struct live_tail *sum)
{
    const struct log_point *start = &worker->tail.log_start;
    if (!worker->has_log_start || batch->position < start->position)
        return;
    worker->has_log_start = false;
    if (batch->position != start->position ||
        batch_next_offset(&batch->summary.header) <= start->offset)
        verify_tell(worker, worker->segment->path, start->offset, (int64_t)start->position,
                    "the log starts where no batch with its first record stands");
    else if (start->view < sum->end.view || start->view > sum->end.view + batch->summary.view_bytes)
        verify_tell(worker, worker->segment->path, start->offset, (int64_t)start->position,
                    "the view begins at byte %" PRIu64
                    ", the log start's batch has it from %" PRIu64 " on",
                    start->view, sum->end.view);
}

/* A history that has grown since it was loaded may tell more. */
static void check_epoch(struct verify_worker *worker, const struct scan_batch *batch)
{
    const struct batch_header *header = &batch->summary.header;
    if (!worker->has_epochs ||
        epoch_history_allows(&worker->epochs, header->base_offset, header->leader_epoch) ||
        load_epochs(worker) < 0 || !worker->has_epochs ||
        epoch_history_allows(&worker->epochs, header->base_offset, header->leader_epoch))
        return;
    int64_t right = epoch_history_at(&worker->epochs, header->base_offset);
    if (right >= 0)
        verify_tell(worker, worker->segment->path, header->base_offset, (int64_t)batch->position,
                    "leader epoch %" PRId32 ", where it was %" PRId64, header->leader_epoch, right);
    else
        verify_tell(worker, worker->segment->path, header->base_offset, (int64_t)batch->position,
                    "leader epoch %" PRId32 ", which had not begun then", header->leader_epoch);
}

static void add_batch(struct verify_worker *worker, const struct scan_batch *batch,
                      struct live_tail *sum)
{
    const struct batch_summary *summary = &batch->summary;
    if (summary->header.base_offset < sum->end.offset)
        verify_tell(worker, worker->segment->path, summary->header.base_offset,
                    (int64_t)batch->position, "offset %" PRId64 " comes after %" PRId64,
                    summary->header.base_offset, sum->end.offset - 1);
    check_epoch(worker, batch);
    sum->end.offset = batch_next_offset(&summary->header);
    sum->end.view += summary->view_bytes;
    sum->end.position = batch->position + batch->size;
    if (summary->max_timestamp_ms > sum->max_timestamp_ms)
        sum->max_timestamp_ms = summary->max_timestamp_ms;
    verify_producers_batch(worker, &summary->header);
    worker->totals.batches++;
    worker->totals.records += (uint64_t)summary->header.record_count;
    verify_progress(worker, batch->size);
}

/* Entries of what was passed over are held against nothing. */
static void pass_entries(struct verify_worker *worker, uint64_t position)
{
    while (worker->entry_next < worker->entry_count &&
           worker->entries[worker->entry_next].position < position)
        worker->entry_next++;
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

/* Read all batches into the sum. Returns 1 where all were good, 0 where not. */
static int read_batches(struct verify_worker *worker, int fd, uint64_t limit, struct live_tail *sum)
{
    struct scan *scan = &worker->scan;
    struct scan_batch batch;
    struct beck_error error;
    bool whole = true;
    bool after_damage = false;
    int r = 0;
    CHECK(XXH3_128bits_reset(worker->hash) == XXH_OK);
    scan_begin(scan, worker->store->io, fd, SCAN_RECORDS, 0, limit);
    while (!worker->verify->stop && (r = scan_next(scan, &batch, &error)) != 0) {
        if (r == 1) {
            if (after_damage)
                verify_producers_pass(worker, batch.summary.header.base_offset);
            after_damage = false;
            check_entries(worker, &batch, sum, whole);
            if (whole)
                check_log_start(worker, &batch, sum);
            add_batch(worker, &batch, sum);
            if (whole)
                check_checkpoint(worker, sum);
            if (worker->is_catalogued && worker->record.has_digest)
                CHECK(XXH3_128bits_update(worker->hash, batch.bytes, batch.size) == XXH_OK);
            continue;
        }
        if (r == -ENOMEM)
            return r;
        const char *why = strstr(error.message, ": ");
        verify_tell(worker, worker->segment->path, sum->end.offset, (int64_t)scan->position,
                    "%.180s", why ? why + 2 : error.message);
        whole = false;
        after_damage = true;
        if (!pass_damage(scan))
            break;
        pass_entries(worker, scan->position);
    }
    return whole && !worker->verify->stop;
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* The newest segment ends where the slot says that the log does. */
static void check_end(struct verify_worker *worker, const struct live_tail *sum)
{
    const struct live_tail *tail = &worker->tail;
    int64_t records_end = live_tail_hides(tail) ? tail->end.offset : tail->high.offset;
    if (sum->end.position > 0 &&
        (!ends_at(worker, sum, records_end) || sum->end.view != tail->end.view))
        verify_tell(worker, worker->segment->path, sum->end.offset, (int64_t)sum->end.position,
                    "the last batch ends at offset %" PRId64 " and byte %" PRIu64
                    " of the view, the log at %" PRId64 " and %" PRIu64,
                    sum->end.offset, sum->end.view, records_end, tail->end.view);
}

static void check_catalogue(struct verify_worker *worker, const struct live_tail *sum)
{
    const struct segment *segment = worker->segment;
    if (sum->end.offset > segment->next_offset || sum->end.view != segment->view_bytes ||
        sum->max_timestamp_ms != segment->max_timestamp_ms)
        verify_tell(worker, STORE_PATH_INDEX, segment->base_offset, -1,
                    "the catalogue says of %s: next offset %" PRId64 ", view %" PRIu64
                    " bytes; it has %" PRId64 " and %" PRIu64,
                    segment->path, segment->next_offset, segment->view_bytes, sum->end.offset,
                    sum->end.view);
}

static void check_digest(struct verify_worker *worker)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(worker->hash));
    if (memcmp(canonical.digest, worker->record.digest, sizeof(worker->record.digest)) != 0)
        verify_tell(worker, worker->segment->path, worker->segment->base_offset, -1,
                    "the file is not what it was when it was sealed: its digest is another one");
}

/* All batches were good: is it what the rest of the store says? */
static void check_whole(struct verify_worker *worker, const struct live_tail *sum)
{
    const struct segment *segment = worker->segment;
    bool is_active = segment->base_offset == worker->tail.end.segment;
    if (is_active)
        check_end(worker, sum);
    else if (segment->next_offset != INT64_MAX)
        check_catalogue(worker, sum);
    /* A newer checkpoint of the newest segment may stand behind the tail that was read to. */
    if (worker->has_checkpoint && !is_active && worker->checkpoint.end.position > 0)
        verify_tell(worker, STORE_PATH_INDEX, worker->checkpoint.end.offset,
                    (int64_t)worker->checkpoint.end.position,
                    "the checkpoint stands behind the end of %s", segment->path);
    if (worker->damages == 0 && worker->is_catalogued && worker->record.has_digest)
        check_digest(worker);
}

/* Is the file as long as the catalogue says? */
static void check_size(struct verify_worker *worker, int fd)
{
    struct stat info;
    int r = worker->store->io->stat(worker->store->io, fd, &info);
    if (r == 0 && (uint64_t)info.st_size > worker->segment->bytes)
        verify_tell(worker, worker->segment->path, worker->segment->base_offset,
                    (int64_t)worker->segment->bytes,
                    "the file has %" PRId64 " bytes, the catalogue says %" PRIu64,
                    (int64_t)info.st_size, worker->segment->bytes);
}

int verify_segment(struct verify_worker *worker)
{
    struct live_tail sum = {.max_timestamp_ms = INT64_MIN};
    worker->damages = 0;
    int r = load_epochs(worker);
    int fd = r < 0 ? r : pin_segment(worker);
    struct segment *segment = worker->segment;
    if (fd == -ENOMEM || fd == -ESTALE)
        return fd == -ESTALE ? 0 : fd;
    uint64_t limit = segment_limit(segment, &worker->tail.end);
    if (fd == -EACCES || fd == -EMFILE || fd == -ENFILE)
        return fd; /* nobody knows what is in it */
    if (fd < 0) {
        if (limit > 0)
            verify_tell(worker, segment->path, segment->base_offset, -1, "cannot be opened: %s",
                        fd == -EBADMSG ? "it is no regular file" : strerror(-fd));
        return 0;
    }
    sum.end.offset = segment->base_offset;
    if (segment->bytes != UINT64_MAX)
        check_size(worker, fd);
    r = read_batches(worker, fd, limit, &sum);
    segment_unpin(segment);
    if (r < 0)
        return r;
    if (r == 1) {
        verify_producers_end(worker);
        check_whole(worker, &sum);
    }
    worker->totals.segments++;
    return 0;
}
