/* SPDX-License-Identifier: Apache-2.0
 *
 * ListOffsets: the ends of a partition, and the first offset of a time. The ends are answered on
 * the loop from the partition's state; a time needs a search on disk, which a worker does.
 */
#include <errno.h>

#include "kafka/errors.h"
#include "kafka/handlers.h"
#include "loop.h"

/* What stands for a timestamp, besides a time. */
enum {
    TIME_LATEST = -1,
    TIME_EARLIEST = -2,
    TIME_MAX = -3,            /* of the record with the largest timestamp */
    TIME_EARLIEST_LOCAL = -4, /* nothing is ever moved elsewhere: the same as EARLIEST */
    TIME_LATEST_TIERED = -5,  /* for the same reason there is none */
};

struct search {
    struct partition_entry *entry;
    int64_t timestamp_ms;
    struct kafka_list_offsets_response_partition *answer;
};

struct searches {
    struct search *list;
    uint32_t count;
    enum beck_isolation isolation;
};

/* On a worker. */
static void search_one(struct broker *broker, const struct search *search,
                       enum beck_isolation isolation)
{
    struct beck_partition *handle = search->entry->handle;
    struct beck_partition_state state;
    struct beck_error error;
    int64_t offset;
    int64_t timestamp_ms;
    int result = beck_partition_state(handle, &state, &error);
    if (result >= 0 && search->timestamp_ms == TIME_MAX)
        result = beck_offset_of_max_time(handle, &offset, &timestamp_ms, &error);
    else if (result >= 0)
        result = beck_offset_for_time(handle, search->timestamp_ms, isolation, &offset,
                                      &timestamp_ms, &error);
    search->answer->error_code = kafka_error_of(result);
    if (result < 0 && result != -ESTALE) /* a topic that was deleted is no trouble */
        log_error_limited(&broker->log_shared, "a time cannot be looked up: %s", error.message);
    if (result <= 0)
        return; /* no such record: offset and timestamp stay -1, which is no error */
    search->answer->offset = offset;
    search->answer->timestamp = timestamp_ms;
    search->answer->leader_epoch = state.leader_epoch;
}

static void search_all(struct request *request)
{
    struct searches *searches = request->context;
    for (uint32_t i = 0; i < searches->count; i++)
        search_one(request->loop->broker, &searches->list[i], searches->isolation);
}

static void list_offsets_cleanup(struct request *request)
{
    struct searches *searches = request->context;
    for (uint32_t i = 0; i < searches->count; i++)
        partition_unref(searches->list[i].entry);
}

static int16_t answer_end(struct partition_entry *entry, const struct searches *searches,
                          const struct kafka_list_offsets_request_partition *asked,
                          struct kafka_list_offsets_response_partition *answer)
{
    struct beck_partition_state state;
    int result = beck_partition_state(entry->handle, &state, NULL);
    if (result < 0)
        return kafka_error_of(result);
    if (asked->current_leader_epoch >= 0 && asked->current_leader_epoch != state.leader_epoch)
        return asked->current_leader_epoch < state.leader_epoch ? KAFKA_FENCED_LEADER_EPOCH
                                                                : KAFKA_UNKNOWN_LEADER_EPOCH;
    if (asked->timestamp < TIME_LATEST_TIERED)
        return KAFKA_UNSUPPORTED_VERSION; /* something that a later one asks for */
    if (asked->timestamp == TIME_LATEST)
        answer->offset = searches->isolation == BECK_READ_COMMITTED ? state.last_stable_offset
                                                                    : state.high_watermark;
    else if (asked->timestamp == TIME_EARLIEST || asked->timestamp == TIME_EARLIEST_LOCAL)
        answer->offset = state.log_start_offset;
    if (answer->offset >= 0)
        answer->leader_epoch = state.leader_epoch;
    return KAFKA_NONE;
}

static int16_t answer_one(struct request *request, struct kafka_string topic,
                          const struct kafka_list_offsets_request_partition *asked,
                          struct kafka_list_offsets_response_partition *answer)
{
    struct loop *loop = request->loop;
    struct searches *searches = request->context;
    struct topic_entry *found;
    struct partition_entry *entry;
    answer->partition_index = asked->partition_index;
    int result = partitions_topic(&loop->partitions, topic, &found, NULL);
    if (result >= 0)
        result = partitions_open(&loop->partitions, found, asked->partition_index, &entry, NULL);
    if (result < 0)
        return result == -EINVAL ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : kafka_error_of(result);
    int16_t code = answer_end(entry, searches, asked, answer);
    if (code == KAFKA_NONE && (asked->timestamp >= 0 || asked->timestamp == TIME_MAX))
        searches->list[searches->count++] = (struct search){
            .entry = partition_ref(entry), .timestamp_ms = asked->timestamp, .answer = answer};
    return code;
}

static int answer_topic(struct request *request,
                        const struct kafka_list_offsets_request_topic *asked,
                        struct kafka_list_offsets_response_topic *answer)
{
    answer->name = asked->name;
    answer->partitions =
        kafka_list_offsets_response_partition_array(&request->arena, asked->partitions_count);
    if (!answer->partitions)
        return -ENOMEM;
    answer->partitions_count = asked->partitions_count;
    for (uint32_t i = 0; i < asked->partitions_count; i++)
        answer->partitions[i].error_code =
            answer_one(request, asked->name, &asked->partitions[i], &answer->partitions[i]);
    return 0;
}

static int answer_all(struct request *request)
{
    const struct kafka_list_offsets_request *body = request->body;
    struct kafka_list_offsets_response *response = request->response;
    struct searches *searches = kafka_arena_alloc(&request->arena, 1, sizeof(*searches));
    size_t count = 0;
    for (uint32_t i = 0; i < body->topics_count; i++)
        count += body->topics[i].partitions_count;
    if (!searches)
        return -ENOMEM;
    searches->isolation = body->isolation_level == 1 ? BECK_READ_COMMITTED : BECK_READ_UNCOMMITTED;
    request->context = searches;
    request->cleanup = list_offsets_cleanup;
    searches->list = kafka_arena_alloc(&request->arena, count, sizeof(*searches->list));
    response->topics = kafka_list_offsets_response_topic_array(&request->arena, body->topics_count);
    if (!searches->list || !response->topics)
        return -ENOMEM;
    response->topics_count = body->topics_count;
    for (uint32_t i = 0; i < body->topics_count; i++)
        if (answer_topic(request, &body->topics[i], &response->topics[i]) < 0)
            return -ENOMEM;
    return 0;
}

void list_offsets_handle(struct request *request)
{
    if (answer_all(request) < 0)
        request->response = NULL;
    struct searches *searches = request->context;
    if (request->response && searches->count > 0)
        request_submit(request, search_all);
    else
        request_ready(request);
}
