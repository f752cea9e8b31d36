/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes in two hash tables, by node id and by st_ino; see inode.h. The table's lock covers the
 * tables and counts only and is never held across a call of the engine; a node's lock is, and is
 * taken first where both are.
 *
 * What was remembered of a topic is compared with the catalogue's generation, which costs one load,
 * so that what other processes change is seen at once.
 */
#include "inode.h"
#include "view.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_AT_FIRST 256
#define NO_PLACE         (-1)

static size_t bucket_of(const struct inode_table *table, uint64_t key)
{
    key *= 0x9e3779b97f4a7c15U; /* Fibonacci hashing: ids and inodes are counters */
    return (size_t)(key >> 32) & (table->buckets - 1);
}

static void node_link(struct inode_table *table, struct node *node)
{
    struct node **by_id = &table->by_id[bucket_of(table, node->id)];
    struct node **by_ino = &table->by_ino[bucket_of(table, node->ino)];
    node->next_by_id = *by_id;
    node->next_by_ino = *by_ino;
    *by_id = node;
    *by_ino = node;
    table->count++;
}

static void node_unlink(struct inode_table *table, struct node *node)
{
    struct node **at = &table->by_id[bucket_of(table, node->id)];
    while (*at != node)
        at = &(*at)->next_by_id;
    *at = node->next_by_id;
    at = &table->by_ino[bucket_of(table, node->ino)];
    while (*at != node)
        at = &(*at)->next_by_ino;
    *at = node->next_by_ino;
    table->count--;
}

/* More buckets, once there are as many nodes. Without memory the chains just grow longer. */
static void table_grow(struct inode_table *table)
{
    if (table->count < table->buckets)
        return;
    size_t old_buckets = table->buckets;
    struct node **old = table->by_id;
    struct node **by_id = calloc(old_buckets * 2, sizeof(struct node *));
    struct node **by_ino = calloc(old_buckets * 2, sizeof(struct node *));
    if (by_id == NULL || by_ino == NULL) {
        free(by_id);
        free(by_ino);
        return;
    }
    free(table->by_ino);
    table->by_id = by_id;
    table->by_ino = by_ino;
    table->buckets = old_buckets * 2;
    table->count = 0;
    for (size_t i = 0; i < old_buckets; i++) {
        for (struct node *node = old[i], *next; node != NULL; node = next) {
            next = node->next_by_id;
            node_link(table, node);
        }
    }
    free(old);
}

static struct node *node_free(struct node *node)
{
    if (node == NULL)
        return NULL;
    (void)beck_batch_builder_free(node->builder);
    (void)beck_partition_close(node->log);
    free(node->topic);
    pthread_mutex_destroy(&node->append_lock);
    pthread_mutex_destroy(&node->lock);
    free(node);
    return NULL;
}

static struct node *node_new(enum node_kind kind, uint64_t ino, bool with_topic)
{
    struct node *node = calloc(1, sizeof(*node));
    if (node == NULL)
        return NULL;
    node->kind = kind;
    node->ino = ino;
    node->reported_offset = NO_PLACE;
    node->reported_byte = NO_PLACE;
    pthread_mutex_init(&node->lock, NULL);
    pthread_mutex_init(&node->append_lock, NULL);
    if (with_topic && (node->topic = calloc(1, sizeof(*node->topic))) == NULL)
        return node_free(node);
    return node;
}

int inode_table_init(struct inode_table *table)
{
    *table = (struct inode_table){.next_id = INODE_ROOT_ID, .buckets = BUCKETS_AT_FIRST};
    pthread_mutex_init(&table->lock, NULL);
    table->by_id = calloc(table->buckets, sizeof(struct node *));
    table->by_ino = calloc(table->buckets, sizeof(struct node *));
    table->root = node_new(NODE_ROOT, VIEW_ROOT_INO, false);
    if (table->by_id == NULL || table->by_ino == NULL || table->root == NULL) {
        inode_table_done(table);
        return -ENOMEM;
    }
    table->root->id = table->next_id++;
    table->root->holds = 1;
    node_link(table, table->root);
    return 0;
}

