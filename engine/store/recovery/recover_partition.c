/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the checkpoint on, each batch of each segment file is read and checked, and the first that
 * is not good ends the log: it and what follows were never synced. Where there is no checkpoint
 * (index.mdb was lost), all files are read from the first on, and a bad batch ends the log only
 * when no good one comes after it: else it is damage, which stays where it is, and is passed over.
 */
#include "recover_partition.h"

#include "bytes.h"
#include "check.h"
#include "cleanup.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The walk through one partition's files. */
struct recover {
    struct beck_store *store;
    const struct beck_topic *topic;
    int32_t partition;
    bool from_disk;
    struct scan *scan;
    struct recovered *found;
    char path[STORE_TOPIC_PATH_BYTES];
    size_t file_room;
    uint64_t indexed_position;
    int64_t now_ms;
};

void recovered_done(struct recovered *recovered)
{
    free(recovered->sealed);
    free(recovered->entries);
    free(recovered->removed);
    free(recovered->files);
    producer_table_done(&recovered->producers);
    *recovered = (struct recovered){0};
}

/* ---- what there is ------------------------------------------------------------------------- */

static int note_file(void *context, const char *name)
{
    struct recover *recover = context;
    int64_t base;
    if (segment_name_parse(name, &base) < 0)
        return 0;
    if (recover->found->file_count == recover->file_room) {
        size_t room = recover->file_room ? 2 * recover->file_room : 16;
        int64_t *grown = reallocarray(recover->found->files, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        recover->found->files = grown;
        recover->file_room = room;
    }
    recover->found->files[recover->found->file_count++] = base;
    return 0;
}

static int compare_offsets(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static int recover_list(struct recover *recover)
{
    const struct io *io = recover->store->io;
    int fd = io->open(io, recover->store->directory, recover->path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    int r = io_list(io, fd, note_file, recover);
    (void)io->close(io, fd);
    if (r == 0 && recover->found->file_count > 0)
        qsort(recover->found->files, recover->found->file_count, sizeof(recover->found->files[0]),
              compare_offsets);
    return r;
}

static int pass_segment(void *context, const struct segment_record *segment)
{
    (void)context;
    (void)segment;
    return 0;
}

/* Take the checkpoint, where it and the catalogue are undamaged. */
static int recover_checkpoint(struct recover *recover)
{
    struct beck_store *store = recover->store;
    struct live_tail *tail = &recover->found->tail;
    struct index_checkpoint checkpoint;
    _cleanup_txn_ MDB_txn *txn = NULL;
    /* A repair has nothing to do with an index that is lost. */
    int r = store->index.env ? db_begin(&store->index, false, &txn, NULL) : -ENOENT;
    if (r == 0)
        r = index_checkpoint_get(&store->index, txn, recover->topic->number,
                                 (uint32_t)recover->partition, &checkpoint);
    if (r == 0)
        r = index_segments(&store->index, txn, recover->topic->number, (uint32_t)recover->partition,
                           pass_segment, NULL);
    if (r < 0)
        return r;
    tail->end = checkpoint.end;
    recover->found->records_end = checkpoint.records_end;
    tail->max_timestamp_ms = checkpoint.max_timestamp_ms;
    tail->append_ms = checkpoint.append_ms;
    recover->found->has_checkpoint = true;
    recover->found->folder_is_synced = checkpoint.end.position > 0;
    return 0;
}

/* ---- reading a file ------------------------------------------------------------------------ */

static int add_entry(struct recover *recover, const struct scan_batch *batch)
{
    struct recovered *found = recover->found;
    size_t count = found->entry_count;
    if ((count & (count - 1)) == 0) {
        struct recovered_entry *grown =
            reallocarray(found->entries, count ? 2 * count : 1, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        found->entries = grown;
    }
    found->entries[found->entry_count++] = (struct recovered_entry){
        .segment = found->tail.end.segment,
        .entry = {batch->summary.header.base_offset, batch->position, found->tail.end.view,
                  found->tail.max_timestamp_ms},
    };
    recover->indexed_position = batch->position;
    return 0;
}

/* A base offset is not covered by the CRC: one that leaves a hole is not believed where the next
 * good batch, or file, contradicts it. Else one flipped bit there would make everything behind it
 * seem to be of no use. */
static bool hole_is_real(const struct recover *recover, const struct scan_batch *batch)
{
    const struct scan *scan = recover->scan;
    struct scan ahead = {.fd = -1};
    struct scan_batch next;
    int64_t limit = INT64_MAX;
    scan_begin(&ahead, scan->io, scan->fd, SCAN_CRC, scan->position, scan->end);
    int r = scan_next(&ahead, &next, NULL);
    if (r == 1)
        limit = next.summary.header.base_offset;
    for (size_t i = recover->found->file_count; r == 0 && i-- > 0;)
        if (recover->found->files[i] > recover->found->tail.end.segment)
            limit = recover->found->files[i];
    scan_done(&ahead);
    return batch_next_offset(&batch->summary.header) <= limit;
}

/* Take a good batch into the tail. */
static int take_batch(struct recover *recover, const struct scan_batch *batch, bool after_damage,
                      struct beck_error *error)
{
    struct live_tail *tail = &recover->found->tail;
    const struct batch_summary *summary = &batch->summary;
    if (summary->header.base_offset < tail->end.offset)
        return report(error, -EBADMSG,
                      "byte %" PRIu64 ": offset %" PRId64 " comes again after %" PRId64,
                      batch->position, summary->header.base_offset, tail->end.offset - 1);
    if (UNLIKELY(summary->header.base_offset > tail->end.offset) &&
        (recover->found->has_checkpoint || !hole_is_real(recover, batch)))
        return report(error, -EBADMSG,
                      "byte %" PRIu64 ": offset %" PRId64 " does not fit before the next batch's",
                      batch->position, summary->header.base_offset);
    if (after_damage || batch->position - recover->indexed_position >= INDEX_INTERVAL_BYTES) {
        int r = add_entry(recover, batch);
        if (r < 0)
            return r;
    }
    if (summary->header.producer_id >= 0) {
        int r = producer_table_apply(&recover->found->producers, &summary->header, recover->now_ms);
        if (r < 0)
            return r;
    }
    tail->end.offset = batch_next_offset(&summary->header);
    tail->end.position = batch->position + batch->size;
    tail->end.view += summary->view_bytes;
    recover->found->records_end = tail->end.offset;
    if (summary->max_timestamp_ms > tail->max_timestamp_ms)
        tail->max_timestamp_ms = summary->max_timestamp_ms;
    return 0;
}

/* Read the file that the tail stands in, from there to its end. Returns 1 where all of it is good
 * (or is damage to be passed over); 0: it is bad from tail.end.position on, and `error` says why.
 */
static int read_file(struct recover *recover, uint64_t size, bool is_last, struct beck_error *error)
{
    struct scan *scan = recover->scan;
    struct live_tail *tail = &recover->found->tail;
    struct scan_batch batch;
    bool after_damage = false;
    int r;

    scan_begin(scan, scan->io, scan->fd, SCAN_RECORDS, tail->end.position, size);
    for (;;) {
        r = scan_next(scan, &batch, error);
        if (r == 0)
            return 1;
        if (r == 1) {
            recover->found->is_dirty = true;
            r = take_batch(recover, &batch, after_damage, error);
            after_damage = false;
        }
        if (r == 0 || r == 1)
            continue;
        if (r != -EBADMSG)
            return r;
        if (recover->found->has_checkpoint)
            return 0;
        uint64_t good = 0;
        r = scan_find(scan, tail->end.position + 1, size, tail->end.offset, &good);
        if (r < 0 || (r == 0 && is_last))
            return r;
        if (r == 0) { /* the next file goes on; what is here stays as it is */
            tail->end.position = size;
            return 1;
        }
        scan_begin(scan, scan->io, scan->fd, SCAN_RECORDS, good, size);
        after_damage = true;
    }
}

/* ---- from file to file --------------------------------------------------------------------- */

/* Close the tail's segment and begin the one with this base. */
static int next_segment(struct recover *recover, int64_t base)
{
    struct recovered *found = recover->found;
    struct live_tail *tail = &found->tail;
    struct segment_record *grown =
        reallocarray(found->sealed, found->sealed_count + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    found->sealed = grown;
    found->sealed[found->sealed_count++] = (struct segment_record){
        .base_offset = tail->end.segment,
        .next_offset = tail->end.offset,
        .bytes = tail->end.position,
        .view_bytes = tail->end.view,
        .max_timestamp_ms = tail->max_timestamp_ms,
    };
    if (base > tail->end.offset)
        tail->end.offset = base;
    tail->end.segment = base;
    tail->end.position = 0;
    tail->end.view = 0;
    tail->max_timestamp_ms = INT64_MIN;
    recover->indexed_position = 0;
    found->folder_is_synced = false;
    found->is_dirty = true;
    return 0;
}

/* Open a segment's file. Returns 1, and its size; 0: there is none. */
static int open_file(struct recover *recover, int64_t base, int *ret_fd, uint64_t *ret_size)
{
    const struct io *io = recover->store->io;
    char path[SEGMENT_PATH_BYTES];
    char name[SEGMENT_NAME_BYTES];
    struct stat info;
    segment_name(name, base);
    (void)snprintf(path, sizeof(path), "%s/%s", recover->path, name);
    int fd = io_open_file(io, recover->store->directory, path, O_RDONLY, 0);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    int r = recover->from_disk ? io->forget(io, fd) : 0;
    if (r == 0)
        r = io->stat(io, fd, &info);
    if (r < 0) {
        (void)io->close(io, fd);
        return r;
    }
    *ret_fd = fd;
    *ret_size = (uint64_t)info.st_size;
    return 1;
}

/* Note that a file has to go. */
static int note_removed(struct recover *recover, int64_t base)
{
    struct recovered *found = recover->found;
    _cleanup_close_ int fd = -1;
    uint64_t size = 0;
    int64_t *grown =
        reallocarray(found->removed, found->removed_count + 1, sizeof(found->removed[0]));
    if (!grown)
        return -ENOMEM;
    found->removed = grown;
    found->removed[found->removed_count++] = base;
    int r = open_file(recover, base, &fd, &size);
    found->cut.truncated_bytes += size;
    found->is_dirty = true;
    return r < 0 ? r : 0;
}

/* Note what happened at a place in the tail's segment. */
static void note(struct recover *recover, uint64_t position, const char *why)
{
    struct beck_recovery *cut = &recover->found->cut;
    recover->found->is_dirty = true;
    cut->time_ms = store_now_ms();
    cut->partition = recover->partition;
    cut->segment = recover->found->tail.end.segment;
    cut->position = position;
    (void)snprintf(cut->topic, sizeof(cut->topic), "%s", recover->topic->name);
    (void)snprintf(cut->reason, sizeof(cut->reason), "%.127s", why);
}

/* Note where and why the log was cut; what is cut is counted where it is found. */
static void note_cut(struct recover *recover, const char *why)
{
    recover->found->is_cut = true;
    note(recover, recover->found->tail.end.position, why);
}

/* What was synced is not there: damage, of which nothing is cut. */
static void note_short(struct recover *recover, uint64_t size)
{
    char why[128];
    (void)snprintf(why, sizeof(why),
                   "%" PRIu64 " bytes that were synced are missing at the segment's end",
                   recover->found->tail.end.position - size);
    recover->found->is_short = true;
    note(recover, size, why);
}

/* The log ends at the tail: the rest of its file, and the files behind it, have to go. */
static int cut_here(struct recover *recover, uint64_t size, size_t next_file,
                    const struct beck_error *why)
{
    const char *reason = strstr(why->message, ": ");
    int r = 0;
    note_cut(recover, reason ? reason + 2 : why->message);
    recover->found->is_torn = true;
    recover->found->cut.truncated_bytes += size - recover->found->tail.end.position;
    while (r == 0 && next_file < recover->found->file_count)
        r = note_removed(recover, recover->found->files[next_file++]);
    return r;
}

/* What was appended since the checkpoint has no holes: where the next file does not go on where
 * this one ends, the disk took what is in it before it took what belongs between, and it goes. */
static int next_file_follows(struct recover *recover, const size_t *next, bool *ret_is_last)
{
    int r = 0;
    *ret_is_last = *next >= recover->found->file_count;
    if (*ret_is_last || !recover->found->has_checkpoint ||
        recover->found->files[*next] == recover->found->tail.end.offset)
        return 0;
    *ret_is_last = true;
    note_cut(recover, "what was appended before the next segment is lost");
    for (size_t i = *next; r == 0 && i < recover->found->file_count; i++)
        r = note_removed(recover, recover->found->files[i]);
    return r;
}

/* The file that the log goes on in, of those from `*next` on. A roll that came to nothing may have
 * left one whose offsets are in the segment before it: it goes. */
static int next_file(struct recover *recover, size_t *next, bool *ret_is_last)
{
    const struct live_tail *tail = &recover->found->tail;
    while (*next < recover->found->file_count && recover->found->files[*next] <= tail->end.segment)
        (*next)++;
    while (*next < recover->found->file_count && recover->found->files[*next] < tail->end.offset) {
        int r = note_removed(recover, recover->found->files[(*next)++]);
        if (r < 0)
            return r;
        if (recover->found->cut.truncated_bytes > 0)
            note_cut(recover, "a segment was begun, and the log went on in the one before it");
    }
    return next_file_follows(recover, next, ret_is_last);
}

/* Read the tail's file. Returns 1 where the log may go on in the next one, 0 where it ends here. */
static int walk_file(struct recover *recover, size_t *next, bool *ret_is_last,
                     struct beck_error *error)
{
    struct live_tail *tail = &recover->found->tail;
    _cleanup_close_ int fd = -1;
    uint64_t size = 0;
    while (*next < recover->found->file_count && recover->found->files[*next] <= tail->end.segment)
        (*next)++;
    int r = open_file(recover, tail->end.segment, &fd, &size);
    if (r < 0)
        return r;
    if (size < tail->end.position) {
        note_short(recover, size);
        /* The log goes on in a segment of its own. */
        *ret_is_last = *next >= recover->found->file_count;
        r = *ret_is_last ? next_segment(recover, tail->end.offset) : 0;
        return r < 0 ? r : !*ret_is_last;
    }
    recover->scan->fd = fd;
    recover->scan->io = recover->store->io;
    /* Where there is no file, nothing was ever synced to it. */
    r = r == 0 ? 1 : read_file(recover, size, *next >= recover->found->file_count, error);
    if (r == 0)
        return cut_here(recover, size, *next, error);
    if (r == 1)
        r = next_file(recover, next, ret_is_last);
    return r < 0 ? r : !*ret_is_last;
}

static int walk_files(struct recover *recover, struct beck_error *error)
{
    size_t next = 0;
    bool is_last = true;
    int r;
    while ((r = walk_file(recover, &next, &is_last, error)) == 1) {
        r = next_segment(recover, recover->found->files[next]);
        if (r < 0)
            return r;
    }
    return r;
}

/* The file that the log begins in: what a trim has left below it is passed over. One without a byte
 * may be of a roll that came to nothing. Where there is none, the log begins with its next one. */
static int first_file(struct recover *recover, int64_t log_start_offset, int64_t *ret_base)
{
    const struct recovered *found = recover->found;
    size_t i = found->file_count;
    while (i > 1 && found->files[i - 1] > log_start_offset)
        i--;
    for (; i > 1; i--) {
        _cleanup_close_ int fd = -1;
        uint64_t size = 0;
        int r = open_file(recover, found->files[i - 1], &fd, &size);
        if (r < 0)
            return r;
        if (size > 0)
            break;
    }
    *ret_base = i > 0 ? found->files[i - 1] : log_start_offset;
    return 0;
}

int recover_partition(struct beck_store *store, const struct beck_topic *topic, int32_t partition,
                      unsigned flags, int64_t log_start_offset, struct scan *scan,
                      struct recovered *ret_recovered, struct beck_error *error)
{
    struct recover recover = {
        .store = store,
        .topic = topic,
        .partition = partition,
        .from_disk = flags & RECOVER_FROM_DISK,
        .scan = scan,
        .found = ret_recovered,
        .now_ms = store_now_ms(),
    };
    struct live_tail *tail = &ret_recovered->tail;
    tail->max_timestamp_ms = INT64_MIN;
    tail->append_ms = topic->created_ms;
    tail->segments_generation = 1;
    tail->view_generation = (uint64_t)recover.now_ms;
    store_topic_path(recover.path, topic->id, partition);

    int listed = recover_list(&recover);
    int r = flags & RECOVER_ALL_FILES ? -ENOENT : recover_checkpoint(&recover);
    if (listed < 0)
        r = listed; /* without its folder it can be neither read nor written to */
    else if (r == -ENOENT || r == -EBADMSG || r == -EPROTONOSUPPORT) {
        /* Never checkpointed, or the index is lost or damaged: from the very first file. */
        r = first_file(&recover, log_start_offset, &tail->end.segment);
        ret_recovered->records_end = tail->end.offset = tail->end.segment;
        ret_recovered->is_dirty = true;
    }
    recover.indexed_position = tail->end.position;
    if (r == 0)
        r = walk_files(&recover, error);
    if (r < 0 && r != -ENOMEM) {
        ret_recovered->is_failed = true;
        r = 0;
    }
    tail->indexed_position = recover.indexed_position;
    tail->segment_begin_ms = tail->end.position > 0 ? tail->append_ms : 0;
    return r;
}
