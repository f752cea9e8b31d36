/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records in LMDB. meta.mdb's are held against each other, in one transaction: each topic has
 * its id, its partitions and their slots, and nothing but topics has any. Of all other values the
 * checksums are checked, a few at a time, so that no reader keeps old pages alive for long.
 *
 * Walking over a whole file, for who does not trust it enough to open the store: beside the values
 * it looks at the lists of free pages, and counts, as a damaged tree may lead in a circle.
 */
#include "verify.h"

#include "bytes.h"
#include "cleanup.h"
#include "create.h"
#include "epochs.h"
#include "meta_groups.h"
#include "meta_quotas.h"
#include "meta_reserved.h"
#include "pages.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_BYTES_MAX     511 /* LMDB's */
#define BITE              1024
#define FILE_GROWTH_BYTES ((uint64_t)256 << 20)

/* ---- a walk over a database ---------------------------------------------------------------- */

struct walk {
    struct db *db;
    MDB_dbi dbi;
    /* Returns non-zero to end the walk. */
    int (*visit)(void *context, const MDB_val *key, const MDB_val *value);
    void *context;
    uint8_t last[KEY_BYTES_MAX]; /* the key that was visited last */
    size_t last_size;            /* 0: none yet */
};

/* Go on behind the last key. Returns 1 where there may be more. */
static int walk_bite(struct walk *walk)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    MDB_cursor *cursor;
    MDB_val key = {.mv_size = walk->last_size, .mv_data = walk->last};
    MDB_val value;
    int r = db_begin(walk->db, false, &txn, NULL);
    if (r == 0)
        r = db_cursor(txn, walk->dbi, &cursor);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    r = db_errno(mdb_cursor_get(cursor, &key, &value, walk->last_size ? MDB_SET_RANGE : MDB_FIRST));
    if (r == 0 && key.mv_size == walk->last_size && walk->last_size > 0 &&
        memcmp(key.mv_data, walk->last, key.mv_size) == 0)
        r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
    for (int i = 0; r == 0 && i < BITE; i++) {
        if (key.mv_size == 0 || key.mv_size > KEY_BYTES_MAX)
            r = -EBADMSG;
        if (r == 0) {
            memcpy(walk->last, key.mv_data, key.mv_size);
            walk->last_size = key.mv_size;
            r = walk->visit(walk->context, &key, &value);
        }
        if (r == 0)
            r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
    }
    mdb_cursor_close(cursor);
    return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

static int walk_database(struct walk *walk)
{
    int r;
    walk->last_size = 0;
    do
        r = walk_bite(walk);
    while (r == 1);
    return r;
}

/* ---- all values ---------------------------------------------------------------------------- */

struct values {
    struct verify_worker *worker;
    const char *file;
    const char *database;
    bool is_store;     /* it has one value with a form of its own */
    bool is_looked_at; /* what is of a partition is told of with the partition */
};

/* Is it the key of a partition that is verified? */
static bool is_of_partition(const struct beck_verify *verify, const MDB_val *key)
{
    if (key->mv_size < 8)
        return false;
    uint32_t number = load_be32(key->mv_data);
    uint32_t partition = load_be32((const uint8_t *)key->mv_data + 4);
    for (size_t i = 0; i < verify->topic_count; i++)
        if (verify->topics[i].number == number)
            return partition < verify->topics[i].partition_count;
    return false;
}

static int check_value(void *context, const MDB_val *key, const MDB_val *value)
{
    struct values *values = context;
    static const char format[] = "format";
    if (values->is_store && key->mv_size == sizeof(format) - 1 &&
        memcmp(key->mv_data, format, sizeof(format) - 1) == 0)
        return 0; /* opening has looked at it */
    if (!value_is_whole(value->mv_data, value->mv_size, key->mv_data, key->mv_size) &&
        !(values->is_looked_at && is_of_partition(values->worker->verify, key)))
        verify_tell(values->worker, values->file, -1, -1, "a value in the database %s is damaged",
                    values->database);
    return values->worker->verify->stop ? -ECANCELED : 0;
}

/* The values of a file, but for those of databases in `others`, a bit for each: all that is in them
 * is looked at elsewhere. What is of a partition in `looked_at` is, too. */
