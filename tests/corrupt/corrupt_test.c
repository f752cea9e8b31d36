/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every byte of a small store's segments is flipped in turn: verification tells of it, or the byte
 * is one that nothing covers (FORMAT.md has the list); nothing crashes, and nothing is cut off.
 * Bytes of `live` and of LMDB's lock files are flipped while nobody has the store open, which harms
 * nobody.
 *
 * Bytes of LMDB's files are flipped, too, and looked at in a child, as LMDB has no checksums of its
 * pages: the walk over the file, which programs have a process of their own for, may crash or hang,
 * and so tells of it. Where the walk goes through, whoever opens the store next must not crash, and
 * nothing wrong may come out. What nobody tells of is counted by what the byte is for.
 *
 *     corrupt_test [--all|--every] [--jobs N]
 *
 * Of LMDB's files, of `live` and of the lock files a sample of the bytes that are in use is taken,
 * or all of these, or every byte of every file; where nothing is in use many are flipped at once,
 * and one by one where that is told of. The work is shared by N processes, each with a copy of the
 * store.
 */
#include "append.h"
#include "page_bytes.h"
#include "reserve.h"
#include "spread.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#define RECORDS     6
#define OFFSET      3 /* that groups committed */
#define GROUPS      40
#define STATE_BYTES 2500 /* of a group: LMDB gives it a page of its own */
#define RUN_BYTES   64
#define VALUE       "value value value value value value value"

static int64_t step_bytes = 23; /* of LMDB's files: each so manyth byte that is not 0 */
static bool every_byte;

static struct beck_record record_of(int i)
{
    return (struct beck_record){.key = "key",
                                .key_size = 3,
                                .value = VALUE,
                                .value_size = sizeof(VALUE) - 1,
                                .timestamp_ms = FIXTURE_TIME + i};
}

