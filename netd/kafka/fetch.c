/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetch: batches out of the log. An answer holds ranges of segment files, which the connection
 * sends with sendfile(2); nothing is copied here.
 *
 * The happy path: look at each partition; when there are min_bytes, or something is wrong with any
 * partition, answer. Else watch all of them; whenever one moves, look again; when max_wait is over,
 * answer with what there is.
 *
 * Sessions (KIP-227) are not kept: a client that asks for one is told session 0, which means that
 * it has to name all its partitions each time.
 */
#include "kafka/fetch.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <unistd.h>

#include "kafka/errors.h"
#include "kafka/handlers.h"
#include "loop.h"

#define SESSION_EPOCH_NEW   0
#define SESSION_EPOCH_FINAL (-1)

#define VERSION_ZSTD 10 /* the first that may carry it */
#define CODEC_AT     22 /* the low byte of a batch's attributes */
#define CODEC_MASK   7

struct fetch_part {
    struct watcher watcher;
    struct fetch *fetch;
    struct partition_entry *entry; /* NULL: there is none, the answer has the error */
    int64_t offset;
    int32_t leader_epoch; /* as the client knows it; -1: it does not say */
    size_t max_bytes;
    struct beck_partition_state seen;
    struct beck_range *range; /* allocated; NULL: nothing to send */
    struct kafka_fetch_response_partition *answer;
};

struct fetch {
    TAILQ_ENTRY(fetch) link; /* loop->moved */
    struct request *request;
    struct event timer;
    bool waiting; /* the timer is set, the watchers are added */
    bool moved;   /* in loop->moved */
    bool failed;  /* some partition has an error */
    enum beck_isolation isolation;
    size_t min_bytes;
    size_t max_bytes;
    size_t bytes; /* of all ranges */
    struct fetch_part *parts;
    uint32_t part_count;
};

static void drop_range(struct fetch_part *part)
{
    if (!part->range)
        return;
    beck_range_release(part->range);
    free(part->range);
    part->range = NULL;
    part->answer->records = kafka_records_of_memory(NULL, 0);
}

static void part_failed(struct fetch_part *part, int16_t code)
{
    part->answer->error_code = code;
    part->answer->high_watermark = -1;
    part->fetch->failed = true;
}

static int16_t check_epoch(const struct fetch_part *part)
{
    if (part->leader_epoch < 0 || part->leader_epoch == part->seen.leader_epoch)
        return KAFKA_NONE;
    return part->leader_epoch < part->seen.leader_epoch ? KAFKA_FENCED_LEADER_EPOCH
                                                        : KAFKA_UNKNOWN_LEADER_EPOCH;
}

/* Whether the client's version can read the range. As in Kafka, the first batch speaks for all. */
static bool readable(const struct fetch_part *part, const struct beck_range *range)
{
    uint8_t attributes;
    if (part->fetch->request->version >= VERSION_ZSTD)
        return true;
    if (pread(range->fd, &attributes, 1, (off_t)range->position + CODEC_AT) != 1)
        return true; /* sending will find out */
    return (attributes & CODEC_MASK) != BECK_COMPRESSION_ZSTD;
}

/* Takes what the partition has. Only the first that has something may go above the limit. */
static int16_t read_part(struct fetch_part *part, size_t limit, struct beck_error *error)
{
    struct fetch *fetch = part->fetch;
    struct beck_range range;
    int result =
        beck_read_range(part->entry->handle, part->offset, limit, fetch->isolation, &range, error);
    if (result < 0)
        return kafka_error_of(result);
    if (range.size == 0 || (fetch->bytes > 0 && range.size > limit)) {
        beck_range_release(&range);
        return KAFKA_NONE;
    }
    part->range = malloc(sizeof(*part->range));
    if (!part->range || !readable(part, &range)) {
        int16_t code =
            part->range ? KAFKA_UNSUPPORTED_COMPRESSION_TYPE : KAFKA_UNKNOWN_SERVER_ERROR;
        free(part->range);
        part->range = NULL;
        beck_range_release(&range);
        return code;
    }
    *part->range = range;
    part->answer->records =
        kafka_records_of_file(range.fd, range.position, (uint32_t)range.size, part->range);
    fetch->bytes += range.size;
    return KAFKA_NONE;
}

