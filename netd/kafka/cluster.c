/* SPDX-License-Identifier: Apache-2.0
 *
 * The cluster as administrators see it: DescribeCluster, DescribeLogDirs, and what moves leaders
 * and replicas, which one broker has nothing to do for.
 */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "kafka/errors.h"
#include "kafka/handlers.h"
#include "kafka/operations.h"
#include "kafka/topic_text.h"
#include "listener.h"
#include "loop.h"

/* ---- DescribeCluster ---- */

#define ENDPOINT_BROKERS 1

void describe_cluster_handle(struct request *request)
{
    const struct kafka_describe_cluster_request *body = request->body;
    struct kafka_describe_cluster_response *response = request->response;
    char host[BROKER_HOST_BYTES + 1];
    uint16_t port;
    struct kafka_describe_cluster_response_broker *broker =
        kafka_describe_cluster_response_broker_array(&request->arena, 1);
    listener_advertise(request->connection, host, sizeof(host), &port);
    const char *copy = kafka_arena_copy(&request->arena, host, strlen(host));
    if (!broker || !copy) {
        request->response = NULL;
        request_ready(request);
        return;
    }
    response->endpoint_type = body->endpoint_type;
    response->cluster_id = kafka_string_of(request->loop->broker->cluster_id);
    if (body->endpoint_type != ENDPOINT_BROKERS) {
        response->error_code = KAFKA_MISMATCHED_ENDPOINT_TYPE;
        response->error_message = kafka_string_of("This endpoint is a broker's.");
    } else {
        broker->broker_id = BROKER_NODE_ID;
        broker->host = kafka_string_of(copy);
        broker->port = port;
        broker->rack = kafka_string_of(broker_rack(request->loop->broker));
        response->brokers = broker;
        response->brokers_count = 1;
        response->controller_id = BROKER_NODE_ID;
        if (body->include_cluster_authorized_operations)
            response->cluster_authorized_operations = KAFKA_CLUSTER_OPERATIONS;
    }
    request_ready(request);
}

/* ---- DescribeLogDirs ---- */

struct log_dir {
    struct request *request;
    struct kafka_describe_log_dirs_response_result *result;
    uint32_t room; /* topics that the list has room for */
};

static int add_log_dir_topic(struct log_dir *dir,
                             struct kafka_describe_log_dirs_response_topic **ret)
{
    struct kafka_describe_log_dirs_response_result *result = dir->result;
    if (result->topics_count == dir->room) {
        uint32_t more = dir->room ? 2 * dir->room : 64;
        struct kafka_describe_log_dirs_response_topic *topics =
            kafka_describe_log_dirs_response_topic_array(&dir->request->arena, more);
        if (!topics)
            return -ENOMEM;
        if (dir->room > 0)
            memcpy(topics, result->topics, dir->room * sizeof(*topics));
        result->topics = topics;
        dir->room = more;
    }
    *ret = &result->topics[result->topics_count++];
    return 0;
}

/* Partitions of a topic: those that are named, or all. Ones that are not there are left out. */
static int describe_log_dir_topic(struct log_dir *dir, const struct beck_topic *topic,
                                  const int32_t *numbers, uint32_t count)
{
    struct request *request = dir->request;
    struct beck_store *store = request->loop->broker->store;
    struct kafka_describe_log_dirs_response_topic *to;
    if (add_log_dir_topic(dir, &to) < 0)
        return -ENOMEM;
    const char *name = kafka_arena_copy(&request->arena, topic->name, strlen(topic->name));
    count = numbers ? count : topic->partition_count;
    to->name = kafka_string_of(name);
    to->partitions = kafka_describe_log_dirs_response_partition_array(&request->arena, count);
    if (!name || !to->partitions)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        int32_t number = numbers ? numbers[i] : (int32_t)i;
        struct beck_partition *partition;
        uint64_t bytes;
        if (beck_partition_open(store, topic->name, number, &partition, NULL) < 0)
            continue;
        if (beck_partition_disk_bytes(partition, &bytes, NULL) >= 0) {
            struct kafka_describe_log_dirs_response_partition *one =
                &to->partitions[to->partitions_count++];
            one->partition_index = number;
            one->partition_size = (int64_t)bytes;
        }
        beck_partition_close(partition);
    }
    return 0;
}

static int describe_log_dir_topics(struct log_dir *dir,
                                   const struct kafka_describe_log_dirs_request *body)
{
    struct beck_store *store = dir->request->loop->broker->store;
    struct beck_topic topic = {.name = ""};
    int result = 0;
    while (!body->topics && result == 0 && beck_topic_next(store, topic.name, &topic, NULL) == 1)
        result = describe_log_dir_topic(dir, &topic, NULL, 0);
    for (uint32_t i = 0; result == 0 && i < body->topics_count; i++) {
        const char *name = topic_text(&dir->request->arena, body->topics[i].topic);
        if (!name)
            result = -ENOMEM;
        else if (beck_topic_find(store, name, &topic, NULL) >= 0)
            result = describe_log_dir_topic(dir, &topic, body->topics[i].partitions,
                                            body->topics[i].partitions_count);
    }
    return result;
}

