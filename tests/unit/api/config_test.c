/* SPDX-License-Identifier: Apache-2.0 */
/* beck.h: configuration of topics and of the store: what may be set, and that it takes effect. */
#include "config.h"
#include "store_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int alter(struct fixture *fixture, const char *name, const char *value)
{
    const struct beck_config_change change = {.name = name, .value = value};
    return beck_topic_alter(fixture->store, "t", &change, 1, 0, &fixture->error);
}

static int alter_list(struct fixture *fixture, enum beck_config_operation operation,
                      const char *value)
{
    const struct beck_config_change change = {"cleanup.policy", value, operation};
    return beck_topic_alter(fixture->store, "t", &change, 1, 0, &fixture->error);
}

static int alter_store(struct fixture *fixture, const char *name, const char *value)
{
    const struct beck_config_change change = {.name = name, .value = value};
    return beck_store_alter(fixture->store, &change, 1, 0, &fixture->error);
}

/* As every store is: the fixture's keeps old records. */
static int setup_defaults(void **state)
{
    const struct beck_config_change reset = {.name = "retention.ms",
                                             .operation = BECK_CONFIG_RESET};
    setup_partition(state);
    struct fixture *fixture = *state;
    must(beck_store_alter(fixture->store, &reset, 1, 0, &fixture->error), &fixture->error);
    return 0;
}

static struct beck_config_entry topic_entry(struct fixture *fixture, const char *name)
{
    struct beck_config_entry entry;
    uint32_t i = 0;
    while (must(beck_topic_config(fixture->store, "t", i++, &entry, &fixture->error),
                &fixture->error) == 1)
        if (strcmp(entry.name, name) == 0)
            return entry;
    fail_msg("topics have no %s", name);
    return entry;
}

static struct beck_config_entry store_entry(struct fixture *fixture, const char *name)
{
    struct beck_config_entry entry;
    uint32_t i = 0;
    while (must(beck_store_config(fixture->store, i++, &entry, &fixture->error), &fixture->error) ==
           1)
        if (strcmp(entry.name, name) == 0)
            return entry;
    fail_msg("the store has no %s", name);
    return entry;
}

#define assert_setting(fixture, name, wanted)                                                      \
    assert_string_equal(topic_entry(fixture, name).value, wanted)
#define assert_says(fixture, text) assert_non_null(strstr((fixture)->error.message, text))

/* ---- changing ------------------------------------------------------------------------------ */

static void a_change_survives_opening_anew(void **state)
{
    struct fixture *fixture = *state;
    must(alter(fixture, "retention.ms", "1000"), &fixture->error);
    fixture_reopen(fixture);
    struct beck_config_entry entry = topic_entry(fixture, "retention.ms");
    assert_string_equal(entry.value, "1000");
    assert_int_equal(entry.source, BECK_CONFIG_FROM_TOPIC);
    assert_int_equal(entry.type, BECK_CONFIG_LONG);
    assert_false(entry.is_default);
}

static void a_reset_brings_the_default_back(void **state)
{
    struct fixture *fixture = *state;
    const struct beck_config_change reset = {.name = "retention.ms",
                                             .operation = BECK_CONFIG_RESET};
    must(alter(fixture, "retention.ms", "1000"), &fixture->error);
    must(beck_topic_alter(fixture->store, "t", &reset, 1, 0, &fixture->error), &fixture->error);
    assert_setting(fixture, "retention.ms", "604800000");
    assert_int_equal(topic_entry(fixture, "retention.ms").source, BECK_CONFIG_FROM_DEFAULT);
}

static void all_changes_are_made_or_none(void **state)
{
    struct fixture *fixture = *state;
    const struct beck_config_change changes[] = {
        {.name = "retention.ms", .value = "1000"},
        {.name = "segment.ms", .value = "0"},
    };
    uint64_t generation = beck_store_generation(fixture->store);
    assert_int_equal(beck_topic_alter(fixture->store, "t", changes, 2, 0, &fixture->error),
                     -EINVAL);
    assert_says(fixture, "segment.ms");
    assert_setting(fixture, "retention.ms", "604800000");
    assert_true(beck_store_generation(fixture->store) == generation);
}

