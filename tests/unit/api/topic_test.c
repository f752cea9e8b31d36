/* SPDX-License-Identifier: Apache-2.0 */
/* beck.h: topics, their names, numbers, configuration and owners; roles. */
#include "store_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int create(struct fixture *fixture, const char *name, const char *config, const char *value)
{
    struct beck_config entry = {.name = config, .value = value};
    struct beck_topic_options options = {
        .partition_count = 1, .configs = &entry, .config_count = config != NULL};
    return beck_topic_create(fixture->store, name, &options, NULL, &fixture->error);
}

static void a_topic_is_found_by_name_and_id(void **state)
{
    struct fixture *fixture = *state;
    struct beck_topic_options options = {.partition_count = 3};
    struct beck_topic made;
    struct beck_topic found;
    must(beck_topic_create(fixture->store, "events", &options, &made, &fixture->error),
         &fixture->error);
    must(beck_topic_find(fixture->store, "events", &found, &fixture->error), &fixture->error);
    assert_memory_equal(found.id, made.id, BECK_ID_BYTES);
    assert_int_equal(found.partition_count, 3);
    memset(&found, 0, sizeof(found));
    must(beck_topic_find_id(fixture->store, made.id, &found, &fixture->error), &fixture->error);
    assert_string_equal(found.name, "events");
    assert_int_equal(made.id[6] >> 4, 4); /* a version 4 UUID */
    assert_true(found.created_ms > FIXTURE_TIME - INT64_C(400) * 86400000);
}

static void an_unknown_topic_is_not_found(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t id[BECK_ID_BYTES] = {1};
    struct beck_topic found;
    assert_int_equal(beck_topic_find(fixture->store, "none", &found, &fixture->error), -ENOENT);
    assert_int_equal(beck_topic_find(fixture->store, "no/ne", &found, &fixture->error), -ENOENT);
    assert_int_equal(beck_topic_find_id(fixture->store, id, &found, &fixture->error), -ENOENT);
    assert_int_equal(beck_topic_delete(fixture->store, "none", &fixture->error), -ENOENT);
}

static void a_partition_that_is_not_there_is_not_found(void **state)
{
    struct fixture *fixture = *state;
    struct beck_partition *partition = NULL;
    assert_int_equal(create(fixture, "one", NULL, NULL), 0);
    assert_int_equal(beck_partition_open(fixture->store, "one", 1, &partition, &fixture->error),
                     -ENOENT);
    assert_int_equal(beck_partition_open(fixture->store, "one", -1, &partition, &fixture->error),
                     -ENOENT);
    assert_null(partition);
}

static void topics_are_listed_by_name(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"b", "a", "c.d", "c", "B", "c-d"};
    static const char *const sorted[] = {"B", "a", "b", "c", "c-d", "c.d"};
    struct beck_topic topic = {0};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(create(fixture, names[i], NULL, NULL), 0);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(beck_topic_next(fixture->store, topic.name, &topic, &fixture->error), 1);
        assert_string_equal(topic.name, sorted[i]);
    }
    assert_int_equal(beck_topic_next(fixture->store, topic.name, &topic, &fixture->error), 0);
    assert_int_equal(beck_topic_next(fixture->store, NULL, &topic, &fixture->error), 1);
    assert_string_equal(topic.name, "B");
    assert_int_equal(beck_topic_next(fixture->store, "bb", &topic, &fixture->error), 1);
    assert_string_equal(topic.name, "c");
}

static void a_name_is_used_once(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(create(fixture, "t", NULL, NULL), 0);
    assert_int_equal(create(fixture, "t", NULL, NULL), -EEXIST);
    assert_non_null(strstr(fixture->error.message, "exists"));
}

static int create_distinct(struct fixture *fixture, const char *name)
{
    struct beck_topic_options options = {.distinct = true};
    return beck_topic_create(fixture->store, name, &options, NULL, &fixture->error);
}

