/* SPDX-License-Identifier: Apache-2.0 */
/* The values of meta.mdb: packing, unpacking, and the keys that they stand under. */
#include "meta.h"

#include "bytes.h"
#include "check.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define KEY_STORE      "store"
#define KEY_FEATURES   "features"
#define KEY_FORMAT     "format"
#define KEY_SIZE(text) (sizeof(text) - 1)

/* Larger than any value here: a topic's configuration is the largest part of one. */
#define VALUE_BYTES_MAX (CONFIG_SET_BYTES + 1024)

static const char format_magic[8] = "beckfmt";

static const char *const databases[META_DATABASES] = {
    [META_STORE] = "store",           [META_TOPICS] = "topics", [META_TOPIC_IDS] = "topic_ids",
    [META_PARTITIONS] = "partitions", [META_SLOTS] = "slots",   [META_RECOVERIES] = "recoveries",
    [META_DELETED] = "deleted",       [META_GROUPS] = "groups", [META_OFFSETS] = "offsets",
    [META_EPOCHS] = "epochs",         [META_QUOTAS] = "quotas", [META_RESERVED] = "reserved",
};

const struct db_layout meta_layout = {databases, META_DATABASES, META_REQUIRED};

/* ---- the store ----------------------------------------------------------------------------- */

int meta_format_check(struct db *meta, MDB_txn *txn, struct beck_error *error)
{
    MDB_val key = {.mv_size = KEY_SIZE(KEY_FORMAT), .mv_data = (void *)(uintptr_t)KEY_FORMAT};
    MDB_val value;
    int r = db_errno(mdb_get(txn, meta->dbis[META_STORE], &key, &value));
    if (r < 0)
        return r == -ENOENT ? report(error, r, "there is no store")
                            : report_errno(error, r, "meta.mdb: the format cannot be read");
    if (value.mv_size < 12 || memcmp(value.mv_data, format_magic, sizeof(format_magic)) != 0)
        return report(error, -EBADMSG, "meta.mdb: the format's version is damaged");
    uint32_t version = load_le32((const uint8_t *)value.mv_data + 8);
    if (version != STORE_FORMAT_VERSION)
        return report(error, -EPROTONOSUPPORT,
                      "the store has format %u, and this beck knows format %u only", version,
                      STORE_FORMAT_VERSION);
    return 0;
}

int meta_format_put(struct db *meta, MDB_txn *txn)
{
    uint8_t bytes[12];
    memcpy(bytes, format_magic, sizeof(format_magic));
    store_le32(bytes + 8, STORE_FORMAT_VERSION);
    MDB_val key = {.mv_size = KEY_SIZE(KEY_FORMAT), .mv_data = (void *)(uintptr_t)KEY_FORMAT};
    MDB_val value = {.mv_size = sizeof(bytes), .mv_data = bytes};
    return db_errno(mdb_put(txn, meta->dbis[META_STORE], &key, &value, 0));
}

int meta_features_get(struct db *meta, MDB_txn *txn, struct meta_features *ret_features)
{
    struct meta_features features = {0};
    struct unpacker u;
    int r = db_get_value(txn, meta->dbis[META_STORE], KEY_FEATURES, KEY_SIZE(KEY_FEATURES),
                         VALUE_FEATURES, &u);
    if (r == 0) {
        features.to_read = unpack_u64(&u);
        features.to_write = unpack_u64(&u);
        r = unpack_end(&u);
    } else if (r == -ENOENT) {
        r = 0;
    }
    if (r == 0)
        *ret_features = features;
    return r;
}

int meta_features_put(struct db *meta, MDB_txn *txn, const struct meta_features *features)
{
    uint8_t buffer[32];
    struct packer p;
    pack_begin(&p, buffer, sizeof(buffer), VALUE_FEATURES);
    pack_u64(&p, features->to_read);
    pack_u64(&p, features->to_write);
    return db_put_value(txn, meta->dbis[META_STORE], KEY_FEATURES, KEY_SIZE(KEY_FEATURES), &p);
}

