/* SPDX-License-Identifier: Apache-2.0
 *
 * Assignors, sets of partitions and patterns: one behaviour a test. What must be true of any
 * assignment is held against many random ones.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "group/assign.h"
#include "group/regex.h"

#define TOPICS  5
#define MEMBERS 7

struct world {
    struct assign_topic topics[TOPICS];
    struct assign_member members[MEMBERS];
    uint32_t subscribed[MEMBERS][TOPICS];
    struct partition_set before[MEMBERS];
    char ids[MEMBERS][2];
    struct assign assign;
};

static void world_begin(struct world *world, uint32_t topics, uint32_t members)
{
    *world = (struct world){.assign = {.topics_count = topics, .members_count = members}};
    world->assign.topics = world->topics;
    world->assign.members = world->members;
    for (uint32_t t = 0; t < topics; t++) {
        world->topics[t].id.bytes[0] = (uint8_t)('a' + t);
        world->topics[t].partition_count = 6;
    }
    for (uint32_t m = 0; m < members; m++) {
        world->ids[m][0] = (char)('p' + m);
        world->members[m].id = kafka_string_of(world->ids[m]);
        world->members[m].before = &world->before[m];
        world->members[m].topics = world->subscribed[m];
        for (uint32_t t = 0; t < topics; t++)
            world->subscribed[m][world->members[m].topics_count++] = t;
    }
}

static void world_end(struct world *world)
{
    for (uint32_t m = 0; m < MEMBERS; m++) {
        partition_set_done(&world->before[m]);
        partition_set_done(&world->members[m].after);
    }
}

/* What was assigned is what they had before. */
static void world_go_on(struct world *world)
{
    for (uint32_t m = 0; m < world->assign.members_count; m++)
        partition_set_move(&world->before[m], &world->members[m].after);
}

static bool wants(const struct assign_member *member, uint32_t t)
{
    for (uint32_t i = 0; i < member->topics_count; i++)
        if (member->topics[i] == t)
            return true;
    return false;
}

/* Each partition that somebody subscribes has one who does; the others have none. */
static void check_all_have_one(const struct world *world)
{
    const struct assign *assign = &world->assign;
    for (uint32_t t = 0; t < assign->topics_count; t++) {
        for (uint32_t p = 0; p < assign->topics[t].partition_count; p++) {
            const struct topic_partition one = {assign->topics[t].id, (int32_t)p};
            unsigned owners = 0;
            bool wanted = false;
            for (uint32_t m = 0; m < assign->members_count; m++) {
                bool has = partition_set_has(&assign->members[m].after, &one);
                owners += has;
                wanted |= wants(&assign->members[m], t);
                assert_true(!has || wants(&assign->members[m], t));
            }
            assert_int_equal(owners, wanted);
        }
    }
}

static uint32_t moved(const struct world *world)
{
    uint32_t count = 0;
    for (uint32_t m = 0; m < world->assign.members_count; m++) {
        struct partition_set lost;
        assert_int_equal(partition_set_without(&world->before[m], &world->members[m].after, &lost),
                         0);
        count += lost.count;
        partition_set_done(&lost);
    }
    return count;
}

static void go(struct world *world, const char *name)
{
    assert_int_equal(assignor_find(kafka_string_of(name))->assign(&world->assign), 0);
    check_all_have_one(world);
}

/* ---- uniform ---- */

static void uniform_is_even(void **state)
{
    struct world world;
    (void)state;
    world_begin(&world, 3, 4); /* 18 partitions */
    go(&world, "uniform");
    unsigned fives = 0;
    for (uint32_t m = 0; m < 4; m++) {
        assert_in_range(world.members[m].after.count, 4, 5);
        fives += world.members[m].after.count == 5;
    }
    assert_int_equal(fives, 2);
    world_end(&world);
}

static void uniform_moves_nothing_without_need(void **state)
{
    struct world world;
    (void)state;
    world_begin(&world, 3, 4);
    go(&world, "uniform");
    world_go_on(&world);
    go(&world, "uniform");
    assert_int_equal(moved(&world), 0);
    world_end(&world);
}

static void uniform_moves_as_few_as_a_new_member_needs(void **state)
{
    struct world world;
    (void)state;
    world_begin(&world, 2, 4); /* 12 partitions: 4 each, then 3 each */
    world.assign.members_count = 3;
    go(&world, "uniform");
    world_go_on(&world);
    world.assign.members_count = 4;
    go(&world, "uniform");
    assert_int_equal(moved(&world), 3);
    for (uint32_t m = 0; m < 4; m++)
        assert_int_equal(world.members[m].after.count, 3);
    world_end(&world);
}

