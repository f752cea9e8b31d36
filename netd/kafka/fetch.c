/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetch: batches out of the log. An answer holds ranges of segment files, which the connection
 * sends with sendfile(2); nothing is copied here.
 *
 * The happy path: look at each partition; when there are min_bytes, or something is wrong with any
 * partition, answer. Else watch all of them; whenever one moves, look at it again; when max_wait is
 * over, answer with what there is.
 *
 * In a session (fetch_session.h) the partitions are those of the session that are due: nothing is
 * new of the others until they ring. The answer has only those of which there is something new.
 */
#include "kafka/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "kafka/errors.h"
#include "kafka/fetch_session.h"
#include "kafka/handlers.h"
#include "loop.h"
#include "throttle.h"

#define VERSION_TOPIC_IDS 13 /* the first that names topics by their ids */
/* Partitions that an answer has records of. Each costs some calls, and the loop's others wait. */
#define FETCH_RANGES 1024

struct fetch_part {
    TAILQ_ENTRY(fetch_part) link;
    TAILQ_ENTRY(fetch_part) look_link; /* in fetch->to_look, if it is `to_look` */
    bool to_look;
    bool is_quiet; /* of a session: there was nothing to read when it was armed already */
    struct watcher watcher;
    struct fetch *fetch;
    struct kafka_string topic; /* these two borrowed from the body or the session */
    struct kafka_uuid topic_id;
    struct fetch_session_partition *in_session; /* NULL: there is no session */
    struct partition_entry *entry;              /* NULL: there is none, the answer has the error */
    int64_t offset;
    int32_t leader_epoch; /* as the client knows it; -1: it does not say */
    size_t max_bytes;
    struct beck_partition_state seen;
    struct beck_range *range; /* allocated; NULL: nothing to send */
    struct kafka_fetch_response_partition answer;
};

TAILQ_HEAD(part_list, fetch_part);

struct fetch {
    TAILQ_ENTRY(fetch) link; /* loop->moved */
    struct request *request;
    struct wait wait;
    struct nap nap;      /* of a session: it rang often enough, or nobody rings */
    int64_t window_usec; /* likewise: when the current millisecond began */
    unsigned rings;      /* in it */
    bool waiting;        /* the wait is, the watchers are added, or the session is told */
    bool moved;          /* in loop->moved */
    bool told;           /* the answer has been made */
    bool failed;         /* some partition has an error */
    bool is_throttled;   /* it gets no records now */
    enum beck_isolation isolation;
    size_t min_bytes;
    size_t max_bytes;
    size_t bytes; /* of all ranges */
    uint32_t range_count;
    struct part_list parts;
    struct part_list to_look; /* of them, those that are new, or moved */
    uint32_t part_count;
    struct fetch_session *session; /* taken; NULL: none */
    bool is_incremental;           /* the client knows what it was told of the session before */
};

static void drop_range(struct fetch_part *part)
{
    if (!part->range)
        return;
    part->fetch->bytes -= part->range->size;
    part->fetch->range_count--;
    beck_range_release(part->range);
    free(part->range);
    part->range = NULL;
    part->answer.records = kafka_records_of_memory(NULL, 0);
}

static void part_failed(struct fetch_part *part, int16_t code)
{
    part->answer.error_code = code;
    part->answer.high_watermark = -1;
    part->fetch->failed = true;
}

static int16_t check_epoch(const struct fetch_part *part)
{
    if (part->leader_epoch < 0 || part->leader_epoch == part->seen.leader_epoch)
        return KAFKA_NONE;
    return part->leader_epoch < part->seen.leader_epoch ? KAFKA_FENCED_LEADER_EPOCH
                                                        : KAFKA_UNKNOWN_LEADER_EPOCH;
}

/*
 * Takes what the partition has. Only the first that has something may go above the limit. As with
 * Kafka 4, a client gets what was produced, also zstd in versions that are older than it: those
 * that ask in such a version can mostly read it (rskafka, kafka-python 2).
 */
