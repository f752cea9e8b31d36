/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a connection; see connection.h.
 *
 * The happy path: bytes come, whole requests are dispatched, ready answers at the front of the
 * queue are encoded behind each other and sent; the buffers are empty again. When the client does
 * not read, the writable event takes over and reading stops until its answers are gone. Whatever is
 * wrong ends this connection with one line in the log, and touches no other.
 */
#include "connection.h"

#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "kafka/dispatch.h"
#include "loop.h"
#include "throttle.h"

/* Silence after which buffers are given back. */
#define BUFFERS_IDLE_MS 2000
/* How long one that sends no more is kept for an answer that others have to come for. */
#define HALF_MS 10000

/* Who took nothing of its answers for so long is in the way of those whose requests wait for room.
 */
#define STUCK_MS 3000

static bool has_output_room(const struct connection *connection)
{
    const struct kafka_writer *writer = &connection->output.writer;
    return writer->size < CONNECTION_OUTPUT_BYTES &&
           writer->attachments_count < CONNECTION_OUTPUT_RANGES;
}

/* Where workers are few it is less than CONNECTION_WORKS: one is left to the other connections. */
static unsigned most_works(const struct connection *connection)
{
    size_t workers = connection->loop->broker->workers.later_max;
    if (workers > CONNECTION_WORKS)
        return CONNECTION_WORKS;
    return workers > 1 ? (unsigned)workers - 1 : 1;
}

/* Each loop has its share of what requests under way may take. Who has none may have one. */
static bool has_body_room(const struct connection *connection)
{
    const struct loop *loop = connection->loop;
    size_t most = (size_t)loop->broker->config->queued_max_request_bytes;
    return connection->request_count == 0 || loop->body_bytes < most / loop->broker->loop_count;
}

/* Answers may be ready behind one that is not, and are not encoded until that is. */
static bool has_answer_room(const struct connection *connection)
{
    return has_output_room(connection) && connection->ready_bytes < CONNECTION_OUTPUT_BYTES;
}

static bool has_room(const struct connection *connection)
{
    return connection->request_count < CONNECTION_REQUESTS &&
           connection->work_count < most_works(connection) &&
           connection->request_bytes < CONNECTION_REQUEST_BYTES && has_answer_room(connection) &&
           has_body_room(connection) &&
           (connection->request_count == 0 || !guests_hurry(connection));
}

/* The input buffers of all loops share one limit. */
static void count_input(struct loop *loop, ptrdiff_t bytes)
{
    atomic_fetch_add(&loop->broker->input_bytes, (size_t)bytes);
}

/* When memory for requests grows scarce, nobody keeps a large buffer for the next one. */
static void relieve(struct connection *connection)
{
    struct loop *loop = connection->loop;
    struct input *input = &connection->input;
    size_t most = (size_t)loop->broker->config->queued_max_request_bytes;
    if (atomic_load(&loop->broker->input_bytes) <= most / 2 || input_size(input) > 0 ||
        input->capacity <= INPUT_LEAST_BYTES)
        return;
    count_input(loop, -(ptrdiff_t)input->capacity);
    input_done(input);
}

/* Dispatches what has arrived whole, as far as there is room; then reads, or does not. */
static void serve(struct connection *connection)
{
    struct loop *loop = connection->loop;
    size_t limit = (size_t)loop->broker->config->socket_request_max_bytes;
    int64_t begin_ms = 0; /* of the first request */
    while (!connection->ended && !connection->waits && !loop->stopping && has_room(connection)) {
        if (begin_ms > 0 && clock_ms() - begin_ms >= CONNECTION_TURN_MS) {
            /* Others first: what has arrived already is gone on with in the loop's next round. */
            connection->waits = true;
            event_active(connection->readable, EV_READ, 0);
            return;
        }
        const uint8_t *data;
        int32_t size;
        int result = input_next(&connection->input, limit, &data, &size);
        if (result == 0)
            break;
        if (result < 0) {
            connection_end(connection, "announced a request of %d bytes (the limit is %zu)", size,
                           limit);
            return;
        }
        if (begin_ms == 0)
            begin_ms = clock_ms();
        guests_count(connection, GUESTS_REQUEST_BYTES + (size_t)size);
        dispatch(connection, data, (size_t)size);
    }
    if (connection->ended || connection->waits)
        return;
    relieve(connection);
    bool reading = !connection->half && !loop->stopping && has_room(connection);
    if (reading != connection->reading) {
        connection->reading = reading;
        if (reading)
            event_add(connection->readable, NULL);
        else
            event_del(connection->readable);
    }
}

