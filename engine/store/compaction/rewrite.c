/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch by batch: what is left of each goes through a buffer into the new file and its digest. Of
 * a single source nothing is written until the first batch changes: then what went before is
 * copied. So a segment in which there is nothing to do costs its reading only.
 *
 * A file that has the size of the one it replaces is not made: readers tell the two by their sizes.
 * The sources must not be left as they are then: the map forgets their keys, and a tombstone that
 * goes later would give back what it deleted. The caller makes another file of them.
 */
#include "rewrite.h"

#include "check.h"
#include "cleanup.h"
#include "exchange.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES ((size_t)1 << 20)
#define SYNC_BYTES                                                                                 \
    (32 << 20) /* synced at once, so that others' syncs do not wait for a segment's */

void rewrite_done(struct rewrite *rewrite)
{
    scan_done(&rewrite->scan);
    (void)filter_free(rewrite->filter);
    (void)XXH3_freeState(rewrite->hash);
    free(rewrite->entries);
    free(rewrite->buffer);
    *rewrite = (struct rewrite){.fd = -1};
}

void rewrite_discard(struct rewrite *rewrite)
{
    struct beck_store *store = rewrite->partition->store;
    (void)store->io->remove(store->io, store->directory, rewrite->path, false);
}

/* ---- the new file -------------------------------------------------------------------------- */

static int output_flush(struct rewrite *rewrite)
{
    const struct io *io = rewrite->partition->store->io;
    struct iovec vector = {.iov_base = rewrite->buffer, .iov_len = rewrite->buffered};
    uint64_t position = rewrite->made.bytes - rewrite->buffered;
    if (rewrite->buffered == 0)
        return 0;
    CHECK(XXH3_128bits_update(rewrite->hash, rewrite->buffer, rewrite->buffered) == XXH_OK);
    int r = io->write(io, rewrite->fd, &vector, 1, position);
    if (r < 0)
        return r;
    rewrite->buffered = 0;
    if (rewrite->made.bytes - rewrite->synced < SYNC_BYTES)
        return 0;
    rewrite->synced = rewrite->made.bytes;
    return io->sync_data(io, rewrite->fd);
}

