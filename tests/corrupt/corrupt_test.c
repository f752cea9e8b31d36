/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every byte of a small store's segment is flipped in turn: verification tells of it, or the byte
 * is one that nothing covers; nothing crashes, and nothing is cut off. Bytes of `live` are flipped
 * while nobody has the store open, which harms nobody. A sample of the bytes of LMDB's files is
 * flipped, in a child, as LMDB has no checksums of its pages: what it makes of them may crash it,
 * but nothing wrong may come out.
 */
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define RECORDS 6

/* Six batches, two of them compressed. */
static void make_small_store(struct fixture *fixture)
{
    struct beck_batch_builder *builder = NULL;
    struct beck_append_result result;
    const void *batch;
    size_t size;
    static const enum beck_compression codecs[] = {BECK_COMPRESSION_NONE, BECK_COMPRESSION_LZ4,
                                                   BECK_COMPRESSION_NONE, BECK_COMPRESSION_ZSTD,
                                                   BECK_COMPRESSION_NONE, BECK_COMPRESSION_NONE};
    for (int i = 0; i < RECORDS; i++) {
        struct beck_record record = {.key = "key",
                                     .key_size = 3,
                                     .value = "value value value value value value value",
                                     .value_size = 41,
                                     .timestamp_ms = FIXTURE_TIME + i};
        must(beck_batch_builder_new(codecs[i], 4096, &builder, &fixture->error), &fixture->error);
        must(beck_batch_builder_add(builder, &record), NULL);
        must(beck_batch_builder_finish(builder, &batch, &size, &fixture->error), &fixture->error);
        must(beck_append(fixture->partition, batch, size, BECK_ACKS_LEADER, &result,
                         &fixture->error),
             &fixture->error);
        beck_batch_builder_free(builder);
    }
    fixture_close(fixture);
}

/* Bytes of a batch's header that neither CRC nor index covers. */
static bool nobody_covers(int64_t in_batch)
{
    return in_batch >= 12 && in_batch < 16; /* the leader epoch */
}

/* Where the batch begins that has a byte of the segment. */
static int64_t batch_begin(const char *bytes, int64_t position)
{
    int64_t begin = 0;
    for (;;) {
        const unsigned char *length = (const unsigned char *)bytes + begin + 8;
        int64_t end = begin + 12 + (length[0] << 24 | length[1] << 16 | length[2] << 8 | length[3]);
        if (position < end)
            return begin;
        begin = end;
    }
}

static void each_flipped_byte_of_a_segment_is_told_of(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    size_t size;
    unsigned missed = 0;
    make_small_store(fixture);
    segment_path(fixture, "t", 0, 0, path);
    char *bytes = file_read(path, &size);
    for (int64_t i = 0; i < (int64_t)size; i++) {
        struct beck_recovery cut;
        file_flip(path, i);
        fixture->store = must_open(fixture->path, 0);
        fixture->partition = must_open_partition(fixture->store, "t", 0);
        int damages = verify_count(fixture->store, NULL);
        int64_t in_batch = i - batch_begin(bytes, i);
        if ((damages > 0) == nobody_covers(in_batch)) {
            print_message("byte %lld, %lld of its batch: %d damages\n", (long long)i,
                          (long long)in_batch, damages);
            missed++;
        }
        assert_int_equal(beck_store_recovery(fixture->store, 0, &cut, &fixture->error), 0);
        assert_int_equal(must_state(fixture->partition).next_offset, RECORDS);
        fixture_close(fixture);
        assert_int_equal(file_size(path), size);
        file_flip(path, i);
    }
    free(bytes);
    assert_int_equal(missed, 0);
}

