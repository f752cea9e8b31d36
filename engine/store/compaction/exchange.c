/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path, under the maintenance lock; first what the slot still has of the sources goes, which
 * a checkpoint has left there that was killed behind its commit: the next one would put it back:
 *
 *     1. commit: the sources out of the catalogue, the new segment and its entries in, the intent
 *     2. the new file is renamed over the first source, and the folder synced
 *     3. the slot says that the list of segments is another one
 *     4. the other sources' files are removed, and the folder synced
 *     5. commit: the intent is gone
 *
 * All from the second on may be done again, any number of times. Between the first and the second a
 * reader finds that the catalogue's segment is not the one in the folder: he reads the new file
 * under the name that it still has. The log start's place is found anew by who needs it before the
 * third (start_lock()).
 */
#include "exchange.h"

#include "check.h"
#include "cleanup.h"
#include "recover_start.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void exchange_path(char to[SEGMENT_PATH_BYTES], const char *directory, int64_t base_offset,
                   bool is_new)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(name, base_offset);
    int n =
        snprintf(to, SEGMENT_PATH_BYTES, "%s/%s%s", directory, name, is_new ? EXCHANGE_SUFFIX : "");
    CHECK(n > 0 && n < SEGMENT_PATH_BYTES);
}

/* ---- files --------------------------------------------------------------------------------- */

