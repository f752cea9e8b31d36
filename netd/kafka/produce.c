/* SPDX-License-Identifier: Apache-2.0
 *
 * Produce: batches into the log. The batches are appended where they lie in the connection's
 * buffer, on the loop: an append checks and writes, and never waits for the disk. With acks=all the
 * request is then held until the sync of each of its partitions is through.
 *
 * What the protocol's versions demand of the records is checked here; that they are right, by the
 * library. Each partition has its own error; the others are not touched by it.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "kafka/errors.h"
#include "kafka/handlers.h"
#include "loop.h"

/* Positions in a RecordBatch v2's header. */
#define BATCH_LENGTH_AT     8
#define BATCH_MAGIC_AT      16
#define BATCH_ATTRIBUTES_AT 21
#define BATCH_LENGTH_FROM   12 /* what the length does not count */

#define CODEC_MASK    7
#define TRANSACTIONAL 16 /* of the attributes' low byte */
#define MAGIC         2

/* The first versions that know batches of magic 2, zstd, and which records are wrong. */
#define VERSION_BATCHES       3
#define VERSION_ZSTD          7
#define VERSION_RECORD_ERRORS 8

/* Of a batch with more wrong records the first ones are named. */
#define RECORD_ERRORS_MAX 1000

struct produce_wait {
    struct sync_wait sync;
    struct request *request;
    struct kafka_produce_response_partition *answer;
};

static void refuse(struct request *request, struct kafka_produce_response_partition *answer,
                   int16_t code, const char *message)
{
    answer->error_code = code;
    answer->base_offset = -1;
    answer->log_append_time_ms = -1;
    answer->log_start_offset = -1;
    const char *copy =
        message[0] ? kafka_arena_copy(&request->arena, message, strlen(message)) : NULL;
    answer->error_message = kafka_string_of(copy);
}

/* The same, and of one record of the batch: which one it is that the others are refused for. */
static void refuse_record(struct request *request, struct kafka_produce_response_partition *answer,
                          int16_t code, const struct beck_error *error)
{
    refuse(request, answer, code, error->message);
    if (error->record < 0 || request->version < VERSION_RECORD_ERRORS)
        return;
    answer->record_errors = kafka_produce_response_record_error_array(&request->arena, 1);
    if (!answer->record_errors)
        return;
    answer->record_errors_count = 1;
    answer->record_errors->batch_index = error->record;
    answer->record_errors->batch_index_error_message = answer->error_message;
}

static struct kafka_string refusal_message(struct request *request,
                                           const struct beck_refusal *refusal)
{
    if (refusal->code == -ENOKEY)
        return kafka_string_of("the record has no key, and the topic is compacted");
    return kafka_string_of(kafka_arena_printf(&request->arena, "the timestamp %lld is out of range",
                                              (long long)refusal->timestamp_ms));
}

/* The topic's configuration keeps some records of the batch out: say which. */
static void refuse_records(struct request *request, struct kafka_produce_response_partition *answer,
                           struct partition_entry *entry, const struct kafka_records *records)
{
    struct beck_refusal list[RECORD_ERRORS_MAX];
    uint32_t count = 0;
    if (request->version < VERSION_RECORD_ERRORS ||
        beck_append_refusals(entry->handle, records->data, records->size, list, RECORD_ERRORS_MAX,
                             &count, NULL) < 0)
        return;
    if (count > RECORD_ERRORS_MAX)
        count = RECORD_ERRORS_MAX;
    struct kafka_produce_response_record_error *errors =
        kafka_produce_response_record_error_array(&request->arena, count);
    if (!errors)
        return;
    for (uint32_t i = 0; i < count; i++) {
        errors[i].batch_index = list[i].record;
        errors[i].batch_index_error_message = refusal_message(request, &list[i]);
    }
    answer->record_errors = errors;
    answer->record_errors_count = count;
}