static void validating_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    const struct beck_config_change good = {.name = "retention.ms", .value = "1000"};
    const struct beck_config_change bad = {.name = "retention.ms", .value = "-2"};
    must(beck_topic_alter(fixture->store, "t", &good, 1, BECK_ALTER_VALIDATE_ONLY, &fixture->error),
         &fixture->error);
    assert_setting(fixture, "retention.ms", "604800000");
    assert_int_equal(
        beck_topic_alter(fixture->store, "t", &bad, 1, BECK_ALTER_VALIDATE_ONLY, &fixture->error),
        -EINVAL);
    must(beck_store_alter(fixture->store, &good, 1, BECK_ALTER_VALIDATE_ONLY, &fixture->error),
         &fixture->error);
    assert_setting(fixture, "retention.ms", "604800000");
}

static void replacing_resets_what_is_not_named(void **state)
{
    struct fixture *fixture = *state;
    const struct beck_config_change change = {.name = "segment.ms", .value = "5000"};
    must(alter(fixture, "retention.ms", "1000"), &fixture->error);
    must(beck_topic_alter(fixture->store, "t", &change, 1, BECK_ALTER_REPLACE, &fixture->error),
         &fixture->error);
    assert_setting(fixture, "retention.ms", "604800000");
    assert_setting(fixture, "segment.ms", "5000");
}

static void a_list_is_added_to_and_taken_from(void **state)
{
    struct fixture *fixture = *state;
    must(alter_list(fixture, BECK_CONFIG_APPEND, "compact,delete"), &fixture->error);
    assert_setting(fixture, "cleanup.policy", "delete,compact");
    must(alter_list(fixture, BECK_CONFIG_SUBTRACT, "delete"), &fixture->error);
    assert_setting(fixture, "cleanup.policy", "compact");
    must(alter_list(fixture, BECK_CONFIG_SUBTRACT, "compact"), &fixture->error);
    assert_setting(fixture, "cleanup.policy", "");
    assert_int_equal(alter_list(fixture, BECK_CONFIG_APPEND, "burn"), -EINVAL);
}

static void what_is_no_list_cannot_be_added_to(void **state)
{
    struct fixture *fixture = *state;
    const struct beck_config_change change = {"retention.ms", "5", BECK_CONFIG_APPEND};
    assert_int_equal(beck_topic_alter(fixture->store, "t", &change, 1, 0, &fixture->error),
                     -EINVAL);
    assert_says(fixture, "no list");
}

static void an_entry_is_named_once(void **state)
{
    struct fixture *fixture = *state;
    const struct beck_config_change changes[] = {
        {.name = "retention.ms", .value = "1000"},
        {.name = "retention.ms", .value = "2000"},
    };
    assert_int_equal(beck_topic_alter(fixture->store, "t", changes, 2, 0, &fixture->error),
                     -EINVAL);
    assert_says(fixture, "twice");
}

static void a_topic_that_is_not_there_cannot_be_altered(void **state)
{
    struct fixture *fixture = *state;
    const struct beck_config_change change = {.name = "retention.ms", .value = "1000"};
    assert_int_equal(beck_topic_alter(fixture->store, "u", &change, 1, 0, &fixture->error),
                     -ENOENT);
    assert_int_equal(beck_topic_alter(fixture->store, "", &change, 1, 0, &fixture->error), -ENOENT);
}

static void a_reader_alters_nothing(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    fixture->store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
    assert_int_equal(alter(fixture, "retention.ms", "1000"), -EROFS);
    assert_int_equal(alter_store(fixture, "retention.ms", "1000"), -EROFS);
}