static void uniform_gives_what_was_left_to_those_who_stay(void **state)
{
    struct world world;
    (void)state;
    world_begin(&world, 2, 4);
    go(&world, "uniform");
    world_go_on(&world);
    world.assign.members_count = 3;
    go(&world, "uniform");
    assert_int_equal(moved(&world), 0);
    for (uint32_t m = 0; m < 3; m++)
        assert_int_equal(world.members[m].after.count, 4);
    world_end(&world);
}

static void what_two_had_one_keeps(void **state)
{
    struct world world;
    (void)state;
    world_begin(&world, 1, 2);
    for (uint32_t m = 0; m < 2; m++) {
        world.before[m].list = calloc(1, sizeof(struct topic_partition));
        world.before[m].list[0].topic = world.topics[0].id;
        world.before[m].count = 1;
    }
    go(&world, "uniform");
    assert_int_equal(world.members[0].after.count, 3);
    world_end(&world);
}

static void uniform_gives_topics_to_those_who_subscribe_them(void **state)
{
    struct world world;
    (void)state;
    world_begin(&world, 2, 3);
    world.members[0].topics_count = 1; /* a only; the others both */
    go(&world, "uniform");
    for (uint32_t m = 0; m < 3; m++)
        assert_int_equal(world.members[m].after.count, 4);
    world_end(&world);
}

static void nobody_subscribes_anything(void **state)
{
    struct world world;
    (void)state;
    world_begin(&world, 1, 2);
    world.members[0].topics_count = world.members[1].topics_count = 0;
    go(&world, "uniform");
    assert_int_equal(world.members[0].after.count, 0);
    world_end(&world);
}

/* ---- range ---- */

static void range_keeps_neighbours_together(void **state)
{
    struct world world;
    (void)state;
    world_begin(&world, 2, 4); /* of 6: 2, 2, 1, 1 of each topic */
    go(&world, "range");
    const struct partition_set *first = &world.members[0].after;
    assert_int_equal(first->count, 4);
    assert_int_equal(first->list[0].partition, 0);
    assert_int_equal(first->list[1].partition, 1);
    assert_int_equal(first->list[2].topic.bytes[0], 'b');
    assert_int_equal(first->list[2].partition, 0);
    assert_int_equal(world.members[3].after.count, 2);
    assert_int_equal(world.members[3].after.list[1].partition, 5);
    world_end(&world);
}

static void range_begins_with_static_members(void **state)
{
    struct world world;
    (void)state;
    world_begin(&world, 1, 2);
    world.members[1].instance_id = kafka_string_of("z");
    go(&world, "range");
    assert_int_equal(world.members[1].after.list[0].partition, 0);
    world_end(&world);
}

/* ---- any ---- */

static void randomize(struct world *world)
{
    for (uint32_t t = 0; t < world->assign.topics_count; t++)
        world->topics[t].partition_count = (uint32_t)random() % 9;
    for (uint32_t m = 0; m < world->assign.members_count; m++) {
        struct assign_member *member = &world->members[m];
        member->topics_count = 0;
        for (uint32_t t = 0; t < world->assign.topics_count; t++)
            if (random() % 3 > 0)
                member->topics[member->topics_count++] = t;
    }
}

/* No partition could move to somebody who has two less. */
static void check_no_move_helps(const struct world *world)
{
    const struct assign *assign = &world->assign;
    for (uint32_t m = 0; m < assign->members_count; m++) {
        const struct partition_set *set = &assign->members[m].after;
        for (uint32_t i = 0; i < set->count; i++)
            for (uint32_t other = 0; other < assign->members_count; other++)
                if (wants(&assign->members[other], (uint32_t)(set->list[i].topic.bytes[0] - 'a')))
                    assert_true(assign->members[other].after.count + 1 >= set->count);
    }
}

static void any_subscriptions_are_served(void **state)
{
    (void)state;
    srandom(848);
    for (unsigned round = 0; round < 500; round++) {
        struct world world;
        world_begin(&world, TOPICS, MEMBERS);
        for (unsigned step = 0; step < 5; step++) {
            randomize(&world);
            go(&world, step == 2 ? "range" : "uniform");
            if (step != 2)
                check_no_move_helps(&world);
            world_go_on(&world);
        }
        world_end(&world);
    }
}

static void there_is_no_such_assignor(void **state)
{
    (void)state;
    assert_null(assignor_find(kafka_string_of("best")));
    assert_null(assignor_find((struct kafka_string){0}));
}

