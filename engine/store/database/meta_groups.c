/* SPDX-License-Identifier: Apache-2.0 */
/* The values of groups and offsets, and the keys that they stand under. */
#include "meta_groups.h"

#include "bytes.h"
#include "check.h"
#include "cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define OFFSET_KEY_BYTES (GROUP_HASH_BYTES + 8)
#define SMALL_BYTES      1024 /* values up to here are made on the stack */
#define FRAME_BYTES      128  /* more than all fields of a fixed size take, with the frame */

struct group_name group_name_of(const void *bytes, size_t size)
{
    struct group_name name = {.bytes = bytes, .size = size};
    XXH128_canonicalFromHash((XXH128_canonical_t *)name.hash,
                             XXH3_128bits(size > 0 ? bytes : "", size));
    return name;
}

bool group_name_equal(const struct group_name *a, const struct group_name *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0);
}

static struct db_key offset_key(const uint8_t hash[GROUP_HASH_BYTES], struct offset_place place)
{
    struct db_key key = {.size = OFFSET_KEY_BYTES};
    memcpy(key.bytes, hash, GROUP_HASH_BYTES);
    store_be32(key.bytes + GROUP_HASH_BYTES, place.topic_number);
    store_be32(key.bytes + GROUP_HASH_BYTES + 4, place.partition);
    return key;
}

static void offset_key_read(const MDB_val *key, uint8_t hash[GROUP_HASH_BYTES],
                            struct offset_place *place)
{
    const uint8_t *bytes = key->mv_data;
    memcpy(hash, bytes, GROUP_HASH_BYTES);
    place->topic_number = load_be32(bytes + GROUP_HASH_BYTES);
    place->partition = load_be32(bytes + GROUP_HASH_BYTES + 4);
}

/* The name in a value, which has to be that of the key. */
static void unpack_name(struct unpacker *u, const uint8_t hash[GROUP_HASH_BYTES],
                        struct group_name *name)
{
    size_t size;
    const uint8_t *bytes = unpack_string_in_place(u, &size);
    if (!bytes || size > BECK_GROUP_ID_BYTES) {
        u->failed = true;
        return;
    }
    *name = group_name_of(bytes, size);
    if (memcmp(name->hash, hash, GROUP_HASH_BYTES) != 0)
        u->failed = true;
}

/* ---- offsets ------------------------------------------------------------------------------- */

static int offset_unpack(struct unpacker *u, const uint8_t hash[GROUP_HASH_BYTES],
                         struct meta_offset *ret_offset)
{
    struct meta_offset offset;
    unpack_name(u, hash, &offset.group);
    unpack_bytes(u, offset.topic_id, BECK_ID_BYTES);
    offset.offset = (int64_t)unpack_u64(u);
    offset.leader_epoch = (int32_t)unpack_u32(u);
    offset.commit_ms = (int64_t)unpack_u64(u);
    offset.expire_ms = (int64_t)unpack_u64(u);
    offset.metadata = unpack_string_in_place(u, &offset.metadata_size);
    int r = unpack_end(u);
    if (r == 0 && (offset.offset < 0 || offset.leader_epoch < -1 || offset.commit_ms < 0 ||
                   offset.expire_ms < -1 || offset.metadata_size > BECK_OFFSET_METADATA_BYTES))
        r = -EBADMSG;
    if (r == 0)
        *ret_offset = offset;
    return r;
}

int meta_offset_get(struct db *meta, MDB_txn *txn, const uint8_t hash[GROUP_HASH_BYTES],
                    struct offset_place place, struct meta_offset *ret_offset)
{
    struct db_key key = offset_key(hash, place);
    struct unpacker u;
    int r = db_get_value(txn, meta->dbis[META_OFFSETS], key.bytes, key.size, VALUE_OFFSET, &u);
    return r < 0 ? r : offset_unpack(&u, hash, ret_offset);
}