static void what_is_set_is_limited_in_size(void **state)
{
    struct fixture *fixture = *state;
    struct beck_config_entry entry;
    int r = 0;
    char text[256];
    for (int i = 0; i < 251; i += 4)
        (void)snprintf(text + i, sizeof(text) - (size_t)i, "%d:0,", i % 10);
    text[251] = '\0';
    /* Long texts in all that take such, and then all the others: it cannot fit. */
    (void)alter_store(fixture, "leader.replication.throttled.replicas", text);
    (void)alter_store(fixture, "follower.replication.throttled.replicas", text);
    memset(text, 'x', 255);
    text[255] = '\0';
    must(alter_store(fixture, "message.format.version", text), &fixture->error);
    text[254] = 'y';
    char longer[300];
    (void)snprintf(longer, sizeof(longer), "%sz", text);
    assert_int_equal(alter_store(fixture, "message.format.version", longer), -EINVAL);
    assert_says(fixture, "255");
    for (uint32_t i = 0; beck_store_config(fixture->store, i, &entry, NULL) == 1 && r >= 0; i++)
        r = alter_store(fixture, entry.name, entry.default_value);
    assert_true(r == 0 || r == -EMSGSIZE);
    fixture_reopen(fixture);
    assert_string_equal(store_entry(fixture, "message.format.version").name,
                        "message.format.version");
}

/* ---- values -------------------------------------------------------------------------------- */

