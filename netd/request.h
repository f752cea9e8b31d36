/* SPDX-License-Identifier: Apache-2.0
 *
 * One request from its decoding to its answer. It stands in its connection's queue in the order of
 * arrival and is answered in that order, whenever it got ready.
 *
 *     made -> handled -> ready -> encoded -> freed
 *
 * A handler (see kafka/handlers.h) reads `body`, sets `response` and either calls request_ready()
 * at once, or sees to it that it is called later. Everything it needs until then lives in the
 * arena. `body` borrows from the connection's buffer and is gone when the handler returns, unless
 * the API is one whose bytes are kept.
 *
 * Belongs to one loop. A worker that has a hold may use the arena, body and response, nothing else;
 * so may the first loop after request_call().
 */
#ifndef BECK_NETD_REQUEST_H
#define BECK_NETD_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "codec/api.h"
#include "codec/arena.h"
#include "workers.h"

/* What one request may take for its arrays and its answer. */
#define REQUEST_ARENA_BYTES (64U << 20)
/* Requests that a loop keeps for the next ones, and what each may keep of its arena. */
#define REQUEST_SPARES           64
#define REQUEST_SPARE_KEEP_BYTES (16U << 10)
/* One that was decoded to more is large. */
#define REQUEST_LARGE_BYTES (16U << 10)

struct broker;
struct connection;
struct loop;
struct quota_peer;

struct request {
    TAILQ_ENTRY(request) link; /* in the connection's queue, or the loop's spares */
    struct loop *loop;
    struct connection *connection; /* NULL: it ended before the answer */
    const struct kafka_api *api;
    int16_t version;
    int32_t correlation_id;
    struct kafka_string client_id; /* borrowed as the body is */
    bool ready;
    bool silent;           /* there will be no answer: produce with acks=0 */
    bool looks;            /* it need not be done for a client that is gone, and may wait */
    bool works;            /* others have it, as connection->work_count says */
    atomic_bool is_orphan; /* for others' threads: the connection ended */
    unsigned holds;        /* works and waits that refer to it; see request_unhold() */
    struct kafka_arena arena;
    size_t body_bytes;   /* of the arena, when the body was decoded */
    size_t ready_bytes;  /* when it was ready */
    size_t made_bytes;   /* elsewhere, as counted in the broker until it is ready */
    size_t record_bytes; /* of a fetch's answer */

    struct quota_peer *client; /* some quota limits; NULL: none does. These for throttle.h: */
    int32_t throttle_ms;       /* how long the client is to wait */
    int64_t loop_nsec;         /* that the loop and a worker had to do with it */
    int64_t worker_nsec;

    void *body;     /* the API's request struct */
    void *response; /* the API's response struct */
    void *context;  /* the handler's own */

    /* Any may be NULL. Answer now with what there is: the daemon or the connection ends. */
    void (*hurry)(struct request *request);
    /* The answer was encoded: file ranges are the connection's now. */
    void (*encoded)(struct request *request);
    /* Lets go of everything outside of the arena. Not called while there are holds. */
    void (*cleanup)(struct request *request);

    struct work work; /* for request_submit(), and the way back of request_call() */
    struct work call;
    void (*work_run)(struct request *request);
    void (*returned)(struct request *request); /* after request_call(), in our loop; may be NULL */
};

TAILQ_HEAD(request_list, request);

/* NULL: no memory. */
struct request *request_new(struct loop *loop, struct connection *connection);
void request_free(struct request *request);

/* Counts what the body took of the arena. -ENOBUFS: it is large, and all the large ones under way
 * take more than they may. */
int request_count_body(struct request *request);
void request_spares_done(struct loop *loop);

/* The response can be encoded as soon as it is its turn. May free the request. */
void request_ready(struct request *request);

/* One that was held counts down to being ready. */
static inline void request_hold(struct request *request)
{
    request->holds++;
}
void request_unhold(struct request *request);

/* Runs `run` on a worker, then the request is ready. `run` fills in the response. While answers
 * take too much memory, one that only looks waits for its turn. */
void request_submit(struct request *request, void (*run)(struct request *request));

/* Goes on with what waits for room for answers, as far as there is some: gives it to workers, and
 * on the first loop does what was called for. */
void requests_go_on(struct loop *loop);

/* Has `run` called on the first loop, where the groups are; from there request_return() is called
 * once, then or later, and the request is ready. Until then the first loop may use the arena, body
 * and response, nothing else. One that only looks is not called for a client that is gone, and
 * waits there while answers take too much memory. */
void request_call(struct request *request, void (*run)(struct request *request));
void request_return(struct request *request);

/* So many bytes of answers are gone: what waits for room may go on. */
void requests_answered(struct broker *broker, size_t bytes);

/* Do some wait for that? */
bool requests_lack_room(const struct broker *broker);

/* The connection ended. Frees the request, or leaves it to the last hold. It is out of the queue.
 */
void request_orphan(struct request *request);

#endif