static int16_t read_part(struct fetch_part *part, size_t limit, struct beck_error *error)
{
    struct fetch *fetch = part->fetch;
    struct beck_range range;
    if (fetch->range_count >= FETCH_RANGES)
        return KAFKA_NONE;
    int result =
        beck_read_range(part->entry->handle, part->offset, limit, fetch->isolation, &range, error);
    if (result < 0)
        return kafka_error_of(result);
    if (range.size == 0 || (fetch->bytes > 0 && range.size > limit)) {
        beck_range_release(&range);
        return KAFKA_NONE;
    }
    part->range = malloc(sizeof(*part->range));
    if (!part->range) {
        beck_range_release(&range);
        return KAFKA_UNKNOWN_SERVER_ERROR;
    }
    *part->range = range;
    part->answer.records =
        kafka_records_of_file(range.fd, range.position, (uint32_t)range.size, part->range);
    fetch->bytes += range.size;
    fetch->range_count++;
    return KAFKA_NONE;
}

/* Is the offset at the end, as far as this reader sees? Then there is nothing to be read. */
static bool is_at_end(const struct fetch_part *part)
{
    bool is_committed = part->fetch->isolation == BECK_READ_COMMITTED;
    const struct beck_partition_state *seen = &part->seen;
    int64_t end = is_committed ? seen->last_stable_offset : seen->high_watermark;
    return part->offset >= end && part->offset <= seen->next_offset;
}

static int16_t look_at_state(struct fetch_part *part, struct beck_error *error)
{
    int result = partition_look(part->entry, &part->seen, error);
    part->answer.high_watermark = part->seen.high_watermark;
    part->answer.last_stable_offset = part->seen.last_stable_offset;
    part->answer.log_start_offset = part->seen.log_start_offset;
    return result < 0 ? kafka_error_of(result) : check_epoch(part);
}

/* Returns an error of the protocol. */
static int16_t look_once(struct fetch_part *part, struct beck_error *error)
{
    struct fetch *fetch = part->fetch;
    drop_range(part);
    int16_t code = look_at_state(part, error);
    if (code != KAFKA_NONE || is_at_end(part))
        return code;
    size_t left = fetch->bytes < fetch->max_bytes ? fetch->max_bytes - fetch->bytes : 0;
    return read_part(part, part->max_bytes < left ? part->max_bytes : left, error);
}

/* One of a session is armed, and looked at again, if there is nothing to read, so that it is quiet
 * from then on, or if that is too little: then it may be waited for. */
static void look_at_part(struct fetch_part *part)
{
    struct fetch *fetch = part->fetch;
    struct beck_error error;
    int16_t code = look_once(part, &error);
    part->is_quiet = false;
    if (code == KAFKA_NONE && part->in_session &&
        (is_at_end(part) || fetch->bytes < fetch->min_bytes)) {
        beck_partition_arm(part->entry->handle);
        code = look_once(part, &error);
        part->is_quiet = code == KAFKA_NONE && is_at_end(part);
    }
    if (code == KAFKA_CORRUPT_MESSAGE || code == KAFKA_KAFKA_STORAGE_ERROR)
        log_limited(&fetch->request->loop->log_limit, "a fetch cannot read: %s", error.message);
    if (code != KAFKA_NONE)
        part_failed(part, code);
}

/* Looks at the partitions that are new or moved. Returns whether there is enough for an answer. */
static bool look(struct fetch *fetch)
{
    struct fetch_part *part;
    while ((part = TAILQ_FIRST(&fetch->to_look))) {
        TAILQ_REMOVE(&fetch->to_look, part, look_link);
        part->to_look = false;
        if (part->entry)
            look_at_part(part);
    }
    return fetch->failed || fetch->bytes >= fetch->min_bytes || fetch->range_count >= FETCH_RANGES;
}

static void look_later(struct fetch_part *part)
{
    if (part->to_look)
        return;
    part->to_look = true;
    TAILQ_INSERT_TAIL(&part->fetch->to_look, part, look_link);
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
    ticks_remove(&loop->ticks, &fetch->wait);
    if (fetch->session) {
        fetch->session->waiting = NULL;
        bells_wait_no_more(fetch->session->bells, &fetch->session->hearer);
        wake_nap_no_more(&loop->wake, &fetch->nap);
        return;
    }
    struct fetch_part *part;
    TAILQ_FOREACH(part, &fetch->parts, link)
    watch_remove(&loop->wake, &part->watcher);
}

/* Those of which there may be more are due next time, first those that were not served. */
static void give_session(struct fetch *fetch)
{
    struct fetch_part *part;
    if (!fetch->session)
        return;
    for (int served = 0; served <= 1; served++)
        TAILQ_FOREACH(part, &fetch->parts, link)
        {
            bool is_served = part->answer.records.size > 0;
            part->in_session->part = NULL;
            if (is_served == served && !(part->is_quiet && !part->to_look && fetch->told))
                fetch_session_set_due(fetch->session, part->in_session, true);
        }
    fetch_session_give(&fetch->request->loop->broker->fetch_sessions, fetch->session);
    fetch->session = NULL;
}

