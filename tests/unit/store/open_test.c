/* SPDX-License-Identifier: Apache-2.0 */
/* Creating and opening stores, what is refused and with which words; what full disks do. */
#include "store.h"
#include "store_fixture.h"

#include "bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define NOBODY 65534

static int open_result(struct fixture *fixture, unsigned flags)
{
    struct beck_store *store = NULL;
    int r = beck_store_open(fixture->path, flags, &fixture_options, &store, &fixture->error);
    beck_store_close(store);
    return r;
}

/* ---- creating ------------------------------------------------------------------------------ */

static void a_store_is_made_in_a_missing_folder(void **state)
{
    struct fixture *fixture = *state;
    must(beck_store_create(fixture->path, &fixture_options, &fixture->error), &fixture->error);
    assert_int_equal(open_result(fixture, 0), 0);
}

static void a_store_is_made_in_an_empty_folder(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(mkdir(fixture->path, 0755), 0);
    must(beck_store_create(fixture->path, &fixture_options, &fixture->error), &fixture->error);
    assert_int_equal(open_result(fixture, 0), 0);
}

static void a_store_is_not_made_twice(void **state)
{
    struct fixture *fixture = *state;
    must(beck_store_create(fixture->path, &fixture_options, &fixture->error), &fixture->error);
    assert_int_equal(beck_store_create(fixture->path, &fixture_options, &fixture->error), -EEXIST);
    /* Whoever closes it leaves more in it. */
    assert_int_equal(open_result(fixture, 0), 0);
    assert_int_equal(beck_store_create(fixture->path, &fixture_options, &fixture->error), -EEXIST);
}

static void a_store_is_not_made_among_other_files(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    assert_int_equal(mkdir(fixture->path, 0755), 0);
    store_file(fixture, "letter.txt", path);
    file_write(path, "dear", 4);
    assert_int_equal(beck_store_create(fixture->path, &fixture_options, &fixture->error),
                     -ENOTEMPTY);
    assert_true(open_result(fixture, BECK_OPEN_CREATE) < 0);
    store_file(fixture, STORE_PATH_META, path);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_creation_that_was_cut_short_is_finished(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    must(beck_store_create(fixture->path, &fixture_options, &fixture->error), &fixture->error);
    store_file(fixture, STORE_PATH_META, path);
    assert_int_equal(unlink(path), 0); /* it comes last */
    assert_int_equal(open_result(fixture, BECK_OPEN_CREATE), 0);
}

/* ---- what is no store ---------------------------------------------------------------------- */

static void a_missing_folder_is_no_store(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(open_result(fixture, 0), -ENOENT);
    assert_non_null(strstr(fixture->error.message, fixture->path));
}

static void an_empty_folder_is_no_store(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(mkdir(fixture->path, 0755), 0);
    assert_int_equal(open_result(fixture, 0), -ENOENT);
    assert_int_equal(open_result(fixture, BECK_OPEN_READ_ONLY), -ENOENT);
    assert_int_equal(rmdir(fixture->path), 0); /* and nothing was put there */
}

static void a_file_is_no_store(void **state)
{
    struct fixture *fixture = *state;
    file_write(fixture->path, "x", 1);
    assert_int_equal(open_result(fixture, 0), -ENOTDIR);
}

static void an_empty_path_is_refused(void **state)
{
    struct beck_store *store = NULL;
    (void)state;
    assert_int_equal(beck_store_open("", 0, NULL, &store, NULL), -EINVAL);
}

static void flags_that_do_not_go_together_are_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(open_result(fixture, BECK_OPEN_CREATE | BECK_OPEN_READ_ONLY), -EINVAL);
    assert_int_equal(open_result(fixture, 1U << 20), -EINVAL);
}

static void a_meta_that_is_garbage_is_damage(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    static const char garbage[16384] = "garbage";
    must(beck_store_create(fixture->path, &fixture_options, &fixture->error), &fixture->error);
    store_file(fixture, STORE_PATH_META, path);
    file_write(path, garbage, sizeof(garbage));
    assert_int_equal(open_result(fixture, 0), -EBADMSG);
    assert_non_null(strstr(fixture->error.message, "meta.mdb"));
}

/* ---- other formats ------------------------------------------------------------------------- */

