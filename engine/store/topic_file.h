/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topics/<id>/topic: a topic's record once more, as text, for who has to repair a store without
 * meta.mdb. It is replaced as a whole: whatever happens meanwhile, the old one or the new one is
 * there. It is written before the commit that it belongs to, so that it never lacks a partition
 * that has records.
 */
#ifndef STORE_TOPIC_FILE_H
#define STORE_TOPIC_FILE_H

#include "store.h"

/* Write it, durable. */
int topic_file_write(struct beck_store *store, const struct meta_topic *topic);

/* Sync a directory in the store. */
int topic_file_sync_path(struct beck_store *store, const char *path);

#endif