static void names_are_told_apart_by_more_than_dots_where_that_is_asked_for(void **state)
{
    struct fixture *fixture = *state;
    static const char *const there[] = {"a", "a.b.c", "a.b.c.d", "aZb", "a_", "x_y", "_", "q.r"};
    static const char *const alike[] = {"a.b_c", "a_b.c", "a_b_c", "a_b.c_d", "a.", "x.y", "q_r"};
    static const char *const others[] = {"a.b",  "a-b", "a_b_c_", "a_b_cd", "a_b_c_e", "a..",
                                         "aa_b", "x-y", "x_y_",   "._",     "q.rr",    "a.b.c.d.e"};
    for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
        assert_int_equal(create(fixture, there[i], NULL, NULL), 0);
    for (size_t i = 0; i < sizeof(alike) / sizeof(alike[0]); i++)
        assert_int_equal(create_distinct(fixture, alike[i]), -ENOTUNIQ);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(create_distinct(fixture, others[i]), 0);
    assert_int_equal(create_distinct(fixture, "a_b"), -ENOTUNIQ);
    assert_int_equal(create(fixture, "a_b", NULL, NULL), 0);
    assert_int_equal(create_distinct(fixture, "a_b"), -EEXIST);
}

static void names_that_no_topic_may_have_are_refused(void **state)
{
    struct fixture *fixture = *state;
    char longest[BECK_TOPIC_NAME_BYTES + 2];
    static const char *const names[] = {"", ".", "..", "a b", "a/b", "\xc3\xbc", "a\n"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(create(fixture, names[i], NULL, NULL), -EINVAL);
    memset(longest, 'x', sizeof(longest));
    longest[BECK_TOPIC_NAME_BYTES + 1] = '\0';
    assert_int_equal(create(fixture, longest, NULL, NULL), -EINVAL);
    longest[BECK_TOPIC_NAME_BYTES] = '\0';
    assert_int_equal(create(fixture, longest, NULL, NULL), 0);
    beck_partition_close(must_open_partition(fixture->store, longest, 0));
}

static void a_number_is_used_once(void **state)
{
    struct fixture *fixture = *state;
    struct beck_topic topic;
    uint32_t last = 0;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(create(fixture, "t", NULL, NULL), 0);
        must(beck_topic_find(fixture->store, "t", &topic, &fixture->error), &fixture->error);
        assert_true(topic.number > last);
        last = topic.number;
        must(beck_topic_delete(fixture->store, "t", &fixture->error), &fixture->error);
        fixture_reopen(fixture);
    }
}

static void a_store_has_a_limit_of_partitions(void **state)
{
    struct fixture *fixture = *state;
    struct beck_topic_options options = {.partition_count = BECK_PARTITIONS_MAX + 1};
    assert_int_equal(beck_topic_create(fixture->store, "t", &options, NULL, &fixture->error),
                     -EMSGSIZE);
}

static void many_partitions_work(void **state)
{
    struct fixture *fixture = *state;
    must_create_topic(fixture->store, "wide", 300, NULL, NULL);
    for (int32_t i = 0; i < 300; i += 37) {
        struct beck_partition *partition = must_open_partition(fixture->store, "wide", i);
        must_append(partition, "x", BECK_ACKS_LEADER);
        beck_partition_close(partition);
    }
    fixture_reopen(fixture);
    struct beck_partition *partition = must_open_partition(fixture->store, "wide", 37 * 8);
    assert_int_equal(count_records(partition, 0), 1);
    beck_partition_close(partition);
}

/* ---- configuration and owners -------------------------------------------------------------- */

static void a_configuration_is_kept(void **state)
{
    struct fixture *fixture = *state;
    struct beck_config_entry entry;
    bool found = false;
    assert_int_equal(create(fixture, "t", "retention.ms", "1234"), 0);
    fixture_reopen(fixture);
    uint32_t i = 0;
    while (beck_topic_config(fixture->store, "t", i++, &entry, &fixture->error) == 1) {
        assert_true(entry.documentation[0] != '\0');
        if (strcmp(entry.name, "retention.ms") != 0) {
            assert_true(entry.is_default);
            continue;
        }
        found = true;
        assert_string_equal(entry.value, "1234");
        assert_string_equal(entry.default_value, "604800000");
        assert_false(entry.is_default);
    }
    assert_true(found);
}

