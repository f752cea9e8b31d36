/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leader epochs in batches' headers, which no CRC covers. meta.mdb has the history of them, in
 * values with checksums: a batch that says something else gets its epoch back. Its file is written
 * anew and renamed over the old one, as a backup may have that under another name.
 *
 * What was written when the history was lost, or was never kept, is left as it is.
 */
#include "bytes.h"
#include "check.h"
#include "cleanup.h"
#include "repair.h"
#include "report.h"
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NEW_SUFFIX ".repair"
#define EPOCH_AT   12 /* in a batch */
#define EPOCH_END  16

void repair_epochs_load(struct repair *repair, uint32_t topic, uint32_t partition,
                        struct repair_epochs *epochs)
{
    struct db *meta = &repair->store.meta;
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(meta, false, &txn, NULL);
    if (r == 0)
        r = epoch_history_load(&epochs->history, meta, txn, topic, partition);
    epochs->is_known = r == 0;
}

void repair_epochs_done(struct repair_epochs *epochs)
{
    epoch_history_done(&epochs->history);
    free(epochs->wrong);
}

int repair_epochs_take(struct repair_epochs *epochs, int64_t segment,
                       const struct scan_batch *batch, XXH3_state_t *hash)
{
    const struct batch_header *header = &batch->summary.header;
    const uint8_t *bytes = batch->bytes;
    int64_t right = epochs->is_known ? epoch_history_at(&epochs->history, header->base_offset) : -1;
    uint8_t epoch[EPOCH_END - EPOCH_AT];
    if (right < 0)
        right = header->leader_epoch;
    store_be32(epoch, (uint32_t)right);
    CHECK(XXH3_128bits_update(hash, bytes, EPOCH_AT) == XXH_OK &&
          XXH3_128bits_update(hash, epoch, sizeof(epoch)) == XXH_OK &&
          XXH3_128bits_update(hash, bytes + EPOCH_END, batch->size - EPOCH_END) == XXH_OK);
    if (right == header->leader_epoch)
        return 0;
    struct repair_wrong_epoch *grown =
        reallocarray(epochs->wrong, epochs->count + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    epochs->wrong = grown;
    grown[epochs->count++] = (struct repair_wrong_epoch){
        segment, header->base_offset, batch->position, header->leader_epoch, (uint32_t)right};
    return 0;
}

/* Write the copy of a file. */
static int copy_with(struct repair *repair, const struct repair_wrong_epoch *wrong, size_t count,
                     int from, int to)
{
    const struct io *io = repair->store.io;
    uint64_t position = 0;
    struct stat info;
    int r = io->stat(io, from, &info);
    if (r == 0)
        r = repair_copy(io, from, 0, (uint64_t)info.st_size, to, &position);
    for (size_t i = 0; r == 0 && i < count; i++) {
        uint8_t epoch[EPOCH_END - EPOCH_AT];
        struct iovec vector = {.iov_base = epoch, .iov_len = sizeof(epoch)};
        store_be32(epoch, wrong[i].right);
        r = io->write(io, to, &vector, 1, wrong[i].position + EPOCH_AT);
    }
    return r == 0 ? io->sync_data(io, to) : r;
}

static int write_anew(struct repair *repair, const struct repair_wrong_epoch *wrong, size_t count,
                      const char *folder, const char *path, struct beck_error *error)
{
    const struct io *io = repair->store.io;
    int directory = repair->store.directory;
    char new_path[REPAIR_PATH_BYTES];
    (void)snprintf(new_path, sizeof(new_path), "%.300s" NEW_SUFFIX, path);
    int r = repair_keep(repair, path, 0, UINT64_MAX, error);
    if (r < 0)
        return r;
    _cleanup_close_ int from = io_open_file(io, directory, path, O_RDONLY, 0);
    _cleanup_close_ int to =
        from < 0 ? -1 : io->open(io, directory, new_path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    r = from < 0 ? from : to < 0 ? to : copy_with(repair, wrong, count, from, to);
    if (r == 0)
        r = io->rename(io, directory, new_path, path);
    if (r == 0)
        r = io_sync_names(io, directory, folder);
    return r < 0 ? report_errno(error, r, "%s: cannot be written anew", path) : 0;
}

int repair_epochs_put_right(struct repair *repair, const struct repair_epochs *epochs,
                            const struct beck_topic *topic, int32_t partition, const char *folder,
                            struct beck_error *error)
{
    size_t end;
    int r = 0;
    for (size_t begin = 0; r == 0 && begin < epochs->count; begin = end) {
        const struct repair_wrong_epoch *first = &epochs->wrong[begin];
        char name[SEGMENT_NAME_BYTES];
        char path[REPAIR_PATH_BYTES];
        for (end = begin + 1; end < epochs->count && first->segment == epochs->wrong[end].segment;)
            end++;
        segment_name(name, first->segment);
        (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
        struct beck_repair_step step = repair_step(BECK_REPAIR_REBUILD, path);
        (void)snprintf(step.topic, sizeof(step.topic), "%s", topic->name);
        step.partition = partition;
        step.offset = first->offset;
        step.byte = (int64_t)first->position + EPOCH_AT;
        if (repair_executes(repair))
            r = write_anew(repair, first, end - begin, folder, path, error);
        if (r == 0)
            r = repair_tell(repair, &step,
                            "%zu batches of another leader epoch than the history says, the first "
                            "%" PRId32 " where it was %" PRIu32,
                            end - begin, first->found, first->right);
    }
    return r;
}
