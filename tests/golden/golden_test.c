/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frozen stores of each format version open for ever, and read as they did. A store is kept as its
 * files, LMDB's compacted, without `live` and doorbells; beside it what comes out of it, as JSON
 * lines. To freeze the present format: golden_test --freeze FOLDER.
 */
#include "store.h"
#include "store_fixture.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- freezing ------------------------------------------------------------------------------ */

static void add_batch(struct beck_partition *partition, enum beck_compression codec, int first,
                      int count)
{
    static const uint8_t headers[] = {10,  't', 'r', 'a', 'c', 'e', 4, 'i',
                                      'd', 8,   'n', 'o', 'n', 'e', 1}; /* trace=id, none=null */
    struct beck_batch_builder *builder = NULL;
    struct beck_append_result result;
    struct beck_error error;
    const void *batch;
    size_t size;
    must(beck_batch_builder_new(codec, 1 << 16, &builder, &error), &error);
    for (int i = first; i < first + count; i++) {
        char value[64];
        struct beck_record record = {.timestamp_ms = FIXTURE_TIME + i, .key_size = -1};
        (void)snprintf(value, sizeof(value), i % 5 == 1 ? "g\xc3\xbcnstig %d" : "value %d", i);
        record.value = i % 5 == 4 ? "\xff\x00\x01" : value;
        record.value_size = i % 5 == 3 ? -1 : i % 5 == 4 ? 3 : (int32_t)strlen(value);
        if (i % 2) {
            record.key = "key";
            record.key_size = 3;
        }
        if (i % 5 == 2) {
            record.headers = headers;
            record.headers_size = sizeof(headers);
            record.header_count = 2;
        }
        must(beck_batch_builder_add(builder, &record), NULL);
    }
    must(beck_batch_builder_finish(builder, &batch, &size, &error), &error);
    must(beck_append(partition, batch, size, BECK_ACKS_LEADER, &result, &error), &error);
    beck_batch_builder_free(builder);
}

static void compact(const char *path)
{
    char to[PATH_MAX];
    MDB_env *env;
    (void)snprintf(to, sizeof(to), "%.4000s-compact", path);
    if (mdb_env_create(&env) != 0 || mdb_env_set_maxdbs(env, 16) != 0 ||
        mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0644) != 0 ||
        mdb_env_copy2(env, to, MDB_CP_COMPACT) != 0 || rename(to, path) < 0)
        abort();
    mdb_env_close(env);
}

static void tell_records(struct beck_store *store, const char *topic, int32_t number, FILE *out)
{
    struct beck_partition *partition = must_open_partition(store, topic, number);
    struct beck_reader *reader = NULL;
    struct beck_record record;
    struct beck_error error;
    char line[1000];
    must(beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, &error), &error);
    while (must(beck_reader_next(reader, &record, &error), &error) == 1) {
        ssize_t n = must(beck_record_json(&record, topic, number, line, sizeof(line)), NULL);
        (void)fwrite(line, 1, (size_t)n, out);
    }
    beck_reader_free(reader);
    beck_partition_close(partition);
}

/* All that a store tells, as text. */
static void tell(struct beck_store *store, FILE *out)
{
    struct beck_topic topic = {0};
    struct beck_error error;
    while (must(beck_topic_next(store, topic.name, &topic, &error), &error) == 1) {
        (void)fprintf(out, "{\"topic\":\"%s\",\"number\":%u,\"partitions\":%u,\"mode\":%o}\n",
                      topic.name, topic.number, topic.partition_count, (unsigned)topic.mode);
        for (uint32_t i = 0; i < topic.partition_count; i++) {
            struct beck_partition *partition = must_open_partition(store, topic.name, (int32_t)i);
            struct beck_partition_state now = must_state(partition);
            (void)fprintf(out, "{\"partition\":%u,\"next\":%lld,\"view\":%llu,\"epoch\":%d}\n", i,
                          (long long)now.next_offset, (unsigned long long)now.view_bytes,
                          now.leader_epoch);
            beck_partition_close(partition);
            tell_records(store, topic.name, (int32_t)i, out);
        }
    }
}

