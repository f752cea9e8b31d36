/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order: meta.mdb first, so that the logs have all that it speaks of: committed offsets lie in
 * them, and topics that are made later are no part of the backup. Then partition by partition, each
 * of its own moment (backup_partition.c). Topics that were deleted meanwhile are marked as deleted
 * in the copy, and the counters of producer ids and topic numbers are taken anew, as ids that were
 * given out since may stand in the logs. All of it is synced before the copy of meta.mdb gets its
 * name, which makes the directory a store: what was not brought to its end is none.
 *
 * The copy says that it was not closed cleanly. Who opens it finds the ends of the logs as after
 * power loss, and goes on behind the offsets that the store may have given out since.
 */
#include "backup.h"

#include "backup_partition.h"
#include "check.h"
#include "cleanup.h"
#include "lookup.h"
#include "partition.h"
#include "report.h"
#include "segments.h"
#include "topic_file.h"
#include "topics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define META_NEW          STORE_PATH_META ".new"
#define COMMIT_PARTITIONS 1024 /* so that a transaction does not grow without limit */

/* The folders that a directory is in, and itself. */
struct ancestors {
    const struct io *io;
    int directory; /* of the store: the one that is looked into */
    struct stat *infos;
    size_t count;
};

static bool is_ancestor(const struct ancestors *ancestors, const struct stat *info)
{
    for (size_t i = 0; i < ancestors->count; i++)
        if (ancestors->infos[i].st_dev == info->st_dev &&
            ancestors->infos[i].st_ino == info->st_ino)
            return true;
    return false;
}

static int gather_ancestors(struct ancestors *ancestors, int directory)
{
    const struct io *io = ancestors->io;
    _cleanup_close_ int here = io->open(io, directory, ".", O_PATH | O_DIRECTORY, 0);
    for (;;) {
        struct stat info;
        int r = here < 0 ? here : io->stat(io, here, &info);
        if (r < 0 || is_ancestor(ancestors, &info)) /* the root's parent is the root */
            return r;
        struct stat *grown =
            reallocarray(ancestors->infos, ancestors->count + 1, sizeof(*ancestors->infos));
        if (!grown)
            return -ENOMEM;
        ancestors->infos = grown;
        ancestors->infos[ancestors->count++] = info;
        int above = io->open(io, here, "..", O_PATH | O_DIRECTORY, 0);
        (void)io->close(io, here);
        here = above;
    }
}

/* Is a folder of the store, or one in it, among them? 1 or 0. */
static int find_ancestor(void *context, const char *name)
{
    const struct ancestors *ancestors = context;
    const struct io *io = ancestors->io;
    struct stat info;
    _cleanup_close_ int fd = io->open(io, ancestors->directory, name,
                                      O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_NOFOLLOW, 0);
    if (fd < 0 || io->stat(io, fd, &info) < 0)
        return 0;
    if (is_ancestor(ancestors, &info))
        return 1;
    struct ancestors inside = *ancestors;
    inside.directory = fd;
    return io_list(io, fd, find_ancestor, &inside);
}

/* A backup in the store would be no use when the store is lost, and in the way of the store until
 * then. Symbolic links and further mounts of a folder of the store lead into it, too. */
static int refuse_inside(struct backup *backup, const char *path, struct beck_error *error)
{
    struct ancestors ancestors = {.io = backup->store->io, .directory = backup->store->directory};
    int r = gather_ancestors(&ancestors, backup->directory);
    if (r == 0)
        r = find_ancestor(&ancestors, ".");
    free(ancestors.infos);
    if (r > 0)
        return report(error, -EINVAL, "%s: is in the store itself: make the backup elsewhere",
                      path);
    return r < 0 ? report_errno(error, r, "%s: cannot be looked at", path) : 0;
}

