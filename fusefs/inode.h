/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects behind the kernel's node ids. A node is what the kernel knows under one node id;
 * st_ino, which users see, is a property of the topic or partition. The two are kept apart because
 * a partition whose head is removed will get a new node under the same st_ino; so node ids count
 * upwards and are never used again, and nothing but this file decides which node a name leads to.
 *
 * A node lives while the kernel has looked it up and not forgotten it, or somebody holds it. The
 * kernel keeps its lookup during each request, so that an operation may use the node it was given
 * without holding it.
 */
#ifndef FUSEFS_INODE_H
#define FUSEFS_INODE_H

#include "beck.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define INODE_ROOT_ID 1

enum node_kind {
    NODE_ROOT,
    NODE_TOPIC,
    NODE_PARTITION,
};

/* A topic as it was at a catalogue generation. */
struct node_topic {
    struct beck_topic topic;
    uint64_t generation;       /* of `topic` */
    uint64_t limit_generation; /* of `max_message_bytes`; 0: never asked */
    uint32_t max_message_bytes;
};

struct node {
    uint64_t id;
    uint64_t ino;
    enum node_kind kind;
    int32_t partition;   /* of a partition */
    struct node *parent; /* of a partition its topic, which it holds */

    /* Under the table's lock. */
    uint64_t lookups; /* what the kernel will forget */
    uint32_t holds;
    struct node *next_by_id;
    struct node *next_by_ino;

    pthread_mutex_t lock;
    struct node_topic *topic;   /* of a topic; under lock */
    struct beck_partition *log; /* of a partition; set once under lock, closed with the node */
    int64_t reported_offset;    /* the last damage that was logged; under lock */
    int64_t reported_byte;

    /* What serialises writers of one partition: a write is one run of batches. */
    pthread_mutex_t append_lock;
    struct beck_batch_builder
        *builder; /* under append_lock; NULL where nobody has it open to write */
    uint32_t builder_max_bytes;
    uint32_t writers; /* open handles that may write; under append_lock */
};

struct inode_table {
    pthread_mutex_t lock;
    uint64_t next_id;
    size_t count;
    size_t buckets; /* a power of two */
    struct node **by_id;
    struct node **by_ino;
    struct node *root;
};

int inode_table_init(struct inode_table *table);
/* Frees all nodes, whatever the kernel thinks of them. Open handles must be gone. */
void inode_table_done(struct inode_table *table);

/* The node of an id that the kernel knows. */
struct node *inode_get(struct inode_table *table, uint64_t id);

/*
 * The node of a topic or partition, made where there is none, with one more lookup by the kernel.
 * `topic` is fresh, `generation` was read before it. -ENOMEM.
 */
int inode_look_up_topic(struct inode_table *table, const struct beck_topic *topic,
                        uint64_t generation, struct node **ret_node);
int inode_look_up_partition(struct inode_table *table, struct node *topic_node, int32_t partition,
                            struct node **ret_node);

void inode_forget(struct inode_table *table, uint64_t id, uint64_t lookups);

void inode_hold(struct inode_table *table, struct node *node);
void inode_drop(struct inode_table *table, struct node *node);

/*
 * The topic of a topic's or partition's node as it is now. -ESTALE: it was deleted, though there
 * may be another of its name.
 */
int inode_topic(struct beck_store *store, struct node *node, struct beck_topic *ret_topic);

/* The topic's max.message.bytes as it is now. */
int inode_max_message_bytes(struct beck_store *store, struct node *node, uint32_t *ret_bytes);

/* The log of a partition's node, opened at first use; it lives as long as the node. */
int inode_log(struct beck_store *store, struct node *node, struct beck_partition **ret_log,
              struct beck_error *error);

#endif
