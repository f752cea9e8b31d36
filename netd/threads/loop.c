/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop's own events and its order of business; see loop.h.
 */
#include "loop.h"

#include <errno.h>
#include <event2/event.h>
#include <malloc.h>

#include "clock.h"
#include "kafka/fetch.h"
#include "service.h"

#define SWEEP_MS 1000

static void inbox_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct loop *loop = context;
    inbox_finish(&loop->inbox);
    loop_settle(loop);
}

static void after_wake(void *context)
{
    struct loop *loop = context;
    fetch_look_again(loop);
    loop_settle(loop);
}

/*
 * Clients that were told together that there is nothing new ask again at once, each a little apart
 * from the others, and each question would wake us. So we sleep for a moment, and they wake us
 * once. Not where records flow: they would have to wait for it.
 */
static void rest(struct loop *loop)
{
    static const struct timespec moment = {.tv_nsec = LOOP_REST_USEC * 1000};
    bool may = loop->polls_over >= LOOP_REST_POLLS && !loop->flows && !loop->stopping;
    loop->polls_over = 0;
    loop->flows = false;
    if (may)
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
}

static void after_ticks(void *context)
{
    struct loop *loop = context;
    loop_settle(loop);
    rest(loop);
}

static void sweep_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct loop *loop = context;
    int64_t now_ms = clock_ms();
    guests_look(loop);
    struct connection *connection = TAILQ_FIRST(&loop->connections);
    while (connection) {
        struct connection *next = TAILQ_NEXT(connection, link);
        connection_sweep(connection, now_ms);
        connection = next;
    }
    connections_relieve(loop);
    connections_end_stuck(loop, now_ms);
    partitions_sweep(&loop->partitions);
    if (loop->given_back_bytes >= LOOP_TRIM_BYTES) {
        loop->given_back_bytes = 0;
        malloc_trim(0);
    }
    loop_settle(loop);
}

static void deadline_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct loop *loop = context;
    event_base_loopbreak(loop->base);
}

static void beat_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct loop *loop = context;
    atomic_store(&loop->beat_ms, clock_ms());
    if (loop->index == 0)
        service_alive(loop->broker);
}

static int add_beat(struct loop *loop)
{
    int64_t every_ms = loop->broker->watchdog_ms / WATCHDOG_BEATS;
    struct timeval every = {.tv_sec = every_ms / 1000, .tv_usec = every_ms % 1000 * 1000};
    atomic_store(&loop->beat_ms, clock_ms());
    if (every_ms == 0)
        return 0;
    loop->beat = event_new(loop->base, -1, EV_PERSIST, beat_event, loop);
    return loop->beat && event_add(loop->beat, &every) == 0 ? 0 : -ENOMEM;
}

static void look_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct loop *loop = context;
    int64_t since_ms = clock_ms() - LOOP_STUCK_MS;
    struct connection *connection =
        since_ms < loop->stop_ms ? NULL : TAILQ_FIRST(&loop->connections);
    while (connection) {
        struct connection *next = TAILQ_NEXT(connection, link);
        connection_abandon(connection, since_ms);
        connection = next;
    }
    loop_settle(loop);
}

static int make_events(struct loop *loop)
{
    struct timeval sweep = {.tv_sec = SWEEP_MS / 1000};
    loop->inbox_event =
        event_new(loop->base, loop->inbox.event_fd, EV_READ | EV_PERSIST, inbox_event, loop);
    loop->sweep = event_new(loop->base, -1, EV_PERSIST, sweep_event, loop);
    loop->deadline = evtimer_new(loop->base, deadline_event, loop);
    loop->look = event_new(loop->base, -1, EV_PERSIST, look_event, loop);
    if (!loop->inbox_event || !loop->sweep || !loop->deadline || !loop->look ||
        event_add(loop->inbox_event, NULL) < 0 || event_add(loop->sweep, &sweep) < 0 ||
        add_beat(loop) < 0 || ticks_init(&loop->ticks, loop->base, after_ticks, loop) < 0)
        return -ENOMEM;
    return wake_init(&loop->wake, loop->base, &loop->broker->bells, loop->index, after_wake, loop);
}

