/* SPDX-License-Identifier: Apache-2.0
 *
 * One client's connection: reads requests, hands them to kafka/dispatch.c, sends the answers in
 * order.
 *
 * Memory is taken for bytes that have arrived, never for a length that was announced, and what is
 * kept between requests is given back when the connection falls silent. A client that asks faster
 * than it reads is no longer read from.
 */
#ifndef BECK_NETD_CONNECTION_H
#define BECK_NETD_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "input.h"
#include "output.h"
#include "request.h"
#include "ticks.h"

/* Requests under way at a time, and what their decoded bodies may take together (a single one may
 * be larger); more are left in the socket. */
#define CONNECTION_REQUESTS      64
#define CONNECTION_REQUEST_BYTES (4U << 20)
/* Of them, those that workers have, or that only look and the first loop has: there are few
 * workers, and one first loop, and others wait for them, too. */
#define CONNECTION_WORKS 4
/* Above this much that was not taken by the client, no further request is looked at. */
#define CONNECTION_OUTPUT_BYTES  (1U << 20)
#define CONNECTION_OUTPUT_RANGES 1024
/* What is read or sent, and how long is worked, before others have their turn. */
#define CONNECTION_TURN_BYTES (4U << 20)
#define CONNECTION_TURN_MS    10

#define CONNECTION_NAME_BYTES 64

struct broker;
struct event;
struct listener;
struct loop;
struct source;

/* A socket that was accepted and is counted in the broker. */
struct accepted {
    int fd;
    char peer[CONNECTION_NAME_BYTES];
    const struct listener *listener;
    struct source *source;
};

struct connection {
    TAILQ_ENTRY(connection) link;      /* loop->connections, or loop->ended */
    TAILQ_ENTRY(connection) answering; /* loop->answering, if `queued` */
    struct loop *loop;                 /* changes only when it is moved */
    struct loop *home;                 /* that it was given to first */
    const struct listener *listener;   /* that it came by; stays */
    struct source *source;
    int fd;
    struct event *readable;
    struct event *writable;
    struct input input;
    struct output output;
    struct request_list requests; /* by arrival */
    unsigned request_count;
    unsigned work_count;  /* of them, those that count for CONNECTION_WORKS */
    size_t request_bytes; /* of their decoded bodies */
    size_t ready_bytes;   /* of answers that are not encoded */
    size_t output_bytes;  /* all for answers, as counted in the broker */
    int64_t active_ms;    /* when bytes last came or went */
    int64_t taken_ms;     /* when the client last took bytes, or there began to be some */
    size_t said_bytes;    /* see guests_count(); in this second */
    struct work move;     /* on its way to another loop */
    char peer[CONNECTION_NAME_BYTES]; /* address and port, for the log */
    bool leaves;                      /* for another loop, as soon as nothing is under way */
    bool queued;                      /* in loop->answering */
    bool reading;                     /* the event is set */
    bool half;                        /* the client sends no more; answer, then end */
    bool waits; /* its turn is over; the readable event, made active, begins the next one */
    struct wait unthrottle; /* makes it active where the connection `waits` because of a quota */
    bool ended;
};

TAILQ_HEAD(connection_list, connection);

/* Takes the socket over, whatever happens. */
void connection_open(struct loop *loop, const struct accepted *accepted);
/* Closes it, and counts it no more. */
void connection_refuse(struct broker *broker, const struct accepted *accepted);

/* Ends the connection; the memory stays until loop_settle(). `why`, if not NULL, goes into the log.
 */
void connection_end(struct connection *connection, const char *why, ...)
    __attribute__((format(printf, 2, 3)));

/* Notes that an answer may be ready to go. */
void connection_answer(struct connection *connection);
/* Sends what is ready and takes further requests; called by loop_settle(). */
void connection_settle(struct connection *connection);
void connection_free(struct connection *connection);

/* Reads nothing and takes no requests for so long, if it does not wait for longer already. */
void connection_throttle(struct connection *connection, int32_t wait_ms);

/* No more requests: answers what can be answered now and ends when the rest is out. */
void connection_finish(struct connection *connection);

/* Gives memory back, or ends the connection, if it has been silent for so long. */
void connection_sweep(struct connection *connection, int64_t now_ms);

/* Ends the connection, for the daemon ends, if its client took nothing since `since_ms`. */
void connection_abandon(struct connection *connection, int64_t since_ms);

/* While answers take too much memory in all: ends those connections of the loop that have most of
 * it, as far as that is more than others have. */
void connections_relieve(struct loop *loop);

/* While requests wait for room for their answers: ends those that have most of it, of the ones
 * whose clients took nothing for some seconds. */
void connections_end_stuck(struct loop *loop, int64_t now_ms);

#endif
