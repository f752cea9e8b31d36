/* SPDX-License-Identifier: Apache-2.0
 *
 * CreatePartitions, DeleteRecords and OffsetForLeaderEpoch: what is done to partitions of topics,
 * or asked of them. On a worker: all read or write the store's database.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kafka/doubles.h"
#include "kafka/errors.h"
#include "kafka/handlers.h"
#include "kafka/topic_text.h"
#include "loop.h"
#include "throttle.h"

/* A library's sentence for the answer; null where there is none. */
static struct kafka_string message_of(struct request *request, const struct beck_error *error)
{
    if (!error->message[0])
        return (struct kafka_string){0};
    return kafka_string_of(
        kafka_arena_copy(&request->arena, error->message, strlen(error->message)));
}

/* From this version on what is above a quota is refused; before, it is done, and waited for. */
#define VERSION_STRICT 3

/* ---- CreatePartitions ---- */

static int16_t check_placement(const struct kafka_create_partitions_request_topic *asked,
                               uint32_t present, struct beck_error *error)
{
    int64_t added = (int64_t)asked->count - present;
    if (!asked->assignments)
        return KAFKA_NONE;
    if (added != (int64_t)asked->assignments_count) {
        snprintf(error->message, sizeof(error->message),
                 "%lld partitions are to be added, and %u are assigned", (long long)added,
                 (unsigned)asked->assignments_count);
        return KAFKA_INVALID_REPLICA_ASSIGNMENT;
    }
    for (uint32_t i = 0; i < asked->assignments_count; i++)
        if (asked->assignments[i].broker_ids_count != 1 ||
            asked->assignments[i].broker_ids[0] != BROKER_NODE_ID) {
            snprintf(error->message, sizeof(error->message),
                     "partitions can be assigned to broker %d alone", BROKER_NODE_ID);
            return KAFKA_INVALID_REPLICA_ASSIGNMENT;
        }
    return KAFKA_NONE;
}

static int16_t create_partitions_of(struct request *request, const char *name,
                                    const struct kafka_create_partitions_request_topic *asked,
                                    struct beck_error *error)
{
    const struct kafka_create_partitions_request *body = request->body;
    struct beck_store *store = request->loop->broker->store;
    struct beck_topic topic;
    int result = beck_topic_find(store, name, &topic, error);
    if (result < 0)
        return kafka_error_of(result);
    if (asked->count <= 0) {
        snprintf(error->message, sizeof(error->message), "a topic cannot have %d partitions",
                 asked->count);
        return KAFKA_INVALID_PARTITIONS;
    }
    int16_t code = check_placement(asked, topic.partition_count, error);
    if (code != KAFKA_NONE)
        return code;
    uint32_t count = (uint32_t)asked->count;
    if (count > topic.partition_count && !throttle_mutation(request, count - topic.partition_count,
                                                            request->version >= VERSION_STRICT)) {
        (void)snprintf(error->message, sizeof(error->message), "%s", KAFKA_THROTTLED_TEXT);
        return KAFKA_THROTTLING_QUOTA_EXCEEDED;
    }
    result = beck_topic_add_partitions(store, name, count, body->validate_only, NULL, error);
    return result == -EINVAL || result == -EMSGSIZE ? KAFKA_INVALID_PARTITIONS
                                                    : kafka_error_of(result);
}

static const enum occurrence *occurrences(struct kafka_arena *arena,
                                          const struct kafka_create_partitions_request *body)
{
    struct kafka_string *names = kafka_arena_alloc(arena, body->topics_count, sizeof(*names));
    for (uint32_t i = 0; names && i < body->topics_count; i++)
        names[i] = body->topics[i].name;
    return names ? doubles_find(arena, names, body->topics_count) : NULL;
}

static void create_partitions(struct request *request)
{
    const struct kafka_create_partitions_request *body = request->body;
    struct kafka_create_partitions_response *response = request->response;
    const enum occurrence *occurs = occurrences(&request->arena, body);
    response->results =
        kafka_create_partitions_response_topic_array(&request->arena, body->topics_count);
    for (uint32_t i = 0; occurs && response->results && i < body->topics_count; i++) {
        if (occurs[i] == OCCURS_AGAIN)
            continue;
        struct beck_error error = {.message = "Duplicate topic name."};
        struct kafka_create_partitions_response_topic *answer =
            &response->results[response->results_count++];
        const char *name = topic_text(&request->arena, body->topics[i].name);
        answer->name = body->topics[i].name;
        if (!name) {
            response->results = NULL;
            break;
        }
        answer->error_code = KAFKA_INVALID_REQUEST;
        if (occurs[i] == OCCURS_ONCE) {
            error.message[0] = '\0';
            answer->error_code = create_partitions_of(request, name, &body->topics[i], &error);
        }
        if (answer->error_code != KAFKA_NONE)
            answer->error_message = message_of(request, &error);
    }
    if (!occurs || !response->results)
        request->response = NULL;
}

