/* SPDX-License-Identifier: Apache-2.0 */
/* beck.h: stores. Checks arguments and handles; the store layer does the work. */
#include "beck.h"

#include "backup.h"
#include "check.h"
#include "clean.h"
#include "cleanup.h"
#include "maintenance.h"
#include "open.h"
#include "partitioner.h"
#include "process.h"
#include "public.h"
#include "repair.h"
#include "report.h"
#include "store.h"

#include <errno.h>
#include <unistd.h>

#define STRING(x)  #x
#define VERSION(x) STRING(x)

BECK_PUBLIC const char *beck_version(void)
{
    return VERSION(BECK_VERSION_MAJOR) "." VERSION(BECK_VERSION_MINOR) "." VERSION(
        BECK_VERSION_PATCH);
}

BECK_PUBLIC int beck_store_create(const char *path, const struct beck_store_options *options,
                                  struct beck_error *error)
{
    if (!path || path[0] == '\0')
        return report(error, -EINVAL, "a store needs a path");
    return store_create(path, options, &io_system, error);
}

BECK_PUBLIC int beck_store_open(const char *path, unsigned flags,
                                const struct beck_store_options *options,
                                struct beck_store **ret_store, struct beck_error *error)
{
    if (!path || path[0] == '\0')
        return report(error, -EINVAL, "a store needs a path");
    if ((flags & ~(unsigned)(BECK_OPEN_READ_ONLY | BECK_OPEN_CREATE)) != 0 ||
        flags == (BECK_OPEN_READ_ONLY | BECK_OPEN_CREATE))
        return report(error, -EINVAL, "these flags do not go together");
    return store_open(path, flags, options, &io_system, ret_store, error);
}

BECK_PUBLIC struct beck_store *beck_store_close(struct beck_store *store)
{
    if (store)
        store_close(store);
    return NULL;
}

/* Count topics and partitions; damaged records are passed over. And how the store syncs. */
static int count_topics(struct beck_store *store, struct beck_store_info *info,
                        struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    struct meta_topic topic = {0};
    struct meta_store record;
    struct config_resolved config;
    int r = db_begin(&store->meta, false, &txn, error);
    if (r == 0 && (r = meta_store_get(&store->meta, txn, &record)) < 0)
        return report(error, r, "meta.mdb: the store's record is damaged");
    if (r == 0) {
        config_resolve(NULL, &record.configs, &config);
        info->flush_os = config.flush_os;
    }
    while (r >= 0 && (r = meta_topic_next(&store->meta, txn, topic.topic.name, &topic)) == 1) {
        info->topic_count++;
        info->partition_count += topic.topic.partition_count;
    }
    return r;
}

BECK_PUBLIC int beck_store_info(struct beck_store *store, struct beck_store_info *ret_info,
                                struct beck_error *error)
{
    struct beck_store_info info = {0};
    int r = store_check(store, error);
    if (r == 0)
        r = count_topics(store, &info, error);
    if (r < 0)
        return r;
    for (size_t i = 0; i < BECK_ID_BYTES; i++)
        info.id[i] = store->id[i];
    info.path = store->path;
    info.format_version = STORE_FORMAT_VERSION;
    info.read_only = store->read_only;
    if (store->is_broker)
        info.broker_pid = getpid();
    else if (store->live_fd >= 0 && !store->is_private &&
             store->io->lock_is_held(store->io, store->live_fd, LIVE_LOCK_BROKER) == 1)
        info.broker_pid = atomic_load(&live_store(&store->live)->broker_pid);
    *ret_info = info;
    return 0;
}

BECK_PUBLIC int beck_store_recovery(struct beck_store *store, uint32_t index,
                                    struct beck_recovery *ret_entry, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = store_check(store, error);
    if (r == 0)
        r = db_begin(&store->meta, false, &txn, error);
    if (r < 0)
        return r;
    r = meta_recovery_get(&store->meta, txn, index, ret_entry);
    return r < 0 ? report_errno(error, r, "meta.mdb: what recovery did cannot be read") : r;
}

BECK_PUBLIC int beck_store_recovery_forget(struct beck_store *store, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = store_check_writable(store, error);
    if (r == 0)
        r = db_begin(&store->meta, true, &txn, error);
    if (r < 0)
        return r;
    r = meta_recovery_clear(&store->meta, txn);
    if (r < 0)
        return report_errno(error, r, "meta.mdb: cannot be written");
    return db_commit(&store->meta, TAKE_POINTER(txn), error);
}

BECK_PUBLIC int beck_store_become_broker(struct beck_store *store, struct beck_error *error)
{
    int r = store_check_writable(store, error);
    if (r < 0)
        return r;
    struct live_store *shared = live_store(&store->live);
    CHECK(pthread_mutex_lock(&store->mutex) == 0);
    if (store->is_broker)
        r = -EBUSY;
    else
        r = store->io->lock(store->io, store->live_fd, LIVE_LOCK_BROKER, IO_LOCK_EXCLUSIVE, false);
    if (r == 0) {
        atomic_store(&shared->broker_pid, getpid());
        store->is_broker = true;
        process_set_role(store, LIVE_ROLE_BROKER, true);
    }
    CHECK(pthread_mutex_unlock(&store->mutex) == 0);
    if (r == -EAGAIN || r == -EBUSY)
        return report(error, -EBUSY, "another beckd has the store, process %d",
                      atomic_load(&shared->broker_pid));
    return r < 0 ? report_errno(error, r, "live: the broker role cannot be taken") : 0;
}

