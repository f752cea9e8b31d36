/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic exists from the commit of its record in meta.mdb on. Before it, its directories are made
 * and synced and its slots filled, so that nobody finds it half done; what a crash leaves of that
 * is a folder that no record names.
 *
 * Partitions are added the same way: the topic's record with the new number comes last.
 *
 * A deletion first closes the slots to appends, then commits, moving the topic to the list of
 * deleted ones, then removes the files, then commits that they are gone. Who dies in between leaves
 * the rest to the next opening of the store.
 */
#include "topics.h"

#include "check.h"
#include "cleanup.h"
#include "groups_expire.h"
#include "report.h"
#include "topic_file.h"
#include "topic_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static int topic_get(struct beck_store *store, MDB_txn *txn, const char *name,
                     struct meta_topic *ret_topic, struct beck_error *error)
{
    if (!beck_topic_name_valid(name))
        return report(error, -ENOENT, "there is no topic \"%.64s\": no topic can have that name",
                      name);
    int r = meta_topic_get(&store->meta, txn, name, ret_topic);
    if (r == -ENOENT)
        return report(error, r, "there is no topic \"%s\"", name);
    return r < 0 ? report(error, r, "meta.mdb: the record of topic %s is damaged", name) : 0;
}

/* ---- creating ------------------------------------------------------------------------------ */

static int topic_set_configs(struct meta_topic *topic, const struct beck_topic_options *options,
                             struct beck_error *error)
{
    for (size_t i = 0; options && i < options->config_count; i++) {
        const struct beck_config *config = &options->configs[i];
        int r =
            config_set_put(&topic->configs, CONFIG_OF_TOPIC, config->name, config->value, error);
        if (r < 0)
            return r;
    }
    return 0;
}

static int topic_describe(const char *name, const struct beck_topic_options *options,
                          struct meta_topic *topic, struct beck_error *error)
{
    struct beck_topic *t = &topic->topic;
    if (!beck_topic_name_valid(name))
        return report(
            error, -EINVAL,
            "\"%.64s\" cannot be a topic's name: 1 to %d of letters, digits, '.', '_' and "
            "'-', but not \".\" or \"..\"",
            name, BECK_TOPIC_NAME_BYTES);
    memset(topic, 0, sizeof(*topic));
    (void)snprintf(t->name, sizeof(t->name), "%s", name);
    t->partition_count = options && options->partition_count ? options->partition_count : 1;
    t->created_ms = store_now_ms();
    bool own = !options || (options->uid == 0 && options->gid == 0 && options->mode == 0);
    t->uid = own ? geteuid() : options->uid;
    t->gid = own ? getegid() : options->gid;
    t->mode = options && options->mode ? options->mode & 07777 : 0755;
    if (t->partition_count > BECK_PARTITIONS_MAX)
        return report(error, -EMSGSIZE, "a store has at most %d partitions, and %u were asked for",
                      BECK_PARTITIONS_MAX, t->partition_count);
    if (getrandom(t->id, sizeof(t->id), 0) != (ssize_t)sizeof(t->id))
        return report_errno(error, -errno, "no random bytes for the topic's id");
    t->id[6] = (uint8_t)((t->id[6] & 0x0f) | 0x40); /* RFC 9562: version 4, */
    t->id[8] = (uint8_t)((t->id[8] & 0x3f) | 0x80); /* variant 10 */
    return topic_set_configs(topic, options, error);
}

/* '.' and '_' are the same in names of metrics, which is why Kafka has no two topics that only they
 * tell apart. */
static bool is_exchangeable(char c)
{
    return c == '.' || c == '_';
}

/* The rest of a name from `at` on, as the first by bytes of those that are so alike. */
static void first_alike(const char *name, size_t at, char ret_first[BECK_TOPIC_NAME_BYTES + 1])
{
    for (; name[at] != '\0'; at++)
        ret_first[at] = name[at] == '_' ? '.' : name[at];
    ret_first[at] = '\0';
}