int loop_init(struct loop *loop, struct broker *broker, size_t index)
{
    *loop = (struct loop){.broker = broker, .index = index, .wake = {.timer_fd = -1}};
    TAILQ_INIT(&loop->connections);
    TAILQ_INIT(&loop->answering);
    TAILQ_INIT(&loop->ended);
    TAILQ_INIT(&loop->spares);
    TAILQ_INIT(&loop->delayed);
    TAILQ_INIT(&loop->called);
    TAILQ_INIT(&loop->moved);
    partitions_init(&loop->partitions, broker->store);
    int result = inbox_init(&loop->inbox);
    if (result < 0)
        return result;
    loop->base = event_base_new();
    result = loop->base ? make_events(loop) : -ENOMEM;
    if (result < 0)
        loop_done(loop);
    return result;
}

static void end_connections(struct loop *loop)
{
    struct connection *connection;
    while ((connection = TAILQ_FIRST(&loop->connections)))
        connection_end(connection, "the daemon ends");
    loop_settle(loop);
}

void loop_done(struct loop *loop)
{
    end_connections(loop);
    wake_done(&loop->wake);
    ticks_done(&loop->ticks);
    if (loop->inbox_event)
        event_free(loop->inbox_event);
    if (loop->sweep)
        event_free(loop->sweep);
    if (loop->deadline)
        event_free(loop->deadline);
    if (loop->look)
        event_free(loop->look);
    if (loop->beat)
        event_free(loop->beat);
    if (loop->base)
        event_base_free(loop->base);
    inbox_done(&loop->inbox);
    request_spares_done(loop);
    partitions_done(&loop->partitions);
}

/* The first loop outlives the others, which ask it for things. */
static bool at_rest(const struct loop *loop)
{
    return TAILQ_EMPTY(&loop->connections) && loop->inbox.submitted == 0 &&
           TAILQ_EMPTY(&loop->delayed) && TAILQ_EMPTY(&loop->called) &&
           (loop->index > 0 || loop->broker->loops_running <= 1);
}

void loop_run(struct loop *loop)
{
    event_base_dispatch(loop->base);
    end_connections(loop);
    /* Works that still run refer to the loop: a sync that hangs in the disk is waited for. */
    while (!at_rest(loop)) {
        event_base_loop(loop->base, EVLOOP_ONCE);
        loop_settle(loop);
    }
}

void loop_stop(struct loop *loop)
{
    if (loop->stopping) {
        event_base_loopbreak(loop->base);
        return;
    }
    struct timeval after = {.tv_sec = LOOP_STOP_MS / 1000};
    struct timeval look = {.tv_usec = LOOP_LOOK_MS * 1000};
    loop->stopping = true;
    loop->stop_ms = clock_ms();
    event_add(loop->deadline, &after);
    event_add(loop->look, &look);
    struct connection *connection;
    TAILQ_FOREACH(connection, &loop->connections, link)
    connection_finish(connection);
    loop_settle(loop);
}

void loop_settle(struct loop *loop)
{
    struct connection *connection;
    while ((connection = TAILQ_FIRST(&loop->answering))) {
        TAILQ_REMOVE(&loop->answering, connection, answering);
        connection->queued = false;
        connection_settle(connection);
    }
    while ((connection = TAILQ_FIRST(&loop->ended))) {
        TAILQ_REMOVE(&loop->ended, connection, link);
        connection_free(connection);
    }
    requests_go_on(loop);
    if (loop->stopping && at_rest(loop))
        event_base_loopbreak(loop->base);
}

void loop_appended(struct loop *loop, size_t bytes)
{
    loop->flows = true;
    loop->appended_bytes += (uint32_t)bytes;
    if (loop->appended_bytes < LOOP_MAINTENANCE_BYTES)
        return;
    loop->appended_bytes = 0;
    maintenance_kick(&loop->broker->maintenance);
}
