/* SPDX-License-Identifier: Apache-2.0
 *
 * The topics and partitions that a loop has in use: found by name or id with a look into a table,
 * opened once, and forgotten when the store says that topics changed. What belongs to a partition
 * while it is in use (who waits for its sync, who waits for its data) hangs on its entry.
 *
 * Belongs to one loop. An entry that is remembered beyond the request needs partition_ref().
 */
#ifndef BECK_NETD_PARTITIONS_H
#define BECK_NETD_PARTITIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "beck.h"
#include "codec/wire.h"
#include "sync.h"
#include "wake.h"

#define PARTITIONS_BUCKETS 1024

struct partition_entry {
    struct beck_partition *handle;
    unsigned refs; /* the table's, and one for each that remembers it */
    struct sync_group sync;
    struct watch watch;
    struct beck_partition_state known; /* at that number of beck_partition_moves() */
    uint64_t known_moves;              /* 0: it is not known */
};

struct topic_entry {
    LIST_ENTRY(topic_entry) by_name;
    LIST_ENTRY(topic_entry) by_id;
    struct beck_topic topic;
    uint64_t generation;                 /* of the store, when the topic was last looked at */
    struct partition_entry **partitions; /* topic.partition_count of them; NULL: not opened yet */
};

LIST_HEAD(topic_list, topic_entry);

struct partitions {
    struct beck_store *store;
    uint64_t swept_generation;
    struct topic_list by_name[PARTITIONS_BUCKETS];
    struct topic_list by_id[PARTITIONS_BUCKETS];
};

void partitions_init(struct partitions *partitions, struct beck_store *store);
/* Closes everything. Nobody may remember an entry. */
void partitions_done(struct partitions *partitions);

/* The topic, valid until it is looked up again. -ENOENT: none of that name or id. -EINVAL: no topic
 * can have that name. */
int partitions_topic(struct partitions *partitions, struct kafka_string name,
                     struct topic_entry **ret_topic, struct beck_error *error);
int partitions_topic_by_id(struct partitions *partitions, const struct kafka_uuid *id,
                           struct topic_entry **ret_topic, struct beck_error *error);

/* The partition of a topic just looked up, borrowed. -ENOENT: the topic has no such partition. */
int partitions_open(struct partitions *partitions, struct topic_entry *topic, int32_t number,
                    struct partition_entry **ret_partition, struct beck_error *error);

/* beck_partition_state(), as far as it is about offsets and the leader epoch: cheap when they have
 * not moved since this loop looked last. */
int partition_look(struct partition_entry *entry, struct beck_partition_state *ret_state,
                   struct beck_error *error);

/* Lets go of topics that were deleted, so that their files can go. Cheap when nothing changed. */
void partitions_sweep(struct partitions *partitions);

static inline struct partition_entry *partition_ref(struct partition_entry *entry)
{
    entry->refs++;
    return entry;
}

void partition_unref(struct partition_entry *entry);

#endif
