/* SPDX-License-Identifier: Apache-2.0
 *
 * The new consumer protocol: one behaviour a test.
 */
#include "consumer_pair.h"

#include <errno.h>
#include <string.h>

#include "group/assign.h"

static int last_configured; /* what was said of the last one; 1: nothing yet */

/* x and y have two partitions each, x "t0 t1" and y "t2 t3" or the like. */
static void share(struct pair *pair)
{
    member_joined(&pair->x);
    member_joined(&pair->y);
    member_beat(&pair->x); /* told to let go of two */
    world_saved(&pair->world, 0);
    member_settle(&pair->x);
    member_settle(&pair->y);
    assert_string_equal(state_name(pair), "Stable");
    assert_int_equal(strlen(pair->x.has), strlen("t0 t1"));
    assert_int_equal(strlen(pair->y.has), strlen("t0 t1"));
}

/* ---- joining ---- */

static void a_lone_member_gets_everything(void **state)
{
    struct pair *pair = *state;
    member_joined(&pair->x);
    assert_string_equal(pair->x.has, "t0 t1 t2 t3");
    assert_int_equal(pair->x.epoch, 1);
    assert_int_equal(pair->x.beat.answer.interval_ms, 5000);
    assert_string_equal(state_name(pair), "Stable");
}

static void the_answer_waits_for_the_disk(void **state)
{
    struct pair *pair = *state;
    member_join(&pair->x);
    assert_int_equal(pair->x.answers, 0);
    world_saved(&pair->world, 0);
    assert_int_equal(pair->x.answers, 1);
}

static void a_disk_that_fails_is_no_answer(void **state)
{
    struct pair *pair = *state;
    member_join(&pair->x);
    world_saved(&pair->world, -EIO);
    assert_int_equal(pair->x.error, KAFKA_COORDINATOR_NOT_AVAILABLE);
    member_joined(&pair->x); /* the next one has it saved again */
    assert_string_equal(pair->x.has, "t0 t1 t2 t3");
}

static void changes_during_a_save_are_one_save(void **state)
{
    struct pair *pair = *state;
    struct member z = member_new(&pair->world, "z", "t");
    member_join(&pair->x);
    member_join(&pair->y);
    member_join(&z);
    assert_int_equal(pair->world.save_count, 1);
    world_saved(&pair->world, 0);
    assert_int_equal(pair->x.answers + pair->y.answers + z.answers, 1);
    assert_int_equal(pair->world.save_count, 1);
    world_saved(&pair->world, 0);
    assert_int_equal(pair->y.answers + z.answers, 2);
}

/* ---- what is configured for the group ---- */

static void configured(struct group_wait *wait, int result)
{
    (void)wait;
    last_configured = result;
}

static int16_t configure(struct pair *pair, int32_t interval_ms)
{
    static struct group_wait waits[2]; /* one may be under way */
    static unsigned turn;
    const struct group_config config = {.heartbeat_interval_ms = interval_ms};
    struct group_wait *wait = &waits[turn++ % 2];
    *wait = (struct group_wait){.end = configured};
    last_configured = 1;
    return coordinator_configure(&pair->world.coordinator, kafka_string_of("g"), &config, wait);
}

static int32_t interval_ms(struct pair *pair)
{
    member_beat(&pair->x);
    return pair->x.beat.answer.interval_ms;
}

static void what_is_configured_holds_when_it_is_kept(void **state)
{
    struct pair *pair = *state;
    member_joined(&pair->x);
    assert_int_equal(configure(pair, 7000), KAFKA_NONE);
    assert_int_equal(interval_ms(pair), 5000);
    assert_int_equal(last_configured, 1);
    world_settle(&pair->world);
    assert_int_equal(last_configured, 0);
    assert_int_equal(interval_ms(pair), 7000);
    world_restart(&pair->world);
    assert_int_equal(world_group(&pair->world)->config.heartbeat_interval_ms, 7000);
}

static void what_cannot_be_kept_does_not_hold(void **state)
{
    struct pair *pair = *state;
    member_joined(&pair->x);
    assert_int_equal(configure(pair, 7000), KAFKA_NONE);
    world_saved(&pair->world, -ENOSPC);
    assert_int_equal(last_configured, -ENOSPC);
    assert_int_equal(interval_ms(pair), 5000);
    member_joined(&pair->y); /* the next state that is kept has nothing of it */
    assert_int_equal(interval_ms(pair), 5000);
    world_settle(&pair->world);
    world_restart(&pair->world);
    assert_int_equal(world_group(&pair->world)->config.heartbeat_interval_ms, 0);
}

