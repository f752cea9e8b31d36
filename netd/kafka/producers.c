/* SPDX-License-Identifier: Apache-2.0
 *
 * Idempotent producers: InitProducerId gives them their ids, DescribeProducers tells which ones a
 * partition knows. Transactions are not served: a transactional id is answered with an error that
 * no client tries again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
        log_error_limited(&request->loop->broker->log_shared, "no producer id: %s", error.message);
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

/* What one request needs for all its partitions. */
struct looking {
    struct request *request;
    struct beck_producer *list; /* BECK_PARTITION_PRODUCERS_MAX */
    const char *topic;          /* of the partition that was looked at last, and its answer */
    const struct kafka_describe_producers_response_partition *answer;
};

static int16_t describe_producers_of(struct looking *looking, struct beck_partition *partition,
                                     struct kafka_describe_producers_response_partition *answer)
{
    const struct beck_producer *list = looking->list;
    struct beck_error error;
    uint32_t count = 0;
    int result = beck_partition_producers(partition, looking->list, BECK_PARTITION_PRODUCERS_MAX,
                                          &count, &error);
    if (count > BECK_PARTITION_PRODUCERS_MAX)
        count = BECK_PARTITION_PRODUCERS_MAX;
    if (result >= 0)
        answer->active_producers =
            kafka_describe_producers_response_producer_array(&looking->request->arena, count);
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
    return kafka_error_of(result);
}

/* It takes its own memory: what the answer takes is bounded by the arena. */
static void copy_answer(struct kafka_arena *arena,
                        const struct kafka_describe_producers_response_partition *from,
                        struct kafka_describe_producers_response_partition *to)
{
    uint32_t count = from->active_producers_count;
    to->partition_index = from->partition_index;
    to->error_code = from->error_code;
    if (count == 0)
        return;
    to->active_producers = kafka_describe_producers_response_producer_array(arena, count);
    if (to->active_producers) {
        memcpy(to->active_producers, from->active_producers, count * sizeof(*to->active_producers));
        to->active_producers_count = count;
    } else {
        to->error_code = kafka_error_of(-ENOMEM);
    }
}

static void describe_producers_at(struct looking *looking, const char *topic, int32_t number,
                                  struct kafka_describe_producers_response_partition *answer)
{
    const struct kafka_describe_producers_response_partition *last = looking->answer;
    struct beck_partition *partition;
    struct beck_error error;
    if (last && last->partition_index == number && strcmp(looking->topic, topic) == 0) {
        copy_answer(&looking->request->arena, last, answer);
        return;
    }
    int result = beck_partition_open(looking->request->loop->broker->store, topic, number,
                                     &partition, &error);
    answer->partition_index = number;
    answer->error_code = kafka_error_of(result);
    looking->topic = topic;
    looking->answer = answer;
    if (result < 0)
        return;
    answer->error_code = describe_producers_of(looking, partition, answer);
    beck_partition_close(partition);
}

/* All partitions of one topic, as far as somebody waits for them. */
static bool describe_producers_in(struct looking *looking,
                                  const struct kafka_describe_producers_request_topic *asked,
                                  struct kafka_describe_producers_response_topic *topic)
{
    struct request *request = looking->request;
    const char *name = topic_text(&request->arena, asked->name);
    uint32_t count = asked->partition_indexes_count;
    topic->name = asked->name;
    topic->partitions = kafka_describe_producers_response_partition_array(&request->arena, count);
    if (!name || !topic->partitions)
        return false;
    topic->partitions_count = count;
    for (uint32_t i = 0; i < count && !atomic_load(&request->is_orphan); i++)
        describe_producers_at(looking, name, asked->partition_indexes[i], &topic->partitions[i]);
    return true;
}

/* On a worker: it may read the log. */
static void describe_producers(struct request *request)
{
    const struct kafka_describe_producers_request *body = request->body;
    struct kafka_describe_producers_response *response = request->response;
    struct looking looking = {
        .request = request,
        .list = calloc(BECK_PARTITION_PRODUCERS_MAX, sizeof(*looking.list)),
    };
    response->topics =
        kafka_describe_producers_response_topic_array(&request->arena, body->topics_count);
    response->topics_count = body->topics_count;
    bool fine = looking.list && response->topics;
    for (uint32_t i = 0; fine && i < body->topics_count; i++)
        fine = describe_producers_in(&looking, &body->topics[i], &response->topics[i]);
    free(looking.list);
    if (!fine)
        request->response = NULL;
}

void describe_producers_handle(struct request *request)
{
    request_submit(request, describe_producers);
}
