/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segment is found among those of the catalogue, those that recovery read, and the newest one;
 * inside of it the best index entry is the begin of a walk over batches. Mostly the log begins with
 * a segment, and nothing has to be read.
 */
#include "recover_start.h"

#include "cleanup.h"
#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

/* A segment, as far as it matters here. */
struct known {
    int64_t base_offset;
    int64_t next_offset;
    uint64_t bytes;
};

struct finding {
    struct beck_store *store;
    const struct beck_topic *topic;
    int32_t partition;
    struct scan *scan;
    struct recovered *found;
    struct known *known; /* rising */
    size_t count;
};

static int known_add(struct finding *finding, int64_t base_offset, int64_t next_offset,
                     uint64_t bytes)
{
    size_t count = finding->count;
    if ((count & (count - 1)) == 0) {
        struct known *grown = reallocarray(finding->known, count ? 2 * count : 1, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        finding->known = grown;
    }
    finding->known[finding->count++] = (struct known){base_offset, next_offset, bytes};
    return 0;
}

static int known_add_catalogued(void *context, const struct segment_record *segment)
{
    return known_add(context, segment->base_offset, segment->next_offset, segment->bytes);
}

static int known_collect(struct finding *finding)
{
    const struct recovered *found = finding->found;
    struct db *index = &finding->store->index;
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = found->has_checkpoint ? db_begin(index, false, &txn, NULL) : 0;
    if (r == 0 && found->has_checkpoint)
        r = index_segments(index, txn, finding->topic->number, (uint32_t)finding->partition,
                           known_add_catalogued, finding);
    for (size_t i = 0; r == 0 && i < found->sealed_count; i++)
        r = known_add_catalogued(finding, &found->sealed[i]);
    if (r == 0)
        r = known_add(finding, found->tail.end.segment, found->tail.end.offset,
                      found->tail.end.position);
    return r;
}

/* The last index entry of a segment at or below the offset, of index.mdb or of what was read. */
static struct index_entry best_entry(const struct finding *finding, const struct known *segment,
                                     int64_t offset)
{
    const struct recovered *found = finding->found;
    struct db *index = &finding->store->index;
    struct index_entry best = {.offset = segment->base_offset, .max_timestamp_ms = INT64_MIN};
    struct index_entry entry;
    _cleanup_txn_ MDB_txn *txn = NULL;
    if (found->has_checkpoint && db_begin(index, false, &txn, NULL) == 0 &&
        index_entry_find(index, txn, finding->topic->number, (uint32_t)finding->partition,
                         segment->base_offset, INDEX_BY_OFFSET, offset, &entry) == 1 &&
        entry.position < segment->bytes)
        best = entry;
    for (size_t i = 0; i < found->entry_count; i++)
        if (found->entries[i].segment == segment->base_offset &&
            found->entries[i].entry.offset <= offset &&
            found->entries[i].entry.position > best.position)
            best = found->entries[i].entry;
    return best;
}

static int open_file(struct finding *finding, const struct known *segment, const char *suffix,
                     uint64_t *ret_size)
{
    const struct io *io = finding->store->io;
    char directory[STORE_TOPIC_PATH_BYTES];
    char name[SEGMENT_NAME_BYTES];
    char path[SEGMENT_PATH_BYTES];
    struct stat info;
    store_topic_path(directory, finding->topic->id, finding->partition);
    segment_name(name, segment->base_offset);
    (void)snprintf(path, sizeof(path), "%s/%s%s", directory, name, suffix);
    int fd = io_open_file(io, finding->store->directory, path, O_RDONLY, 0);
    int r = fd < 0 ? fd : io->stat(io, fd, &info);
    if (r == 0)
        *ret_size = (uint64_t)info.st_size;
    else if (fd >= 0)
        (void)io->close(io, fd);
    return r < 0 ? r : fd;
}

/* The file of a segment, which may still be where compaction made it. */
static int open_segment(struct finding *finding, const struct known *segment, uint64_t *ret_size)
{
    const struct io *io = finding->store->io;
    uint64_t size = 0;
    int fd = open_file(finding, segment, "", ret_size);
    if (fd < 0 || *ret_size == segment->bytes || segment == &finding->known[finding->count - 1])
        return fd;
    int new_fd = open_file(finding, segment, SEGMENT_NEW_SUFFIX, &size);
    if (new_fd < 0)
        return fd;
    bool is_new = size == segment->bytes;
    (void)io->close(io, is_new ? fd : new_fd);
    if (is_new)
        *ret_size = size;
    return is_new ? new_fd : fd;
}

/* Returns 1; 0: the offset is behind the segment's last batch, where the point then is; -ENOENT. */
static int find_inside(struct finding *finding, const struct known *segment, int64_t offset,
                       struct log_point *ret_point, struct beck_error *error)
{
    const struct io *io = finding->store->io;
    struct index_entry from = best_entry(finding, segment, offset);
    uint64_t size = 0;
    int fd = open_segment(finding, segment, &size);
    if (fd < 0)
        return fd;
    struct start_file file = {io, fd, segment->base_offset,
                              segment->bytes < size ? segment->bytes : size};
    int r = start_find(finding->scan, &file, &from, offset, ret_point, error);
    (void)io->close(io, fd);
    /* What is missing at its end is damage, and to be told of: the log starts before it. */
    return r == 0 && size < segment->bytes ? 1 : r;
}

static int find_point(struct finding *finding, int64_t offset, struct log_point *ret_point,
                      uint64_t *ret_bytes, struct beck_error *error)
{
    size_t i = 0;
    while (i + 1 < finding->count && finding->known[i].next_offset <= offset)
        i++;
    const struct known *segment = &finding->known[i];
    *ret_point = (struct log_point){.offset = offset, .segment = segment->base_offset};
    *ret_bytes = i + 1 < finding->count ? segment->bytes : 0;
    if (offset <= segment->base_offset || segment->bytes == 0)
        return 0;
    int r = find_inside(finding, segment, offset, ret_point, error);
    if (r == 0 && i + 1 < finding->count) {
        *ret_point = (struct log_point){.offset = offset, .segment = segment[1].base_offset};
        *ret_bytes = i + 2 < finding->count ? segment[1].bytes : 0;
    }
    return r == -ENOENT || r > 0 ? 0 : r; /* reading tells of a file that is missing */
}

int recover_start(struct beck_store *store, const struct beck_topic *topic, int32_t partition,
                  int64_t log_start_offset, struct scan *scan, struct recovered *found,
                  struct beck_error *error)
{
    struct live_tail *tail = &found->tail;
    struct finding finding = {store, topic, partition, scan, found, NULL, 0};
    int r;
    /* Without an index, and with one file that begins later: what was before it is not known of. */
    if (found->sealed_count == 0 && !found->has_checkpoint && tail->end.segment > log_start_offset)
        log_start_offset = tail->end.segment;
    if (log_start_offset > tail->end.offset) {
        tail->end.offset = log_start_offset;
        found->is_dirty = true;
    }
    if (log_start_offset > found->records_end)
        found->records_end = log_start_offset;
    tail->log_start = (struct log_point){.offset = log_start_offset, .segment = tail->end.segment};
    /* Where the rest has failed too: what is before it can still be read. */
    r = known_collect(&finding);
    if (r == 0)
        r = find_point(&finding, log_start_offset, &tail->log_start, &tail->log_start_bytes, error);
    free(finding.known);
    if (r < 0 && r != -ENOMEM) {
        found->is_failed = true;
        r = 0;
    }
    return r;
}

int recover_start_again(struct beck_partition *partition, struct log_point *ret_log_start,
                        uint64_t *ret_bytes, struct beck_error *error)
{
    __attribute__((cleanup(recovered_done))) struct recovered found = {.has_checkpoint = true};
    struct finding finding = {partition->store,
                              &partition->topic,
                              partition->number,
                              &(struct scan){.fd = -1},
                              &found,
                              NULL,
                              0};
    struct live_rolled rolled[LIVE_ROLLED_MAX];
    int r = partition_tail(partition, &found.tail, error);
    if (r < 0)
        return r;
    uint32_t count = live_rolled_read(partition->slot, rolled);
    found.sealed = calloc(LIVE_ROLLED_MAX, sizeof(*found.sealed));
    if (!found.sealed)
        return -ENOMEM;
    /* What waits for the catalogue comes behind what is in it. */
    for (uint32_t i = 0; i < count; i++)
        if (rolled[i].base_offset < found.tail.end.segment)
            found.sealed[found.sealed_count++] = segment_record_of(&rolled[i]);
    r = known_collect(&finding);
    if (r == 0)
        r = find_point(&finding, found.tail.log_start.offset, ret_log_start, ret_bytes, error);
    scan_done(finding.scan);
    free(finding.known);
    return r;
}