/* Reads once; false: not now. Memory is counted over all connections. */
static bool read_once(struct connection *connection, size_t *total, bool *ret_full)
{
    struct loop *loop = connection->loop;
    struct input *input = &connection->input;
    size_t most = (size_t)loop->broker->config->queued_max_request_bytes;
    size_t taken = atomic_load(&loop->broker->input_bytes);
    size_t before = input->capacity;
    long size = input_read(input, connection->fd, most > taken ? most - taken : 0, ret_full);
    if (input->capacity != before)
        count_input(loop, (ptrdiff_t)input->capacity - (ptrdiff_t)before);
    if (size == -EAGAIN || size == -EINTR)
        return false;
    if (size == -ENOBUFS) {
        connection_end(connection, "no memory for its request (queued.max.request.bytes is %zu)",
                       most);
        return false;
    }
    if (size < 0) {
        connection_end(connection, NULL); /* reset by the client: nothing worth a line */
        return false;
    }
    if (size == 0) {
        connection->half = true;
        return false;
    }
    *total += (size_t)size;
    return true;
}

static void readable_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct connection *connection = context;
    struct loop *loop = connection->loop;
    size_t total = 0;
    bool full = true;
    if (connection->waits) { /* what has arrived comes before what may */
        connection->waits = false;
        serve(connection);
    }
    while (connection->reading && !connection->ended && !connection->waits && full &&
           total < CONNECTION_TURN_BYTES && read_once(connection, &total, &full))
        serve(connection);
    connection->active_ms = clock_ms();
    connection_answer(connection);
    loop_settle(loop);
}

static void writable_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct connection *connection = context;
    connection_answer(connection);
    loop_settle(connection->loop);
}

static void throttle_is_over(struct wait *wait)
{
    struct connection *connection =
        (struct connection *)((char *)wait - offsetof(struct connection, unthrottle));
    event_active(connection->readable, EV_READ, 0);
}

void connection_throttle(struct connection *connection, int32_t wait_ms)
{
    struct ticks *ticks = &connection->loop->ticks;
    struct wait *wait = &connection->unthrottle;
    if (connection->ended || connection->loop->stopping || wait_ms <= 0 ||
        (wait->tick && ticks_due_ms(wait) >= clock_ms() + wait_ms))
        return;
    bool waits = wait->tick;
    ticks_remove(ticks, wait);
    wait->over = throttle_is_over;
    if (ticks_add(ticks, wait, wait_ms) < 0) { /* no memory: then it is throttled no longer */
        if (waits)
            throttle_is_over(wait);
        return;
    }
    event_del(connection->readable); /* also where it was made active */
    connection->reading = false;
    connection->waits = true;
}

void connection_refuse(struct broker *broker, const struct accepted *accepted)
{
    sources_give(&broker->sources, accepted->source);
    atomic_fetch_sub(&broker->connection_count, 1);
    close(accepted->fd);
}

static void ignore(struct connection *connection)
{
    if (connection->readable)
        event_free(connection->readable);
    if (connection->writable)
        event_free(connection->writable);
    connection->readable = connection->writable = NULL;
    connection->reading = false;
}

