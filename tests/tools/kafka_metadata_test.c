/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of topics in a Kafka broker's copy of the cluster's metadata: what snapshot and log
 * say last is what counts, and a record that is cut short or mangled is refused.
 */
#include "kafka_metadata.h"

#include "bytes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    TOPIC = 2,
    CONFIG = 4,
    REMOVE = 9,
    BEGIN = 23,
    END = 24,
    ABORT = 25,
    OF_TOPIC = 2,
    OF_BROKER = 4
};

struct record {
    uint8_t bytes[512];
    size_t size;
};

static void put(struct record *record, const void *bytes, size_t size)
{
    assert_true(size <= sizeof(record->bytes) - record->size);
    memcpy(record->bytes + record->size, bytes, size);
    record->size += size;
}

static void put_byte(struct record *record, int byte)
{
    uint8_t value = (uint8_t)byte;
    put(record, &value, 1);
}

static void put_string(struct record *record, const char *text)
{
    put_byte(record, text != NULL ? (int)strlen(text) + 1 : 0);
    if (text != NULL)
        put(record, text, strlen(text));
}

static struct record begin(int kind)
{
    struct record record = {.size = 0};
    put_byte(&record, 1);
    put_byte(&record, kind);
    put_byte(&record, 0);
    return record;
}

static void put_id(struct record *record, int id)
{
    for (int i = 0; i < BECK_ID_BYTES; i++)
        put_byte(record, id);
}

static struct record topic(const char *name, int id)
{
    struct record record = begin(TOPIC);
    put_string(&record, name);
    put_id(&record, id);
    put_byte(&record, 0);
    return record;
}

static struct record removal(int id)
{
    struct record record = begin(REMOVE);
    put_id(&record, id);
    put_byte(&record, 0);
    return record;
}

static struct record config(int resource, const char *of, const char *name, const char *value)
{
    struct record record = begin(CONFIG);
    put_byte(&record, resource);
    put_string(&record, of);
    put_string(&record, name);
    put_string(&record, value);
    put_byte(&record, 0);
    return record;
}

static struct record other(int kind)
{
    struct record record = begin(kind);
    put_byte(&record, 0);
    return record;
}

/* What it says of topic "t", as "name=value " one after the other. */
static const char *settings(const struct kafka_metadata *metadata)
{
    static char text[512];
    const char *name;
    const char *value;
    size_t at = 0;
    size_t used = 0;

    text[0] = '\0';
    while (kafka_metadata_next(metadata, "t", &at, &name, &value) == 1)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s=%s ", name, value);
    return text;
}

static void take_all(struct kafka_metadata *metadata, const struct record *records, size_t count)
{
    struct beck_error error;

    *metadata = (struct kafka_metadata){.in_transaction = SIZE_MAX};
    for (size_t i = 0; i < count; i++)
        assert_int_equal(kafka_metadata_take(metadata, records[i].bytes, records[i].size, &error),
                         0);
}

#define ASSERT_SETTINGS(wanted, ...)                                                               \
    do {                                                                                           \
        const struct record records[] = {__VA_ARGS__};                                             \
        struct kafka_metadata metadata;                                                            \
        take_all(&metadata, records, sizeof(records) / sizeof(records[0]));                        \
        assert_string_equal(settings(&metadata), wanted);                                          \
        kafka_metadata_done(&metadata);                                                            \
    } while (0)

static void the_last_word_counts(void **state)
{
    (void)state;
    ASSERT_SETTINGS("b=3 a=4 ", topic("t", 1), config(OF_TOPIC, "t", "a", "1"),
                    config(OF_TOPIC, "u", "a", "2"), config(OF_TOPIC, "t", "b", "3"),
                    config(OF_BROKER, "t", "c", "9"), config(OF_TOPIC, "t", "a", "4"));
    ASSERT_SETTINGS("", topic("t", 1), config(OF_TOPIC, "t", "a", "1"),
                    config(OF_TOPIC, "t", "a", NULL));
    ASSERT_SETTINGS("a= ", config(OF_TOPIC, "t", "a", ""), topic("t", 1));
}

static void a_topic_that_was_deleted_has_none(void **state)
{
    (void)state;
    ASSERT_SETTINGS("", topic("t", 1), config(OF_TOPIC, "t", "a", "1"), removal(1));
    ASSERT_SETTINGS("b=2 ", topic("t", 1), config(OF_TOPIC, "t", "a", "1"), removal(1),
                    topic("t", 2), config(OF_TOPIC, "t", "b", "2"));
    ASSERT_SETTINGS("a=1 ", topic("t", 1), config(OF_TOPIC, "t", "a", "1"), removal(7));
}

static void what_a_transaction_gave_up_is_forgotten(void **state)
{
    (void)state;
    ASSERT_SETTINGS("a=1 ", config(OF_TOPIC, "t", "a", "1"), other(BEGIN),
                    config(OF_TOPIC, "t", "b", "2"), other(ABORT));
    ASSERT_SETTINGS("a=1 b=2 ", config(OF_TOPIC, "t", "a", "1"), other(BEGIN),
                    config(OF_TOPIC, "t", "b", "2"), other(END), other(ABORT));
}

static void other_records_are_passed_over(void **state)
{
    struct record newer = begin(100);
    newer.bytes[2] = 3;
    (void)state;
    ASSERT_SETTINGS("a=1 ", other(3), other(12), newer, config(OF_TOPIC, "t", "a", "1"));
}

