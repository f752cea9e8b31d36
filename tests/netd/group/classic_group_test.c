/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups of the classic protocol as a whole: commits, restarts, deletion, and the store beside
 * them.
 */
#include "classic_pair.h"

#include <string.h>

/* ---- commits ---- */

static void members_commit_in_their_generation(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    assert_int_equal(actor_commit(&pair->x), KAFKA_NONE);
    pair->x.generation = 0;
    assert_int_equal(actor_commit(&pair->x), KAFKA_ILLEGAL_GENERATION);
    pair->x.generation = 1;
    strcpy(pair->x.id, "nobody");
    assert_int_equal(actor_commit(&pair->x), KAFKA_UNKNOWN_MEMBER_ID);
}

static void commits_wait_for_the_assignments(void **state)
{
    struct pair *pair = *state;
    actor_join(&pair->x);
    world_pass(&pair->world, DELAY_MS);
    assert_int_equal(actor_commit(&pair->x), KAFKA_REBALANCE_IN_PROGRESS);
}

static void who_is_no_member_commits_to_empty_groups_only(void **state)
{
    struct pair *pair = *state;
    struct actor simple = actor_new(&pair->world, "simple");
    assert_int_equal(actor_commit(&simple), KAFKA_NONE);
    strcpy(simple.id, "mine"); /* some name themselves */
    assert_int_equal(actor_commit(&simple), KAFKA_NONE);
    simple.id[0] = '\0';
    simple.generation = 3;
    assert_int_equal(actor_commit(&simple), KAFKA_UNKNOWN_MEMBER_ID);
    simple.generation = -1;
    world_of_two(&pair->world, &pair->x, &pair->y);
    assert_int_equal(actor_commit(&simple), KAFKA_UNKNOWN_MEMBER_ID);
}

/* ---- being started anew ---- */

static void members_go_on_after_a_restart(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    world_restart(&pair->world);
    assert_int_equal(actor_heartbeat(&pair->x), KAFKA_NONE);
    assert_int_equal(actor_commit(&pair->y), KAFKA_NONE);
    actor_sync(&pair->y, NULL);
    assert_string_equal(pair->y.assignment, "two");
    assert_int_equal(world_state(&pair->world), GROUP_STABLE);
}

static void a_member_that_did_not_survive_expires_after_a_restart(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    world_restart(&pair->world);
    world_pass(&pair->world, SESSION_MS - 1);
    assert_int_equal(actor_heartbeat(&pair->x), KAFKA_NONE);
    world_pass(&pair->world, 1);
    assert_int_equal(actor_heartbeat(&pair->y), KAFKA_UNKNOWN_MEMBER_ID);
}