static void a_group_without_members_is_configured_likewise(void **state)
{
    struct pair *pair = *state;
    assert_int_equal(configure(pair, 6000), KAFKA_NONE);
    world_saved(&pair->world, 0);
    assert_int_equal(configure(pair, 7000), KAFKA_NONE);
    world_saved(&pair->world, -ENOSPC);
    assert_int_equal(last_configured, -ENOSPC);
    assert_int_equal(world_group(&pair->world)->config.heartbeat_interval_ms, 6000);
    member_joined(&pair->x);
    assert_int_equal(interval_ms(pair), 6000);
}

static void one_change_at_a_time(void **state)
{
    struct pair *pair = *state;
    assert_int_equal(configure(pair, 6000), KAFKA_NONE);
    assert_int_equal(configure(pair, 7000), KAFKA_REBALANCE_IN_PROGRESS);
    world_saved(&pair->world, 0);
    assert_int_equal(world_group(&pair->world)->config.heartbeat_interval_ms, 6000);
    assert_int_equal(configure(pair, 7000), KAFKA_NONE);
    world_saved(&pair->world, 0);
    assert_int_equal(world_group(&pair->world)->config.heartbeat_interval_ms, 7000);
}

/* ---- members ---- */

static void an_id_is_made_where_there_is_none(void **state)
{
    struct pair *pair = *state;
    pair->x.id = "";
    member_joined(&pair->x);
    const struct consumer_member *member =
        TAILQ_FIRST(&world_group(&pair->world)->consumer->members);
    assert_int_equal(member->id.length, GROUP_UUID_BYTES);
}

static void a_topic_that_is_not_there_may_come(void **state)
{
    struct pair *pair = *state;
    pair->x.topics = "n";
    member_joined(&pair->x);
    assert_string_equal(pair->x.has, "");
    world_topic(&pair->world, "n", 2);
    member_beat(&pair->x);
    world_saved(&pair->world, 0);
    assert_string_equal(pair->x.has, "n0 n1");
    assert_int_equal(pair->x.epoch, 2);
}

static void more_partitions_are_given_out(void **state)
{
    struct pair *pair = *state;
    member_joined(&pair->x);
    world_topic(&pair->world, "t", 6);
    member_beat(&pair->x);
    world_saved(&pair->world, 0);
    assert_string_equal(pair->x.has, "t0 t1 t2 t3 t4 t5");
}

static void topics_of_no_concern_change_nothing(void **state)
{
    struct pair *pair = *state;
    member_joined(&pair->x);
    world_topic(&pair->world, "u", 6);
    member_beat(&pair->x);
    assert_int_equal(pair->world.save_count, 0);
    assert_int_equal(pair->x.epoch, 1);
    assert_false(pair->x.was_told);
}

static void a_deleted_topic_is_taken_back(void **state)
{
    struct pair *pair = *state;
    member_joined(&pair->x);
    world_topic(&pair->world, "t", 0);
    member_beat(&pair->x);
    world_saved(&pair->world, 0);
    assert_string_equal(pair->x.has, "");
    member_settle(&pair->x);
    assert_string_equal(state_name(pair), "Stable");
}

static void a_pattern_subscribes_what_matches(void **state)
{
    struct pair *pair = *state;
    world_topic(&pair->world, "u", 1);
    world_topic(&pair->world, "w", 1);
    pair->x.topics = NULL;
    pair->x.pattern = "[tu]";
    member_joined(&pair->x);
    assert_string_equal(pair->x.has, "t0 t1 t2 t3 u0");
}

static void a_wrong_pattern_is_refused(void **state)
{
    struct pair *pair = *state;
    pair->x.pattern = "(";
    member_join(&pair->x);
    assert_int_equal(pair->x.error, KAFKA_INVALID_REGULAR_EXPRESSION);
    assert_int_equal(world_group(&pair->world)->consumer->member_count, 0);
}

static void an_unknown_assignor_is_refused(void **state)
{
    struct pair *pair = *state;
    pair->x.assignor = "best";
    member_join(&pair->x);
    assert_int_equal(pair->x.error, KAFKA_UNSUPPORTED_ASSIGNOR);
}

static void the_assignor_is_what_most_ask_for(void **state)
{
    struct pair *pair = *state;
    pair->x.assignor = "range";
    member_joined(&pair->x);
    assert_string_equal(consumer_assignor(world_group(&pair->world))->name, "range");
}