void inode_table_done(struct inode_table *table)
{
    if (table->by_id != NULL && table->by_ino != NULL) {
        for (size_t i = 0; i < table->buckets; i++) {
            for (struct node *node = table->by_id[i], *next; node != NULL; node = next) {
                next = node->next_by_id;
                (void)node_free(node);
            }
        }
    } else {
        (void)node_free(table->root);
    }
    free(table->by_id);
    free(table->by_ino);
    pthread_mutex_destroy(&table->lock);
}

struct node *inode_get(struct inode_table *table, uint64_t id)
{
    pthread_mutex_lock(&table->lock);
    struct node *node = table->by_id[bucket_of(table, id)];
    while (node != NULL && node->id != id)
        node = node->next_by_id;
    pthread_mutex_unlock(&table->lock);
    assert(node != NULL); /* the kernel has it looked up */
    return node;
}

/* The node that a path leads to at present; one more lookup. With the table locked. */
static struct node *look_up_locked(struct inode_table *table, uint64_t ino)
{
    struct node *node = table->by_ino[bucket_of(table, ino)];
    while (node != NULL && node->ino != ino)
        node = node->next_by_ino;
    if (node != NULL)
        node->lookups++;
    return node;
}

static struct node *look_up(struct inode_table *table, uint64_t ino)
{
    pthread_mutex_lock(&table->lock);
    struct node *node = look_up_locked(table, ino);
    pthread_mutex_unlock(&table->lock);
    return node;
}

/* Put a new node in, unless another thread was faster: then that one counts and `node` goes. */
static struct node *look_up_or_insert(struct inode_table *table, struct node *node)
{
    pthread_mutex_lock(&table->lock);
    struct node *found = look_up_locked(table, node->ino);
    if (found == NULL) {
        node->id = table->next_id++;
        node->lookups = 1;
        if (node->parent != NULL)
            node->parent->holds++;
        node_link(table, node);
        table_grow(table);
    }
    pthread_mutex_unlock(&table->lock);
    if (found == NULL)
        return node;
    (void)node_free(node);
    return found;
}

int inode_look_up_topic(struct inode_table *table, const struct beck_topic *topic,
                        uint64_t generation, struct node **ret_node)
{
    uint64_t ino = view_topic_ino(topic->number);
    struct node *node = look_up(table, ino);
    if (node == NULL) {
        node = node_new(NODE_TOPIC, ino, true);
        if (node == NULL)
            return -ENOMEM;
        node->topic->topic = *topic;
        node->topic->generation = generation;
        node = look_up_or_insert(table, node);
    }
    *ret_node = node;
    return 0;
}

int inode_look_up_partition(struct inode_table *table, struct node *topic_node, int32_t partition,
                            struct node **ret_node)
{
    uint64_t ino = view_partition_ino(topic_node->topic->topic.number, partition);
    struct node *node = look_up(table, ino);
    if (node == NULL) {
        node = node_new(NODE_PARTITION, ino, false);
        if (node == NULL)
            return -ENOMEM;
        node->partition = partition;
        node->parent = topic_node;
        node = look_up_or_insert(table, node);
    }
    *ret_node = node;
    return 0;
}

/* Take the node out if nobody needs it, and then its parent likewise. Frees outside the lock. */
static void release_and_unlock(struct inode_table *table, struct node *node)
{
    struct node *gone[2] = {NULL, NULL};
    for (size_t i = 0; i < 2 && node != NULL && node->lookups == 0 && node->holds == 0; i++) {
        node_unlink(table, node);
        gone[i] = node;
        node = node->parent;
        if (node != NULL)
            node->holds--;
    }
    pthread_mutex_unlock(&table->lock);
    (void)node_free(gone[0]);
    (void)node_free(gone[1]);
}

void inode_forget(struct inode_table *table, uint64_t id, uint64_t lookups)
{
    struct node *node = inode_get(table, id);
    pthread_mutex_lock(&table->lock);
    assert(node->kind == NODE_ROOT || node->lookups >= lookups);
    if (node->kind != NODE_ROOT)
        node->lookups -= lookups;
    release_and_unlock(table, node);
}