BECK_PUBLIC int beck_store_process_next(struct beck_store *store, uint32_t *position,
                                        struct beck_process *ret_process, struct beck_error *error)
{
    int r = store_check(store, error);
    return r < 0 ? r : process_next(store, position, ret_process);
}

BECK_PUBLIC int beck_store_lock_next(struct beck_store *store, uint32_t *position,
                                     struct beck_lock *ret_lock, struct beck_error *error)
{
    int r = store_check(store, error);
    return r < 0 ? r : process_lock_next(store, position, ret_lock);
}

BECK_PUBLIC int beck_store_maintain(struct beck_store *store, bool all, uint32_t *ret_next_ms,
                                    struct beck_error *error)
{
    int r = store_check_writable(store, error);
    return r < 0 ? r : maintenance_run(store, all, ret_next_ms, error);
}

BECK_PUBLIC int beck_store_clean(struct beck_store *store, bool (*stop)(void *context),
                                 void *context, uint32_t *ret_next_ms, struct beck_error *error)
{
    int r = store_check_writable(store, error);
    return r < 0 ? r : clean_run(store, stop, context, ret_next_ms, error);
}

BECK_PUBLIC int beck_store_backup(struct beck_store *store, const char *directory,
                                  const struct beck_backup_options *options,
                                  struct beck_error *error)
{
    int r = store_check(store, error);
    if (r == 0 && (!directory || directory[0] == '\0'))
        r = report(error, -EINVAL, "a backup needs a directory");
    return r < 0 ? r : backup_run(store, directory, options, error);
}

/* Take the next block of ids, durable before one of them is given out. */
static int producer_ids_reserve(struct beck_store *store, int64_t *ret_first,
                                struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    _cleanup_free_ struct meta_store *record = malloc(sizeof(*record));
    if (!record)
        return report(error, -ENOMEM, "out of memory");
    int r = db_begin(&store->meta, true, &txn, error);
    if (r < 0)
        return r;
    r = meta_store_get(&store->meta, txn, record);
    if (r < 0)
        return report(error, r, "meta.mdb: the store's record is damaged");
    int64_t first = record->next_producer_id;
    record->next_producer_id += PRODUCER_ID_BLOCK;
    r = meta_store_put(&store->meta, txn, record);
    if (r < 0)
        return report_errno(error, r, "meta.mdb: cannot be written");
    r = db_commit(&store->meta, TAKE_POINTER(txn), error);
    if (r == 0)
        *ret_first = first;
    return r;
}

BECK_PUBLIC int beck_producer_id_new(struct beck_store *store, int64_t *ret_producer_id,
                                     struct beck_error *error)
{
    int r = store_check_writable(store, error);
    if (r < 0)
        return r;
    CHECK(pthread_mutex_lock(&store->producer_ids_mutex) == 0);
    if (store->producer_id_next == store->producer_id_end) {
        int64_t first = 0;
        r = producer_ids_reserve(store, &first, error);
        if (r == 0) {
            store->producer_id_next = first;
            store->producer_id_end = first + PRODUCER_ID_BLOCK;
        }
    }
    if (r == 0)
        *ret_producer_id = store->producer_id_next++;
    CHECK(pthread_mutex_unlock(&store->producer_ids_mutex) == 0);
    return r;
}

BECK_PUBLIC uint64_t beck_store_generation(struct beck_store *store)
{
    return atomic_load(&live_store(&store->live)->generation);
}

BECK_PUBLIC uint32_t beck_partition_for_key(struct beck_store *store, const void *key,
                                            int32_t key_size, uint32_t partition_count)
{
    if (partition_count <= 1)
        return 0;
    if (key && key_size >= 0)
        return partitioner_for_key(key, (size_t)key_size, partition_count);
    if (store->read_only)
        return 0;
    uint64_t turn = atomic_fetch_add(&live_store(&store->live)->round_robin, 1);
    return (uint32_t)(turn % partition_count);
}

BECK_PUBLIC int beck_store_wake_fd(struct beck_store *store, struct beck_error *error)
{
    int r = store_check_writable(store, error);
    if (r < 0)
        return r;
    int fd = waiter_lend(&store->waiter);
    return fd < 0 ? report(error, -EUSERS, "%d processes wait on this store already",
                           BECK_WAITING_PROCESSES_MAX)
                  : fd;
}

BECK_PUBLIC void beck_store_wake_clear(struct beck_store *store)
{
    if (store_check(store, NULL) == 0)
        waiter_clear(&store->waiter);
}

BECK_PUBLIC int beck_store_wake_take(struct beck_store *store, uint32_t *ret_numbers, uint32_t room)
{
    int r = store_check(store, NULL);
    return r < 0 ? r : waiter_take(&store->waiter, ret_numbers, room);
}

BECK_PUBLIC void beck_store_arm(struct beck_store *store)
{
    if (store_check_writable(store, NULL) == 0)
        waiter_arm(&store->waiter, &live_store(&store->live)->armed);
}

BECK_PUBLIC int beck_store_repair(const char *path, unsigned flags,
                                  const struct beck_store_options *options,
                                  int (*step)(void *context, const struct beck_repair_step *found),
                                  void *context, struct beck_repair_totals *ret_totals,
                                  struct beck_error *error)
{
    if (!path || path[0] == '\0')
        return report(error, -EINVAL, "a store needs a path");
    if ((flags & ~(unsigned)(BECK_REPAIR_EXECUTE | BECK_REPAIR_DROP_DAMAGED)) != 0)
        return report(error, -EINVAL, "there are no such flags");
    return repair_store(path, flags, options, step, context, &io_system, ret_totals, error);
}
