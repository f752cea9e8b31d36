/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages of LMDB's files: what LMDB writes is sound, whatever was put and deleted, copied, or is
 * written meanwhile. That each changed byte is found is for tests/corrupt.
 */
#include "pages.h"

#include "db.h"
#include "store_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define VALUE_BYTES_MAX 9000 /* more than two pages */
#define KEYS            400

static const char *const databases[] = {"a", "b"};
static const struct db_layout layout = {databases, 2, 2};

static void must_be_sound(struct db *db)
{
    struct beck_error error;
    if (pages_check(db->env, NULL, NULL, &error) < 0)
        fail_msg("%s", error.message);
}

static void open_db(struct fixture *fixture, const char *name, unsigned flags, struct db *db)
{
    must(db_open(db, fixture->folder, name, flags, FIXTURE_MAP_BYTES, &layout, &fixture->error),
         &fixture->error);
}

/* A commit that puts and deletes a few pairs. */
static void change(struct db *db, uint64_t *seed)
{
    static char bytes[VALUE_BYTES_MAX];
    struct beck_error error;
    MDB_txn *txn;
    must(db_begin(db, true, &txn, &error), &error);
    for (uint32_t i = random_below(seed, 8) + 1; i > 0; i--) {
        char name[64];
        uint32_t number = random_below(seed, KEYS);
        MDB_dbi dbi = db->dbis[random_below(seed, 2)];
        int size = snprintf(name, sizeof(name), "%0*u", (int)(number % 37 + 3), number);
        MDB_val key = {.mv_size = (size_t)size, .mv_data = name};
        MDB_val value = {.mv_size = random_below(seed, random_below(seed, 4) ? 90 : sizeof(bytes)),
                         .mv_data = bytes};
        int r = random_below(seed, 3) ? mdb_put(txn, dbi, &key, &value, 0)
                                      : mdb_del(txn, dbi, &key, NULL);
        if (r != 0 && r != MDB_NOTFOUND)
            must(db_errno(r), NULL);
    }
    must(db_commit(db, txn, &error), &error);
}

static void what_lmdb_writes_is_sound(void **state)
{
    struct fixture *fixture = *state;
    struct db db;
    uint64_t seed = 1;
    open_db(fixture, "x.mdb", DB_OPEN_CREATE, &db);
    must_be_sound(&db);
    for (int i = 0; i < 3000; i++) {
        change(&db, &seed);
        if (i % 10 == 0 || i < 50)
            must_be_sound(&db);
    }
    db_close(&db);
}

/* Pages that a reader may still see become free later, and are listed by transaction. */
static void what_is_kept_for_a_reader_is_sound(void **state)
{
    struct fixture *fixture = *state;
    struct db db;
    uint64_t seed = 2;
    MDB_txn *reader;
    open_db(fixture, "x.mdb", DB_OPEN_CREATE, &db);
    for (int i = 0; i < 20; i++) {
        must(db_begin(&db, false, &reader, &fixture->error), &fixture->error);
        for (int k = 0; k < 60; k++)
            change(&db, &seed);
        must_be_sound(&db);
        mdb_txn_abort(reader);
    }
    db_close(&db);
}

static void a_copy_is_sound(void **state)
{
    struct fixture *fixture = *state;
    struct db db;
    struct db copy;
    uint64_t seed = 3;
    char path[PATH_MAX];
    open_db(fixture, "x.mdb", DB_OPEN_CREATE, &db);
    for (int i = 0; i < 500; i++)
        change(&db, &seed);
    for (unsigned flags = 0; flags <= MDB_CP_COMPACT; flags += MDB_CP_COMPACT) {
        (void)snprintf(path, sizeof(path), "%s/copy%u.mdb", fixture->folder, flags);
        assert_int_equal(mdb_env_copy2(db.env, path, flags), 0);
        open_db(fixture, strrchr(path, '/') + 1, 0, &copy);
        must_be_sound(&copy);
        for (int i = 0; i < 50; i++)
            change(&copy, &seed);
        must_be_sound(&copy);
        db_close(&copy);
    }
    db_close(&db);
}

static void a_file_without_a_commit_is_sound(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    struct db db = {0};
    (void)snprintf(path, sizeof(path), "%s/x.mdb", fixture->folder);
    assert_int_equal(mdb_env_create(&db.env), 0);
    assert_int_equal(mdb_env_open(db.env, path, MDB_NOSUBDIR, 0644), 0);
    must_be_sound(&db);
    db_close(&db);
}

static void write_for_ever(struct fixture *fixture, atomic_uint *commits)
{
    struct db db;
    uint64_t seed = 4;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    open_db(fixture, "x.mdb", DB_OPEN_CREATE, &db);
    for (;;) {
        change(&db, &seed);
        atomic_fetch_add(commits, 1);
    }
}

static void what_another_process_writes_to_is_sound(void **state)
{
    struct fixture *fixture = *state;
    struct db db;
    int status;
    atomic_uint *commits =
        mmap(NULL, sizeof(*commits), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(commits, MAP_FAILED);
    pid_t pid = fork();
    if (pid == 0)
        write_for_ever(fixture, commits);
    while (atomic_load(commits) < 50)
        (void)usleep(1000);
    open_db(fixture, "x.mdb", DB_OPEN_READ_ONLY, &db);
    unsigned end = atomic_load(commits) + 200;
    for (int i = 0; i < 50 || atomic_load(commits) < end; i++)
        must_be_sound(&db);
    db_close(&db);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    (void)munmap(commits, sizeof(*commits));
}

static void pages_that_are_in_use_and_free_are_told_of(void **state)
{
    struct fixture *fixture = *state;
    struct db db;
    uint64_t seed = 5;
    char path[PATH_MAX];
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    size_t list[2];
    open_db(fixture, "x.mdb", DB_OPEN_CREATE, &db);
    for (int i = 0; i < 100; i++)
        change(&db, &seed);
    must(db_begin(&db, false, &txn, &fixture->error), &fixture->error);
    assert_int_equal(mdb_cursor_open(txn, 0, &cursor), 0); /* the free pages */
    assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_LAST), 0);
    memcpy(list, value.mv_data, sizeof(list));
    assert_true(list[0] > 0);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    db_close(&db);
    (void)snprintf(path, sizeof(path), "%s/x.mdb", fixture->folder);
    size_t size;
    char *bytes = file_read(path, &size);
    char *at = memmem(bytes, size, list, sizeof(list));
    for (; at; at = memmem(at + 1, size - (size_t)(at + 1 - bytes), list, sizeof(list)))
        memset(at + sizeof(list[0]), 2, 1); /* the lowest page that a tree may have */
    file_write(path, bytes, size);
    free(bytes);
    open_db(fixture, "x.mdb", DB_OPEN_READ_ONLY, &db);
    assert_int_equal(pages_check(db.env, NULL, NULL, &fixture->error), -EBADMSG);
    db_close(&db);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_folder, teardown)

int main(void)
{
    use_memory_disk();
    const struct CMUnitTest tests[] = {
        TEST(what_lmdb_writes_is_sound),
        TEST(what_is_kept_for_a_reader_is_sound),
        TEST(a_copy_is_sound),
        TEST(a_file_without_a_commit_is_sound),
        TEST(what_another_process_writes_to_is_sound),
        TEST(pages_that_are_in_use_and_free_are_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