static int check_values(struct verify_worker *worker, struct db *db, const struct db_layout *layout,
                        const char *file, uint32_t others, uint32_t looked_at)
{
    struct walk walk = {.db = db, .visit = check_value};
    for (size_t i = 0; i < layout->count; i++) {
        struct values values = {.worker = worker, .file = file, .database = layout->databases[i]};
        if (others & 1U << i)
            continue;
        values.is_looked_at = looked_at & 1U << i;
        values.is_store = strcmp(values.database, "store") == 0;
        walk.dbi = db->dbis[i];
        walk.context = &values;
        int r = walk_database(&walk);
        if (r == -ECANCELED)
            return 0;
        if (r == -ENOMEM)
            return r;
        if (r < 0)
            verify_tell(worker, file, -1, -1, "the database %s cannot be walked over: %s",
                        values.database, strerror(-r));
    }
    return 0;
}

/* ---- topics, ids, partitions, slots -------------------------------------------------------- */

struct records {
    struct verify_worker *worker;
    struct db *meta;
    MDB_txn *txn;
    struct meta_topic topic;
    struct known_topic {
        uint32_t number;
        uint32_t partition_count;
    } * known;
    size_t known_count;
    size_t known_room;
    uint32_t next_number; /* of the next topic that is made */
    bool is_incomplete;   /* a topic's record is damaged: nobody knows what it had */
};

/* Call `visit` with each pair of one of the databases, all in the one transaction. */
static int each_pair(struct records *records, enum meta_database database,
                     int (*visit)(struct records *records, const MDB_val *key,
                                  const MDB_val *value))
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int r = db_cursor(records->txn, records->meta->dbis[database], &cursor);
    if (r < 0)
        return r;
    r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_FIRST));
    while (r == 0 && !records->worker->verify->stop) {
        r = visit(records, &key, &value);
        if (r == 0)
            r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
    }
    mdb_cursor_close(cursor);
    return r == -ENOENT ? 0 : r;
}

