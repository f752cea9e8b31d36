/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the headers of a partition's batches say of what only meta.mdb has else. Where one is no
 * header it goes on with the next good batch, as recovery and reading do: what is behind damage is
 * still of this log. Nothing covers a batch's leader epoch: epochs only rise, so one batch alone
 * that is above what comes behind it, or below what came before it, is wrong. Nor its base offset:
 * one that leaves a hole is wrong where the next batch, or file, begins in that hole.
 */
#include "repair.h"

#include "cleanup.h"
#include "report.h"
#include "scan.h"
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define EPOCH_CREDIBLE (1 << 24) /* no more is believed */

struct reading {
    struct repair *repair;
    struct repair_headers *headers;
    int64_t *segments; /* rising */
    size_t count;
    struct beck_error *error;
    struct scan scan;
    uint64_t batches;    /* that have the newest epoch */
    bool was_low;        /* the epoch of the batch before was below that of others before it */
    bool left_hole;      /* the batch before did */
    int64_t before_hole; /* where the log would end without it */
    int64_t limit;       /* where the next file begins */
};

void repair_headers_done(struct repair_headers *headers)
{
    free(headers->epochs);
    *headers = (struct repair_headers){0};
}

static int note_name(void *context, const char *name)
{
    struct reading *reading = context;
    int64_t base;
    if (segment_name_parse(name, &base) < 0)
        return 0;
    int64_t *grown = reallocarray(reading->segments, reading->count + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    reading->segments = grown;
    reading->segments[reading->count++] = base;
    return 0;
}

static int compare_offsets(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* ---- epochs --------------------------------------------------------------------------------- */

static int add_epoch(struct repair_headers *headers, uint32_t epoch, int64_t start_offset)
{
    size_t count = headers->epoch_count;
    if ((count & (count - 1)) == 0) {
        struct repair_epoch *grown =
            reallocarray(headers->epochs, count ? 2 * count : 1, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        headers->epochs = grown;
    }
    headers->epochs[headers->epoch_count++] = (struct repair_epoch){epoch, start_offset};
    return 0;
}

static int take_epoch(struct reading *reading, const struct batch_header *header)
{
    struct repair_headers *headers = reading->headers;
    if (header->leader_epoch < 0 || header->leader_epoch >= EPOCH_CREDIBLE)
        return 0;
    uint32_t epoch = (uint32_t)header->leader_epoch;
    const struct repair_epoch *last =
        headers->epoch_count > 0 ? &headers->epochs[headers->epoch_count - 1] : NULL;
    bool is_low = last && epoch < last->epoch;
    bool may_be_wrong = is_low && !reading->was_low && reading->batches > 1;
    reading->was_low = is_low;
    if (may_be_wrong)
        return 0;
    while (headers->epoch_count > 0 && headers->epochs[headers->epoch_count - 1].epoch > epoch)
        headers->epoch_count--;
    last = headers->epoch_count > 0 ? &headers->epochs[headers->epoch_count - 1] : NULL;
    bool goes_on = last && last->epoch == epoch;
    reading->batches = goes_on ? reading->batches + 1 : 1;
    if (is_low)
        reading->was_low = false;
    return goes_on ? 0 : add_epoch(headers, epoch, header->base_offset);
}

/* ---- files ---------------------------------------------------------------------------------- */

/* The log goes on to the end of a batch. */
static void take_end(struct reading *reading, const struct batch_header *header)
{
    struct repair_headers *headers = reading->headers;
    int64_t base = header->base_offset;
    bool in_hole = reading->left_hole && base < headers->end_offset && base >= reading->before_hole;
    int64_t end = in_hole ? reading->before_hole : headers->end_offset;
    if (base < end || batch_next_offset(header) > reading->limit)
        return;
    reading->left_hole = base > end;
    reading->before_hole = end;
    headers->end_offset = batch_next_offset(header);
}

static int take_header(struct reading *reading, const struct batch_header *header)
{
    struct repair_headers *headers = reading->headers;
    if (header->producer_id > headers->producer_id)
        headers->producer_id = header->producer_id;
    if (header->leader_epoch > headers->leader_epoch && header->leader_epoch < EPOCH_CREDIBLE)
        headers->leader_epoch = header->leader_epoch;
    take_end(reading, header);
    return take_epoch(reading, header);
}

/* All headers of a file, those behind damage too. */
static int read_headers(struct reading *reading, int fd, uint64_t size)
{
    const struct io *io = reading->repair->store.io;
    struct scan *scan = &reading->scan;
    struct scan_batch batch;
    int r;
    scan_begin(scan, io, fd, SCAN_HEADERS, 0, size);
    while ((r = scan_next(scan, &batch, NULL)) != 0) {
        if (r == 1) {
            r = take_header(reading, &batch.summary.header);
        } else if (r == -EBADMSG) {
            uint64_t good = size;
            r = scan_find(scan, scan->position + 1, size, 0, &good);
            scan_begin(scan, io, fd, SCAN_HEADERS, good, size);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_file(struct reading *reading, const char *folder, int64_t segment)
{
    const struct io *io = reading->repair->store.io;
    struct stat info;
    char name[SEGMENT_NAME_BYTES];
    char path[REPAIR_PATH_BYTES];
    if (segment > reading->headers->end_offset) {
        reading->headers->end_offset = segment;
        reading->left_hole = false;
    }
    segment_name(name, segment);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    _cleanup_close_ int fd = io_open_file(io, reading->repair->store.directory, path, O_RDONLY, 0);
    /* What is no file is not a segment. */
    if (fd == -ENOENT || fd == -ELOOP || fd == -EBADMSG)
        return 0;
    int r = fd < 0 ? fd : io->stat(io, fd, &info);
    if (r == 0)
        r = read_headers(reading, fd, (uint64_t)info.st_size);
    return r < 0 ? report_errno(reading->error, r, "%s: cannot be read", path) : 0;
}

static int read_files(struct reading *reading, const char *folder)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < reading->count; i++) {
        reading->limit = i + 1 < reading->count ? reading->segments[i + 1] : INT64_MAX;
        r = read_file(reading, folder, reading->segments[i]);
    }
    scan_done(&reading->scan);
    return r;
}

int repair_headers(struct repair *repair, const struct beck_topic *topic, int32_t partition,
                   struct repair_headers *ret_headers, struct beck_error *error)
{
    const struct io *io = repair->store.io;
    char folder[STORE_TOPIC_PATH_BYTES];
    struct repair_headers headers = {.producer_id = -1, .leader_epoch = -1};
    struct reading reading = {
        .repair = repair, .headers = &headers, .error = error, .scan = {.fd = -1}};
    store_topic_path(folder, topic->id, partition);
    _cleanup_close_ int fd =
        io->open(io, repair->store.directory, folder, O_RDONLY | O_DIRECTORY, 0);
    int r = fd < 0 ? fd : io_list(io, fd, note_name, &reading);
    if (r == -ENOENT || r == -ENOTDIR)
        r = 0;
    else if (r < 0)
        (void)report_errno(error, r, "%s: cannot be read", folder);
    if (r == 0 && reading.count > 0) {
        qsort(reading.segments, reading.count, sizeof(reading.segments[0]), compare_offsets);
        headers.first_offset = reading.segments[0];
    }
    if (r == 0)
        r = read_files(&reading, folder);
    free(reading.segments);
    if (r < 0)
        repair_headers_done(&headers);
    else
        *ret_headers = headers;
    return r;
}
