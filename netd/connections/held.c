/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of sockets with a wait each; see held.h.
 */
#include "held.h"

#include <stdlib.h>

#include "loop.h"

struct held {
    TAILQ_ENTRY(held) link;
    struct wait wait;
    struct broker *broker;
    struct accepted accepted;
};

static void let_go(struct held *held)
{
    struct broker *broker = held->broker;
    ticks_remove(&broker->loops[0].ticks, &held->wait);
    TAILQ_REMOVE(&broker->held, held, link);
    connection_refuse(broker, &held->accepted);
    free(held);
}

static void time_is_over(struct wait *wait)
{
    let_go((struct held *)((char *)wait - offsetof(struct held, wait)));
}

void held_add(struct broker *broker, const struct accepted *accepted, int32_t wait_ms)
{
    struct held *held = calloc(1, sizeof(*held));
    if (!held || ticks_add(&broker->loops[0].ticks, &held->wait, wait_ms) < 0) {
        free(held);
        connection_refuse(broker, accepted);
        return;
    }
    held->wait.over = time_is_over;
    held->broker = broker;
    held->accepted = *accepted;
    TAILQ_INSERT_TAIL(&broker->held, held, link);
}

void held_close(struct broker *broker)
{
    struct held *held;
    while ((held = TAILQ_FIRST(&broker->held)))
        let_go(held);
}
