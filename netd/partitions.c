/* SPDX-License-Identifier: Apache-2.0
 *
 * Two hash tables over one set of topics; see partitions.h.
 *
 * The happy path: the name is in the table and the store's generation is what it was: no call into
 * the store. When the generation moved, the topic is looked up anew: same id, and it stays; another
 * id, or none, and the entry is dropped. Its partitions live on until the last one who remembers
 * them lets go; their handles answer -ESTALE.
 */
#include "partitions.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t bucket(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint32_t hash = 2166136261U; /* FNV-1a: only names of topics that exist get into the table */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 16777619U;
    return (hash ^ hash >> 15) % PARTITIONS_BUCKETS;
}

void partitions_init(struct partitions *partitions, struct beck_store *store)
{
    *partitions = (struct partitions){.store = store};
}

void partition_unref(struct partition_entry *entry)
{
    assert(entry->refs > 0);
    if (--entry->refs > 0)
        return;
    watch_done(&entry->watch);
    entry->handle = beck_partition_close(entry->handle);
    free(entry);
}

static void forget_partitions(struct topic_entry *topic, uint32_t from)
{
    for (uint32_t i = from; i < topic->topic.partition_count; i++)
        if (topic->partitions[i])
            partition_unref(topic->partitions[i]);
}

static void topic_drop(struct topic_entry *topic)
{
    LIST_REMOVE(topic, by_name);
    LIST_REMOVE(topic, by_id);
    forget_partitions(topic, 0);
    free(topic->partitions);
    free(topic);
}

void partitions_done(struct partitions *partitions)
{
    for (size_t i = 0; i < PARTITIONS_BUCKETS; i++) {
        struct topic_entry *topic;
        while ((topic = LIST_FIRST(&partitions->by_name[i])))
            topic_drop(topic);
    }
}

static int topic_add(struct partitions *partitions, const struct beck_topic *found,
                     uint64_t generation, struct topic_entry **ret_topic)
{
    struct topic_entry *topic = calloc(1, sizeof(*topic));
    if (!topic)
        return -ENOMEM;
    topic->partitions = calloc(found->partition_count, sizeof(struct partition_entry *));
    if (!topic->partitions) {
        free(topic);
        return -ENOMEM;
    }
    topic->topic = *found;
    topic->generation = generation;
    uint32_t name = bucket(found->name, strlen(found->name));
    uint32_t id = bucket(found->id, sizeof(found->id));
    LIST_INSERT_HEAD(&partitions->by_name[name], topic, by_name);
    LIST_INSERT_HEAD(&partitions->by_id[id], topic, by_id);
    *ret_topic = topic;
    return 0;
}

