/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backups: what they have, while others append, create, delete and trim; that they are stores; and
 * what comes of a store that was copied, moved, or copied back over itself.
 */
#include "fault_io.h"
#include "meta.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define VALUE_BYTES 90000
#define VALUES      30 /* two complete segments of 1 MiB, and a third that is written to */

static void maintain(struct beck_store *store)
{
    uint32_t next_ms;
    struct beck_error error;
    must(beck_store_maintain(store, true, &next_ms, &error), &error);
}

static int setup_segments(void **state)
{
    setup_store(state);
    struct fixture *fixture = *state;
    must_create_topic(fixture->store, "t", 1, "segment.bytes", "1048576");
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    for (unsigned i = 0; i < VALUES; i++)
        must_append_bytes(fixture->partition, VALUE_BYTES, i, BECK_ACKS_LEADER);
    maintain(fixture->store);
    return 0;
}

/* A path beside the store. */
static const char *beside(const struct fixture *fixture, const char *name)
{
    static char path[2][PATH_MAX];
    static int which;
    which = !which;
    (void)snprintf(path[which], sizeof(path[which]), "%s/%s", fixture->folder, name);
    return path[which];
}

static void back_up(struct fixture *fixture, bool copy)
{
    struct beck_backup_options options = {.copy = copy};
    must(beck_store_backup(fixture->store, beside(fixture, "backup"), &options, &fixture->error),
         &fixture->error);
}

/* Look into another store than the fixture's. */
static int64_t count_in(struct fixture *fixture, const char *name, const char *topic,
                        unsigned flags)
{
    struct beck_store *store = must_open(beside(fixture, name), flags);
    struct beck_partition *partition = must_open_partition(store, topic, 0);
    int64_t count = count_records(partition, 0);
    assert_int_equal(verify_count(store, NULL), 0);
    beck_partition_close(partition);
    beck_store_close(store);
    return count;
}

/* ---- what it has --------------------------------------------------------------------------- */

static void a_backup_is_a_store_with_all_records(void **state)
{
    struct fixture *fixture = *state;
    back_up(fixture, false);
    assert_int_equal(count_in(fixture, "backup", "t", BECK_OPEN_READ_ONLY), VALUES);
    assert_int_equal(count_in(fixture, "backup", "t", 0), VALUES);
    assert_int_equal(count_records(fixture->partition, 0), VALUES);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void it_has_what_no_checkpoint_has(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned i = 0; i < VALUES; i++) /* some of them in segments that are not catalogued */
        must_append_bytes(fixture->partition, VALUE_BYTES, i, BECK_ACKS_LEADER);
    back_up(fixture, false);
    assert_int_equal(count_in(fixture, "backup", "t", BECK_OPEN_READ_ONLY), 2 * VALUES);
    assert_int_equal(count_in(fixture, "backup", "t", 0), 2 * VALUES);
}

static nlink_t names_of(struct fixture *fixture, const char *name, int index)
{
    char path[PATH_MAX];
    char in_backup[2 * PATH_MAX];
    struct stat info;
    segment_path(fixture, "t", 0, index, path);
    (void)snprintf(in_backup, sizeof(in_backup), "%s%s", beside(fixture, name),
                   path + strlen(fixture->path));
    assert_int_equal(stat(in_backup, &info), 0);
    return info.st_nlink;
}

static void a_copy_of_every_byte_shares_no_files(void **state)
{
    struct fixture *fixture = *state;
    back_up(fixture, true);
    for (int i = 0; i < 3; i++)
        assert_int_equal(names_of(fixture, "backup", i), 1);
    assert_int_equal(count_in(fixture, "backup", "t", 0), VALUES);
}

static void the_newest_segment_is_never_shared(void **state)
{
    struct fixture *fixture = *state;
    back_up(fixture, false);
    assert_int_equal(names_of(fixture, "backup", 2), 1);
    must_append_bytes(fixture->partition, 1000, 1, BECK_ACKS_LEADER);
    assert_int_equal(count_in(fixture, "backup", "t", 0), VALUES);
}

