/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads for loops, and handing things from the first one to the others; see loops.h. The first
 * loop ends last: the others' requests may need it.
 */
#include "loops.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A connection on its way to its loop. */
struct arrival {
    struct work work;
    struct loop *loop;
    struct accepted accepted;
};

static void arrived(struct work *work)
{
    struct arrival *arrival = (struct arrival *)((char *)work - offsetof(struct arrival, work));
    if (arrival->loop->stopping)
        connection_refuse(arrival->loop->broker, &arrival->accepted);
    else
        connection_open(arrival->loop, &arrival->accepted);
    free(arrival);
}

void loops_take(struct broker *broker, const struct accepted *accepted)
{
    static const struct work none;
    struct loop *loop = &broker->loops[broker->next_loop++ % broker->loop_count];
    struct arrival *arrival = loop->index > 0 ? malloc(sizeof(*arrival)) : NULL;
    if (!arrival) {
        connection_open(&broker->loops[0], accepted);
        return;
    }
    *arrival = (struct arrival){.work = none, .loop = loop, .accepted = *accepted};
    arrival->work.done = arrived;
    inbox_post(&loop->inbox, &arrival->work);
}

static void loop_has_ended(struct work *work)
{
    struct loop *loop = (struct loop *)((char *)work - offsetof(struct loop, farewell));
    loop->broker->loops_running--;
}

static void *loop_main(void *argument)
{
    struct loop *loop = argument;
    char name[16];
    (void)snprintf(name, sizeof(name), "loop %zu", loop->index);
    (void)pthread_setname_np(pthread_self(), name);
    loop_run(loop);
    inbox_post(&loop->broker->loops[0].inbox, &loop->farewell);
    return NULL;
}

static void stop_loop(struct work *work)
{
    loop_stop((struct loop *)((char *)work - offsetof(struct loop, stop)));
}

static void hurry_loop(struct work *work)
{
    loop_stop((struct loop *)((char *)work - offsetof(struct loop, hurry)));
}

static int start_thread(struct loop *loop)
{
    loop->stop.done = stop_loop;
    loop->hurry.done = hurry_loop;
    loop->farewell.done = loop_has_ended;
    int result = -pthread_create(&loop->thread, NULL, loop_main, loop);
    if (result == 0)
        loop->broker->loops_started = ++loop->broker->loops_running;
    return result;
}

int loops_start(struct broker *broker, struct beck_error *error)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = (size_t)broker->config->num_network_threads;
    if (count == 0)
        count = processors < 1 ? 1 : (size_t)processors;
    if (count > CONFIG_LOOPS_MAX)
        count = CONFIG_LOOPS_MAX;
    fetch_sessions_init(&broker->fetch_sessions,
                        (uint32_t)broker->config->max_incremental_fetch_session_cache_slots,
                        &broker->bells);
    broker->loops = calloc(count, sizeof(*broker->loops));
    int result = broker->loops ? bells_init(&broker->bells, count, broker->store) : -ENOMEM;
    for (size_t i = 0; result == 0 && i < count; i++) {
        result = loop_init(&broker->loops[i], broker, i);
        if (result == 0)
            broker->loop_count++;
    }
    broker->loops_running = 1;
    if (result == 0)
        result = groups_init(&broker->groups, &broker->loops[0], error);
    for (size_t i = 1; result == 0 && i < count; i++)
        result = start_thread(&broker->loops[i]);
    if (result == 0)
        return 0;
    error->code = result;
    (void)snprintf(error->message, sizeof(error->message), "cannot start %zu network threads: %s",
                   count, strerror(-result));
    loops_stop(broker);
    loops_run(broker);
    loops_done(broker);
    return result;
}

void loops_run(struct broker *broker)
{
    if (broker->loop_count > 0)
        loop_run(&broker->loops[0]);
    for (size_t i = 1; i < broker->loops_started; i++)
        (void)pthread_join(broker->loops[i].thread, NULL);
}

void loops_stop(struct broker *broker)
{
    unsigned time = broker->stops++;
    for (size_t i = 1; i < broker->loops_started && time <= 1; i++) {
        struct loop *loop = &broker->loops[i]; /* it may have ended: then nobody looks */
        inbox_post(&loop->inbox, time == 0 ? &loop->stop : &loop->hurry);
    }
    if (broker->loop_count == 0)
        return;
    if (time == 0)
        groups_stop(&broker->groups);
    loop_stop(&broker->loops[0]);
}

void loops_done(struct broker *broker)
{
    /* One that has handed in what it ran may be about to ring the loop that took it already. */
    broker_stop_workers(broker);
    groups_done(&broker->groups);
    for (size_t i = 0; i < broker->loop_count; i++)
        loop_done(&broker->loops[i]);
    broker->loop_count = 0;
    fetch_sessions_done(&broker->fetch_sessions); /* which listen to them */
    bells_done(&broker->bells);
    free(broker->loops);
    broker->loops = NULL;
}
