/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests, made and freed; see request.h. A loop keeps a few with their arenas, so that small
 * requests in steady state take no memory from the system.
 */
#include "request.h"

#include <assert.h>
#include <stdlib.h>

#include "connection.h"
#include "loop.h"

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
    return request;
}

void request_free(struct request *request)
{
    struct loop *loop = request->loop;
    assert(request->holds == 0);
    if (request->cleanup)
        request->cleanup(request);
    bool large = request->arena.used_bytes > REQUEST_SPARE_KEEP_BYTES;
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

void request_ready(struct request *request)
{
    assert(!request->ready && request->holds == 0);
    request->ready = true;
    if (request->connection) {
        request->ready_bytes = request->arena.used_bytes;
        request->connection->ready_bytes += request->ready_bytes;
        connection_answer(request->connection);
    } else {
        request_free(request);
    }
}

void request_unhold(struct request *request)
{
    assert(request->holds > 0);
    if (--request->holds == 0)
        request_ready(request);
}

static void work_run(struct work *work)
{
    struct request *request = (struct request *)((char *)work - offsetof(struct request, work));
    request->work_run(request);
}

static void work_done(struct work *work)
{
    struct request *request = (struct request *)((char *)work - offsetof(struct request, work));
    void (*returned)(struct request * request) = request->returned;
    request->returned = NULL;
    if (returned)
        returned(request); /* may hold it again */
    request_unhold(request);
}

void request_submit(struct request *request, void (*run)(struct request *request))
{
    request->work.run = work_run;
    request->work.done = work_done;
    request->work_run = run;
    request_hold(request);
    workers_submit(&request->loop->broker->workers, &request->loop->inbox, &request->work);
}

static void call_arrived(struct work *work)
{
    struct request *request = (struct request *)((char *)work - offsetof(struct request, call));
    request->work_run(request);
}

void request_call(struct request *request, void (*run)(struct request *request))
{
    struct loop *first = &request->loop->broker->loops[0];
    request->work_run = run;
    request->call.done = call_arrived;
    request->work.done = work_done;
    request_hold(request);
    inbox_expect(&request->loop->inbox);
    inbox_post(&first->inbox, &request->call);
}

void request_return(struct request *request)
{
    inbox_return(&request->loop->inbox, &request->work);
}

void request_orphan(struct request *request)
{
    request->connection = NULL;
    if (request->holds == 0)
        request_free(request);
}