static void a_full_group_takes_nobody(void **state)
{
    struct pair *pair = *state;
    static const char *const ids[] = {"a", "b", "c", "d", "e"};
    struct member members[5];
    for (int i = 0; i < 5; i++) {
        members[i] = member_new(&pair->world, ids[i], "t");
        member_join(&members[i]);
    }
    assert_int_equal(members[4].error, KAFKA_GROUP_MAX_SIZE_REACHED);
    world_saved(&pair->world, 0);
    world_saved(&pair->world, 0);
    assert_int_equal(members[3].error, KAFKA_NONE);
}

/* Else no change of the group could be kept any more. */
static void a_member_that_the_state_has_no_room_for_is_refused(void **state)
{
    struct pair *pair = *state;
    static char pattern[GROUP_STATE_BYTES_MAX / 2 + 1];
    memset(pattern, 'a', sizeof(pattern) - 1);
    pair->x.pattern = pattern;
    member_join(&pair->x);
    assert_int_equal(pair->x.error, KAFKA_GROUP_MAX_SIZE_REACHED);
    pair->x.pattern = NULL;
    member_joined(&pair->x);
}

static void requests_that_make_no_sense_are_refused(void **state)
{
    struct pair *pair = *state;
    pair->x.topics = NULL; /* it subscribes nothing at all */
    member_join(&pair->x);
    assert_int_equal(pair->x.error, KAFKA_INVALID_REQUEST);
    pair->y.epoch = -3;
    member_beat(&pair->y);
    assert_int_equal(pair->y.error, KAFKA_INVALID_REQUEST);
    pair->y.error = KAFKA_NONE;
    member_leave(&pair->y, CONSUMER_EPOCH_LEAVE_STATIC); /* but it is dynamic */
    assert_int_equal(pair->y.error, KAFKA_INVALID_REQUEST);
}

/* ---- reconciling ---- */

static void a_partition_is_given_on_when_it_was_let_go(void **state)
{
    struct pair *pair = *state;
    member_joined(&pair->x);
    member_joined(&pair->y);
    assert_string_equal(pair->y.has, ""); /* x has all of it still */
    assert_int_equal(pair->y.epoch, 2);
    assert_string_equal(state_name(pair), "Reconciling");
    member_beat(&pair->x);
    world_saved(&pair->world, 0);
    assert_string_equal(pair->x.has, "t0 t1");
    assert_int_equal(pair->x.epoch, 1); /* until it has let go */
    member_beat_owning(&pair->x, "t0 t1 t2 t3");
    assert_int_equal(pair->x.epoch, 1);
    member_beat(&pair->y);
    assert_string_equal(pair->y.has, "");
    member_settle(&pair->x);
    assert_int_equal(pair->x.epoch, 2);
    member_beat(&pair->y);
    world_saved(&pair->world, 0);
    assert_string_equal(pair->y.has, "t2 t3");
    assert_string_equal(state_name(pair), "Stable");
}

static void a_heartbeat_that_changes_nothing_saves_nothing(void **state)
{
    struct pair *pair = *state;
    share(pair);
    int answers = pair->x.answers;
    member_beat(&pair->x);
    assert_int_equal(pair->x.answers, answers + 1);
    assert_int_equal(pair->world.save_count, 0);
    assert_false(pair->x.was_told);
}

static void who_does_not_let_go_in_time_is_out(void **state)
{
    struct pair *pair = *state;
    member_joined(&pair->x);
    member_joined(&pair->y);
    member_beat(&pair->x);
    world_settle(&pair->world);
    for (int64_t ms = 0; ms < REBALANCE_MS; ms += 10000) {
        member_beat(&pair->x);
        member_beat(&pair->y);
        world_pass(&pair->world, 10000);
        world_settle(&pair->world);
    }
    member_beat(&pair->x);
    assert_int_equal(pair->x.error, KAFKA_UNKNOWN_MEMBER_ID);
    member_beat(&pair->y);
    world_settle(&pair->world);
    assert_string_equal(pair->y.has, "t0 t1 t2 t3");
}

static void who_is_silent_is_out(void **state)
{
    struct pair *pair = *state;
    share(pair);
    for (int i = 0; i < 2; i++) {
        world_pass(&pair->world, SESSION_NEW_MS / 2);
        member_beat(&pair->y);
        world_settle(&pair->world);
    }
    member_beat(&pair->y);
    world_settle(&pair->world);
    assert_string_equal(pair->y.has, "t0 t1 t2 t3");
    member_beat(&pair->x);
    assert_int_equal(pair->x.error, KAFKA_UNKNOWN_MEMBER_ID);
}

