/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the classic protocol share: two clients of one group.
 */
#ifndef TESTS_NETD_GROUP_CLASSIC_PAIR_H
#define TESTS_NETD_GROUP_CLASSIC_PAIR_H

#include "world.h"

/* A world with two members, "x" who leads and "y". */
struct pair {
    struct world world;
    struct actor x;
    struct actor y;
};

static inline int setup(void **state)
{
    static struct pair pair;
    world_begin(&pair.world, DELAY_MS);
    pair.x = actor_new(&pair.world, "x");
    pair.y = actor_new(&pair.world, "y");
    *state = &pair;
    return 0;
}

static inline int teardown(void **state)
{
    struct pair *pair = *state;
    world_end(&pair->world);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
