/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests, made and freed; see request.h. A loop keeps a few with their arenas, so that small
 * requests in steady state take no memory from the system.
 */
#include "request.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "connection.h"
#include "loop.h"
#include "throttle.h"

struct request *request_new(struct loop *loop, struct connection *connection)
{
    struct request *request = TAILQ_FIRST(&loop->spares);
    struct kafka_arena arena;
    if (request) {
        TAILQ_REMOVE(&loop->spares, request, link);
        loop->spare_count--;
        arena = request->arena;
    } else {
        request = malloc(sizeof(*request));
        if (!request)
            return NULL;
        kafka_arena_init(&arena, REQUEST_ARENA_BYTES);
    }
    *request = (struct request){.loop = loop, .connection = connection, .arena = arena};
    atomic_init(&request->is_orphan, false);
    return request;
}

/* Each loop has its share for requests behind others of their connection. First ones come anyway,
 * and may wait for long, for members of a group or the disk: large ones are counted over all loops.
 */
int request_count_body(struct request *request)
{
    struct broker *broker = request->loop->broker;
    size_t most = (size_t)broker->config->queued_max_request_bytes;
    size_t bytes = request->arena.used_bytes;
    request->body_bytes = bytes;
    request->connection->request_bytes += bytes;
    request->loop->body_bytes += bytes;
    if (bytes <= REQUEST_LARGE_BYTES)
        return 0;
    return atomic_fetch_add(&broker->body_bytes, bytes) + bytes <= most ? 0 : -ENOBUFS;
}

static void uncount_body(struct request *request)
{
    request->loop->body_bytes -= request->body_bytes;
    if (request->body_bytes > REQUEST_LARGE_BYTES)
        atomic_fetch_sub(&request->loop->broker->body_bytes, request->body_bytes);
}

void request_free(struct request *request)
{
    struct loop *loop = request->loop;
    assert(request->holds == 0);
    if (request->cleanup)
        request->cleanup(request);
    if (request->client)
        throttle_forget(request);
    bool large = request->arena.used_bytes > REQUEST_SPARE_KEEP_BYTES;
    uncount_body(request);
    if (large && !request->connection)
        loop->given_back_bytes += request->arena.used_bytes; /* who asked for it is gone */
    if (large || loop->spare_count >= REQUEST_SPARES) {
        kafka_arena_done(&request->arena);
        free(request);
    } else {
        kafka_arena_reset(&request->arena);
        TAILQ_INSERT_HEAD(&loop->spares, request, link);
        loop->spare_count++;
    }
}

void request_spares_done(struct loop *loop)
{
    struct request *request;
    while ((request = TAILQ_FIRST(&loop->spares))) {
        TAILQ_REMOVE(&loop->spares, request, link);
        kafka_arena_done(&request->arena);
        free(request);
    }
    loop->spare_count = 0;
}

/* The other half is for what answers take when they are encoded, and for all other requests: who
 * only looks is not to be what gets connections closed. */
static size_t room_for_looks(const struct broker *broker)
{
    return (size_t)broker->config->queued_max_response_bytes / 2;
}

void requests_answered(struct broker *broker, size_t bytes)
{
    size_t room = room_for_looks(broker);
    size_t before = atomic_fetch_sub(&broker->output_bytes, bytes);
    if (before <= room || before - bytes > room || atomic_load(&broker->waiting_looks) == 0)
        return;
    for (size_t i = 0; i < broker->loop_count; i++)
        inbox_wake(&broker->loops[i].inbox);
}

void request_ready(struct request *request)
{
    assert(!request->ready && request->holds == 0);
    request->ready = true;
    struct connection *connection = request->connection;
    if (request->works && connection)
        connection->work_count--;
    if (connection) {
        request->ready_bytes = request->arena.used_bytes;
        connection->ready_bytes += request->ready_bytes;
        connection->output_bytes += request->made_bytes; /* counted for it from now on */
        connection_answer(connection);
    } else {
        requests_answered(request->loop->broker, request->made_bytes);
        request_free(request);
    }
}

void request_unhold(struct request *request)
{
    assert(request->holds > 0);
    if (--request->holds == 0)
        request_ready(request);
}