int meta_features_check(struct db *meta, MDB_txn *txn, bool read_only, struct beck_error *error)
{
    struct meta_features features = {0};
    int r = meta_features_get(meta, txn, &features);
    if (r < 0)
        return report(error, r, "meta.mdb: the record of the store's features is damaged");
    uint64_t unknown = features.to_read & ~META_FEATURES_TO_READ;
    if (unknown != 0)
        return report(error, -EPROTONOSUPPORT,
                      "a later beck made this store, with features (0x%" PRIx64
                      ") that this one cannot read",
                      unknown);
    unknown = features.to_write & ~META_FEATURES_TO_WRITE;
    if (unknown != 0 && !read_only)
        return report(error, -EPROTONOSUPPORT,
                      "a later beck made this store, with features (0x%" PRIx64
                      ") that this one cannot keep up: it can be opened read-only",
                      unknown);
    return 0;
}

static void unpack_configs(struct unpacker *unpacker, struct config_set *configs)
{
    configs->bytes = unpack_u32(unpacker);
    const uint8_t *text =
        configs->bytes <= CONFIG_SET_BYTES ? unpack_in_place(unpacker, configs->bytes) : NULL;
    if (text) {
        memcpy(configs->text, text, configs->bytes);
        if (config_set_valid(configs))
            return;
    }
    configs->bytes = 0;
    unpacker->failed = true;
}

static void pack_configs(struct packer *packer, const struct config_set *configs)
{
    pack_u32(packer, configs->bytes);
    pack_bytes(packer, configs->text, configs->bytes);
}

int meta_store_get(struct db *meta, MDB_txn *txn, struct meta_store *ret_store)
{
    struct unpacker u;
    int r =
        db_get_value(txn, meta->dbis[META_STORE], KEY_STORE, KEY_SIZE(KEY_STORE), VALUE_STORE, &u);
    if (r < 0)
        return r;
    unpack_bytes(&u, ret_store->id, BECK_ID_BYTES);
    ret_store->created_ms = (int64_t)unpack_u64(&u);
    ret_store->next_topic_number = unpack_u32(&u);
    ret_store->next_producer_id = (int64_t)unpack_u64(&u);
    unpack_configs(&u, &ret_store->configs);
    return unpack_end(&u);
}

int meta_store_put(struct db *meta, MDB_txn *txn, const struct meta_store *store)
{
    uint8_t buffer[VALUE_BYTES_MAX];
    struct packer p;
    pack_begin(&p, buffer, sizeof(buffer), VALUE_STORE);
    pack_bytes(&p, store->id, BECK_ID_BYTES);
    pack_u64(&p, (uint64_t)store->created_ms);
    pack_u32(&p, store->next_topic_number);
    pack_u64(&p, (uint64_t)store->next_producer_id);
    pack_configs(&p, &store->configs);
    return db_put_value(txn, meta->dbis[META_STORE], KEY_STORE, KEY_SIZE(KEY_STORE), &p);
}

/* ---- topics -------------------------------------------------------------------------------- */

static void pack_topic(struct packer *p, const struct beck_topic *topic)
{
    pack_string(p, topic->name, strlen(topic->name));
    pack_bytes(p, topic->id, BECK_ID_BYTES);
    pack_u32(p, topic->number);
    pack_u32(p, topic->partition_count);
    pack_u64(p, (uint64_t)topic->created_ms);
    pack_u32(p, topic->uid);
    pack_u32(p, topic->gid);
    pack_u32(p, topic->mode);
}

static void unpack_topic(struct unpacker *u, struct beck_topic *topic)
{
    unpack_string(u, topic->name, sizeof(topic->name));
    unpack_bytes(u, topic->id, BECK_ID_BYTES);
    topic->number = unpack_u32(u);
    topic->partition_count = unpack_u32(u);
    topic->created_ms = (int64_t)unpack_u64(u);
    topic->uid = unpack_u32(u);
    topic->gid = unpack_u32(u);
    topic->mode = unpack_u32(u);
}

/* Read a topic's value, which stands under its name. */
static int meta_topic_unpack(const void *key, size_t key_size, const MDB_val *value,
                             struct meta_topic *ret_topic)
{
    struct unpacker u;
    int r = unpack_begin(&u, value->mv_data, value->mv_size, VALUE_TOPIC, key, key_size);
    if (r < 0)
        return r;
    unpack_topic(&u, &ret_topic->topic);
    unpack_configs(&u, &ret_topic->configs);
    r = unpack_end(&u);
    if (r == 0 && (strlen(ret_topic->topic.name) != key_size ||
                   memcmp(ret_topic->topic.name, key, key_size) != 0))
        return -EBADMSG;
    return r;
}

