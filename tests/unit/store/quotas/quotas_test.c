/* SPDX-License-Identifier: Apache-2.0 */
/* Client quotas: kept, replaced, taken away and walked over as beck.h says. */
#include "quotas.h"
#include "store_fixture.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct beck_quota_name named(const char *name)
{
    struct beck_quota_name to = {.match = BECK_QUOTA_NAMED, .size = strlen(name)};
    memcpy(to.bytes, name, to.size);
    return to;
}

/* For a client id; NULL: for all that have none. */
static struct beck_quota quota_of(const char *client_id, double produce)
{
    struct beck_quota quota = {.set = 1U << BECK_QUOTA_PRODUCER_BYTE_RATE};
    quota.parts[BECK_QUOTA_CLIENT_ID] =
        client_id ? named(client_id) : (struct beck_quota_name){.match = BECK_QUOTA_DEFAULT};
    quota.values[BECK_QUOTA_PRODUCER_BYTE_RATE] = produce;
    return quota;
}

static int put(struct fixture *fixture, struct beck_quota quota)
{
    return beck_quotas_put(fixture->store, &quota, 1, &fixture->error);
}

/* The one for the same clients, if there is one. Counts all. */
static int find(struct fixture *fixture, const struct beck_quota *like, struct beck_quota *ret)
{
    struct beck_quota quota = {.set = 0};
    int count = 0;
    memset(ret, 0, sizeof(*ret));
    while (must(beck_quota_next(fixture->store, &quota, &fixture->error), &fixture->error) == 1) {
        count++;
        if (meta_quota_same(&quota, like))
            *ret = quota;
    }
    return count;
}

static bool equal(double a, double b)
{
    return !islessgreater(a, b);
}

static void what_is_put_is_found_after_a_reopen(void **state)
{
    struct fixture *fixture = *state;
    struct beck_quota found;
    struct beck_quota quota = quota_of("client", 1000.0);
    quota.parts[BECK_QUOTA_USER] = (struct beck_quota_name){.match = BECK_QUOTA_DEFAULT};
    quota.set = (1U << BECK_QUOTA_KINDS) - 1;
    for (unsigned i = 0; i < BECK_QUOTA_KINDS; i++)
        quota.values[i] = i == 2 ? DBL_MAX : 0.1 + i;
    assert_int_equal(put(fixture, quota), 0);
    fixture_reopen(fixture);
    assert_int_equal(find(fixture, &quota, &found), 1);
    assert_int_equal(found.set, quota.set);
    for (unsigned i = 0; i < BECK_QUOTA_KINDS; i++)
        assert_true(equal(found.values[i], quota.values[i]));
    assert_string_equal(found.parts[BECK_QUOTA_CLIENT_ID].bytes, "client");
}

static void one_replaces_another_for_the_same(void **state)
{
    struct fixture *fixture = *state;
    struct beck_quota found;
    struct beck_quota second = quota_of("c", 0.0);
    second.set = 1U << BECK_QUOTA_CONSUMER_BYTE_RATE;
    second.values[BECK_QUOTA_CONSUMER_BYTE_RATE] = 7.0;
    assert_int_equal(put(fixture, quota_of("c", 5.0)), 0);
    assert_int_equal(put(fixture, second), 0);
    assert_int_equal(find(fixture, &second, &found), 1);
    assert_int_equal(found.set, second.set);
}

static void one_that_sets_nothing_takes_it_away(void **state)
{
    struct fixture *fixture = *state;
    struct beck_quota found;
    struct beck_quota none = quota_of("c", 1.0);
    none.set = 0;
    assert_int_equal(put(fixture, none), 0); /* where there is none */
    assert_int_equal(put(fixture, quota_of("c", 5.0)), 0);
    assert_int_equal(put(fixture, quota_of("d", 6.0)), 0);
    assert_int_equal(put(fixture, none), 0);
    assert_int_equal(find(fixture, &none, &found), 1);
    assert_int_equal(found.set, 0);
}

