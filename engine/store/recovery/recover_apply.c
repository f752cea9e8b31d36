/* SPDX-License-Identifier: Apache-2.0 */
/* The order is recovery.c's: notes of what is cut are durable before it is. */
#include "recover_apply.h"

#include "cleanup.h"
#include "report.h"
#include "reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

int recovered_cut(struct beck_store *store, const struct beck_topic *topic, int32_t partition,
                  const struct recovered *found, struct beck_error *error)
{
    const struct io *io = store->io;
    char directory[STORE_TOPIC_PATH_BYTES];
    char path[SEGMENT_PATH_BYTES];
    char name[SEGMENT_NAME_BYTES];

    store_topic_path(directory, topic->id, partition);
    for (size_t i = found->removed_count; i-- > 0;) {
        segment_name(name, found->removed[i]);
        (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
        int r = io->remove(io, store->directory, path, false);
        if (r < 0)
            return report_errno(error, r, "cannot remove segment %s", path);
    }
    if (!found->is_torn)
        return 0;
    segment_name(name, found->cut.segment);
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    _cleanup_close_ int fd = io_open_file(io, store->directory, path, O_RDWR, 0);
    int r = fd < 0 ? fd : io->truncate(io, fd, found->cut.position);
    if (r < 0)
        return report_errno(error, r, "cannot cut the torn end off segment %s", path);
    return 0;
}

int recovered_sync(struct beck_store *store, const struct beck_topic *topic, int32_t partition,
                   const struct recovered *found, struct sync_many *many, struct beck_error *error)
{
    const struct io *io = store->io;
    char directory[STORE_TOPIC_PATH_BYTES];
    char path[SEGMENT_PATH_BYTES];
    char name[SEGMENT_NAME_BYTES];
    bool has_names = found->folder_is_synced && found->removed_count == 0;
    int r = 0;

    store_topic_path(directory, topic->id, partition);
    for (size_t i = 0; r == 0 && i <= found->sealed_count; i++) {
        segment_name(name, i < found->sealed_count ? found->sealed[i].base_offset
                                                   : found->tail.end.segment);
        (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
        _cleanup_close_ int fd = io_open_file(io, store->directory, path, O_RDWR, 0);
        if (fd == -ENOENT)
            continue;
        r = fd < 0 ? fd : sync_many_file(many, io, fd);
    }
    if (r == 0 && !has_names && !sync_many_has_names(many))
        r = io_sync_names(io, store->directory, directory);
    return r < 0 ? report_errno(error, r, "cannot sync %s", directory) : 0;
}

int64_t recovered_reserved(const struct recovered *found)
{
    int64_t reserved = reserve_behind(found->tail.end.offset);
    return found->reserved_offset > reserved ? found->reserved_offset : reserved;
}

int recovered_put(struct db *index, MDB_txn *txn, const struct beck_topic *topic, int32_t partition,
                  const struct recovered *found)
{
    uint32_t number = (uint32_t)partition;
    struct index_checkpoint checkpoint = {
        .end = found->tail.end,
        .records_end = found->records_end,
        .max_timestamp_ms = found->tail.max_timestamp_ms,
        .append_ms = found->tail.append_ms,
        .reserved_offset = recovered_reserved(found),
    };
    int r = found->has_checkpoint ? 0 : index_forget(index, txn, topic->number, number);
    for (size_t i = 0; r == 0 && i < found->sealed_count; i++)
        if (found->sealed[i].base_offset >= found->tail.log_start.segment)
            r = index_segment_put(index, txn, topic->number, number, &found->sealed[i]);
    for (size_t i = 0; r == 0 && i < found->entry_count;) {
        struct index_entry entries[INDEX_CHUNK_ENTRIES];
        uint32_t count = 0;
        int64_t segment = found->entries[i].segment;
        while (i < found->entry_count && found->entries[i].segment == segment &&
               count < INDEX_CHUNK_ENTRIES)
            entries[count++] = found->entries[i++].entry;
        r = index_entries_add(index, txn, topic->number, number, segment, entries, count);
    }
    if (r == 0)
        r = index_checkpoint_put(index, txn, topic->number, number, &checkpoint);
    if (r == 0 && (found->producers.count > 0 || !found->has_checkpoint))
        r = producers_put(index, txn, topic->number, number, &found->producers,
                          found->tail.end.offset);
    return r;
}

void recovered_remove(struct beck_store *store, const uint8_t topic_id[BECK_ID_BYTES],
                      int32_t partition, const int64_t *segments, size_t count)
{
    const struct io *io = store->io;
    char directory[STORE_TOPIC_PATH_BYTES];
    char name[SEGMENT_NAME_BYTES];
    char path[SEGMENT_PATH_BYTES];
    store_topic_path(directory, topic_id, partition);
    for (size_t i = 0; i < count; i++) {
        segment_name(name, segments[i]);
        (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
        (void)io->remove(io, store->directory, path, false);
    }
}