static void look_at_part(struct fetch_part *part)
{
    struct fetch *fetch = part->fetch;
    struct loop *loop = fetch->request->loop;
    struct beck_error error;
    int result = beck_partition_state(part->entry->handle, &part->seen, &error);
    int16_t code = result < 0 ? kafka_error_of(result) : check_epoch(part);
    part->answer->high_watermark = part->seen.high_watermark;
    part->answer->last_stable_offset = part->seen.last_stable_offset;
    part->answer->log_start_offset = part->seen.log_start_offset;
    if (code == KAFKA_NONE) {
        size_t left = fetch->bytes < fetch->max_bytes ? fetch->max_bytes - fetch->bytes : 0;
        code = read_part(part, part->max_bytes < left ? part->max_bytes : left, &error);
        if (code == KAFKA_CORRUPT_MESSAGE || code == KAFKA_KAFKA_STORAGE_ERROR)
            log_limited(&loop->log_limit, "a fetch cannot read: %s", error.message);
    }
    if (code != KAFKA_NONE)
        part_failed(part, code);
}

/* Looks at all partitions anew. Returns whether that is enough for an answer. */
static bool look(struct fetch *fetch)
{
    fetch->bytes = 0;
    for (uint32_t i = 0; i < fetch->part_count; i++) {
        if (!fetch->parts[i].entry)
            continue;
        drop_range(&fetch->parts[i]);
        look_at_part(&fetch->parts[i]);
    }
    return fetch->failed || fetch->bytes >= fetch->min_bytes;
}

static void stop_waiting(struct fetch *fetch)
{
    struct loop *loop = fetch->request->loop;
    if (fetch->moved)
        TAILQ_REMOVE(&loop->moved, fetch, link);
    fetch->moved = false;
    if (!fetch->waiting)
        return;
    fetch->waiting = false;
    event_del(&fetch->timer);
    for (uint32_t i = 0; i < fetch->part_count; i++)
        watch_remove(&loop->wake, &fetch->parts[i].watcher);
}

static void finish(struct fetch *fetch)
{
    stop_waiting(fetch);
    request_ready(fetch->request);
}

static void watcher_moved(struct watcher *watcher)
{
    struct fetch_part *part =
        (struct fetch_part *)((char *)watcher - offsetof(struct fetch_part, watcher));
    struct fetch *fetch = part->fetch;
    if (fetch->moved)
        return;
    fetch->moved = true;
    TAILQ_INSERT_TAIL(&fetch->request->loop->moved, fetch, link);
}

void fetch_look_again(struct loop *loop)
{
    struct fetch *fetch;
    while ((fetch = TAILQ_FIRST(&loop->moved))) {
        TAILQ_REMOVE(&loop->moved, fetch, link);
        fetch->moved = false;
        if (look(fetch))
            finish(fetch);
    }
}

/* The time is over: what there is was found when a partition last moved. */
static void timer_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct fetch *fetch = context;
    struct loop *loop = fetch->request->loop;
    finish(fetch);
    loop_settle(loop);
}

static void wait_for_more(struct fetch *fetch, int32_t max_wait_ms)
{
    struct loop *loop = fetch->request->loop;
    struct timeval after = {.tv_sec = max_wait_ms / 1000, .tv_usec = max_wait_ms % 1000 * 1000};
    fetch->waiting = true;
    evtimer_assign(&fetch->timer, loop->base, timer_event, fetch);
    evtimer_add(&fetch->timer, &after);
    for (uint32_t i = 0; i < fetch->part_count; i++)
        watch_add(&loop->wake, fetch->parts[i].entry, &fetch->parts[i].watcher,
                  &fetch->parts[i].seen);
    fetch_look_again(loop);
}

static void fetch_hurry(struct request *request)
{
    finish(request->context);
}

static void fetch_encoded(struct request *request)
{
    struct fetch *fetch = request->context;
    for (uint32_t i = 0; i < fetch->part_count; i++)
        fetch->parts[i].range = NULL;
}

static void fetch_cleanup(struct request *request)
{
    struct fetch *fetch = request->context;
    stop_waiting(fetch);
    for (uint32_t i = 0; i < fetch->part_count; i++) {
        drop_range(&fetch->parts[i]);
        if (fetch->parts[i].entry)
            partition_unref(fetch->parts[i].entry);
    }
}

/* One partition of the request; its topic was found, or `result` says why not. */
static void add_part(struct fetch *fetch, const struct kafka_fetch_request_partition *asked,
                     struct kafka_fetch_response_partition *answer, struct topic_entry *topic,
                     int result)
{
    struct loop *loop = fetch->request->loop;
    struct fetch_part *part = &fetch->parts[fetch->part_count++];
    struct partition_entry *entry;
    *part = (struct fetch_part){
        .watcher = {.moved = watcher_moved},
        .fetch = fetch,
        .offset = asked->fetch_offset,
        .leader_epoch = asked->current_leader_epoch,
        .max_bytes = asked->partition_max_bytes > 0 ? (size_t)asked->partition_max_bytes : 0,
        .answer = answer,
    };
    answer->partition_index = asked->partition;
    if (fetch->isolation == BECK_READ_COMMITTED) /* none, rather than null */
        answer->aborted_transactions = kafka_arena_alloc(&fetch->request->arena, 0, 1);
    if (result >= 0)
        result = partitions_open(&loop->partitions, topic, asked->partition, &entry, NULL);
    if (result >= 0) {
        part->entry = partition_ref(entry);
    } else if (fetch->request->version >= 13 && !topic) {
        part_failed(part, KAFKA_UNKNOWN_TOPIC_ID);
    } else {
        bool unknown = result == -EINVAL || result == -ENOENT;
        part_failed(part, unknown ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : kafka_error_of(result));
    }
}

