/* SPDX-License-Identifier: Apache-2.0 */
/* Folders, slots, records and checkpoints of partitions that are to be. */
#include "topic_place.h"

#include "check.h"
#include "cleanup.h"
#include "report.h"
#include "topic_file.h"

#include <errno.h>
#include <fcntl.h>

/* ---- folders ------------------------------------------------------------------------------- */

/* A folder that an earlier attempt left is taken, unless there is something in it. */
static int make_folder(struct beck_store *store, const char *path, bool is_new)
{
    const struct io *io = store->io;
    int r = io->make_directory(io, store->directory, path, 0755);
    if (r != -EEXIST || is_new)
        return r;
    int fd = io->open(io, store->directory, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    r = io_has_names(io, fd);
    (void)io->close(io, fd);
    return r > 0 ? -EEXIST : r;
}

/* Make the folders, durable. */
static int make_folders(struct beck_store *store, const struct meta_topic *topic, uint32_t first,
                        struct beck_error *error)
{
    char directory[STORE_TOPIC_PATH_BYTES];
    char path[STORE_TOPIC_PATH_BYTES];
    store_topic_path(directory, topic->topic.id, -1);
    int r = first == 0 ? make_folder(store, directory, true) : 0;
    for (uint32_t i = first; r == 0 && i < topic->topic.partition_count; i++) {
        store_topic_path(path, topic->topic.id, i);
        r = make_folder(store, path, first == 0);
        if (r == -EEXIST)
            return report(error, r, "there are files in %s, which no partition has; move them away",
                          path);
    }
    if (r == 0)
        r = topic_file_write(store, topic); /* syncs the folder */
    if (r == 0 && first == 0)
        r = io_sync_names(store->io, store->directory, STORE_PATH_TOPICS);
    return r < 0 ? report_errno(error, r, "cannot make the folders of topic %s", topic->topic.name)
                 : 0;
}

/* ---- slots and records --------------------------------------------------------------------- */

/* From the very begin each partition has a checkpoint: where one is missing, index.mdb was lost. */
static int put_checkpoints(struct beck_store *store, const struct beck_topic *topic, uint32_t first,
                           struct beck_error *error)
{
    const struct live_tail tail = live_tail_empty(store_now_ms());
    const struct index_checkpoint checkpoint = {
        .max_timestamp_ms = tail.max_timestamp_ms,
        .append_ms = tail.append_ms,
        .reserved_offset = CHECKPOINT_RESERVED_OFFSETS,
    };
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(&store->index, true, &txn, error);
    if (r < 0)
        return r;
    for (uint32_t i = first; r == 0 && i < topic->partition_count; i++)
        r = index_checkpoint_put(&store->index, txn, topic->number, i, &checkpoint);
    if (r < 0)
        return report_errno(error, r, "index.mdb: cannot be written");
    return db_commit(&store->index, TAKE_POINTER(txn), error);
}

/* Give each partition a slot and a record. */
static int take_slots(struct beck_store *store, MDB_txn *txn, const struct beck_topic *topic,
                      uint32_t first, struct beck_error *error)
{
    struct live_tail tail = live_tail_empty(store_now_ms());
    uint32_t slot = 0;
    for (uint32_t i = first; i < topic->partition_count; i++) {
        int r = meta_slot_free(&store->meta, txn, slot + 1, &slot);
        if (r == -EMSGSIZE)
            return report(error, r, "the store has its %d partitions already", BECK_PARTITIONS_MAX);
        if (r == 0)
            r = live_grow(&store->live, slot);
        struct meta_partition record = {.slot = slot};
        if (r == 0)
            r = meta_partition_put(&store->meta, txn, topic->number, i, &record);
        if (r == 0)
            r = live_slot_take(live_slot(&store->live, slot), topic, i, &tail);
        if (r == 0)
            atomic_store(&live_slot(&store->live, slot)->reserved_offset,
                         CHECKPOINT_RESERVED_OFFSETS);
        if (r < 0)
            return report_errno(error, r, "no place for partition %u of topic %s", i, topic->name);
    }
    return 0;
}

int topic_place(struct beck_store *store, MDB_txn *txn, const struct meta_topic *topic,
                uint32_t first, struct beck_error *error)
{
    int r = make_folders(store, topic, first, error);
    if (r == 0)
        r = take_slots(store, txn, &topic->topic, first, error);
    return r < 0 ? r : put_checkpoints(store, &topic->topic, first, error);
}
