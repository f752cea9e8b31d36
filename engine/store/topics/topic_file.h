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

/* Read it. Owner and mode, which it does not have, are our own; settings that are not known here
 * are passed over. -ENOENT; -EBADMSG: it is no such file, or that of another topic. */
int topic_file_read(struct beck_store *store, const uint8_t id[BECK_ID_BYTES],
                    struct meta_topic *ret_topic);

/* Write it into the same place below another directory, not durable yet. */
int topic_file_put(const struct io *io, int directory, const struct meta_topic *topic);

#endif