static int freeze(const char *to)
{
    char path[PATH_MAX];
    struct beck_topic_options options = {.partition_count = 2, .mode = 0750};
    struct beck_config config = {.name = "segment.bytes", .value = "1048576"};
    struct beck_error error;
    struct beck_store *store = must_open(to, BECK_OPEN_CREATE);
    options.configs = &config;
    options.config_count = 1;
    must(beck_topic_create(store, "first", &options, NULL, &error), &error);
    must_create_topic(store, "second.topic", 1, "message.timestamp.type", "LogAppendTime");
    must_create_topic(store, "gone", 1, NULL, NULL);
    must(beck_topic_delete(store, "gone", &error), &error);
    struct beck_partition *partition = must_open_partition(store, "first", 1);
    for (int codec = 0; codec < 5; codec++)
        add_batch(partition, (enum beck_compression)codec, codec * 5, 5);
    beck_partition_close(partition);
    partition = must_open_partition(store, "first", 0); /* git keeps no empty folders */
    add_batch(partition, BECK_COMPRESSION_NONE, 50, 1);
    beck_partition_close(partition);
    partition = must_open_partition(store, "second.topic", 0);
    add_batch(partition, BECK_COMPRESSION_NONE, 100, 3);
    beck_partition_close(partition);
    (void)snprintf(path, sizeof(path), "%.4000s.jsonl", to);
    FILE *out = fopen(path, "we");
    if (!out)
        return 1;
    tell(store, out);
    (void)fclose(out);
    beck_store_close(store);
    static const char *const not_kept[] = {"live", "meta.mdb-lock", "index.mdb-lock", "wake"};
    for (size_t i = 0; i < sizeof(not_kept) / sizeof(not_kept[0]); i++) {
        (void)snprintf(path, sizeof(path), "%.4000s/%s", to, not_kept[i]);
        (void)remove(path);
    }
    (void)snprintf(path, sizeof(path), "%.4000s/meta.mdb", to);
    compact(path);
    (void)snprintf(path, sizeof(path), "%.4000s/index.mdb", to);
    compact(path);
    return 0;
}

/* ---- thawing ------------------------------------------------------------------------------- */

static void assert_as_frozen(struct fixture *fixture, const char *name, unsigned flags)
{
    char path[PATH_MAX];
    size_t size;
    size_t expected_size;
    (void)snprintf(path, sizeof(path), "%s/told", fixture->folder);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    fixture->store = must_open(fixture->path, flags);
    tell(fixture->store, out);
    (void)fclose(out);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    char *told = file_read(path, &size);
    (void)snprintf(path, sizeof(path), "%s/%s.jsonl", GOLDEN_DIRECTORY, name);
    char *expected = file_read(path, &expected_size);
    assert_string_equal(told, expected);
    free(told);
    free(expected);
    fixture_close(fixture);
}

/* A copy, as opening changes a store. The folder of the doorbells, which is empty, is made. */
static void thaw(struct fixture *fixture, const char *name)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", GOLDEN_DIRECTORY, name);
    folder_copy(path, fixture->path);
    store_file(fixture, "wake", path);
    (void)mkdir(path, 0755);
}

static void a_store_of_format_1_reads_as_it_did(void **state)
{
    struct fixture *fixture = *state;
    thaw(fixture, "format-1");
    assert_as_frozen(fixture, "format-1", BECK_OPEN_READ_ONLY);
    assert_as_frozen(fixture, "format-1", 0);
    assert_as_frozen(fixture, "format-1", 0);
}

static void a_store_of_format_1_takes_records(void **state)
{
    struct fixture *fixture = *state;
    thaw(fixture, "format-1");
    fixture->store = must_open(fixture->path, 0);
    fixture->partition = must_open_partition(fixture->store, "first", 1);
    assert_int_equal(must_append(fixture->partition, "new", BECK_ACKS_LEADER), 25);
    assert_value(fixture->partition, 25, "new");
    assert_value(fixture->partition, 0, "value 0");
}

static void a_store_of_format_1_without_its_index_reads_as_it_did(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    thaw(fixture, "format-1");
    store_file(fixture, STORE_PATH_INDEX, path);
    assert_int_equal(unlink(path), 0);
    fixture->store = must_open(fixture->path, 0);
    fixture->partition = must_open_partition(fixture->store, "first", 1);
    assert_int_equal(count_records(fixture->partition, 0), 25);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_folder, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_store_of_format_1_reads_as_it_did),
        TEST(a_store_of_format_1_takes_records),
        TEST(a_store_of_format_1_without_its_index_reads_as_it_did),
    };
    if (argc == 3 && strcmp(argv[1], "--freeze") == 0)
        return freeze(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