static int take_one(const struct record *record, size_t size)
{
    struct kafka_metadata metadata = {.in_transaction = SIZE_MAX};
    struct beck_error error;
    uint8_t *bytes = malloc(size + 1); /* so that a sanitizer sees a read behind it */

    assert_non_null(bytes);
    memcpy(bytes + 1, record->bytes, size);
    int result = kafka_metadata_take(&metadata, bytes + 1, size, &error);
    kafka_metadata_done(&metadata);
    free(bytes);
    return result;
}

static void a_record_cut_anywhere_is_refused(void **state)
{
    const struct record records[] = {topic("t", 1), removal(1), config(OF_TOPIC, "t", "a", "1")};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (size_t size = 0; size + 1 < records[i].size; size++)
            assert_int_equal(take_one(&records[i], size), -EBADMSG);
}

static void a_newer_kind_is_refused(void **state)
{
    struct record record = config(OF_TOPIC, "t", "a", "1");
    (void)state;
    record.bytes[2] = 1;
    assert_int_equal(take_one(&record, record.size), -EPROTONOSUPPORT);
    record.bytes[2] = 0;
    record.bytes[0] = 2;
    assert_int_equal(take_one(&record, record.size), -EPROTONOSUPPORT);
}

static void any_byte_may_be_wrong(void **state)
{
    const struct record record = config(OF_TOPIC, "topic", "retention.ms", "86400000");
    (void)state;
    for (size_t at = 0; at < record.size; at++)
        for (int byte = 0; byte < 256; byte++) {
            struct record mangled = record;
            mangled.bytes[at] = (uint8_t)byte;
            int result = take_one(&mangled, mangled.size);
            assert_true(result == 0 || result == -EBADMSG || result == -EPROTONOSUPPORT);
        }
}

/* ---- files -------------------------------------------------------------------------------- */

static void write_batch(const char *path, int64_t base_offset, const struct record *records,
                        int count)
{
    struct beck_batch_builder *builder = NULL;
    const void *bytes;
    size_t size;

    assert_int_equal(beck_batch_builder_new(BECK_COMPRESSION_NONE, 100000, &builder, NULL), 0);
    for (int i = 0; i < count; i++) {
        struct beck_record record = {.key_size = -1,
                                     .value = records[i].bytes,
                                     .value_size = (int32_t)records[i].size,
                                     .timestamp_ms = 1000};
        assert_int_equal(beck_batch_builder_add(builder, &record), 0);
    }
    assert_int_equal(beck_batch_builder_finish(builder, &bytes, &size, NULL), 0);
    uint8_t *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    store_be64(copy, (uint64_t)base_offset);
    FILE *file = fopen(path, "ab");
    assert_non_null(file);
    assert_int_equal(fwrite(copy, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    free(copy);
    (void)beck_batch_builder_free(builder);
}

/* A snapshot up to offset 10, an older one, and a log from 8 on. */
static void snapshot_and_log_are_read(void **state)
{
    char folder[] = "/tmp/beck-test-XXXXXX";
    char path[128];
    struct kafka_dir dir;
    struct kafka_metadata metadata;
    struct beck_error error;
    const struct record old[] = {config(OF_TOPIC, "t", "old", "1")};
    const struct record snapshot[] = {topic("t", 1), config(OF_TOPIC, "t", "a", "1"),
                                      config(OF_TOPIC, "t", "b", "1")};
    const struct record before[] = {config(OF_TOPIC, "t", "a", "0"),
                                    config(OF_TOPIC, "t", "c", "0")};
    const struct record after[] = {config(OF_TOPIC, "t", "b", "2")};
    (void)state;

    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/t-0", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(kafka_dir_open(folder, &dir, &error), 0);
    assert_int_equal(kafka_metadata_load(&dir, &metadata, &error), 0);
    kafka_dir_done(&dir);
    (void)snprintf(path, sizeof(path), "%s/__cluster_metadata-0", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    char *name = path + strlen(path);
    (void)strcpy(name, "/00000000000000000005-0000000001.checkpoint");
    write_batch(path, 0, old, 1);
    (void)strcpy(name, "/00000000000000000010-0000000001.checkpoint");
    write_batch(path, 0, snapshot, 3);
    (void)strcpy(name, "/00000000000000000008.log");
    write_batch(path, 8, before, 2);
    write_batch(path, 10, after, 1);
    assert_int_equal(kafka_dir_open(folder, &dir, &error), 0);
    assert_int_equal(kafka_metadata_load(&dir, &metadata, &error), 1);
    assert_string_equal(settings(&metadata), "a=1 b=2 ");
    kafka_metadata_done(&metadata);
    assert_int_equal(truncate(path, 150), 0);
    assert_int_equal(kafka_metadata_load(&dir, &metadata, &error), -EBADMSG);
    assert_string_equal(settings(&metadata), "a=1 b=1 ");
    kafka_metadata_done(&metadata);
    kafka_dir_done(&dir);
    (void)snprintf(path, sizeof(path), "rm -r %s", folder);
    assert_int_equal(system(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_word_counts),
        cmocka_unit_test(a_topic_that_was_deleted_has_none),
        cmocka_unit_test(what_a_transaction_gave_up_is_forgotten),
        cmocka_unit_test(other_records_are_passed_over),
        cmocka_unit_test(a_record_cut_anywhere_is_refused),
        cmocka_unit_test(a_newer_kind_is_refused),
        cmocka_unit_test(any_byte_may_be_wrong),
        cmocka_unit_test(snapshot_and_log_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