static int know_topic(struct records *records, const struct beck_topic *topic)
{
    if (records->known_count == records->known_room) {
        size_t room = records->known_room ? 2 * records->known_room : 64;
        struct known_topic *grown = reallocarray(records->known, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        records->known = grown;
        records->known_room = room;
    }
    records->known[records->known_count++] =
        (struct known_topic){topic->number, topic->partition_count};
    return 0;
}

static int compare_known(const void *left, const void *right)
{
    const struct known_topic *a = left;
    const struct known_topic *b = right;
    return (a->number > b->number) - (a->number < b->number);
}

struct epochs {
    uint32_t epoch;
    int64_t start_offset;
    bool is_wrong;
};

static int note_epoch(void *context, uint32_t epoch, int64_t start_offset)
{
    struct epochs *epochs = context;
    if (epoch == 0 || start_offset < epochs->start_offset)
        epochs->is_wrong = true;
    epochs->epoch = epoch;
    epochs->start_offset = start_offset;
    return 0;
}

/* The history of leader epochs rises, and ends with the partition's. */
static void check_epochs(struct records *records, const struct beck_topic *topic,
                         uint32_t partition, uint32_t leader_epoch)
{
    struct epochs epochs = {0};
    int r = epochs_walk(records->meta, records->txn, topic->number, partition, note_epoch, &epochs);
    if (r < 0)
        verify_tell(records->worker, STORE_PATH_META, -1, -1,
                    "the history of leader epochs of topic %s partition %u is damaged", topic->name,
                    partition);
    else if (epochs.is_wrong || epochs.epoch > leader_epoch)
        verify_tell(records->worker, STORE_PATH_META, -1, -1,
                    "the leader epochs of topic %s partition %u, which is in epoch %u, are not in "
                    "order",
                    topic->name, partition, leader_epoch);
}

/* A partition's record, and the slot that it names. */
static void check_partition(struct records *records, const struct beck_topic *topic,
                            uint32_t partition)
{
    struct meta_partition location;
    struct unpacker u;
    int64_t reserved;
    int r = meta_partition_get(records->meta, records->txn, topic->number, partition, &location);
    if (r < 0) {
        verify_tell(records->worker, STORE_PATH_META, -1, -1,
                    "the record of topic %s partition %u is %s", topic->name, partition,
                    r == -ENOENT ? "missing" : "damaged");
        return;
    }
    struct db_key key = db_key_number(location.slot);
    r = db_get_value(records->txn, records->meta->dbis[META_SLOTS], key.bytes, key.size, VALUE_SLOT,
                     &u);
    if (r < 0)
        verify_tell(records->worker, STORE_PATH_META, -1, -1,
                    "slot %u, of topic %s partition %u, is %s", location.slot, topic->name,
                    partition, r == -ENOENT ? "missing" : "damaged");
    else if (unpack_u32(&u) != topic->number || unpack_u32(&u) != partition)
        verify_tell(records->worker, STORE_PATH_META, -1, -1,
                    "slot %u is not that of topic %s partition %u, whose record names it",
                    location.slot, topic->name, partition);
    check_epochs(records, topic, partition, location.leader_epoch);
    r = meta_reserved_get(records->meta, records->txn, topic->number, partition, &reserved);
    if (r < 0)
        verify_tell(records->worker, STORE_PATH_META, -1, -1,
                    "the record of how far offsets of topic %s partition %u are set aside is "
                    "damaged",
                    topic->name, partition);
}

static int check_topic(struct records *records, const MDB_val *key, const MDB_val *value)
{
    struct beck_topic *topic = &records->topic.topic;
    char name[BECK_TOPIC_NAME_BYTES + 1];
    char of_id[BECK_TOPIC_NAME_BYTES + 1];
    (void)value;
    (void)snprintf(name, sizeof(name), "%.*s", (int)(key->mv_size < 250 ? key->mv_size : 249),
                   (const char *)key->mv_data);
    int r = meta_topic_get(records->meta, records->txn, name, &records->topic);
    if (r < 0 || strcmp(topic->name, name) != 0) {
        verify_tell(records->worker, STORE_PATH_META, -1, -1,
                    "the record of topic %.100s is damaged", name);
        records->is_incomplete = true;
        return 0;
    }
    r = meta_topic_name_of_id(records->meta, records->txn, topic->id, of_id);
    if (r < 0 || strcmp(of_id, name) != 0)
        verify_tell(records->worker, STORE_PATH_META, -1, -1, "the id of topic %.100s is %s", name,
                    r == -ENOENT ? "missing"
                    : r < 0      ? "damaged"
                                 : "that of another topic");
    if (topic->number >= records->next_number)
        verify_tell(records->worker, STORE_PATH_META, -1, -1,
                    "topic %.100s has number %u, which the next topic may get, too", name,
                    topic->number);
    for (uint32_t i = 0; i < topic->partition_count && !records->worker->verify->stop; i++)
        check_partition(records, topic, i);
    return know_topic(records, topic);
}

static int check_topic_id(struct records *records, const MDB_val *key, const MDB_val *value)
{
    char name[BECK_TOPIC_NAME_BYTES + 1];
    (void)value;
    if (key->mv_size != BECK_ID_BYTES ||
        meta_topic_name_of_id(records->meta, records->txn, key->mv_data, name) < 0) {
        verify_tell(records->worker, STORE_PATH_META, -1, -1,
                    "the record of a topic's id is damaged");
        return 0;
    }
    if (meta_topic_get(records->meta, records->txn, name, &records->topic) == -ENOENT)
        verify_tell(records->worker, STORE_PATH_META, -1, -1,
                    "an id names topic %.100s, which there is not", name);
    return 0;
}

static bool is_known(const struct records *records, uint32_t number, uint32_t partition)
{
    const struct known_topic wanted = {.number = number};
    const struct known_topic *found =
        records->known_count
            ? bsearch(&wanted, records->known, records->known_count, sizeof(wanted), compare_known)
            : NULL;
    return found && partition < found->partition_count;
}

static int check_owner(struct records *records, const MDB_val *key, const MDB_val *value)
{
    (void)value;
    if (key->mv_size == 8 &&
        is_known(records, load_be32(key->mv_data), load_be32((const uint8_t *)key->mv_data + 4)))
        return 0;
    verify_tell(records->worker, STORE_PATH_META, -1, -1,
                "there is the record of a partition that no topic has");
    return 0;
}

static int check_slot(struct records *records, const MDB_val *key, const MDB_val *value)
{
    struct meta_partition location;
    struct unpacker u;
    int r = key->mv_size == 8 ? unpack_begin(&u, value->mv_data, value->mv_size, VALUE_SLOT,
                                             key->mv_data, key->mv_size)
                              : -EBADMSG;
    uint32_t number = r == 0 ? unpack_u32(&u) : 0;
    uint32_t partition = r == 0 ? unpack_u32(&u) : 0;
    uint64_t slot = key->mv_size == 8 ? load_be64(key->mv_data) : 0;
    if (r == 0)
        r = unpack_end(&u);
    if (r < 0)
        verify_tell(records->worker, STORE_PATH_META, -1, -1,
                    "the record of slot %" PRIu64 " is damaged", slot);
    else if (meta_partition_get(records->meta, records->txn, number, partition, &location) !=
                 -EBADMSG &&
             (!is_known(records, number, partition) || location.slot != slot))
        verify_tell(records->worker, STORE_PATH_META, -1, -1,
                    "slot %" PRIu64 " is taken for a partition that does not have it", slot);
    return 0;
}

/* Two topics with one number would share their partitions' records. */
static void check_numbers(struct records *records)
{
    if (records->known_count > 0)
        qsort(records->known, records->known_count, sizeof(records->known[0]), compare_known);
    for (size_t i = 1; i < records->known_count; i++)
        if (records->known[i].number == records->known[i - 1].number)
            verify_tell(records->worker, STORE_PATH_META, -1, -1, "two topics have number %u",
                        records->known[i].number);
}

static int tell_what(void *context, const char *what)
{
    const struct records *records = context;
    verify_tell(records->worker, STORE_PATH_META, -1, -1, "%s", what);
    return 0;
}

static int check_records(struct records *records)
{
    _cleanup_free_ struct meta_store *store = calloc(1, sizeof(*store));
    if (!store)
        return -ENOMEM;
    int r = db_begin(records->meta, false, &records->txn, NULL);
    if (r < 0)
        return r;
    records->next_number = UINT32_MAX;
    if (meta_store_get(records->meta, records->txn, store) == 0)
        records->next_number = store->next_topic_number;
    r = each_pair(records, META_TOPICS, check_topic);
    check_numbers(records);
    if (r == 0)
        r = each_pair(records, META_TOPIC_IDS, check_topic_id);
    if (r == 0 && !records->is_incomplete)
        r = each_pair(records, META_PARTITIONS, check_owner);
    if (r == 0 && !records->is_incomplete)
        r = each_pair(records, META_SLOTS, check_slot);
    if (r == 0)
        r = meta_groups_check(records->meta, records->txn, tell_what, records);
    if (r == 0)
        r = meta_quotas_check(records->meta, records->txn, tell_what, records);
    if (r == 0)
        r = db_check_keys(records->txn, records->meta->dbis[META_RESERVED], 8,
                          "the key of how far offsets are set aside is damaged", tell_what,
                          records);
    return r;
}

int verify_records(struct verify_worker *worker)
{
    static const uint32_t meta_others = 1U << META_TOPICS | 1U << META_TOPIC_IDS |
                                        1U << META_PARTITIONS | 1U << META_SLOTS |
                                        1U << META_GROUPS | 1U << META_OFFSETS | 1U << META_QUOTAS;
    static const uint32_t index_looked_at =
        1U << INDEX_CHECKPOINTS | 1U << INDEX_SEGMENTS | 1U << INDEX_ENTRIES;
    _cleanup_free_ struct records *records = calloc(1, sizeof(*records));
    if (!records)
        return -ENOMEM;
    records->worker = worker;
    records->meta = &worker->store->meta;
    int r = check_records(records);
    db_abortp(&records->txn);
    free(records->known);
    if (r < 0 && r != -ENOMEM) {
        verify_tell(worker, STORE_PATH_META, -1, -1, "the records cannot be walked over: %s",
                    strerror(-r));
        r = 0;
    }
    if (r == 0)
        r = check_values(worker, &worker->store->meta, &meta_layout, STORE_PATH_META, meta_others,
                         1U << META_EPOCHS | 1U << META_RESERVED);
    if (r == 0)
        r = check_values(worker, &worker->store->index, &index_layout, STORE_PATH_INDEX, 0,
                         index_looked_at);
    return r;
}

/* ---- a file by itself ---------------------------------------------------------------------- */

struct file_walk {
    void (*tick)(void *context);
    void *context;
    uint64_t left; /* of the pairs that the database says it has */
    uint64_t pages;
    bool is_free_list;
};

/* A list of free pages: a count, then that many page numbers, falling. */
static bool free_list_is_right(const MDB_val *value, uint64_t pages)
{
    size_t count;
    size_t page;
    size_t before = SIZE_MAX;
    if (value->mv_size < sizeof(count) || value->mv_size % sizeof(count) != 0)
        return false;
    memcpy(&count, value->mv_data, sizeof(count));
    if (count > value->mv_size / sizeof(count) - 1)
        return false;
    for (size_t i = 1; i <= count; i++) {
        memcpy(&page, (const char *)value->mv_data + i * sizeof(page), sizeof(page));
        if (page >= before || page < 2 || page >= pages)
            return false;
        before = page;
    }
    return true;
}

static int visit_pair(void *context, const MDB_val *key, const MDB_val *value)
{
    struct file_walk *walk = context;
    if (walk->left-- == 0)
        return -EBADMSG;
    if (walk->left % BITE == 0)
        walk->tick(walk->context);
    if (walk->is_free_list)
        return free_list_is_right(value, walk->pages) ? 0 : -EBADMSG;
    /* Whether the checksum is right the store tells when it is open; here all bytes are looked at.
     */
    (void)value_is_whole(value->mv_data, value->mv_size, key->mv_data, key->mv_size);
    return 0;
}

static int walk_one(struct db *db, MDB_dbi dbi, struct file_walk *file)
{
    struct walk walk = {.db = db, .dbi = dbi, .visit = visit_pair, .context = file};
    _cleanup_txn_ MDB_txn *txn = NULL;
    MDB_envinfo info;
    MDB_stat stat;
    if (dbi == DB_ABSENT)
        return 0;
    int r = db_begin(db, false, &txn, NULL);
    if (r == 0)
        r = db_errno(mdb_stat(txn, dbi, &stat));
    if (r == 0)
        r = db_errno(mdb_env_info(db->env, &info));
    if (r < 0)
        return r;
    mdb_txn_abort(TAKE_POINTER(txn));
    /* Others may write meanwhile: a circle has no end at all. */
    file->left = 2 * stat.ms_entries + 1024 * 1024;
    file->pages = info.me_last_pgno + 1 + 1024 * 1024;
    return walk_database(&walk);
}

/* Address space for a file that may grow a little meanwhile. */
static uint64_t map_bytes_of(const char *path, const char *name)
{
    char file[PATH_MAX];
    struct stat info;
    int n = snprintf(file, sizeof(file), "%s/%s", path, name);
    if (n < 0 || (size_t)n >= sizeof(file) || stat(file, &info) < 0)
        return 0;
    return ((uint64_t)info.st_size / FILE_GROWTH_BYTES + 2) * FILE_GROWTH_BYTES;
}

/* Is the file missing from a store? Without meta.mdb there may be none. */
static bool is_lost(const char *path, const char *name)
{
    const struct io *io = &io_system;
    _cleanup_close_ int directory = io->open(io, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (directory < 0)
        return false;
    _cleanup_close_ int meta = io->open(io, directory, STORE_PATH_META, O_PATH, 0);
    return strcmp(name, STORE_PATH_META) == 0 ? create_lost_meta(io, directory) : meta >= 0;
}

int verify_walk(const char *path, const char *name, void (*tick)(void *context), void *context,
                struct beck_error *error)
{
    struct file_walk file = {.tick = tick, .context = context};
    const struct db_layout *layout =
        strcmp(name, STORE_PATH_META) == 0 ? &meta_layout : &index_layout;
    struct db db;
    int r = db_open(&db, path, name, DB_OPEN_READ_ONLY, map_bytes_of(path, name), layout, error);
    if (r == -ENOENT && is_lost(path, name))
        r = report(error, -EBADMSG, "%s: it is missing", name);
    if (r < 0)
        return r;
    r = pages_check(db.env, tick, context, error);
    if (r < 0) {
        db_close(&db);
        report_prefix(error, "%s", name);
        return r;
    }
    for (size_t i = 0; r == 0 && i < layout->count; i++)
        r = walk_one(&db, db.dbis[i], &file);
    file.is_free_list = true;
    if (r == 0)
        r = walk_one(&db, 0, &file); /* the first database of LMDB's own */
    db_close(&db);
    return r < 0 ? report_errno(error, r, "%s: cannot be walked over", name) : 0;
}
