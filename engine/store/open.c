/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing a store. The order at opening, under the gate (a lock on a byte of `live`):
 * LMDB's files; then whether anybody else is here; who is alone recovers; at the end the lock on
 * presence is shared, and the gate is let go. A store that is open in this process is found in the
 * registry, because LMDB may open a file only once in a process.
 *
 * Who may only read takes no part in that: he looks at the slots where others keep them right, or
 * else at slots of his own, made as recovery would make them.
 */
#include "open.h"

#include "check.h"
#include "cleanup.h"
#include "compression.h"
#include "create.h"
#include "maintenance.h"
#include "meta_copy.h"
#include "process.h"
#include "recovery.h"
#include "report.h"
#include "retention.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The stores that this process has open. */
static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct beck_store *registry;
static pthread_once_t registry_once = PTHREAD_ONCE_INIT;

/* Who had it in the parent is not here to let go of it. What he was at is no matter of the child's:
 * a store is in the list whole, or not at all. */
static void registry_in_child(void)
{
    (void)pthread_mutex_init(&registry_mutex, NULL);
}

static void registry_watch_forks(void)
{
    CHECK(pthread_atfork(NULL, NULL, registry_in_child) == 0);
}

static void registry_lock(void)
{
    CHECK(pthread_once(&registry_once, registry_watch_forks) == 0);
    CHECK(pthread_mutex_lock(&registry_mutex) == 0);
}

static void registry_unlock(void)
{
    CHECK(pthread_mutex_unlock(&registry_mutex) == 0);
}

static struct beck_store *registry_find(const struct stat *info)
{
    for (struct beck_store *store = registry; store; store = store->next)
        if (store->device == info->st_dev && store->inode == info->st_ino &&
            store_check(store, NULL) == 0)
            return store;
    return NULL;
}

/* ---- creating ------------------------------------------------------------------------------ */

/* Under the registry's mutex. */
static int registry_create(const char *path, uint64_t map_bytes, const struct config_set *configs,
                           const struct io *io, int directory, struct beck_error *error)
{
    struct stat info;
    int r = io->stat(io, directory, &info);
    if (r == 0 && registry_find(&info))
        return report(error, -EEXIST, "there is a store already");
    if (r == 0 && create_lost_meta(io, directory))
        return report(error, -EBADMSG, CREATE_LOST_META);
    if (r == 0)
        r = create_is_foreign(io, directory);
    /* A store gets files that its creation does not make: copies, side files, a socket. */
    if (r > 0 && create_has_meta(io, directory))
        return report(error, -EEXIST, "there is a store already");
    if (r > 0)
        return report(error, -ENOTEMPTY, "is not empty, and no store");
    if (r < 0)
        return report_errno(error, r, "cannot be read");
    return create_in(path, directory, map_bytes, configs, io, error);
}