static bool same_topic(const struct fetch_part *part,
                       const struct kafka_fetch_response_topic *topic)
{
    return memcmp(&part->topic_id, &topic->topic_id, sizeof(part->topic_id)) == 0 &&
           kafka_string_equal(part->topic, topic->topic);
}

/* Is this part of the answer? The others need not be told again. */
static bool tell(struct fetch *fetch, struct fetch_part *part)
{
    if (!fetch->session)
        return true;
    bool changed = fetch_session_tell(part->in_session, &part->answer);
    return changed || !fetch->is_incremental;
}

/* The answer's topics, each with the parts that follow each other. -ENOMEM. */
static int fill_response(struct fetch *fetch)
{
    struct kafka_fetch_response *response = fetch->request->response;
    struct kafka_arena *arena = &fetch->request->arena;
    struct kafka_fetch_response_partition *partitions =
        kafka_fetch_response_partition_array(arena, fetch->part_count);
    struct kafka_fetch_response_topic *topic = NULL;
    response->responses = kafka_fetch_response_topic_array(arena, fetch->part_count);
    if (!partitions || !response->responses)
        return -ENOMEM;
    struct fetch_part *part;
    TAILQ_FOREACH(part, &fetch->parts, link)
    {
        if (!tell(fetch, part))
            continue;
        if (!topic || !same_topic(part, topic)) {
            topic = &response->responses[response->responses_count++];
            topic->topic = part->topic;
            if (part->topic.data) /* a session's may be gone when the answer is encoded */
                topic->topic.data = kafka_arena_copy(arena, part->topic.data, part->topic.length);
            if (part->topic.data && !topic->topic.data)
                return -ENOMEM;
            topic->topic_id = part->topic_id;
            topic->partitions = partitions;
        }
        topic->partitions_count++;
        *partitions++ = part->answer;
    }
    response->session_id = fetch->session ? fetch->session->id : 0;
    fetch->told = true;
    return 0;
}

static void finish(struct fetch *fetch)
{
    struct request *request = fetch->request;
    stop_waiting(fetch);
    if (fill_response(fetch) < 0)
        request->response = NULL;
    give_session(fetch);
    request->record_bytes = fetch->bytes;
    request->loop->flows |= fetch->bytes > 0;
    request_ready(request);
}

static void fetch_moved(struct fetch *fetch)
{
    if (fetch->moved)
        return;
    fetch->moved = true;
    TAILQ_INSERT_TAIL(&fetch->request->loop->moved, fetch, link);
}

static void watcher_moved(struct watcher *watcher)
{
    struct fetch_part *part =
        (struct fetch_part *)((char *)watcher - offsetof(struct fetch_part, watcher));
    look_later(part);
    fetch_moved(part->fetch);
}

/* Find the partition of a part, or the error that it has. */
static void open_part(struct fetch_part *part)
{
    struct fetch *fetch = part->fetch;
    struct partitions *partitions = &fetch->request->loop->partitions;
    bool by_id = fetch->request->version >= VERSION_TOPIC_IDS;
    struct topic_entry *topic = NULL;
    struct partition_entry *entry;
    int result = by_id ? partitions_topic_by_id(partitions, &part->topic_id, &topic, NULL)
                       : partitions_topic(partitions, part->topic, &topic, NULL);
    if (result >= 0)
        result = partitions_open(partitions, topic, part->answer.partition_index, &entry, NULL);
    if (result >= 0) {
        part->entry = partition_ref(entry);
    } else if (by_id && !topic) {
        part_failed(part, KAFKA_UNKNOWN_TOPIC_ID);
    } else {
        bool unknown = result == -EINVAL || result == -ENOENT;
        part_failed(part, unknown ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : kafka_error_of(result));
    }
}