/* Has the loop watch the socket. 0 or -ENOMEM. */
static int listen_to(struct connection *connection)
{
    struct event_base *base = connection->loop->base;
    int fd = connection->fd;
    connection->readable = event_new(base, fd, EV_READ | EV_PERSIST, readable_event, connection);
    connection->writable = event_new(base, fd, EV_WRITE, writable_event, connection);
    connection->reading =
        connection->readable && connection->writable && event_add(connection->readable, NULL) == 0;
    if (!connection->reading)
        ignore(connection);
    return connection->reading ? 0 : -ENOMEM;
}

void connection_open(struct loop *loop, const struct accepted *accepted)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection) {
        connection->loop = connection->home = loop;
        connection->fd = accepted->fd;
    }
    if (!connection || listen_to(connection) < 0) {
        log_peer(&loop->log_limit, accepted->peer, "closed: no memory for a connection");
        free(connection);
        connection_refuse(loop->broker, accepted);
        return;
    }
    connection->listener = accepted->listener;
    connection->source = accepted->source;
    connection->active_ms = clock_ms();
    snprintf(connection->peer, sizeof(connection->peer), "%s", accepted->peer);
    output_init(&connection->output);
    TAILQ_INIT(&connection->requests);
    TAILQ_INSERT_TAIL(&loop->connections, connection, link);
}

__attribute__((format(printf, 2, 0))) static void log_end(struct connection *connection,
                                                          const char *why, va_list arguments)
{
    char text[256];
    vsnprintf(text, sizeof(text), why, arguments);
    log_peer(&connection->loop->log_limit, connection->peer, "closed: %s", text);
}

void connection_end(struct connection *connection, const char *why, ...)
{
    struct loop *loop = connection->loop;
    if (connection->ended)
        return;
    if (why) {
        va_list arguments;
        va_start(arguments, why);
        log_end(connection, why, arguments);
        va_end(arguments);
    }
    connection->ended = true;
    ticks_remove(&loop->ticks, &connection->unthrottle);
    ignore(connection);
    close(connection->fd);
    guests_gone(connection);
    TAILQ_REMOVE(&loop->connections, connection, link);
    requests_answered(loop->broker, connection->output_bytes);
    connection->output_bytes = 0;
    sources_give(&loop->broker->sources, connection->source);
    connection->source = NULL;
    atomic_fetch_sub(&loop->broker->connection_count, 1);
    TAILQ_INSERT_TAIL(&loop->ended, connection, link);
    if (connection->queued)
        TAILQ_REMOVE(&loop->answering, connection, answering);
    connection->queued = true; /* for good: nothing queues it again */
}

void connection_free(struct connection *connection)
{
    struct request *request;
    while ((request = TAILQ_FIRST(&connection->requests))) {
        TAILQ_REMOVE(&connection->requests, request, link);
        request_orphan(request);
    }
    /* What got ready since it ended. */
    requests_answered(connection->loop->broker, connection->output_bytes);
    connection->loop->given_back_bytes +=
        connection->input.capacity + output_memory(&connection->output);
    count_input(connection->loop, -(ptrdiff_t)connection->input.capacity);
    input_done(&connection->input);
    output_done(&connection->output);
    free(connection);
}

void connection_answer(struct connection *connection)
{
    if (connection->queued)
        return;
    connection->queued = true;
    TAILQ_INSERT_TAIL(&connection->loop->answering, connection, answering);
}

static bool next_is_ready(const struct connection *connection)
{
    const struct request *request = TAILQ_FIRST(&connection->requests);
    return request && request->ready;
}

