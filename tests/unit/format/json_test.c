/* SPDX-License-Identifier: Apache-2.0 */
/* The lossless JSON form. */
#include "beck.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char text[65536];

static void assert_json(const struct beck_record *record, const char *topic, int32_t partition,
                        const char *expected)
{
    ssize_t size = beck_record_json(record, topic, partition, text, sizeof(text) - 1);
    assert_int_equal(size, strlen(expected));
    text[size] = '\0';
    assert_string_equal(text, expected);
}

/* A record that has a value and nothing else; what its value becomes. */
static void assert_value(const void *value, size_t size, const char *expected)
{
    char line[4096];
    const struct beck_record record = {.key_size = -1,
                                       .value = value,
                                       .value_size = (int32_t)size,
                                       .offset = 1,
                                       .timestamp_ms = 2};
    (void)snprintf(line, sizeof(line), "{\"offset\":1,\"timestamp\":2,\"key\":null,\"value\":%s}\n",
                   expected);
    assert_json(&record, NULL, 0, line);
}

static const struct beck_record full = {
    .offset = 12,
    .timestamp_ms = INT64_C(1763719200123),
    .key = "k",
    .key_size = 1,
    .value = "v",
    .value_size = 1,
    .headers = "\x08name\x0avalue",
    .headers_size = 11,
    .header_count = 1,
};

static void test_the_documented_example(void **state)
{
    (void)state;
    assert_json(&full, NULL, 0,
                "{\"offset\":12,\"timestamp\":1763719200123,\"key\":\"k\",\"value\":\"v\","
                "\"headers\":[[\"name\",\"value\"]]}\n");
}

static void test_topic_and_partition_come_first(void **state)
{
    (void)state;
    assert_json(&full, "events", 3,
                "{\"topic\":\"events\",\"partition\":3,\"offset\":12,\"timestamp\":1763719200123,"
                "\"key\":\"k\",\"value\":\"v\",\"headers\":[[\"name\",\"value\"]]}\n");
}

static void test_nulls_and_empty_strings(void **state)
{
    (void)state;
    const struct beck_record record = {.key_size = -1, .value_size = -1};
    assert_json(&record, NULL, 0, "{\"offset\":0,\"timestamp\":0,\"key\":null,\"value\":null}\n");
    assert_value("", 0, "\"\"");
}

static void test_log_append_time_is_told(void **state)
{
    (void)state;
    const struct beck_record record = {.key_size = -1, .value_size = -1, .log_append_time = true};
    assert_json(&record, NULL, 0,
                "{\"offset\":0,\"timestamp\":0,\"timestampType\":\"log-append\",\"key\":null,"
                "\"value\":null}\n");
}

static void test_numbers_of_any_size(void **state)
{
    (void)state;
    const struct beck_record record = {
        .offset = INT64_MAX, .timestamp_ms = INT64_MIN, .key_size = -1, .value_size = -1};
    assert_json(&record, "t", INT32_MIN,
                "{\"topic\":\"t\",\"partition\":-2147483648,\"offset\":9223372036854775807,"
                "\"timestamp\":-9223372036854775808,\"key\":null,\"value\":null}\n");
}

static void test_headers_without_values_and_without_text(void **state)
{
    (void)state;
    struct beck_record record = full;
    record.headers = "\2a\1\2a\0\2\xff\4\xfe\xfd";
    record.headers_size = 11;
    record.header_count = 3;
    assert_json(&record, NULL, 0,
                "{\"offset\":12,\"timestamp\":1763719200123,\"key\":\"k\",\"value\":\"v\","
                "\"headers\":[[\"a\",null],[\"a\",\"\"],"
                "[{\"base64\":\"/w==\"},{\"base64\":\"/v0=\"}]]}\n");
}

static void test_escapes_no_more_than_json_wants(void **state)
{
    (void)state;
    assert_value("\"\\/\b\f\n\r\t", 8, "\"\\\"\\\\/\\b\\f\\n\\r\\t\"");
    assert_value("\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\"");
    assert_value("caf\xc3\xa9 \xf0\x9f\x98\x80", 10, "\"caf\xc3\xa9 \xf0\x9f\x98\x80\"");
}