static void who_leaves_leaves_its_partitions(void **state)
{
    struct pair *pair = *state;
    share(pair);
    member_leave(&pair->x, CONSUMER_EPOCH_LEAVE);
    world_saved(&pair->world, 0);
    assert_int_equal(pair->x.epoch, CONSUMER_EPOCH_LEAVE);
    assert_string_equal(state_name(pair), "Assigning");
    member_beat(&pair->y);
    world_saved(&pair->world, 0);
    assert_string_equal(pair->y.has, "t0 t1 t2 t3");
    member_leave(&pair->y, CONSUMER_EPOCH_LEAVE);
    world_saved(&pair->world, 0);
    assert_string_equal(state_name(pair), "Empty");
}

/* LeaveGroup of the classic protocol is how administrators take members out. */
static void a_member_is_taken_out_by_leave_group(void **state)
{
    struct pair *pair = *state;
    struct coordinator *coordinator = &pair->world.coordinator;
    struct group_caller caller = {.group_id = kafka_string_of("g"),
                                  .member_id = kafka_string_of("x")};
    share(pair);
    assert_int_equal(coordinator_leave(coordinator, &caller), KAFKA_NONE);
    assert_int_equal(coordinator_leave(coordinator, &caller), KAFKA_UNKNOWN_MEMBER_ID);
    world_settle(&pair->world);
    member_settle(&pair->y);
    assert_string_equal(pair->y.has, "t0 t1 t2 t3");
    member_beat(&pair->x);
    assert_int_equal(pair->x.error, KAFKA_UNKNOWN_MEMBER_ID);
}

static void who_subscribes_something_else_gets_that(void **state)
{
    struct pair *pair = *state;
    world_topic(&pair->world, "u", 2);
    share(pair);
    pair->x.topics = "u";
    member_join(&pair->x);
    world_saved(&pair->world, 0);
    assert_string_equal(pair->x.has, "u0 u1");
    member_beat(&pair->y);
    world_saved(&pair->world, 0);
    assert_string_equal(pair->y.has, "t0 t1 t2 t3");
}

/* ---- epochs ---- */

static void a_wrong_epoch_is_fenced(void **state)
{
    struct pair *pair = *state;
    share(pair);
    pair->x.epoch++;
    member_beat(&pair->x);
    assert_int_equal(pair->x.error, KAFKA_FENCED_MEMBER_EPOCH);
    pair->x.epoch -= 2;
    member_beat(&pair->x); /* the one before, but it does not say what it has */
    assert_int_equal(pair->x.error, KAFKA_FENCED_MEMBER_EPOCH);
}

static void a_lost_answer_is_repeated(void **state)
{
    struct pair *pair = *state;
    member_joined(&pair->x);
    world_topic(&pair->world, "t", 6);
    member_beat(&pair->x);
    world_saved(&pair->world, 0);
    assert_int_equal(pair->x.epoch, 2);
    pair->x.epoch = 1; /* it did not hear of it */
    member_beat_owning(&pair->x, "t0 t1");
    assert_int_equal(pair->x.error, KAFKA_NONE);
    assert_int_equal(pair->x.epoch, 2);
}

static void a_member_may_join_again(void **state)
{
    struct pair *pair = *state;
    share(pair);
    member_join(&pair->x);
    world_saved(&pair->world, 0);
    assert_int_equal(pair->x.error, KAFKA_NONE);
    assert_int_equal(strlen(pair->x.has), strlen("t0 t1"));
}

static void an_unknown_member_is_refused(void **state)
{
    struct pair *pair = *state;
    member_joined(&pair->x);
    pair->y.epoch = 1;
    member_beat(&pair->y);
    assert_int_equal(pair->y.error, KAFKA_UNKNOWN_MEMBER_ID);
}

static void an_unknown_group_is_refused(void **state)
{
    struct pair *pair = *state;
    pair->y.epoch = 1;
    member_beat(&pair->y);
    assert_int_equal(pair->y.error, KAFKA_GROUP_ID_NOT_FOUND);
}