static int add_topic(struct fetch *fetch, const struct kafka_fetch_request_topic *asked,
                     struct kafka_fetch_response_topic *answer)
{
    struct request *request = fetch->request;
    struct partitions *partitions = &request->loop->partitions;
    struct topic_entry *topic = NULL;
    answer->topic_id = asked->topic_id;
    answer->topic.data = kafka_arena_copy(&request->arena, asked->topic.data, asked->topic.length);
    answer->topic.length = asked->topic.length;
    answer->partitions =
        kafka_fetch_response_partition_array(&request->arena, asked->partitions_count);
    if (!answer->topic.data || !answer->partitions)
        return -ENOMEM;
    answer->partitions_count = asked->partitions_count;
    int result = request->version >= 13
                     ? partitions_topic_by_id(partitions, &asked->topic_id, &topic, NULL)
                     : partitions_topic(partitions, asked->topic, &topic, NULL);
    for (uint32_t i = 0; i < asked->partitions_count; i++)
        add_part(fetch, &asked->partitions[i], &answer->partitions[i], topic, result);
    return 0;
}

static int add_topics(struct fetch *fetch, const struct kafka_fetch_request *body)
{
    struct request *request = fetch->request;
    struct kafka_fetch_response *response = request->response;
    size_t count = 0;
    for (uint32_t i = 0; i < body->topics_count; i++)
        count += body->topics[i].partitions_count;
    fetch->parts = kafka_arena_alloc(&request->arena, count, sizeof(*fetch->parts));
    response->responses = kafka_fetch_response_topic_array(&request->arena, body->topics_count);
    if (!fetch->parts || !response->responses)
        return -ENOMEM;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        int result = add_topic(fetch, &body->topics[i], &response->responses[i]);
        if (result < 0)
            return result;
        response->responses_count++;
    }
    return 0;
}

/* Without sessions there are two kinds of request that can be served: one that asks for a new
 * session, or one that wants none. */
static bool session_known(const struct kafka_fetch_request *body)
{
    return body->session_epoch == SESSION_EPOCH_FINAL || body->session_epoch == SESSION_EPOCH_NEW;
}

static struct fetch *make_fetch(struct request *request)
{
    const struct kafka_fetch_request *body = request->body;
    struct fetch *fetch = kafka_arena_alloc(&request->arena, 1, sizeof(*fetch));
    if (!fetch)
        return NULL;
    size_t most = (size_t)request->loop->broker->config->fetch_max_bytes;
    size_t max_bytes = body->max_bytes > 0 ? (size_t)body->max_bytes : 0;
    *fetch = (struct fetch){
        .request = request,
        .isolation = body->isolation_level == 1 ? BECK_READ_COMMITTED : BECK_READ_UNCOMMITTED,
        .min_bytes = body->min_bytes > 0 ? (size_t)body->min_bytes : 0,
        .max_bytes = max_bytes < most ? max_bytes : most,
    };
    /* More than fits into an answer will never be there. */
    if (fetch->min_bytes > fetch->max_bytes)
        fetch->min_bytes = fetch->max_bytes;
    request->context = fetch;
    request->hurry = fetch_hurry;
    request->encoded = fetch_encoded;
    request->cleanup = fetch_cleanup;
    return fetch;
}

void fetch_handle(struct request *request)
{
    const struct kafka_fetch_request *body = request->body;
    struct kafka_fetch_response *response = request->response;
    if (!session_known(body)) {
        response->error_code = KAFKA_FETCH_SESSION_ID_NOT_FOUND;
        request_ready(request);
        return;
    }
    int32_t max_wait_ms = body->max_wait_ms;
    struct fetch *fetch = make_fetch(request);
    if (!fetch || add_topics(fetch, body) < 0) {
        request->response = NULL;
        request_ready(request);
    } else if (look(fetch) || max_wait_ms <= 0 || fetch->part_count == 0) {
        request_ready(request);
    } else {
        wait_for_more(fetch, max_wait_ms);
    }
}