/* Exactly one batch, of a magic and codec that the version may carry. Returns a code, and why. */
static int16_t check_records(const struct kafka_records *records, int16_t version,
                             const char **ret_why)
{
    const uint8_t *data = records->data;
    if (records->source != KAFKA_RECORDS_MEMORY || records->size == 0) {
        *ret_why = "there are no records";
        return KAFKA_INVALID_RECORD;
    }
    if (records->size > BATCH_MAGIC_AT && data[BATCH_MAGIC_AT] != MAGIC) {
        *ret_why = "the records are not a batch of magic 2";
        return KAFKA_INVALID_RECORD;
    }
    if (records->size < BECK_BATCH_HEADER_BYTES) {
        *ret_why = "the records are shorter than a batch's header";
        return KAFKA_CORRUPT_MESSAGE;
    }
    uint32_t length;
    memcpy(&length, data + BATCH_LENGTH_AT, sizeof(length));
    uint64_t whole = (uint64_t)be32toh(length) + BATCH_LENGTH_FROM;
    if (whole < records->size && whole >= BECK_BATCH_HEADER_BYTES) {
        *ret_why = "there is more than one batch for the partition";
        return KAFKA_INVALID_RECORD;
    }
    int codec = data[BATCH_ATTRIBUTES_AT + 1] & CODEC_MASK;
    if (codec == BECK_COMPRESSION_ZSTD && version < VERSION_ZSTD) {
        *ret_why = "zstd needs version 7 of Produce";
        return KAFKA_UNSUPPORTED_COMPRESSION_TYPE;
    }
    if (data[BATCH_ATTRIBUTES_AT + 1] & TRANSACTIONAL) {
        /* Stored, it would be an open transaction that nobody can end. */
        *ret_why = "the batch belongs to a transaction, and none was begun";
        return KAFKA_INVALID_RECORD;
    }
    return KAFKA_NONE;
}

static void synced(struct sync_wait *sync, int result)
{
    struct produce_wait *wait =
        (struct produce_wait *)((char *)sync - offsetof(struct produce_wait, sync));
    if (result < 0)
        refuse(wait->request, wait->answer, kafka_error_of(result),
               result == -ESTALE ? "the topic was deleted" : "the disk refused to sync");
    request_unhold(wait->request);
}

static int open_partition(struct loop *loop, struct kafka_string topic, int32_t index,
                          struct partition_entry **ret_entry, struct beck_error *error)
{
    struct topic_entry *found;
    int result = partitions_topic(&loop->partitions, topic, &found, error);
    return result < 0 ? result : partitions_open(&loop->partitions, found, index, ret_entry, error);
}

/* One partition of the request. Returns true if `wait` was used: the request is held by it. */
static bool append(struct request *request, struct kafka_string topic,
                   const struct kafka_produce_request_partition *asked,
                   struct kafka_produce_response_partition *answer, struct produce_wait *wait)
{
    const struct kafka_produce_request *body = request->body;
    struct loop *loop = request->loop;
    struct beck_error error = {.message = "", .record = -1};
    struct partition_entry *entry;
    const char *why = "";
    answer->index = asked->index;
    int16_t code = check_records(&asked->records, request->version, &why);
    if (code != KAFKA_NONE) {
        refuse(request, answer, code, why);
        return false;
    }
    int result = open_partition(loop, topic, asked->index, &entry, &error);
    if (result < 0) {
        code = result == -EINVAL ? KAFKA_INVALID_TOPIC_EXCEPTION : kafka_error_of(result);
        refuse(request, answer, code, error.message);
        return false;
    }
    struct beck_append_result done;
    result = beck_append(entry->handle, asked->records.data, asked->records.size,
                         (enum beck_acks)body->acks, &done, &error);
    if (result < 0) {
        code = kafka_error_of(result);
        refuse_record(request, answer, code, &error);
        if (result == -ENOKEY || result == -ETIME)
            refuse_records(request, answer, entry, &asked->records);
        if (code == KAFKA_KAFKA_STORAGE_ERROR)
            log_limited(&loop->log_limit, "a produce failed: %s", error.message);
        return false;
    }
    if (!done.duplicate)
        loop_appended(loop, asked->records.size);
    answer->base_offset = done.base_offset;
    answer->log_append_time_ms = done.append_time_ms;
    answer->log_start_offset = done.log_start_offset;
    if (body->acks != BECK_ACKS_ALL)
        return false;
    *wait = (struct produce_wait){
        .sync = {.offset = done.next_offset, .done = synced}, .request = request, .answer = answer};
    request_hold(request);
    sync_start(loop, entry, &wait->sync);
    return true;
}

