/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: what index.mdb has of the partition is copied, from one moment; then the tail and the
 * list of segments are taken, which are of a later moment and have all that the copy speaks of;
 * then the files are copied, the newest up to the tail. Who opens the backup finds what a killed
 * process would have left: a checkpoint, and behind it what was appended since.
 *
 * Between the two moments, or while files are copied, segments may have been trimmed or compacted:
 * then a file is not there, or is not what the copied catalogue says, and all is done again, but
 * that complete files which are still right stay. At last this is done with the maintenance lock
 * held, which keeps segments from going.
 *
 * A complete segment is never changed in place, only replaced or removed by name: so it may share
 * its blocks, or its very file, with the store's.
 */
#include "backup_partition.h"

#include "check.h"
#include "cleanup.h"
#include "lookup.h"
#include "partition.h"
#include "report.h"
#include "segments.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TRIES 8

/* A segment of the catalogue that was copied. */
struct version {
    int64_t base_offset;
    uint64_t bytes;
};

struct copying {
    struct backup *backup;
    struct beck_partition *partition;
    int directory; /* of the partition, in the backup */
    struct version *versions;
    size_t version_count;
    size_t version_room;
    struct live_tail tail;
    struct segment **segments; /* referenced */
    size_t segment_count;
};

/* ---- the list ------------------------------------------------------------------------------ */

