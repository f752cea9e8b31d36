/* SPDX-License-Identifier: Apache-2.0
 *
 * Idempotent producers: InitProducerId gives them their ids, DescribeProducers tells which ones a
 * partition knows. Transactions are not served: a transactional id is answered with an error that
 * no client tries again.
 */
#include <errno.h>
#include <stdlib.h>

#include "kafka/errors.h"
#include "kafka/handlers.h"
#include "kafka/topic_text.h"
#include "log.h"
#include "loop.h"

/* ---- InitProducerId ---- */

/* On a worker: each thousandth id is a commit to disk. */
static void new_id(struct request *request)
{
    struct kafka_init_producer_id_response *response = request->response;
    struct beck_error error;
    int64_t id;
    int result = beck_producer_id_new(request->loop->broker->store, &id, &error);
    response->error_code = kafka_error_of(result);
    if (result >= 0)
        response->producer_id = id;
    else
        log_error("no producer id: %s", error.message);
}

void init_producer_id_handle(struct request *request)
{
    const struct kafka_init_producer_id_request *body = request->body;
    struct kafka_init_producer_id_response *response = request->response;
    if (!body->transactional_id.data) {
        request_submit(request, new_id);
        return;
    }
    response->error_code = KAFKA_UNSUPPORTED_VERSION;
    response->producer_epoch = -1;
    log_peer(&request->loop->log_limit, request->connection->peer,
             "asked for transactions, which are not served yet");
    request_ready(request);
}

/* ---- DescribeProducers ---- */

static int16_t describe_producers_of(struct request *request, struct beck_partition *partition,
                                     struct kafka_describe_producers_response_partition *answer)
{
    struct beck_error error;
    uint32_t count = 0;
    struct beck_producer *list = calloc(BECK_PARTITION_PRODUCERS_MAX, sizeof(*list));
    int result = list ? beck_partition_producers(partition, list, BECK_PARTITION_PRODUCERS_MAX,
                                                 &count, &error)
                      : -ENOMEM;
    if (count > BECK_PARTITION_PRODUCERS_MAX)
        count = BECK_PARTITION_PRODUCERS_MAX;
    if (result >= 0)
        answer->active_producers =
            kafka_describe_producers_response_producer_array(&request->arena, count);
    if (result >= 0 && !answer->active_producers)
        result = -ENOMEM;
    for (uint32_t i = 0; result >= 0 && i < count; i++) {
        struct kafka_describe_producers_response_producer *one = &answer->active_producers[i];
        one->producer_id = list[i].id;
        one->producer_epoch = list[i].epoch;
        one->last_sequence = list[i].last_sequence;
        one->last_timestamp = list[i].last_ms;
        one->coordinator_epoch = -1; /* no transaction of it was ever ended */
        answer->active_producers_count++;
    }
    free(list);
    return kafka_error_of(result);
}

static void describe_producers_at(struct request *request, const char *topic, int32_t number,
                                  struct kafka_describe_producers_response_partition *answer)
{
    struct beck_partition *partition;
    struct beck_error error;
    int result =
        beck_partition_open(request->loop->broker->store, topic, number, &partition, &error);
    answer->partition_index = number;
    answer->error_code = kafka_error_of(result);
    if (result < 0)
        return;
    answer->error_code = describe_producers_of(request, partition, answer);
    beck_partition_close(partition);
}

/* On a worker: it may read the log. */
static void describe_producers(struct request *request)
{
    const struct kafka_describe_producers_request *body = request->body;
    struct kafka_describe_producers_response *response = request->response;
    struct kafka_arena *arena = &request->arena;
    response->topics = kafka_describe_producers_response_topic_array(arena, body->topics_count);
    for (uint32_t i = 0; response->topics && i < body->topics_count; i++) {
        const char *name = topic_text(arena, body->topics[i].name);
        uint32_t count = body->topics[i].partition_indexes_count;
        struct kafka_describe_producers_response_topic *topic = &response->topics[i];
        topic->name = body->topics[i].name;
        topic->partitions = kafka_describe_producers_response_partition_array(arena, count);
        topic->partitions_count = count;
        response->topics_count++;
        for (uint32_t p = 0; name && topic->partitions && p < count; p++)
            describe_producers_at(request, name, body->topics[i].partition_indexes[p],
                                  &topic->partitions[p]);
        if (!name || !topic->partitions)
            response->topics = NULL;
    }
    if (!response->topics)
        request->response = NULL;
}

void describe_producers_handle(struct request *request)
{
    request_submit(request, describe_producers);
}
