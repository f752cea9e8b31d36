/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the headers of a partition's batches say of what only meta.mdb has else. Nothing covers a
 * batch's leader epoch: epochs only rise, so one batch alone that is above what comes behind it, or
 * below what came before it, is wrong.
 */
#include "repair.h"

#include "cleanup.h"
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
    uint64_t batches; /* that have the newest epoch */
    bool was_low;     /* the epoch of the batch before was below that of others before it */
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

static int take_header(struct reading *reading, const struct batch_header *header)
{
    struct repair_headers *headers = reading->headers;
    if (header->producer_id > headers->producer_id)
        headers->producer_id = header->producer_id;
    if (header->leader_epoch > headers->leader_epoch && header->leader_epoch < EPOCH_CREDIBLE)
        headers->leader_epoch = header->leader_epoch;
    headers->end_offset = batch_next_offset(header);
    return take_epoch(reading, header);
}

static int read_file(struct reading *reading, const char *folder, int64_t segment)
{
    const struct io *io = reading->repair->store.io;
    struct scan scan = {.fd = -1};
    struct scan_batch batch;
    struct stat info;
    char name[SEGMENT_NAME_BYTES];
    char path[REPAIR_PATH_BYTES];
    segment_name(name, segment);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    _cleanup_close_ int fd = io_open_file(io, reading->repair->store.directory, path, O_RDONLY, 0);
    if (fd < 0 || io->stat(io, fd, &info) < 0)
        return 0;
    scan_begin(&scan, io, fd, SCAN_HEADERS, 0, (uint64_t)info.st_size);
    int r = 0;
    while (r == 0 && scan_next(&scan, &batch, NULL) == 1)
        r = take_header(reading, &batch.summary.header);
    scan_done(&scan);
    return r;
}

int repair_headers(struct repair *repair, const struct beck_topic *topic, int32_t partition,
                   struct repair_headers *ret_headers)
{
    const struct io *io = repair->store.io;
    char folder[STORE_TOPIC_PATH_BYTES];
    struct repair_headers headers = {.producer_id = -1, .leader_epoch = -1};
    struct reading reading = {.repair = repair, .headers = &headers};
    store_topic_path(folder, topic->id, partition);
    _cleanup_close_ int fd =
        io->open(io, repair->store.directory, folder, O_RDONLY | O_DIRECTORY, 0);
    int r = fd < 0 ? fd : io_list(io, fd, note_name, &reading);
    if (r == 0 && reading.count > 0) {
        qsort(reading.segments, reading.count, sizeof(reading.segments[0]), compare_offsets);
        headers.first_offset = reading.segments[0];
    }
    for (size_t i = 0; r == 0 && i < reading.count; i++)
        r = read_file(&reading, folder, reading.segments[i]);
    free(reading.segments);
    r = r == -ENOENT || r == -ENOTDIR ? 0 : r;
    if (r < 0)
        repair_headers_done(&headers);
    else
        *ret_headers = headers;
    return r;
}