/* A file's size. -ENOENT. */
static int file_bytes(struct beck_store *store, const char *path, uint64_t *ret_bytes)
{
    const struct io *io = store->io;
    struct stat info;
    int fd = io_open_file(io, store->directory, path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    int r = io->stat(io, fd, &info);
    (void)io->close(io, fd);
    if (r == 0)
        *ret_bytes = (uint64_t)info.st_size;
    return r;
}

/* Give the new file its name, where it has not got it yet. */
static int rename_made(struct beck_store *store, const char *directory,
                       const struct cleaning_intent *intent, struct beck_error *error)
{
    char from[SEGMENT_PATH_BYTES];
    char to[SEGMENT_PATH_BYTES];
    uint64_t bytes = 0;
    if (intent->bytes == 0)
        return 0;
    exchange_path(from, directory, intent->sources[0], true);
    exchange_path(to, directory, intent->sources[0], false);
    int r = file_bytes(store, from, &bytes);
    if (r == -ENOENT) {
        r = file_bytes(store, to, &bytes);
        if (r == 0 && bytes == intent->bytes)
            return 0;
        return r < 0 && r != -ENOENT ? report_errno(error, r, "cannot look at segment %s", to)
                                     : report(error, -EBADMSG,
                                              "segment %s was compacted, and the "
                                              "new file is missing",
                                              to);
    }
    if (r == 0 && bytes != intent->bytes)
        return report(error, -EBADMSG, "%s has %" PRIu64 " bytes, not %" PRIu64, from, bytes,
                      intent->bytes);
    if (r == 0)
        r = store->io->rename(store->io, store->directory, from, to);
    if (r == 0)
        r = io_sync_names(store->io, store->directory, directory);
    return r < 0 ? report_errno(error, r, "cannot put the compacted segment %s in place", to) : 0;
}

static int remove_sources(struct beck_store *store, const char *directory,
                          const struct cleaning_intent *intent, struct beck_error *error)
{
    char path[SEGMENT_PATH_BYTES];
    int r = 0;
    for (uint32_t i = intent->bytes > 0 ? 1 : 0; i < intent->source_count; i++) {
        exchange_path(path, directory, intent->sources[i], false);
        r = store->io->remove(store->io, store->directory, path, false);
        if (r < 0 && r != -ENOENT)
            return report_errno(error, r, "cannot remove segment %s, which was compacted", path);
    }
    r = io_sync_names(store->io, store->directory, directory);
    return r < 0 ? report_errno(error, r, "cannot sync %s", directory) : 0;
}

/* ---- the slot ------------------------------------------------------------------------------ */

static void slot_lock(struct live_slot *slot)
{
    if (live_lock(&slot->append_mutex) == 1) {
        live_slot_mend(slot);
        atomic_fetch_or(&slot->flags, LIVE_TRUNCATE);
    }
}

/* The sources, and all before them, are in the catalogue. */
static void forget_rolled(struct beck_partition *partition, const struct cleaning_intent *intent)
{
    struct live_slot *slot = partition->slot;
    slot_lock(slot);
    if (!partition_is_deleted(partition))
        live_rolled_forget(slot, intent->next_offset);
    live_unlock(&slot->append_mutex);
}

/* Let everybody take the list of segments anew. */
static void publish(struct beck_partition *partition, const struct cleaning_intent *intent,
                    const struct log_point *log_start, uint64_t log_start_bytes)
{
    struct live_slot *slot = partition->slot;
    slot_lock(slot);
    if (!partition_is_deleted(partition)) {
        struct live_tail tail = *live_tail_locked(slot);
        /* A checkpoint would take entries of the old files for those of the new one. */
        live_ring_forget(slot, intent->next_offset);
        tail.log_start = *log_start;
        tail.log_start_bytes = log_start_bytes;
        tail.view_generation++;
        tail.segments_generation++;
        live_tail_publish(slot, &tail);
    }
    live_unlock(&slot->append_mutex);
}

/* ---- one exchange -------------------------------------------------------------------------- */

static int forget_intent(struct beck_partition *partition, struct beck_error *error)
{
    struct db *index = &partition->store->index;
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(index, true, &txn, error);
    if (r < 0)
        return r;
    r = cleanings_delete(index, txn, partition->topic.number, (uint32_t)partition->number);
    if (r < 0)
        return report_errno(error, r, "index.mdb: cannot be written");
    return db_commit(index, TAKE_POINTER(txn), error);
}

/* Do what follows the commit. Under the maintenance lock. */
static int carry_out(struct beck_partition *partition, const struct cleaning_intent *intent,
                     struct beck_error *error)
{
    struct beck_store *store = partition->store;
    int r = rename_made(store, partition->path, intent, error);
    if (r == -EBADMSG) {
        /* There is nothing that could be done: who reads it is told so. */
        (void)forget_intent(partition, NULL);
        return r;
    }
    if (r < 0)
        return r;
    struct log_point log_start;
    uint64_t log_start_bytes;
    r = recover_start_again(partition, &log_start, &log_start_bytes, error);
    if (r < 0)
        return r;
    publish(partition, intent, &log_start, log_start_bytes);
    r = remove_sources(store, partition->path, intent, error);
    return r < 0 ? r : forget_intent(partition, error);
}

static bool is_as_read(struct beck_partition *partition, MDB_txn *txn,
                       const struct segment_record *read)
{
    struct segment_record now;
    return index_segment_get(&partition->store->index, txn, partition->topic.number,
                             (uint32_t)partition->number, read->base_offset, &now) == 0 &&
           now.bytes == read->bytes && now.next_offset == read->next_offset;
}

static int put_made(const struct exchange *exchange, MDB_txn *txn)
{
    struct beck_partition *partition = exchange->partition;
    struct db *index = &partition->store->index;
    uint32_t topic = partition->topic.number;
    uint32_t number = (uint32_t)partition->number;
    if (!exchange->made)
        return 0;
    int r = index_segment_put(index, txn, topic, number, exchange->made);
    if (r == 0 && exchange->entry_count > 0)
        r = index_entries_add(index, txn, topic, number, exchange->made->base_offset,
                              exchange->entries, exchange->entry_count);
    return r;
}

static int exchange_commit(const struct exchange *exchange, const struct cleaning_intent *intent,
                           struct beck_error *error)
{
    struct beck_partition *partition = exchange->partition;
    struct db *index = &partition->store->index;
    struct cleaning_intent earlier;
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(index, true, &txn, error);
    if (r < 0)
        return r;
    if (cleanings_get(index, txn, partition->topic.number, (uint32_t)partition->number, &earlier) !=
        -ENOENT)
        return report(error, -EBUSY, "an earlier exchange of segments has not come to its end");
    for (uint32_t i = 0; i < exchange->source_count; i++)
        if (!is_as_read(partition, txn, &exchange->sources[i]))
            return report(error, -ESTALE, "the segments are others by now");
    for (uint32_t i = 0; r == 0 && i < exchange->source_count; i++)
        r = index_segment_delete(index, txn, partition->topic.number, (uint32_t)partition->number,
                                 exchange->sources[i].base_offset);
    if (r == 0)
        r = put_made(exchange, txn);
    if (r == 0)
        r = cleanings_put(index, txn, partition->topic.number, (uint32_t)partition->number, intent);
    if (r < 0)
        return report_errno(error, r, "index.mdb: cannot write down the compacted segment");
    return db_commit(index, TAKE_POINTER(txn), error);
}

int exchange_run(const struct exchange *exchange, struct beck_error *error)
{
    struct beck_partition *partition = exchange->partition;
    struct beck_store *store = partition->store;
    pthread_mutex_t *lock = &live_store(&store->live)->maintenance;
    _cleanup_free_ struct cleaning_intent *intent = calloc(1, sizeof(*intent));
    if (!intent)
        return report(error, -ENOMEM, "out of memory");
    CHECK(exchange->source_count > 0 && exchange->source_count <= CLEANING_SOURCES_MAX);
    intent->source_count = exchange->source_count;
    intent->next_offset = exchange->sources[exchange->source_count - 1].next_offset;
    for (uint32_t i = 0; i < exchange->source_count; i++)
        intent->sources[i] = exchange->sources[i].base_offset;
    if (exchange->made) {
        CHECK(exchange->made->bytes > 0 && exchange->made->bytes != exchange->sources[0].bytes &&
              exchange->made->base_offset == intent->sources[0]);
        intent->bytes = exchange->made->bytes;
        memcpy(intent->digest, exchange->made->digest, sizeof(intent->digest));
    }
    (void)live_lock(lock);
    int r = partition_is_deleted(partition) ? report(error, -ESTALE, "the topic was deleted") : 0;
    if (r == 0) {
        forget_rolled(partition, intent);
        r = exchange_commit(exchange, intent, error);
    }
    if (r == 0)
        r = carry_out(partition, intent, error);
    live_unlock(lock);
    return r;
}

/* ---- what others left ---------------------------------------------------------------------- */

bool exchange_is_due(struct beck_store *store, bool all, uint32_t *next_ms)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    uint32_t topic_number = 0;
    uint32_t partition = 0;
    (void)all;
    (void)next_ms;
    return db_begin(&store->index, false, &txn, NULL) == 0 &&
           cleanings_next(&store->index, txn, &topic_number, &partition) == 0;
}