/* One partition that is asked for, to be looked at. */
static void add_part(struct fetch *fetch, struct fetch_part *part, struct kafka_string topic,
                     const struct kafka_uuid *topic_id,
                     const struct kafka_fetch_request_partition *asked)
{
    *part = (struct fetch_part){
        .watcher = {.moved = watcher_moved},
        .fetch = fetch,
        .topic = topic,
        .topic_id = *topic_id,
        .offset = asked->fetch_offset,
        .leader_epoch = asked->current_leader_epoch,
        .max_bytes = asked->partition_max_bytes > 0 ? (size_t)asked->partition_max_bytes : 0,
    };
    kafka_fetch_response_partition_init(&part->answer);
    part->answer.partition_index = asked->partition;
    if (fetch->isolation == BECK_READ_COMMITTED) /* none, rather than null */
        part->answer.aborted_transactions = kafka_arena_alloc(&fetch->request->arena, 0, 1);
    open_part(part);
    fetch->part_count++;
    TAILQ_INSERT_TAIL(&fetch->parts, part, link);
    look_later(part);
}

static int add_session_part(struct fetch *fetch, struct fetch_session_partition *partition)
{
    struct fetch_part *part = kafka_arena_alloc(&fetch->request->arena, 1, sizeof(*part));
    if (!part)
        return -ENOMEM;
    struct kafka_string topic = {partition->topic, partition->topic_length};
    add_part(fetch, part, topic, &partition->topic_id, &partition->asked);
    part->in_session = partition;
    partition->part = part;
    if (part->entry)
        fetch_session_listen(fetch->session, partition, beck_partition_bell(part->entry->handle));
    return 0;
}

/* What is due of the session is to be looked at: parts of the fetch from now on, and due again
 * when it ends. */
static int add_due_parts(struct fetch *fetch)
{
    struct fetch_session *session = fetch->session;
    struct fetch_session_partition *partition;
    fetch_session_find_due(session, fetch->isolation == BECK_READ_COMMITTED, clock_ms());
    while ((partition = TAILQ_FIRST(&session->due))) {
        if (partition->part)
            look_later(partition->part);
        else if (add_session_part(fetch, partition) < 0)
            return -ENOMEM;
        fetch_session_set_due(session, partition, false);
    }
    return 0;
}

static int add_body_parts(struct fetch *fetch, const struct kafka_fetch_request *body)
{
    struct kafka_arena *arena = &fetch->request->arena;
    size_t count = 0;
    for (uint32_t i = 0; i < body->topics_count; i++)
        count += body->topics[i].partitions_count;
    struct fetch_part *parts = kafka_arena_alloc(arena, count, sizeof(*parts));
    if (!parts)
        return -ENOMEM;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        const struct kafka_fetch_request_topic *topic = &body->topics[i];
        struct kafka_string name = topic->topic;
        if (name.data) /* the body is gone while the fetch waits */
            name.data = kafka_arena_copy(arena, name.data, name.length);
        if (topic->topic.data && !name.data)
            return -ENOMEM;
        for (uint32_t p = 0; p < topic->partitions_count; p++)
            add_part(fetch, parts++, name, &topic->topic_id, &topic->partitions[p]);
    }
    return 0;
}

/* Under load the session is left alone for a millisecond: what rang is not armed, so that its
 * appenders need not ring again. */
void fetch_session_rang(struct hearer *hearer)
{
    struct fetch_session *session = fetch_session_of(hearer);
    struct fetch *fetch = session->waiting;
    int64_t now_usec = clock_usec();
    if (now_usec - fetch->window_usec >= WAKE_WINDOW_USEC) {
        fetch->window_usec = now_usec;
        fetch->rings = 0;
    }
    if (fetch->rings++ < WAKE_ARMS) {
        fetch_moved(fetch);
    } else {
        bells_wait_no_more(session->bells, hearer);
        wake_nap(&fetch->request->loop->wake, &fetch->nap);
    }
}

/* Has the session tell us what rings from now on, or looks every now and then. */
static void listen_to_session(struct fetch *fetch)
{
    struct loop *loop = fetch->request->loop;
    struct bells *bells = fetch->session->bells;
    fetch->session->waiting = fetch;
    if (bells->polling)
        wake_nap(&loop->wake, &fetch->nap);
    else if (!bells_wait(bells, &fetch->session->hearer, loop->index))
        fetch_moved(fetch);
}

static void nap_is_over(struct nap *nap)
{
    struct fetch *fetch = (struct fetch *)((char *)nap - offsetof(struct fetch, nap));
    listen_to_session(fetch);
    fetch_moved(fetch);
}

void fetch_look_again(struct loop *loop)
{
    struct fetch *fetch;
    while ((fetch = TAILQ_FIRST(&loop->moved))) {
        TAILQ_REMOVE(&loop->moved, fetch, link);
        fetch->moved = false;
        bool failed = fetch->session && add_due_parts(fetch) < 0;
        if (failed || look(fetch))
            finish(fetch);
    }
}