/* What was made is counted at once: until the loop comes to it, others make more. */
static void count_made(struct request *request)
{
    size_t more = request->arena.used_bytes - request->made_bytes;
    request->made_bytes += more;
    atomic_fetch_add(&request->loop->broker->output_bytes, more);
}

/* On a worker. */
static void work_run(struct work *work)
{
    struct request *request = (struct request *)((char *)work - offsetof(struct request, work));
    if (request->looks && atomic_load(&request->is_orphan))
        return;
    if (request->client)
        throttle_work(request);
    else
        request->work_run(request);
    count_made(request);
}

static void work_done(struct work *work)
{
    struct request *request = (struct request *)((char *)work - offsetof(struct request, work));
    void (*returned)(struct request * request) = request->returned;
    bool is_for_nobody = request->looks && !request->connection;
    request->returned = NULL;
    if (returned && !is_for_nobody)
        returned(request); /* may hold it again */
    request_unhold(request);
}

static bool answers_are_too_many(const struct broker *broker)
{
    return atomic_load(&broker->output_bytes) > room_for_looks(broker);
}

bool requests_lack_room(const struct broker *broker)
{
    return atomic_load(&broker->waiting_looks) > 0 && answers_are_too_many(broker);
}

static void wait_for_room(struct broker *broker, struct work_list *list, struct work *work)
{
    atomic_fetch_add(&broker->waiting_looks, 1);
    TAILQ_INSERT_TAIL(list, work, link);
}

/* The next one that waits there; NULL: none, or there is no room. */
static struct work *take_waiting(struct broker *broker, struct work_list *list)
{
    struct work *work = TAILQ_FIRST(list);
    if (!work || answers_are_too_many(broker))
        return NULL;
    TAILQ_REMOVE(list, work, link);
    atomic_fetch_sub(&broker->waiting_looks, 1);
    return work;
}

/* Until it is ready; see request_ready(). */
static void count_work(struct request *request)
{
    if (!request->works && request->connection)
        request->connection->work_count++;
    request->works = true;
}

void request_submit(struct request *request, void (*run)(struct request *request))
{
    request->work.run = work_run;
    request->work.done = work_done;
    request->work_run = run;
    request_hold(request);
    count_work(request);
    if (request->looks && answers_are_too_many(request->loop->broker))
        wait_for_room(request->loop->broker, &request->loop->delayed, &request->work);
    else
        workers_submit_later(&request->loop->broker->workers, &request->loop->inbox,
                             &request->work);
}

/* On the first loop. */
static void call_run(struct request *request)
{
    if (request->looks && atomic_load(&request->is_orphan))
        request_return(request);
    else
        request->work_run(request);
}

/* On the first loop, to which many come at once: what was answered a moment ago counts already. */
static void call_arrived(struct work *work)
{
    struct request *request = (struct request *)((char *)work - offsetof(struct request, call));
    struct broker *broker = request->loop->broker;
    struct loop *first = &broker->loops[0];
    if (request->looks && (!TAILQ_EMPTY(&first->called) || answers_are_too_many(broker)))
        wait_for_room(broker, &first->called, work);
    else
        call_run(request);
}

static void calls_go_on(struct loop *first)
{
    struct work *work;
    while ((work = take_waiting(first->broker, &first->called)))
        call_run((struct request *)((char *)work - offsetof(struct request, call)));
}

void requests_go_on(struct loop *loop)
{
    struct work *work;
    while ((work = take_waiting(loop->broker, &loop->delayed)))
        workers_submit_later(&loop->broker->workers, &loop->inbox, work);
    calls_go_on(loop);
}

void request_call(struct request *request, void (*run)(struct request *request))
{
    struct loop *first = &request->loop->broker->loops[0];
    request->work_run = run;
    request->call.done = call_arrived;
    request->work.done = work_done;
    request_hold(request);
    if (request->looks) /* the others may wait long, for members or for a commit */
        count_work(request);
    inbox_expect(&request->loop->inbox);
    inbox_post(&first->inbox, &request->call);
}

void request_return(struct request *request)
{
    count_made(request);
    inbox_return(&request->loop->inbox, &request->work);
}

void request_orphan(struct request *request)
{
    request->connection = NULL;
    atomic_store(&request->is_orphan, true);
    if (request->holds == 0)
        request_free(request);
}