static void a_wrong_configuration_makes_no_topic(void **state)
{
    struct fixture *fixture = *state;
    struct beck_topic topic;
    assert_int_equal(create(fixture, "t", "retention.ms", "soon"), -EINVAL);
    assert_int_equal(create(fixture, "t", "segment.bytes", "1048575"), -EINVAL);
    assert_int_equal(create(fixture, "t", "no.such.thing", "1"), -EINVAL);
    assert_non_null(strstr(fixture->error.message, "no.such.thing"));
    assert_int_equal(create(fixture, "t", "cleanup.policy", "burn"), -EINVAL);
    assert_int_equal(beck_topic_find(fixture->store, "t", &topic, NULL), -ENOENT);
}

static void owner_and_mode_are_kept(void **state)
{
    struct fixture *fixture = *state;
    struct beck_topic topic;
    assert_int_equal(create(fixture, "t", NULL, NULL), 0);
    must(beck_topic_set_access(fixture->store, "t", 12, (gid_t)-1, 0640, &fixture->error),
         &fixture->error);
    fixture_reopen(fixture);
    must(beck_topic_find(fixture->store, "t", &topic, &fixture->error), &fixture->error);
    assert_int_equal(topic.uid, 12);
    assert_int_equal(topic.gid, getegid());
    assert_int_equal(topic.mode, 0640);
}

static void each_change_moves_the_generation(void **state)
{
    struct fixture *fixture = *state;
    uint64_t before = beck_store_generation(fixture->store);
    assert_int_equal(create(fixture, "t", NULL, NULL), 0);
    uint64_t made = beck_store_generation(fixture->store);
    must(beck_topic_delete(fixture->store, "t", &fixture->error), &fixture->error);
    assert_true(made != before);
    assert_true(beck_store_generation(fixture->store) != made);
}

static int delete_empty(struct fixture *fixture, const char *name)
{
    struct beck_topic topic;
    must(beck_topic_find(fixture->store, name, &topic, &fixture->error), &fixture->error);
    return beck_topic_delete_empty(fixture->store, topic.id, &fixture->error);
}

static void a_topic_without_records_is_deleted_as_empty(void **state)
{
    struct fixture *fixture = *state;
    struct beck_topic topic;
    must_create_topic(fixture->store, "t", 3, NULL, NULL);
    assert_int_equal(delete_empty(fixture, "t"), 0);
    assert_int_equal(beck_topic_find(fixture->store, "t", &topic, &fixture->error), -ENOENT);
}

static void a_topic_with_records_is_not_deleted_as_empty(void **state)
{
    struct fixture *fixture = *state;
    must_create_topic(fixture->store, "t", 3, NULL, NULL);
    struct beck_partition *first = must_open_partition(fixture->store, "t", 0);
    struct beck_partition *last = must_open_partition(fixture->store, "t", 2);
    must_append(last, "kept", BECK_ACKS_ALL); /* unsynced, and so not readable yet */
    assert_int_equal(delete_empty(fixture, "t"), -ENOTEMPTY);
    must_append(first, "goes on", BECK_ACKS_LEADER);
    must_append(last, "goes on", BECK_ACKS_LEADER);
    beck_partition_close(first);
    beck_partition_close(last);
}

/* Appends until it is refused; how many were acknowledged. */
static void *append_until_refused(void *context)
{
    struct beck_partition *partition = context;
    struct beck_record record = {.key_size = -1, .value = "v", .value_size = 1};
    struct beck_append_result result;
    intptr_t count = 0;
    while (count < 20 && beck_produce(partition, &record, 1, BECK_ACKS_LEADER, &result, NULL) == 0)
        count++;
    return (void *)count;
}

static void no_acknowledged_record_goes_with_an_empty_topic(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        void *count;
        must_create_topic(fixture->store, "t", 1, NULL, NULL);
        struct beck_partition *partition = must_open_partition(fixture->store, "t", 0);
        assert_int_equal(pthread_create(&thread, NULL, append_until_refused, partition), 0);
        usleep((useconds_t)(i % 10) * 20);
        int r = delete_empty(fixture, "t");
        assert_int_equal(pthread_join(thread, &count), 0);
        beck_partition_close(partition);
        if (r == 0) {
            assert_int_equal((intptr_t)count, 0);
            continue;
        }
        assert_int_equal(r, -ENOTEMPTY);
        assert_int_equal((intptr_t)count, 20);
        must(beck_topic_delete(fixture->store, "t", &fixture->error), &fixture->error);
    }
}

/* ---- the store ----------------------------------------------------------------------------- */