/* The time is over: what there is was found when a partition last moved. */
static void time_is_over(struct wait *wait)
{
    struct fetch *fetch = (struct fetch *)((char *)wait - offsetof(struct fetch, wait));
    fetch->request->loop->polls_over++;
    finish(fetch);
}

static void watch_parts(struct fetch *fetch)
{
    struct fetch_part *part;
    TAILQ_FOREACH(part, &fetch->parts, link)
    watch_add(&fetch->request->loop->wake, part->entry, &part->watcher, &part->seen);
}

static void wait_for_more(struct fetch *fetch, int32_t max_wait_ms)
{
    struct loop *loop = fetch->request->loop;
    fetch->wait.over = time_is_over;
    if (ticks_add(&loop->ticks, &fetch->wait, max_wait_ms) < 0) {
        finish(fetch);
        return;
    }
    fetch->waiting = true;
    if (fetch->session)
        listen_to_session(fetch);
    else
        watch_parts(fetch);
    fetch_look_again(loop);
}

static void fetch_hurry(struct request *request)
{
    finish(request->context);
}

static void fetch_encoded(struct request *request)
{
    struct fetch *fetch = request->context;
    struct fetch_part *part;
    TAILQ_FOREACH(part, &fetch->parts, link)
    part->range = NULL;
}

static void fetch_cleanup(struct request *request)
{
    struct fetch *fetch = request->context;
    struct fetch_part *part;
    stop_waiting(fetch);
    give_session(fetch);
    TAILQ_FOREACH(part, &fetch->parts, link)
    {
        drop_range(part);
        if (part->entry)
            partition_unref(part->entry);
    }
}

/* The session that the request begins or goes on with, if any. Returns an error of the protocol. */
static int16_t take_session(struct fetch *fetch, const struct kafka_fetch_request *body)
{
    struct fetch_sessions *sessions = &fetch->request->loop->broker->fetch_sessions;
    bool by_topic_id = fetch->request->version >= VERSION_TOPIC_IDS;
    bool goes_on = body->session_epoch != FETCH_SESSION_EPOCH_NEW &&
                   body->session_epoch != FETCH_SESSION_EPOCH_FINAL;
    if (goes_on) {
        fetch->is_incremental = true;
        return fetch_session_take(sessions, body, by_topic_id, clock_ms(), &fetch->session);
    }
    if (body->session_id != 0)
        fetch_session_close(sessions, body->session_id);
    if (body->session_epoch == FETCH_SESSION_EPOCH_NEW && !fetch->is_throttled)
        fetch->session = fetch_session_new(sessions, body, by_topic_id, clock_ms());
    return KAFKA_NONE;
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
    fetch->nap.over = nap_is_over;
    TAILQ_INIT(&fetch->parts);
    TAILQ_INIT(&fetch->to_look);
    if (request->client)
        fetch->is_throttled = throttle_fetch(request, &fetch->max_bytes);
    /* More than fits into an answer will never be there. */
    if (fetch->min_bytes > fetch->max_bytes)
        fetch->min_bytes = fetch->max_bytes;
    request->context = fetch;
    request->hurry = fetch_hurry;
    request->encoded = fetch_encoded;
    request->cleanup = fetch_cleanup;
    return fetch;
}

static void give_up(struct fetch *fetch)
{
    struct request *request = fetch->request;
    give_session(fetch);
    request->response = NULL;
    request_ready(request);
}

void fetch_handle(struct request *request)
{
    const struct kafka_fetch_request *body = request->body;
    struct kafka_fetch_response *response = request->response;
    int32_t max_wait_ms = body->max_wait_ms;
    struct fetch *fetch = make_fetch(request);
    if (!fetch) {
        request->response = NULL;
        request_ready(request);
        return;
    }
    response->error_code = take_session(fetch, body);
    if (response->error_code != KAFKA_NONE) {
        request_ready(request);
        return;
    }
    if (fetch->is_throttled) {
        finish(fetch);
        return;
    }
    int result = fetch->session ? add_due_parts(fetch) : add_body_parts(fetch, body);
    uint32_t count = fetch->session ? fetch->session->count : fetch->part_count;
    if (result < 0)
        give_up(fetch);
    else if (look(fetch) || max_wait_ms <= 0 || count == 0)
        finish(fetch);
    else
        wait_for_more(fetch, max_wait_ms);
}