/* Of the names that are so alike, the first that does not sort before `from`. False: all do. */
static bool next_alike(const char *name, const char *from, char ret_next[BECK_TOPIC_NAME_BYTES + 1])
{
    size_t same = 0;
    while (name[same] != '\0' && (from[same] == name[same] ||
                                  (is_exchangeable(from[same]) && is_exchangeable(name[same]))))
        same++;
    (void)snprintf(ret_next, BECK_TOPIC_NAME_BYTES + 1, "%.*s", (int)same, from);
    first_alike(name, same, ret_next);
    if (from[same] == '\0' || (uint8_t)ret_next[same] > (uint8_t)from[same])
        return true;
    if (is_exchangeable(name[same]) && from[same] < '_') {
        ret_next[same] = '_';
        return true;
    }
    while (same > 0 && ret_next[same - 1] != '.')
        same--;
    if (same == 0)
        return false;
    ret_next[same - 1] = '_';
    first_alike(name, same, ret_next);
    return true;
}

/* -ENOTUNIQ: a topic is there whose name is so alike. Looks for one after the other of those names,
 * and leaps over what cannot be one. */
static int topic_check_distinct(struct beck_store *store, MDB_txn *txn, const char *name,
                                struct beck_error *error)
{
    struct meta_topic there;
    char alike[BECK_TOPIC_NAME_BYTES + 1];
    first_alike(name, 0, alike);
    do {
        int r = meta_topic_get(&store->meta, txn, alike, &there);
        if (r == 0)
            return report(error, -ENOTUNIQ,
                          "topic %s collides with topic %s: '.' and '_' count as the same", name,
                          alike);
        if (r == -ENOENT)
            r = meta_topic_next(&store->meta, txn, alike, &there);
        if (r < 0)
            return report(error, r, "meta.mdb: the record of a topic is damaged");
        if (r == 0)
            break;
    } while (next_alike(name, there.topic.name, alike));
    return 0;
}

static int topic_put(struct beck_store *store, MDB_txn *txn, struct meta_topic *topic,
                     const struct beck_topic_options *options, struct beck_error *error)
{
    struct meta_topic there;
    struct meta_store record;
    const char *name = topic->topic.name;
    int r = meta_topic_get(&store->meta, txn, name, &there);
    if (r == 0)
        return report(error, -EEXIST, "topic %s exists", name);
    if (r != -ENOENT)
        return report(error, r, "meta.mdb: the record of topic %s is damaged", name);
    r = meta_store_get(&store->meta, txn, &record);
    if (r < 0)
        return report(error, r, "meta.mdb: the store's record is damaged");
    r = config_set_check(&topic->configs, &record.configs, error);
    if (r == 0 && options && options->distinct)
        r = topic_check_distinct(store, txn, name, error);
    if (r < 0 || (options && options->validate_only))
        return r;
    topic->topic.number = record.next_topic_number++;
    r = meta_store_put(&store->meta, txn, &record);
    if (r < 0)
        return report_errno(error, r, "meta.mdb: cannot be written");
    r = topic_place(store, txn, topic, 0, error);
    if (r < 0)
        return r;
    r = meta_topic_put(&store->meta, txn, topic);
    return r < 0 ? report_errno(error, r, "meta.mdb: cannot be written") : 0;
}

static int remove_name(void *context, const char *name);

struct removal {
    const struct io *io;
    int directory;
};