static void appending_to_the_backup_leaves_the_store_alone(void **state)
{
    struct fixture *fixture = *state;
    back_up(fixture, false);
    struct beck_store *store = must_open(beside(fixture, "backup"), 0);
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    for (unsigned i = 0; i < VALUES; i++)
        must_append_bytes(partition, VALUE_BYTES, 100 + i, BECK_ACKS_LEADER);
    must(beck_topic_delete(store, "t", &fixture->error), &fixture->error);
    beck_partition_close(partition);
    beck_store_close(store);
    assert_int_equal(count_records(fixture->partition, 0), VALUES);
    fixture_reopen(fixture);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void offsets_go_on_behind_those_that_may_be_given_out_since(void **state)
{
    struct fixture *fixture = *state;
    back_up(fixture, false);
    int64_t since = must_append_bytes(fixture->partition, 1000, 1, BECK_ACKS_LEADER);
    int32_t epoch = must_state(fixture->partition).leader_epoch;
    struct beck_store *store = must_open(beside(fixture, "backup"), 0);
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    assert_true(must_append(partition, "restored", BECK_ACKS_LEADER) > since);
    assert_true(must_state(partition).leader_epoch > epoch);
    beck_partition_close(partition);
    beck_store_close(store);
}

static void producer_ids_are_not_given_out_again(void **state)
{
    struct fixture *fixture = *state;
    int64_t in_store;
    int64_t in_backup;
    must(beck_producer_id_new(fixture->store, &in_store, &fixture->error), &fixture->error);
    back_up(fixture, false);
    struct beck_store *store = must_open(beside(fixture, "backup"), 0);
    must(beck_producer_id_new(store, &in_backup, &fixture->error), &fixture->error);
    assert_true(in_backup > in_store);
    beck_store_close(store);
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void a_directory_that_is_not_empty_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s", beside(fixture, "backup"));
    assert_int_equal(mkdir(path, 0755), 0);
    must(beck_store_backup(fixture->store, path, NULL, &fixture->error), &fixture->error);
    assert_int_equal(beck_store_backup(fixture->store, path, NULL, &fixture->error), -ENOTEMPTY);
}

static void a_directory_in_the_store_is_refused(void **state)
{
    static const char *const places[] = {"", "/backup", "/topics/backup", "/../store/wake/backup"};
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    char link[PATH_MAX];
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", fixture->path, places[i]);
        assert_int_equal(beck_store_backup(fixture->store, path, NULL, &fixture->error), -EINVAL);
        assert_non_null(strstr(fixture->error.message, "is in the store itself"));
        assert_int_equal(access(path, F_OK), i == 0 ? 0 : -1);
    }
    partition_folder(fixture, "t", 0, path);
    (void)snprintf(link, sizeof(link), "%s", beside(fixture, "link"));
    assert_int_equal(symlink(path, link), 0);
    (void)snprintf(path, sizeof(path), "%.200s/backup", link);
    assert_int_equal(beck_store_backup(fixture->store, path, NULL, &fixture->error), -EINVAL);
    assert_int_equal(access(path, F_OK), -1);
    back_up(fixture, false);
}

static int stop(void *context, uint64_t done_bytes, uint64_t all_bytes)
{
    assert_true(done_bytes <= all_bytes);
    return ++*(int *)context == 2;
}

static void a_backup_that_was_stopped_is_no_store(void **state)
{
    struct fixture *fixture = *state;
    int called = 0;
    struct beck_store *store = NULL;
    struct beck_backup_options options = {.copy = true, .progress = stop, .context = &called};
    assert_int_equal(
        beck_store_backup(fixture->store, beside(fixture, "backup"), &options, &fixture->error),
        -ECANCELED);
    assert_int_equal(called, 2);
    assert_int_equal(
        beck_store_open(beside(fixture, "backup"), 0, &fixture_options, &store, &fixture->error),
        -ENOENT);
}

static void a_missing_segment_is_named(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    segment_path(fixture, "t", 0, 0, path);
    fixture_close(fixture);
    assert_int_equal(unlink(path), 0);
    fixture->store = must_open(fixture->path, 0);
    assert_int_equal(
        beck_store_backup(fixture->store, beside(fixture, "backup"), NULL, &fixture->error),
        -EBADMSG);
    assert_string_equal(fixture->error.topic, "t");
}

/* Which of the steps that make a backup durable were made, in this order. */
enum { STEP_NONE, STEP_ALL_SYNCED, STEP_RENAMED, STEP_NAMES_SYNCED };

