/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding, walking and deleting. An offset whose topic is gone is passed over wherever one is
 * looked for: its record goes after the topic (groups_expire.h). So does one under the same key
 * whose name is another's.
 */
#include "groups.h"

#include "check.h"
#include "cleanup.h"
#include "combine.h"
#include "report.h"
#include "topics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int damaged_offset(const struct offset_place *place, int code, struct beck_error *error)
{
    return report_errno(error, code,
                        "meta.mdb: a group's committed offset for topic number %u partition %u",
                        place->topic_number, place->partition);
}

static int damaged_group(int code, struct beck_error *error)
{
    return report_errno(error, code, "meta.mdb: the record of a group");
}

/* ---- finding offsets ----------------------------------------------------------------------- */

static void offset_copy(struct beck_offset *to, const char *topic, struct offset_place place,
                        const struct meta_offset *from)
{
    memset(to, 0, offsetof(struct beck_offset, metadata));
    memcpy(to->topic, topic, strlen(topic) + 1);
    to->topic_number = place.topic_number;
    to->partition = (int32_t)place.partition;
    to->leader_epoch = from->leader_epoch;
    to->offset = from->offset;
    to->commit_ms = from->commit_ms;
    to->expire_ms = from->expire_ms;
    to->metadata_size = from->metadata_size;
    memcpy(to->metadata, from->metadata, from->metadata_size);
    to->metadata[from->metadata_size] = '\0';
}

int groups_fetch(struct beck_store *store, const struct group_name *group, const char *topic,
                 int32_t partition, struct beck_offset *ret_offset, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    struct meta_topic record;
    struct meta_offset offset;
    if (partition < 0 || !beck_topic_name_valid(topic))
        return 0;
    int r = db_begin(&store->meta, false, &txn, error);
    if (r < 0)
        return r;
    r = meta_topic_get(&store->meta, txn, topic, &record);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return report(error, r, "meta.mdb: the record of topic %s is damaged", topic);
    struct offset_place place = {record.topic.number, (uint32_t)partition};
    r = meta_offset_get(&store->meta, txn, group->hash, place, &offset);
    if (r == -ENOENT || (r == 0 && !group_name_equal(group, &offset.group)))
        return 0;
    if (r < 0)
        return damaged_offset(&place, r, error);
    offset_copy(ret_offset, topic, place, &offset);
    return 1;
}

/* The next offset of a group whose topic there is. As meta_offset_next(). */
static int next_offset(struct beck_store *store, MDB_txn *txn, const struct group_name *group,
                       struct offset_place *place, struct meta_offset *ret_offset,
                       char ret_topic[BECK_TOPIC_NAME_BYTES + 1])
{
    for (;;) {
        uint8_t hash[GROUP_HASH_BYTES];
        memcpy(hash, group->hash, sizeof(hash));
        int r = meta_offset_next(&store->meta, txn, hash, place, ret_offset);
        if (r == 0 || memcmp(hash, group->hash, sizeof(hash)) != 0)
            return 0;
        if (r < 0)
            return r;
        if (group_name_equal(group, &ret_offset->group) &&
            meta_topic_name_of_id(&store->meta, txn, ret_offset->topic_id, ret_topic) == 0)
            return 1;
    }
}

int groups_offset_next(struct beck_store *store, const struct group_name *group,
                       struct beck_offset *offset, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    struct offset_place place = {offset->topic_number, (uint32_t)offset->partition};
    char topic[BECK_TOPIC_NAME_BYTES + 1];
    struct meta_offset found;
    int r = db_begin(&store->meta, false, &txn, error);
    if (r < 0)
        return r;
    r = next_offset(store, txn, group, &place, &found, topic);
    if (r == 1)
        offset_copy(offset, topic, place, &found);
    if (r >= 0)
        return r;
    offset->topic_number = place.topic_number;
    offset->partition = (int32_t)place.partition;
    return damaged_offset(&place, r, error);
}

/* ---- deleting ------------------------------------------------------------------------------ */

struct deletion {
    struct beck_store *store;
    const struct group_name *group;
    struct beck_offset_delete *deletes;
    size_t count;
    bool is_found; /* of a whole group: there is something of it */
};