/* Remove a folder and all that is in it; what is not there is no error. */
static int remove_tree(const struct io *io, int directory, const char *path)
{
    int r = io->remove(io, directory, path, false);
    if (r != -EISDIR && r != -EPERM)
        return r == -ENOENT ? 0 : r;
    _cleanup_close_ int fd = io->open(io, directory, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    struct removal inside = {.io = io, .directory = fd};
    r = io_list(io, fd, remove_name, &inside);
    return r < 0 ? r : io->remove(io, directory, path, true);
}

static int remove_name(void *context, const char *name)
{
    const struct removal *removal = context;
    return remove_tree(removal->io, removal->directory, name);
}

int topics_create(struct beck_store *store, const char *name,
                  const struct beck_topic_options *options, struct beck_topic *ret_topic,
                  struct beck_error *error)
{
    _cleanup_free_ struct meta_topic *topic = malloc(sizeof(*topic));
    _cleanup_txn_ MDB_txn *txn = NULL;
    if (!topic)
        return report(error, -ENOMEM, "out of memory");
    int r = topic_describe(name, options, topic, error);
    if (r == 0)
        r = db_begin(&store->meta, true, &txn, error);
    if (r < 0)
        return r;
    r = topic_put(store, txn, topic, options, error);
    if (r == 0 && options && options->validate_only)
        return 0;
    if (r == 0) {
        store_topics_changed(store);
        r = db_commit(&store->meta, TAKE_POINTER(txn), error);
    }
    if (r < 0) {
        char directory[STORE_TOPIC_PATH_BYTES];
        store_topic_path(directory, topic->topic.id, -1);
        if (r != -EEXIST)
            (void)remove_tree(store->io, store->directory, directory);
        return r;
    }
    store_topics_changed(store);
    db_reserve(&store->meta);
    db_reserve(&store->index);
    *ret_topic = topic->topic;
    return 0;
}

/* ---- adding partitions --------------------------------------------------------------------- */

static int topic_grow(struct beck_store *store, MDB_txn *txn, struct meta_topic *topic,
                      uint32_t partition_count, bool validate_only, struct beck_error *error)
{
    uint32_t first = topic->topic.partition_count;
    const char *name = topic->topic.name;
    if (partition_count <= first)
        return report(error, -EINVAL, "topic %s has %u partitions, and %u are not more", name,
                      first, partition_count);
    if (partition_count > BECK_PARTITIONS_MAX)
        return report(error, -EMSGSIZE, "a store has at most %d partitions, and %u were asked for",
                      BECK_PARTITIONS_MAX, partition_count);
    topic->topic.partition_count = partition_count;
    if (validate_only)
        return 0;
    int r = topic_place(store, txn, topic, first, error);
    if (r == 0) {
        r = meta_topic_put(&store->meta, txn, topic);
        if (r < 0)
            (void)report_errno(error, r, "meta.mdb: cannot be written");
    }
    if (r == 0) {
        store_topics_changed(store);
        return 0;
    }
    topic->topic.partition_count = first;
    (void)topic_file_write(store, topic);
    return r;
}

/* Under the maintenance lock: a deletion goes by the number of partitions that it finds. */
static int add_partitions_locked(struct beck_store *store, const char *name,
                                 uint32_t partition_count, bool validate_only,
                                 struct meta_topic *topic, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(&store->meta, true, &txn, error);
    if (r == 0)
        r = topic_get(store, txn, name, topic, error);
    if (r == 0)
        r = topic_grow(store, txn, topic, partition_count, validate_only, error);
    if (r < 0 || validate_only)
        return r;
    /* Where the commit fails, the topic's file has a number that is too high; it is written anew
     * with the next change, and what it says more is empty. */
    return db_commit(&store->meta, TAKE_POINTER(txn), error);
}

int topics_add_partitions(struct beck_store *store, const char *name, uint32_t partition_count,
                          bool validate_only, struct beck_topic *ret_topic,
                          struct beck_error *error)
{
    _cleanup_free_ struct meta_topic *topic = malloc(sizeof(*topic));
    if (!topic)
        return report(error, -ENOMEM, "out of memory");
    pthread_mutex_t *maintenance = &live_store(&store->live)->maintenance;
    (void)live_lock(maintenance);
    int r = add_partitions_locked(store, name, partition_count, validate_only, topic, error);
    live_unlock(maintenance);
    if (r < 0)
        return r;
    if (!validate_only) {
        store_topics_changed(store);
        db_reserve(&store->meta);
        db_reserve(&store->index);
    }
    *ret_topic = topic->topic;
    return 0;
}

/* ---- deleting ------------------------------------------------------------------------------ */

enum slots_change {
    SLOTS_CLOSE,       /* let no more appends, syncs and reads in */
    SLOTS_CLOSE_EMPTY, /* the same, if there are no records */
    SLOTS_REOPEN,      /* a deletion came to nothing */
};

/* Under the slot's append_mutex. */
static bool slot_is_empty(const struct live_slot *slot)
{
    const struct live_tail *tail = live_tail_locked(slot);
    return !live_tail_hides(tail) && tail->high.offset <= tail->log_start.offset;
}

/* -ENOTEMPTY: a slot has records, and the ones before it are closed. */
static int slots_change(struct beck_store *store, MDB_txn *txn, const struct beck_topic *topic,
                        enum slots_change change)
{
    bool refused = false;
    for (uint32_t i = 0; !refused && i < topic->partition_count; i++) {
        struct meta_partition location;
        if (meta_partition_get(&store->meta, txn, topic->number, i, &location) < 0)
            continue;
        struct live_slot *slot = live_slot(&store->live, location.slot);
        if (live_lock(&slot->append_mutex) == 1) {
            live_slot_mend(slot);
            atomic_fetch_or(&slot->flags, LIVE_TRUNCATE);
        }
        if (slot->topic_number == topic->number && slot->partition == i) {
            refused = change == SLOTS_CLOSE_EMPTY && !slot_is_empty(slot);
            if (change == SLOTS_REOPEN)
                atomic_fetch_and(&slot->flags, ~(uint32_t)LIVE_DELETED);
            else if (!refused)
                atomic_fetch_or(&slot->flags, LIVE_DELETED);
        }
        live_unlock(&slot->append_mutex);
        waiter_ring(&store->waiter, &slot->armed, location.slot);
    }
    return refused ? -ENOTEMPTY : 0;
}

int topics_forget(struct db *meta, MDB_txn *txn, const struct beck_topic *topic)
{
    int r = meta_topic_delete(meta, txn, topic);
    for (uint32_t i = 0; r == 0 && i < topic->partition_count; i++)
        r = meta_partition_delete(meta, txn, topic->number, i);
    return r < 0 ? r : meta_deleted_put(meta, txn, topic);
}

static int delete_commit(struct beck_store *store, const struct beck_topic *topic,
                         struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    struct meta_topic now;
    int r = db_begin(&store->meta, true, &txn, error);
    if (r < 0)
        return r;
    r = meta_topic_get(&store->meta, txn, topic->name, &now);
    if (r < 0 || memcmp(now.topic.id, topic->id, BECK_ID_BYTES) != 0)
        return report(error, -ENOENT, "topic %s was deleted by somebody else", topic->name);
    r = topics_forget(&store->meta, txn, topic);
    if (r < 0)
        return report_errno(error, r, "meta.mdb: cannot delete topic %s", topic->name);
    store_topics_changed(store);
    return db_commit(&store->meta, TAKE_POINTER(txn), error);
}

/* Forget and remove what a deleted topic has left. */
static int delete_finish(struct beck_store *store, const struct beck_topic *topic,
                         struct beck_error *error)
{
    char directory[STORE_TOPIC_PATH_BYTES];
    _cleanup_txn_ MDB_txn *index = NULL;
    _cleanup_txn_ MDB_txn *meta = NULL;
    int r = db_begin(&store->index, true, &index, error);
    if (r < 0)
        return r;
    for (uint32_t i = 0; r == 0 && i < topic->partition_count; i++)
        r = index_forget(&store->index, index, topic->number, i);
    if (r < 0)
        return report_errno(error, r, "index.mdb: cannot forget topic %s", topic->name);
    r = db_commit(&store->index, TAKE_POINTER(index), error);
    if (r < 0)
        return r;
    store_topic_path(directory, topic->id, -1);
    r = remove_tree(store->io, store->directory, directory);
    if (r == 0)
        r = io_sync_names(store->io, store->directory, STORE_PATH_TOPICS);
    if (r < 0)
        return report_errno(error, r, "cannot remove the files of topic %s", topic->name);
    r = groups_forget_topic(store, topic->number, error);
    if (r == 0)
        r = db_begin(&store->meta, true, &meta, error);
    if (r == 0)
        r = meta_deleted_remove(&store->meta, meta, topic->id);
    return r < 0 ? r : db_commit(&store->meta, TAKE_POINTER(meta), error);
}

/* Close the slots and commit. Under the maintenance lock, so that nobody takes the slots' being
 * closed for a dead deletion's, and nobody adds partitions. */
static int topic_delete_locked(struct beck_store *store, struct meta_topic *topic,
                               enum slots_change change, struct beck_error *error)
{
    /* Not under the write transaction: a slot's lock comes before it. */
    _cleanup_txn_ MDB_txn *txn = NULL;
    uint32_t number = topic->topic.number;
    int r = db_begin(&store->meta, false, &txn, error);
    if (r == 0)
        r = topic_get(store, txn, topic->topic.name, topic, error);
    if (r == 0 && topic->topic.number != number)
        r = report(error, -ENOENT, "topic %s was deleted by somebody else", topic->topic.name);
    if (r < 0)
        return r;
    r = slots_change(store, txn, &topic->topic, change);
    if (r < 0)
        (void)report(error, r, "topic %s has records", topic->topic.name);
    else
        r = delete_commit(store, &topic->topic, error);
    if (r < 0 && r != -ENOENT)
        (void)slots_change(store, txn, &topic->topic, SLOTS_REOPEN);
    return r;
}

static int topic_delete(struct beck_store *store, struct meta_topic *topic,
                        enum slots_change change, struct beck_error *error)
{
    pthread_mutex_t *maintenance = &live_store(&store->live)->maintenance;
    (void)live_lock(maintenance);
    int r = topic_delete_locked(store, topic, change, error);
    live_unlock(maintenance);
    if (r < 0)
        return r;
    store_topics_changed(store);
    /* It is deleted; what fails from here on, the next opening of the store does again. */
    (void)delete_finish(store, &topic->topic, NULL);
    return 0;
}

int topics_delete(struct beck_store *store, const char *name, struct beck_error *error)
{
    _cleanup_free_ struct meta_topic *topic = malloc(sizeof(*topic));
    if (!topic)
        return report(error, -ENOMEM, "out of memory");
    int r = topics_find(store, name, topic, error);
    return r < 0 ? r : topic_delete(store, topic, SLOTS_CLOSE, error);
}

int topics_delete_empty(struct beck_store *store, const uint8_t id[BECK_ID_BYTES],
                        struct beck_error *error)
{
    _cleanup_free_ struct meta_topic *topic = malloc(sizeof(*topic));
    if (!topic)
        return report(error, -ENOMEM, "out of memory");
    int r = topics_find_id(store, id, &topic->topic, error);
    return r < 0 ? r : topic_delete(store, topic, SLOTS_CLOSE_EMPTY, error);
}

int topics_finish_deletions(struct beck_store *store, struct beck_error *error)
{
    for (;;) {
        struct beck_topic topic;
        {
            _cleanup_txn_ MDB_txn *txn = NULL;
            int r = db_begin(&store->meta, false, &txn, error);
            if (r == 0)
                r = meta_deleted_first(&store->meta, txn, &topic);
            if (r <= 0)
                return 0; /* a damaged record keeps only room from being given back */
        }
        if (delete_finish(store, &topic, error) < 0)
            return 0; /* only room is lost; tried again at the next opening */
    }
}

/* ---- folders that nobody knows ------------------------------------------------------------- */

/* A look at a folder, and at what is in it. */
struct orphans {
    struct beck_store *store;
    int directory;
};

/* Returns 1 where there is a file with a byte in it that could be a segment. */
static int visit_data(void *context, const char *name)
{
    const struct orphans *inside = context;
    const struct io *io = inside->store->io;
    int64_t base;
    struct stat info;
    _cleanup_close_ int fd = io->open(io, inside->directory, name, O_RDONLY | O_NONBLOCK, 0);
    int r = fd < 0 ? fd : io->stat(io, fd, &info);
    if (r < 0)
        return r;
    if (S_ISDIR(info.st_mode)) {
        struct orphans deeper = {inside->store, fd};
        return io_list(io, fd, visit_data, &deeper);
    }
    return segment_name_parse(name, &base) == 0 && info.st_size > 0;
}

/* Does no record name the id? A damaged one might. */
static bool is_unknown(struct beck_store *store, const uint8_t id[BECK_ID_BYTES])
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    char topic[BECK_TOPIC_NAME_BYTES + 1];
    return db_begin(&store->meta, false, &txn, NULL) == 0 &&
           meta_topic_name_of_id(&store->meta, txn, id, topic) == -ENOENT;
}

