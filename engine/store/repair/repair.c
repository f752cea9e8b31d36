/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the outside in: nobody else may have the store open; meta.mdb says what topics there are;
 * index.mdb is walked over; then the folders are gone through, topic by topic. Where anything was
 * done the store is opened at last, as always, and recovery does the rest.
 */
#include "repair.h"

#include "check.h"
#include "cleanup.h"
#include "index.h"
#include "open.h"
#include "process.h"
#include "repair_walk.h"
#include "report.h"
#include "topic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- telling -------------------------------------------------------------------------------- */

struct beck_repair_step repair_step(enum beck_repair_kind kind, const char *file)
{
    struct beck_repair_step step = {
        .kind = kind, .partition = -1, .offset = -1, .byte = -1, .bytes = -1};
    (void)snprintf(step.file, sizeof(step.file), "%s", file);
    return step;
}

int repair_tell(struct repair *repair, struct beck_repair_step *step, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(step->what, sizeof(step->what), format, arguments);
    va_end(arguments);
    step->done = repair_executes(repair) && step->kind != BECK_REPAIR_LEAVE;
    if (step->kind == BECK_REPAIR_LEAVE)
        repair->totals.left++;
    else if (step->done)
        repair->totals.done++;
    else
        repair->totals.to_do++;
    return repair->step && repair->step(repair->context, step) != 0 ? -ECANCELED : 0;
}

/* ---- being alone ---------------------------------------------------------------------------- */

static int report_busy(struct repair *repair, struct beck_error *error)
{
    struct live live = {.fd = -1};
    char names[400] = "";
    if (live_map(&live, repair->store.io, repair->store.live_fd, false) == 0 &&
        live_verify(&live, NULL) == 0)
        process_names(&live, -1, names, sizeof(names));
    live_unmap(&live);
    return report(error, -EBUSY, "the store is open; end %s first",
                  names[0] ? names : "whoever has it open (its readers)");
}

/* Lock out everybody. Without a file `live` there is nobody, and who only looks makes none. */
static int be_alone(struct repair *repair, struct beck_error *error)
{
    static const uint64_t bytes[] = {LIVE_LOCK_GATE, LIVE_LOCK_PRESENCE};
    struct beck_store *store = &repair->store;
    int flags = O_RDWR | (repair_executes(repair) ? O_CREAT : 0);
    int r = 0;
    store->live_fd = io_open_file(store->io, store->directory, STORE_PATH_LIVE, flags, 0644);
    if (store->live_fd == -ENOENT)
        return 0;
    if (store->live_fd < 0)
        return report_errno(error, store->live_fd, "live: cannot be opened");
    for (size_t i = 0; r == 0 && i < ELEMENTS(bytes); i++)
        r = store->io->lock(store->io, store->live_fd, bytes[i], IO_LOCK_EXCLUSIVE, false);
    if (r == -EAGAIN)
        return report_busy(repair, error);
    return r < 0 ? report_errno(error, r, "live: cannot be locked") : 0;
}

/* ---- index.mdb ------------------------------------------------------------------------------ */

/* The partitions that a damaged value belongs to. */
struct broken {
    uint8_t (*keys)[8];
    size_t count;
    bool state; /* the mark of a clean close */
    bool other; /* a value that belongs to no partition */
};