/* ---- sets ---- */

static void a_set_has_each_once_and_in_order(void **state)
{
    struct topic_partition list[] = {{{{2}}, 1}, {{{1}}, 3}, {{{2}}, 1}, {{{1}}, 0}};
    struct partition_set set = {.list = list, .count = 4};
    (void)state;
    partition_set_sort(&set);
    assert_int_equal(set.count, 3);
    assert_int_equal(set.list[0].partition, 0);
    assert_int_equal(set.list[1].partition, 3);
    assert_int_equal(set.list[2].topic.bytes[0], 2);
    assert_int_equal(partition_set_topics(&set), 2);
    assert_int_equal(partition_set_topic_end(&set, 0), 2);
}

static void sets_have_in_common_what_is_in_both(void **state)
{
    struct topic_partition one[] = {{{{1}}, 0}, {{{1}}, 1}, {{{1}}, 2}};
    struct topic_partition two[] = {{{{1}}, 1}, {{{1}}, 2}, {{{1}}, 3}};
    const struct partition_set a = {one, 3};
    const struct partition_set b = {two, 3};
    const struct partition_set none = {0};
    struct partition_set set;
    (void)state;
    assert_int_equal(partition_set_common(&a, &b, &set), 0);
    assert_int_equal(set.count, 2);
    assert_true(partition_set_within(&set, &a) && partition_set_within(&set, &b));
    partition_set_done(&set);
    assert_int_equal(partition_set_without(&a, &b, &set), 0);
    assert_int_equal(set.count, 1);
    assert_false(partition_set_meet(&set, &b));
    partition_set_done(&set);
    assert_int_equal(partition_set_union(&a, &b, &set), 0);
    assert_int_equal(set.count, 4);
    partition_set_done(&set);
    assert_true(partition_set_within(&none, &a));
    assert_false(partition_set_within(&a, &none));
    assert_false(partition_set_equal(&a, &b));
}

/* ---- patterns ---- */

static void a_pattern_matches_whole_names(void **state)
{
    struct regex *regex;
    (void)state;
    assert_int_equal(regex_new(kafka_string_of("or.*s|b"), &regex), 0);
    assert_int_equal(regex_try(regex, "orders", REGEX_FEW_STEPS), REGEX_YES);
    assert_int_equal(regex_try(regex, "b", REGEX_FEW_STEPS), REGEX_YES);
    assert_int_equal(regex_try(regex, "my-orders", REGEX_FEW_STEPS), REGEX_NO);
    assert_int_equal(regex_try(regex, "orders-2", REGEX_FEW_STEPS), REGEX_NO);
    regex_free(regex);
}

static void a_wrong_pattern_is_refused(void **state)
{
    struct regex *regex;
    char *longest = calloc(1, REGEX_PATTERN_BYTES + 2);
    (void)state;
    assert_int_equal(regex_new(kafka_string_of("a("), &regex), -EINVAL);
    memset(longest, 'a', REGEX_PATTERN_BYTES + 1);
    assert_int_equal(regex_new(kafka_string_of(longest), &regex), -EINVAL);
    free(longest);
}

static void an_expensive_pattern_gives_up(void **state)
{
    struct regex *regex;
    (void)state;
    assert_int_equal(regex_new(kafka_string_of("(a+a*)+(a+a*)+[bc]"), &regex), 0);
    assert_int_equal(regex_try(regex, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaad",
                               REGEX_MATCH_STEPS),
                     REGEX_DEAR);
    regex_free(regex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uniform_is_even),
        cmocka_unit_test(uniform_moves_nothing_without_need),
        cmocka_unit_test(uniform_moves_as_few_as_a_new_member_needs),
        cmocka_unit_test(uniform_gives_what_was_left_to_those_who_stay),
        cmocka_unit_test(what_two_had_one_keeps),
        cmocka_unit_test(uniform_gives_topics_to_those_who_subscribe_them),
        cmocka_unit_test(nobody_subscribes_anything),
        cmocka_unit_test(range_keeps_neighbours_together),
        cmocka_unit_test(range_begins_with_static_members),
        cmocka_unit_test(any_subscriptions_are_served),
        cmocka_unit_test(there_is_no_such_assignor),
        cmocka_unit_test(a_set_has_each_once_and_in_order),
        cmocka_unit_test(sets_have_in_common_what_is_in_both),
        cmocka_unit_test(a_pattern_matches_whole_names),
        cmocka_unit_test(a_wrong_pattern_is_refused),
        cmocka_unit_test(an_expensive_pattern_gives_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