int meta_offset_put(struct db *meta, MDB_txn *txn, struct offset_place place,
                    const struct meta_offset *offset)
{
    struct db_key key = offset_key(offset->group.hash, place);
    uint8_t small[SMALL_BYTES];
    size_t room = offset->group.size + offset->metadata_size + FRAME_BYTES;
    _cleanup_free_ uint8_t *large = room > sizeof(small) ? malloc(room) : NULL;
    struct packer p;
    if (room > sizeof(small) && !large)
        return -ENOMEM;
    pack_begin(&p, large ? large : small, room, VALUE_OFFSET);
    pack_string(&p, offset->group.bytes, offset->group.size);
    pack_bytes(&p, offset->topic_id, BECK_ID_BYTES);
    pack_u64(&p, (uint64_t)offset->offset);
    pack_u32(&p, (uint32_t)offset->leader_epoch);
    pack_u64(&p, (uint64_t)offset->commit_ms);
    pack_u64(&p, (uint64_t)offset->expire_ms);
    pack_string(&p, offset->metadata, offset->metadata_size);
    return db_put_value(txn, meta->dbis[META_OFFSETS], key.bytes, key.size, &p);
}

int meta_offset_delete(struct db *meta, MDB_txn *txn, const uint8_t hash[GROUP_HASH_BYTES],
                       struct offset_place place)
{
    struct db_key key = offset_key(hash, place);
    return db_delete(txn, meta->dbis[META_OFFSETS], key.bytes, key.size);
}

int meta_offset_next(struct db *meta, MDB_txn *txn, uint8_t hash[GROUP_HASH_BYTES],
                     struct offset_place *place, struct meta_offset *ret_offset)
{
    struct db_key after = offset_key(hash, *place);
    MDB_val key;
    MDB_val value;
    struct unpacker u;
    int r = db_next_of_size(txn, meta->dbis[META_OFFSETS], &after, &key, &value);
    if (r != 1)
        return r;
    offset_key_read(&key, hash, place);
    r = unpack_begin(&u, value.mv_data, value.mv_size, VALUE_OFFSET, key.mv_data, key.mv_size);
    if (r == 0)
        r = offset_unpack(&u, hash, ret_offset);
    return r == 0 ? 1 : r;
}

/* ---- groups -------------------------------------------------------------------------------- */

static int group_unpack(struct unpacker *u, const uint8_t hash[GROUP_HASH_BYTES],
                        struct meta_group *ret_group)
{
    struct meta_group group;
    unpack_name(u, hash, &group.name);
    group.protocol_type = (const char *)unpack_string_in_place(u, &group.protocol_type_size);
    group.empty_since_ms = (int64_t)unpack_u64(u);
    group.state_size = unpack_u32(u);
    group.state = unpack_in_place(u, group.state_size);
    int r = unpack_end(u);
    if (r == 0 && (group.protocol_type_size > BECK_GROUP_PROTOCOL_BYTES ||
                   group.empty_since_ms < -1 || group.state_size > BECK_GROUP_STATE_BYTES))
        r = -EBADMSG;
    if (r == 0)
        *ret_group = group;
    return r;
}

int meta_group_get(struct db *meta, MDB_txn *txn, const uint8_t hash[GROUP_HASH_BYTES],
                   struct meta_group *ret_group)
{
    struct unpacker u;
    int r = db_get_value(txn, meta->dbis[META_GROUPS], hash, GROUP_HASH_BYTES, VALUE_GROUP, &u);
    return r < 0 ? r : group_unpack(&u, hash, ret_group);
}

int meta_group_put(struct db *meta, MDB_txn *txn, const struct meta_group *group)
{
    size_t room = group->name.size + group->protocol_type_size + group->state_size + FRAME_BYTES;
    _cleanup_free_ uint8_t *buffer = malloc(room);
    struct packer p;
    if (!buffer)
        return -ENOMEM;
    pack_begin(&p, buffer, room, VALUE_GROUP);
    pack_string(&p, group->name.bytes, group->name.size);
    pack_string(&p, group->protocol_type, group->protocol_type_size);
    pack_u64(&p, (uint64_t)group->empty_since_ms);
    pack_u32(&p, (uint32_t)group->state_size);
    pack_bytes(&p, group->state, group->state_size);
    return db_put_value(txn, meta->dbis[META_GROUPS], group->name.hash, GROUP_HASH_BYTES, &p);
}