/* Encodes the answers that are ready, as far as none is missing before them and there is room. */
static int encode(struct connection *connection)
{
    struct kafka_writer *writer = &connection->output.writer;
    if (next_is_ready(connection) && output_empty(&connection->output))
        connection->taken_ms = clock_ms();
    while (next_is_ready(connection) && has_output_room(connection)) {
        struct request *request = TAILQ_FIRST(&connection->requests);
        int result = 0;
        if (!request->silent && !request->response)
            return -ENOMEM;
        if (request->client)
            throttle_answer(request);
        if (!request->silent) {
            kafka_response_begin(writer, request->api, request->version, request->correlation_id);
            request->api->response.encode(writer, request->version, request->response);
            result = kafka_writer_frame_end(writer);
        }
        if (result < 0)
            return result;
        if (request->encoded)
            request->encoded(request);
        TAILQ_REMOVE(&connection->requests, request, link);
        connection->request_count--;
        connection->request_bytes -= request->body_bytes;
        connection->ready_bytes -= request->ready_bytes;
        request_free(request);
    }
    return 0;
}

static void hurry(struct connection *connection)
{
    struct request *request;
    TAILQ_FOREACH(request, &connection->requests, link)
    if (!request->ready && request->hurry)
        request->hurry(request);
}

static bool send_answers(struct connection *connection)
{
    if (output_empty(&connection->output))
        return true;
    uint64_t before = connection->output.total_bytes;
    int result = output_send(&connection->output, connection->fd, CONNECTION_TURN_BYTES);
    if (result < 0) {
        bool gone = result == -EPIPE || result == -ECONNRESET;
        connection_end(connection, gone ? NULL : "cannot send: %s", strerror(-result));
        return false;
    }
    if (connection->output.total_bytes != before) {
        connection->active_ms = connection->taken_ms = clock_ms();
        guests_count(connection, connection->output.total_bytes - before);
    }
    if (result == 0)
        event_add(connection->writable, NULL);
    else if (next_is_ready(connection))
        connection_answer(connection); /* there was no room for it */
    return true;
}

/* The answers of all loops share one limit. Counts what this connection's take now. */
static void count_output(struct connection *connection)
{
    atomic_size_t *all = &connection->loop->broker->output_bytes;
    size_t most = (size_t)connection->loop->broker->config->queued_max_response_bytes;
    if (output_empty(&connection->output) && atomic_load(all) > most / 2)
        output_shrink(&connection->output); /* nobody keeps a large buffer for the next one */
    size_t bytes = output_memory(&connection->output) + connection->ready_bytes;
    if (bytes > connection->output_bytes)
        atomic_fetch_add(all, bytes - connection->output_bytes);
    else if (bytes < connection->output_bytes)
        requests_answered(connection->loop->broker, connection->output_bytes - bytes);
    connection->output_bytes = bytes;
}

/* That which has most memory for answers, of those that have some that are not gone and have taken
 * nothing since then; NULL: none. */
static struct connection *find_largest(const struct loop *loop, int64_t since_ms)
{
    struct connection *largest = NULL;
    struct connection *one;
    TAILQ_FOREACH(one, &loop->connections, link)
    {
        bool holds = !output_empty(&one->output) || one->ready_bytes > 0;
        if (holds && one->taken_ms <= since_ms &&
            (!largest || one->output_bytes > largest->output_bytes))
            largest = one;
    }
    return largest;
}

/* Returns whether the loop has one to end: else another loop has one that has more. */
static bool end_largest(struct loop *loop, size_t all, int64_t since_ms)
{
    struct broker *broker = loop->broker;
    struct connection *largest = find_largest(loop, since_ms);
    size_t count = atomic_load(&broker->connection_count);
    if (!largest || largest->output_bytes < all / (count > 0 ? count : 1))
        return false;
    connection_end(largest, "%zu bytes of answers wait for it (queued.max.response.bytes is %lld)",
                   largest->output_bytes, (long long)broker->config->queued_max_response_bytes);
    return true;
}

void connections_relieve(struct loop *loop)
{
    struct broker *broker = loop->broker;
    size_t most = (size_t)broker->config->queued_max_response_bytes;
    size_t all;
    while ((all = atomic_load(&broker->output_bytes)) > most && end_largest(loop, all, INT64_MAX)) {
    }
}