/* Put a value into one of meta.mdb's databases, as another beck might. */
static void meta_put(struct fixture *fixture, const char *database, const char *key,
                     const void *bytes, size_t size)
{
    char path[PATH_MAX];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val k = {strlen(key), (void *)(uintptr_t)key};
    MDB_val v = {size, (void *)(uintptr_t)bytes};
    store_file(fixture, STORE_PATH_META, path);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 16), 0);
    assert_int_equal(mdb_env_set_mapsize(env, FIXTURE_MAP_BYTES), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0644), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, database, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void a_newer_format_is_refused_and_left_alone(void **state)
{
    struct fixture *fixture = *state;
    uint8_t format[12] = "beckfmt";
    char path[PATH_MAX];
    size_t size;
    size_t size_after;
    must(beck_store_create(fixture->path, &fixture_options, &fixture->error), &fixture->error);
    store_le32(format + 8, STORE_FORMAT_VERSION + 1);
    meta_put(fixture, "store", "format", format, sizeof(format));
    store_file(fixture, STORE_PATH_META, path);
    char *before = file_read(path, &size);
    assert_int_equal(open_result(fixture, 0), -EPROTONOSUPPORT);
    assert_int_equal(open_result(fixture, BECK_OPEN_READ_ONLY), -EPROTONOSUPPORT);
    assert_int_equal(open_result(fixture, BECK_OPEN_CREATE), -EPROTONOSUPPORT);
    char *after = file_read(path, &size_after);
    assert_int_equal(size, size_after);
    assert_memory_equal(before, after, size);
    free(before);
    free(after);
}

static void a_damaged_topic_is_named_and_leaves_the_others_alone(void **state)
{
    struct fixture *fixture = *state;
    struct beck_partition *partition = NULL;
    struct beck_damage damage;
    struct beck_topic topic;
    fixture->store = must_open(fixture->path, BECK_OPEN_CREATE);
    must_create_topic(fixture->store, "good", 1, NULL, NULL);
    must_create_topic(fixture->store, "hurt", 1, NULL, NULL);
    fixture_close(fixture);
    meta_put(fixture, "topics", "hurt", "no record of a topic", 20);
    fixture->store = must_open(fixture->path, 0);
    assert_int_equal(beck_partition_open(fixture->store, "hurt", 0, &partition, &fixture->error),
                     -EBADMSG);
    assert_non_null(strstr(fixture->error.message, "hurt"));
    assert_int_equal(beck_topic_find(fixture->store, "hurt", &topic, &fixture->error), -EBADMSG);
    fixture->partition = must_open_partition(fixture->store, "good", 0);
    must_append(fixture->partition, "fine", BECK_ACKS_LEADER);
    assert_int_equal(beck_topic_next(fixture->store, "", &topic, &fixture->error), 1);
    assert_string_equal(topic.name, "good");
    assert_int_equal(verify_count(fixture->store, &damage), 1);
    assert_non_null(strstr(damage.what, "hurt"));
}

/* ---- permissions --------------------------------------------------------------------------- */

static int as_nobody(struct fixture *fixture, unsigned flags)
{
    struct beck_store *store = NULL;
    if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
        return 99;
    int r = beck_store_open(fixture->path, flags, &fixture_options, &store, &fixture->error);
    if (r < 0)
        return -r;
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    int64_t count = count_records(partition, 0);
    beck_partition_close(partition);
    beck_store_close(store);
    return count == 1 ? 0 : 98;
}

static int write_as_nobody(struct fixture *fixture)
{
    return as_nobody(fixture, 0);
}

static int read_as_nobody(struct fixture *fixture)
{
    return as_nobody(fixture, BECK_OPEN_READ_ONLY);
}

static void one_record(struct fixture *fixture)
{
    if (getuid() != 0)
        skip(); /* only root can become somebody else */
    assert_int_equal(chmod(fixture->folder, 0755), 0);
    fixture->store = must_open(fixture->path, BECK_OPEN_CREATE);
    must_create_topic(fixture->store, "t", 1, NULL, NULL);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    must_append(fixture->partition, "a", BECK_ACKS_LEADER);
}

static void who_may_not_write_is_refused(void **state)
{
    struct fixture *fixture = *state;
    one_record(fixture);
    fixture_close(fixture);
    assert_int_equal(run_in_child(write_as_nobody, fixture), EACCES);
}