static int orphan_visit(void *context, const char *name)
{
    const struct orphans *orphans = context;
    const struct io *io = orphans->store->io;
    uint8_t id[BECK_ID_BYTES];
    if (store_topic_id_parse(name, id) < 0 || !is_unknown(orphans->store, id))
        return 0;
    _cleanup_close_ int fd = io->open(io, orphans->directory, name, O_RDONLY | O_DIRECTORY, 0);
    struct orphans inside = {orphans->store, fd};
    /* With data in it, it is rather a record that was lost. */
    if (fd >= 0 && io_list(io, fd, visit_data, &inside) == 0)
        (void)remove_tree(io, orphans->directory, name);
    return 0;
}

void topics_remove_orphans(struct beck_store *store)
{
    _cleanup_close_ int fd =
        store->io->open(store->io, store->directory, STORE_PATH_TOPICS, O_RDONLY | O_DIRECTORY, 0);
    struct orphans orphans = {store, fd};
    if (fd >= 0)
        (void)io_list(store->io, fd, orphan_visit, &orphans);
}

/* ---- looking up ---------------------------------------------------------------------------- */

int topics_find(struct beck_store *store, const char *name, struct meta_topic *ret_topic,
                struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(&store->meta, false, &txn, error);
    return r < 0 ? r : topic_get(store, txn, name, ret_topic, error);
}

