/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing partitions, and keeping what a process knows of one in step with its slot. */
#include "partition.h"

#include "check.h"
#include "cleanup.h"
#include "follow.h"
#include "report.h"
#include "segments.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int partition_failed(const struct beck_partition *partition, int code, int64_t offset,
                     struct beck_error *error)
{
    report_place(error, partition->topic.name, partition->number, offset, -1);
    return code;
}

/* ---- opening and closing ------------------------------------------------------------------- */

static void partition_deactivate(struct beck_partition *partition);

static struct beck_partition *partition_free(struct beck_partition *partition)
{
    if (!partition)
        return NULL;
    segment_unref(partition->active);
    for (size_t i = 0; i < partition->segment_count; i++)
        segment_unref(partition->segments[i]);
    free(partition->segments);
    scan_done(&partition->scan);
    producers_done(&partition->producers);
    (void)pthread_mutex_destroy(&partition->lookup_mutex);
    (void)pthread_mutex_destroy(&partition->mutex);
    free(partition);
    return NULL;
}

static int partition_new(struct beck_store *store, const struct beck_topic *topic, int32_t number,
                         uint32_t slot, struct beck_partition **ret_partition)
{
    struct beck_partition *partition = calloc(1, sizeof(*partition));
    if (!partition)
        return -ENOMEM;
    partition->store = store;
    partition->topic = *topic;
    partition->number = number;
    partition->slot_number = slot;
    partition->slot = live_slot(&store->live, slot);
    partition->active_fd = -1;
    partition->references = 1;
    partition->scan.fd = -1;
    producers_init(&partition->producers);
    store_topic_path(partition->path, topic->id, number);
    CHECK(pthread_mutex_init(&partition->mutex, NULL) == 0);
    CHECK(pthread_mutex_init(&partition->lookup_mutex, NULL) == 0);
    *ret_partition = partition;
    return 0;
}

static int partition_lookup(struct beck_store *store, const char *topic, int32_t number,
                            struct beck_topic *ret_topic, uint32_t *ret_slot,
                            struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    struct meta_topic record;
    struct meta_partition location;

    int r = db_begin(&store->meta, false, &txn, error);
    if (r < 0)
        return r;
    r = meta_topic_get(&store->meta, txn, topic, &record);
    if (r == -ENOENT)
        return report(error, r, "there is no topic \"%.249s\"", topic);
    if (r < 0)
        return report(error, r, "meta.mdb: the record of topic %.249s is damaged", topic);
    if (number < 0 || (uint32_t)number >= record.topic.partition_count)
        return report(error, -ENOENT, "topic %s has no partition %d, but %u from 0 on", topic,
                      number, record.topic.partition_count);
    r = meta_partition_get(&store->meta, txn, record.topic.number, (uint32_t)number, &location);
    if (r < 0)
        return report(error, -EBADMSG, "meta.mdb: the record of topic %s partition %d is damaged",
                      topic, number);
    if (location.slot >= atomic_load(&live_store(&store->live)->slots))
        return report(error, -EBADMSG, "live: topic %s partition %d has no slot", topic, number);
    *ret_topic = record.topic;
    *ret_slot = location.slot;
    return 0;
}

/* A deletion that was not committed has closed the slot: open it again. -ENOENT: it was. */
static int reopen(struct beck_partition *partition, struct beck_error *error)
{
    struct beck_store *store = partition->store;
    struct live_slot *slot = partition->slot;
    struct beck_topic topic;
    uint32_t number;
    if (store->read_only)
        return report(error, -ENOENT, "topic %s is being deleted", partition->topic.name);
    /* Who deletes holds this lock until the commit. */
    pthread_mutex_t *maintenance = &live_store(&store->live)->maintenance;
    (void)live_lock(maintenance);
    int r =
        partition_lookup(store, partition->topic.name, partition->number, &topic, &number, error);
    if (r == 0 && topic.number != partition->topic.number)
        r = report(error, -ENOENT, "topic %s was deleted", topic.name);
    if (r == 0) {
        if (live_lock(&slot->append_mutex) == 1) {
            live_slot_mend(slot);
            atomic_fetch_or(&slot->flags, LIVE_TRUNCATE);
        }
        atomic_fetch_and(&slot->flags, ~(uint32_t)LIVE_DELETED);
        live_unlock(&slot->append_mutex);
    }
    live_unlock(maintenance);
    return r;
}

int partition_open(struct beck_store *store, const char *topic, int32_t number,
                   struct beck_partition **ret_partition, struct beck_error *error)
{
    struct beck_topic found;
    struct beck_partition *partition = NULL;
    uint32_t slot;
    int r = partition_lookup(store, topic, number, &found, &slot, error);
    if (r < 0)
        return r;