static int open_partition(struct beck_store *store, uint32_t topic_number, uint32_t number,
                          struct beck_partition **ret_partition, struct beck_error *error)
{
    uint32_t slots = atomic_load(&live_store(&store->live)->slots);
    for (uint32_t i = 1; i < slots; i++) {
        const struct live_slot *slot = live_slot(&store->live, i);
        if (slot->topic_number == topic_number && slot->partition == number)
            return partition_open_slot(store, i, ret_partition, error);
    }
    return -ENOENT;
}

/* One that is damaged stays: from it recovery knows that it has to read the files. */
int exchange_finish_partition(struct beck_partition *partition, struct beck_error *error)
{
    struct beck_store *store = partition->store;
    _cleanup_txn_ MDB_txn *txn = NULL;
    _cleanup_free_ struct cleaning_intent *intent = calloc(1, sizeof(*intent));
    int r = intent ? db_begin(&store->index, false, &txn, error)
                   : report(error, -ENOMEM, "out of memory");
    if (r < 0)
        return r;
    r = cleanings_get(&store->index, txn, partition->topic.number, (uint32_t)partition->number,
                      intent);
    mdb_txn_abort(TAKE_POINTER(txn));
    if (r == 0)
        return carry_out(partition, intent, error);
    return r == -ENOENT || r == -EBADMSG ? 0 : r;
}