void connections_end_stuck(struct loop *loop, int64_t now_ms)
{
    struct broker *broker = loop->broker;
    while (requests_lack_room(broker) &&
           end_largest(loop, atomic_load(&broker->output_bytes), now_ms - STUCK_MS)) {
    }
}

/* On the loop that it comes to. */
static void moved(struct work *work)
{
    struct connection *connection =
        (struct connection *)((char *)work - offsetof(struct connection, move));
    TAILQ_INSERT_TAIL(&connection->loop->connections, connection, link);
    if (listen_to(connection) < 0)
        connection_end(connection, "no memory for a connection");
    else
        connection_answer(connection); /* requests may have come with it */
}

/* To another loop, if it is to go there, and nothing is under way. If so it is not ours any more.
 */
static bool move(struct connection *connection)
{
    struct loop *goal = guests_goal(connection);
    if (!goal || connection->waits || connection->half || connection->loop->stopping ||
        connection->queued || !TAILQ_EMPTY(&connection->requests) ||
        !output_empty(&connection->output))
        return false;
    guests_moved(connection, goal);
    ignore(connection);
    TAILQ_REMOVE(&connection->loop->connections, connection, link);
    connection->loop = goal;
    connection->move.done = moved;
    inbox_post(&goal->inbox, &connection->move);
    return true;
}

void connection_settle(struct connection *connection)
{
    if (connection->half)
        hurry(connection);
    int result = encode(connection);
    if (result < 0) {
        connection_end(connection, "its answer cannot be encoded: %s", strerror(-result));
        return;
    }
    if (!send_answers(connection))
        return;
    count_output(connection);
    connections_relieve(connection->loop);
    if (connection->ended || move(connection))
        return;
    serve(connection);
    bool last = connection->half || connection->loop->stopping;
    if (!connection->ended && !connection->waits && last && TAILQ_EMPTY(&connection->requests) &&
        output_empty(&connection->output))
        connection_end(connection, NULL);
}

void connection_finish(struct connection *connection)
{
    if (connection->unthrottle.tick) {
        ticks_remove(&connection->loop->ticks, &connection->unthrottle);
        connection->waits = false;
    }
    hurry(connection);
    connection_answer(connection);
}

static void give_back(struct connection *connection)
{
    struct loop *loop = connection->loop;
    if (input_size(&connection->input) == 0) {
        count_input(loop, -(ptrdiff_t)connection->input.capacity);
        loop->given_back_bytes += connection->input.capacity;
        input_done(&connection->input);
    }
    if (output_empty(&connection->output)) {
        loop->given_back_bytes += connection->output.writer.capacity;
        output_shrink(&connection->output);
        count_output(connection);
    }
}

void connection_sweep(struct connection *connection, int64_t now_ms)
{
    int64_t silent_ms = now_ms - connection->active_ms;
    guests_sweep(connection);
    if (silent_ms >= BUFFERS_IDLE_MS)
        give_back(connection);
    bool stuck = !output_empty(&connection->output);
    bool waits = !TAILQ_EMPTY(&connection->requests) && !connection->half;
    int64_t most_ms = connection->loop->broker->config->connections_max_idle_ms;
    if (stuck)
        silent_ms = now_ms - connection->taken_ms;
    else if (connection->half && most_ms > HALF_MS)
        most_ms = HALF_MS;
    if (silent_ms < most_ms || (waits && !stuck))
        return;
    if (stuck)
        connection_end(connection, "takes no answers for %lld ms", (long long)silent_ms);
    else if (input_size(&connection->input) > 0)
        connection_end(connection, "sent half a request and nothing for %lld ms",
                       (long long)silent_ms);
    else
        connection_end(connection, NULL);
}

void connection_abandon(struct connection *connection, int64_t since_ms)
{
    if (!output_empty(&connection->output) && connection->taken_ms <= since_ms)
        connection_end(connection, "the daemon ends, and it takes no answers");
}