static int note_durable_steps(struct fault_io *fault, const struct fault_what *what)
{
    int *step = fault->context;
    if (what->call == FAULT_SYNC_ALL && *step == STEP_NONE)
        *step = STEP_ALL_SYNCED;
    else if (what->call == FAULT_RENAME && *step == STEP_ALL_SYNCED)
        *step = STEP_RENAMED;
    else if (what->call == FAULT_SYNC && *step == STEP_RENAMED)
        *step = STEP_NAMES_SYNCED;
    else if (what->call == FAULT_WRITE || what->call == FAULT_LINK || what->call == FAULT_CLONE)
        *step = STEP_NONE;
    return 0;
}

static void all_of_it_is_durable_before_it_is_a_store(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    int step = STEP_NONE;
    fixture_close(fixture);
    fault_io_init(&fault);
    fault.context = &step;
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    fault.hook = note_durable_steps;
    back_up(fixture, false);
    fault.hook = NULL;
    assert_int_equal(step, STEP_NAMES_SYNCED);
    fixture_close(fixture);
}

/* ---- while others go on -------------------------------------------------------------------- */

static int delete_u(struct fault_io *fault, const struct fault_what *what)
{
    struct fixture *fixture = fault->context;
    if (what->call == FAULT_MAKE_DIRECTORY && what->name && strstr(what->name, "topics/")) {
        fault->hook = NULL;
        must(beck_topic_delete(fixture->store, "u", &fixture->error), &fixture->error);
    }
    return 0;
}

static void a_topic_that_is_deleted_meanwhile_is_left_out(void **state)
{
    struct fixture *fixture = *state;
    struct fault_io fault;
    struct beck_topic topic;
    must_create_topic(fixture->store, "u", 2, NULL, NULL);
    fixture_close(fixture);
    fault_io_init(&fault);
    fault.context = fixture;
    fixture->store = must_open_io(fixture->path, 0, &fault.io);
    fault.hook = delete_u;
    back_up(fixture, false);
    assert_null(fault.hook);
    assert_int_equal(count_in(fixture, "backup", "t", 0), VALUES);
    struct beck_store *store = must_open(beside(fixture, "backup"), 0);
    assert_int_equal(beck_topic_find(store, "u", &topic, &fixture->error), -ENOENT);
    must_create_topic(store, "u", 1, NULL, NULL);
    beck_store_close(store);
    fixture_close(fixture);
}

/* What processes that go on have told, in memory that all share. */
struct ledger {
    atomic_bool stop;
    _Atomic int64_t acknowledged[4]; /* offset of the last record; one topic each */
    _Atomic uint32_t turns[4];
};

static void name_topic(char to[16], int which)
{
    (void)snprintf(to, 16, "busy-%d", which);
}

/* A record of one of a few keys, for a topic that compaction keeps small. */
static void append_key(struct beck_partition *partition, unsigned i)
{
    static char value[60000];
    struct beck_append_result result;
    struct beck_error error;
    uint32_t key = i % 5;
    struct beck_record record = {.key = &key,
                                 .key_size = sizeof(key),
                                 .value = value,
                                 .value_size = (int32_t)(sizeof(value) - i % 1000)};
    must(beck_produce(partition, &record, 1, BECK_ACKS_LEADER, &result, &error), &error);
}

/* Others append faster than one cleans. */
static bool after_some_work(void *context)
{
    return ++*(int *)context == 10;
}

/* Append for ever; now and then make and delete a topic, maintain, seal and compact, and trim. */
static void go_on(struct fixture *fixture, struct ledger *ledger, int which)
{
    char name[16];
    char brief[32];
    char keys[32];
    int64_t log_start;
    struct beck_error error;
    struct beck_store *store = must_open(fixture->path, 0);
    name_topic(name, which);
    (void)snprintf(brief, sizeof(brief), "brief-%d", which);
    struct beck_partition *partition = must_open_partition(store, name, 0);
    (void)snprintf(keys, sizeof(keys), "keys-%d", which);
    struct beck_partition *compacted = must_open_partition(store, keys, 0);
    for (unsigned i = 0; !ledger->stop; i++) {
        append_key(compacted, i);
        int64_t offset = must_append_bytes(partition, 20000 + 1000 * (i % 40), i, BECK_ACKS_ALL);
        if (i % 8 == 0) {
            must(beck_sync(partition, offset + 1, &error), &error);
            ledger->acknowledged[which] = offset;
        }
        if (i % 32 == 0) {
            uint32_t next_ms;
            int asked = 0;
            must_create_topic(store, brief, 2, NULL, NULL);
            maintain(store);
            must(beck_store_clean(store, after_some_work, &asked, &next_ms, &error), &error);
            must(beck_topic_delete(store, brief, &error), &error);
        }
        if (i % 64 == 63 && offset > 100)
            must(beck_trim(partition, offset - 100, &log_start, &error), &error);
        ledger->turns[which] = i;
    }
    beck_partition_close(compacted);
    beck_partition_close(partition);
    beck_store_close(store);
}