/* The next partition that has something to be finished. Returns 1, or 0. */
static int next_exchange(struct beck_store *store, uint32_t *topic_number, uint32_t *number,
                         struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(&store->index, false, &txn, error);
    if (r == 0)
        r = cleanings_next(&store->index, txn, topic_number, number);
    return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

int exchange_finish(struct beck_store *store, bool all, struct beck_error *error)
{
    uint32_t topic_number = 0;
    uint32_t number = 0;
    int result = 0;
    int r;
    (void)all;
    while ((r = next_exchange(store, &topic_number, &number, error)) == 1) {
        struct beck_partition *partition = NULL;
        r = open_partition(store, topic_number, number, &partition, error);
        if (r == 0)
            r = exchange_finish_partition(partition, error);
        partition_close(partition);
        if (r < 0 && r != -ENOENT && result == 0) /* one that is deleted goes with all it had */
            result = r;
    }
    return result < 0 ? result : r;
}

int exchange_finish_now(struct beck_store *store, struct beck_error *error)
{
    pthread_mutex_t *lock = &live_store(&store->live)->maintenance;
    if (!exchange_is_due(store, true, NULL))
        return 0;
    (void)live_lock(lock);
    int r = exchange_finish(store, true, error);
    live_unlock(lock);
    return r;
}

bool exchange_has_made(struct beck_partition *partition, struct segment *segment)
{
    struct db *index = &partition->store->index;
    _cleanup_txn_ MDB_txn *txn = NULL;
    _cleanup_free_ struct cleaning_intent *intent = calloc(1, sizeof(*intent));
    if (!intent || db_begin(index, false, &txn, NULL) < 0 ||
        cleanings_get(index, txn, partition->topic.number, (uint32_t)partition->number, intent) <
            0 ||
        intent->sources[0] != segment->base_offset || intent->bytes != segment->bytes)
        return false;
    atomic_store(&segment->is_new, true);
    return true;
}

/* ---- recovery ------------------------------------------------------------------------------ */

struct leftovers {
    struct beck_store *store;
    int directory;
};

static int remove_leftover(void *context, const char *name)
{
    const struct leftovers *leftovers = context;
    const struct io *io = leftovers->store->io;
    size_t size = strlen(name);
    size_t suffix = sizeof(EXCHANGE_SUFFIX) - 1;
    if (size != SEGMENT_NAME_BYTES - 1 + suffix ||
        strcmp(name + size - suffix, EXCHANGE_SUFFIX) != 0)
        return 0;
    return io->remove(io, leftovers->directory, name, false);
}

int exchange_recover(struct beck_store *store, MDB_txn *txn, const struct beck_topic *topic,
                     uint32_t partition, struct beck_error *error)
{
    const struct io *io = store->io;
    char directory[STORE_TOPIC_PATH_BYTES];
    _cleanup_free_ struct cleaning_intent *intent = calloc(1, sizeof(*intent));
    bool is_lost = false;
    if (!intent)
        return report(error, -ENOMEM, "out of memory");
    store_topic_path(directory, topic->id, partition);
    int r = cleanings_get(&store->index, txn, topic->number, partition, intent);
    if (r == 0) {
        r = rename_made(store, directory, intent, error);
        if (r == 0)
            r = remove_sources(store, directory, intent, error);
        if (r == 0 || r == -EBADMSG)
            r = cleanings_delete(&store->index, txn, topic->number, partition);
    } else if (r == -EBADMSG) {
        /* Was the new file renamed? Before that all of the old ones are there, and after that there
         * is none of its first name: what there is is the log. */
        is_lost = true;
        r = index_forget(&store->index, txn, topic->number, partition);
    }
    if (r < 0 && r != -ENOENT)
        return report_errno(error, r, "an exchange of segments cannot be carried out");
    int fd = io->open(io, store->directory, directory, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return is_lost; /* recovery says so itself */
    struct leftovers leftovers = {store, fd};
    r = io_list(io, fd, remove_leftover, &leftovers);
    (void)io->close(io, fd);
    if (r < 0)
        (void)report_errno(error, r, "cannot tidy up %s", directory);
    /* What index.mdb knew is forgotten, whatever came of the left-overs. */
    return is_lost ? 1 : r;
}
