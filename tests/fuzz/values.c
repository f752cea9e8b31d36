/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes what is read from LMDB's values. The input is a row of pairs, which are put into databases
 * of meta.mdb and index.mdb with the right type and checksum, and then read by all that reads them:
 * nothing may be believed that cannot be. Each input has a transaction of its own, which is
 * aborted.
 *
 *     a pair: database u8; size of the key u8, 0: the one that is looked for; the key; size of the
 *     fields u16, little-endian; the fields
 */
#include "cleanings.h"
#include "config.h"
#include "epochs.h"
#include "index.h"
#include "meta.h"
#include "meta_groups.h"
#include "meta_quotas.h"
#include "meta_reserved.h"
#include "producers.h"

#include "bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOPIC         1
#define PARTITION     0
#define SEGMENT       0
#define MAP_BYTES     ((uint64_t)16 << 20)
#define VALUE_BYTES   40000
#define KEY_BYTES_MAX 60

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct db meta;
static struct db index_;
static char folder[64];
static uint64_t sum; /* of what came out, so that all of it is read */

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void add(const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum += ((const uint8_t *)bytes)[i];
}

static void add_text(const char *text)
{
    add(text, strlen(text));
}

/* ---- the databases ------------------------------------------------------------------------- */

static void remove_folder(void)
{
    static const char *const names[] = {"meta.mdb", "meta.mdb-lock", "index.mdb", "index.mdb-lock"};
    char path[96];
    db_close(&meta);
    db_close(&index_);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

static void begin(void)
{
    struct beck_error error;
    (void)snprintf(folder, sizeof(folder), "%s/beck-test-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    must(mkdtemp(folder) != NULL);
    must(db_open(&meta, folder, "meta.mdb", DB_OPEN_CREATE, MAP_BYTES, &meta_layout, &error) == 0);
    must(db_open(&index_, folder, "index.mdb", DB_OPEN_CREATE, MAP_BYTES, &index_layout, &error) ==
         0);
    must(atexit(remove_folder) == 0);
}

/* ---- putting ------------------------------------------------------------------------------- */

struct place {
    struct db *db;
    unsigned database;
    enum value_type type;
    enum value_type other; /* that stands there too */
};

static const struct place places[] = {
    {&meta, META_STORE, VALUE_STORE, VALUE_FEATURES},
    {&meta, META_TOPICS, VALUE_TOPIC, VALUE_TOPIC},
    {&meta, META_TOPIC_IDS, VALUE_TOPIC_ID, VALUE_TOPIC_ID},
    {&meta, META_PARTITIONS, VALUE_PARTITION, VALUE_PARTITION},
    {&meta, META_SLOTS, VALUE_SLOT, VALUE_SLOT},
    {&meta, META_RECOVERIES, VALUE_RECOVERY, VALUE_RECOVERY},
    {&meta, META_DELETED, VALUE_DELETED, VALUE_DELETED},
    {&meta, META_GROUPS, VALUE_GROUP, VALUE_GROUP},
    {&meta, META_OFFSETS, VALUE_OFFSET, VALUE_OFFSET},
    {&meta, META_EPOCHS, VALUE_EPOCH, VALUE_EPOCH},
    {&index_, INDEX_STATE, VALUE_STATE, VALUE_STATE},
    {&index_, INDEX_CHECKPOINTS, VALUE_CHECKPOINT, VALUE_CHECKPOINT},
    {&index_, INDEX_SEGMENTS, VALUE_SEGMENT, VALUE_SEGMENT},
    {&index_, INDEX_ENTRIES, VALUE_ENTRIES, VALUE_ENTRIES},
    {&index_, INDEX_PRODUCERS, VALUE_PRODUCER, VALUE_PRODUCERS},
    {&index_, INDEX_CLEANINGS, VALUE_CLEANING, VALUE_CLEANING},
    {&index_, INDEX_CLEANED, VALUE_CLEANED, VALUE_CLEANED},
    {&meta, META_QUOTAS, VALUE_QUOTA, VALUE_QUOTA},
    {&meta, META_RESERVED, VALUE_RESERVED, VALUE_RESERVED},
};
#define PLACES (sizeof(places) / sizeof(places[0]))

static const uint8_t topic_id[BECK_ID_BYTES] = {1, 2, 3};

/* That of a quota for the client id "c". */
static struct db_key quota_key(void)
{
    struct beck_quota quota = {.set = 0};
    uint8_t hash[QUOTA_HASH_BYTES];
    quota.parts[BECK_QUOTA_CLIENT_ID] =
        (struct beck_quota_name){.match = BECK_QUOTA_NAMED, .size = 1, .bytes = "c"};
    meta_quota_hash(&quota, hash);
    return db_key_bytes(hash, sizeof(hash));
}

/* The key that is looked for. */
static struct db_key usual_key(const struct place *place, bool other)
{
    struct group_name group = group_name_of("g", 1);
    struct db_key key = db_key_partition(TOPIC, PARTITION);
    switch (place->type) {
    case VALUE_STORE:
        return other ? db_key_bytes("features", 8) : db_key_bytes("store", 5);
    case VALUE_TOPIC:
        return db_key_bytes("t", 1);
    case VALUE_TOPIC_ID:
    case VALUE_DELETED:
        return db_key_bytes(topic_id, sizeof(topic_id));
    case VALUE_SLOT:
    case VALUE_RECOVERY:
        return db_key_number(1);
    case VALUE_GROUP:
        return db_key_bytes(group.hash, sizeof(group.hash));
    case VALUE_OFFSET:
        memcpy(key.bytes + 16, key.bytes, 8);
        memcpy(key.bytes, group.hash, 16);
        key.size = 24;
        return key;
    case VALUE_EPOCH:
        store_be32(key.bytes + 8, 1);
        key.size = 12;
        return key;
    case VALUE_QUOTA:
        return quota_key();
    case VALUE_STATE:
        return db_key_bytes("state", 5);
    case VALUE_SEGMENT:
        return db_key_segment(TOPIC, PARTITION, SEGMENT);
    case VALUE_ENTRIES:
        return db_key_chunk(TOPIC, PARTITION, SEGMENT, 0);
    case VALUE_PRODUCER:
        return other ? key : db_key_segment(TOPIC, PARTITION, 7);
    default:
        return key;
    }
}

/* Take a pair off the input and put it. Returns what is left. */
static size_t put_pair(MDB_txn *txns[2], const uint8_t *data, size_t size)
{
    static uint8_t bytes[VALUE_BYTES];
    struct packer packer;
    if (size < 4)
        return 0;
    const struct place *place = &places[data[0] % PLACES];
    bool other = data[0] >= 128;
    struct db_key usual = usual_key(place, other);
    MDB_val key = {usual.size, usual.bytes};
    size_t key_size = data[1] % KEY_BYTES_MAX;
    data += 2;
    size -= 2;
    if (key_size > 0 && key_size < size) {
        key = (MDB_val){key_size, (void *)(uintptr_t)data};
        data += key_size;
        size -= key_size;
    }
    if (size < 2)
        return 0;
    size_t fields = load_le16(data);
    data += 2;
    size -= 2;
    fields = fields < size ? fields : size;
    pack_begin(&packer, bytes, sizeof(bytes), other ? place->other : place->type);
    pack_bytes(&packer, data, fields);
    int n = pack_end(&packer, key.mv_data, key.mv_size);
    MDB_val value = {n > 0 ? (size_t)n : 0, bytes};
    if (n > 0)
        (void)mdb_put(txns[place->db == &index_], place->db->dbis[place->database], &key, &value,
                      0);
    return size - fields;
}

/* ---- reading ------------------------------------------------------------------------------- */

static bool is_known(int r)
{
    return r >= 0 || r == -ENOENT || r == -EBADMSG || r == -EPROTONOSUPPORT || r == -EMSGSIZE;
}

static void read_configs(const struct config_set *set, const struct config_set *defaults)
{
    static struct config_resolved resolved;
    config_resolve(set, defaults, &resolved);
    add(&resolved.segment_bytes, sizeof(resolved.segment_bytes));
    (void)config_set_check(set, defaults, NULL);
}

static void read_topics(MDB_txn *txn)
{
    static struct meta_store store;
    static struct meta_topic topic;
    static struct beck_topic deleted;
    struct meta_features features;
    char name[BECK_TOPIC_NAME_BYTES + 1] = "";
    int r = meta_store_get(&meta, txn, &store);
    must(is_known(r));
    if (r < 0)
        memset(&store, 0, sizeof(store));
    must(is_known(meta_features_get(&meta, txn, &features)));
    if (meta_topic_get(&meta, txn, "t", &topic) == 0)
        read_configs(&topic.configs, &store.configs);
    if (meta_topic_name_of_id(&meta, txn, topic_id, name) == 0)
        add_text(name);
    name[0] = '\0';
    while (meta_topic_next(&meta, txn, name, &topic) == 1) {
        must(strcmp(topic.topic.name, name) > 0);
        (void)snprintf(name, sizeof(name), "%s", topic.topic.name);
        read_configs(&topic.configs, &store.configs);
    }
    if (meta_deleted_first(&meta, txn, &deleted) == 1)
        add_text(deleted.name);
}

static int visit_epoch(void *context, uint32_t epoch, int64_t start_offset)
{
    (void)context;
    sum += epoch + (uint64_t)start_offset;
    return 0;
}

static void read_partitions(MDB_txn *txn)
{
    static struct beck_recovery recovery;
    struct meta_partition partition;
    uint32_t slot;
    int64_t reserved = 0;
    must(is_known(meta_reserved_get(&meta, txn, TOPIC, PARTITION, &reserved)) && reserved >= 0);
    must(is_known(meta_partition_get(&meta, txn, TOPIC, PARTITION, &partition)));
    must(is_known(meta_slot_free(&meta, txn, 1, &slot)));
    must(is_known(meta_slots_end(&meta, txn, &slot)));
    for (uint32_t i = 0; meta_recovery_get(&meta, txn, i, &recovery) == 1; i++)
        add_text(recovery.reason);
    must(is_known(epochs_walk(&meta, txn, TOPIC, PARTITION, visit_epoch, NULL)));
}

static int tell(void *context, const char *what)
{
    (void)context;
    add_text(what);
    return 0;
}

static void read_groups(MDB_txn *txn)
{
    struct meta_offset offset;
    struct meta_group group;
    struct offset_place place = {0};
    uint8_t hash[GROUP_HASH_BYTES] = {0};
    int r;
    while ((r = meta_offset_next(&meta, txn, hash, &place, &offset)) == 1 || r == -EBADMSG)
        if (r == 1) {
            add(offset.group.bytes, offset.group.size);
            add(offset.metadata, offset.metadata_size);
        }
    memset(hash, 0, sizeof(hash));
    while ((r = meta_group_next(&meta, txn, hash, &group)) == 1 || r == -EBADMSG)
        if (r == 1) {
            add(group.name.bytes, group.name.size);
            add(group.protocol_type, group.protocol_type_size);
            add(group.state, group.state_size);
        }
    (void)meta_groups_check(&meta, txn, tell, NULL);
}

static void read_quotas(MDB_txn *txn)
{
    struct beck_quota quota;
    uint8_t hash[QUOTA_HASH_BYTES] = {0};
    int r;
    while ((r = meta_quota_next(&meta, txn, hash, &quota)) == 1 || r == -EBADMSG)
        if (r == 1) {
            must(!meta_quota_wrong(&quota));
            add(&quota, sizeof(quota));
        }
    (void)meta_quotas_check(&meta, txn, tell, NULL);
}

static int visit_segment(void *context, const struct segment_record *segment)
{
    must(segment->next_offset >= segment->base_offset);
    (void)context;
    add(segment->digest, segment->has_digest ? sizeof(segment->digest) : 0);
    return 0;
}

static int visit_entry(void *context, const struct index_entry *entry)
{
    (void)context;
    add(entry, sizeof(*entry));
    return 0;
}

static void read_index(MDB_txn *txn)
{
    bool clean;
    struct index_checkpoint checkpoint;
    struct segment_record segment;
    struct index_entry entry;
    (void)index_clean_get(&index_, txn, &clean);
    (void)index_checkpoint_get(&index_, txn, TOPIC, PARTITION, &checkpoint);
    if (index_segment_get(&index_, txn, TOPIC, PARTITION, SEGMENT, &segment) == 0)
        (void)visit_segment(NULL, &segment);
    must(is_known(index_segments(&index_, txn, TOPIC, PARTITION, visit_segment, NULL)));
    must(is_known(index_entries(&index_, txn, TOPIC, PARTITION, SEGMENT, visit_entry, NULL)));
    for (enum index_by by = INDEX_BY_OFFSET; by <= INDEX_BY_TIME; by++)
        for (int64_t target = 0; target < INT64_MAX / 16; target = target * 16 + 15)
            if (index_entry_find(&index_, txn, TOPIC, PARTITION, SEGMENT, by, target, &entry) == 1)
                must(index_entry_precedes(&entry, by, target));
}

static int visit_producer(void *context, const struct producer *producer)
{
    must(producer->batch_count <= PRODUCER_BATCHES);
    must(producer_table_put(context, producer) == 0);
    return 0;
}

static void read_producers(MDB_txn *txn)
{
    static struct cleaning_intent intent;
    struct producer_table table = {0};
    int64_t offset;
    uint32_t topic;
    uint32_t partition;
    if (producers_walk(&index_, txn, TOPIC, PARTITION, visit_producer, &table, &offset) == 0)
        producer_table_order(&table);
    producer_table_done(&table);
    if (cleanings_get(&index_, txn, TOPIC, PARTITION, &intent) == 0) {
        must(intent.source_count > 0 && intent.source_count <= CLEANING_SOURCES_MAX);
        add(intent.sources, intent.source_count * sizeof(intent.sources[0]));
    }
    (void)cleanings_next(&index_, txn, &topic, &partition);
    (void)cleaned_get(&index_, txn, TOPIC, PARTITION, &offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    MDB_txn *txns[2];
    struct beck_error error;
    if (folder[0] == '\0')
        begin();
    must(db_begin(&meta, true, &txns[0], &error) == 0);
    must(db_begin(&index_, true, &txns[1], &error) == 0);
    for (size_t left = size; left > 0;)
        left = put_pair(txns, data + (size - left), left);
    read_topics(txns[0]);
    read_partitions(txns[0]);
    read_groups(txns[0]);
    read_quotas(txns[0]);
    read_index(txns[1]);
    read_producers(txns[1]);
    mdb_txn_abort(txns[1]);
    mdb_txn_abort(txns[0]);
    return 0;
}
