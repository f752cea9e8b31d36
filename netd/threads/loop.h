/* SPDX-License-Identifier: Apache-2.0
 *
 * One event loop and all that belongs to it: its connections, the partitions they use, who waits
 * for what. Everything in here is touched by the loop's thread alone, apart from the inbox, through
 * which workers and other loops answer. Loops share the broker and nothing else.
 *
 * Every callback ends with loop_settle(): whatever happened in it, answers that became ready are
 * sent then, and connections that ended are freed then, so that none disappears under a caller.
 */
#ifndef BECK_NETD_LOOP_H
#define BECK_NETD_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker.h"
#include "connection.h"
#include "log.h"
#include "partitions.h"
#include "request.h"
#include "ticks.h"
#include "wake.h"
#include "workers.h"

/* Bytes appended through a loop before maintenance is asked whether something is due. */
#define LOOP_MAINTENANCE_BYTES (4U << 20)
/* Freed buffers that make it worth while to have the heap give its pages back. */
#define LOOP_TRIM_BYTES (1U << 20)
/* After so many polls ended together without a record, their clients are given a moment to ask
 * again together, too. */
#define LOOP_REST_POLLS 8
#define LOOP_REST_USEC  500
/* How long a daemon that was told to end waits for requests that are under way. */
#define LOOP_STOP_MS 5000
/* And for a client that takes nothing of its answers; how often that is looked at. */
#define LOOP_STUCK_MS 500
#define LOOP_LOOK_MS  100

struct event;
struct event_base;
struct fetch;

TAILQ_HEAD(fetch_list, fetch);

struct loop {
    struct broker *broker;
    size_t index; /* in broker->loops */
    pthread_t thread;
    struct event_base *base;
    struct event *inbox_event;
    struct event *sweep;
    struct event *deadline; /* of stopping, and a look at who does not read */
    struct event *look;
    struct event *beat;   /* for the watchdog, if there is one */
    atomic_llong beat_ms; /* when it last came round, by clock_ms() */
    struct inbox inbox;
    struct wake wake;
    struct ticks ticks; /* of waiting fetches, and connections that wait because of a quota */
    struct partitions partitions;
    struct log_limit log_limit; /* for what peers cause */

    struct connection_list connections;
    struct connection_list answering; /* with an answer that may be ready, or room for requests */
    struct connection_list ended;     /* to be freed */
    size_t body_bytes;                /* of requests under way */
    size_t given_back_bytes; /* of buffers that were freed, since the heap was last trimmed */

    struct request_list spares;
    size_t spare_count;
    struct work_list
        delayed; /* of requests, until there is room for answers; see request_submit() */
    struct work_list called; /* likewise, by all loops to the first; see request_call() */
    struct fetch_list moved; /* waiting fetches whose partitions moved; kafka/fetch.c */

    uint32_t appended_bytes; /* since maintenance was last asked */
    unsigned polls_over;     /* fetches whose time was over, since the last tick */
    bool flows;              /* records came or went since then */
    bool stopping;
    int64_t stop_ms;      /* when that began */
    struct work stop;     /* for loops_stop() */
    struct work hurry;    /* for its second call */
    struct work farewell; /* told to the first loop */
};

/* `index`: its place in broker->loops. 0 or a negative errno. */
int loop_init(struct loop *loop, struct broker *broker, size_t index);
/* Everything must be at rest: after loop_run(). */
void loop_done(struct loop *loop);

/* Runs until loop_stop() and everything under way is answered, or LOOP_STOP_MS are over. */
void loop_run(struct loop *loop);

/* Takes no more requests, answers what is there, then ends. On a second call, ends at once. */
void loop_stop(struct loop *loop);

void loop_settle(struct loop *loop);

/* Counts what was appended, so that maintenance comes in time. */
void loop_appended(struct loop *loop, size_t bytes);

#endif