/* What a reader is given is right, or an error. */
static void read_or_fail(struct beck_partition *partition)
{
    struct beck_reader *reader = NULL;
    struct beck_record record;
    struct beck_error error;
    int64_t last = -1;
    must(beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, &error), &error);
    while (beck_reader_next(reader, &record, &error) == 1) {
        assert_true(record.offset > last);
        assert_int_equal(record.timestamp_ms, FIXTURE_TIME + record.offset);
        assert_int_equal(record.value_size, 41);
        assert_memory_equal(record.value, "value value value value value value value", 41);
        last = record.offset;
    }
    beck_reader_free(reader);
}

static void nothing_wrong_is_read_from_a_flipped_segment(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    make_small_store(fixture);
    segment_path(fixture, "t", 0, 0, path);
    int64_t size = file_size(path);
    for (int64_t i = 0; i < size; i++) {
        file_flip(path, i);
        fixture->store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
        fixture->partition = must_open_partition(fixture->store, "t", 0);
        read_or_fail(fixture->partition);
        fixture_close(fixture);
        file_flip(path, i);
    }
}

static void a_flipped_live_harms_nobody(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    make_small_store(fixture);
    store_file(fixture, STORE_PATH_LIVE, path);
    /* All of slot 0 that is in use, and of the slot of "t". */
    for (int64_t i = 0; i < LIVE_SLOT_BYTES + 1500; i += i < 256 || i >= LIVE_SLOT_BYTES ? 3 : 64) {
        file_flip(path, i);
        fixture->store = must_open(fixture->path, 0);
        fixture->partition = must_open_partition(fixture->store, "t", 0);
        assert_int_equal(count_records(fixture->partition, 0), RECORDS);
        assert_int_equal(must_state(fixture->partition).next_offset, RECORDS);
        fixture_close(fixture);
    }
}

/* ---- LMDB's files -------------------------------------------------------------------------- */

static int look_in_child(struct fixture *fixture)
{
    struct beck_store *store = NULL;
    struct beck_partition *partition = NULL;
    struct rlimit no_core = {0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGBUS, SIG_DFL);
    (void)signal(SIGABRT, SIG_DFL);
    (void)alarm(10);
    if (beck_store_open(fixture->path, 0, &fixture_options, &store, &fixture->error) < 0)
        return 10;
    int r = beck_partition_open(store, "t", 0, &partition, &fixture->error);
    int64_t count = r == 0 ? count_records(partition, 0) : -1;
    beck_partition_close(partition);
    beck_store_close(store);
    return r < 0 ? 11 : count == RECORDS ? 0 : 12;
}

static void flip_sample(struct fixture *fixture, const char *name, unsigned *crashes)
{
    char path[PATH_MAX];
    char whole[PATH_MAX];
    char copy[PATH_MAX];
    uint64_t random = 7;
    store_file(fixture, name, path);
    (void)snprintf(whole, sizeof(whole), "%s/whole", fixture->folder);
    (void)snprintf(copy, sizeof(copy), "%s", fixture->path);
    folder_copy(copy, whole);
    uint32_t size = (uint32_t)file_size(path);
    for (int i = 0; i < 40; i++) {
        file_flip(path, random_below(&random, size));
        int code = run_in_child(look_in_child, fixture);
        if (code == 12)
            fail_msg("%s: a flipped byte has changed what is read", name);
        *crashes += code > 128;
        folder_remove(copy);
        folder_copy(whole, copy);
    }
    folder_remove(whole);
}

static void flipped_bytes_of_the_databases_lie_to_nobody(void **state)
{
    struct fixture *fixture = *state;
    unsigned crashes = 0;
    make_small_store(fixture);
    flip_sample(fixture, STORE_PATH_META, &crashes);
    flip_sample(fixture, STORE_PATH_INDEX, &crashes);
    print_message("%u of 80 flipped bytes crashed LMDB\n", crashes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_flipped_byte_of_a_segment_is_told_of),
        TEST(nothing_wrong_is_read_from_a_flipped_segment),
        TEST(a_flipped_live_harms_nobody),
        TEST(flipped_bytes_of_the_databases_lie_to_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
