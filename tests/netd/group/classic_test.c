/* SPDX-License-Identifier: Apache-2.0
 *
 * The classic protocol, as Kafka's clients know it: one behaviour a test.
 */
#include "classic_pair.h"

#include <errno.h>
#include <string.h>

/* ---- joining ---- */

static void a_new_member_is_given_an_id_first(void **state)
{
    struct pair *pair = *state;
    actor_join(&pair->x);
    assert_int_equal(pair->x.joins, 0); /* with the id, it waits */
    assert_true(strncmp(pair->x.id, "x-", 2) == 0);
    assert_int_equal(strlen(pair->x.id), 2 + 36);
}

static void an_old_client_joins_without_one(void **state)
{
    struct pair *pair = *state;
    pair->x.old = true;
    actor_join(&pair->x);
    assert_string_equal(pair->x.asked_id, ""); /* it was not told to come again with one */
    world_pass(&pair->world, DELAY_MS);
    assert_int_equal(pair->x.joins, 1);
    assert_int_equal(pair->x.error, KAFKA_NONE);
    assert_int_equal(pair->x.generation, 1);
}

static void the_first_members_are_waited_for(void **state)
{
    struct pair *pair = *state;
    actor_join(&pair->x);
    world_pass(&pair->world, DELAY_MS - 1);
    actor_join(&pair->y); /* one more came: the delay begins anew */
    world_pass(&pair->world, DELAY_MS);
    assert_int_equal(pair->x.joins, 0);
    world_pass(&pair->world, 1);
    assert_int_equal(pair->x.joins, 1);
    assert_int_equal(pair->y.joins, 1);
    assert_int_equal(pair->x.generation, 1);
    assert_int_equal(pair->y.generation, 1);
}

static void the_delay_ends_with_the_rebalance_timeout(void **state)
{
    struct pair *pair = *state;
    actor_join(&pair->x);
    for (int64_t ms = 0; ms < REBALANCE_MS + DELAY_MS; ms += 1000) {
        struct actor other = actor_new(&pair->world, "other");
        other.old = true;
        actor_join(&other);
        (void)actor_leave(&other);
        world_pass(&pair->world, 1000);
    }
    assert_int_equal(pair->x.joins, 1);
}

static void only_the_leader_is_told_who_there_is(void **state)
{
    struct pair *pair = *state;
    pair->y.wants = "v";
    world_of_two(&pair->world, &pair->x, &pair->y);
    assert_string_equal(pair->x.members, "x=w y=v ");
    assert_string_equal(pair->y.members, "");
    assert_string_equal(pair->y.leader, pair->x.id);
}

static void the_protocol_is_what_all_know_and_most_like(void **state)
{
    struct pair *pair = *state;
    struct actor z = actor_new(&pair->world, "z");
    pair->x.protocols = "abc";
    pair->y.protocols = "cb";
    z.protocols = "bc";
    actor_join(&pair->x);
    actor_join(&pair->y);
    actor_join(&z);
    world_pass(&pair->world, 2 * DELAY_MS);
    assert_string_equal(pair->x.protocol, "b");
    assert_string_equal(z.protocol, "b");
}

