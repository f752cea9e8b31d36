/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeTopicPartitions: what Metadata says of topics, in pages. Topics come in the order of
 * their names; an answer ends when it has as many partitions as the client wants, and then has a
 * cursor for the next request.
 *
 * Runs on a worker, as it reads the store's database.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/errors.h"
#include "kafka/handlers.h"
#include "kafka/operations.h"
#include "kafka/topic_text.h"
#include "log.h"
#include "loop.h"

/* Kafka's max.request.partition.size.limit. */
#define PARTITIONS_MAX 2000

static int32_t the_broker[] = {BROKER_NODE_ID};

struct listing {
    struct request *request;
    const struct kafka_describe_topic_partitions_request *body;
    struct kafka_describe_topic_partitions_response *response;
    uint32_t left; /* partitions that the answer has room for */
    uint32_t room; /* topics that the list has room for */
};

/* One more topic at the end of the list, which doubles. */
static struct kafka_describe_topic_partitions_response_topic *one_more(struct listing *listing)
{
    struct kafka_describe_topic_partitions_response *response = listing->response;
    if (response->topics_count == listing->room) {
        uint32_t more = listing->room ? 2 * listing->room : 64;
        struct kafka_describe_topic_partitions_response_topic *topics =
            kafka_describe_topic_partitions_response_topic_array(&listing->request->arena, more);
        if (!topics)
            return NULL;
        if (listing->room > 0)
            memcpy(topics, response->topics, listing->room * sizeof(*topics));
        response->topics = topics;
        listing->room = more;
    }
    return &response->topics[response->topics_count++];
}

static int set_cursor(struct listing *listing, const char *name, uint32_t partition)
{
    struct kafka_describe_topic_partitions_response *response = listing->response;
    const char *copy = kafka_arena_copy(&listing->request->arena, name, strlen(name));
    response->next_cursor =
        kafka_describe_topic_partitions_response_cursor_array(&listing->request->arena, 1);
    if (!copy || !response->next_cursor)
        return -ENOMEM;
    response->next_cursor->topic_name = kafka_string_of(copy);
    response->next_cursor->partition_index = (int32_t)partition;
    return 0;
}

static void fill_partition(struct kafka_describe_topic_partitions_response_partition *answer,
                           uint32_t number, int32_t epoch)
{
    answer->partition_index = (int32_t)number;
    answer->leader_id = BROKER_NODE_ID;
    answer->leader_epoch = epoch;
    answer->replica_nodes = the_broker;
    answer->replica_nodes_count = 1;
    answer->isr_nodes = the_broker;
    answer->isr_nodes_count = 1;
    answer->eligible_leader_replicas = the_broker; /* empty, rather than null */
    answer->last_known_elr = the_broker;
}

/* The topic's partitions from one on, as far as there is room. */
static int fill_partitions(struct listing *listing, const struct beck_topic *topic, uint32_t first,
                           struct kafka_describe_topic_partitions_response_topic *answer)
{
    struct request *request = listing->request;
    uint32_t count = topic->partition_count > first ? topic->partition_count - first : 0;
    if (count > listing->left)
        count = listing->left;
    int32_t *epochs = kafka_arena_alloc(&request->arena, topic->partition_count, sizeof(*epochs));
    answer->partitions =
        kafka_describe_topic_partitions_response_partition_array(&request->arena, count);
    if (!epochs || !answer->partitions)
        return -ENOMEM;
    if (beck_topic_leader_epochs(request->loop->broker->store, topic, epochs, NULL) < 0)
        memset(epochs, -1, topic->partition_count * sizeof(*epochs)); /* not told */
    for (uint32_t i = 0; i < count; i++)
        fill_partition(&answer->partitions[i], first + i, epochs[first + i]);
    answer->partitions_count = count;
    listing->left -= count;
    return 0;
}

/* Adds a topic that is there. Returns 1 when the answer is full, with its cursor. */
static int add_topic(struct listing *listing, const struct beck_topic *topic)
{
    const struct kafka_describe_topic_partitions_request_cursor *cursor = listing->body->cursor;
    if (listing->left == 0)
        return set_cursor(listing, topic->name, 0) < 0 ? -ENOMEM : 1;
    struct kafka_describe_topic_partitions_response_topic *answer = one_more(listing);
    const char *name = kafka_arena_copy(&listing->request->arena, topic->name, strlen(topic->name));
    uint32_t first = 0;
    if (!answer || !name)
        return -ENOMEM;
    answer->name = kafka_string_of(name);
    memcpy(answer->topic_id.bytes, topic->id, sizeof(topic->id));
    answer->topic_authorized_operations = KAFKA_TOPIC_OPERATIONS;
    if (cursor && kafka_string_equal(cursor->topic_name, answer->name))
        first = (uint32_t)cursor->partition_index;
    if (fill_partitions(listing, topic, first, answer) < 0)
        return -ENOMEM;
    uint64_t next = (uint64_t)first + answer->partitions_count;
    if (next >= topic->partition_count)
        return 0;
    return set_cursor(listing, topic->name, (uint32_t)next) < 0 ? -ENOMEM : 1;
}