static int delete_one(const struct deletion *deletion, MDB_txn *txn,
                      struct beck_offset_delete *wanted, struct meta_topic *topic)
{
    struct db *meta = &deletion->store->meta;
    struct meta_offset offset;
    bool is_name = beck_topic_name_valid(wanted->topic);
    int r = is_name ? meta_topic_get(meta, txn, wanted->topic, topic) : -ENOENT;
    if (r < 0 || wanted->partition < 0 ||
        (uint32_t)wanted->partition >= topic->topic.partition_count) {
        wanted->result = -ENOENT;
        return 0;
    }
    struct offset_place place = {topic->topic.number, (uint32_t)wanted->partition};
    wanted->result = 0;
    if (meta_offset_get(meta, txn, deletion->group->hash, place, &offset) == 0 &&
        !group_name_equal(deletion->group, &offset.group))
        return 0;
    return meta_offset_delete(meta, txn, deletion->group->hash, place);
}

static int apply_delete_offsets(void *context, MDB_txn *txn)
{
    const struct deletion *deletion = context;
    _cleanup_free_ struct meta_topic *topic = malloc(sizeof(*topic));
    int r = topic ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < deletion->count; i++)
        r = delete_one(deletion, txn, &deletion->deletes[i], topic);
    return r;
}

int groups_delete_offsets(struct beck_store *store, const struct group_name *group,
                          struct beck_offset_delete *deletes, size_t count,
                          struct beck_error *error)
{
    struct deletion deletion = {.store = store, .group = group, .deletes = deletes, .count = count};
    struct combine_job job = {.apply = apply_delete_offsets, .context = &deletion};
    return combine_commit(&store->combine, &store->meta, &job, error);
}

/* All offsets of a group, those of deleted topics and damaged ones too. */
static int delete_group_offsets(struct deletion *deletion, MDB_txn *txn)
{
    struct db *meta = &deletion->store->meta;
    struct offset_place place = {0};
    struct meta_offset offset;
    for (;;) {
        uint8_t hash[GROUP_HASH_BYTES];
        memcpy(hash, deletion->group->hash, sizeof(hash));
        int r = meta_offset_next(meta, txn, hash, &place, &offset);
        if (r == 0 || memcmp(hash, deletion->group->hash, sizeof(hash)) != 0)
            return 0;
        if (r < 0 && r != -EBADMSG && r != -EPROTONOSUPPORT)
            return r;
        if (r == 1 && !group_name_equal(deletion->group, &offset.group))
            continue;
        deletion->is_found = true;
        r = meta_offset_delete(meta, txn, hash, place);
        if (r < 0)
            return r;
    }
}

static int apply_delete_group(void *context, MDB_txn *txn)
{
    struct deletion *deletion = context;
    struct db *meta = &deletion->store->meta;
    struct meta_group group;
    deletion->is_found = false;
    int r = meta_group_get(meta, txn, deletion->group->hash, &group);
    bool is_other = r == 0 && !group_name_equal(deletion->group, &group.name);
    if (r != -ENOENT && !is_other) {
        deletion->is_found = true;
        r = meta_group_delete(meta, txn, deletion->group->hash);
        if (r < 0)
            return r;
    }
    return delete_group_offsets(deletion, txn);
}

int groups_delete(struct beck_store *store, const struct group_name *group,
                  struct beck_error *error)
{
    struct deletion deletion = {.store = store, .group = group};
    struct combine_job job = {.apply = apply_delete_group, .context = &deletion};
    int r = combine_commit(&store->combine, &store->meta, &job, error);
    return r < 0 || deletion.is_found ? r : report(error, -ENOENT, "there is no such group");
}

/* ---- groups as a whole --------------------------------------------------------------------- */

struct put {
    struct beck_store *store;
    const struct meta_group *group;
    bool is_other; /* another group has the hash */
};

static int apply_put(void *context, MDB_txn *txn)
{
    struct put *put = context;
    struct db *meta = &put->store->meta;
    struct meta_group before;
    put->is_other = meta_group_get(meta, txn, put->group->name.hash, &before) == 0 &&
                    !group_name_equal(&before.name, &put->group->name);
    return put->is_other ? 0 : meta_group_put(meta, txn, put->group);
}

