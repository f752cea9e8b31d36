/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meta.mdb made anew. What can still be read of it comes first, pair by pair, each with its
 * checksum; where a database could not be read whole, or a value was damaged, its copy fills in,
 * which is older; and the file in each topic's folder says what topics there are and how many
 * partitions they have, for those are written before the commit that they belong to.
 *
 * It is made in memory, so that who only wants to know what there is to do changes nothing; then
 * written under another name, synced, and renamed. What is not known for sure is raised beyond what
 * may have been given out: leader epochs, topic numbers, producer ids. When an epoch began is told
 * by the batches.
 */
#include "repair.h"

#include "bytes.h"
#include "check.h"
#include "cleanup.h"
#include "epochs.h"
#include "meta_reserved.h"
#include "repair_walk.h"
#include "report.h"
#include "topic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define META_NEW           STORE_PATH_META ".new"
#define RAISE_TOPIC_NUMBER (1U << 16)
#define RAISE_PRODUCER_ID  (1LL << 24)
#define RAISE_RESERVED     (1LL << 37) /* more than a partition is given in a day */

/* A key whose value was damaged. */
struct bad_key {
    unsigned database;
    size_t size;
    uint8_t key[511];
};

struct rebuild {
    struct repair *repair;
    struct db *meta; /* the one in memory */
    MDB_txn *txn;
    struct repair_walk walk; /* of meta.mdb */
    struct repair_walk copy; /* of its copy */
    struct bad_key *bad;
    size_t bad_count;
    bool has_store; /* the store's own record is from meta.mdb itself */
    uint64_t from_copy;
    uint32_t from_files;
    uint32_t next_topic_number;
    int64_t next_producer_id;
    struct repair_ends ends;
    bool is_told; /* `error` says already what went wrong */
    struct beck_error *error;
};

/* ---- pairs ---------------------------------------------------------------------------------- */

static bool is_bad(const struct rebuild *rebuild, unsigned database, const void *key, size_t size)
{
    for (size_t i = 0; i < rebuild->bad_count; i++)
        if (rebuild->bad[i].database == database && rebuild->bad[i].size == size &&
            memcmp(rebuild->bad[i].key, key, size) == 0)
            return true;
    return false;
}

/* Was all that the database had found in meta.mdb itself? */
static bool is_trusted(const struct rebuild *rebuild, unsigned database, const void *key,
                       size_t size)
{
    return rebuild->walk.is_whole[database] && !is_bad(rebuild, database, key, size);
}