static int add_missing(struct listing *listing, const char *name, int result)
{
    if (listing->left == 0)
        return set_cursor(listing, name, 0) < 0 ? -ENOMEM : 1;
    struct kafka_describe_topic_partitions_response_topic *answer = one_more(listing);
    if (!answer)
        return -ENOMEM;
    answer->name = kafka_string_of(name);
    answer->topic_authorized_operations = KAFKA_TOPIC_OPERATIONS;
    answer->error_code =
        beck_topic_name_valid(name) ? kafka_error_of(result) : KAFKA_INVALID_TOPIC_EXCEPTION;
    return 0;
}

/* ---- which topics ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names that are asked for, from the cursor's on, each once. */
static int list_asked(struct listing *listing, const char *from, const char ***ret_names,
                      uint32_t *ret_count)
{
    struct kafka_arena *arena = &listing->request->arena;
    uint32_t count = 0;
    const char **names = kafka_arena_alloc(arena, listing->body->topics_count, sizeof(*names));
    for (uint32_t i = 0; names && i < listing->body->topics_count; i++) {
        const char *name = topic_text(arena, listing->body->topics[i].name);
        if (!name)
            return -ENOMEM;
        if (strcmp(name, from) >= 0)
            names[count++] = name;
    }
    if (!names)
        return -ENOMEM;
    if (count > 0)
        qsort(names, count, sizeof(*names), by_name);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
            names[kept++] = names[i];
    *ret_names = names;
    *ret_count = kept;
    return 0;
}

static int add_asked(struct listing *listing, const char **names, uint32_t count)
{
    struct beck_store *store = listing->request->loop->broker->store;
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < count; i++) {
        struct beck_topic topic;
        int found =
            beck_topic_name_valid(names[i]) ? beck_topic_find(store, names[i], &topic, NULL) : 0;
        bool there = found >= 0 && beck_topic_name_valid(names[i]);
        result = there ? add_topic(listing, &topic) : add_missing(listing, names[i], found);
    }
    return result;
}

/* As Kafka does with a cursor that leads nowhere: the error stands at each topic that was asked
 * for.
 */
static int refuse(struct listing *listing)
{
    for (uint32_t i = 0; i < listing->body->topics_count; i++) {
        struct kafka_describe_topic_partitions_response_topic *answer = one_more(listing);
        if (!answer)
            return -ENOMEM;
        answer->name = listing->body->topics[i].name;
        answer->error_code = KAFKA_INVALID_REQUEST;
    }
    return 0;
}

/* The topic that the cursor names, or else the first behind it: 1; 0: there is none. */
static int find_from(struct beck_store *store, const char *from, struct beck_topic *ret_topic,
                     struct beck_error *error)
{
    int result = -ENOENT;
    if (beck_topic_name_valid(from))
        result = beck_topic_find(store, from, ret_topic, error);
    if (result == -ENOENT)
        return beck_topic_next(store, from, ret_topic, error);
    return result < 0 ? result : 1;
}

static int add_every(struct listing *listing, const char *from)
{
    struct beck_store *store = listing->request->loop->broker->store;
    struct beck_topic topic;
    struct beck_error error;
    if (strlen(from) > BECK_TOPIC_NAME_BYTES)
        return refuse(listing);
    int found = find_from(store, from, &topic, &error);
    while (found > 0) {
        int result = add_topic(listing, &topic);
        if (result != 0)
            return result;
        found = beck_topic_next(store, topic.name, &topic, &error);
    }
    if (found < 0)
        log_error_limited(&listing->request->loop->broker->log_shared,
                          "the topics cannot be listed: %s", error.message);
    return found;
}

static int fill(struct listing *listing)
{
    const struct kafka_describe_topic_partitions_request *body = listing->body;
    const char *from =
        body->cursor ? topic_text(&listing->request->arena, body->cursor->topic_name) : "";
    const char **names;
    uint32_t count;
    if (!from)
        return -ENOMEM;
    if (body->cursor && body->cursor->partition_index < 0)
        return refuse(listing);
    if (body->topics_count == 0)
        return add_every(listing, from);
    int result = list_asked(listing, from, &names, &count);
    if (result < 0)
        return result;
    if (body->cursor && (count == 0 || strcmp(names[0], from) != 0))
        return refuse(listing);
    return add_asked(listing, names, count);
}

static void describe_topic_partitions(struct request *request)
{
    const struct kafka_describe_topic_partitions_request *body = request->body;
    int32_t limit = body->response_partition_limit;
    struct listing listing = {
        .request = request, .body = body, .response = request->response, .left = PARTITIONS_MAX};
    if (limit < PARTITIONS_MAX)
        listing.left = limit < 1 ? 1 : (uint32_t)limit;
    if (fill(&listing) < 0)
        request->response = NULL;
}

void describe_topic_partitions_handle(struct request *request)
{
    request_submit(request, describe_topic_partitions);
}
