/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a store. meta.mdb makes a directory a store: it is made whole under another name, and
 * renamed last, so that a creation that did not end can be made again over what it left. What
 * stands under its own name is never replaced, damaged or not.
 */
#include "create.h"

#include "check.h"
#include "cleanup.h"
#include "index.h"
#include "live.h"
#include "meta.h"
#include "report.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define META_NEW STORE_PATH_META ".new"

/* Names that a creation that did not end may have left. */
static int is_foreign(void *context, const char *name)
{
    static const char *const ours[] = {
        STORE_PATH_META, STORE_PATH_META "-lock", STORE_PATH_INDEX,  STORE_PATH_INDEX "-lock",
        STORE_PATH_LIVE, STORE_PATH_WAKE,         STORE_PATH_TOPICS, META_NEW,
        META_NEW "-lock"};
    (void)context;
    for (size_t i = 0; i < ELEMENTS(ours); i++)
        if (strcmp(name, ours[i]) == 0)
            return 0;
    return 1;
}

int create_is_foreign(const struct io *io, int directory)
{
    return io_list(io, directory, is_foreign, NULL);
}

bool create_has_meta(const struct io *io, int directory)
{
    _cleanup_close_ int fd = io->open(io, directory, STORE_PATH_META, O_PATH, 0);
    return fd >= 0;
}

bool create_lost_meta(const struct io *io, int directory)
{
    static const char *const files[] = {STORE_PATH_META, META_NEW, STORE_PATH_META_COPY};
    bool found[ELEMENTS(files)];
    for (size_t i = 0; i < ELEMENTS(files); i++) {
        _cleanup_close_ int fd = io->open(io, directory, files[i], O_PATH, 0);
        found[i] = fd >= 0;
    }
    _cleanup_close_ int topics =
        io->open(io, directory, STORE_PATH_TOPICS, O_RDONLY | O_DIRECTORY, 0);
    return !found[0] && !found[1] && (found[2] || (topics >= 0 && io_has_names(io, topics) > 0));
}

static int make_directory(const struct io *io, int directory, const char *name)
{
    int r = io->make_directory(io, directory, name, 0755);
    return r == -EEXIST ? 0 : r;
}

static int fill_meta(struct db *meta, const struct config_set *configs, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    _cleanup_free_ struct meta_store *record = calloc(1, sizeof(*record));
    if (!record)
        return report(error, -ENOMEM, "out of memory");
    record->configs = *configs;
    record->created_ms = store_now_ms();
    record->next_topic_number = 1;
    record->next_producer_id = 1;
    if (getrandom(record->id, sizeof(record->id), 0) != (ssize_t)sizeof(record->id))
        return report_errno(error, -errno, "no random bytes for the store's id");
    record->id[6] = (uint8_t)((record->id[6] & 0x0f) | 0x40);
    record->id[8] = (uint8_t)((record->id[8] & 0x3f) | 0x80);
    int r = db_begin(meta, true, &txn, error);
    if (r < 0)
        return r;
    r = meta_format_check(meta, txn, error);
    if (r != -ENOENT)
        return r == 0 ? report(error, -EEXIST, "there is a store already") : r;
    r = meta_store_put(meta, txn, record);
    if (r == 0)
        r = meta_format_put(meta, txn);
    if (r < 0)
        return report_errno(error, r, "meta.mdb: cannot be written");
    return db_commit(meta, TAKE_POINTER(txn), error);
}

static int remove_file(const struct io *io, int directory, const char *name)
{
    int r = io->remove(io, directory, name, false);
    return r == -ENOENT ? 0 : r;
}

/* What an earlier creation left of index.mdb may be no file of LMDB's yet. */
static int create_index(const char *path, int directory, uint64_t map_bytes, const struct io *io,
                        struct beck_error *error)
{
    struct db index = {0};
    int r =
        db_open(&index, path, STORE_PATH_INDEX, DB_OPEN_CREATE, map_bytes, &index_layout, error);
    if (r == -EBADMSG && remove_file(io, directory, STORE_PATH_INDEX) == 0)
        r = db_open(&index, path, STORE_PATH_INDEX, DB_OPEN_CREATE, map_bytes, &index_layout,
                    error);
    db_close(&index);
    return r;
}

static int create_meta(const char *path, int directory, uint64_t map_bytes, bool has_meta,
                       const struct config_set *configs, const struct io *io,
                       struct beck_error *error)
{
    const char *name = has_meta ? STORE_PATH_META : META_NEW;
    struct db meta = {0};
    int r = db_open(&meta, path, name, DB_OPEN_CREATE, map_bytes, &meta_layout, error);
    if (r == 0)
        r = fill_meta(&meta, configs, error);
    db_close(&meta);
    if (r < 0 || has_meta)
        return r;
    r = io->rename(io, directory, META_NEW, STORE_PATH_META);
    if (r < 0)
        return report_errno(error, r, "meta.mdb: cannot be renamed");
    (void)remove_file(io, directory, META_NEW "-lock");
    return 0;
}

int create_in(const char *path, int directory, uint64_t map_bytes, const struct config_set *configs,
              const struct io *io, struct beck_error *error)
{
    _cleanup_close_ int live = -1;
    int r = io_is_network(directory);
    if (r > 0)
        return report(error, -ENODEV, "is on a network file system, which cannot hold a store");
    if (r == 0)
        r = make_directory(io, directory, STORE_PATH_WAKE);
    if (r == 0)
        r = make_directory(io, directory, STORE_PATH_TOPICS);
    if (r == 0)
        r = live = io_open_file(io, directory, STORE_PATH_LIVE, O_RDWR | O_CREAT, 0644);
    if (r >= 0)
        r = io->lock(io, live, LIVE_LOCK_GATE, IO_LOCK_EXCLUSIVE, true);
    if (r < 0)
        return report_errno(error, r, "a store cannot be made");
    _cleanup_close_ int meta = io->open(io, directory, STORE_PATH_META, O_PATH, 0);
    if (meta < 0 && meta != -ENOENT)
        return report_errno(error, meta, "meta.mdb: cannot be opened");
    r = meta >= 0 ? 0 : create_index(path, directory, map_bytes, io, error);
    if (r == 0 && meta < 0 && (r = remove_file(io, directory, META_NEW)) < 0)
        (void)report_errno(error, r, "what an earlier creation left cannot be removed");
    /* What a store has is there for good before it is one; and what an earlier creation left is
     * gone for good before another has its name: power loss could let the renaming apply to it. */
    if (r == 0 && meta < 0 && (r = io->sync(io, directory)) < 0)
        (void)report_errno(error, r, "the directory cannot be synced");
    if (r == 0)
        r = create_meta(path, directory, map_bytes, meta >= 0, configs, io, error);
    return r < 0 ? r : io->sync(io, directory);
}