int groups_put(struct beck_store *store, const struct meta_group *group, struct beck_error *error)
{
    struct put put = {.store = store, .group = group};
    struct combine_job job = {.apply = apply_put, .context = &put};
    int r = combine_commit(&store->combine, &store->meta, &job, error);
    return r < 0 || !put.is_other
               ? r
               : report(error, -EEXIST, "another group's name has the same hash");
}

static void group_copy(struct beck_group *to, const struct group_name *name,
                       const struct meta_group *record)
{
    memcpy(to->hash, name->hash, sizeof(to->hash));
    to->id_size = name->size;
    if (name->size > 0)
        memcpy(to->id, name->bytes, name->size);
    to->id[name->size] = '\0';
    to->has_record = record;
    to->protocol_type[0] = '\0';
    to->empty_since_ms = -1;
    to->state_size = 0;
    if (!record)
        return;
    memcpy(to->protocol_type, record->protocol_type, record->protocol_type_size);
    to->protocol_type[record->protocol_type_size] = '\0';
    to->empty_since_ms = record->empty_since_ms;
    to->state_size = record->state_size;
}

/* Has the group an offset of a topic that there is? 1 or 0. A damaged one counts. */
static int has_offset(struct beck_store *store, MDB_txn *txn, const struct group_name *group)
{
    struct offset_place place = {0};
    struct meta_offset offset;
    char topic[BECK_TOPIC_NAME_BYTES + 1];
    int r = next_offset(store, txn, group, &place, &offset, topic);
    return r == -EBADMSG || r == -EPROTONOSUPPORT ? 1 : r;
}

int groups_get(struct beck_store *store, const struct group_name *group,
               struct beck_group *ret_group, void *state, size_t state_room,
               struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    struct meta_group record;
    int r = db_begin(&store->meta, false, &txn, error);
    if (r < 0)
        return r;
    r = meta_group_get(&store->meta, txn, group->hash, &record);
    if (r < 0 && r != -ENOENT)
        return damaged_group(r, error);
    if (r == 0 && group_name_equal(group, &record.name)) {
        group_copy(ret_group, group, &record);
        if (state && record.state_size > 0 && record.state_size <= state_room)
            memcpy(state, record.state, record.state_size);
        return 1;
    }
    r = has_offset(store, txn, group);
    if (r < 0)
        return report_errno(error, r, "meta.mdb: the group's offsets cannot be read");
    if (r == 1)
        group_copy(ret_group, group, NULL);
    return r;
}

/* The first group behind a hash that has an offset that is seen. As meta_offset_next(). */
static int next_with_offset(struct beck_store *store, MDB_txn *txn,
                            const uint8_t after[GROUP_HASH_BYTES], struct meta_offset *ret_offset,
                            uint8_t ret_hash[GROUP_HASH_BYTES])
{
    memcpy(ret_hash, after, GROUP_HASH_BYTES);
    for (;;) {
        struct offset_place place = {UINT32_MAX, UINT32_MAX}; /* behind all of that group */
        int r = meta_offset_next(&store->meta, txn, ret_hash, &place, ret_offset);
        if (r != 1)
            return r;
        r = has_offset(store, txn, &ret_offset->group);
        if (r != 0)
            return r;
    }
}

int groups_next(struct beck_store *store, struct beck_group *group, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    struct meta_group record;
    struct meta_offset offset;
    uint8_t hash[GROUP_HASH_BYTES];
    uint8_t offset_hash[GROUP_HASH_BYTES];
    int r = db_begin(&store->meta, false, &txn, error);
    if (r < 0)
        return r;
    memcpy(hash, group->hash, sizeof(hash));
    int by_record = meta_group_next(&store->meta, txn, hash, &record);
    int by_offset = next_with_offset(store, txn, group->hash, &offset, offset_hash);
    if (by_record == 0 && by_offset == 0)
        return 0;
    bool is_record =
        by_offset == 0 || (by_record != 0 && memcmp(hash, offset_hash, sizeof(hash)) <= 0);
    r = is_record ? by_record : by_offset;
    if (r < 0) {
        memcpy(group->hash, is_record ? hash : offset_hash, sizeof(hash));
        return damaged_group(r, error);
    }
    group_copy(group, is_record ? &record.name : &offset.group, is_record ? &record : NULL);
    return 1;
}