static void those_for_others_are_apart(void **state)
{
    struct fixture *fixture = *state;
    struct beck_quota found;
    struct beck_quota list[6];
    for (size_t i = 0; i < 6; i++) {
        static const char *const names[] = {"a", "b", NULL};
        list[i] = quota_of(names[i % 3], 1.0 + (double)i);
        if (i >= 3)
            list[i].parts[BECK_QUOTA_USER] = named("a");
    }
    must(beck_quotas_put(fixture->store, list, 6, &fixture->error), &fixture->error);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(find(fixture, &list[i], &found), 6);
        assert_true(equal(found.values[BECK_QUOTA_PRODUCER_BYTE_RATE], 1.0 + (double)i));
    }
}

static void a_name_may_be_long_and_have_any_bytes(void **state)
{
    struct fixture *fixture = *state;
    struct beck_quota found;
    struct beck_quota quota = quota_of("c", 5.0);
    struct beck_quota_name *name = &quota.parts[BECK_QUOTA_CLIENT_ID];
    name->size = BECK_QUOTA_NAME_BYTES;
    for (size_t i = 0; i < name->size; i++)
        name->bytes[i] = (char)i;
    assert_int_equal(put(fixture, quota), 0);
    fixture_reopen(fixture);
    assert_int_equal(find(fixture, &quota, &found), 1);
    assert_memory_equal(found.parts[BECK_QUOTA_CLIENT_ID].bytes, name->bytes, name->size);
}

static void what_can_never_be_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct beck_quota found;
    static const double values[] = {0.0, -1.0, NAN};
    struct beck_quota list[8];
    for (size_t i = 0; i < 8; i++)
        list[i] = quota_of("c", i < 3 ? values[i] : 5.0);
    list[3].parts[BECK_QUOTA_IP] = named("127.0.0.1");
    list[4].parts[BECK_QUOTA_CLIENT_ID] = (struct beck_quota_name){.match = BECK_QUOTA_NOT_GIVEN};
    list[5].parts[BECK_QUOTA_CLIENT_ID].size = 0;
    list[6].parts[BECK_QUOTA_CLIENT_ID].size = BECK_QUOTA_NAME_BYTES + 1;
    list[7].set |= 1U << BECK_QUOTA_KINDS;
    for (size_t i = 0; i < 8; i++) {
        struct beck_quota two[] = {quota_of("good", 1.0), list[i]};
        assert_int_equal(beck_quotas_put(fixture->store, two, 2, &fixture->error), -EINVAL);
    }
    assert_int_equal(find(fixture, &list[0], &found), 0); /* nor was the good one put */
}

static void there_is_a_limit(void **state)
{
    struct fixture *fixture = *state;
    struct beck_quota found;
    struct beck_quota *list = calloc(BECK_QUOTAS_MAX, sizeof(*list));
    assert_non_null(list);
    for (int i = 0; i < BECK_QUOTAS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%d", i);
        list[i] = quota_of(name, 1.0);
    }
    must(beck_quotas_put(fixture->store, list, BECK_QUOTAS_MAX, &fixture->error), &fixture->error);
    assert_int_equal(put(fixture, quota_of("one more", 1.0)), -EMSGSIZE);
    assert_int_equal(put(fixture, quota_of("7", 2.0)), 0); /* one that there is may change */
    assert_int_equal(find(fixture, &list[7], &found), BECK_QUOTAS_MAX);
    assert_true(equal(found.values[BECK_QUOTA_PRODUCER_BYTE_RATE], 2.0));
    free(list);
}

static void a_reader_finds_and_puts_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct beck_quota found;
    struct beck_quota quota = quota_of("c", 5.0);
    assert_int_equal(put(fixture, quota), 0);
    fixture_close(fixture);
    must(beck_store_open(fixture->path, BECK_OPEN_READ_ONLY, &fixture_options, &fixture->store,
                         &fixture->error),
         &fixture->error);
    assert_int_equal(put(fixture, quota), -EROFS);
    assert_int_equal(find(fixture, &quota, &found), 1);
}