    CHECK(pthread_mutex_lock(&store->mutex) == 0);
    struct beck_partition *open = store->partitions[slot];
    if (open && open->topic.number == found.number && open->number == number) {
        open->references++;
        partition = open;
    } else {
        r = partition_new(store, &found, number, slot, &partition);
        if (r == 0)
            store->partitions[slot] = partition;
    }
    CHECK(pthread_mutex_unlock(&store->mutex) == 0);
    if (r < 0)
        return report(error, r, "out of memory");

    r = partition_is_deleted(partition) ? reopen(partition, error) : 0;
    if (r == 0)
        r = partition_refresh_config(partition, error);
    if (r < 0) {
        partition_close(partition);
        return r == -ESTALE ? report(error, -ENOENT, "topic %s was deleted", topic) : r;
    }
    *ret_partition = partition;
    return 0;
}

int partition_open_slot(struct beck_store *store, uint32_t number,
                        struct beck_partition **ret_partition, struct beck_error *error)
{
    const struct live_slot *slot = live_slot(&store->live, number);
    char name[BECK_TOPIC_NAME_BYTES + 1];
    uint8_t id[BECK_ID_BYTES];
    live_slot_topic_id(slot, id);
    {
        _cleanup_txn_ MDB_txn *txn = NULL;
        int r = db_begin(&store->meta, false, &txn, error);
        if (r == 0)
            r = meta_topic_name_of_id(&store->meta, txn, id, name);
        if (r < 0)
            return r == -ENOENT ? r : report(error, r, "meta.mdb: a topic's id is damaged");
    }
    return partition_open(store, name, (int32_t)slot->partition, ret_partition, error);
}

struct beck_partition *partition_close(struct beck_partition *partition)
{
    if (!partition)
        return NULL;
    struct beck_store *store = partition->store;
    CHECK(pthread_mutex_lock(&store->mutex) == 0);
    bool last = --partition->references == 0;
    if (last && store->partitions[partition->slot_number] == partition)
        store->partitions[partition->slot_number] = NULL;
    CHECK(pthread_mutex_unlock(&store->mutex) == 0);
    return last ? partition_free(partition) : NULL;
}

/* ---- the slot ------------------------------------------------------------------------------ */

bool partition_is_deleted(const struct beck_partition *partition)
{
    const struct live_slot *slot = partition->slot;
    return (atomic_load_explicit(&slot->flags, memory_order_relaxed) & LIVE_DELETED) ||
           slot->topic_number != partition->topic.number ||
           slot->partition != (uint32_t)partition->number;
}

int partition_tail(const struct beck_partition *partition, struct live_tail *ret_tail,
                   struct beck_error *error)
{
    follow_partition(partition);
    int r = live_tail_read(partition->slot, ret_tail);
    if (UNLIKELY(partition_is_deleted(partition))) {
        r = report(error, -ESTALE, "the topic was deleted");
        return partition_failed(partition, r, -1, error);
    }
    if (r < 0) {
        r = report(error, r, "live: the partition's slot is damaged");
        return partition_failed(partition, r, -1, error);
    }
    return 0;
}

int64_t partition_log_start(const struct beck_partition *partition)
{
    follow_partition(partition);
    return atomic_load_explicit(&partition->slot->log_start_offset, memory_order_acquire);
}

int partition_read_config(struct beck_partition *partition, struct beck_error *error)
{
    struct beck_store *store = partition->store;
    uint64_t generation = atomic_load(&live_store(&store->live)->generation);
    _cleanup_txn_ MDB_txn *txn = NULL;
    struct meta_topic record;
    struct meta_store defaults;
    struct config_resolved config;
    struct config_store of_store;
    int r = db_begin(&store->meta, false, &txn, error);
    if (r < 0)
        return r;
    r = meta_store_get(&store->meta, txn, &defaults);
    if (r < 0)
        return report(error, r, "meta.mdb: the store's record is damaged");
    r = meta_topic_get(&store->meta, txn, partition->topic.name, &record);
    if (r == -ENOENT || (r == 0 && record.topic.number != partition->topic.number))
        return report(error, -ESTALE, "topic %s was deleted", partition->topic.name);
    if (r < 0)
        return report(error, r, "meta.mdb: the record of topic %s is damaged",
                      partition->topic.name);
    config_resolve(&record.configs, &defaults.configs, &config);
    config_resolve_store(&defaults.configs, &of_store);
    atomic_store(&partition->max_message_bytes, config.max_message_bytes);
    atomic_store(&partition->segment_bytes, config.segment_bytes);
    atomic_store(&partition->segment_ms, config.segment_ms);
    atomic_store(&partition->timestamp_before_max_ms, config.timestamp_before_max_ms);
    atomic_store(&partition->timestamp_after_max_ms, config.timestamp_after_max_ms);
    atomic_store(&partition->compact, config.compact);
    atomic_store(&partition->retention_ms, config.retention_ms);
    atomic_store(&partition->retention_bytes, config.retention_bytes);
    atomic_store(&partition->deletes, config.deletes);
    atomic_store(&partition->log_append_time, config.log_append_time);
    atomic_store(&partition->flush_os, config.flush_os);
    atomic_store(&partition->producer_id_expiration_ms, of_store.producer_id_expiration_ms);
    atomic_store(&partition->config_generation, generation);
    return 0;
}