static void a_rebalance_that_a_restart_cut_short_is_done_again(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    actor_join(&pair->x);
    actor_join(&pair->y);
    assert_int_equal(pair->x.generation, 2);
    actor_sync(&pair->x, &pair->x, "three", NULL);
    world_restart(&pair->world); /* before the assignments were kept */
    assert_int_equal(pair->x.error, KAFKA_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(actor_heartbeat(&pair->x), KAFKA_ILLEGAL_GENERATION);
    actor_join(&pair->x);
    actor_join(&pair->y);
    actor_sync(&pair->x, &pair->x, "three", &pair->y, "four", NULL);
    actor_sync(&pair->y, NULL);
    world_saved(&pair->world, 0);
    assert_string_equal(pair->y.assignment, "four");
}

static void a_state_that_is_damaged_is_refused(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    struct kafka_bytes kept = pair->world.kept;
    for (uint32_t size = 0; size < kept.length; size++)
        assert_true(coordinator_load(&pair->world.coordinator, kafka_string_of("other"),
                                     (struct kafka_bytes){kept.data, size}) < 0);
    assert_null(coordinator_find(&pair->world.coordinator, kafka_string_of("other")));
    assert_int_equal(coordinator_load(&pair->world.coordinator, kafka_string_of("other"), kept), 0);
}

/* ---- deleting ---- */

static void a_group_with_members_is_not_deleted(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    assert_int_equal(coordinator_delete(&pair->world.coordinator, kafka_string_of("g")),
                     KAFKA_NON_EMPTY_GROUP);
}

static void an_empty_group_is_gone_when_that_is_durable(void **state)
{
    struct pair *pair = *state;
    world_of_two(&pair->world, &pair->x, &pair->y);
    (void)actor_leave(&pair->x);
    (void)actor_leave(&pair->y);
    assert_int_equal(coordinator_delete(&pair->world.coordinator, kafka_string_of("g")),
                     KAFKA_NONE);
    assert_int_equal(coordinator_delete(&pair->world.coordinator, kafka_string_of("g")),
                     KAFKA_GROUP_ID_NOT_FOUND);
    world_saved(&pair->world, 0);
    assert_null(coordinator_find(&pair->world.coordinator, kafka_string_of("g")));
}

static void a_subscription_is_seen(void **state)
{
    struct pair *pair = *state;
    /* version 0, one topic "t", no user data */
    static const char metadata[] = {0, 0, 0, 0, 0, 1, 0, 1, 't', 0};
    world_of_two(&pair->world, &pair->x, &pair->y);
    struct group *group = coordinator_find(&pair->world.coordinator, kafka_string_of("g"));
    struct group_protocol *protocol = &TAILQ_FIRST(&group->members)->protocols[0];
    bytes_free(&protocol->metadata);
    assert_int_equal(
        bytes_copy((struct kafka_bytes){metadata, sizeof(metadata)}, &protocol->metadata), 0);
    assert_true(group_is_subscribed(group, kafka_string_of("t")));
    assert_false(group_is_subscribed(group, kafka_string_of("u")));
}

/* ---- beside the store ---- */

static void groups_follow_the_store(void **state)
{
    struct pair *pair = *state;
    struct coordinator *coordinator = &pair->world.coordinator;
    const struct kafka_string known[] = {kafka_string_of("made by a tool")};
    assert_non_null(coordinator_make(coordinator, kafka_string_of("expired")));
    world_pass(&pair->world, GROUP_COMMIT_MS + 1);
    world_of_two(&pair->world, &pair->x, &pair->y);
    coordinator_match(coordinator, known, 1, coordinator->now_ms);
    assert_non_null(coordinator_find(coordinator, kafka_string_of("made by a tool")));
    assert_null(coordinator_find(coordinator, kafka_string_of("expired")));
    assert_int_equal(world_state(&pair->world), GROUP_STABLE); /* who has members stays */
    world_pass(&pair->world, 1);
    coordinator_match(coordinator, NULL, 0, coordinator->now_ms);
    assert_null(coordinator_find(coordinator, kafka_string_of("made by a tool")));
}

static void what_happens_while_the_store_is_read_is_newer(void **state)
{
    struct pair *pair = *state;
    struct coordinator *coordinator = &pair->world.coordinator;
    const struct kafka_string gone = kafka_string_of("deleted meanwhile");
    const struct group_caller caller = {.group_id = kafka_string_of("committed meanwhile"),
                                        .generation = -1};
    assert_non_null(coordinator_make(coordinator, gone));
    world_pass(&pair->world, 20000);
    int64_t read_ms = coordinator->now_ms;
    world_pass(&pair->world, 5);
    assert_int_equal(coordinator_delete(coordinator, gone), 0);
    world_saved(&pair->world, 0);
    assert_int_equal(coordinator_may_commit(coordinator, &caller), 0);
    coordinator_match(coordinator, &gone, 1, read_ms);
    assert_null(coordinator_find(coordinator, gone));
    assert_non_null(coordinator_find(coordinator, caller.group_id));
    /* The commit may still be on its way to the store. */
    world_pass(&pair->world, GROUP_COMMIT_MS - 10);
    coordinator_match(coordinator, NULL, 0, coordinator->now_ms);
    assert_non_null(coordinator_find(coordinator, caller.group_id));
}

static void a_group_is_in_use_from_its_first_join_on(void **state)
{
    struct pair *pair = *state;
    struct group *group;
    actor_join(&pair->x);
    group = coordinator_find(&pair->world.coordinator, kafka_string_of("g"));
    assert_int_equal(group->state, GROUP_PREPARING);
    assert_int_equal(pair->world.save_count, 1); /* so that nothing of it expires now */
    world_saved(&pair->world, 0);
    world_restart(&pair->world);
    group = coordinator_find(&pair->world.coordinator, kafka_string_of("g"));
    assert_non_null(group);
    assert_int_equal(group->state, GROUP_EMPTY);
    assert_int_equal(group->member_count, 0);
}

static void who_joins_while_it_stops_is_answered(void **state)
{
    struct pair *pair = *state;
    coordinator_stop(&pair->world.coordinator);
    actor_join(&pair->x);
    assert_int_equal(pair->x.joins, 1);
    assert_int_equal(pair->x.error, KAFKA_COORDINATOR_NOT_AVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(members_commit_in_their_generation),
        TEST(commits_wait_for_the_assignments),
        TEST(who_is_no_member_commits_to_empty_groups_only),
        TEST(members_go_on_after_a_restart),
        TEST(a_member_that_did_not_survive_expires_after_a_restart),
        TEST(a_rebalance_that_a_restart_cut_short_is_done_again),
        TEST(a_state_that_is_damaged_is_refused),
        TEST(a_group_with_members_is_not_deleted),
        TEST(an_empty_group_is_gone_when_that_is_durable),
        TEST(a_subscription_is_seen),
        TEST(groups_follow_the_store),
        TEST(what_happens_while_the_store_is_read_is_newer),
        TEST(a_group_is_in_use_from_its_first_join_on),
        TEST(who_joins_while_it_stops_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