/* On a worker. */
static void describe_log_dirs(struct request *request)
{
    struct kafka_describe_log_dirs_response *response = request->response;
    const char *path = request->loop->broker->config->store_path;
    struct log_dir dir = {.request = request,
                          .result =
                              kafka_describe_log_dirs_response_result_array(&request->arena, 1)};
    struct statvfs disk;
    if (!dir.result || describe_log_dir_topics(&dir, request->body) < 0) {
        request->response = NULL;
        return;
    }
    dir.result->log_dir = kafka_string_of(path);
    if (statvfs(path, &disk) == 0) {
        dir.result->total_bytes = (int64_t)(disk.f_blocks * disk.f_frsize);
        dir.result->usable_bytes = (int64_t)(disk.f_bavail * disk.f_frsize);
    }
    response->results = dir.result;
    response->results_count = 1;
}

void describe_log_dirs_handle(struct request *request)
{
    request_submit(request, describe_log_dirs);
}

/* ---- leaders and replicas ---- */

/* Is there such a partition? On the request's loop. */
static bool is_there(struct request *request, struct kafka_string topic, int32_t partition)
{
    struct topic_entry *found;
    struct beck_error error;
    return partitions_topic(&request->loop->partitions, topic, &found, &error) >= 0 &&
           partition >= 0 && (uint32_t)partition < found->topic.partition_count;
}

void elect_leaders_handle(struct request *request)
{
    const struct kafka_elect_leaders_request *body = request->body;
    struct kafka_elect_leaders_response *response = request->response;
    struct kafka_arena *arena = &request->arena;
    /* Asked for all partitions, those that need no election are not mentioned: that is all. */
    response->replica_election_results =
        kafka_elect_leaders_response_topic_array(arena, body->topic_partitions_count);
    for (uint32_t i = 0; response->replica_election_results && i < body->topic_partitions_count;
         i++) {
        const struct kafka_elect_leaders_request_topic *asked = &body->topic_partitions[i];
        struct kafka_elect_leaders_response_topic *topic = &response->replica_election_results[i];
        topic->topic = asked->topic;
        topic->partition_result =
            kafka_elect_leaders_response_partition_array(arena, asked->partitions_count);
        topic->partition_result_count = asked->partitions_count;
        response->replica_election_results_count++;
        for (uint32_t p = 0; topic->partition_result && p < asked->partitions_count; p++) {
            topic->partition_result[p].partition_id = asked->partitions[p];
            topic->partition_result[p].error_code =
                is_there(request, asked->topic, asked->partitions[p])
                    ? KAFKA_ELECTION_NOT_NEEDED
                    : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        }
        if (!topic->partition_result)
            response->replica_election_results = NULL;
    }
    if (!response->replica_election_results)
        request->response = NULL;
    request_ready(request);
}

/* A partition is where it can be: asking for that changes nothing, all else is refused. */
static int16_t reassign(struct request *request, struct kafka_string topic,
                        const struct kafka_alter_partition_reassignments_request_partition *asked)
{
    if (!is_there(request, topic, asked->partition_index))
        return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    if (!asked->replicas)
        return KAFKA_NO_REASSIGNMENT_IN_PROGRESS;
    bool here = asked->replicas_count == 1 && asked->replicas[0] == BROKER_NODE_ID;
    return here ? KAFKA_NONE : KAFKA_INVALID_REPLICA_ASSIGNMENT;
}

void alter_partition_reassignments_handle(struct request *request)
{
    const struct kafka_alter_partition_reassignments_request *body = request->body;
    struct kafka_alter_partition_reassignments_response *response = request->response;
    struct kafka_arena *arena = &request->arena;
    response->responses =
        kafka_alter_partition_reassignments_response_topic_array(arena, body->topics_count);
    for (uint32_t i = 0; response->responses && i < body->topics_count; i++) {
        uint32_t count = body->topics[i].partitions_count;
        struct kafka_alter_partition_reassignments_response_topic *topic = &response->responses[i];
        topic->name = body->topics[i].name;
        topic->partitions =
            kafka_alter_partition_reassignments_response_partition_array(arena, count);
        topic->partitions_count = count;
        response->responses_count++;
        for (uint32_t p = 0; topic->partitions && p < count; p++) {
            topic->partitions[p].partition_index = body->topics[i].partitions[p].partition_index;
            topic->partitions[p].error_code =
                reassign(request, topic->name, &body->topics[i].partitions[p]);
        }
        if (!topic->partitions)
            response->responses = NULL;
    }
    if (!response->responses)
        request->response = NULL;
    request_ready(request);
}

void list_partition_reassignments_handle(struct request *request)
{
    request_ready(request); /* there are none */
}
