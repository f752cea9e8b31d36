/* SPDX-License-Identifier: Apache-2.0 */
/* beck.h: ids of producers. None is given out twice, and nobody who wants something else waits for
 * one. */
#include "store.h"
#include "store_fixture.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdint.h>

/* Where this is set, it is not locked while a transaction is waited for. */
static pthread_mutex_t *free_meanwhile;
static unsigned writes;

int __real_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn);
int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn);

int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn)
{
    if (free_meanwhile && !(flags & MDB_RDONLY)) {
        assert_int_equal(pthread_mutex_trylock(free_meanwhile), 0);
        assert_int_equal(pthread_mutex_unlock(free_meanwhile), 0);
        writes++;
    }
    return __real_mdb_txn_begin(env, parent, flags, txn);
}

static void a_producer_id_is_given_once(void **state)
{
    struct fixture *fixture = *state;
    int64_t last = -1;
    for (int i = 0; i < 2500; i++) {
        int64_t id = -1;
        must(beck_producer_id_new(fixture->store, &id, &fixture->error), &fixture->error);
        assert_true(id > last);
        last = id;
        if (i % 600 == 0)
            fixture_reopen(fixture);
    }
}

/* Who has meta.mdb's write lock may be stopped: partitions are opened all the same. */
static void a_block_of_ids_is_not_waited_for_under_the_stores_mutex(void **state)
{
    struct fixture *fixture = *state;
    int64_t id;
    free_meanwhile = &fixture->store->mutex;
    must(beck_producer_id_new(fixture->store, &id, &fixture->error), &fixture->error);
    free_meanwhile = NULL;
    assert_int_equal(writes, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_store, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_producer_id_is_given_once),
        TEST(a_block_of_ids_is_not_waited_for_under_the_stores_mutex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