static void a_store_tells_of_itself(void **state)
{
    struct fixture *fixture = *state;
    struct beck_store_info info;
    must_create_topic(fixture->store, "a", 2, NULL, NULL);
    must_create_topic(fixture->store, "b", 3, NULL, NULL);
    must(beck_store_info(fixture->store, &info, &fixture->error), &fixture->error);
    assert_int_equal(info.topic_count, 2);
    assert_int_equal(info.partition_count, 5);
    assert_int_equal(info.format_version, 1);
    assert_int_equal(info.broker_pid, 0);
    assert_string_equal(info.path, fixture->path);
    assert_false(info.read_only);
}

static int try_role(struct fixture *fixture)
{
    struct beck_store *store = must_open(fixture->path, 0);
    int r = beck_store_become_broker(store, &fixture->error);
    struct beck_store_info info = {0};
    (void)beck_store_info(store, &info, NULL);
    char pid[16];
    (void)snprintf(pid, sizeof(pid), "%d", getppid());
    return r == -EBUSY && info.broker_pid == getppid() && strstr(fixture->error.message, pid) ? 42
           : r == 0                                                                           ? 1
                                                                                              : 2;
}

static void one_process_is_the_broker(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run_in_child(try_role, fixture), 1); /* and its death gives the role back */
    must(beck_store_become_broker(fixture->store, &fixture->error), &fixture->error);
    assert_int_equal(run_in_child(try_role, fixture), 42);
}

static void keys_stay_with_their_partition_and_others_take_turns(void **state)
{
    struct fixture *fixture = *state;
    uint32_t counts[3] = {0};
    uint32_t first = beck_partition_for_key(fixture->store, "key", 3, 3);
    for (int i = 0; i < 300; i++)
        assert_int_equal(beck_partition_for_key(fixture->store, "key", 3, 3), first);
    for (int i = 0; i < 9; i++)
        counts[beck_partition_for_key(fixture->store, NULL, -1, 3)]++;
    for (int i = 0; i < 3; i++)
        assert_int_equal(counts[i], 3);
}

static void the_view_and_records_can_be_read_in_turns(void **state)
{
    struct fixture *fixture = *state;
    struct beck_reader *reader = NULL;
    struct beck_record record;
    char buffer[16];
    must_create_topic(fixture->store, "t", 1, NULL, NULL);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    must_append(fixture->partition, "one", BECK_ACKS_LEADER);
    must_append(fixture->partition, "two", BECK_ACKS_LEADER);
    must_append(fixture->partition, "three", BECK_ACKS_LEADER);
    must(beck_reader_new(fixture->partition, BECK_READ_UNCOMMITTED, &reader, &fixture->error),
         &fixture->error);
    assert_int_equal(beck_reader_view(reader, 0, buffer, 4, &fixture->error), 4);
    assert_int_equal(beck_reader_next(reader, &record, &fixture->error), 1);
    assert_int_equal(beck_reader_view(reader, 4, buffer, 4, &fixture->error), 4);
    assert_memory_equal(buffer, "two\n", 4);
    beck_reader_free(reader);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_store, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_topic_is_found_by_name_and_id),
        TEST(an_unknown_topic_is_not_found),
        TEST(a_partition_that_is_not_there_is_not_found),
        TEST(topics_are_listed_by_name),
        TEST(a_name_is_used_once),
        TEST(names_are_told_apart_by_more_than_dots_where_that_is_asked_for),
        TEST(names_that_no_topic_may_have_are_refused),
        TEST(a_number_is_used_once),
        TEST(a_store_has_a_limit_of_partitions),
        TEST(many_partitions_work),
        TEST(a_configuration_is_kept),
        TEST(a_wrong_configuration_makes_no_topic),
        TEST(owner_and_mode_are_kept),
        TEST(each_change_moves_the_generation),
        TEST(a_topic_without_records_is_deleted_as_empty),
        TEST(a_topic_with_records_is_not_deleted_as_empty),
        TEST(no_acknowledged_record_goes_with_an_empty_topic),
        TEST(a_store_tells_of_itself),
        TEST(one_process_is_the_broker),
        TEST(keys_stay_with_their_partition_and_others_take_turns),
        TEST(the_view_and_records_can_be_read_in_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