int meta_topic_get(struct db *meta, MDB_txn *txn, const char *name, struct meta_topic *ret_topic)
{
    const MDB_val key = {.mv_size = strlen(name), .mv_data = (void *)(uintptr_t)name};
    MDB_val value;
    int r = db_get(txn, meta->dbis[META_TOPICS], &key, &value);
    return r < 0 ? r : meta_topic_unpack(name, key.mv_size, &value, ret_topic);
}

int meta_topic_put(struct db *meta, MDB_txn *txn, const struct meta_topic *topic)
{
    uint8_t buffer[VALUE_BYTES_MAX];
    struct packer p;
    const char *name = topic->topic.name;

    pack_begin(&p, buffer, sizeof(buffer), VALUE_TOPIC);
    pack_topic(&p, &topic->topic);
    pack_configs(&p, &topic->configs);
    int r = db_put_value(txn, meta->dbis[META_TOPICS], name, strlen(name), &p);
    if (r < 0)
        return r;
    pack_begin(&p, buffer, sizeof(buffer), VALUE_TOPIC_ID);
    pack_string(&p, name, strlen(name));
    return db_put_value(txn, meta->dbis[META_TOPIC_IDS], topic->topic.id, BECK_ID_BYTES, &p);
}

int meta_topic_delete(struct db *meta, MDB_txn *txn, const struct beck_topic *topic)
{
    int r = db_delete(txn, meta->dbis[META_TOPICS], topic->name, strlen(topic->name));
    return r < 0 ? r : db_delete(txn, meta->dbis[META_TOPIC_IDS], topic->id, BECK_ID_BYTES);
}

int meta_topic_name_of_id(struct db *meta, MDB_txn *txn, const uint8_t id[BECK_ID_BYTES],
                          char ret_name[BECK_TOPIC_NAME_BYTES + 1])
{
    struct unpacker u;
    int r = db_get_value(txn, meta->dbis[META_TOPIC_IDS], id, BECK_ID_BYTES, VALUE_TOPIC_ID, &u);
    if (r < 0)
        return r;
    unpack_string(&u, ret_name, BECK_TOPIC_NAME_BYTES + 1);
    return unpack_end(&u);
}