static void who_may_only_read_can_read(void **state)
{
    struct fixture *fixture = *state;
    one_record(fixture);
    fixture_close(fixture);
    assert_int_equal(run_in_child(read_as_nobody, fixture), 0);
}

static void who_may_only_read_can_read_while_others_write(void **state)
{
    struct fixture *fixture = *state;
    one_record(fixture);
    assert_int_equal(run_in_child(read_as_nobody, fixture), 0);
}

static void who_may_not_even_read_is_refused(void **state)
{
    struct fixture *fixture = *state;
    one_record(fixture);
    fixture_close(fixture);
    assert_int_equal(chmod(fixture->path, 0700), 0);
    assert_int_equal(run_in_child(read_as_nobody, fixture), EACCES);
}

/* ---- full disks ---------------------------------------------------------------------------- */

enum { NO_MOUNT = 77 };

/* A file system of 6 MiB in a mount namespace of our own, and a store on it. */
static int small_disk(struct fixture *fixture)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", fixture->folder, "tmpfs", 0, "size=6m") < 0)
        return NO_MOUNT;
    fixture->store = must_open(fixture->path, BECK_OPEN_CREATE);
    must_create_topic(fixture->store, "t", 1, "segment.bytes", "1048576");
    must_create_topic(fixture->store, "other", 1, NULL, NULL);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    return 0;
}

static int produce(struct beck_partition *partition, int32_t size, struct beck_error *error)
{
    static char value[200000];
    struct beck_record record = {.key_size = -1, .value = value, .value_size = size};
    struct beck_append_result result;
    return beck_produce(partition, &record, 1, BECK_ACKS_ALL, &result, error);
}

/* Fill the disk to the last byte. Returns the number of records that were acknowledged. */
static int64_t fill_disk(struct fixture *fixture)
{
    int64_t count = 0;
    int r;
    while ((r = produce(fixture->partition, 200000, &fixture->error)) == 0)
        count++;
    if (r != -ENOSPC)
        _exit(10);
    while ((r = produce(fixture->partition, 100, &fixture->error)) == 0)
        count++;
    if (r != -ENOSPC)
        _exit(11);
    return count;
}

static int append_to_a_full_disk(struct fixture *fixture)
{
    char junk[PATH_MAX];
    static char bytes[3000000];
    int r = small_disk(fixture);
    if (r != 0)
        return r;
    (void)snprintf(junk, sizeof(junk), "%s/junk", fixture->folder);
    file_write(junk, bytes, sizeof(bytes));
    int64_t count = fill_disk(fixture);
    if (count_records(fixture->partition, 0) != count)
        return 2;
    if (must_state(fixture->partition).failed)
        return 3;
    struct beck_partition *other = must_open_partition(fixture->store, "other", 0);
    if (produce(other, 5000, &fixture->error) != -ENOSPC || count_records(other, 0) != 0)
        return 4;
    (void)unlink(junk); /* room again */
    if (produce(fixture->partition, 1000, &fixture->error) != 0 ||
        produce(other, 1000, &fixture->error) != 0)
        return 5;
    beck_partition_close(other);
    fixture_reopen(fixture);
    if (count_records(fixture->partition, 0) != count + 1)
        return 6;
    return verify_count(fixture->store, NULL) == 0 ? 0 : 7;
}

static int delete_on_a_full_disk(struct fixture *fixture)
{
    struct beck_topic topic;
    int r = small_disk(fixture);
    if (r != 0)
        return r;
    struct beck_partition *other = must_open_partition(fixture->store, "other", 0);
    if (produce(other, 1000, &fixture->error) != 0)
        return 2;
    (void)fill_disk(fixture);
    if (beck_topic_delete(fixture->store, "t", &fixture->error) != 0)
        return 3; /* what is set aside behind the databases is there for this */
    fixture->partition = beck_partition_close(fixture->partition);
    if (beck_topic_find(fixture->store, "t", &topic, NULL) != -ENOENT)
        return 4;
    if (produce(other, 1000, &fixture->error) != 0)
        return 5;
    beck_partition_close(other);
    return 0;
}

static int trim_on_a_full_disk(struct fixture *fixture)
{
    int64_t start;
    int r = small_disk(fixture);
    if (r != 0)
        return r;
    int64_t count = fill_disk(fixture);
    if (beck_trim(fixture->partition, count - 1, &start, &fixture->error) != 0 ||
        start != count - 1)
        return 2;
    if (produce(fixture->partition, 200000, &fixture->error) != 0)
        return 3; /* the files of what was trimmed are gone */
    fixture_reopen(fixture);
    if (must_state(fixture->partition).log_start_offset != count - 1 ||
        count_records(fixture->partition, count - 1) != 2)
        return 4;
    return verify_count(fixture->store, NULL) == 0 ? 0 : 5;
}