int topics_find_id(struct beck_store *store, const uint8_t id[BECK_ID_BYTES],
                   struct beck_topic *ret_topic, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    _cleanup_free_ struct meta_topic *topic = malloc(sizeof(*topic));
    char name[BECK_TOPIC_NAME_BYTES + 1];
    if (!topic)
        return report(error, -ENOMEM, "out of memory");
    int r = db_begin(&store->meta, false, &txn, error);
    if (r < 0)
        return r;
    r = meta_topic_name_of_id(&store->meta, txn, id, name);
    if (r == 0)
        r = meta_topic_get(&store->meta, txn, name, topic);
    if (r == -ENOENT)
        return report(error, r, "there is no topic with that id");
    if (r < 0)
        return report(error, r, "meta.mdb: the record of a topic is damaged");
    *ret_topic = topic->topic;
    return 0;
}

int topics_leader_epochs(struct beck_store *store, const struct beck_topic *topic, int32_t *epochs,
                         struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    int r = db_begin(&store->meta, false, &txn, error);
    for (uint32_t i = 0; r == 0 && i < topic->partition_count; i++) {
        struct meta_partition record;
        bool found = meta_partition_get(&store->meta, txn, topic->number, i, &record) == 0;
        epochs[i] = found && record.leader_epoch <= INT32_MAX ? (int32_t)record.leader_epoch : -1;
    }
    return r;
}

