/* SPDX-License-Identifier: Apache-2.0
 *
 * Metadata: which topics there are, and where: on the one broker that there is. A topic that is
 * missing is made, where both the client and auto.create.topics.enable want it.
 *
 * Runs on a worker, as it reads the store's database and may write it. With the leader epochs that
 * it tells, clients see after a loss of power that they are to ask where they stand (KIP-320).
 */
#include <errno.h>
#include <string.h>

#include "kafka/errors.h"
#include "kafka/handlers.h"
#include "kafka/operations.h"
#include "kafka/topic_text.h"
#include "listener.h"
#include "loop.h"
#include "throttle.h"

/* The first version in which a null list means all; before, an empty one does. */
#define VERSION_NULL_IS_ALL 1

struct place {
    char host[BROKER_HOST_BYTES + 1];
    uint16_t port;
};

static int32_t the_broker[] = {BROKER_NODE_ID};

/* -ENOMEM. */
static int describe_topic(struct request *request, const struct beck_topic *topic,
                          struct kafka_metadata_response_topic *answer)
{
    uint32_t count = topic->partition_count;
    const char *name = kafka_arena_copy(&request->arena, topic->name, strlen(topic->name));
    struct kafka_metadata_response_partition *partitions =
        kafka_metadata_response_partition_array(&request->arena, count);
    int32_t *epochs = kafka_arena_alloc(&request->arena, count, sizeof(*epochs));
    if (!name || !partitions || !epochs)
        return -ENOMEM;
    if (beck_topic_leader_epochs(request->loop->broker->store, topic, epochs, NULL) < 0)
        memset(epochs, -1, count * sizeof(*epochs)); /* not told */
    for (uint32_t i = 0; i < count; i++) {
        partitions[i].partition_index = (int32_t)i;
        partitions[i].leader_id = BROKER_NODE_ID;
        partitions[i].leader_epoch = epochs[i];
        partitions[i].replica_nodes = the_broker;
        partitions[i].replica_nodes_count = 1;
        partitions[i].isr_nodes = the_broker;
        partitions[i].isr_nodes_count = 1;
    }
    answer->error_code = KAFKA_NONE;
    answer->name = kafka_string_of(name);
    memcpy(answer->topic_id.bytes, topic->id, sizeof(topic->id));
    answer->partitions = partitions;
    answer->partitions_count = count;
    const struct kafka_metadata_request *body = request->body;
    if (body->include_topic_authorized_operations)
        answer->topic_authorized_operations = KAFKA_TOPIC_OPERATIONS;
    return 0;
}

static int make_topic(struct request *request, const char *name, struct beck_topic *ret_topic,
                      struct beck_error *error)
{
    struct broker *broker = request->loop->broker;
    struct beck_topic_options options = {
        .partition_count = (uint32_t)broker->config->num_partitions, .distinct = true};
    int result = beck_topic_create(broker->store, name, &options, ret_topic, error);
    if (result == -EEXIST) /* somebody was faster */
        result = beck_topic_find(broker->store, name, ret_topic, error);
    if (result < 0 && result != -ENOTUNIQ)
        log_error_limited(&broker->log_shared, "cannot make a topic: %s", error->message);
    return result;
}

static int find_by_name(struct request *request, const char *name, struct beck_topic *ret_topic,
                        int16_t *ret_code)
{
    const struct kafka_metadata_request *body = request->body;
    const struct broker *broker = request->loop->broker;
    struct beck_error error;
    if (!beck_topic_name_valid(name)) {
        *ret_code = KAFKA_INVALID_TOPIC_EXCEPTION;
        return -EINVAL;
    }
    int result = beck_topic_find(broker->store, name, ret_topic, &error);
    if (result == -ENOENT && body->allow_auto_topic_creation &&
        broker->config->auto_create_topics_enable &&
        throttle_mutation(request, (size_t)broker->config->num_partitions, true))
        result = make_topic(request, name, ret_topic, &error);
    *ret_code = kafka_error_of(result);
    return result;
}

/* Java's admin client sends an empty name with an id, and no null. */
static bool is_by_id(const struct kafka_metadata_request_topic *asked)
{
    static const struct kafka_uuid none;
    return !asked->name.data ||
           (asked->name.length == 0 && memcmp(&asked->topic_id, &none, sizeof(none)) != 0);
}