static void a_member_without_a_common_protocol_is_refused(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    struct actor z = actor_new(&pair->world, "z");
    z.protocols = "q";
    actor_join(&z);
    assert_int_equal(z.error, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    assert_int_equal(world_state(&pair->world), GROUP_STABLE);
}

static void an_unknown_member_is_refused(void **state)
{
    struct pair *pair = *state;
    strcpy(pair->x.id, "nobody");
    actor_join(&pair->x);
    assert_int_equal(pair->x.error, KAFKA_UNKNOWN_MEMBER_ID);
    assert_null(coordinator_find(&pair->world.coordinator, kafka_string_of("g")));
}

static void a_session_timeout_out_of_bounds_is_refused(void **state)
{
    struct pair *pair = *state;
    pair->world.coordinator.settings.group_min_session_timeout_ms = SESSION_MS + 1;
    actor_join(&pair->x);
    assert_int_equal(pair->x.error, KAFKA_INVALID_SESSION_TIMEOUT);
}

static void a_full_group_takes_nobody(void **state)
{
    struct pair *pair = *state;
    struct actor actors[5];
    for (int i = 0; i < 5; i++) {
        actors[i] = actor_new(&pair->world, "many");
        actor_join(&actors[i]);
    }
    assert_int_equal(actors[4].error, KAFKA_GROUP_MAX_SIZE_REACHED);
    world_pass(&pair->world, 2 * DELAY_MS);
    assert_int_equal(actors[3].error, KAFKA_NONE);
}

static void an_id_that_nobody_joins_with_expires(void **state)
{
    struct pair *pair = *state;
    struct group_join *join = &pair->x.join;
    pair->world.coordinator.settings.group_max_size = 1;
    actor_join(&pair->x); /* given an id, and joined with it */
    assert_null(join->answer.group);
    (void)actor_leave(&pair->x);
    world_pass(&pair->world, DELAY_MS);
    const struct group *group = coordinator_find(&pair->world.coordinator, kafka_string_of("g"));
    assert_int_equal(group->member_count + group->pending_count, 0);
    assert_int_equal(group->state, GROUP_EMPTY);
}

static void remember_error(struct group_join *join)
{
    assert_int_equal(join->answer.error, KAFKA_MEMBER_ID_REQUIRED);
}

static void who_never_joined_is_not_missed(void **state)
{
    struct pair *pair = *state;
    const struct group_protocol protocol = {.name = kafka_string_of("a")};
    struct group_join join = {
        .group_id = kafka_string_of("g"),
        .member_id = kafka_string_of(""),
        .client_id = kafka_string_of("z"),
        .protocol_type = kafka_string_of("consumer"),
        .protocols = &protocol,
        .protocols_count = 1,
        .session_timeout_ms = SESSION_MS - 1000,
        .wants_known_id = true,
        .done = remember_error,
    };
    world_of_two(&pair->world, &pair->x, &pair->y);
    coordinator_join(&pair->world.coordinator, &join);
    world_pass(&pair->world, SESSION_MS - 1000);
    const struct group *group = coordinator_find(&pair->world.coordinator, kafka_string_of("g"));
    assert_int_equal(group->pending_count, 0);
    assert_int_equal(group->state, GROUP_STABLE);
}

static void too_many_protocols_are_refused(void **state)
{
    struct pair *pair = *state;
    static struct group_protocol protocols[GROUP_PROTOCOLS_MAX + 1];
    for (size_t i = 0; i <= GROUP_PROTOCOLS_MAX; i++)
        protocols[i].name = kafka_string_of("a");
    actor_join(&pair->x);
    pair->y.join = pair->x.join;
    pair->y.join.member_id = kafka_string_of("");
    pair->y.join.protocol_type = kafka_string_of("consumer");
    pair->y.join.protocols = protocols;
    pair->y.join.protocols_count = GROUP_PROTOCOLS_MAX + 1;
    coordinator_join(&pair->world.coordinator, &pair->y.join);
    assert_int_equal(pair->y.error, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
}

/* ---- syncing ---- */

static void assignments_are_handed_out_when_they_are_kept(void **state)
{
    struct pair *pair = *state;
    actor_join(&pair->x);
    actor_join(&pair->y);
    world_pass(&pair->world, 2 * DELAY_MS);
    actor_sync(&pair->y, NULL);
    actor_sync(&pair->x, &pair->x, "one", &pair->y, "two", NULL);
    assert_int_equal(pair->x.syncs + pair->y.syncs, 0);
    world_saved(&pair->world, 0);
    assert_string_equal(pair->x.assignment, "one");
    assert_string_equal(pair->y.assignment, "two");
}

static void assignments_that_cannot_be_kept_begin_a_rebalance(void **state)
{
    struct pair *pair = *state;
    actor_join(&pair->x);
    world_pass(&pair->world, DELAY_MS);
    actor_sync(&pair->x, &pair->x, "one", NULL);
    world_saved(&pair->world, -EIO);
    assert_int_equal(pair->x.error, KAFKA_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(world_state(&pair->world), GROUP_PREPARING);
}

/* Told to come again, they would for ever. */
static void assignments_that_are_too_large_to_keep_are_an_error_that_stays(void **state)
{
    struct pair *pair = *state;
    actor_join(&pair->x);
    world_pass(&pair->world, DELAY_MS);
    actor_sync(&pair->x, &pair->x, "one", NULL);
    world_saved(&pair->world, -EMSGSIZE);
    assert_int_equal(pair->x.error, KAFKA_UNKNOWN_SERVER_ERROR);
}

static void who_is_not_assigned_anything_gets_nothing(void **state)
{
    struct pair *pair = *state;
    actor_join(&pair->x);
    actor_join(&pair->y);
    world_pass(&pair->world, 2 * DELAY_MS);
    actor_sync(&pair->x, &pair->x, "one", NULL);
    world_saved(&pair->world, 0);
    actor_sync(&pair->y, NULL);
    assert_int_equal(pair->y.error, KAFKA_NONE);
    assert_string_equal(pair->y.assignment, "");
}

static void a_sync_of_another_generation_is_refused(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    pair->y.generation = 7;
    actor_sync(&pair->y, NULL);
    assert_int_equal(pair->y.error, KAFKA_ILLEGAL_GENERATION);
}

static void who_does_not_sync_in_time_is_out(void **state)
{
    struct pair *pair = *state;
    actor_join(&pair->x);
    actor_join(&pair->y);
    world_pass(&pair->world, 2 * DELAY_MS);
    actor_sync(&pair->x, &pair->x, "one", &pair->y, "two", NULL);
    world_saved(&pair->world, 0);
    for (int64_t ms = 0; ms < REBALANCE_MS; ms += 1000) {
        assert_int_equal(actor_heartbeat(&pair->x), KAFKA_NONE);
        (void)actor_heartbeat(&pair->y); /* lives, but has not synced */
        world_pass(&pair->world, 1000);
    }
    assert_int_equal(actor_heartbeat(&pair->y), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(actor_heartbeat(&pair->x), KAFKA_REBALANCE_IN_PROGRESS);
}

/* ---- staying ---- */

static void heartbeats_keep_a_member(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    for (int i = 0; i < 10; i++) {
        world_pass(&pair->world, SESSION_MS - 1);
        assert_int_equal(actor_heartbeat(&pair->x), KAFKA_NONE);
        assert_int_equal(actor_heartbeat(&pair->y), KAFKA_NONE);
    }
}

static void silence_ends_a_membership(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    world_pass(&pair->world, SESSION_MS - 1);
    assert_int_equal(actor_heartbeat(&pair->x), KAFKA_NONE);
    world_pass(&pair->world, 1);
    assert_int_equal(actor_heartbeat(&pair->y), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(actor_heartbeat(&pair->x), KAFKA_REBALANCE_IN_PROGRESS);
    actor_join(&pair->x);
    assert_int_equal(pair->x.generation, 2);
    assert_string_equal(pair->x.members, "x=w ");
}

static void who_waits_for_others_to_join_is_not_out(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    struct actor z = actor_new(&pair->world, "z");
    actor_join(&z);
    actor_join(&pair->x);
    for (int64_t ms = 0; ms < REBALANCE_MS - 1000; ms += 1000) {
        assert_int_equal(actor_heartbeat(&pair->y), KAFKA_REBALANCE_IN_PROGRESS);
        world_pass(&pair->world, 1000);
    }
    assert_int_equal(pair->x.joins, 1); /* y has still time */
    actor_join(&pair->y);
    assert_int_equal(pair->x.joins, 2);
    assert_int_equal(pair->x.generation, 2);
    assert_int_equal(z.generation, 2);
}

static void who_does_not_join_in_time_is_out(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    struct actor z = actor_new(&pair->world, "z");
    actor_join(&z);
    actor_join(&pair->x);
    for (int64_t ms = 0; ms < REBALANCE_MS; ms += 1000) {
        (void)actor_heartbeat(&pair->y);
        world_pass(&pair->world, 1000);
    }
    assert_int_equal(actor_heartbeat(&pair->y), KAFKA_UNKNOWN_MEMBER_ID);
    assert_string_equal(pair->x.members, "x=w z=w ");
}

static void a_follower_who_asks_again_is_told_again(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    actor_join(&pair->y);
    assert_int_equal(pair->y.joins, 2);
    assert_int_equal(pair->y.generation, 1);
    assert_int_equal(world_state(&pair->world), GROUP_STABLE);
}

static void a_follower_who_wants_something_else_begins_a_rebalance(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    pair->y.wants = "more";
    actor_join(&pair->y);
    assert_int_equal(world_state(&pair->world), GROUP_PREPARING);
    actor_join(&pair->x);
    assert_string_equal(pair->x.members, "x=w y=more ");
}

static void a_leader_who_joins_again_begins_a_rebalance(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    actor_join(&pair->x);
    assert_int_equal(world_state(&pair->world), GROUP_PREPARING);
}

/* ---- leaving ---- */

static void leaving_begins_a_rebalance(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    assert_int_equal(actor_leave(&pair->x), KAFKA_NONE);
    assert_int_equal(actor_heartbeat(&pair->y), KAFKA_REBALANCE_IN_PROGRESS);
    actor_join(&pair->y);
    assert_string_equal(pair->y.leader, pair->y.id);
    assert_int_equal(pair->y.generation, 2);
}

static void a_group_that_all_left_is_empty(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    assert_int_equal(actor_leave(&pair->x), KAFKA_NONE);
    assert_int_equal(actor_leave(&pair->y), KAFKA_NONE);
    assert_int_equal(world_state(&pair->world), GROUP_EMPTY);
    assert_int_equal(actor_leave(&pair->y), KAFKA_UNKNOWN_MEMBER_ID);
}

static void who_waits_and_leaves_is_answered(void **state)
{
    struct pair *pair = *state;
    actor_join(&pair->x);
    assert_int_equal(pair->x.joins, 0);
    assert_int_equal(actor_leave(&pair->x), KAFKA_NONE);
    assert_int_equal(pair->x.joins, 1);
    assert_int_equal(pair->x.error, KAFKA_UNKNOWN_MEMBER_ID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_member_is_given_an_id_first),
        TEST(an_old_client_joins_without_one),
        TEST(the_first_members_are_waited_for),
        TEST(the_delay_ends_with_the_rebalance_timeout),
        TEST(only_the_leader_is_told_who_there_is),
        TEST(the_protocol_is_what_all_know_and_most_like),
        TEST(a_member_without_a_common_protocol_is_refused),
        TEST(an_unknown_member_is_refused),
        TEST(a_session_timeout_out_of_bounds_is_refused),
        TEST(a_full_group_takes_nobody),
        TEST(an_id_that_nobody_joins_with_expires),
        TEST(who_never_joined_is_not_missed),
        TEST(too_many_protocols_are_refused),
        TEST(assignments_are_handed_out_when_they_are_kept),
        TEST(assignments_that_cannot_be_kept_begin_a_rebalance),
        TEST(assignments_that_are_too_large_to_keep_are_an_error_that_stays),
        TEST(who_is_not_assigned_anything_gets_nothing),
        TEST(a_sync_of_another_generation_is_refused),
        TEST(who_does_not_sync_in_time_is_out),
        TEST(heartbeats_keep_a_member),
        TEST(silence_ends_a_membership),
        TEST(who_waits_for_others_to_join_is_not_out),
        TEST(who_does_not_join_in_time_is_out),
        TEST(a_follower_who_asks_again_is_told_again),
        TEST(a_follower_who_wants_something_else_begins_a_rebalance),
        TEST(a_leader_who_joins_again_begins_a_rebalance),
        TEST(leaving_begins_a_rebalance),
        TEST(a_group_that_all_left_is_empty),
        TEST(who_waits_and_leaves_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