struct leftovers {
    struct beck_partition *partition;
    int directory;
    int64_t base_offset;
};

static int leftover_remove(void *context, const char *name)
{
    const struct leftovers *leftovers = context;
    const struct io *io = leftovers->partition->store->io;
    int64_t base;
    if (segment_name_parse(name, &base) < 0 || base <= leftovers->base_offset)
        return 0;
    return io->remove(io, leftovers->directory, name, false);
}

int partition_remove_files_above(struct beck_partition *partition, int64_t base_offset)
{
    const struct io *io = partition->store->io;
    if (partition->active && partition->active->base_offset > base_offset) {
        int64_t gone = partition->active->base_offset;
        partition_deactivate(partition);
        partition->active = segment_unref(partition->active);
        CHECK(pthread_mutex_lock(&partition->mutex) == 0);
        segments_drop(partition, gone);
        CHECK(pthread_mutex_unlock(&partition->mutex) == 0);
    }
    int fd = io->open(io, partition->store->directory, partition->path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    struct leftovers leftovers = {partition, fd, base_offset};
    int r = io_list(io, fd, leftover_remove, &leftovers);
    (void)io->close(io, fd);
    return r;
}

/* Cut what a dead or failed writer left behind the tail. */
static int partition_cut(struct beck_partition *partition, struct beck_error *error)
{
    const struct live_tail *tail = live_tail_locked(partition->slot);
    const struct io *io = partition->store->io;
    int r = partition_activate(partition, tail->end.segment, tail->end.position == 0, error);
    if (r < 0)
        return r;
    r = partition_remove_files_above(partition, tail->end.segment);
    if (r == 0)
        r = io->truncate(io, partition->active_fd, tail->end.position);
    if (r < 0)
        return report_errno(error, r, "cannot cut off what a failed append left");
    atomic_fetch_and(&partition->slot->flags, ~(uint32_t)LIVE_TRUNCATE);
    return 0;
}

int partition_lock(struct beck_partition *partition, struct beck_error *error)
{
    struct live_slot *slot = partition->slot;
    if (UNLIKELY(live_lock(&slot->append_mutex) == 1)) {
        live_slot_mend(slot);
        atomic_fetch_or(&slot->flags, LIVE_TRUNCATE);
    }
    int r = 0;
    if (UNLIKELY(partition_is_deleted(partition)))
        r = report(error, -ESTALE, "the topic was deleted");
    else if (UNLIKELY(atomic_load_explicit(&slot->flags, memory_order_relaxed) & LIVE_TRUNCATE))
        r = partition_cut(partition, error);
    if (r < 0)
        partition_unlock(partition);
    return r;
}

void partition_unlock(struct beck_partition *partition)
{
    partition_deactivate(partition);
    live_unlock(&partition->slot->append_mutex);
}

static void partition_deactivate(struct beck_partition *partition)
{
    if (partition->active_fd >= 0)
        segment_unpin(partition->active);
    partition->active_fd = -1;
}

int partition_activate(struct beck_partition *partition, int64_t base_offset, bool create,
                       struct beck_error *error)
{
    if (UNLIKELY(!partition->active || partition->active->base_offset != base_offset)) {
        struct segment *segment;
        CHECK(pthread_mutex_lock(&partition->mutex) == 0);
        int r = segments_active(partition, base_offset, &segment);
        if (r == 0)
            segment_ref(segment);
        CHECK(pthread_mutex_unlock(&partition->mutex) == 0);
        if (r < 0)
            return report(error, r, "out of memory");
        partition_deactivate(partition);
        segment_unref(partition->active);
        partition->active = segment;
    }
    if (partition->active_fd >= 0)
        return 0;
    int fd = segment_pin(partition->active, create);
    if (fd < 0)
        return report_errno(error, fd == -ENOENT ? -EBADMSG : fd, "cannot open segment %s",
                            partition->active->path);
    partition->active_fd = fd;
    return 0;
}
