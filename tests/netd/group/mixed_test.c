/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups of the new consumer protocol with members of the classic one, and from one to the other.
 */
#include "consumer_pair.h"

#include <string.h>

#include "group/assign.h"

/* Metadata and an assignment of version 1, of topic "t". */
static const char wants_t[] = "\0\1"
                              "\0\0\0\1"
                              "\0\1t"
                              "\xff\xff\xff\xff"
                              "\0\0\0\0";
static const char has_all[] = "\0\1"
                              "\0\0\0\1"
                              "\0\1t"
                              "\0\0\0\4"
                              "\0\0\0\0"
                              "\0\0\0\1"
                              "\0\0\0\2"
                              "\0\0\0\3"
                              "\xff\xff\xff\xff";

/* A classic member of which the new protocol understands what it wants: topic "t". */
static struct actor classic_member(struct pair *pair)
{
    struct actor actor = actor_new(&pair->world, "c");
    actor.wants = wants_t;
    actor.wants_bytes = sizeof(wants_t) - 1;
    return actor;
}

static void classic_group_of_one(struct pair *pair, struct actor *actor)
{
    *actor = classic_member(pair);
    actor_join(actor);
    assert_int_equal(actor->error, KAFKA_NONE);
    actor_sync_own(actor, has_all, sizeof(has_all) - 1);
    world_saved(&pair->world, 0);
}

/* A group of x, of the new protocol, and of the actor, who came behind it and was told what it has:
 * nothing yet. */
static void mixed_group_of_two(struct pair *pair, struct actor *actor)
{
    member_joined(&pair->x);
    actor_join(actor);
    world_saved(&pair->world, 0);
    actor_sync(actor, NULL);
}

static void an_empty_group_takes_either_protocol(void **state)
{
    struct pair *pair = *state;
    struct actor actor = actor_new(&pair->world, "c");
    member_joined(&pair->x);
    member_leave(&pair->x, CONSUMER_EPOCH_LEAVE);
    world_saved(&pair->world, 0);
    actor_join(&actor);
    assert_string_equal(group_type_name(world_group(&pair->world)), "classic");
    (void)actor_leave(&actor);
    world_saved(&pair->world, 0);
    member_joined(&pair->x);
    assert_string_equal(group_type_name(world_group(&pair->world)), "consumer");
    assert_string_equal(pair->x.has, "t0 t1 t2 t3");
}

static void a_classic_member_joins_new_ones(void **state)
{
    struct pair *pair = *state;
    struct actor actor = classic_member(pair);
    member_joined(&pair->x);
    actor_join(&actor);
    world_saved(&pair->world, 0);
    assert_int_equal(actor.error, KAFKA_NONE);
    assert_int_equal(actor.generation, 2);
    actor_sync(&actor, NULL);
    assert_int_equal(actor.error, KAFKA_NONE);
    assert_memory_equal(actor.assignment, "\0\1\0\0\0\0", 6); /* nothing is free yet */
    member_beat(&pair->x);
    world_saved(&pair->world, 0);
    assert_int_equal(actor_heartbeat(&actor), KAFKA_NONE);
    member_settle(&pair->x);
    assert_int_equal(actor_heartbeat(&actor), KAFKA_REBALANCE_IN_PROGRESS);
    actor_join(&actor);
    world_saved(&pair->world, 0);
    actor_sync(&actor, NULL);
    assert_memory_equal(actor.assignment, "\0\1\0\0\0\1\0\1t\0\0\0\2\0\0\0\2\0\0\0\3", 21);
    assert_int_equal(actor_heartbeat(&actor), KAFKA_NONE);
    assert_string_equal(state_name(pair), "Stable");
}