static void make_topics(struct beck_store *store, int which)
{
    static const struct beck_config configs[] = {{"segment.bytes", "1048576"},
                                                 {"cleanup.policy", "compact"},
                                                 {"min.cleanable.dirty.ratio", "0.01"}};
    struct beck_topic_options options = {.configs = configs, .config_count = 3};
    struct beck_error error;
    char name[16];
    name_topic(name, which);
    must_create_topic(store, name, 1, "segment.bytes", "1048576");
    (void)snprintf(name, sizeof(name), "keys-%d", which);
    must(beck_topic_create(store, name, &options, NULL, &error), &error);
}

static void start(struct fixture *fixture, struct ledger *ledger, pid_t pids[4])
{
    for (int i = 0; i < 4; i++)
        make_topics(fixture->store, i);
    fixture_close(fixture);
    for (int i = 0; i < 4; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            go_on(fixture, ledger, i);
            _exit(0);
        }
    }
    for (int i = 0; i < 4; i++)
        while (ledger->turns[i] < 40 && kill(pids[i], 0) == 0)
            usleep(1000);
    fixture->store = must_open(fixture->path, 0);
}

/* All that was acknowledged before is there, and right. */
static void check_busy(struct beck_store *store, int which, int64_t acknowledged)
{
    char name[16];
    struct beck_reader *reader = NULL;
    struct beck_record record;
    struct beck_error error;
    int64_t last = -1;
    name_topic(name, which);
    struct beck_partition *partition = must_open_partition(store, name, 0);
    int64_t begin = must_state(partition).log_start_offset;
    must(beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, &error), &error);
    must(beck_reader_seek(reader, begin, &error), &error);
    while (must(beck_reader_next(reader, &record, &error), &error) == 1) {
        assert_int_equal(record.offset, last < 0 ? begin : last + 1);
        assert_int_equal(record.value_size, 20000 + 1000 * (record.offset % 40));
        last = record.offset;
    }
    assert_true(last >= acknowledged);
    beck_reader_free(reader);
    beck_partition_close(partition);
}

/* What they write, the disk has to take. */
static void need_room(const struct fixture *fixture)
{
    const uint64_t needed = (uint64_t)1 << 30;
    struct statvfs info;
    assert_int_equal(statvfs(fixture->path, &info), 0);
    if ((uint64_t)info.f_bavail * info.f_frsize >= needed)
        return;
    print_message("less than 1 GiB of room in %s\n", fixture->folder);
    skip();
}