void create_partitions_handle(struct request *request)
{
    request_submit(request, create_partitions);
}

/* ---- DeleteRecords ---- */

static int16_t delete_records_of(struct beck_store *store, const char *name,
                                 const struct kafka_delete_records_request_partition *asked,
                                 int64_t *ret_low)
{
    struct beck_partition *partition;
    struct beck_error error;
    int result = beck_partition_open(store, name, asked->partition_index, &partition, &error);
    if (result < 0)
        return kafka_error_of(result);
    result = beck_trim(partition, asked->offset, ret_low, &error);
    beck_partition_close(partition);
    return kafka_error_of(result);
}

static void delete_records(struct request *request)
{
    const struct kafka_delete_records_request *body = request->body;
    struct kafka_delete_records_response *response = request->response;
    struct kafka_arena *arena = &request->arena;
    response->topics = kafka_delete_records_response_topic_array(arena, body->topics_count);
    for (uint32_t i = 0; response->topics && i < body->topics_count; i++) {
        uint32_t count = body->topics[i].partitions_count;
        struct kafka_delete_records_response_topic *topic = &response->topics[i];
        const char *name = topic_text(arena, body->topics[i].name);
        topic->name = body->topics[i].name;
        topic->partitions = kafka_delete_records_response_partition_array(arena, count);
        topic->partitions_count = count;
        response->topics_count++;
        for (uint32_t p = 0; name && topic->partitions && p < count; p++) {
            struct kafka_delete_records_response_partition *one = &topic->partitions[p];
            one->partition_index = body->topics[i].partitions[p].partition_index;
            one->low_watermark = -1;
            one->error_code =
                delete_records_of(request->loop->broker->store, name,
                                  &body->topics[i].partitions[p], &one->low_watermark);
        }
        if (!name || !topic->partitions)
            response->topics = NULL;
    }
    if (!response->topics)
        request->response = NULL;
}

void delete_records_handle(struct request *request)
{
    request_submit(request, delete_records);
}

/* ---- OffsetForLeaderEpoch ---- */

static int16_t epoch_end_of(struct beck_store *store, const char *name,
                            const struct kafka_offset_for_leader_epoch_request_partition *asked,
                            struct kafka_offset_for_leader_epoch_response_partition *answer)
{
    struct beck_partition *partition;
    struct beck_partition_state state;
    struct beck_error error;
    int result = beck_partition_open(store, name, asked->partition, &partition, &error);
    if (result < 0)
        return kafka_error_of(result);
    result = beck_partition_state(partition, &state, &error);
    int16_t code = kafka_error_of(result);
    if (result >= 0 && asked->current_leader_epoch >= 0 &&
        asked->current_leader_epoch != state.leader_epoch)
        code = asked->current_leader_epoch < state.leader_epoch ? KAFKA_FENCED_LEADER_EPOCH
                                                                : KAFKA_UNKNOWN_LEADER_EPOCH;
    if (code == KAFKA_NONE) {
        int32_t epoch;
        int64_t end;
        result = beck_partition_epoch_end(partition, asked->leader_epoch, &epoch, &end, &error);
        code = kafka_error_of(result);
        if (result >= 0) {
            answer->leader_epoch = epoch;
            answer->end_offset = end;
        }
    }
    beck_partition_close(partition);
    return code;
}

static void offset_for_leader_epoch(struct request *request)
{
    const struct kafka_offset_for_leader_epoch_request *body = request->body;
    struct kafka_offset_for_leader_epoch_response *response = request->response;
    struct kafka_arena *arena = &request->arena;
    response->topics =
        kafka_offset_for_leader_epoch_response_topic_array(arena, body->topics_count);
    for (uint32_t i = 0; response->topics && i < body->topics_count; i++) {
        uint32_t count = body->topics[i].partitions_count;
        struct kafka_offset_for_leader_epoch_response_topic *topic = &response->topics[i];
        const char *name = topic_text(arena, body->topics[i].topic);
        topic->topic = body->topics[i].topic;
        topic->partitions = kafka_offset_for_leader_epoch_response_partition_array(arena, count);
        topic->partitions_count = count;
        response->topics_count++;
        for (uint32_t p = 0; name && topic->partitions && p < count; p++) {
            topic->partitions[p].partition = body->topics[i].partitions[p].partition;
            topic->partitions[p].error_code =
                epoch_end_of(request->loop->broker->store, name, &body->topics[i].partitions[p],
                             &topic->partitions[p]);
        }
        if (!name || !topic->partitions)
            response->topics = NULL;
    }
    if (!response->topics)
        request->response = NULL;
}

void offset_for_leader_epoch_handle(struct request *request)
{
    request_submit(request, offset_for_leader_epoch);
}