static void a_classic_group_takes_a_new_member(void **state)
{
    struct pair *pair = *state;
    struct actor actor;
    classic_group_of_one(pair, &actor);
    member_joined(&pair->x);
    assert_string_equal(group_type_name(world_group(&pair->world)), "consumer");
    assert_int_equal(actor_heartbeat(&actor), KAFKA_REBALANCE_IN_PROGRESS);
    actor_join(&actor);
    world_saved(&pair->world, 0);
    assert_int_equal(actor.error, KAFKA_NONE);
    assert_int_equal(actor.generation, 2);
    assert_string_equal(actor.protocol, "a");
    member_beat(&pair->x);
    world_saved(&pair->world, 0);
    assert_int_equal(strlen(pair->x.has), strlen("t0 t1"));
}

/* Cooperative members keep what they have while they rebalance. */
static void what_a_classic_member_has_in_a_rebalance_is_not_given_on(void **state)
{
    struct pair *pair = *state;
    struct actor actor;
    classic_group_of_one(pair, &actor);
    static const char has[] = "\0\1"
                              "\0\0\0\1"
                              "\0\1t"
                              "\xff\xff\xff\xff"
                              "\0\0\0\1"
                              "\0\1t"
                              "\0\0\0\4"
                              "\0\0\0\0"
                              "\0\0\0\1"
                              "\0\0\0\2"
                              "\0\0\0\3";
    actor.wants = has;
    actor.wants_bytes = sizeof(has) - 1;
    actor_join(&actor);
    assert_int_equal(world_state(&pair->world), GROUP_COMPLETING);
    member_joined(&pair->x);
    assert_string_equal(pair->x.has, "");
    actor_join(&actor); /* it has all of it still */
    world_settle(&pair->world);
    actor_sync(&actor, NULL); /* and is told to keep half */
    member_beat(&pair->x);
    assert_string_equal(pair->x.has, "");
}

static void a_group_that_may_not_be_converted_stays(void **state)
{
    struct pair *pair = *state;
    struct actor actor;
    pair->world.coordinator.settings.may_upgrade = false;
    classic_group_of_one(pair, &actor);
    member_join(&pair->x);
    assert_int_equal(pair->x.error, KAFKA_GROUP_ID_NOT_FOUND);
    assert_int_equal(actor_heartbeat(&actor), KAFKA_NONE);
}

static void metadata_that_nobody_can_read_keep_a_group_as_it_is(void **state)
{
    struct pair *pair = *state;
    struct actor actor = actor_new(&pair->world, "c"); /* "w" */
    actor_join(&actor);
    actor_sync(&actor, &actor, "one", NULL);
    world_saved(&pair->world, 0);
    member_join(&pair->x);
    assert_int_equal(pair->x.error, KAFKA_GROUP_ID_NOT_FOUND);
    assert_int_equal(actor_heartbeat(&actor), KAFKA_NONE);
    assert_int_equal(world_state(&pair->world), GROUP_STABLE);
}

/* The first classic member left before its generation began, and the first new one is refused. */
static void a_group_that_nobody_got_into_can_be_deleted(void **state)
{
    struct pair *pair = *state;
    struct actor actor = actor_new(&pair->world, "c");
    pair->world.coordinator.settings.group_initial_rebalance_delay_ms = DELAY_MS;
    actor_join(&actor);
    (void)actor_leave(&actor);
    world_settle(&pair->world);
    assert_int_equal(world_state(&pair->world), GROUP_PREPARING);
    pair->x.pattern = "(";
    member_join(&pair->x);
    assert_int_equal(pair->x.error, KAFKA_INVALID_REGULAR_EXPRESSION);
    assert_int_equal(coordinator_delete(&pair->world.coordinator, kafka_string_of("g")),
                     KAFKA_NONE);
    world_saved(&pair->world, 0);
}

static void a_group_that_cannot_be_converted_has_nothing_to_save(void **state)
{
    struct pair *pair = *state;
    struct actor known = classic_member(pair);
    struct actor unknown = actor_new(&pair->world, "d"); /* "w" */
    pair->world.coordinator.settings.group_initial_rebalance_delay_ms = DELAY_MS;
    world_of_two(&pair->world, &known, &unknown);
    member_join(&pair->x);
    assert_int_equal(pair->x.error, KAFKA_GROUP_ID_NOT_FOUND);
    actor_join(&known);
    actor_join(&unknown);
    actor_sync(&known, &known, "one", &unknown, "two", NULL);
    world_saved(&pair->world, 0);
    assert_int_equal(pair->world.save_count, 0);
}