static void offsets_are_committed_with_the_epoch(void **state)
{
    struct pair *pair = *state;
    member_joined(&pair->x);
    struct group_caller caller = {.group_id = kafka_string_of("g"),
                                  .member_id = kafka_string_of("x"),
                                  .generation = pair->x.epoch};
    struct coordinator *coordinator = &pair->world.coordinator;
    assert_int_equal(coordinator_may_commit(coordinator, &caller), KAFKA_NONE);
    assert_int_equal(coordinator_may_fetch(coordinator, &caller), KAFKA_NONE);
    caller.is_before_848 = true;
    assert_int_equal(coordinator_may_commit(coordinator, &caller), KAFKA_UNSUPPORTED_VERSION);
    caller.is_before_848 = false;
    caller.generation++;
    assert_int_equal(coordinator_may_commit(coordinator, &caller), KAFKA_STALE_MEMBER_EPOCH);
    assert_int_equal(coordinator_may_fetch(coordinator, &caller), KAFKA_STALE_MEMBER_EPOCH);
    caller.member_id = kafka_string_of("nobody");
    assert_int_equal(coordinator_may_commit(coordinator, &caller), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(coordinator_may_fetch(coordinator, &caller), KAFKA_UNKNOWN_MEMBER_ID);
}

static void a_commit_for_a_group_that_is_not_there_is_refused(void **state)
{
    struct pair *pair = *state;
    struct group_caller caller = {
        .group_id = kafka_string_of("g"), .member_id = kafka_string_of("x"), .generation = 5};
    struct coordinator *coordinator = &pair->world.coordinator;
    assert_int_equal(coordinator_may_commit(coordinator, &caller), KAFKA_GROUP_ID_NOT_FOUND);
    caller.is_before_848 = true;
    assert_int_equal(coordinator_may_commit(coordinator, &caller), KAFKA_ILLEGAL_GENERATION);
}

/* ---- static members ---- */

static void a_static_member_comes_back_to_what_it_had(void **state)
{
    struct pair *pair = *state;
    char had[256];
    pair->x.instance = "i";
    share(pair);
    memcpy(had, pair->x.has, sizeof(had));
    member_leave(&pair->x, CONSUMER_EPOCH_LEAVE_STATIC);
    world_saved(&pair->world, 0);
    member_beat(&pair->y);
    assert_int_equal(strlen(pair->y.has), strlen("t0 t1")); /* the other keeps its share */
    pair->x.id = "x2";
    member_joined(&pair->x);
    assert_string_equal(pair->x.has, had);
    assert_string_equal(state_name(pair), "Stable");
}

static void a_static_member_that_does_not_come_back_is_out(void **state)
{
    struct pair *pair = *state;
    pair->x.instance = "i";
    member_joined(&pair->x);
    member_leave(&pair->x, CONSUMER_EPOCH_LEAVE_STATIC);
    world_saved(&pair->world, 0);
    world_pass(&pair->world, SESSION_NEW_MS);
    assert_string_equal(state_name(pair), "Empty");
}

static void an_instance_that_is_there_is_not_replaced(void **state)
{
    struct pair *pair = *state;
    pair->x.instance = pair->y.instance = "i";
    member_joined(&pair->x);
    member_join(&pair->y);
    assert_int_equal(pair->y.error, KAFKA_UNRELEASED_INSTANCE_ID);
    pair->y.epoch = 1;
    member_beat(&pair->y);
    assert_int_equal(pair->y.error, KAFKA_FENCED_INSTANCE_ID);
}

/* ---- the coordinator dies ---- */

static void members_go_on_where_they_were(void **state)
{
    struct pair *pair = *state;
    share(pair);
    world_restart(&pair->world);
    assert_string_equal(state_name(pair), "Stable");
    int32_t epoch = pair->x.epoch;
    member_beat(&pair->x);
    assert_int_equal(pair->x.error, KAFKA_NONE);
    assert_int_equal(pair->x.epoch, epoch);
    assert_int_equal(pair->world.save_count, 0);
}

static void a_pattern_survives(void **state)
{
    struct pair *pair = *state;
    pair->x.topics = NULL;
    pair->x.pattern = "t|u";
    member_joined(&pair->x);
    world_restart(&pair->world);
    world_topic(&pair->world, "u", 1);
    member_beat(&pair->x);
    world_saved(&pair->world, 0);
    assert_string_equal(pair->x.has, "t0 t1 t2 t3 u0");
}

static void what_is_to_be_let_go_is_waited_for_after_it(void **state)
{
    struct pair *pair = *state;
    member_joined(&pair->x);
    member_joined(&pair->y);
    member_beat(&pair->x);
    world_saved(&pair->world, 0);
    world_restart(&pair->world);
    member_beat(&pair->y);
    assert_string_equal(pair->y.has, "");
    member_settle(&pair->x);
    member_beat(&pair->y);
    world_saved(&pair->world, 0);
    assert_string_equal(pair->y.has, "t2 t3");
}

static void what_was_not_saved_was_not_promised(void **state)
{
    struct pair *pair = *state;
    member_joined(&pair->x);
    member_join(&pair->y);
    world_restart(&pair->world);
    assert_int_equal(pair->y.error, KAFKA_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(world_group(&pair->world)->consumer->member_count, 1);
}

/* Every prefix of a state is refused, and nothing is left of it. */
static void a_damaged_state_is_refused(void **state)
{
    struct pair *pair = *state;
    share(pair);
    struct kafka_bytes kept = pair->world.kept;
    for (uint32_t length = 0; length < kept.length; length++)
        assert_true(coordinator_load(&pair->world.coordinator, kafka_string_of("h"),
                                     (struct kafka_bytes){kept.data, length}) < 0);
    assert_null(coordinator_find(&pair->world.coordinator, kafka_string_of("h")));
}

/* ---- deleting ---- */

static void a_group_is_deleted_when_all_have_left(void **state)
{
    struct pair *pair = *state;
    struct coordinator *coordinator = &pair->world.coordinator;
    member_joined(&pair->x);
    assert_int_equal(coordinator_delete(coordinator, kafka_string_of("g")), KAFKA_NON_EMPTY_GROUP);
    member_leave(&pair->x, CONSUMER_EPOCH_LEAVE);
    world_saved(&pair->world, 0);
    assert_int_equal(coordinator_delete(coordinator, kafka_string_of("g")), KAFKA_NONE);
    world_saved(&pair->world, 0);
    assert_null(coordinator_find(coordinator, kafka_string_of("g")));
}

static void subscribed_topics_are_known(void **state)
{
    struct pair *pair = *state;
    member_joined(&pair->x);
    assert_true(group_is_subscribed(world_group(&pair->world), kafka_string_of("t")));
    assert_false(group_is_subscribed(world_group(&pair->world), kafka_string_of("u")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lone_member_gets_everything),
        TEST(the_answer_waits_for_the_disk),
        TEST(a_disk_that_fails_is_no_answer),
        TEST(what_is_configured_holds_when_it_is_kept),
        TEST(what_cannot_be_kept_does_not_hold),
        TEST(a_group_without_members_is_configured_likewise),
        TEST(one_change_at_a_time),
        TEST(changes_during_a_save_are_one_save),
        TEST(an_id_is_made_where_there_is_none),
        TEST(a_topic_that_is_not_there_may_come),
        TEST(more_partitions_are_given_out),
        TEST(topics_of_no_concern_change_nothing),
        TEST(a_deleted_topic_is_taken_back),
        TEST(a_pattern_subscribes_what_matches),
        TEST(a_wrong_pattern_is_refused),
        TEST(an_unknown_assignor_is_refused),
        TEST(the_assignor_is_what_most_ask_for),
        TEST(a_full_group_takes_nobody),
        TEST(a_member_that_the_state_has_no_room_for_is_refused),
        TEST(requests_that_make_no_sense_are_refused),
        TEST(a_partition_is_given_on_when_it_was_let_go),
        TEST(a_heartbeat_that_changes_nothing_saves_nothing),
        TEST(who_does_not_let_go_in_time_is_out),
        TEST(who_is_silent_is_out),
        TEST(who_leaves_leaves_its_partitions),
        TEST(a_member_is_taken_out_by_leave_group),
        TEST(who_subscribes_something_else_gets_that),
        TEST(a_wrong_epoch_is_fenced),
        TEST(a_lost_answer_is_repeated),
        TEST(a_member_may_join_again),
        TEST(an_unknown_member_is_refused),
        TEST(an_unknown_group_is_refused),
        TEST(offsets_are_committed_with_the_epoch),
        TEST(a_commit_for_a_group_that_is_not_there_is_refused),
        TEST(a_static_member_comes_back_to_what_it_had),
        TEST(a_static_member_that_does_not_come_back_is_out),
        TEST(an_instance_that_is_there_is_not_replaced),
        TEST(members_go_on_where_they_were),
        TEST(a_pattern_survives),
        TEST(what_is_to_be_let_go_is_waited_for_after_it),
        TEST(what_was_not_saved_was_not_promised),
        TEST(a_damaged_state_is_refused),
        TEST(a_group_is_deleted_when_all_have_left),
        TEST(subscribed_topics_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