static void test_finds_what_to_escape_anywhere(void **state)
{
    (void)state;
    for (int byte = 0; byte < 0x80; byte++) {
        for (size_t place = 0; place < 20; place++) {
            char value[20];
            memset(value, 'a', sizeof(value));
            value[place] = (char)byte;
            const struct beck_record record = {
                .key_size = -1, .value = value, .value_size = sizeof(value)};
            ssize_t size = beck_record_json(&record, NULL, 0, text, sizeof(text));
            const char *at =
                text + strlen("{\"offset\":0,\"timestamp\":0,\"key\":null,\"value\":\"");
            bool escaped = byte < 0x20 || byte == '"' || byte == '\\';
            assert_memory_equal(at, "aaaaaaaaaaaaaaaaaaaa", place);
            assert_int_equal(at[place] == '\\', escaped);
            assert_memory_equal(text + size - (20 - place - 1) - 3, "aaaaaaaaaaaaaaaaaaaa",
                                20 - place - 1);
        }
    }
}

/* RFC 4648, section 10, behind a byte that is not UTF-8. */
static void test_base64(void **state)
{
    (void)state;
    assert_value("\xff", 1, "{\"base64\":\"/w==\"}");
    assert_value("\xff\xff", 2, "{\"base64\":\"//8=\"}");
    assert_value("\xff\xff\xff", 3, "{\"base64\":\"////\"}");
    assert_value("\xfb\xef\xbe", 3, "{\"base64\":\"++++\"}");
    assert_value("\xff"
                 "foobar",
                 7, "{\"base64\":\"/2Zvb2Jhcg==\"}");
}

static void test_long_base64(void **state)
{
    (void)state;
    static uint8_t value[6000];
    memset(value, 0xff, sizeof(value));
    const struct beck_record record = {.key_size = -1, .value = value, .value_size = sizeof(value)};
    ssize_t size = beck_record_json(&record, NULL, 0, text, sizeof(text));
    size_t front = strlen("{\"offset\":0,\"timestamp\":0,\"key\":null,\"value\":{\"base64\":\"");
    assert_int_equal(size, front + 8000 + strlen("\"}}\n"));
    for (size_t i = 0; i < 8000; i++)
        assert_int_equal(text[front + i], '/');
}

static void test_tells_its_size_and_writes_no_further(void **state)
{
    (void)state;
    static const struct beck_record record = {.offset = 3,
                                              .key = "\xff\xfe\xfd",
                                              .key_size = 3,
                                              .value = "a\nb \"text\"",
                                              .value_size = 10,
                                              .headers = "\2a\2b",
                                              .headers_size = 4,
                                              .header_count = 1};
    char whole[256];
    ssize_t size = beck_record_json(&record, "t", 0, whole, sizeof(whole));
    assert_int_equal(beck_record_json(&record, "t", 0, NULL, 0), size);
    for (size_t room = 0; room < (size_t)size; room++) {
        memset(text, '#', 256);
        assert_int_equal(beck_record_json(&record, "t", 0, text, room), size);
        assert_memory_equal(text, whole, room);
        assert_int_equal(text[room], '#');
    }
}

static void test_headers_that_are_damaged(void **state)
{
    (void)state;
    struct beck_record record = full;
    record.headers_size = 10;
    assert_int_equal(beck_record_json(&record, NULL, 0, text, sizeof(text)), -EBADMSG);
    record = full;
    record.header_count = 2;
    assert_int_equal(beck_record_json(&record, NULL, 0, text, sizeof(text)), -EBADMSG);
    record.header_count = 0;
    assert_int_equal(beck_record_json(&record, NULL, 0, text, sizeof(text)), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_documented_example),
        cmocka_unit_test(test_topic_and_partition_come_first),
        cmocka_unit_test(test_nulls_and_empty_strings),
        cmocka_unit_test(test_log_append_time_is_told),
        cmocka_unit_test(test_numbers_of_any_size),
        cmocka_unit_test(test_headers_without_values_and_without_text),
        cmocka_unit_test(test_escapes_no_more_than_json_wants),
        cmocka_unit_test(test_finds_what_to_escape_anywhere),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_long_base64),
        cmocka_unit_test(test_tells_its_size_and_writes_no_further),
        cmocka_unit_test(test_headers_that_are_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
