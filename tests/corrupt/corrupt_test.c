/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every byte of a small store's segments is flipped in turn: verification tells of it, or the byte
 * is one that nothing covers (FORMAT.md has the list); nothing crashes, and nothing is cut off.
 * Bytes of `live` are flipped while nobody has the store open, which harms nobody. Bytes of LMDB's
 * files are flipped, too, and looked at in a child, as LMDB has no checksums of its pages: what it
 * makes of them may crash it, but nothing wrong may come out.
 *
 *     corrupt_test [--all|--every]
 *
 * Of LMDB's files and of `live` a sample of the bytes that are in use is taken, or all of these, or
 * every byte, which takes long.
 */
#include "append.h"
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

static int64_t step_bytes = 23; /* of LMDB's files: each so manyth byte that is not 0 */
static bool every_byte;

/* Six batches, two of them compressed. */
static void append_small(struct fixture *fixture)
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
}

static void make_small_store(struct fixture *fixture)
{
    static const struct beck_quota quota = {
        .parts[BECK_QUOTA_CLIENT_ID] = {.match = BECK_QUOTA_DEFAULT},
        .set = 1U << BECK_QUOTA_PRODUCER_BYTE_RATE,
        .values[BECK_QUOTA_PRODUCER_BYTE_RATE] = 1000.0,
    };
    append_small(fixture);
    must(beck_quotas_put(fixture->store, &quota, 1, &fixture->error), &fixture->error);
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
    int64_t size = every_byte ? file_size(path) : LIVE_SLOT_BYTES + 1500;
    /* All of slot 0 that is in use, and of the slot of "t". */
    for (int64_t i = 0; i < size; i++) {
        bool is_in_use = i < 256 || i >= LIVE_SLOT_BYTES;
        if (step_bytes > 1 && i % (is_in_use ? 3 : 64) != 0)
            continue;
        file_flip(path, i);
        fixture->store = must_open(fixture->path, 0);
        fixture->partition = must_open_partition(fixture->store, "t", 0);
        assert_int_equal(count_records(fixture->partition, 0), RECORDS);
        assert_int_equal(must_state(fixture->partition).next_offset, RECORDS);
        fixture_close(fixture);
    }
}

/* The small file "topic" and the copy of meta.mdb are for repair: meta.mdb is what counts. */
static void flipped_bytes_of_what_is_for_repair_harm_nobody(void **state)
{
    struct fixture *fixture = *state;
    char paths[2][PATH_MAX];
    make_small_store(fixture);
    partition_folder(fixture, "t", 0, paths[0]);
    (void)snprintf(strrchr(paths[0], '/'), sizeof("/topic"), "/topic");
    store_file(fixture, STORE_PATH_META_COPY, paths[1]);
    for (int file = 0; file < 2; file++) {
        int64_t size = file_size(paths[file]);
        for (int64_t i = 0; i < size; i += file == 0 ? 1 : 16 * step_bytes) {
            file_flip(paths[file], i);
            fixture->store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
            fixture->partition = must_open_partition(fixture->store, "t", 0);
            (void)verify_count(fixture->store, NULL);
            assert_int_equal(count_records(fixture->partition, 0), RECORDS);
            fixture_close(fixture);
            file_flip(paths[file], i);
        }
    }
}

/* ---- a segment with its digest ------------------------------------------------------------- */

/* The digest of a complete segment covers all of it. */
static void each_flipped_byte_of_a_sealed_segment_is_told_of(void **state)
{
    struct fixture *fixture = *state;
    struct live_tail tail;
    char path[PATH_MAX];
    uint32_t next_ms;
    append_small(fixture);
    must(partition_tail(fixture->partition, &tail, &fixture->error), &fixture->error);
    must(partition_roll(fixture->partition, &tail, &fixture->error), &fixture->error);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    must(beck_store_clean(fixture->store, NULL, NULL, &next_ms, &fixture->error), &fixture->error);
    fixture_close(fixture);
    segment_path(fixture, "t", 0, 0, path);
    int64_t size = file_size(path);
    for (int64_t i = 0; i < size; i++) {
        file_flip(path, i);
        fixture->store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
        if (verify_count(fixture->store, NULL) == 0)
            fail_msg("nothing tells of byte %lld of a segment with a digest", (long long)i);
        fixture_close(fixture);
        file_flip(path, i);
    }
    print_message("all of %lld bytes were told of\n", (long long)size);
}