int meta_topic_next(struct db *meta, MDB_txn *txn, const char *after, struct meta_topic *ret_topic)
{
    MDB_cursor *cursor;
    MDB_val key = {.mv_size = strlen(after), .mv_data = (void *)(uintptr_t)after};
    MDB_val value;
    bool first = key.mv_size == 0;

    int r = db_errno(mdb_cursor_open(txn, meta->dbis[META_TOPICS], &cursor));
    if (r < 0)
        return r;
    r = db_errno(mdb_cursor_get(cursor, &key, &value, first ? MDB_FIRST : MDB_SET_RANGE));
    if (r == 0 && !first && key.mv_size == strlen(after) &&
        memcmp(key.mv_data, after, key.mv_size) == 0)
        r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
    while (r == 0) {
        if (meta_topic_unpack(key.mv_data, key.mv_size, &value, ret_topic) == 0)
            break;
        r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
    }
    mdb_cursor_close(cursor);
    return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

/* ---- partitions and their slots ------------------------------------------------------------ */

int meta_partition_get(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                       struct meta_partition *ret_partition)
{
    struct db_key key = db_key_partition(topic_number, partition);
    struct unpacker u;
    int r =
        db_get_value(txn, meta->dbis[META_PARTITIONS], key.bytes, key.size, VALUE_PARTITION, &u);
    if (r < 0)
        return r;
    ret_partition->slot = unpack_u32(&u);
    ret_partition->leader_epoch = unpack_u32(&u);
    ret_partition->log_start_offset = (int64_t)unpack_u64(&u);
    r = unpack_end(&u);
    if (r == 0 && (ret_partition->slot == 0 || ret_partition->slot > BECK_PARTITIONS_MAX ||
                   ret_partition->log_start_offset < 0))
        r = -EBADMSG;
    return r;
}

int meta_partition_put(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition,
                       const struct meta_partition *record)
{
    struct db_key key = db_key_partition(topic_number, partition);
    struct db_key slot = db_key_number(record->slot);
    uint8_t buffer[64];
    struct packer p;

    pack_begin(&p, buffer, sizeof(buffer), VALUE_PARTITION);
    pack_u32(&p, record->slot);
    pack_u32(&p, record->leader_epoch);
    pack_u64(&p, (uint64_t)record->log_start_offset);
    int r = db_put_value(txn, meta->dbis[META_PARTITIONS], key.bytes, key.size, &p);
    if (r < 0)
        return r;
    pack_begin(&p, buffer, sizeof(buffer), VALUE_SLOT);
    pack_u32(&p, topic_number);
    pack_u32(&p, partition);
    return db_put_value(txn, meta->dbis[META_SLOTS], slot.bytes, slot.size, &p);
}

int meta_partition_delete(struct db *meta, MDB_txn *txn, uint32_t topic_number, uint32_t partition)
{
    struct db_key key = db_key_partition(topic_number, partition);
    struct meta_partition record;
    int r = meta_partition_get(meta, txn, topic_number, partition, &record);
    if (r == 0) {
        struct db_key slot = db_key_number(record.slot);
        r = db_delete(txn, meta->dbis[META_SLOTS], slot.bytes, slot.size);
    }
    /* A damaged record goes too; its slot stays taken until the store is repaired. */
    if (r == 0 || r == -EBADMSG || r == -ENOENT)
        r = db_delete(txn, meta->dbis[META_PARTITIONS], key.bytes, key.size);
    if (r == 0)
        r = db_delete_prefix(txn, meta->dbis[META_EPOCHS], key.bytes, key.size);
    if (r == 0)
        r = db_delete(txn, meta->dbis[META_RESERVED], key.bytes, key.size);
    return r;
}

int meta_slot_free(struct db *meta, MDB_txn *txn, uint32_t from, uint32_t *ret_slot)
{
    MDB_cursor *cursor;
    uint32_t slot = from;
    struct db_key begin = db_key_number(from);
    MDB_val key = {.mv_size = begin.size, .mv_data = begin.bytes};
    MDB_val value;

    int r = db_errno(mdb_cursor_open(txn, meta->dbis[META_SLOTS], &cursor));
    if (r < 0)
        return r;
    r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
    while (r == 0 && key.mv_size == 8 && load_be64(key.mv_data) == slot) {
        slot++;
        r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
    }
    mdb_cursor_close(cursor);
    if (r < 0 && r != -ENOENT)
        return r;
    if (slot > BECK_PARTITIONS_MAX)
        return -EMSGSIZE;
    *ret_slot = slot;
    return 0;
}

int meta_slots_end(struct db *meta, MDB_txn *txn, uint32_t *ret_end)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    uint64_t last = 0;
    int r = db_errno(mdb_cursor_open(txn, meta->dbis[META_SLOTS], &cursor));
    if (r < 0)
        return r;
    r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_LAST));
    if (r == 0)
        last = key.mv_size == 8 ? load_be64(key.mv_data) : UINT64_MAX;
    mdb_cursor_close(cursor);
    if (r < 0 && r != -ENOENT)
        return r;
    if (last > BECK_PARTITIONS_MAX)
        return -EBADMSG;
    *ret_end = (uint32_t)last + 1;
    return 0;
}

/* ---- what recovery had to cut -------------------------------------------------------------- */

/* The last key that is a number, plus one. */
static int next_number(MDB_cursor *cursor, uint64_t *ret_number)
{
    MDB_val key;
    MDB_val value;
    int r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_LAST));
    if (r == -ENOENT) {
        *ret_number = 0;
        return 0;
    }
    if (r == 0 && key.mv_size != 8)
        r = -EBADMSG;
    if (r == 0)
        *ret_number = load_be64(key.mv_data) + 1;
    return r;
}