int meta_group_delete(struct db *meta, MDB_txn *txn, const uint8_t hash[GROUP_HASH_BYTES])
{
    return db_delete(txn, meta->dbis[META_GROUPS], hash, GROUP_HASH_BYTES);
}

int meta_group_next(struct db *meta, MDB_txn *txn, uint8_t hash[GROUP_HASH_BYTES],
                    struct meta_group *ret_group)
{
    struct db_key after = db_key_bytes(hash, GROUP_HASH_BYTES);
    MDB_val key;
    MDB_val value;
    struct unpacker u;
    int r = db_next_of_size(txn, meta->dbis[META_GROUPS], &after, &key, &value);
    if (r != 1)
        return r;
    memcpy(hash, key.mv_data, GROUP_HASH_BYTES);
    r = unpack_begin(&u, value.mv_data, value.mv_size, VALUE_GROUP, key.mv_data, key.mv_size);
    if (r == 0)
        r = group_unpack(&u, hash, ret_group);
    return r == 0 ? 1 : r;
}

/* ---- verification -------------------------------------------------------------------------- */

/* How a group is called in a sentence, as far as it can be printed. */
static void name_text(const struct group_name *name, char to[48])
{
    const char *bytes = name->bytes;
    size_t size = name->size < 40 ? name->size : 40;
    for (size_t i = 0; i < size; i++)
        to[i] = (bytes[i] < ' ' || bytes[i] == 0x7f) ? '?' : bytes[i];
    to[size] = '\0';
}

/* Is the offset of a topic and partition that there are? The topic may just be being deleted. */
static const char *offset_senseless(struct db *meta, MDB_txn *txn, struct offset_place place,
                                    const struct meta_offset *offset)
{
    char name[BECK_TOPIC_NAME_BYTES + 1];
    struct meta_topic topic;
    if (meta_topic_name_of_id(meta, txn, offset->topic_id, name) < 0 ||
        meta_topic_get(meta, txn, name, &topic) < 0)
        return NULL;
    if (topic.topic.number != place.topic_number)
        return "names another topic than its key";
    if (place.partition >= topic.topic.partition_count)
        return "is of a partition that its topic does not have";
    return NULL;
}

static int check_offsets(struct db *meta, MDB_txn *txn,
                         int (*tell)(void *context, const char *what), void *context)
{
    uint8_t hash[GROUP_HASH_BYTES] = {0};
    struct offset_place place = {0};
    struct meta_offset offset;
    char what[160];
    for (;;) {
        int r = meta_offset_next(meta, txn, hash, &place, &offset);
        if (r == 0 || (r < 0 && r != -EBADMSG && r != -EPROTONOSUPPORT))
            return r;
        if (r < 0) {
            (void)snprintf(what, sizeof(what),
                           "a group's committed offset for topic number %u partition %u is damaged",
                           place.topic_number, place.partition);
        } else {
            char name[48];
            const char *why = offset_senseless(meta, txn, place, &offset);
            if (!why)
                continue;
            name_text(&offset.group, name);
            (void)snprintf(what, sizeof(what),
                           "the committed offset of group %s for topic number %u partition %u %s",
                           name, place.topic_number, place.partition, why);
        }
        r = tell(context, what);
        if (r != 0)
            return r;
    }
}

int meta_groups_check(struct db *meta, MDB_txn *txn, int (*tell)(void *context, const char *what),
                      void *context)
{
    uint8_t hash[GROUP_HASH_BYTES] = {0};
    struct meta_group group;
    int r = db_check_keys(txn, meta->dbis[META_GROUPS], GROUP_HASH_BYTES,
                          "the key of a group is damaged", tell, context);
    if (r == 0)
        r = db_check_keys(txn, meta->dbis[META_OFFSETS], OFFSET_KEY_BYTES,
                          "the key of a committed offset is damaged", tell, context);
    while (r == 0) {
        int next = meta_group_next(meta, txn, hash, &group);
        if (next == 0)
            return check_offsets(meta, txn, tell, context);
        if (next == -EBADMSG || next == -EPROTONOSUPPORT)
            r = tell(context, "the record of a group is damaged");
        else if (next < 0)
            r = next;
    }
    return r;
}
