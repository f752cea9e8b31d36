/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A change is one commit of meta.mdb; the generation that all processes look at moves with it. A
 * topic's file says the same again, and is written before the commit (topic_file.h).
 */
#include "alter.h"

#include "check.h"
#include "cleanup.h"
#include "report.h"
#include "topic_file.h"

#include <errno.h>
#include <stdlib.h>

/* What both scopes need at hand; too large for a stack. */
struct alter {
    struct meta_store store;
    struct meta_topic topic;
    struct config_set before;
};

static int get_topic(struct beck_store *store, MDB_txn *txn, const char *name, struct alter *alter,
                     struct beck_error *error)
{
    int r = beck_topic_name_valid(name) ? 0 : -ENOENT;
    if (r == 0)
        r = meta_topic_get(&store->meta, txn, name, &alter->topic);
    if (r == -ENOENT)
        return report(error, r, "there is no topic \"%.249s\"", name);
    return r < 0 ? report(error, r, "meta.mdb: the record of topic %s is damaged", name) : 0;
}

/* A transaction, with the store's record out of it. */
static int begin(struct beck_store *store, bool writes, struct alter **ret_alter, MDB_txn **ret_txn,
                 struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    _cleanup_free_ struct alter *alter = malloc(sizeof(*alter));
    if (!alter)
        return report(error, -ENOMEM, "out of memory");
    int r = db_begin(&store->meta, writes, &txn, error);
    if (r < 0)
        return r;
    r = meta_store_get(&store->meta, txn, &alter->store);
    if (r < 0)
        return report(error, r, "meta.mdb: the store's record is damaged");
    *ret_alter = TAKE_POINTER(alter);
    *ret_txn = TAKE_POINTER(txn);
    return 0;
}

/* Before the commit and after it: who dies in between tells nobody. */
static int commit(struct beck_store *store, MDB_txn **txn, struct beck_error *error)
{
    store_topics_changed(store);
    int r = db_commit(&store->meta, TAKE_POINTER(*txn), error);
    if (r < 0)
        return r;
    store_topics_changed(store);
    db_reserve(&store->meta);
    return 0;
}

static int put_topic(struct beck_store *store, MDB_txn **txn, struct alter *alter,
                     struct beck_error *error)
{
    const char *name = alter->topic.topic.name;
    int r = topic_file_write(store, &alter->topic);
    /* On a full disk the one who wants less kept must have his way: that file is for repair only.
     */
    if (r < 0 && r != -ENOSPC && r != -EDQUOT)
        return report_errno(error, r, "cannot write the file of topic %s", name);
    r = meta_topic_put(&store->meta, *txn, &alter->topic);
    r = r < 0 ? report_errno(error, r, "meta.mdb: cannot be written") : commit(store, txn, error);
    if (r < 0) {
        alter->topic.configs = alter->before;
        (void)topic_file_write(store, &alter->topic);
    }
    return r;
}

int alter_topic(struct beck_store *store, const char *name,
                const struct beck_config_change *changes, size_t count, unsigned flags,
                struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    _cleanup_free_ struct alter *alter = NULL;
    int r = begin(store, true, &alter, &txn, error);
    if (r == 0)
        r = get_topic(store, txn, name, alter, error);
    if (r < 0)
        return r;
    alter->before = alter->topic.configs;
    r = config_set_alter(&alter->topic.configs, CONFIG_OF_TOPIC, &alter->store.configs, changes,
                         count, flags, error);
    return r < 0 || (flags & BECK_ALTER_VALIDATE_ONLY) ? r : put_topic(store, &txn, alter, error);
}

int alter_store(struct beck_store *store, const struct beck_config_change *changes, size_t count,
                unsigned flags, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    _cleanup_free_ struct alter *alter = NULL;
    int r = begin(store, true, &alter, &txn, error);
    if (r == 0)
        r = config_set_alter(&alter->store.configs, CONFIG_OF_STORE, NULL, changes, count, flags,
                             error);
    if (r < 0 || (flags & BECK_ALTER_VALIDATE_ONLY))
        return r;
    r = meta_store_put(&store->meta, txn, &alter->store);
    return r < 0 ? report_errno(error, r, "meta.mdb: cannot be written")
                 : commit(store, &txn, error);
}

int alter_resolve(struct beck_store *store, struct config_store *ret_config,
                  struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    _cleanup_free_ struct alter *alter = NULL;
    int r = begin(store, false, &alter, &txn, error);
    if (r == 0)
        config_resolve_store(&alter->store.configs, ret_config);
    return r;
}

int alter_entry(struct beck_store *store, const char *topic, uint32_t index,
                struct beck_config_entry *ret_entry, struct beck_error *error)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    _cleanup_free_ struct alter *alter = NULL;
    int r = begin(store, false, &alter, &txn, error);
    if (r == 0 && topic)
        r = get_topic(store, txn, topic, alter, error);
    if (r < 0)
        return r;
    return topic ? config_entry_at(&alter->topic.configs, CONFIG_OF_TOPIC, &alter->store.configs,
                                   index, ret_entry)
                 : config_entry_at(&alter->store.configs, CONFIG_OF_STORE, NULL, index, ret_entry);
}