/* Is this the record that belongs to its offset? */
static bool is_right(const struct beck_record *record)
{
    return record->timestamp_ms == FIXTURE_TIME + record->offset &&
           record->value_size == sizeof(VALUE) - 1 &&
           memcmp(record->value, VALUE, sizeof(VALUE) - 1) == 0;
}

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
        struct beck_record record = record_of(i);
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
    must(reserve_extend(fixture->partition, (int64_t)1 << 30, &fixture->error), &fixture->error);
    fixture_close(fixture);
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
        if (damages == 0) {
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
        assert_true(is_right(&record));
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

/* How many bytes from there on are flipped at once: where nothing is in use many, as one of them
 * that did something would still do it. 0: the byte is passed over. Of `live`, slot 0 and the slot
 * of "t" are in use, or a sample of these is taken. */
static int64_t chosen_of_live(int64_t byte)
{
    bool is_in_use = byte < 256 || (byte >= LIVE_SLOT_BYTES && byte < LIVE_SLOT_BYTES + 1500);
    if (is_in_use)
        return step_bytes == 1 || byte % 3 == 0;
    if (every_byte)
        return byte < LIVE_SLOT_BYTES ? 16 : byte < 2 * LIVE_SLOT_BYTES ? 2 : 1024;
    return byte < LIVE_SLOT_BYTES && byte % 64 == 0;
}

static int64_t chosen_of_lock(int64_t byte)
{
    return every_byte ? 64 : byte % (16 * step_bytes) == 0;
}

/* What is there to be made anew, which opening does. */
static void flip_what_is_made_anew(struct spread *spread, const char *name,
                                   int64_t (*chosen)(int64_t byte))
{
    struct fixture *fixture = &spread->fixture;
    char path[PATH_MAX];
    int64_t count;
    store_file(fixture, name, path);
    int64_t size = file_size(path);
    for (int64_t i = 0; i<size; i += count> 0 ? count : 1) {
        count = chosen(i);
        if (count > size - i)
            count = size - i;
        if (count == 0 || !spread_mine(spread))
            continue;
        file_flip_many(path, i, count);
        fixture_open(fixture);
        spread_check(count_records(fixture->partition, 0) == RECORDS, name, i, "records are gone");
        spread_check(must_state(fixture->partition).next_offset == RECORDS, name, i,
                     "the next offset is another one");
        fixture_close(fixture);
        (void)atomic_fetch_add((atomic_uint *)spread->counts, (unsigned)count);
    }
}

static void flip_live(struct spread *spread)
{
    flip_what_is_made_anew(spread, STORE_PATH_LIVE, chosen_of_live);
}

static void a_flipped_live_harms_nobody(void **state)
{
    struct fixture *fixture = *state;
    atomic_uint flips;
    make_small_store(fixture);
    spread_work(fixture, flip_live, &flips, sizeof(flips));
    print_message("live: %u bytes, none of which anybody believed\n", flips);
}

static void flip_locks(struct spread *spread)
{
    flip_what_is_made_anew(spread, STORE_PATH_META "-lock", chosen_of_lock);
    flip_what_is_made_anew(spread, STORE_PATH_INDEX "-lock", chosen_of_lock);
}

static void flipped_lock_files_harm_nobody(void **state)
{
    struct fixture *fixture = *state;
    atomic_uint flips;
    make_small_store(fixture);
    spread_work(fixture, flip_locks, &flips, sizeof(flips));
    print_message("lock files: %u bytes, none of which anybody believed\n", flips);
}

/* The small file "topic" and the copy of meta.mdb are for repair: meta.mdb is what counts. */
static void flip_what_is_for_repair(struct spread *spread)
{
    struct fixture *fixture = &spread->fixture;
    char paths[2][PATH_MAX];
    partition_folder(fixture, "t", 0, paths[0]);
    (void)snprintf(strrchr(paths[0], '/'), sizeof("/topic"), "/topic");
    store_file(fixture, STORE_PATH_META_COPY, paths[1]);
    for (int file = 0; file < 2; file++) {
        int64_t size = file_size(paths[file]);
        int64_t step = file == 0 || every_byte ? 1 : 16 * step_bytes;
        for (int64_t i = 0; i < size; i += step) {
            if (!spread_mine(spread))
                continue;
            file_flip(paths[file], i);
            fixture->store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
            fixture->partition = must_open_partition(fixture->store, "t", 0);
            (void)verify_count(fixture->store, NULL);
            spread_check(count_records(fixture->partition, 0) == RECORDS, paths[file], i,
                         "records are gone");
            fixture_close(fixture);
            file_flip(paths[file], i);
            (void)atomic_fetch_add((atomic_uint *)spread->counts, 1);
        }
    }
}

static void flipped_bytes_of_what_is_for_repair_harm_nobody(void **state)
{
    struct fixture *fixture = *state;
    atomic_uint flips;
    make_small_store(fixture);
    spread_work(fixture, flip_what_is_for_repair, &flips, sizeof(flips));
    print_message("topic and meta.mdb.copy: %u bytes, none of which anybody read\n", flips);
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

/* Groups with offsets: enough for a tree with branches, and one with a state of several pages. */
static void commit_offsets(struct fixture *fixture)
{
    static char state[STATE_BYTES];
    static struct beck_offset_commit commits[GROUPS];
    static char names[GROUPS][8];
    struct beck_group group = {.id_size = 1, .id = "g", .empty_since_ms = INT64_MAX};
    for (int i = 0; i < GROUPS; i++) {
        int size = snprintf(names[i], sizeof(names[i]), i == 0 ? "g" : "g%d", i);
        commits[i] = (struct beck_offset_commit){.group = names[i],
                                                 .group_size = (size_t)size,
                                                 .topic = "t",
                                                 .offset = OFFSET,
                                                 .leader_epoch = -1,
                                                 .expire_ms = -1};
    }
    memset(state, 's', sizeof(state));
    group.state_size = sizeof(state);
    must(beck_offsets_commit(fixture->store, commits, GROUPS, &fixture->error), &fixture->error);
    must(beck_group_put(fixture->store, &group, state, &fixture->error), &fixture->error);
}

/* A store with something of all that index.mdb and meta.mdb have. */
static void make_full_store(struct fixture *fixture)
{
    struct beck_record record = record_of(RECORDS);
    struct sender sender = {.producer_id = 1000};
    struct beck_append_result result;
    struct live_tail tail;
    uint32_t next_ms;
    append_small(fixture);
    must(partition_tail(fixture->partition, &tail, &fixture->error), &fixture->error);
    must(partition_roll(fixture->partition, &tail, &fixture->error), &fixture->error);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    must(beck_store_clean(fixture->store, NULL, NULL, &next_ms, &fixture->error), &fixture->error);
    must(
        append_as(fixture->partition, &sender, &record, 1, BECK_ACKS_ALL, &result, &fixture->error),
        &fixture->error);
    commit_offsets(fixture);
    fixture_close(fixture);
}

/* How far a child has come, and what it found. Shared with who waits for it. */
enum look {
    LOOK_WALKING, /* over the files, one by one */
    LOOK_SILENT,  /* that is done, and nothing was told */
    LOOK_TOLD,
};
static _Atomic enum look *look;

enum { EXIT_DONE = 0, EXIT_LIED = 12 };

/* How many records are read, all of them right; -1: one is not, or is gone without an error. */
static int64_t count_right(struct beck_partition *partition)
{
    struct beck_reader *reader = NULL;
    struct beck_record record;
    int64_t count = 0;
    int r = beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, NULL);
    while (r == 0 && (r = beck_reader_next(reader, &record, NULL)) == 1) {
        r = is_right(&record) && record.offset == count ? 0 : -EILSEQ;
        count += r == 0;
    }
    beck_reader_free(reader);
    return r == -EILSEQ || (r == 0 && count != RECORDS + 1) ? -1 : count;
}

/* Is the offset that the group committed there, or an error? */
static bool offset_is_right(struct beck_store *store)
{
    struct beck_offset *offset = calloc(1, sizeof(*offset));
    int r = beck_offset_fetch(store, "g", 1, "t", 0, offset, NULL);
    bool right = r < 0 || (r == 1 && offset->offset == OFFSET);
    free(offset);
    return right;
}

static void do_nothing(void *context)
{
    (void)context;
}

/* As "beck verify" does: walk over the files, then read all. */
static bool verify_tells(struct fixture *fixture)
{
    struct beck_store *store = NULL;
    if (beck_database_walk(fixture->path, STORE_PATH_META, do_nothing, NULL, NULL) < 0 ||
        beck_database_walk(fixture->path, STORE_PATH_INDEX, do_nothing, NULL, NULL) < 0)
        return true;
    *look = LOOK_SILENT;
    if (beck_store_open(fixture->path, BECK_OPEN_READ_ONLY, &fixture_options, &store, NULL) < 0)
        return true;
    int damages = verify_count(store, NULL);
    beck_store_close(store);
    return damages > 0;
}

/* Verify the store, then open it as who writes to it does, and read it. */
static int look_in_child(struct fixture *fixture)
{
    static const int deaths[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    static const struct rlimit no_core = {0};
    /* Of the processor's time: it may have to wait for its turn. */
    static const struct itimerval hangs = {.it_value = {.tv_sec = 10}};
    struct beck_store *store = NULL;
    struct beck_partition *partition = NULL;
    bool right = true;
    (void)setrlimit(RLIMIT_CORE, &no_core);
    for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++)
        (void)signal(deaths[i], SIG_DFL);
    (void)setitimer(ITIMER_PROF, &hangs, NULL);
    if (verify_tells(fixture))
        *look = LOOK_TOLD;
    if (beck_store_open(fixture->path, 0, &fixture_options, &store, NULL) < 0)
        return EXIT_DONE;
    if (beck_partition_open(store, "t", 0, &partition, NULL) == 0)
        right = count_right(partition) >= 0 && (*look == LOOK_TOLD || offset_is_right(store));
    beck_partition_close(partition);
    beck_store_close(store);
    return right ? EXIT_DONE : EXIT_LIED;
}

struct flips {
    atomic_uint told;
    atomic_uint walk_died; /* which tells of it, too */
    atomic_uint silent[PAGE_BYTES];
    atomic_uint wrong;
};

/* What of a child's end must not be; NULL: nothing. */
static const char *what_is_wrong(int code, enum page_byte class)
{
    if (code == EXIT_LIED && *look != LOOK_TOLD)
        return "others than the records and offsets that were there are read";
    if (code != EXIT_DONE && code != EXIT_LIED && code < 128)
        return "who looks fails";
    if (code != EXIT_DONE && *look == LOOK_SILENT)
        return "the walk goes through, and then it crashes";
    if (*look == LOOK_SILENT && class == PAGE_READ)
        return "nothing tells of it, and it is not on the list";
    return NULL;
}

struct flipper {
    struct spread *spread;
    const char *name; /* of the file */
    char path[PATH_MAX];
    char whole[PATH_MAX]; /* the store as it was */
    char *bytes;
    size_t size;
    uint8_t *classes;
};

/* Flip so many bytes, look, and count. Returns whether nothing told of it. */
static bool flip_and_look(struct flipper *flipper, size_t at, size_t count)
{
    struct fixture *fixture = &flipper->spread->fixture;
    struct flips *flips = flipper->spread->counts;
    enum page_byte class = flipper->classes[at];
    file_flip_many(flipper->path, (int64_t)at, (int64_t)count);
    *look = LOOK_WALKING;
    int code = run_in_child(look_in_child, fixture);
    const char *wrong = what_is_wrong(code, class);
    bool silent = !wrong && *look == LOOK_SILENT;
    if (silent || count == 1)
        (void)atomic_fetch_add(wrong                   ? &flips->wrong
                               : *look == LOOK_WALKING ? &flips->walk_died
                               : *look == LOOK_TOLD    ? &flips->told
                                                       : &flips->silent[class],
                               (unsigned)count);
    if (wrong && count == 1)
        print_message("%s: byte %zu: %s\n", flipper->name, at, wrong);
    folder_remove(fixture->path);
    folder_copy(flipper->whole, fixture->path);
    return silent;
}

/* How many bytes from there on are nobody's, and may be flipped at once. Else 1. */
static size_t run_of_unused(const struct flipper *flipper, size_t at)
{
    size_t count = 1;
    enum page_byte class = flipper->classes[at];
    if (!every_byte || (class != PAGE_FREE && class != PAGE_ROOM))
        return 1;
    while (count < RUN_BYTES && at + count < flipper->size && flipper->classes[at + count] == class)
        count++;
    return count;
}

static void flip_all(struct flipper *flipper)
{
    int64_t in_use = 0;
    size_t count;
    for (size_t i = 0; i < flipper->size; i += count) {
        count = run_of_unused(flipper, i);
        in_use += flipper->bytes[i] != 0;
        if (!every_byte && (flipper->bytes[i] == 0 || in_use % step_bytes != 0))
            continue;
        if (!spread_mine(flipper->spread) || flip_and_look(flipper, i, count) || count == 1)
            continue;
        for (size_t k = 0; k < count; k++)
            (void)flip_and_look(flipper, i + k, 1);
    }
}

static void flip_in(struct spread *spread, const char *name)
{
    struct flipper flipper = {.spread = spread, .name = name};
    struct fixture *fixture = &spread->fixture;
    store_file(fixture, name, flipper.path);
    (void)snprintf(flipper.whole, sizeof(flipper.whole), "%s/whole-%d", fixture->folder,
                   spread->job);
    folder_copy(fixture->path, flipper.whole);
    flipper.bytes = file_read(flipper.path, &flipper.size);
    flipper.classes = malloc(flipper.size);
    spread_check(page_bytes_classify(flipper.bytes, flipper.size, flipper.classes) == 0, name, 0,
                 "its pages are others");
    look = mmap(NULL, sizeof(*look), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    flip_all(&flipper);
    free(flipper.bytes);
    free(flipper.classes);
}

static void print_flips(const char *name, const struct flips *flips)
{
    const atomic_uint *silent = flips->silent;
    unsigned all = flips->told + flips->walk_died + flips->wrong;
    for (int i = 0; i < PAGE_BYTES; i++)
        all += silent[i];
    print_message("%s: of %u bytes %u were told of, and %u by the death of who walked over the "
                  "file; not told of were %u of free pages, %u of the older page, %u between "
                  "pairs, %u of fields, %u of branches, and no other\n",
                  name, all, flips->told, flips->walk_died, silent[PAGE_FREE], silent[PAGE_OLD],
                  silent[PAGE_ROOM], silent[PAGE_FIELD], silent[PAGE_BRANCH]);
    assert_int_equal(flips->wrong, 0);
}

static void flip_meta(struct spread *spread)
{
    flip_in(spread, STORE_PATH_META);
}

static void flip_index(struct spread *spread)
{
    flip_in(spread, STORE_PATH_INDEX);
}

static void flipped_bytes_of_meta_lie_to_nobody(void **state)
{
    struct flips flips;
    make_full_store(*state);
    spread_work(*state, flip_meta, &flips, sizeof(flips));
    print_flips(STORE_PATH_META, &flips);
}

static void flipped_bytes_of_index_lie_to_nobody(void **state)
{
    struct flips flips;
    make_full_store(*state);
    spread_work(*state, flip_index, &flips, sizeof(flips));
    print_flips(STORE_PATH_INDEX, &flips);
}

/* ---- the command line ---------------------------------------------------------------------- */

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

static void take_arguments(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--every") == 0)
            every_byte = true;
        else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc && atoi(argv[i + 1]) > 0)
            spread_jobs = atoi(argv[++i]);
        else if (strcmp(argv[i], "--all") != 0) {
            (void)fprintf(stderr, "corrupt_test [--all|--every] [--jobs N]\n");
            exit(2);
        } else
            step_bytes = 1;
    }
    if (every_byte)
        step_bytes = 1;
}

int main(int argc, char **argv)
{
    take_arguments(argc, argv);
    use_memory_disk();
    const struct CMUnitTest tests[] = {
        TEST(each_flipped_byte_of_a_segment_is_told_of),
        TEST(each_flipped_byte_of_a_sealed_segment_is_told_of),
        TEST(nothing_wrong_is_read_from_a_flipped_segment),
        TEST(a_flipped_live_harms_nobody),
        TEST(flipped_lock_files_harm_nobody),
        TEST(flipped_bytes_of_what_is_for_repair_harm_nobody),
        TEST(flipped_bytes_of_meta_lie_to_nobody),
        TEST(flipped_bytes_of_index_lie_to_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