static int note_broken(void *context, const struct repair_pair *pair)
{
    struct broken *broken = context;
    if (pair->good)
        return 0;
    if (pair->key_size < 8 || pair->database == INDEX_STATE) {
        broken->state = broken->state || pair->database == INDEX_STATE;
        broken->other = broken->other || pair->database != INDEX_STATE;
        return 0;
    }
    if (broken->count > 0 && memcmp(broken->keys[broken->count - 1], pair->key, 8) == 0)
        return 0;
    uint8_t(*grown)[8] = reallocarray(broken->keys, broken->count + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    broken->keys = grown;
    memcpy(broken->keys[broken->count++], pair->key, 8);
    return 0;
}

static bool is_broken(const struct broken *broken, uint32_t topic_number, uint32_t partition)
{
    struct db_key key = db_key_partition(topic_number, partition);
    for (size_t i = 0; i < broken->count; i++)
        if (memcmp(broken->keys[i], key.bytes, 8) == 0)
            return true;
    return false;
}

static int remove_index(struct repair *repair, bool is_there, struct beck_error *error)
{
    const struct io *io = repair->store.io;
    int r = is_there ? repair_move(repair, STORE_PATH_INDEX, error) : 0;
    if (r == 0)
        r = io->remove(io, repair->store.directory, STORE_PATH_INDEX "-lock", false);
    return r == -ENOENT ? 0 : r;
}

/* Say that the store was not closed cleanly, where what was said of it is damaged. */
static int clear_state(struct repair *repair, struct beck_error *error)
{
    struct beck_repair_step step = repair_step(BECK_REPAIR_REBUILD, STORE_PATH_INDEX);
    struct db *index = &repair->store.index;
    if (repair_executes(repair)) {
        _cleanup_txn_ MDB_txn *txn = NULL;
        int r = db_begin(index, true, &txn, error);
        if (r == 0)
            r = index_clean_put(index, txn, false);
        if (r == 0)
            r = db_commit(index, TAKE_POINTER(txn), error);
        if (r < 0)
            return report_errno(error, r, "index.mdb: cannot be written");
    }
    return repair_tell(repair, &step,
                       "whether the store was closed cleanly is damaged: taken for no");
}

/* Open index.mdb where it is worth it; else it is made anew when the store is opened. */
static int check_index(struct repair *repair, struct broken *broken, struct beck_error *error)
{
    struct beck_repair_step step = repair_step(BECK_REPAIR_REBUILD, STORE_PATH_INDEX);
    unsigned flags = DB_OPEN_ALONE | (repair_executes(repair) ? 0 : DB_OPEN_READ_ONLY);
    struct repair_walk walk;
    bool whole = true;
    int r = repair_walk(repair->store.path, STORE_PATH_INDEX, &index_layout, repair->map_bytes,
                        false, note_broken, broken, &walk);
    if (r < 0)
        return report_errno(error, r, "index.mdb: cannot be read");
    for (size_t i = 0; i <= index_layout.count; i++)
        whole = whole && walk.is_whole[i];
    if (whole && !walk.is_missing && !broken->other) {
        r = db_open(&repair->store.index, repair->store.path, STORE_PATH_INDEX, flags,
                    repair->map_bytes, &index_layout, error);
        repair->has_index = r == 0;
        return r == 0 && broken->state ? clear_state(repair, error) : r;
    }
    r = repair_executes(repair) ? remove_index(repair, !walk.is_missing, error) : 0;
    return r < 0 ? r
                 : repair_tell(repair, &step, "%.150s: made anew from the segments",
                               walk.is_missing ? "it is missing" : walk.why);
}

/* ---- folders -------------------------------------------------------------------------------- */

static bool is_folder(struct repair *repair, const char *path)
{
    const struct io *io = repair->store.io;
    _cleanup_close_ int fd = io->open(io, repair->store.directory, path, O_RDONLY | O_DIRECTORY, 0);
    return fd >= 0;
}

/* What is no folder and stands where one has to be goes aside; not a folder that cannot be opened,
 * nor a link to one that is not there now. */
static int clear_place(struct repair *repair, const char *path, struct beck_error *error)
{
    const struct io *io = repair->store.io;
    struct beck_repair_step step = repair_step(BECK_REPAIR_MOVE, path);
    struct stat info;
    _cleanup_close_ int fd = io->open(io, repair->store.directory, path, O_PATH | O_NOFOLLOW, 0);
    if (fd == -ENOENT || fd == -ENOTDIR)
        return 0;
    int r = fd < 0 ? fd : io->stat(io, fd, &info);
    if (r == 0 && (S_ISDIR(info.st_mode) || S_ISLNK(info.st_mode)))
        r = S_ISDIR(info.st_mode) ? -EACCES : -ENOENT;
    if (r < 0)
        return report_errno(error, r, "%s: cannot be opened", path);
    if (repair_executes(repair))
        r = repair_move(repair, path, error);
    return r < 0 ? r : repair_tell(repair, &step, "it is no folder: moved aside");
}

static int need_folder(struct repair *repair, const char *path, const struct beck_topic *topic,
                       int32_t partition, struct beck_error *error)
{
    const struct io *io = repair->store.io;
    struct beck_repair_step step = repair_step(BECK_REPAIR_MAKE, path);
    char above[REPAIR_PATH_BYTES];
    if (is_folder(repair, path))
        return 0;
    int r = clear_place(repair, path, error);
    if (r < 0)
        return r;
    (void)snprintf(above, sizeof(above), "%s", path);
    char *slash = strrchr(above, '/');
    if (slash)
        *slash = '\0';
    if (repair_executes(repair))
        r = io->make_directory(io, repair->store.directory, path, 0755);
    if (r == 0 && repair_executes(repair))
        r = io_sync_names(repair->store.io, repair->store.directory, slash ? above : ".");
    if (r < 0)
        return report_errno(error, r, "%s: cannot be made", path);
    if (topic)
        (void)snprintf(step.topic, sizeof(step.topic), "%s", topic->name);
    step.partition = partition;
    return repair_tell(repair, &step, "the folder is missing: made, empty");
}

struct strays {
    struct repair *repair;
    const char *folder;
    const struct beck_topic *topic; /* NULL: the folder of all topics */
    char (*names)[256];
    size_t count;
};

/* Returns 1, or 0. */
static int topic_is_known(struct repair *repair, const char *name)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    struct db *meta = &repair->store.meta;
    char topic[BECK_TOPIC_NAME_BYTES + 1];
    uint8_t id[BECK_ID_BYTES];
    const MDB_val key = {.mv_size = sizeof(id), .mv_data = id};
    MDB_val value;
    if (store_topic_id_parse(name, id) < 0)
        return 0;
    int r = db_begin(meta, false, &txn, NULL);
    if (r == 0)
        r = meta_topic_name_of_id(meta, txn, id, topic);
    if (r == -ENOENT)
        r = db_get(txn, meta->dbis[META_DELETED], &key, &value);
    return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

/* Does a name belong there? Returns 1, or 0. */
static int belongs(const struct strays *strays, const char *name)
{
    char number[12];
    char *end;
    if (!strays->topic)
        return topic_is_known(strays->repair, name);
    if (strcmp(name, "topic") == 0)
        return 1;
    unsigned long partition = strtoul(name, &end, 10);
    (void)snprintf(number, sizeof(number), "%lu", partition);
    return strcmp(number, name) == 0 && partition < strays->topic->partition_count;
}

static int note_stray(void *context, const char *name)
{
    struct strays *strays = context;
    int r = belongs(strays, name);
    if (r != 0)
        return r < 0 ? r : 0;
    char(*grown)[256] = reallocarray(strays->names, strays->count + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    strays->names = grown;
    (void)snprintf(strays->names[strays->count++], sizeof(*grown), "%s", name);
    return 0;
}

/* Move aside what does not belong into the folder of all topics, or of one. */
static int move_strays(struct repair *repair, const char *folder, const struct beck_topic *topic,
                       struct beck_error *error)
{
    const struct io *io = repair->store.io;
    struct strays strays = {.repair = repair, .folder = folder, .topic = topic};
    _cleanup_close_ int fd =
        io->open(io, repair->store.directory, folder, O_RDONLY | O_DIRECTORY, 0);
    int r = fd == -ENOENT ? 0 : fd < 0 ? fd : io_list(io, fd, note_stray, &strays);
    if (r < 0)
        (void)report_errno(error, r, "%s: cannot be read", folder);
    for (size_t i = 0; r == 0 && i < strays.count; i++) {
        char path[REPAIR_PATH_BYTES];
        (void)snprintf(path, sizeof(path), "%s/%s", folder, strays.names[i]);
        struct beck_repair_step step = repair_step(BECK_REPAIR_MOVE, path);
        if (repair_executes(repair))
            r = repair_move(repair, path, error);
        if (r == 0)
            r = repair_tell(repair, &step, "no record names it: moved aside");
    }
    free(strays.names);
    return r;
}

/* The file in the topic's folder has to say what meta.mdb does. */
static int check_topic_file(struct repair *repair, const struct meta_topic *topic,
                            const char *folder, struct beck_error *error)
{
    char path[REPAIR_PATH_BYTES];
    _cleanup_free_ struct meta_topic *file = malloc(sizeof(*file));
    if (!file)
        return report(error, -ENOMEM, "out of memory");
    int found = topic_file_read(&repair->store, topic->topic.id, file);
    if (found == 0 && strcmp(file->topic.name, topic->topic.name) == 0 &&
        file->topic.number == topic->topic.number &&
        file->topic.partition_count >= topic->topic.partition_count)
        return 0;
    (void)snprintf(path, sizeof(path), "%s/topic", folder);
    if (found < 0 && found != -ENOENT && found != -EBADMSG && found != -ENOTDIR)
        return report_errno(error, found, "%s: cannot be read", path);
    struct beck_repair_step step = repair_step(BECK_REPAIR_MAKE, path);
    (void)snprintf(step.topic, sizeof(step.topic), "%s", topic->topic.name);
    int r = repair_executes(repair) ? topic_file_write(&repair->store, topic) : 0;
    if (r < 0)
        return report_errno(error, r, "%s: cannot be written", path);
    return repair_tell(repair, &step, "%s: written anew",
                       found == -ENOENT ? "it is missing"
                       : found == 0     ? "it says something else than meta.mdb"
                                        : "it is damaged");
}

static int check_topic(struct repair *repair, const struct meta_topic *topic,
                       const struct broken *broken, struct beck_error *error)
{
    char folder[STORE_TOPIC_PATH_BYTES];
    char path[STORE_TOPIC_PATH_BYTES];
    store_topic_path(folder, topic->topic.id, -1);
    int r = need_folder(repair, folder, &topic->topic, -1, error);
    if (r == 0)
        r = check_topic_file(repair, topic, folder, error);
    if (r == 0)
        r = move_strays(repair, folder, &topic->topic, error);
    for (uint32_t i = 0; r == 0 && i < topic->topic.partition_count; i++) {
        store_topic_path(path, topic->topic.id, i);
        r = need_folder(repair, path, &topic->topic, (int32_t)i, error);
        if (r == 0)
            r = repair_partition(repair, &topic->topic, (int32_t)i,
                                 is_broken(broken, topic->topic.number, i), error);
        if (r < 0)
            report_place(error, topic->topic.name, (int32_t)i, -1, -1);
    }
    return r;
}

static int next_topic(struct repair *repair, struct meta_topic *topic, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    char after[BECK_TOPIC_NAME_BYTES + 1];
    memcpy(after, topic->topic.name, sizeof(after));
    int r = db_begin(&repair->store.meta, false, &txn, error);
    return r < 0 ? r : meta_topic_next(&repair->store.meta, txn, after, topic);
}

static int check_folders(struct repair *repair, const struct broken *broken,
                         struct beck_error *error)
{
    _cleanup_free_ struct meta_topic *topic = calloc(1, sizeof(*topic));
    if (!topic)
        return report(error, -ENOMEM, "out of memory");
    int r = need_folder(repair, STORE_PATH_WAKE, NULL, -1, error);
    if (r == 0)
        r = need_folder(repair, STORE_PATH_TOPICS, NULL, -1, error);
    if (r == 0)
        r = move_strays(repair, STORE_PATH_TOPICS, NULL, error);
    while (r == 0 && (r = next_topic(repair, topic, error)) == 1)
        r = check_topic(repair, topic, broken, error);
    return r;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int repair_open_store(struct repair *repair, const char *path, const struct io *io,
                             struct beck_error *error)
{
    struct beck_store *store = &repair->store;
    store->io = io;
    store->live_fd = -1;
    store->process = -1;
    store->read_only = !repair_executes(repair);
    store->path = strdup(path);
    if (!store->path)
        return report(error, -ENOMEM, "out of memory");
    store->directory = io->open(io, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (store->directory < 0)
        return report_errno(error, store->directory, "cannot be opened as a store");
    int r = io_is_network(store->directory);
    if (r > 0)
        return report(error, -ENODEV, "is on a network file system, which cannot hold a store");
    return r < 0 ? report_errno(error, r, "cannot be looked at") : be_alone(repair, error);
}

static void repair_done(struct repair *repair)
{
    struct beck_store *store = &repair->store;
    db_close(&store->index);
    db_close(&store->meta);
    if (store->live_fd >= 0)
        (void)store->io->close(store->io, store->live_fd);
    if (store->directory >= 0)
        (void)store->io->close(store->io, store->directory);
    free(store->path);
}

static int go_through(struct repair *repair, struct beck_error *error)
{
    struct broken broken = {0};
    int r = repair_meta(repair, error);
    if (r == 0)
        r = check_index(repair, &broken, error);
    if (r == 0)
        r = check_folders(repair, &broken, error);
    free(broken.keys);
    if (r == -ECANCELED)
        return report(error, r, "stopped before the end");
    return r;
}

/* Recovery makes the rest anew. */
static int open_once(struct repair *repair, const char *path, const struct io *io,
                     struct beck_error *error)
{
    const struct beck_store_options options = {.map_bytes = repair->map_bytes};
    struct beck_store *store;
    int r = store_open(path, 0, &options, io, &store, error);
    if (r == 0)
        store_close(store);
    return r;
}

int repair_store(const char *path, unsigned flags, const struct beck_store_options *options,
                 int (*step)(void *context, const struct beck_repair_step *step), void *context,
                 const struct io *io, struct beck_repair_totals *ret_totals,
                 struct beck_error *error)
{
    _cleanup_free_ struct repair *repair = calloc(1, sizeof(*repair));
    if (!repair)
        return report(error, -ENOMEM, "out of memory");
    repair->flags = flags;
    repair->map_bytes = options ? options->map_bytes : 0;
    repair->step = step;
    repair->context = context;
    int r = repair_open_store(repair, path, io, error);
    if (r == 0)
        r = go_through(repair, error);
    repair_done(repair);
    if (r < 0)
        report_prefix(error, "%s", path);
    else if (repair->totals.done > 0)
        r = open_once(repair, path, io, error);
    (void)snprintf(repair->totals.side, sizeof(repair->totals.side), "%s", repair->side);
    *ret_totals = repair->totals;
    return r < 0 ? r : repair->totals.to_do > 0 || repair->totals.left > 0;
}