void inode_hold(struct inode_table *table, struct node *node)
{
    pthread_mutex_lock(&table->lock);
    node->holds++;
    pthread_mutex_unlock(&table->lock);
}

void inode_drop(struct inode_table *table, struct node *node)
{
    pthread_mutex_lock(&table->lock);
    assert(node->holds > 0);
    node->holds--;
    release_and_unlock(table, node);
}

/* Make the node's copy of its topic a present one. With the node locked. */
static int topic_refresh(struct beck_store *store, struct node *node)
{
    uint64_t generation = beck_store_generation(store);
    if (node->topic->generation == generation)
        return 0;
    struct beck_topic topic;
    int result = beck_topic_find(store, node->topic->topic.name, &topic, NULL);
    if (result == -ENOENT || (result == 0 && topic.number != node->topic->topic.number))
        return -ESTALE;
    if (result < 0)
        return result;
    /* Name, id and number never change, and are read without the lock. */
    node->topic->topic.partition_count = topic.partition_count;
    node->topic->topic.uid = topic.uid;
    node->topic->topic.gid = topic.gid;
    node->topic->topic.mode = topic.mode;
    node->topic->generation = generation;
    return 0;
}

static struct node *topic_node(struct node *node)
{
    return node->kind == NODE_PARTITION ? node->parent : node;
}

int inode_topic(struct beck_store *store, struct node *node, struct beck_topic *ret_topic)
{
    node = topic_node(node);
    pthread_mutex_lock(&node->lock);
    int result = topic_refresh(store, node);
    if (result == 0)
        *ret_topic = node->topic->topic;
    pthread_mutex_unlock(&node->lock);
    return result;
}

/* Look through the topic's configuration for max.message.bytes. */
static int limit_find(struct beck_store *store, const char *name, uint32_t *ret_bytes)
{
    struct beck_config_entry entry;
    int result;
    for (uint32_t i = 0; (result = beck_topic_config(store, name, i, &entry, NULL)) > 0; i++) {
        if (strcmp(entry.name, "max.message.bytes") != 0)
            continue;
        unsigned long bytes = strtoul(entry.value, NULL, 10);
        *ret_bytes = bytes <= BECK_BATCH_BYTES_LIMIT ? (uint32_t)bytes : BECK_BATCH_BYTES_LIMIT;
        return 0;
    }
    if (result == 0)
        *ret_bytes = BECK_BATCH_BYTES_DEFAULT;
    return result == -ENOENT ? -ESTALE : result;
}

int inode_max_message_bytes(struct beck_store *store, struct node *node, uint32_t *ret_bytes)
{
    node = topic_node(node);
    pthread_mutex_lock(&node->lock);
    int result = topic_refresh(store, node);
    struct node_topic *topic = node->topic;
    if (result == 0 &&
        (topic->max_message_bytes == 0 || topic->limit_generation != topic->generation)) {
        result = limit_find(store, topic->topic.name, &topic->max_message_bytes);
        if (result == 0)
            topic->limit_generation = topic->generation;
    }
    if (result == 0)
        *ret_bytes = topic->max_message_bytes;
    pthread_mutex_unlock(&node->lock);
    return result;
}

static int log_open(struct beck_store *store, struct node *node, struct beck_error *error)
{
    const struct beck_topic *topic = &node->parent->topic->topic; /* name and number never change */
    struct beck_partition *log = NULL;
    int result = beck_partition_open(store, topic->name, node->partition, &log, error);
    if (result < 0)
        return result == -ENOENT ? -ESTALE : result;
    if (beck_partition_topic(log)->number != topic->number) {
        (void)beck_partition_close(log); /* another topic of the same name */
        return -ESTALE;
    }
    node->log = log;
    return 0;
}

int inode_log(struct beck_store *store, struct node *node, struct beck_partition **ret_log,
              struct beck_error *error)
{
    pthread_mutex_lock(&node->lock);
    int result = node->log == NULL ? log_open(store, node, error) : 0;
    if (result == 0)
        *ret_log = node->log;
    pthread_mutex_unlock(&node->lock);
    return result;
}