/* Retention makes room where nobody could append any more. */
static int retain_on_a_full_disk(struct fixture *fixture)
{
    const struct beck_config_change change = {
        .name = "retention.bytes", .value = "1048576", .operation = BECK_CONFIG_SET};
    uint32_t next_ms;
    int r = small_disk(fixture);
    if (r != 0)
        return r;
    (void)fill_disk(fixture);
    if (beck_topic_alter(fixture->store, "t", &change, 1, 0, &fixture->error) != 0)
        return 2;
    if (beck_store_maintain(fixture->store, true, &next_ms, &fixture->error) != 0)
        return 3;
    if (must_state(fixture->partition).log_start_offset == 0)
        return 4;
    if (produce(fixture->partition, 200000, &fixture->error) != 0)
        return 5;
    fixture_reopen(fixture);
    return verify_count(fixture->store, NULL) == 0 ? 0 : 6;
}

static int create_on_a_full_disk(struct fixture *fixture)
{
    char junk[PATH_MAX];
    static char bytes[500000];
    int r = small_disk(fixture);
    if (r != 0)
        return r;
    (void)snprintf(junk, sizeof(junk), "%s/junk", fixture->folder);
    file_write(junk, bytes, sizeof(bytes));
    int64_t count = fill_disk(fixture);
    struct beck_topic_options options = {.partition_count = 100};
    r = beck_topic_create(fixture->store, "more", &options, NULL, &fixture->error);
    if (r != -ENOSPC)
        return 2;
    (void)unlink(junk);
    r = beck_topic_create(fixture->store, "more", NULL, NULL, &fixture->error);
    if (r != 0)
        return 3;
    return count_records(fixture->partition, 0) == count ? 0 : 4;
}

static void run_on_small_disk(struct fixture *fixture, int (*check)(struct fixture *fixture))
{
    int code = run_in_child(check, fixture);
    if (code == NO_MOUNT)
        skip(); /* no right to mount here */
    assert_int_equal(code, 0);
}

static void a_full_disk_refuses_appends_and_takes_them_again(void **state)
{
    run_on_small_disk(*state, append_to_a_full_disk);
}

static void a_deletion_on_a_full_disk_works_or_changes_nothing(void **state)
{
    run_on_small_disk(*state, delete_on_a_full_disk);
}

static void a_trim_on_a_full_disk_makes_room(void **state)
{
    run_on_small_disk(*state, trim_on_a_full_disk);
}

static void retention_on_a_full_disk_makes_room(void **state)
{
    run_on_small_disk(*state, retain_on_a_full_disk);
}

static void a_full_disk_refuses_topics_and_takes_them_again(void **state)
{
    run_on_small_disk(*state, create_on_a_full_disk);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_folder, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_store_is_made_in_a_missing_folder),
        TEST(a_store_is_made_in_an_empty_folder),
        TEST(a_store_is_not_made_twice),
        TEST(a_store_is_not_made_among_other_files),
        TEST(a_creation_that_was_cut_short_is_finished),
        TEST(a_missing_folder_is_no_store),
        TEST(an_empty_folder_is_no_store),
        TEST(a_file_is_no_store),
        TEST(an_empty_path_is_refused),
        TEST(flags_that_do_not_go_together_are_refused),
        TEST(a_meta_that_is_garbage_is_damage),
        TEST(a_newer_format_is_refused_and_left_alone),
        TEST(a_damaged_topic_is_named_and_leaves_the_others_alone),
        TEST(who_may_not_write_is_refused),
        TEST(who_may_only_read_can_read),
        TEST(who_may_only_read_can_read_while_others_write),
        TEST(who_may_not_even_read_is_refused),
        TEST(a_full_disk_refuses_appends_and_takes_them_again),
        TEST(a_deletion_on_a_full_disk_works_or_changes_nothing),
        TEST(a_trim_on_a_full_disk_makes_room),
        TEST(retention_on_a_full_disk_makes_room),
        TEST(a_full_disk_refuses_topics_and_takes_them_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