/* Bytes at the end of the file, which `made.bytes` counts from here on. */
static int output_add(struct rewrite *rewrite, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size > 0) {
        size_t part = BUFFER_BYTES - rewrite->buffered;
        if (part > size)
            part = size;
        memcpy(rewrite->buffer + rewrite->buffered, at, part);
        rewrite->buffered += part;
        rewrite->made.bytes += part;
        at += part;
        size -= part;
        int r = rewrite->buffered == BUFFER_BYTES ? output_flush(rewrite) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* Write from here on, and first what was passed over: the beginning of the first source. */
static int output_begin(struct rewrite *rewrite, int source_fd)
{
    struct beck_store *store = rewrite->partition->store;
    uint64_t prefix = rewrite->made.bytes;
    rewrite->fd = store->io->open(store->io, store->directory, rewrite->path,
                                  O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (rewrite->fd < 0)
        return rewrite->fd;
    rewrite->is_begun = true;
    rewrite->buffered = 0;
    rewrite->synced = 0;
    rewrite->made.bytes = 0;
    CHECK(XXH3_128bits_reset(rewrite->hash) == XXH_OK);
    while (rewrite->made.bytes < prefix) {
        uint64_t left = prefix - rewrite->made.bytes;
        size_t wanted = left < BUFFER_BYTES ? (size_t)left : BUFFER_BYTES;
        ssize_t n =
            store->io->read(store->io, source_fd, rewrite->buffer, wanted, rewrite->made.bytes);
        if (n < 0 || (size_t)n < wanted)
            return n < 0 ? (int)n : -EBADMSG;
        rewrite->buffered = wanted;
        rewrite->made.bytes += wanted;
        int r = output_flush(rewrite);
        if (r < 0)
            return r;
    }
    return 0;
}

static int note_entry(struct rewrite *rewrite, int64_t offset)
{
    if (rewrite->entry_count == rewrite->entry_room) {
        uint32_t room = rewrite->entry_room > 0 ? 2 * rewrite->entry_room : 256;
        struct index_entry *grown = reallocarray(rewrite->entries, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        rewrite->entries = grown;
        rewrite->entry_room = room;
    }
    rewrite->entries[rewrite->entry_count++] = (struct index_entry){
        offset, rewrite->made.bytes, rewrite->made.view_bytes, rewrite->made.max_timestamp_ms};
    rewrite->indexed_position = rewrite->made.bytes;
    return 0;
}

/* ---- one batch ----------------------------------------------------------------------------- */

/* What stays of a batch goes to the end of the new segment. */
static int batch_add(struct rewrite *rewrite, const struct scan_batch *batch,
                     const struct filtered *filtered)
{
    struct segment_record *made = &rewrite->made;
    int r = 0;
    if (made->bytes - rewrite->indexed_position >= INDEX_INTERVAL_BYTES)
        r = note_entry(rewrite, filtered->header.base_offset);
    if (r == 0 && filtered->outcome == FILTER_REWRITTEN) {
        r = output_add(rewrite, filtered->header_bytes, BATCH_HEADER_BYTES);
        if (r == 0)
            r = output_add(rewrite, filtered->records, filtered->records_size);
    } else if (r == 0 && rewrite->is_begun) {
        r = output_add(rewrite, batch->bytes, batch->size);
    } else if (r == 0) {
        made->bytes += batch->size;
    }
    made->view_bytes += filtered->view_bytes;
    if (filtered->max_timestamp_ms > made->max_timestamp_ms)
        made->max_timestamp_ms = filtered->max_timestamp_ms;
    return r;
}

static int batch_clean(struct rewrite *rewrite, const struct scan_batch *batch, int fd,
                       struct beck_error *error)
{
    struct filtered filtered;
    int r = cleaning_batch(rewrite->cleaning, rewrite->filter, batch->bytes, batch->size, &filtered,
                           error);
    if (r < 0) {
        report_place(error, NULL, -1, -1, (int64_t)batch->position);
        return r;
    }
    if (filtered.outcome != FILTER_UNCHANGED && !rewrite->is_begun)
        r = output_begin(rewrite, fd);
    if (r == 0 && filtered.outcome != FILTER_DROPPED)
        r = batch_add(rewrite, batch, &filtered);
    return r < 0 ? report_errno(error, r, "cannot write %s", rewrite->path) : 0;
}

/* ---- one source ---------------------------------------------------------------------------- */

static int offset_misplaced(const struct scan_batch *batch, struct beck_error *error)
{
    int r = report(error, -EBADMSG, "offset %" PRId64 " does not fit between its neighbours",
                   batch->summary.header.base_offset);
    report_place(error, NULL, -1, -1, (int64_t)batch->position);
    return r;
}

static int source_clean(struct rewrite *rewrite, const struct segment_record *source, int fd,
                        struct beck_error *error)
{
    struct scan_batch batch;
    int64_t offset = source->base_offset;
    int r;
    scan_begin(&rewrite->scan, rewrite->partition->store->io, fd, SCAN_CRC, 0, source->bytes);
    while ((r = scan_next(&rewrite->scan, &batch, error)) == 1) {
        const struct batch_header *header = &batch.summary.header;
        if (header->base_offset < offset || batch_next_offset(header) > source->next_offset)
            return offset_misplaced(&batch, error);
        offset = batch_next_offset(header);
        r = batch_clean(rewrite, &batch, fd, error);
        if (r == 0 && clean_must_stop(rewrite->clean))
            r = -ECANCELED;
        if (r < 0)
            break;
    }
    return r;
}

int rewrite_open(struct beck_partition *partition, const struct segment_record *source,
                 struct beck_error *error)
{
    const struct io *io = partition->store->io;
    char path[SEGMENT_PATH_BYTES];
    struct stat info;
    exchange_path(path, partition->path, source->base_offset, false);
    int fd = io_open_file(io, partition->store->directory, path, O_RDONLY, 0);
    int r = fd < 0 ? fd : io->stat(io, fd, &info);
    if (r < 0)
        (void)report_errno(error, r, "cannot read segment %s", path);
    else if ((uint64_t)info.st_size != source->bytes)
        r = report(error, -EBADMSG, "segment %s has %lld bytes, not %" PRIu64, path,
                   (long long)info.st_size, source->bytes);
    if (r == 0)
        return fd;
    report_place(error, NULL, -1, source->base_offset, -1);
    if (fd >= 0)
        (void)io->close(io, fd);
    return r;
}

/* ---- all of them --------------------------------------------------------------------------- */

static int rewrite_begin(struct rewrite *rewrite, const struct segment_record *sources,
                         uint32_t count)
{
    rewrite->fd = -1;
    rewrite->is_begun = false;
    rewrite->entry_count = 0;
    rewrite->indexed_position = 0;
    rewrite->made = (struct segment_record){.base_offset = sources[0].base_offset,
                                            .next_offset = sources[count - 1].next_offset,
                                            .max_timestamp_ms = INT64_MIN,
                                            .has_digest = true};
    exchange_path(rewrite->path, rewrite->partition->path, sources[0].base_offset, true);
    if (!rewrite->buffer)
        rewrite->buffer = malloc(BUFFER_BYTES);
    if (!rewrite->hash)
        rewrite->hash = XXH3_createState();
    int r = rewrite->buffer && rewrite->hash ? 0 : -ENOMEM;
    if (r == 0 && !rewrite->filter)
        r = filter_new(&rewrite->filter);
    /* Of several sources one file is made, whatever is in them. */
    return r == 0 && count > 1 ? output_begin(rewrite, -1) : r;
}

/* The file is whole: give it its digest, and make it and its name durable. */
static int rewrite_end(struct rewrite *rewrite)
{
    struct beck_store *store = rewrite->partition->store;
    const struct io *io = store->io;
    XXH128_canonical_t canonical;
    int r = output_flush(rewrite);
    if (r == 0)
        r = io->sync_data(io, rewrite->fd);
    if (r < 0)
        return r;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(rewrite->hash));
    memcpy(rewrite->made.digest, canonical.digest, sizeof(rewrite->made.digest));
    return io_sync_names(io, store->directory, rewrite->partition->path);
}

static int rewrite_sources(struct rewrite *rewrite, const struct segment_record *sources,
                           uint32_t count, struct beck_error *error)
{
    const struct io *io = rewrite->partition->store->io;
    int r = rewrite_begin(rewrite, sources, count);
    if (r < 0)
        return report_errno(error, r, "cannot begin %s", rewrite->path);
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        int fd = rewrite_open(rewrite->partition, &sources[i], error);
        if (fd < 0)
            return fd;
        r = source_clean(rewrite, &sources[i], fd, error);
        (void)io->close(io, fd);
        if (r < 0)
            report_place(error, NULL, -1, sources[i].base_offset, -1);
    }
    if (r == 0 && rewrite->is_begun && rewrite->made.bytes > 0) {
        r = rewrite_end(rewrite);
        if (r < 0)
            return report_errno(error, r, "cannot sync %s", rewrite->path);
    }
    return r;
}

int rewrite_segments(struct rewrite *rewrite, const struct segment_record *sources, uint32_t count,
                     struct beck_error *error)
{
    const struct io *io = rewrite->partition->store->io;
    int r = rewrite_sources(rewrite, sources, count, error);
    if (rewrite->fd >= 0)
        (void)io->close(io, TAKE_FD(rewrite->fd));
    if (!rewrite->is_begun)
        return r;
    if (r == 0 && rewrite->made.bytes == sources[0].bytes)
        r = -EEXIST;
    if (r < 0 || rewrite->made.bytes == 0)
        rewrite_discard(rewrite);
    return r < 0 ? r : 1;
}