/* A topic that the client named, or whose id it has. */
static int answer_asked(struct request *request, const struct kafka_metadata_request_topic *asked,
                        struct kafka_metadata_response_topic *answer)
{
    struct beck_store *store = request->loop->broker->store;
    struct beck_topic topic;
    int16_t code = KAFKA_NONE;
    int result;
    answer->name = asked->name;
    answer->topic_id = asked->topic_id;
    if (!is_by_id(asked)) {
        const char *name = topic_text(&request->arena, asked->name);
        if (!name)
            return -ENOMEM;
        result = find_by_name(request, name, &topic, &code);
    } else {
        result = beck_topic_find_id(store, asked->topic_id.bytes, &topic, NULL);
        code = result == -ENOENT ? KAFKA_UNKNOWN_TOPIC_ID : kafka_error_of(result);
    }
    if (result >= 0)
        return describe_topic(request, &topic, answer);
    answer->error_code = code;
    return 0;
}

static int answer_some(struct request *request)
{
    const struct kafka_metadata_request *body = request->body;
    struct kafka_metadata_response *response = request->response;
    response->topics = kafka_metadata_response_topic_array(&request->arena, body->topics_count);
    if (!response->topics)
        return -ENOMEM;
    response->topics_count = body->topics_count;
    for (uint32_t i = 0; i < body->topics_count; i++)
        if (answer_asked(request, &body->topics[i], &response->topics[i]) < 0)
            return -ENOMEM;
    return 0;
}

/* Room for one more topic at the end of the list, which doubles. */
static struct kafka_metadata_response_topic *one_more(struct request *request, uint32_t *room)
{
    struct kafka_metadata_response *response = request->response;
    if (response->topics_count == *room) {
        uint32_t more = *room ? 2 * *room : 64;
        struct kafka_metadata_response_topic *topics =
            kafka_metadata_response_topic_array(&request->arena, more);
        if (!topics)
            return NULL;
        if (*room > 0)
            memcpy(topics, response->topics, *room * sizeof(*topics));
        response->topics = topics;
        *room = more;
    }
    return &response->topics[response->topics_count];
}

static int answer_every(struct request *request)
{
    struct kafka_metadata_response *response = request->response;
    struct beck_store *store = request->loop->broker->store;
    struct beck_topic topic = {.name = ""};
    struct beck_error error;
    uint32_t room = 0;
    int result;
    while ((result = beck_topic_next(store, topic.name, &topic, &error)) > 0) {
        struct kafka_metadata_response_topic *answer = one_more(request, &room);
        if (!answer || describe_topic(request, &topic, answer) < 0)
            return -ENOMEM;
        response->topics_count++;
    }
    if (result < 0)
        log_error_limited(&request->loop->broker->log_shared, "the topics cannot be listed: %s",
                          error.message);
    return result;
}

/* On a worker. */
static void answer(struct request *request)
{
    const struct kafka_metadata_request *body = request->body;
    struct kafka_metadata_response *response = request->response;
    const struct place *place = request->context;
    struct kafka_metadata_response_broker *broker =
        kafka_metadata_response_broker_array(&request->arena, 1);
    bool every = request->version >= VERSION_NULL_IS_ALL ? !body->topics : body->topics_count == 0;
    int result = every ? answer_every(request) : answer_some(request);
    if (!broker || result < 0) {
        request->response = NULL;
        return;
    }
    broker->node_id = BROKER_NODE_ID;
    broker->host = kafka_string_of(place->host);
    broker->port = place->port;
    broker->rack = kafka_string_of(broker_rack(request->loop->broker));
    response->brokers = broker;
    response->brokers_count = 1;
    response->controller_id = BROKER_NODE_ID;
    response->cluster_id = kafka_string_of(request->loop->broker->cluster_id);
    if (body->include_cluster_authorized_operations)
        response->cluster_authorized_operations = KAFKA_CLUSTER_OPERATIONS;
}

void metadata_handle(struct request *request)
{
    struct place *place = kafka_arena_alloc(&request->arena, 1, sizeof(*place));
    if (!place) {
        request->response = NULL;
        request_ready(request);
        return;
    }
    listener_advertise(request->connection, place->host, sizeof(place->host), &place->port);
    request->context = place;
    request_submit(request, answer);
}