static void the_last_new_member_leaves_a_classic_group(void **state)
{
    struct pair *pair = *state;
    struct actor actor = classic_member(pair);
    mixed_group_of_two(pair, &actor);
    member_leave(&pair->x, CONSUMER_EPOCH_LEAVE);
    world_saved(&pair->world, 0);
    assert_int_equal(pair->x.error, KAFKA_NONE);
    assert_string_equal(group_type_name(world_group(&pair->world)), "classic");
    /* It is called to join again with what it has, rather than told that its generation is over. */
    assert_int_equal(actor_heartbeat(&actor), KAFKA_REBALANCE_IN_PROGRESS);
    assert_int_equal(actor_commit(&actor), KAFKA_NONE);
    int32_t before = actor.generation;
    actor_join(&actor);
    assert_int_equal(actor.error, KAFKA_NONE);
    assert_int_equal(actor.generation, before + 1);
    assert_string_equal(actor.leader, actor.id);
}

/* Nobody has what the one who left had: whatever survives, they must not stay with what they have.
 */
static void a_classic_group_that_was_left_rebalances_after_a_restart(void **state)
{
    struct pair *pair = *state;
    struct actor actor = classic_member(pair);
    mixed_group_of_two(pair, &actor);
    member_leave(&pair->x, CONSUMER_EPOCH_LEAVE);
    world_saved(&pair->world, 0);
    world_restart(&pair->world);
    assert_int_equal(actor_heartbeat(&actor), KAFKA_ILLEGAL_GENERATION);
}

/* A static one says nothing when it goes: another comes in its place. */
static void the_last_new_member_that_is_replaced_leaves_a_classic_group(void **state)
{
    struct pair *pair = *state;
    struct actor actor = classic_member(pair);
    actor.instance = "i";
    pair->x.instance = "i";
    member_joined(&pair->x);
    actor_join(&actor);
    world_settle(&pair->world);
    assert_int_equal(actor.error, KAFKA_NONE);
    assert_string_equal(group_type_name(world_group(&pair->world)), "classic");
    actor_sync(&actor, NULL);
    assert_int_equal(actor.error, KAFKA_REBALANCE_IN_PROGRESS);
    actor_join(&actor);
    assert_string_equal(actor.leader, actor.id);
    actor_sync_own(&actor, has_all, sizeof(has_all) - 1);
    world_settle(&pair->world);
    assert_int_equal(actor.error, KAFKA_NONE);
    assert_int_equal(world_state(&pair->world), GROUP_STABLE);
}

static void a_silent_new_member_leaves_a_classic_group(void **state)
{
    struct pair *pair = *state;
    struct actor actor = classic_member(pair);
    mixed_group_of_two(pair, &actor);
    for (int64_t ms = 0; ms < SESSION_NEW_MS; ms += SESSION_MS / 2) {
        (void)actor_heartbeat(&actor);
        world_pass(&pair->world, SESSION_MS / 2);
    }
    world_saved(&pair->world, 0);
    assert_string_equal(group_type_name(world_group(&pair->world)), "classic");
}

