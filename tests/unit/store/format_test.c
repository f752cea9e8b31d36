/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores of other minor versions, made up: an earlier one that lacks what came since, and a later
 * one that makes use of what nobody here knows. What may change, and how: FORMAT.md.
 */
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <string.h>

static int setup_record(void **state)
{
    setup_partition(state);
    struct fixture *fixture = *state;
    must_append(fixture->partition, "old", BECK_ACKS_LEADER);
    return 0;
}

static int open_result(struct fixture *fixture, unsigned flags)
{
    fixture_close(fixture);
    struct beck_store *store = NULL;
    int r = beck_store_open(fixture->path, flags, &fixture_options, &store, &fixture->error);
    beck_store_close(store);
    return r;
}

/* ---- earlier ones -------------------------------------------------------------------------- */

static void drop_optional(struct fixture *fixture, const char *name, const struct db_layout *layout)
{
    MDB_txn *txn;
    struct db db;
    must(db_open(&db, fixture->path, name, 0, FIXTURE_MAP_BYTES, layout, &fixture->error),
         &fixture->error);
    must(db_begin(&db, true, &txn, &fixture->error), &fixture->error);
    for (size_t i = layout->required; i < layout->count; i++)
        if (db.dbis[i] != DB_ABSENT)
            assert_int_equal(mdb_drop(txn, db.dbis[i], 1), 0);
    must(db_commit(&db, txn, &fixture->error), &fixture->error);
    db_close(&db);
}

/* As the first version of the format was. */
static void make_old(struct fixture *fixture)
{
    fixture_close(fixture);
    drop_optional(fixture, STORE_PATH_META, &meta_layout);
    drop_optional(fixture, STORE_PATH_INDEX, &index_layout);
}

static bool has_all(const struct db *db, const struct db_layout *layout)
{
    for (size_t i = 0; i < layout->count; i++)
        if (db->dbis[i] == DB_ABSENT)
            return false;
    return true;
}

static void an_earlier_store_is_read_as_it_is(void **state)
{
    struct fixture *fixture = *state;
    make_old(fixture);
    fixture->store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    assert_value(fixture->partition, 0, "old");
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void an_earlier_store_is_brought_up_by_writing(void **state)
{
    struct fixture *fixture = *state;
    make_old(fixture);
    fixture_open(fixture);
    assert_true(has_all(&fixture->store->meta, &meta_layout));
    assert_true(has_all(&fixture->store->index, &index_layout));
    assert_int_equal(must_append(fixture->partition, "new", BECK_ACKS_LEADER), 1);
    assert_value(fixture->partition, 0, "old");
    fixture_reopen(fixture);
    assert_value(fixture->partition, 1, "new");
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

/* ---- later ones ---------------------------------------------------------------------------- */

static void put_features(struct fixture *fixture, uint64_t to_read, uint64_t to_write)
{
    struct meta_features features = {.to_read = to_read, .to_write = to_write};
    struct db *meta = &fixture->store->meta;
    MDB_txn *txn;
    must(db_begin(meta, true, &txn, &fixture->error), &fixture->error);
    must(meta_features_put(meta, txn, &features), NULL);
    must(db_commit(meta, txn, &fixture->error), &fixture->error);
}

static void a_store_says_nothing_of_features_it_does_not_use(void **state)
{
    struct fixture *fixture = *state;
    struct meta_features features = {.to_read = 1, .to_write = 1};
    MDB_txn *txn;
    must(db_begin(&fixture->store->meta, false, &txn, &fixture->error), &fixture->error);
    must(meta_features_get(&fixture->store->meta, txn, &features), NULL);
    assert_int_equal(features.to_read, 0);
    assert_int_equal(features.to_write, 0);
    db_abortp(&txn);
}

static void features_that_are_known_are_no_hindrance(void **state)
{
    struct fixture *fixture = *state;
    put_features(fixture, META_FEATURES_TO_READ, META_FEATURES_TO_WRITE);
    assert_int_equal(open_result(fixture, 0), 0);
}

static void a_feature_that_readers_must_know_closes_the_store(void **state)
{
    struct fixture *fixture = *state;
    put_features(fixture, 1ULL << 63, 0);
    assert_int_equal(open_result(fixture, 0), -EPROTONOSUPPORT);
    assert_int_equal(open_result(fixture, BECK_OPEN_READ_ONLY), -EPROTONOSUPPORT);
    assert_non_null(strstr(fixture->error.message, "features (0x8000000000000000)"));
    assert_non_null(strstr(fixture->error.message, "cannot read"));
}

static void a_feature_that_writers_must_know_leaves_it_open_to_readers(void **state)
{
    struct fixture *fixture = *state;
    put_features(fixture, 0, 1ULL << 40);
    assert_int_equal(open_result(fixture, 0), -EPROTONOSUPPORT);
    assert_non_null(strstr(fixture->error.message, "it can be opened read-only"));
    assert_int_equal(open_result(fixture, BECK_OPEN_CREATE), -EPROTONOSUPPORT);
    fixture->store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    assert_value(fixture->partition, 0, "old");
}

static void a_damaged_record_of_features_closes_the_store(void **state)
{
    struct fixture *fixture = *state;
    struct db *meta = &fixture->store->meta;
    MDB_val key = {.mv_size = 8, .mv_data = (void *)(uintptr_t) "features"};
    MDB_val value = {.mv_size = 26, .mv_data = (void *)(uintptr_t) "12345678901234567890123456"};
    MDB_txn *txn;
    must(db_begin(meta, true, &txn, &fixture->error), &fixture->error);
    assert_int_equal(mdb_put(txn, meta->dbis[META_STORE], &key, &value, 0), 0);
    must(db_commit(meta, txn, &fixture->error), &fixture->error);
    assert_int_equal(open_result(fixture, BECK_OPEN_READ_ONLY), -EBADMSG);
}

/* Names, in the databases and beside them, that nobody here knows. */
static void databases_and_files_that_are_not_known_are_left_alone(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val key = {.mv_size = 1, .mv_data = (void *)(uintptr_t) "k"};
    MDB_val value = {.mv_size = 1, .mv_data = (void *)(uintptr_t) "v"};
    must(db_begin(&fixture->store->meta, true, &txn, &fixture->error), &fixture->error);
    assert_int_equal(mdb_dbi_open(txn, "later", MDB_CREATE, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    must(db_commit(&fixture->store->meta, txn, &fixture->error), &fixture->error);
    store_file(fixture, "later.file", path);
    file_write(path, "later", 5);
    fixture_reopen(fixture);
    must_append(fixture->partition, "new", BECK_ACKS_LEADER);
    fixture_reopen(fixture);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    assert_int_equal(file_size(path), 5);
    must(db_begin(&fixture->store->meta, false, &txn, &fixture->error), &fixture->error);
    assert_int_equal(mdb_dbi_open(txn, "later", 0, &dbi), 0);
    assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
    db_abortp(&txn);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_record, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_earlier_store_is_read_as_it_is),
        TEST(an_earlier_store_is_brought_up_by_writing),
        TEST(a_store_says_nothing_of_features_it_does_not_use),
        TEST(features_that_are_known_are_no_hindrance),
        TEST(a_feature_that_readers_must_know_closes_the_store),
        TEST(a_feature_that_writers_must_know_leaves_it_open_to_readers),
        TEST(a_damaged_record_of_features_closes_the_store),
        TEST(databases_and_files_that_are_not_known_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