/* Takes over what changed in a topic that is still the same one. */
static int topic_update(struct topic_entry *topic, const struct beck_topic *found,
                        uint64_t generation)
{
    uint32_t old_count = topic->topic.partition_count;
    if (found->partition_count > old_count) {
        struct partition_entry **grown =
            reallocarray(topic->partitions, found->partition_count, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        memset(grown + old_count, 0, (found->partition_count - old_count) * sizeof(*grown));
        topic->partitions = grown;
    } else {
        forget_partitions(topic, found->partition_count);
    }
    topic->topic = *found;
    topic->generation = generation;
    return 0;
}

/* Is the topic still there? If so, it is up to date; if not, it is gone from the table. */
static int topic_refresh(struct partitions *partitions, struct topic_entry *topic,
                         struct beck_error *error)
{
    uint64_t generation = beck_store_generation(partitions->store);
    if (topic->generation == generation)
        return 0;
    struct beck_topic found;
    int result = beck_topic_find(partitions->store, topic->topic.name, &found, error);
    if (result >= 0 && memcmp(found.id, topic->topic.id, sizeof(found.id)) != 0)
        result = -ENOENT;
    if (result >= 0)
        return topic_update(topic, &found, generation);
    if (result == -ENOENT)
        topic_drop(topic);
    return result;
}

int partitions_topic(struct partitions *partitions, struct kafka_string name,
                     struct topic_entry **ret_topic, struct beck_error *error)
{
    char text[BECK_TOPIC_NAME_BYTES + 1];
    if (!name.data || name.length >= sizeof(text) || memchr(name.data, '\0', name.length))
        return -EINVAL;
    struct topic_entry *topic;
    LIST_FOREACH(topic, &partitions->by_name[bucket(name.data, name.length)], by_name)
    if (strlen(topic->topic.name) == name.length &&
        memcmp(topic->topic.name, name.data, name.length) == 0)
        break;
    int result = topic ? topic_refresh(partitions, topic, error) : -ENOENT;
    if (result >= 0)
        *ret_topic = topic;
    if (result != -ENOENT)
        return result;
    memcpy(text, name.data, name.length);
    text[name.length] = '\0';
    if (!beck_topic_name_valid(text))
        return -EINVAL;
    uint64_t generation = beck_store_generation(partitions->store);
    struct beck_topic found;
    result = beck_topic_find(partitions->store, text, &found, error);
    return result < 0 ? result : topic_add(partitions, &found, generation, ret_topic);
}

int partitions_topic_by_id(struct partitions *partitions, const struct kafka_uuid *id,
                           struct topic_entry **ret_topic, struct beck_error *error)
{
    struct topic_entry *topic;
    LIST_FOREACH(topic, &partitions->by_id[bucket(id->bytes, sizeof(id->bytes))], by_id)
    if (memcmp(topic->topic.id, id->bytes, sizeof(id->bytes)) == 0)
        break;
    int result = topic ? topic_refresh(partitions, topic, error) : -ENOENT;
    if (result >= 0)
        *ret_topic = topic;
    if (result != -ENOENT)
        return result;
    struct beck_topic found;
    result = beck_topic_find_id(partitions->store, id->bytes, &found, error);
    if (result >= 0)
        result = partitions_topic(partitions, kafka_string_of(found.name), &topic, error);
    if (result < 0)
        return result;
    if (memcmp(topic->topic.id, id->bytes, sizeof(id->bytes)) != 0)
        return -ENOENT; /* another has that name since a moment ago */
    *ret_topic = topic;
    return 0;
}

int partitions_open(struct partitions *partitions, struct topic_entry *topic, int32_t number,
                    struct partition_entry **ret_partition, struct beck_error *error)
{
    if (number < 0 || (uint32_t)number >= topic->topic.partition_count)
        return -ENOENT;
    if (!topic->partitions[number]) {
        struct partition_entry *entry = calloc(1, sizeof(*entry));
        if (!entry)
            return -ENOMEM;
        int result = beck_partition_open(partitions->store, topic->topic.name, number,
                                         &entry->handle, error);
        if (result >= 0 && memcmp(beck_partition_topic(entry->handle)->id, topic->topic.id,
                                  sizeof(topic->topic.id)) != 0) {
            entry->handle = beck_partition_close(entry->handle);
            result = -ENOENT; /* another topic of that name, since a moment ago */
        }
        if (result < 0) {
            free(entry);
            return result;
        }
        entry->refs = 1;
        sync_group_init(&entry->sync);
        watch_init(&entry->watch);
        topic->partitions[number] = entry;
    }
    *ret_partition = topic->partitions[number];
    return 0;
}

int partition_look(struct partition_entry *entry, struct beck_partition_state *ret_state,
                   struct beck_error *error)
{
    uint64_t moves = beck_partition_moves(entry->handle);
    if (moves == 0 || moves != entry->known_moves) {
        entry->known_moves = 0;
        int result = beck_partition_state(entry->handle, &entry->known, error);
        if (result < 0)
            return result;
        entry->known_moves = moves;
    }
    *ret_state = entry->known;
    return 0;
}

void partitions_sweep(struct partitions *partitions)
{
    uint64_t generation = beck_store_generation(partitions->store);
    if (generation == partitions->swept_generation)
        return;
    for (size_t i = 0; i < PARTITIONS_BUCKETS; i++) {
        struct topic_entry *topic = LIST_FIRST(&partitions->by_name[i]);
        while (topic) {
            struct topic_entry *next = LIST_NEXT(topic, by_name);
            topic_refresh(partitions, topic, NULL);
            topic = next;
        }
    }
    partitions->swept_generation = generation;
}
