/* SPDX-License-Identifier: Apache-2.0
 *
 * Static members (KIP-345) of groups of the classic protocol.
 */
#include "classic_pair.h"

#include <errno.h>

/* A stable group of x and y, of whom the member, one of them, is static. */
static void group_with_static(struct pair *pair, struct actor *member)
{
    member->instance = "i";
    world_of_two(&pair->world, &pair->x, &pair->y);
}

/* The static member, started anew: it knows no member id. */
static struct actor static_again(struct pair *pair, const char *name)
{
    struct actor again = actor_new(&pair->world, name);
    again.instance = "i";
    return again;
}

static void a_static_member_comes_back_without_a_rebalance(void **state)
{
    struct pair *pair = *state;
    group_with_static(pair, &pair->y);
    struct actor again = static_again(pair, "y");
    actor_join(&again);
    assert_int_equal(again.joins, 0); /* it is told when its new id is kept */
    world_saved(&pair->world, 0);
    assert_int_equal(again.joins, 1);
    assert_int_equal(again.error, KAFKA_NONE);
    assert_int_equal(again.generation, 1);
    assert_string_not_equal(again.id, pair->y.id);
    assert_int_equal(world_state(&pair->world), GROUP_STABLE);
    actor_sync(&again, NULL);
    assert_string_equal(again.assignment, "two");
    assert_int_equal(actor_heartbeat(&pair->y), KAFKA_FENCED_INSTANCE_ID);
    assert_int_equal(actor_commit(&pair->y), KAFKA_FENCED_INSTANCE_ID);
}

static void a_static_leader_that_comes_back_may_skip_assigning(void **state)
{
    struct pair *pair = *state;
    group_with_static(pair, &pair->x);
    struct actor again = static_again(pair, "x");
    again.new = true;
    actor_join(&again);
    world_saved(&pair->world, 0);
    assert_true(again.skip);
    assert_string_equal(again.leader, again.id);
    assert_string_equal(again.members, "x=w y=w ");
    assert_int_equal(world_state(&pair->world), GROUP_STABLE);
}

static void a_static_leader_of_old_is_not_told_that_it_leads(void **state)
{
    struct pair *pair = *state;
    group_with_static(pair, &pair->x);
    struct actor again = static_again(pair, "x");
    actor_join(&again);
    world_saved(&pair->world, 0);
    assert_false(again.skip);
    assert_string_equal(again.leader, pair->x.id);
    assert_string_equal(again.members, "");
}

static void a_static_member_is_known_by_its_new_id_after_a_restart(void **state)
{
    struct pair *pair = *state;
    group_with_static(pair, &pair->y);
    struct actor again = static_again(pair, "y");
    actor_join(&again);
    world_saved(&pair->world, 0);
    world_restart(&pair->world);
    assert_int_equal(actor_heartbeat(&again), KAFKA_NONE);
}

static void a_static_member_whose_new_id_cannot_be_kept_joins_again(void **state)
{
    struct pair *pair = *state;
    group_with_static(pair, &pair->y);
    struct actor again = static_again(pair, "y");
    actor_join(&again);
    world_saved(&pair->world, -ENOSPC);
    assert_int_equal(again.error, KAFKA_COORDINATOR_NOT_AVAILABLE);
    again.id[0] = '\0';
    actor_join(&again);
    world_saved(&pair->world, 0);
    assert_int_equal(again.error, KAFKA_NONE);
    assert_int_equal(actor_heartbeat(&again), KAFKA_NONE);
}

static void of_two_that_take_a_static_member_s_place_the_first_is_fenced(void **state)
{
    struct pair *pair = *state;
    group_with_static(pair, &pair->y);
    struct actor first = static_again(pair, "y");
    struct actor second = static_again(pair, "y");
    actor_join(&first);
    actor_join(&second);
    world_saved(&pair->world, 0);
    assert_int_equal(first.error, KAFKA_FENCED_INSTANCE_ID);
    assert_int_equal(second.error, KAFKA_NONE);
}

static void a_static_member_s_place_may_be_gone_before_it_is_kept(void **state)
{
    struct pair *pair = *state;
    group_with_static(pair, &pair->y);
    struct actor again = static_again(pair, "y");
    actor_join(&again);
    pair->y.id[0] = '\0';
    assert_int_equal(actor_leave(&pair->y), KAFKA_NONE); /* by its instance */
    world_saved(&pair->world, 0);
    assert_int_equal(again.joins, 1);
    assert_int_equal(again.error, KAFKA_FENCED_INSTANCE_ID);
}

static void a_static_member_that_is_away_keeps_its_place(void **state)
{
    struct pair *pair = *state;
    group_with_static(pair, &pair->y);
    struct actor z = actor_new(&pair->world, "z");
    actor_join(&z);
    actor_join(&pair->x);
    for (int64_t ms = 0; ms < REBALANCE_MS; ms += 1000) {
        (void)actor_heartbeat(&pair->y);
        world_pass(&pair->world, 1000);
    }
    assert_string_equal(pair->x.members, "x=w y=w z=w ");
}

static void a_static_member_without_time_to_join_does_not_hold_up_others(void **state)
{
    struct pair *pair = *state;
    pair->x.instance = "1";
    pair->x.rebalance_ms = 0;
    world_of_two(&pair->world, &pair->x, &pair->y);
    assert_int_equal(actor_leave(&pair->y), KAFKA_NONE);
    world_pass(&pair->world, SESSION_MS / 2); /* x is waited for, and time goes on */
    assert_int_equal(world_state(&pair->world), GROUP_PREPARING);
    world_pass(&pair->world, SESSION_MS);
    assert_int_equal(world_state(&pair->world), GROUP_EMPTY);
}

static void a_static_member_leaves_by_its_instance(void **state)
{
    struct pair *pair = *state;
    group_with_static(pair, &pair->y);
    pair->y.id[0] = '\0';
    assert_int_equal(actor_leave(&pair->y), KAFKA_NONE);
    assert_int_equal(actor_leave(&pair->y), KAFKA_UNKNOWN_MEMBER_ID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_static_member_comes_back_without_a_rebalance),
        TEST(a_static_leader_that_comes_back_may_skip_assigning),
        TEST(a_static_leader_of_old_is_not_told_that_it_leads),
        TEST(a_static_member_is_known_by_its_new_id_after_a_restart),
        TEST(a_static_member_whose_new_id_cannot_be_kept_joins_again),
        TEST(of_two_that_take_a_static_member_s_place_the_first_is_fenced),
        TEST(a_static_member_s_place_may_be_gone_before_it_is_kept),
        TEST(a_static_member_that_is_away_keeps_its_place),
        TEST(a_static_member_without_time_to_join_does_not_hold_up_others),
        TEST(a_static_member_leaves_by_its_instance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
