/* SPDX-License-Identifier: Apache-2.0
 *
 * Quiet connections together on one loop. A thousand clients that only wait ask twice a second
 * each; spread over all loops, nearly every one of their questions wakes a processor that has been
 * busy with something else, and costs twice as much. So a connection that said little in a second
 * goes to the first loop as a guest, and home again as soon as it says more, or the first loop has
 * enough to do without it.
 *
 * A connection is moved when nothing of it is under way, so that it belongs to one loop at a time.
 */
#ifndef BECK_NETD_GUESTS_H
#define BECK_NETD_GUESTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;
struct loop;

/* Bytes in and out that are little in a second, and what a request counts besides its own. */
#define GUESTS_QUIET_BYTES   (1U << 20)
#define GUESTS_REQUEST_BYTES (1U << 16)
#define GUESTS_MAX           4096
/* The first loop's use of a processor, above which guests have to go, and for how long. */
#define GUESTS_BUSY_PERCENT 25
#define GUESTS_CLOSED_MS    60000

struct guests {
    atomic_size_t count; /* and those on their way to the first loop */
    atomic_bool closed;
    int64_t closed_until_ms; /* these three are the first loop's */
    int64_t looked_usec;     /* when it last looked at what it used */
    int64_t used_usec;       /* and that */
};

/* Each second: on the first loop, is there room for guests? */
void guests_look(struct loop *loop);
/* Each second: is this connection where it should be? */
void guests_sweep(struct connection *connection);

/* Counts what came or went. */
void guests_count(struct connection *connection, size_t bytes);
/* Is it to be moved as soon as possible, and nobody has to be waited for? Then it takes no more
 * requests while some are under way. */
bool guests_hurry(const struct connection *connection);

/* Where it is to go; NULL: it stays. */
struct loop *guests_goal(const struct connection *connection);
/* It goes there. */
void guests_moved(struct connection *connection, const struct loop *goal);
/* It has ended. */
void guests_gone(struct connection *connection);

#endif