int store_create(const char *path, const struct beck_store_options *options, const struct io *io,
                 struct beck_error *error)
{
    _cleanup_free_ struct config_set *configs = calloc(1, sizeof(*configs));
    int r = configs ? 0 : report(error, -ENOMEM, "out of memory");
    for (size_t i = 0; r == 0 && options && i < options->config_count; i++)
        r = config_set_put(configs, CONFIG_OF_STORE, options->configs[i].name,
                           options->configs[i].value, error);
    if (r == 0)
        r = config_set_check(configs, NULL, error);
    if (r < 0)
        return r;
    r = io->make_directory(io, AT_FDCWD, path, 0755);
    if (r < 0 && r != -EEXIST)
        return report_errno(error, r, "%s: cannot be made", path);
    _cleanup_close_ int directory = io->open(io, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (directory < 0)
        return report_errno(error, directory, "%s: cannot be opened", path);
    registry_lock();
    r = registry_create(path, options ? options->map_bytes : 0, configs, io, directory, error);
    registry_unlock();
    if (r < 0)
        report_prefix(error, "%s", path);
    return r;
}

/* ---- opening ------------------------------------------------------------------------------- */

static int open_databases(struct beck_store *store, uint64_t map_bytes, struct beck_error *error)
{
    unsigned flags = store->read_only ? DB_OPEN_READ_ONLY : 0;
    _cleanup_txn_ MDB_txn *txn = NULL;
    _cleanup_free_ struct meta_store *record = calloc(1, sizeof(*record));
    if (!record)
        return report(error, -ENOMEM, "out of memory");
    int r =
        db_open(&store->meta, store->path, STORE_PATH_META, flags, map_bytes, &meta_layout, error);
    if (r == -ENOENT && create_lost_meta(store->io, store->directory))
        return report(error, -EBADMSG, CREATE_LOST_META);
    if (r == -ENOENT)
        return report(error, r, "there is no store; \"beck store create\" makes one");
    if (r == 0)
        r = db_begin(&store->meta, false, &txn, error);
    if (r == 0)
        r = meta_format_check(&store->meta, txn, error);
    if (r == 0)
        r = meta_features_check(&store->meta, txn, store->read_only, error);
    if (r < 0)
        return r;
    r = meta_store_get(&store->meta, txn, record);
    if (r < 0)
        return report(error, r, "meta.mdb: the store's record is damaged");
    memcpy(store->id, record->id, sizeof(store->id));
    mdb_txn_abort(TAKE_POINTER(txn));
    return store->read_only ? 0 : db_complete(&store->meta, &meta_layout, error);
}

/* What is no file was not put there by us, and is not ours to remove. */
static bool index_is_file(struct beck_store *store)
{
    struct stat info;
    _cleanup_close_ int fd =
        store->io->open(store->io, store->directory, STORE_PATH_INDEX, O_PATH, 0);
    return fd >= 0 && store->io->stat(store->io, fd, &info) == 0 && S_ISREG(info.st_mode);
}

/* index.mdb can be made again: where it is missing or damaged, and nobody has it open, it is. */
static int open_index(struct beck_store *store, uint64_t map_bytes, bool alone,
                      struct beck_error *error)
{
    unsigned flags = store->read_only ? DB_OPEN_READ_ONLY : DB_OPEN_CREATE;
    int r = db_open(&store->index, store->path, STORE_PATH_INDEX, flags, map_bytes, &index_layout,
                    error);
    if (r == -ENOENT)
        return report(error, -EBADMSG,
                      "index.mdb: it is missing; who opens the store for writing makes it anew");
    if (r != -EBADMSG || store->read_only || !alone || !index_is_file(store))
        return r;
    r = store->io->remove(store->io, store->directory, STORE_PATH_INDEX, false);
    if (r < 0)
        return report_errno(error, r, "index.mdb: is damaged, and cannot be removed");
    return db_open(&store->index, store->path, STORE_PATH_INDEX, flags, map_bytes, &index_layout,
                   error);
}

static int put_clean(struct beck_store *store, bool clean, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(&store->index, true, &txn, error);
    if (r < 0)
        return r;
    r = index_clean_put(&store->index, txn, clean);
    if (r < 0)
        return report_errno(error, r, "index.mdb: cannot be written");
    return db_commit(&store->index, TAKE_POINTER(txn), error);
}

/* Share the locks that say who is here. The first who may write, where readers only were, takes
 * back what the last one before him said. */
static int come_in(struct beck_store *store, bool alone, struct beck_error *error)
{
    const struct io *io = store->io;
    int r = io->lock(io, store->live_fd, LIVE_LOCK_WRITER, IO_LOCK_EXCLUSIVE, false);
    if (r == 0 && !alone) {
        r = put_clean(store, false, error);
        if (r < 0)
            return r;
    }
    if (r == 0 || r == -EAGAIN)
        r = io->lock(io, store->live_fd, LIVE_LOCK_WRITER, IO_LOCK_SHARED, true);
    if (r == 0)
        r = io->lock(io, store->live_fd, LIVE_LOCK_PRESENCE, IO_LOCK_SHARED, true);
    if (r < 0)
        return report_errno(error, r, "live: cannot be locked");
    process_enter(store);
    return 0;
}

/* Come in: find out whether others are here, and have the slots. With the gate held. */
static int enter(struct beck_store *store, uint64_t map_bytes, struct beck_error *error)
{
    const struct io *io = store->io;
    int r = io->lock(io, store->live_fd, LIVE_LOCK_PRESENCE, IO_LOCK_EXCLUSIVE, false);
    bool alone = r == 0;
    if (r < 0 && r != -EAGAIN)
        return report_errno(error, r, "live: cannot be locked");
    r = live_map(&store->live, io, store->live_fd, true);
    if (r < 0)
        return report_errno(error, r, "live: cannot be mapped");
    r = open_index(store, map_bytes, alone, error);
    if (r == 0)
        r = alone ? recovery_run(store, error) : live_verify(&store->live, error);
    if (r < 0)
        return r;
    db_reserve(&store->meta);
    db_reserve(&store->index);
    return come_in(store, alone, error);
}

/* The same for who may only read. */
static int enter_read_only(struct beck_store *store, uint64_t map_bytes, struct beck_error *error)
{
    const struct io *io = store->io;
    int held = store->live_fd < 0 ? 0 : io->lock_is_held(io, store->live_fd, LIVE_LOCK_PRESENCE);
    if (held < 0)
        return report_errno(error, held, "live: cannot be locked");
    store->is_private = !held;
    int r = open_index(store, map_bytes, false, error);
    if (r < 0)
        return r;
    if (store->is_private)
        return recovery_run(store, error);
    r = io->lock(io, store->live_fd, LIVE_LOCK_PRESENCE, IO_LOCK_SHARED, true);
    if (r == 0)
        r = live_map(&store->live, io, store->live_fd, false);
    if (r < 0)
        return report_errno(error, r, "live: cannot be mapped");
    return live_verify(&store->live, error);
}

static int store_enter(struct beck_store *store, uint64_t map_bytes, struct beck_error *error)
{
    const struct io *io = store->io;
    int flags = store->read_only ? O_RDONLY : O_RDWR | O_CREAT;
    int fd = io_open_file(io, store->directory, STORE_PATH_LIVE, flags, 0644);
    if (fd == -EBADMSG)
        return report(error, -EINVAL,
                      "live: it is no regular file; move it away, and it is made anew");
    if (fd < 0 && !(store->read_only && fd == -ENOENT))
        return report_errno(error, fd, "live: cannot be opened");
    store->live_fd = fd < 0 ? -1 : fd;
    enum io_lock gate = store->read_only ? IO_LOCK_SHARED : IO_LOCK_EXCLUSIVE;
    int r = fd < 0 ? 0 : io->lock(io, fd, LIVE_LOCK_GATE, gate, true);
    if (r < 0)
        return report_errno(error, r, "live: cannot be locked");
    r = store->read_only ? enter_read_only(store, map_bytes, error)
                         : enter(store, map_bytes, error);
    if (fd >= 0)
        (void)io->lock(io, fd, LIVE_LOCK_GATE, IO_LOCK_NONE, false);
    return r;
}

/* Let go of all locks. Closing the descriptor does not, where a child has a copy of it since a
 * fork; and that child must not, for they are its parent's. */
static void release_locks(struct beck_store *store)
{
    if (store->live_fd < 0 || store_check(store, NULL) < 0)
        return;
    int doorbell = atomic_load(&store->waiter.index);
    if (doorbell >= 0)
        (void)store->io->lock(store->io, store->live_fd, LIVE_LOCK_WAITER + (uint64_t)doorbell,
                              IO_LOCK_NONE, false);
    if (store->process >= 0)
        (void)store->io->lock(store->io, store->live_fd,
                              LIVE_LOCK_PROCESS + (uint64_t)store->process, IO_LOCK_NONE, false);
    for (uint64_t byte = LIVE_LOCK_CLEANER + 1; byte-- > 0;)
        (void)store->io->lock(store->io, store->live_fd, byte, IO_LOCK_NONE, false);
}

static void store_free(struct beck_store *store)
{
    for (size_t i = 0; i < STORE_SPARES; i++)
        decompressor_free(atomic_load(&store->spares[i]));
    /* In a forked child LMDB's files stay open: closing one would let go of the locks that the
     * child has by opening the store anew. */
    if (store_check(store, NULL) == 0) {
        db_close(&store->index);
        db_close(&store->meta);
    }
    live_unmap(&store->live);
    live_unmap(&store->followed);
    waiter_done(&store->waiter);
    segment_files_done(&store->files);
    release_locks(store);
    if (store->live_fd >= 0)
        (void)store->io->close(store->io, store->live_fd);
    if (store->directory >= 0)
        (void)store->io->close(store->io, store->directory);
    combine_done(&store->combine);
    (void)pthread_mutex_destroy(&store->producer_ids_mutex);
    (void)pthread_mutex_destroy(&store->mutex);
    retention_done(store);
    free(store->partitions);
    free(store->path);
    free(store);
}

static int store_new(const char *path, unsigned flags, const struct io *io, int directory,
                     struct beck_store **ret_store)
{
    struct beck_store *store = calloc(1, sizeof(*store));
    if (!store)
        return -ENOMEM;
    store->path = strdup(path);
    store->partitions = calloc(LIVE_SLOTS_MAX, sizeof(*store->partitions));
    if (!store->path || !store->partitions) {
        free(store->path);
        free(store->partitions);
        free(store);
        return -ENOMEM;
    }
    store->io = io;
    store->directory = directory;
    store->live_fd = -1;
    store->live.fd = -1;
    store->process = -1;
    store->read_only = flags & BECK_OPEN_READ_ONLY;
    store->fork_generation = store_fork_generation();
    store->references = 1;
    atomic_init(&store->meta_copy_due_ms, store_monotonic_ms() + META_COPY_FIRST_MS);
    CHECK(pthread_mutex_init(&store->mutex, NULL) == 0);
    CHECK(pthread_mutex_init(&store->producer_ids_mutex, NULL) == 0);
    combine_init(&store->combine);
    segment_files_init(&store->files, io, directory, store->read_only);
    waiter_init(&store->waiter, io, directory, -1);
    *ret_store = store;
    return 0;
}

/* Open what is not open in this process. Under the registry's mutex. */
static int store_open_new(const char *path, unsigned flags,
                          const struct beck_store_options *options, const struct io *io,
                          int directory, struct beck_store **ret_store, struct beck_error *error)
{
    uint64_t map_bytes = options ? options->map_bytes : 0;
    struct beck_store *store;
    int r = io_is_network(directory);
    if (r > 0)
        return report(error, -ENODEV, "is on a network file system, which cannot hold a store");
    int own = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (own < 0)
        return report_errno(error, -errno, "cannot be opened");
    r = store_new(path, flags, io, own, &store);
    if (r < 0) {
        (void)io->close(io, own);
        return report(error, r, "out of memory");
    }
    store->compaction_bytes = options ? options->compaction_bytes : 0;
    r = open_databases(store, map_bytes, error);
    if (r == 0)
        r = store_enter(store, map_bytes, error);
    if (r < 0) {
        store_free(store);
        return r;
    }
    store->waiter.live_fd = store->read_only ? -1 : store->live_fd;
    *ret_store = store;
    return 0;
}

static int registry_open(const char *path, unsigned flags, const struct beck_store_options *options,
                         const struct io *io, int directory, struct beck_store **ret_store,
                         struct beck_error *error)
{
    struct stat info;
    int r = io->stat(io, directory, &info);
    if (r < 0)
        return report_errno(error, r, "cannot be opened");
    struct beck_store *store = registry_find(&info);
    if (store && store->read_only && !(flags & BECK_OPEN_READ_ONLY))
        return report(error, -EBUSY, "this process has the store open read-only; close that first");
    if (store) {
        store->references++;
    } else {
        r = store_open_new(path, flags, options, io, directory, &store, error);
        if (r < 0)
            return r;
        store->device = info.st_dev;
        store->inode = info.st_ino;
        store->next = registry;
        registry = store;
    }
    *ret_store = store;
    return 0;
}

int store_open(const char *path, unsigned flags, const struct beck_store_options *options,
               const struct io *io, struct beck_store **ret_store, struct beck_error *error)
{
    if (flags & BECK_OPEN_CREATE) {
        int r = store_create(path, options, io, error);
        if (r < 0 && r != -EEXIST && r != -ENOTEMPTY)
            return r;
    }
    _cleanup_close_ int directory = io->open(io, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (directory == -ENOENT)
        return report(error, directory,
                      "%s: there is no such directory; \"beck store create\" makes a store", path);
    if (directory < 0)
        return report_errno(error, directory, "%s: cannot be opened as a store", path);
    registry_lock();
    int r = registry_open(path, flags, options, io, directory, ret_store, error);
    registry_unlock();
    if (r < 0)
        report_prefix(error, "%s", path);
    return r;
}

/* ---- closing ------------------------------------------------------------------------------- */

/* Is there anything that a next opening would have to read, or could not believe? */
static bool is_all_done(struct beck_store *store)
{
    uint32_t slots = atomic_load(&live_store(&store->live)->slots);
    for (uint32_t i = 1; i < slots; i++) {
        const struct live_slot *slot = live_slot(&store->live, i);
        uint32_t flags = atomic_load(&slot->flags);
        if (!(flags & LIVE_DELETED) && (atomic_load(&slot->dirty_ms) != 0 || flags & LIVE_FAILED))
            return false;
    }
    return true;
}

/* Leave nothing to be scanned; the last who may write says so. */
static void leave(struct beck_store *store)
{
    const struct io *io = store->io;
    if (store->read_only || store_check(store, NULL) < 0)
        return;
    /* Before the gate is taken: it may last, and others want to come in. */
    if (maintenance_checkpoint(store, NULL) < 0)
        return;
    if (io->lock(io, store->live_fd, LIVE_LOCK_GATE, IO_LOCK_EXCLUSIVE, true) < 0)
        return;
    if (io->lock(io, store->live_fd, LIVE_LOCK_WRITER, IO_LOCK_EXCLUSIVE, false) == 0 &&
        is_all_done(store) && put_clean(store, true, NULL) == 0)
        (void)meta_copy_make(store, NULL);
}

void store_close(struct beck_store *store)
{
    registry_lock();
    if (--store->references > 0) {
        registry_unlock();
        return;
    }
    struct beck_store **link = &registry;
    while (*link != store)
        link = &(*link)->next;
    *link = store->next;
    leave(store);
    if (store_check(store, NULL) == 0)
        process_leave(store);
    store_free(store);
    registry_unlock();
}