static void processes_that_go_on_do_not_spoil_it(void **state)
{
    enum { BACKUPS = 6 };
    struct fixture *fixture = *state;
    need_room(fixture);
    pid_t pids[4];
    int64_t acknowledged[BACKUPS][4];
    struct ledger *ledger =
        mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(ledger, MAP_FAILED);
    start(fixture, ledger, pids);
    for (int i = 0; i < BACKUPS; i++) {
        char name[16];
        struct beck_backup_options options = {.copy = i % 2};
        (void)snprintf(name, sizeof(name), "backup-%d", i);
        for (int j = 0; j < 4; j++)
            acknowledged[i][j] = ledger->acknowledged[j];
        must(beck_store_backup(fixture->store, beside(fixture, name), &options, &fixture->error),
             &fixture->error);
    }
    ledger->stop = true;
    for (int i = 0; i < 4; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    (void)munmap(ledger, sizeof(*ledger));
    for (int i = 0; i < BACKUPS; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "backup-%d", i);
        struct beck_store *store = must_open(beside(fixture, name), 0);
        assert_int_equal(verify_count(store, NULL), 0);
        for (int j = 0; j < 4; j++)
            check_busy(store, j, acknowledged[i][j]);
        beck_store_close(store);
    }
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

/* ---- restoring, copying, moving ------------------------------------------------------------ */

/* `live` stays as it is, and files that the backup does not have stay, too. */
static void restore_over(struct fixture *fixture, bool copy, const char *how)
{
    char target[PATH_MAX];
    char command[2 * PATH_MAX];
    back_up(fixture, copy);
    for (unsigned i = 0; i < VALUES; i++)
        must_append_bytes(fixture->partition, VALUE_BYTES, 100 + i, BECK_ACKS_LEADER);
    must_create_topic(fixture->store, "since", 1, NULL, NULL);
    fixture_close(fixture);
    store_file(fixture, "live", target);
    assert_true(file_size(target) > 0);
    (void)snprintf(command, sizeof(command), "cp -a %s %s/backup/. %s", how, fixture->folder,
                   fixture->path);
    assert_int_equal(system(command), 0);
    fixture_open(fixture);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    assert_int_equal(count_records(fixture->partition, 0), VALUES);
    int64_t offset = must_append(fixture->partition, "restored", BECK_ACKS_LEADER);
    assert_true(offset >= 2 * VALUES);
    assert_value(fixture->partition, offset, "restored");
    must_create_topic(fixture->store, "since", 1, NULL, NULL);
    fixture_reopen(fixture);
    assert_value(fixture->partition, offset, "restored");
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void a_backup_written_over_its_store_is_right(void **state)
{
    restore_over(*state, true, "");
}

static void a_backup_put_in_the_place_of_its_store_s_files_is_right(void **state)
{
    restore_over(*state, false, "--remove-destination");
}

static void append_one_more(struct fixture *fixture, struct beck_store *store)
{
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    (void)fixture;
    must_append(partition, "published, and nothing more", BECK_ACKS_LEADER);
}

/* The copy's `live` is of this boot, and of another file. */
static void a_copy_of_a_store_whose_process_was_killed_is_right(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    run_and_kill(append_one_more, fixture);
    folder_copy(fixture->path, beside(fixture, "copy"));
    assert_int_equal(count_in(fixture, "copy", "t", 0), VALUES + 1);
    fixture_open(fixture);
    assert_int_equal(must_append(fixture->partition, "no jump", BECK_ACKS_LEADER), VALUES + 1);
}

static void a_store_and_its_copy_are_two_stores(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    folder_copy(fixture->path, beside(fixture, "copy"));
    fixture->store = must_open(fixture->path, 0);
    struct beck_store *other = must_open(beside(fixture, "copy"), 0);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    struct beck_partition *partition = must_open_partition(other, "t", 0);
    assert_int_equal(must_append(partition, "in the copy", BECK_ACKS_LEADER), VALUES);
    assert_int_equal(must_append(fixture->partition, "in the store", BECK_ACKS_LEADER), VALUES);
    assert_value(partition, VALUES, "in the copy");
    assert_value(fixture->partition, VALUES, "in the store");
    beck_partition_close(partition);
    beck_store_close(other);
}

static void a_moved_store_goes_on(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    fixture_close(fixture);
    run_and_kill(append_one_more, fixture);
    (void)snprintf(path, sizeof(path), "%s", beside(fixture, "moved"));
    assert_int_equal(rename(fixture->path, path), 0);
    assert_int_equal(count_in(fixture, "moved", "t", 0), VALUES + 1);
    assert_int_equal(rename(path, fixture->path), 0);
    fixture_open(fixture);
    assert_int_equal(must_append(fixture->partition, "on", BECK_ACKS_LEADER), VALUES + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_segments, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_backup_is_a_store_with_all_records),
        TEST(it_has_what_no_checkpoint_has),
        TEST(a_copy_of_every_byte_shares_no_files),
        TEST(the_newest_segment_is_never_shared),
        TEST(appending_to_the_backup_leaves_the_store_alone),
        TEST(offsets_go_on_behind_those_that_may_be_given_out_since),
        TEST(producer_ids_are_not_given_out_again),
        TEST(a_directory_that_is_not_empty_is_refused),
        TEST(a_directory_in_the_store_is_refused),
        TEST(a_backup_that_was_stopped_is_no_store),
        TEST(a_missing_segment_is_named),
        TEST(all_of_it_is_durable_before_it_is_a_store),
        TEST(a_topic_that_is_deleted_meanwhile_is_left_out),
        TEST(processes_that_go_on_do_not_spoil_it),
        TEST(a_backup_written_over_its_store_is_right),
        TEST(a_backup_put_in_the_place_of_its_store_s_files_is_right),
        TEST(a_copy_of_a_store_whose_process_was_killed_is_right),
        TEST(a_store_and_its_copy_are_two_stores),
        TEST(a_moved_store_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