static int note_bad(struct rebuild *rebuild, const struct repair_pair *pair)
{
    struct bad_key *grown = reallocarray(rebuild->bad, rebuild->bad_count + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    rebuild->bad = grown;
    struct bad_key *bad = &grown[rebuild->bad_count++];
    bad->database = pair->database;
    bad->size = pair->key_size;
    memcpy(bad->key, pair->key, pair->key_size);
    return 0;
}

/* Put a pair where there is none. Returns 1, or 0 where there is. */
static int put_pair(struct rebuild *rebuild, const struct repair_pair *pair)
{
    MDB_val key = {.mv_size = pair->key_size, .mv_data = (void *)(uintptr_t)pair->key};
    MDB_val value = {.mv_size = pair->value_size, .mv_data = (void *)(uintptr_t)pair->value};
    /* These follow from others. */
    if (pair->database == META_TOPIC_IDS || pair->database == META_SLOTS)
        return 0;
    int r = db_errno(
        mdb_put(rebuild->txn, rebuild->meta->dbis[pair->database], &key, &value, MDB_NOOVERWRITE));
    return r == -EEXIST ? 0 : r < 0 ? r : 1;
}

static int take_own(void *context, const struct repair_pair *pair)
{
    struct rebuild *rebuild = context;
    if (!pair->good)
        return note_bad(rebuild, pair);
    if (pair->database == META_STORE && pair->key_size == 5 && memcmp(pair->key, "store", 5) == 0)
        rebuild->has_store = true;
    int r = put_pair(rebuild, pair);
    return r < 0 ? r : 0;
}

static int take_copied(void *context, const struct repair_pair *pair)
{
    struct rebuild *rebuild = context;
    if (!pair->good || is_trusted(rebuild, pair->database, pair->key, pair->key_size))
        return 0;
    int r = put_pair(rebuild, pair);
    if (r > 0)
        rebuild->from_copy++;
    return r < 0 ? r : 0;
}

/* ---- the store's record ---------------------------------------------------------------------- */

static int make_store_record(struct rebuild *rebuild, struct meta_store *record)
{
    memset(record, 0, sizeof(*record));
    record->created_ms = store_now_ms();
    record->next_topic_number = 1;
    record->next_producer_id = 1;
    if (getrandom(record->id, sizeof(record->id), 0) != (ssize_t)sizeof(record->id))
        return report_errno(rebuild->error, -errno, "no random bytes for the store's id");
    record->id[6] = (uint8_t)((record->id[6] & 0x0f) | 0x40);
    record->id[8] = (uint8_t)((record->id[8] & 0x3f) | 0x80);
    return 0;
}

static int fix_store(struct rebuild *rebuild)
{
    _cleanup_free_ struct meta_store *record = malloc(sizeof(*record));
    if (!record)
        return -ENOMEM;
    int r = meta_format_check(rebuild->meta, rebuild->txn, rebuild->error);
    if (r == -EPROTONOSUPPORT)
        return r;
    if (r < 0)
        r = meta_format_put(rebuild->meta, rebuild->txn);
    if (r == 0)
        r = meta_features_check(rebuild->meta, rebuild->txn, false, rebuild->error);
    if (r == -EPROTONOSUPPORT)
        return r;
    r = meta_store_get(rebuild->meta, rebuild->txn, record);
    if (r < 0)
        r = make_store_record(rebuild, record);
    if (r == 0 && !rebuild->has_store) {
        if (record->next_topic_number < rebuild->next_topic_number)
            record->next_topic_number = rebuild->next_topic_number;
        if (record->next_producer_id < rebuild->next_producer_id)
            record->next_producer_id = rebuild->next_producer_id;
        record->next_topic_number += RAISE_TOPIC_NUMBER;
        record->next_producer_id += RAISE_PRODUCER_ID;
    }
    return r < 0 ? r : meta_store_put(rebuild->meta, rebuild->txn, record);
}

/* ---- topics --------------------------------------------------------------------------------- */

/* What the disk refuses to tell is not taken for what is not there. */
static int cannot_be_read(struct rebuild *rebuild, int r, const char *folder, const char *name)
{
    rebuild->is_told = true;
    return report_errno(rebuild->error, r, "%s%s: cannot be read", folder, name);
}

/* Returns 1, or 0. */
static int has_folder(struct rebuild *rebuild, const struct beck_topic *topic)
{
    struct beck_store *store = &rebuild->repair->store;
    char path[STORE_TOPIC_PATH_BYTES];
    store_topic_path(path, topic->id, -1);
    _cleanup_close_ int fd =
        store->io->open(store->io, store->directory, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
        return 0;
    return fd < 0 ? cannot_be_read(rebuild, fd, path, "") : 1;
}

/* The file in a topic's folder. Returns 1; 0: it is damaged, or not there. */
static int read_topic_file(struct rebuild *rebuild, const uint8_t id[BECK_ID_BYTES],
                           struct meta_topic *ret_topic)
{
    char folder[STORE_TOPIC_PATH_BYTES];
    int r = topic_file_read(&rebuild->repair->store, id, ret_topic);
    if (r == -ENOENT || r == -ENOTDIR || r == -EBADMSG)
        return 0;
    store_topic_path(folder, id, -1);
    return r < 0 ? cannot_be_read(rebuild, r, folder, "/topic") : 1;
}

static bool topic_is_trusted(const struct rebuild *rebuild, const char *name)
{
    return is_trusted(rebuild, META_TOPICS, name, strlen(name));
}

/* Topics that only the copy knows may have been deleted since; their folders are gone then. What
 * the copy says of the others may be old: their files are newer. */
static int fix_known_topic(struct rebuild *rebuild, struct meta_topic *topic,
                           struct meta_topic *file)
{
    if (!topic_is_trusted(rebuild, topic->topic.name)) {
        int r = has_folder(rebuild, &topic->topic);
        if (r == 0)
            return meta_topic_delete(rebuild->meta, rebuild->txn, &topic->topic);
        if (r == 1)
            r = read_topic_file(rebuild, topic->topic.id, file);
        if (r < 0)
            return r;
        if (r == 1 && strcmp(file->topic.name, topic->topic.name) == 0) {
            topic->configs = file->configs;
            if (file->topic.partition_count > topic->topic.partition_count)
                topic->topic.partition_count = file->topic.partition_count;
        }
    }
    return meta_topic_put(rebuild->meta, rebuild->txn, topic); /* and its id */
}

static int fix_known_topics(struct rebuild *rebuild)
{
    _cleanup_free_ struct meta_topic *topic = calloc(2, sizeof(*topic));
    if (!topic)
        return -ENOMEM;
    char name[BECK_TOPIC_NAME_BYTES + 1] = "";
    int r;
    while ((r = meta_topic_next(rebuild->meta, rebuild->txn, name, topic)) == 1) {
        memcpy(name, topic->topic.name, sizeof(name));
        r = fix_known_topic(rebuild, topic, topic + 1);
        if (r < 0)
            return r;
    }
    return r;
}

static bool is_deleted(struct rebuild *rebuild, const uint8_t id[BECK_ID_BYTES])
{
    const MDB_val key = {.mv_size = BECK_ID_BYTES, .mv_data = (void *)(uintptr_t)id};
    MDB_val value;
    return db_get(rebuild->txn, rebuild->meta->dbis[META_DELETED], &key, &value) == 0;
}

/* Take a topic of which nothing is left but its folder, or leave it to be moved aside. */
static int add_topic(struct rebuild *rebuild, const uint8_t id[BECK_ID_BYTES])
{
    _cleanup_free_ struct meta_topic *file = malloc(sizeof(*file));
    _cleanup_free_ struct meta_topic *other = malloc(sizeof(*other));
    char name[BECK_TOPIC_NAME_BYTES + 1];
    if (!file || !other)
        return -ENOMEM;
    if (meta_topic_name_of_id(rebuild->meta, rebuild->txn, id, name) == 0 ||
        is_deleted(rebuild, id))
        return 0;
    int r = read_topic_file(rebuild, id, file);
    if (r <= 0 || topic_is_trusted(rebuild, file->topic.name))
        return r < 0 ? r : 0;
    /* Of two that have the same name, the one before was deleted and not removed yet. */
    if (meta_topic_get(rebuild->meta, rebuild->txn, file->topic.name, other) == 0) {
        if (other->topic.number > file->topic.number)
            return 0;
        r = meta_topic_delete(rebuild->meta, rebuild->txn, &other->topic);
        if (r < 0)
            return r;
    }
    rebuild->from_files++;
    return meta_topic_put(rebuild->meta, rebuild->txn, file);
}

static int add_topic_of_folder(void *context, const char *name)
{
    struct rebuild *rebuild = context;
    uint8_t id[BECK_ID_BYTES];
    return store_topic_id_parse(name, id) < 0 ? 0 : add_topic(rebuild, id);
}

static int add_topics(struct rebuild *rebuild)
{
    struct beck_store *store = &rebuild->repair->store;
    _cleanup_close_ int fd =
        store->io->open(store->io, store->directory, STORE_PATH_TOPICS, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    return io_list(store->io, fd, add_topic_of_folder, rebuild);
}

/* ---- partitions ----------------------------------------------------------------------------- */

static int free_slot(struct rebuild *rebuild, uint32_t wanted, uint32_t *ret_slot)
{
    struct db_key slot = db_key_number(wanted);
    const MDB_val key = {.mv_size = slot.size, .mv_data = slot.bytes};
    MDB_val value;
    if (wanted != 0 &&
        db_get(rebuild->txn, rebuild->meta->dbis[META_SLOTS], &key, &value) == -ENOENT) {
        *ret_slot = wanted;
        return 0;
    }
    return meta_slot_free(rebuild->meta, rebuild->txn, 1, ret_slot);
}

/* Is every epoch of all partitions known from meta.mdb itself? */
static bool epochs_are_trusted(const struct rebuild *rebuild)
{
    for (size_t i = 0; i < rebuild->bad_count; i++)
        if (rebuild->bad[i].database == META_EPOCHS)
            return false;
    return rebuild->walk.is_whole[META_EPOCHS];
}

static int stop_at(void *context, uint32_t epoch, int64_t start_offset)
{
    (void)start_offset;
    return epoch == *(const uint32_t *)context;
}

/* Begin an epoch where no record says that it began. Epoch 0 has none. */
static int put_epoch(struct rebuild *rebuild, const struct beck_topic *topic, uint32_t number,
                     const struct repair_epoch *epoch, int64_t log_start)
{
    uint32_t wanted = epoch->epoch;
    int r = epochs_walk(rebuild->meta, rebuild->txn, topic->number, number, stop_at, &wanted);
    if (r != 0 || wanted == 0)
        return r < 0 ? r : 0;
    return epochs_put(rebuild->meta, rebuild->txn, topic->number, number, wanted,
                      epoch->start_offset, log_start);
}

/* The history of leader epochs, from the batches where nothing else has it. The newest one, of
 * which no batch speaks, begins behind all there is: those that are damaged, too. */
static int put_epochs(struct rebuild *rebuild, const struct beck_topic *topic, uint32_t number,
                      const struct repair_headers *headers, const struct meta_partition *record)
{
    const struct repair_end *known = repair_ends_find(&rebuild->ends, topic->number, number);
    struct repair_epoch newest = {record->leader_epoch, headers->end_offset};
    int r = 0;
    /* Nothing was appended from the reserved offset on: who says so has a wrong base offset. */
    if (known &&
        (known->end_offset > newest.start_offset || known->reserved_offset < newest.start_offset))
        newest.start_offset = known->end_offset;
    for (size_t i = 0; r == 0 && i < headers->epoch_count; i++)
        if (headers->epochs[i].epoch <= record->leader_epoch)
            r = put_epoch(rebuild, topic, number, &headers->epochs[i], record->log_start_offset);
    return r < 0 ? r : put_epoch(rebuild, topic, number, &newest, record->log_start_offset);
}

/* How far offsets were set aside, by all that says something of it. */
static int put_reserved(struct rebuild *rebuild, const struct beck_topic *topic, uint32_t number,
                        int64_t end_offset)
{
    const struct repair_end *known = repair_ends_find(&rebuild->ends, topic->number, number);
    int64_t most = 0;
    int r = meta_reserved_get(rebuild->meta, rebuild->txn, topic->number, number, &most);
    if (r < 0)
        return r;
    if (most < end_offset)
        most = end_offset;
    if (known && most < known->reserved_offset)
        most = known->reserved_offset;
    most = most > INT64_MAX - RAISE_RESERVED ? INT64_MAX : most + RAISE_RESERVED;
    return meta_reserved_put(rebuild->meta, rebuild->txn, topic->number, number, most);
}

/* Where nobody knows for sure what a partition has given out, a new epoch begins. */
static void raise_record(const struct repair_headers *headers, struct meta_partition *record)
{
    if (headers->leader_epoch > (int32_t)record->leader_epoch)
        record->leader_epoch = (uint32_t)headers->leader_epoch;
    record->leader_epoch++;
    if (headers->first_offset > record->log_start_offset)
        record->log_start_offset = headers->first_offset;
}

/* What only the batches say, where not all of a partition is known from meta.mdb itself. */
static int fix_from_batches(struct rebuild *rebuild, const struct beck_topic *topic,
                            uint32_t number, bool trusted, struct meta_partition *record)
{
    struct db_key key = db_key_partition(topic->number, number);
    struct repair_headers headers;
    int r = repair_headers(rebuild->repair, topic, (int32_t)number, &headers, rebuild->error);
    if (r < 0) {
        rebuild->is_told = true;
        return r;
    }
    if (!trusted)
        raise_record(&headers, record);
    r = put_epochs(rebuild, topic, number, &headers, record);
    if (r == 0 && !is_trusted(rebuild, META_RESERVED, key.bytes, key.size))
        r = put_reserved(rebuild, topic, number, headers.end_offset);
    if (headers.producer_id >= rebuild->next_producer_id && headers.producer_id < INT64_MAX / 2)
        rebuild->next_producer_id = headers.producer_id + 1;
    repair_headers_done(&headers);
    return r;
}

static int fix_partition(struct rebuild *rebuild, const struct beck_topic *topic, uint32_t number)
{
    struct db_key key = db_key_partition(topic->number, number);
    struct meta_partition record = {0};
    bool known =
        meta_partition_get(rebuild->meta, rebuild->txn, topic->number, number, &record) == 0;
    bool trusted = known && is_trusted(rebuild, META_PARTITIONS, key.bytes, key.size);
    int r = trusted && rebuild->has_store && epochs_are_trusted(rebuild) &&
                    is_trusted(rebuild, META_RESERVED, key.bytes, key.size)
                ? 0
                : fix_from_batches(rebuild, topic, number, trusted, &record);
    if (r == 0)
        r = free_slot(rebuild, known ? record.slot : 0, &record.slot);
    return r < 0 ? r
                 : meta_partition_put(rebuild->meta, rebuild->txn, topic->number, number, &record);
}

/* Does a topic have such a partition? `topic` is the one that was asked for last: keys come in
 * their order. */
static bool is_wanted(struct rebuild *rebuild, struct meta_topic *topic, uint32_t topic_number,
                      uint32_t partition)
{
    if (topic->topic.number == topic_number)
        return partition < topic->topic.partition_count;
    topic->topic.name[0] = '\0';
    while (meta_topic_next(rebuild->meta, rebuild->txn, topic->topic.name, topic) == 1)
        if (topic->topic.number == topic_number)
            return partition < topic->topic.partition_count;
    return false;
}

/* What the copy says of topics that were deleted since goes. `at`: where in a key topic number and
 * partition stand. */
static int remove_unwanted(struct rebuild *rebuild, unsigned database, size_t at)
{
    _cleanup_free_ struct meta_topic *topic = calloc(1, sizeof(*topic));
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int r = topic ? db_cursor(rebuild->txn, rebuild->meta->dbis[database], &cursor) : -ENOMEM;
    if (r < 0)
        return r;
    while ((r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) == 0) {
        const uint8_t *numbers = (const uint8_t *)key.mv_data + at;
        if (key.mv_size < at + 8 ||
            !is_wanted(rebuild, topic, load_be32(numbers), load_be32(numbers + 4)))
            r = db_errno(mdb_cursor_del(cursor, 0));
        if (r < 0)
            break;
    }
    mdb_cursor_close(cursor);
    return r == -ENOENT ? 0 : r;
}

static int fix_partitions(struct rebuild *rebuild)
{
    _cleanup_free_ struct meta_topic *topic = calloc(1, sizeof(*topic));
    int r = 0;
    if (!topic)
        return -ENOMEM;
    while ((r = meta_topic_next(rebuild->meta, rebuild->txn, topic->topic.name, topic)) == 1) {
        if (topic->topic.number >= rebuild->next_topic_number &&
            topic->topic.number < UINT32_MAX / 2)
            rebuild->next_topic_number = topic->topic.number + 1;
        for (uint32_t i = 0; i < topic->topic.partition_count; i++) {
            r = fix_partition(rebuild, &topic->topic, i);
            if (r < 0)
                return r;
        }
    }
    return r;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* An LMDB file in memory. */
static int open_in_memory(struct rebuild *rebuild)
{
    char name[16];
    _cleanup_close_ int fd = memfd_create(STORE_PATH_META, MFD_CLOEXEC);
    if (fd < 0)
        return report_errno(rebuild->error, -errno, "no memory to make meta.mdb anew in");
    (void)snprintf(name, sizeof(name), "%d", fd);
    int r = db_open(rebuild->meta, "/proc/self/fd", name, DB_OPEN_CREATE | DB_OPEN_ALONE,
                    rebuild->repair->map_bytes, &meta_layout, rebuild->error);
    rebuild->meta->name = STORE_PATH_META;
    return r;
}

static int gather(struct rebuild *rebuild)
{
    struct repair *repair = rebuild->repair;
    int r = repair_ends(repair, &rebuild->ends);
    if (r == 0)
        r = db_begin(rebuild->meta, true, &rebuild->txn, rebuild->error);
    if (r == 0)
        r = repair_walk(repair->store.path, STORE_PATH_META, &meta_layout, repair->map_bytes, true,
                        take_own, rebuild, &rebuild->walk);
    if (r == 0)
        r = repair_walk(repair->store.path, STORE_PATH_META_COPY, &meta_layout, repair->map_bytes,
                        true, take_copied, rebuild, &rebuild->copy);
    if (r == 0)
        r = fix_known_topics(rebuild);
    if (r == 0)
        r = add_topics(rebuild);
    if (r == 0 && rebuild->from_copy > 0)
        r = remove_unwanted(rebuild, META_PARTITIONS, 0);
    if (r == 0 && rebuild->from_copy > 0)
        r = remove_unwanted(rebuild, META_EPOCHS, 0);
    if (r == 0 && rebuild->from_copy > 0)
        r = remove_unwanted(rebuild, META_RESERVED, 0);
    if (r == 0 && rebuild->from_copy > 0)
        r = remove_unwanted(rebuild, META_OFFSETS, 16);
    if (r == 0)
        r = fix_partitions(rebuild);
    if (r == 0)
        r = fix_store(rebuild);
    if (r < 0) {
        db_abortp(&rebuild->txn);
        return r == -EPROTONOSUPPORT || rebuild->is_told
                   ? r
                   : report_errno(rebuild->error, r, "meta.mdb cannot be made anew");
    }
    return db_commit(rebuild->meta, TAKE_POINTER(rebuild->txn), rebuild->error);
}

static int tell_rebuild(struct rebuild *rebuild)
{
    struct beck_repair_step step = repair_step(BECK_REPAIR_REBUILD, STORE_PATH_META);
    char sources[128] = "";
    size_t used = 0;
    if (!rebuild->walk.is_missing)
        used = (size_t)snprintf(sources, sizeof(sources), " what can be read of it,");
    if (rebuild->from_copy > 0)
        used +=
            (size_t)snprintf(sources + used, sizeof(sources) - used, " %llu records of its copy,",
                             (unsigned long long)rebuild->from_copy);
    (void)snprintf(sources + used, sizeof(sources) - used, " the files of %u topics",
                   rebuild->from_files);
    return repair_tell(rebuild->repair, &step, "%.100s: made anew from%s",
                       rebuild->walk.is_missing ? "it is missing" : rebuild->walk.why, sources);
}

static int write_new(struct rebuild *rebuild)
{
    struct beck_store *store = &rebuild->repair->store;
    const struct io *io = store->io;
    _cleanup_free_ char *path = NULL;
    /* For good: power loss could let the renaming apply to what an earlier repair left. */
    int r = io->remove(io, store->directory, META_NEW, false);
    if (r == 0)
        r = io->sync(io, store->directory);
    if (r < 0 && r != -ENOENT)
        return report_errno(rebuild->error, r, "%s: cannot be removed", META_NEW);
    if (asprintf(&path, "%s/%s", store->path, META_NEW) < 0)
        return -ENOMEM;
    r = db_errno(mdb_env_copy2(rebuild->meta->env, path, MDB_CP_COMPACT));
    _cleanup_close_ int fd = r < 0 ? -1 : io->open(io, store->directory, META_NEW, O_RDWR, 0);
    if (r == 0)
        r = fd < 0 ? fd : io->sync_data(io, fd);
    return r < 0 ? report_errno(rebuild->error, r, "%s: cannot be written", META_NEW) : 0;
}

static int replace(struct rebuild *rebuild)
{
    struct repair *repair = rebuild->repair;
    const struct io *io = repair->store.io;
    int directory = repair->store.directory;
    int r = write_new(rebuild);
    if (r == 0 && rebuild->walk.is_no_file)
        r = repair_move(repair, STORE_PATH_META, rebuild->error);
    else if (r == 0 && !rebuild->walk.is_missing)
        r = repair_keep(repair, STORE_PATH_META, 0, UINT64_MAX, rebuild->error);
    if (r < 0)
        return r;
    r = io->rename(io, directory, META_NEW, STORE_PATH_META);
    if (r == 0)
        r = io->remove(io, directory, STORE_PATH_META "-lock", false);
    if (r == 0 || r == -ENOENT)
        r = io->sync(io, directory);
    return r < 0 ? report_errno(rebuild->error, r, "meta.mdb: cannot be replaced") : 0;
}

/* Is there anything that says that a store was here? */
static int check_store_was_here(struct rebuild *rebuild)
{
    static const char *const traces[] = {STORE_PATH_INDEX, STORE_PATH_TOPICS};
    struct beck_store *store = &rebuild->repair->store;
    for (size_t i = 0; i < ELEMENTS(traces); i++) {
        _cleanup_close_ int fd =
            store->io->open(store->io, store->directory, traces[i], O_RDONLY, 0);
        if (fd >= 0)
            return 0;
    }
    return report(rebuild->error, -ENOENT, "there is no store, nor what is left of one");
}

static int make_anew(struct rebuild *rebuild)
{
    int r = check_store_was_here(rebuild);
    if (r == 0)
        r = open_in_memory(rebuild);
    if (r == 0)
        r = gather(rebuild);
    if (r == 0 && repair_executes(rebuild->repair))
        r = replace(rebuild);
    return r == 0 ? tell_rebuild(rebuild) : r;
}

/* What LMDB can walk over may still be no store of ours. */
static int open_good(struct repair *repair, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_open(&repair->store.meta, repair->store.path, STORE_PATH_META,
                    DB_OPEN_READ_ONLY | DB_OPEN_ALONE, repair->map_bytes, &meta_layout, error);
    if (r == 0)
        r = db_begin(&repair->store.meta, false, &txn, error);
    if (r == 0)
        r = meta_format_check(&repair->store.meta, txn, error);
    if (r == 0)
        r = meta_features_check(&repair->store.meta, txn, !repair_executes(repair), error);
    return r;
}

int repair_meta(struct repair *repair, struct beck_error *error)
{
    _cleanup_free_ struct rebuild *rebuild = calloc(1, sizeof(*rebuild));
    if (!rebuild)
        return report(error, -ENOMEM, "out of memory");
    int r = repair_walk(repair->store.path, STORE_PATH_META, &meta_layout, repair->map_bytes, false,
                        NULL, NULL, &rebuild->walk);
    if (r < 0)
        return report_errno(error, r, "meta.mdb: cannot be read");
    if (!rebuild->walk.is_missing && rebuild->walk.why[0] == '\0')
        return open_good(repair, error);
    rebuild->repair = repair;
    rebuild->meta = &repair->store.meta;
    rebuild->error = error;
    rebuild->next_topic_number = 1;
    rebuild->next_producer_id = 1;
    r = make_anew(rebuild);
    repair_ends_done(&rebuild->ends);
    free(rebuild->bad);
    return r;
}