/* Have an empty directory. */
static int make_directory(struct backup *backup, const char *path, struct beck_error *error)
{
    const struct io *io = backup->store->io;
    int made = io->make_directory(io, AT_FDCWD, path, 0755);
    if (made < 0 && made != -EEXIST)
        return report_errno(error, made, "%s: cannot be made", path);
    backup->directory = io->open(io, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (backup->directory < 0)
        return report_errno(error, backup->directory, "%s: cannot be used", path);
    int r = refuse_inside(backup, path, error);
    if (r < 0 && made == 0)
        (void)io->remove(io, AT_FDCWD, path, true);
    if (r < 0)
        return r;
    r = io_has_names(io, backup->directory);
    if (r > 0)
        return report(error, -ENOTEMPTY, "%s: is not empty", path);
    if (r == 0)
        r = io->make_directory(io, backup->directory, STORE_PATH_WAKE, 0755);
    if (r == 0)
        r = io->make_directory(io, backup->directory, STORE_PATH_TOPICS, 0755);
    return r < 0 ? report_errno(error, r, "%s: cannot be used", path) : 0;
}

/* ---- the databases ------------------------------------------------------------------------- */

static int begin_both(struct backup *backup, struct beck_error *error)
{
    int r = db_begin(&backup->meta, true, &backup->meta_txn, error);
    return r < 0 ? r : db_begin(&backup->index, true, &backup->index_txn, error);
}

static int commit_both(struct backup *backup, struct beck_error *error)
{
    int r = db_commit(&backup->index, TAKE_POINTER(backup->index_txn), error);
    return r < 0 ? r : db_commit(&backup->meta, TAKE_POINTER(backup->meta_txn), error);
}

static int open_databases(struct backup *backup, const char *path, struct beck_error *error)
{
    struct beck_store *store = backup->store;
    MDB_envinfo info;
    int r = db_copy(&store->meta, path, META_NEW, error);
    if (r < 0)
        return r;
    r = db_errno(mdb_env_info(store->meta.env, &info));
    if (r < 0)
        return report_errno(error, r, "meta.mdb: cannot be copied");
    r = db_open(&backup->meta, path, META_NEW, 0, info.me_mapsize, &meta_layout, error);
    if (r == 0)
        r = db_complete(&backup->meta, &meta_layout, error);
    if (r == 0)
        r = db_open(&backup->index, path, STORE_PATH_INDEX, DB_OPEN_CREATE, info.me_mapsize,
                    &index_layout, error);
    return r < 0 ? r : begin_both(backup, error);
}

/* Ids and numbers that were given out up to now are not given out again. */
static int put_counters(struct backup *backup, struct beck_error *error)
{
    struct db *meta = &backup->store->meta;
    _cleanup_txn_ MDB_txn *txn = NULL;
    _cleanup_free_ struct meta_store *now = calloc(1, sizeof(*now));
    _cleanup_free_ struct meta_store *copied = calloc(1, sizeof(*copied));
    if (!now || !copied)
        return report(error, -ENOMEM, "out of memory");
    int r = db_begin(meta, false, &txn, error);
    if (r < 0)
        return r;
    r = meta_store_get(meta, txn, now);
    if (r == 0)
        r = meta_store_get(&backup->meta, backup->meta_txn, copied);
    if (r == 0) {
        copied->next_topic_number = now->next_topic_number;
        copied->next_producer_id = now->next_producer_id;
        r = meta_store_put(&backup->meta, backup->meta_txn, copied);
    }
    if (r == 0)
        r = index_clean_put(&backup->index, backup->index_txn, false);
    return r < 0 ? report_errno(error, r, "the store's record cannot be copied") : 0;
}

/* ---- topics -------------------------------------------------------------------------------- */

static int backup_topic(struct backup *backup, const struct meta_topic *topic,
                        struct beck_error *error)
{
    const struct io *io = backup->store->io;
    char path[STORE_TOPIC_PATH_BYTES];
    store_topic_path(path, topic->topic.id, -1);
    int r = io->make_directory(io, backup->directory, path, 0755);
    if (r == 0)
        r = topic_file_put(io, backup->directory, topic);
    if (r < 0)
        return report_errno(error, r, "%s: cannot be made", path);
    for (uint32_t i = 0; r == 0 && i < topic->topic.partition_count; i++) {
        r = backup_partition(backup, &topic->topic, i, error);
        if (r == 0 && ++backup->uncommitted == COMMIT_PARTITIONS) {
            backup->uncommitted = 0;
            r = commit_both(backup, error);
            if (r == 0)
                r = begin_both(backup, error);
        }
    }
    if (r != -ESTALE)
        return r;
    r = topics_forget(&backup->meta, backup->meta_txn, &topic->topic);
    return r < 0
               ? report_errno(error, r, "meta.mdb: topic %s cannot be left out", topic->topic.name)
               : 0;
}

static int backup_topics(struct backup *backup, struct beck_error *error)
{
    _cleanup_free_ struct meta_topic *topic = calloc(1, sizeof(*topic));
    int r = topic ? 1 : report(error, -ENOMEM, "out of memory");
    while (r == 1) {
        r = meta_topic_next(&backup->meta, backup->meta_txn, topic->topic.name, topic);
        if (r < 0)
            return report_errno(error, r, "meta.mdb: the topics cannot be listed");
        if (r == 1 && (r = backup_topic(backup, topic, error)) == 0)
            r = 1;
    }
    return r;
}

/* What there is to copy, for the progress. */
static void measure(struct backup *backup)
{
    struct beck_topic topic = {0};
    while (topics_next(backup->store, topic.name, &topic, NULL) == 1)
        for (uint32_t i = 0; i < topic.partition_count; i++) {
            struct beck_partition *partition;
            struct live_tail tail;
            if (partition_open(backup->store, topic.name, (int32_t)i, &partition, NULL) < 0)
                continue;
            if (segments_lock(partition, &tail, NULL) == 0) {
                for (size_t s = 0; s < partition->segment_count; s++)
                    backup->all_bytes += segment_limit(partition->segments[s], &tail.end);
                segments_unlock(partition);
            }
            partition_close(partition);
        }
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* All is written: make it durable, and a store. */
static int finish(struct backup *backup, struct beck_error *error)
{
    const struct io *io = backup->store->io;
    db_close(&backup->index);
    db_close(&backup->meta);
    int r = io->remove(io, backup->directory, STORE_PATH_INDEX "-lock", false);
    if (r == 0)
        r = io->remove(io, backup->directory, META_NEW "-lock", false);
    if (r == 0)
        r = io->sync_all(io, backup->directory);
    if (r == 0)
        r = io->rename(io, backup->directory, META_NEW, STORE_PATH_META);
    if (r == 0)
        r = io->sync(io, backup->directory);
    _cleanup_close_ int parent =
        r < 0 ? -1 : io->open(io, backup->directory, "..", O_RDONLY | O_DIRECTORY, 0);
    if (r == 0)
        r = parent < 0 ? parent : io->sync(io, parent);
    return r < 0 ? report_errno(error, r, "the backup cannot be made durable") : 0;
}

int backup_run(struct beck_store *store, const char *path,
               const struct beck_backup_options *options, struct beck_error *error)
{
    static const struct beck_backup_options defaults;
    struct backup backup = {
        .store = store, .options = options ? options : &defaults, .directory = -1};
    int r = make_directory(&backup, path, error);
    if (r == 0) {
        backup.buffer = malloc(BACKUP_BUFFER_BYTES);
        r = backup.buffer ? open_databases(&backup, path, error)
                          : report(error, -ENOMEM, "out of memory");
    }
    if (r == 0 && backup.options->progress)
        measure(&backup);
    if (r == 0)
        r = backup_topics(&backup, error);
    if (r == 0)
        r = put_counters(&backup, error);
    if (r == 0)
        r = commit_both(&backup, error);
    if (r == 0)
        r = finish(&backup, error);
    db_abortp(&backup.index_txn);
    db_abortp(&backup.meta_txn);
    db_close(&backup.index);
    db_close(&backup.meta);
    if (backup.directory >= 0)
        (void)store->io->close(store->io, backup.directory);
    free(backup.buffer);
    return r;
}