int topics_next(struct beck_store *store, const char *after, struct beck_topic *ret_topic,
                struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    _cleanup_free_ struct meta_topic *topic = malloc(sizeof(*topic));
    if (!topic)
        return report(error, -ENOMEM, "out of memory");
    int r = db_begin(&store->meta, false, &txn, error);
    if (r < 0)
        return r;
    r = meta_topic_next(&store->meta, txn, after ? after : "", topic);
    if (r < 0)
        return report_errno(error, r, "meta.mdb: the topics cannot be listed");
    if (r == 1)
        *ret_topic = topic->topic;
    return r;
}

int topics_set_access(struct beck_store *store, const char *name, uid_t uid, gid_t gid, mode_t mode,
                      struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    _cleanup_free_ struct meta_topic *topic = malloc(sizeof(*topic));
    if (!topic)
        return report(error, -ENOMEM, "out of memory");
    int r = db_begin(&store->meta, true, &txn, error);
    if (r < 0)
        return r;
    r = topic_get(store, txn, name, topic, error);
    if (r < 0)
        return r;
    if (uid != (uid_t)-1)
        topic->topic.uid = uid;
    if (gid != (gid_t)-1)
        topic->topic.gid = gid;
    if (mode != (mode_t)-1)
        topic->topic.mode = mode & 07777;
    r = meta_topic_put(&store->meta, txn, topic);
    if (r < 0)
        return report_errno(error, r, "meta.mdb: cannot be written");
    r = db_commit(&store->meta, TAKE_POINTER(txn), error);
    if (r == 0)
        store_topics_changed(store);
    return r;
}
