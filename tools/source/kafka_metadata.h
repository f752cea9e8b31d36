/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of topics in the log directory of a Kafka broker: the records of topics and of what
 * is configured, in its copy of the cluster's metadata (KIP-500, KIP-631): the newest snapshot in
 * __cluster_metadata-0, and the log behind it. All else in there is passed over.
 *
 * Belongs to one thread.
 */
#ifndef SOURCE_KAFKA_METADATA_H
#define SOURCE_KAFKA_METADATA_H

#include "kafka_dir.h"

struct metadata_change;

struct kafka_metadata {
    struct metadata_change *changes; /* in their order */
    size_t count;
    size_t in_transaction; /* where one began that has not ended; SIZE_MAX: none has */
    size_t bytes;
};

/* Read it: 1; 0: there is none here, as where controllers are processes of their own. -EBADMSG: it
 * is damaged; what came before is there. -EPROTONOSUPPORT: so for records of a newer kind.
 * -EMSGSIZE: it is too large. */
int kafka_metadata_load(const struct kafka_dir *dir, struct kafka_metadata *ret_metadata,
                        struct beck_error *error);
void kafka_metadata_done(struct kafka_metadata *metadata);

/* One record's value. 0, or a negative errno. */
int kafka_metadata_take(struct kafka_metadata *metadata, const void *value, size_t size,
                        struct beck_error *error);

/* The settings of a topic, one after the other: `*at` is 0 to begin with. 1, or 0: there are no
 * more. Name and value live as long as the metadata. */
int kafka_metadata_next(const struct kafka_metadata *metadata, const char *topic, size_t *at,
                        const char **ret_name, const char **ret_value);

#endif
