/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is quiet, and whether there is room; see guests.h.
 */
#include "guests.h"

#include <time.h>

#include "clock.h"
#include "loop.h"

#define PERCENT 100

static struct guests *guests_of(const struct connection *connection)
{
    return &connection->loop->broker->guests;
}

static bool is_guest(const struct connection *connection)
{
    return connection->loop != connection->home;
}

static int64_t used_usec(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

void guests_look(struct loop *loop)
{
    struct guests *guests = &loop->broker->guests;
    if (loop->index > 0)
        return;
    int64_t now_usec = clock_usec();
    int64_t now_used_usec = used_usec();
    int64_t past_usec = now_usec - guests->looked_usec;
    bool busy = (now_used_usec - guests->used_usec) * PERCENT > past_usec * GUESTS_BUSY_PERCENT;
    guests->looked_usec = now_usec;
    guests->used_usec = now_used_usec;
    if (busy)
        guests->closed_until_ms = now_usec / 1000 + GUESTS_CLOSED_MS;
    atomic_store(&guests->closed, now_usec / 1000 < guests->closed_until_ms);
}

void guests_sweep(struct connection *connection)
{
    struct guests *guests = guests_of(connection);
    bool quiet = connection->said_bytes < GUESTS_QUIET_BYTES;
    bool closed = atomic_load(&guests->closed);
    connection->said_bytes = 0;
    if (is_guest(connection))
        connection->leaves = !quiet || closed;
    else
        connection->leaves = quiet && !closed && connection->loop->index > 0 &&
                             atomic_load(&guests->count) < GUESTS_MAX;
    if (connection->leaves)
        connection_answer(connection);
}

void guests_count(struct connection *connection, size_t bytes)
{
    connection->said_bytes += bytes;
    if (connection->said_bytes >= GUESTS_QUIET_BYTES)
        connection->leaves = is_guest(connection);
}

bool guests_hurry(const struct connection *connection)
{
    if (!connection->leaves || !is_guest(connection))
        return false;
    const struct request *request;
    TAILQ_FOREACH(request, &connection->requests, link)
    if (request->hurry) /* a fetch may wait long, and the others would wait for it */
        return false;
    return true;
}

struct loop *guests_goal(const struct connection *connection)
{
    if (!connection->leaves)
        return NULL;
    return is_guest(connection) ? connection->home : &connection->loop->broker->loops[0];
}

void guests_moved(struct connection *connection, const struct loop *goal)
{
    connection->leaves = false;
    if (goal == connection->home)
        guests_gone(connection);
    else
        atomic_fetch_add(&guests_of(connection)->count, 1);
}

void guests_gone(struct connection *connection)
{
    if (is_guest(connection))
        atomic_fetch_sub(&guests_of(connection)->count, 1);
}