static void overwrite(struct fixture *fixture, const void *key, size_t key_size, const void *bytes,
                      size_t size)
{
    MDB_txn *txn = NULL;
    MDB_val k = {.mv_size = key_size, .mv_data = (void *)(uintptr_t)key};
    MDB_val v = {.mv_size = size, .mv_data = (void *)(uintptr_t)bytes};
    must(db_begin(&fixture->store->meta, true, &txn, &fixture->error), &fixture->error);
    assert_int_equal(mdb_put(txn, fixture->store->meta.dbis[META_QUOTAS], &k, &v, 0), 0);
    must(db_commit(&fixture->store->meta, txn, &fixture->error), &fixture->error);
}

static void a_damaged_one_is_told_and_walked_past(void **state)
{
    struct fixture *fixture = *state;
    struct beck_damage damage;
    struct beck_quota quota = quota_of("c", 5.0);
    uint8_t hash[QUOTA_HASH_BYTES];
    int good = 0;
    int bad = 0;
    int r;
    assert_int_equal(put(fixture, quota), 0);
    assert_int_equal(put(fixture, quota_of("d", 5.0)), 0);
    assert_int_equal(verify_count(fixture->store, &damage), 0);
    meta_quota_hash(&quota, hash);
    overwrite(fixture, hash, sizeof(hash), "broken", 6);
    overwrite(fixture, "short", 5, "x", 1);
    struct beck_quota at = {.set = 0};
    while ((r = beck_quota_next(fixture->store, &at, &fixture->error)) != 0) {
        good += r == 1;
        bad += r == -EBADMSG;
        assert_true(good + bad < 10);
    }
    assert_int_equal(good, 1);
    assert_int_equal(bad, 1);
    assert_int_equal(verify_count(fixture->store, &damage), 2);
    assert_int_equal(put(fixture, quota), 0); /* puts it right */
    assert_int_equal(verify_count(fixture->store, &damage), 1);
    assert_non_null(strstr(damage.what, "key of a client quota"));
}

/* A record under a key that is another's. */
static void one_that_is_not_its_keys_is_damage(void **state)
{
    struct fixture *fixture = *state;
    uint8_t hash[QUOTA_HASH_BYTES] = {1};
    uint8_t buffer[256];
    struct packer p;
    pack_begin(&p, buffer, sizeof(buffer), VALUE_QUOTA);
    for (unsigned i = 0; i < BECK_QUOTA_PARTS; i++) {
        pack_u8(&p, i == 1 ? BECK_QUOTA_DEFAULT : BECK_QUOTA_NOT_GIVEN);
        pack_string(&p, "", 0);
    }
    pack_u32(&p, 1);
    pack_u64(&p, 0x4000000000000000); /* 2.0 */
    int size = pack_end(&p, hash, sizeof(hash));
    overwrite(fixture, hash, sizeof(hash), buffer, (size_t)size);
    assert_int_equal(verify_count(fixture->store, NULL), 1);
}

static void a_copy_has_them(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    char copy[PATH_MAX];
    struct beck_quota found;
    struct beck_quota quota = quota_of("c", 5.0);
    assert_int_equal(put(fixture, quota), 0);
    fixture_close(fixture);
    store_file(fixture, STORE_PATH_META, path);
    store_file(fixture, STORE_PATH_META_COPY, copy);
    assert_int_equal(rename(copy, path), 0);
    fixture_open(fixture);
    assert_int_equal(find(fixture, &quota, &found), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_is_found_after_a_reopen),
        TEST(one_replaces_another_for_the_same),
        TEST(one_that_sets_nothing_takes_it_away),
        TEST(those_for_others_are_apart),
        TEST(a_name_may_be_long_and_have_any_bytes),
        TEST(what_can_never_be_is_refused),
        TEST(there_is_a_limit),
        TEST(a_reader_finds_and_puts_nothing),
        TEST(a_damaged_one_is_told_and_walked_past),
        TEST(one_that_is_not_its_keys_is_damage),
        TEST(a_copy_has_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