/* ---- LMDB's files -------------------------------------------------------------------------- */

enum look {
    LOOK_SILENT = 0, /* nothing was told, and all that was read is right */
    LOOK_TOLD = 10,
    LOOK_LIED = 12,
};

/* Walk over the file, open the store, verify it and read it, as beck-verify would. */
static int look_in_child(struct fixture *fixture)
{
    struct beck_store *store = NULL;
    struct beck_partition *partition = NULL;
    struct rlimit no_core = {0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGBUS, SIG_DFL);
    (void)signal(SIGABRT, SIG_DFL);
    (void)signal(SIGFPE, SIG_DFL);
    (void)signal(SIGILL, SIG_DFL);
    (void)alarm(10);
    bool told = false;
    for (unsigned i = 0; i < 2 && !told; i++)
        told = beck_database_walk(fixture->path, i == 0 ? STORE_PATH_META : STORE_PATH_INDEX, NULL,
                                  NULL, &fixture->error) < 0;
    if (beck_store_open(fixture->path, 0, &fixture_options, &store, &fixture->error) < 0)
        return LOOK_TOLD;
    int r = beck_partition_open(store, "t", 0, &partition, &fixture->error);
    int64_t count = r == 0 ? count_records(partition, 0) : -1;
    told = told || r < 0 || verify_count(store, NULL) > 0;
    beck_partition_close(partition);
    beck_store_close(store);
    return r == 0 && count != RECORDS ? LOOK_LIED : told ? LOOK_TOLD : LOOK_SILENT;
}

static void flip_in(struct fixture *fixture, const char *name)
{
    char path[PATH_MAX];
    char whole[PATH_MAX];
    unsigned codes[256] = {0};
    unsigned flips = 0;
    int64_t in_use = 0;
    size_t size;
    store_file(fixture, name, path);
    (void)snprintf(whole, sizeof(whole), "%s/whole", fixture->folder);
    folder_copy(fixture->path, whole);
    char *bytes = file_read(path, &size);
    for (size_t i = 0; i < size; i++) {
        in_use += bytes[i] != 0;
        if (!every_byte && (bytes[i] == 0 || in_use % step_bytes != 0))
            continue;
        file_flip(path, (int64_t)i);
        int code = run_in_child(look_in_child, fixture);
        if (code == LOOK_LIED)
            fail_msg("%s: with byte %zu flipped other records are read", name, i);
        codes[code & 255]++;
        flips++;
        folder_remove(fixture->path);
        folder_copy(whole, fixture->path);
    }
    free(bytes);
    folder_remove(whole);
    print_message("%s: of %u bytes %u were told of, %u not, and %u crashed LMDB\n", name, flips,
                  codes[LOOK_TOLD], codes[LOOK_SILENT],
                  flips - codes[LOOK_TOLD] - codes[LOOK_SILENT]);
}

static void flipped_bytes_of_the_databases_lie_to_nobody(void **state)
{
    struct fixture *fixture = *state;
    make_small_store(fixture);
    flip_in(fixture, STORE_PATH_META);
    flip_in(fixture, STORE_PATH_INDEX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(int argc, char **argv)
{
    every_byte = argc == 2 && strcmp(argv[1], "--every") == 0;
    if (every_byte || (argc == 2 && strcmp(argv[1], "--all") == 0))
        step_bytes = 1;
    use_memory_disk();
    const struct CMUnitTest tests[] = {
        TEST(each_flipped_byte_of_a_segment_is_told_of),
        TEST(each_flipped_byte_of_a_sealed_segment_is_told_of),
        TEST(nothing_wrong_is_read_from_a_flipped_segment),
        TEST(a_flipped_live_harms_nobody),
        TEST(flipped_bytes_of_what_is_for_repair_harm_nobody),
        TEST(flipped_bytes_of_the_databases_lie_to_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