/* Answers all partitions with one error. */
static int16_t refuse_all(const struct kafka_produce_request *body, int16_t version)
{
    if (version < VERSION_BATCHES)
        return KAFKA_UNSUPPORTED_VERSION;
    if (body->acks != BECK_ACKS_ALL && body->acks != BECK_ACKS_LEADER &&
        body->acks != BECK_ACKS_NONE)
        return KAFKA_INVALID_REQUIRED_ACKS;
    if (body->transactional_id.data)
        return KAFKA_INVALID_REQUEST; /* no transactional id was ever given out */
    return KAFKA_NONE;
}

/* The answer for one topic. Returns -ENOMEM, else how many of its partitions failed. */
static int produce_topic(struct request *request, const struct kafka_produce_request_topic *asked,
                         struct kafka_produce_response_topic *answer, int16_t all,
                         struct produce_wait **next_wait)
{
    uint32_t count = asked->partition_data_count;
    answer->name.data = kafka_arena_copy(&request->arena, asked->name.data, asked->name.length);
    answer->name.length = asked->name.length;
    answer->partition_responses = kafka_produce_response_partition_array(&request->arena, count);
    if (!answer->name.data || !answer->partition_responses)
        return -ENOMEM;
    answer->partition_responses_count = count;
    int failed = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct kafka_produce_response_partition *one = &answer->partition_responses[i];
        one->index = asked->partition_data[i].index;
        if (all != KAFKA_NONE)
            refuse(request, one, all, "");
        else if (append(request, asked->name, &asked->partition_data[i], one, *next_wait))
            (*next_wait)++;
        failed += one->error_code != KAFKA_NONE;
    }
    return failed;
}

/* All topics. Returns -ENOMEM, else how many partitions failed. */
static int produce_topics(struct request *request)
{
    const struct kafka_produce_request *body = request->body;
    struct kafka_produce_response *response = request->response;
    int16_t all = refuse_all(body, request->version);
    size_t partitions = 0;
    for (uint32_t i = 0; i < body->topic_data_count; i++)
        partitions += body->topic_data[i].partition_data_count;
    struct produce_wait *waits = kafka_arena_alloc(&request->arena, partitions, sizeof(*waits));
    response->responses =
        kafka_produce_response_topic_array(&request->arena, body->topic_data_count);
    if (!waits || !response->responses)
        return -ENOMEM;
    int failed = 0;
    for (uint32_t i = 0; i < body->topic_data_count; i++) {
        int result =
            produce_topic(request, &body->topic_data[i], &response->responses[i], all, &waits);
        if (result < 0)
            return result;
        response->responses_count++;
        failed += result;
    }
    return failed;
}

void produce_handle(struct request *request)
{
    const struct kafka_produce_request *body = request->body;
    request->silent = body->acks == BECK_ACKS_NONE;
    request_hold(request); /* ours, so that it is not ready before all was appended */
    int result = produce_topics(request);
    if (result < 0)
        request->response = NULL;
    if (request->silent && result != 0)
        /* There is no answer that could say so: this is how the client learns. */
        connection_end(request->connection, "a produce with acks=0 failed");
    request_unhold(request);
}