static void a_silent_classic_member_is_out(void **state)
{
    struct pair *pair = *state;
    struct actor actor = classic_member(pair);
    mixed_group_of_two(pair, &actor);
    world_pass(&pair->world, SESSION_MS);
    assert_int_equal(actor_heartbeat(&actor), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(world_group(&pair->world)->consumer->member_count, 1);
}

/* Started anew with the other protocol; the classic one has no word for going for a while. */
static void a_static_classic_member_comes_back_as_a_new_one(void **state)
{
    struct pair *pair = *state;
    struct actor actor = classic_member(pair);
    actor.instance = "i";
    mixed_group_of_two(pair, &actor);
    member_beat(&pair->x);
    world_settle(&pair->world);
    member_settle(&pair->x); /* and lets half of them go */
    pair->y.instance = "i";
    member_joined(&pair->y);
    assert_int_equal(pair->y.error, KAFKA_NONE);
    assert_int_equal(world_group(&pair->world)->consumer->classic_count, 0);
    assert_int_equal(world_group(&pair->world)->consumer->member_count, 2);
    assert_int_equal(strlen(pair->y.has), strlen("t0 t1"));
    assert_int_equal(actor_heartbeat(&actor), KAFKA_FENCED_INSTANCE_ID);
}

static void what_it_had_to_do_as_a_classic_member_is_forgotten(void **state)
{
    struct pair *pair = *state;
    struct actor actor = classic_member(pair);
    actor.instance = "i";
    actor.rebalance_ms = 1000;
    pair->x.topics = "u"; /* all of "t" is the other one's, at once */
    member_joined(&pair->x);
    actor_join(&actor); /* and would have to sync within a second */
    world_settle(&pair->world);
    pair->y.instance = "i";
    member_joined(&pair->y);
    for (int64_t ms = 0; ms < 2000; ms += 500) {
        world_pass(&pair->world, 500);
        member_settle(&pair->x);
        member_settle(&pair->y);
        world_settle(&pair->world);
    }
    assert_int_equal(pair->y.error, KAFKA_NONE);
    assert_int_equal(world_group(&pair->world)->consumer->member_count, 2);
}

static void a_mixed_group_survives(void **state)
{
    struct pair *pair = *state;
    struct actor actor = classic_member(pair);
    mixed_group_of_two(pair, &actor);
    member_leave(&pair->x, CONSUMER_EPOCH_LEAVE);
    world_settle(&pair->world);
    member_joined(&pair->x); /* a classic group now, which it joins */
    actor_join(&actor);
    world_settle(&pair->world);
    world_restart(&pair->world);
    assert_int_equal(world_group(&pair->world)->consumer->classic_count, 1);
    actor_sync(&actor, NULL);
    assert_int_equal(actor.error, KAFKA_NONE);
    assert_memory_equal(actor.assignment, "\0\1\0\0\0\1\0\1t", 9);
    assert_int_equal(actor_heartbeat(&actor), KAFKA_NONE);
}

static void a_classic_member_notices_new_partitions(void **state)
{
    struct pair *pair = *state;
    struct actor actor;
    classic_group_of_one(pair, &actor);
    member_joined(&pair->x);
    actor_join(&actor);
    world_settle(&pair->world);
    actor_sync(&actor, NULL);
    assert_int_equal(actor_heartbeat(&actor), KAFKA_NONE);
    world_topic(&pair->world, "t", 8);
    assert_int_equal(actor_heartbeat(&actor), KAFKA_REBALANCE_IN_PROGRESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_group_takes_either_protocol),
        TEST(a_classic_member_joins_new_ones),
        TEST(a_classic_group_takes_a_new_member),
        TEST(what_a_classic_member_has_in_a_rebalance_is_not_given_on),
        TEST(a_group_that_may_not_be_converted_stays),
        TEST(metadata_that_nobody_can_read_keep_a_group_as_it_is),
        TEST(a_group_that_nobody_got_into_can_be_deleted),
        TEST(a_group_that_cannot_be_converted_has_nothing_to_save),
        TEST(the_last_new_member_leaves_a_classic_group),
        TEST(a_classic_group_that_was_left_rebalances_after_a_restart),
        TEST(the_last_new_member_that_is_replaced_leaves_a_classic_group),
        TEST(a_silent_new_member_leaves_a_classic_group),
        TEST(a_silent_classic_member_is_out),
        TEST(a_static_classic_member_comes_back_as_a_new_one),
        TEST(what_it_had_to_do_as_a_classic_member_is_forgotten),
        TEST(a_mixed_group_survives),
        TEST(a_classic_member_notices_new_partitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
