/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the new consumer protocol share: a topic, and two who may join.
 */
#ifndef TESTS_NETD_GROUP_CONSUMER_PAIR_H
#define TESTS_NETD_GROUP_CONSUMER_PAIR_H

#include "consumer_world.h"

#define SESSION_NEW_MS 45000

/* A world with topic "t" of four partitions, and two who may join. */
struct pair {
    struct world world;
    struct member x;
    struct member y;
};

static inline int setup(void **state)
{
    static struct pair pair;
    world_begin(&pair.world, 0);
    world_topic(&pair.world, "t", 4);
    pair.x = member_new(&pair.world, "x", "t");
    pair.y = member_new(&pair.world, "y", "t");
    *state = &pair;
    return 0;
}

static inline int teardown(void **state)
{
    struct pair *pair = *state;
    world_end(&pair->world);
    return 0;
}

static inline const char *state_name(struct pair *pair)
{
    return group_state_name(world_group(&pair->world));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
