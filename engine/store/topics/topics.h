/* SPDX-License-Identifier: Apache-2.0 */
/* Creating, deleting and looking up topics. See beck_topic_create() and its neighbours. */
#ifndef STORE_TOPICS_H
#define STORE_TOPICS_H

#include "store.h"

int topics_create(struct beck_store *store, const char *name,
                  const struct beck_topic_options *options, struct beck_topic *ret_topic,
                  struct beck_error *error);
int topics_add_partitions(struct beck_store *store, const char *name, uint32_t partition_count,
                          bool validate_only, struct beck_topic *ret_topic,
                          struct beck_error *error);
int topics_delete(struct beck_store *store, const char *name, struct beck_error *error);
int topics_delete_empty(struct beck_store *store, const uint8_t id[BECK_ID_BYTES],
                        struct beck_error *error);
/* Remove the files of topics whose deletion was committed but not finished. */
/* Remove the folders of creations that died: ones that no record names, and that have no data. Who
 * is alone with the store may. */
void topics_remove_orphans(struct beck_store *store);
int topics_finish_deletions(struct beck_store *store, struct beck_error *error);

int topics_find(struct beck_store *store, const char *name, struct meta_topic *ret_topic,
                struct beck_error *error);
int topics_find_id(struct beck_store *store, const uint8_t id[BECK_ID_BYTES],
                   struct beck_topic *ret_topic, struct beck_error *error);
int topics_leader_epochs(struct beck_store *store, const struct beck_topic *topic, int32_t *epochs,
                         struct beck_error *error);
int topics_next(struct beck_store *store, const char *after, struct beck_topic *ret_topic,
                struct beck_error *error);
int topics_set_access(struct beck_store *store, const char *name, uid_t uid, gid_t gid, mode_t mode,
                      struct beck_error *error);

/* What a deletion commits to meta.mdb: the topic has no records any more, but one that says that
 * its files are still to be removed. */
int topics_forget(struct db *meta, MDB_txn *txn, const struct beck_topic *topic);

#endif