static int note_version(void *context, const struct segment_record *segment)
{
    struct copying *copying = context;
    if (copying->version_count == copying->version_room) {
        size_t room = copying->version_room ? 2 * copying->version_room : 16;
        struct version *grown = reallocarray(copying->versions, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        copying->versions = grown;
        copying->version_room = room;
    }
    copying->versions[copying->version_count++] =
        (struct version){segment->base_offset, segment->bytes};
    return 0;
}

/* Copy what index.mdb has, in place of what an earlier try has left. */
static int copy_index(struct copying *copying)
{
    struct backup *backup = copying->backup;
    struct db *index = &backup->store->index;
    uint32_t topic = copying->partition->topic.number;
    uint32_t number = (uint32_t)copying->partition->number;
    _cleanup_txn_ MDB_txn *txn = NULL;
    copying->version_count = 0;
    int r = index_forget(&backup->index, backup->index_txn, topic, number);
    if (r == 0)
        r = db_begin(index, false, &txn, NULL);
    if (r == 0)
        r = index_copy(index, txn, &backup->index, backup->index_txn, topic, number);
    if (r == 0)
        r = index_segments(index, txn, topic, number, note_version, copying);
    return r;
}

static void let_go(struct copying *copying)
{
    while (copying->segment_count > 0)
        segment_unref(copying->segments[--copying->segment_count]);
    free(copying->segments);
    copying->segments = NULL;
}

static int take_list(struct copying *copying, struct beck_error *error)
{
    struct beck_partition *partition = copying->partition;
    let_go(copying);
    int r = segments_lock(partition, &copying->tail, error);
    if (r < 0)
        return r;
    copying->segments = calloc(partition->segment_count + 1, sizeof(copying->segments[0]));
    for (size_t i = 0; copying->segments && i < partition->segment_count; i++)
        copying->segments[copying->segment_count++] = segment_ref(partition->segments[i]);
    segments_unlock(partition);
    return copying->segments ? 0 : report(error, -ENOMEM, "out of memory");
}

static const struct segment *find_listed(const struct copying *copying, int64_t base_offset)
{
    for (size_t low = 0, high = copying->segment_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (copying->segments[middle]->base_offset == base_offset)
            return copying->segments[middle];
        if (copying->segments[middle]->base_offset < base_offset)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Does the list have all that the copied catalogue has? */
static bool list_has_versions(const struct copying *copying)
{
    for (size_t i = 0; i < copying->version_count; i++) {
        const struct segment *segment = find_listed(copying, copying->versions[i].base_offset);
        if (!segment || segment->bytes != copying->versions[i].bytes)
            return false;
    }
    return true;
}

static bool is_catalogued(const struct copying *copying, const struct segment *segment)
{
    for (size_t i = 0; i < copying->version_count; i++)
        if (copying->versions[i].base_offset == segment->base_offset)
            return true;
    return false;
}

/* ---- one file ------------------------------------------------------------------------------ */

static int progress(struct backup *backup, uint64_t bytes)
{
    const struct beck_backup_options *options = backup->options;
    backup->done_bytes += bytes;
    if (backup->all_bytes < backup->done_bytes)
        backup->all_bytes = backup->done_bytes;
    if (options->progress &&
        options->progress(options->context, backup->done_bytes, backup->all_bytes) != 0)
        return -ECANCELED;
    return 0;
}

static int copy_bytes(struct backup *backup, int from, int to, uint64_t size)
{
    const struct io *io = backup->store->io;
    for (uint64_t done = 0; done < size;) {
        size_t wanted =
            size - done < BACKUP_BUFFER_BYTES ? (size_t)(size - done) : BACKUP_BUFFER_BYTES;
        ssize_t n = io->read(io, from, backup->buffer, wanted, done);
        if (n >= 0 && (size_t)n < wanted)
            return -EBADMSG; /* it is shorter than it was said to be */
        if (n < 0)
            return (int)n;
        struct iovec vector = {.iov_base = backup->buffer, .iov_len = wanted};
        int r = io->write(io, to, &vector, 1, done);
        if (r == 0)
            r = progress(backup, wanted);
        if (r < 0)
            return r;
        done += wanted;
    }
    return 0;
}

/* A new file: one that an earlier try has left may be the store's own, too. */
static int new_file(struct copying *copying, const char *name)
{
    const struct io *io = copying->backup->store->io;
    int r = io->remove(io, copying->directory, name, false);
    return r < 0 && r != -ENOENT
               ? r
               : io->open(io, copying->directory, name, O_RDWR | O_CREAT | O_EXCL, 0644);
}

/* Make a file of our own that shares the store's blocks. Negative where that cannot be. */
static int clone_file(struct copying *copying, int from, const char *name, uint64_t size)
{
    struct backup *backup = copying->backup;
    const struct io *io = backup->store->io;
    if (backup->options->copy || backup->cannot_clone)
        return -EOPNOTSUPP;
    _cleanup_close_ int to = new_file(copying, name);
    int r = to < 0 ? to : io->clone(io, from, to);
    backup->cannot_clone = r < 0;
    /* Behind the published end may be bytes of an append that is under way. */
    if (r == 0)
        r = io->truncate(io, to, size);
    return r < 0 ? r : progress(backup, size);
}

static int copy_file(struct copying *copying, int from, const char *name, uint64_t size)
{
    int r = clone_file(copying, from, name, size);
    if (r == 0 || r == -ECANCELED)
        return r;
    _cleanup_close_ int to = new_file(copying, name);
    return to < 0 ? to : copy_bytes(copying->backup, from, to, size);
}

/* Is it there from an earlier try? Compaction never replaces a file by one of the same size. */
static bool is_there(struct copying *copying, const char *name, uint64_t size)
{
    const struct io *io = copying->backup->store->io;
    struct stat info;
    _cleanup_close_ int fd = io->open(io, copying->directory, name, O_RDONLY, 0);
    return fd >= 0 && io->stat(io, fd, &info) == 0 && (uint64_t)info.st_size == size;
}

/* A complete file: it may be the very same. */
static int transfer_complete(struct copying *copying, int from, const char *name, uint64_t size)
{
    struct backup *backup = copying->backup;
    const struct io *io = backup->store->io;
    if (is_there(copying, name, size))
        return 0;
    int r = clone_file(copying, from, name, size);
    if (r == 0 || r == -ECANCELED)
        return r;
    (void)io->remove(io, copying->directory, name, false);
    if (!backup->options->copy && !backup->cannot_link) {
        r = io->link(io, from, copying->directory, name);
        if (r == 0)
            return progress(backup, size);
        backup->cannot_link = r == -EXDEV || r == -EPERM || r == -EOPNOTSUPP;
    }
    return copy_file(copying, from, name, size);
}

/* -EAGAIN: the file is not what the list says. */
static int transfer(struct copying *copying, struct segment *segment, struct beck_error *error)
{
    char name[SEGMENT_NAME_BYTES];
    uint64_t size = segment_limit(segment, &copying->tail.end);
    segment_name(name, segment->base_offset);
    if (segment->base_offset > copying->tail.end.segment || size == 0)
        return 0;
    int fd = segment_pin(segment, false);
    if (fd < 0)
        return segments_stale(copying->partition, segment, fd, error);
    int r = is_catalogued(copying, segment) ? transfer_complete(copying, fd, name, size)
                                            : copy_file(copying, fd, name, size);
    segment_unpin(segment);
    if (r == -ECANCELED)
        return report(error, r, "the backup was stopped");
    return r < 0 ? report_errno(error, r, "cannot copy segment %s", segment->path) : 0;
}

/* ---- the partition ------------------------------------------------------------------------- */

static int remove_unlisted(void *context, const char *name)
{
    const struct copying *copying = context;
    const struct io *io = copying->backup->store->io;
    int64_t base;
    if (segment_name_parse(name, &base) == 0 && find_listed(copying, base))
        return 0;
    return io->remove(io, copying->directory, name, false);
}

/* The log may have been trimmed since meta.mdb was copied. */
static int put_log_start(struct copying *copying)
{
    struct backup *backup = copying->backup;
    const struct beck_partition *partition = copying->partition;
    struct meta_partition location;
    int r = meta_partition_get(&backup->meta, backup->meta_txn, partition->topic.number,
                               (uint32_t)partition->number, &location);
    if (r < 0 || location.log_start_offset >= copying->tail.log_start.offset)
        return r;
    location.log_start_offset = copying->tail.log_start.offset;
    return meta_partition_put(&backup->meta, backup->meta_txn, partition->topic.number,
                              (uint32_t)partition->number, &location);
}

/* -EAGAIN: segments went away meanwhile. */
static int try_partition(struct copying *copying, bool again, struct beck_error *error)
{
    const struct io *io = copying->backup->store->io;
    int r = copy_index(copying);
    if (r < 0)
        return report_errno(error, r, "index.mdb: cannot be copied");
    r = take_list(copying, error);
    if (r == 0 && !list_has_versions(copying))
        r = -EAGAIN;
    for (size_t i = 0; r == 0 && i < copying->segment_count; i++)
        r = transfer(copying, copying->segments[i], error);
    if (r == 0 && again)
        r = io_list(io, copying->directory, remove_unlisted, copying);
    if (r < 0)
        return r;
    r = put_log_start(copying);
    return r < 0 ? report_errno(error, r, "meta.mdb: cannot be written") : 0;
}

static int copy_partition(struct copying *copying, struct beck_error *error)
{
    struct beck_store *store = copying->backup->store;
    int r = -EAGAIN;
    for (int tries = 0; r == -EAGAIN && tries < TRIES; tries++)
        r = try_partition(copying, tries > 0, error);
    if (r != -EAGAIN || store->read_only)
        return r == -EAGAIN ? report(error, -EBUSY, "its segments change again and again") : r;
    pthread_mutex_t *maintenance = &live_store(&store->live)->maintenance;
    (void)live_lock(maintenance);
    for (int tries = 0; r == -EAGAIN && tries < 2 * TRIES; tries++)
        r = try_partition(copying, true, error);
    live_unlock(maintenance);
    return r == -EAGAIN ? report(error, -EBADMSG, "its segments are not what index.mdb says") : r;
}

int backup_partition(struct backup *backup, const struct beck_topic *topic, uint32_t number,
                     struct beck_error *error)
{
    const struct io *io = backup->store->io;
    struct copying copying = {.backup = backup};
    char path[STORE_TOPIC_PATH_BYTES];
    store_topic_path(path, topic->id, number);
    int r = io->make_directory(io, backup->directory, path, 0755);
    if (r == 0)
        r = copying.directory = io->open(io, backup->directory, path, O_RDONLY | O_DIRECTORY, 0);
    if (r < 0)
        return report_errno(error, r, "%s: cannot be made", path);
    r = partition_open(backup->store, topic->name, (int32_t)number, &copying.partition, error);
    if (r == 0 && copying.partition->topic.number != topic->number)
        r = -ESTALE;
    if (r == 0)
        r = copy_partition(&copying, error);
    if (r < 0 && r != -ESTALE && r != -ENOENT && r != -ECANCELED)
        report_place(error, topic->name, (int32_t)number, -1, -1);
    let_go(&copying);
    free(copying.versions);
    partition_close(copying.partition);
    (void)io->close(io, copying.directory);
    return r == -ENOENT ? -ESTALE : r;
}