static void numbers_have_the_bounds_of_kafka(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *name;
        const char *value;
        int result;
    } cases[] = {
        {"segment.bytes", "1048576", 0},
        {"segment.bytes", "1048575", -EINVAL},
        {"segment.bytes", "2147483647", 0},
        {"segment.bytes", "2147483648", -EINVAL},
        {"retention.ms", "-1", 0},
        {"retention.ms", "-2", -EINVAL},
        {"retention.bytes", "-5", 0},
        {"segment.ms", "1", 0},
        {"segment.ms", "0", -EINVAL},
        {"max.compaction.lag.ms", "0", -EINVAL},
        {"delete.retention.ms", "0", 0},
        {"delete.retention.ms", "-1", -EINVAL},
        {"min.insync.replicas", "0", -EINVAL},
        {"flush.messages", "0", -EINVAL},
        {"local.retention.ms", "-2", 0},
        {"local.retention.ms", "-3", -EINVAL},
        {"min.cleanable.dirty.ratio", "1", 0},
        {"min.cleanable.dirty.ratio", "1.01", -EINVAL},
        {"min.cleanable.dirty.ratio", "nan", -EINVAL},
        {"min.cleanable.dirty.ratio", ".25", 0},
        {"min.cleanable.dirty.ratio", "5e-1", 0},
        {"min.cleanable.dirty.ratio", "5E1", -EINVAL},
        {"min.cleanable.dirty.ratio", "1e999", -EINVAL},
        {"min.cleanable.dirty.ratio", "0,5", -EINVAL},
        {"min.cleanable.dirty.ratio", "0.5.1", -EINVAL},
        {"min.cleanable.dirty.ratio", ".", -EINVAL},
        {"min.cleanable.dirty.ratio", "0e", -EINVAL},
        {"min.cleanable.dirty.ratio", "1.0E-4", 0},
        {"min.cleanable.dirty.ratio", "-0.1", -EINVAL},
        {"compression.gzip.level", "0", -EINVAL},
        {"compression.zstd.level", "-7", 0},
        {"compression.lz4.level", "18", -EINVAL},
        {"retention.ms", "", -EINVAL},
        {"retention.ms", "9223372036854775808", -EINVAL},
        {"retention.ms", "5 5", -EINVAL},
        {"retention.ms", " 5 ", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (alter(fixture, cases[i].name, cases[i].value) != cases[i].result)
            fail_msg("%s=%s: not %d", cases[i].name, cases[i].value, cases[i].result);
    assert_setting(fixture, "retention.ms", "5");
}

/* It goes by the locale of the program that uses the library. */
double __wrap_strtod(const char *text, char **end);

double __wrap_strtod(const char *text, char **end)
{
    fail_msg("strtod(\"%s\") was called", text);
    *end = NULL;
    return 0;
}

static void numbers_are_the_same_in_every_locale(void **state)
{
    struct fixture *fixture = *state;
    struct config_set set = {.bytes = 0};
    struct config_resolved resolved;
    must(alter(fixture, "min.cleanable.dirty.ratio", "0.3"), &fixture->error);
    must(config_set_put(&set, CONFIG_OF_TOPIC, "min.cleanable.dirty.ratio", "0.3", NULL), NULL);
    config_resolve(&set, NULL, &resolved);
    assert_true(resolved.min_cleanable_dirty_ratio == 0.3);
    config_resolve(NULL, NULL, &resolved);
    assert_true(resolved.min_cleanable_dirty_ratio == 0.5);
}

static void words_and_lists_are_checked(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *name;
        const char *value;
        int result;
    } cases[] = {
        {"cleanup.policy", "compact,delete", 0},
        {"cleanup.policy", "compact, delete", 0},
        {"cleanup.policy", "", 0},
        {"cleanup.policy", "compact,", -EINVAL},
        {"cleanup.policy", ",compact", -EINVAL},
        {"cleanup.policy", "compact delete", -EINVAL},
        {"cleanup.policy", "Compact", -EINVAL},
        {"compression.type", "zstd", 0},
        {"compression.type", "", -EINVAL},
        {"message.timestamp.type", "LogAppendTime", 0},
        {"message.timestamp.type", "logappendtime", -EINVAL},
        {"preallocate", "TRUE", 0},
        {"preallocate", "yes", -EINVAL},
        {"leader.replication.throttled.replicas", "*", 0},
        {"leader.replication.throttled.replicas", "0:1,12:3", 0},
        {"leader.replication.throttled.replicas", "0:", -EINVAL},
        {"leader.replication.throttled.replicas", "a:1", -EINVAL},
        {"message.format.version", "3.0\nname x", -EINVAL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (alter(fixture, cases[i].name, cases[i].value) != cases[i].result)
            fail_msg("%s=%s: not %d", cases[i].name, cases[i].value, cases[i].result);
}

static void entries_must_go_together(void **state)
{
    struct fixture *fixture = *state;
    must(alter(fixture, "max.compaction.lag.ms", "10"), &fixture->error);
    assert_int_equal(alter(fixture, "min.compaction.lag.ms", "11"), -EINVAL);
    assert_says(fixture, "min.compaction.lag.ms");
    must(alter(fixture, "min.compaction.lag.ms", "10"), &fixture->error);
}

static void an_unknown_name_is_answered_with_the_nearest(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(alter(fixture, "retention_ms", "1"), -EINVAL);
    assert_says(fixture, "did you mean retention.ms?");
    assert_int_equal(alter(fixture, "clean.policy", "delete"), -EINVAL);
    assert_says(fixture, "cleanup.policy");
    assert_int_equal(alter(fixture, "x", "1"), -EINVAL);
    assert_null(strstr(fixture->error.message, "did you mean"));
}

/* ---- the store ----------------------------------------------------------------------------- */

static void topics_follow_the_store_where_they_set_nothing(void **state)
{
    struct fixture *fixture = *state;
    must(alter_store(fixture, "retention.ms", "1000"), &fixture->error);
    assert_setting(fixture, "retention.ms", "1000");
    assert_int_equal(topic_entry(fixture, "retention.ms").source, BECK_CONFIG_FROM_STORE);
    assert_true(topic_entry(fixture, "retention.ms").is_default);
    must(alter(fixture, "retention.ms", "2000"), &fixture->error);
    assert_setting(fixture, "retention.ms", "2000");
    assert_string_equal(store_entry(fixture, "retention.ms").value, "1000");
}

static void the_store_has_entries_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    assert_string_equal(store_entry(fixture, "offsets.retention.minutes").value, "10080");
    must(alter_store(fixture, "offsets.retention.minutes", "5"), &fixture->error);
    fixture_reopen(fixture);
    struct beck_config_entry entry = store_entry(fixture, "offsets.retention.minutes");
    assert_string_equal(entry.value, "5");
    assert_int_equal(entry.source, BECK_CONFIG_FROM_STORE);
    assert_int_equal(alter_store(fixture, "offsets.retention.minutes", "0"), -EINVAL);
}

static void a_topic_has_no_entry_of_the_store(void **state)
{
    struct fixture *fixture = *state;
    struct beck_config_entry entry;
    assert_int_equal(alter(fixture, "offsets.retention.minutes", "5"), -EINVAL);
    assert_says(fixture, "of the store");
    for (uint32_t i = 0; beck_topic_config(fixture->store, "t", i, &entry, NULL) == 1; i++)
        assert_string_not_equal(entry.name, "offsets.retention.minutes");
}

static void each_entry_says_what_it_does(void **state)
{
    struct fixture *fixture = *state;
    struct beck_config_entry entry;
    for (uint32_t i = 0; beck_store_config(fixture->store, i, &entry, NULL) == 1; i++) {
        size_t size = strlen(entry.documentation);
        assert_true(size > 20 && entry.documentation[size - 1] == '.');
    }
}

/* ---- taking effect ------------------------------------------------------------------------- */

static void an_open_handle_follows(void **state)
{
    struct fixture *fixture = *state;
    struct beck_record record = {.key_size = -1, .value = "a longer value", .value_size = 14};
    struct beck_append_result result;
    must(alter(fixture, "max.message.bytes", "70"), &fixture->error);
    assert_int_equal(
        beck_produce(fixture->partition, &record, 1, BECK_ACKS_LEADER, &result, &fixture->error),
        -EMSGSIZE);
    must(alter(fixture, "max.message.bytes", "1000"), &fixture->error);
    must(beck_produce(fixture->partition, &record, 1, BECK_ACKS_LEADER, &result, &fixture->error),
         &fixture->error);
    must(alter_store(fixture, "flush.policy", "os"), &fixture->error);
    struct beck_store_info info;
    must(beck_store_info(fixture->store, &info, &fixture->error), &fixture->error);
    assert_true(info.flush_os);
}

static int alter_in_child(struct fixture *fixture)
{
    struct beck_store *store = must_open(fixture->path, 0);
    const struct beck_config_change of_topic = {.name = "max.message.bytes", .value = "70"};
    const struct beck_config_change of_store = {.name = "retention.ms", .value = "77"};
    return beck_topic_alter(store, "t", &of_topic, 1, 0, NULL) < 0 ||
           beck_store_alter(store, &of_store, 1, 0, NULL) < 0;
}

static void another_process_is_followed(void **state)
{
    struct fixture *fixture = *state;
    uint64_t generation = beck_store_generation(fixture->store);
    assert_int_equal(run_in_child(alter_in_child, fixture), 0);
    assert_true(beck_store_generation(fixture->store) != generation);
    assert_setting(fixture, "retention.ms", "77");
    struct beck_record record = {.key_size = -1, .value = "a longer value", .value_size = 14};
    struct beck_append_result result;
    assert_int_equal(
        beck_produce(fixture->partition, &record, 1, BECK_ACKS_LEADER, &result, &fixture->error),
        -EMSGSIZE);
}

/* The topic's file, for repair, says the same. */
static void the_topics_file_follows(void **state)
{
    struct fixture *fixture = *state;
    char folder[PATH_MAX];
    char path[PATH_MAX + 16];
    size_t size;
    must(alter(fixture, "retention.ms", "1234"), &fixture->error);
    partition_folder(fixture, "t", 0, folder);
    (void)snprintf(path, sizeof(path), "%s/../topic", folder);
    char *text = file_read(path, &size);
    assert_non_null(memmem(text, size, "config retention.ms=1234\n", 25));
    free(text);
    (void)snprintf(path, sizeof(path), "%s/../topic.new", folder);
    assert_int_equal(access(path, F_OK), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_defaults, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_change_survives_opening_anew),
        TEST(a_reset_brings_the_default_back),
        TEST(all_changes_are_made_or_none),
        TEST(validating_changes_nothing),
        TEST(replacing_resets_what_is_not_named),
        TEST(a_list_is_added_to_and_taken_from),
        TEST(what_is_no_list_cannot_be_added_to),
        TEST(an_entry_is_named_once),
        TEST(a_topic_that_is_not_there_cannot_be_altered),
        TEST(a_reader_alters_nothing),
        TEST(what_is_set_is_limited_in_size),
        TEST(numbers_have_the_bounds_of_kafka),
        TEST(numbers_are_the_same_in_every_locale),
        TEST(words_and_lists_are_checked),
        TEST(entries_must_go_together),
        TEST(an_unknown_name_is_answered_with_the_nearest),
        TEST(topics_follow_the_store_where_they_set_nothing),
        TEST(the_store_has_entries_of_its_own),
        TEST(a_topic_has_no_entry_of_the_store),
        TEST(each_entry_says_what_it_does),
        TEST(an_open_handle_follows),
        TEST(another_process_is_followed),
        TEST(the_topics_file_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