int meta_recovery_add(struct db *meta, MDB_txn *txn, const struct beck_recovery *recovery)
{
    MDB_cursor *cursor;
    uint64_t number = 0;
    uint8_t buffer[1024];
    struct packer p;

    int r = db_errno(mdb_cursor_open(txn, meta->dbis[META_RECOVERIES], &cursor));
    if (r < 0)
        return r;
    r = next_number(cursor, &number);
    mdb_cursor_close(cursor);
    if (r < 0)
        return r;
    struct db_key key = db_key_number(number);
    pack_begin(&p, buffer, sizeof(buffer), VALUE_RECOVERY);
    pack_u64(&p, (uint64_t)recovery->time_ms);
    pack_string(&p, recovery->topic, strlen(recovery->topic));
    pack_u32(&p, (uint32_t)recovery->partition);
    pack_u64(&p, (uint64_t)recovery->next_offset);
    pack_u64(&p, (uint64_t)recovery->segment);
    pack_u64(&p, recovery->position);
    pack_u64(&p, recovery->truncated_bytes);
    pack_string(&p, recovery->reason, strlen(recovery->reason));
    return db_put_value(txn, meta->dbis[META_RECOVERIES], key.bytes, key.size, &p);
}

static int recovery_unpack(const MDB_val *key, const MDB_val *value,
                           struct beck_recovery *ret_recovery)
{
    struct unpacker u;
    int r = unpack_begin(&u, value->mv_data, value->mv_size, VALUE_RECOVERY, key->mv_data,
                         key->mv_size);
    if (r < 0)
        return r;
    ret_recovery->time_ms = (int64_t)unpack_u64(&u);
    unpack_string(&u, ret_recovery->topic, sizeof(ret_recovery->topic));
    ret_recovery->partition = (int32_t)unpack_u32(&u);
    ret_recovery->next_offset = (int64_t)unpack_u64(&u);
    ret_recovery->segment = (int64_t)unpack_u64(&u);
    ret_recovery->position = unpack_u64(&u);
    ret_recovery->truncated_bytes = unpack_u64(&u);
    unpack_string(&u, ret_recovery->reason, sizeof(ret_recovery->reason));
    return unpack_end(&u);
}

int meta_recovery_get(struct db *meta, MDB_txn *txn, uint32_t index,
                      struct beck_recovery *ret_recovery)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int r = db_errno(mdb_cursor_open(txn, meta->dbis[META_RECOVERIES], &cursor));
    if (r < 0)
        return r;
    r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_FIRST));
    for (uint32_t i = 0; r == 0 && i < index; i++)
        r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
    if (r == 0)
        r = recovery_unpack(&key, &value, ret_recovery);
    mdb_cursor_close(cursor);
    return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

int meta_recovery_clear(struct db *meta, MDB_txn *txn)
{
    return db_errno(mdb_drop(txn, meta->dbis[META_RECOVERIES], 0));
}

/* ---- deleted topics ------------------------------------------------------------------------ */

int meta_deleted_put(struct db *meta, MDB_txn *txn, const struct beck_topic *topic)
{
    uint8_t buffer[512];
    struct packer p;
    pack_begin(&p, buffer, sizeof(buffer), VALUE_DELETED);
    pack_topic(&p, topic);
    return db_put_value(txn, meta->dbis[META_DELETED], topic->id, BECK_ID_BYTES, &p);
}

int meta_deleted_remove(struct db *meta, MDB_txn *txn, const uint8_t id[BECK_ID_BYTES])
{
    return db_delete(txn, meta->dbis[META_DELETED], id, BECK_ID_BYTES);
}

int meta_deleted_first(struct db *meta, MDB_txn *txn, struct beck_topic *ret_topic)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    struct unpacker u;
    int r = db_errno(mdb_cursor_open(txn, meta->dbis[META_DELETED], &cursor));
    if (r < 0)
        return r;
    r = db_errno(mdb_cursor_get(cursor, &key, &value, MDB_FIRST));
    if (r == 0)
        r = unpack_begin(&u, value.mv_data, value.mv_size, VALUE_DELETED, key.mv_data, key.mv_size);
    if (r == 0) {
        unpack_topic(&u, ret_topic);
        r = unpack_end(&u);
    }
    mdb_cursor_close(cursor);
    return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}
