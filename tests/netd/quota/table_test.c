/* SPDX-License-Identifier: Apache-2.0
 *
 * Which quota counts for whom, in Kafka's order.
 */
#include "quota/table.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define KIND BECK_QUOTA_PRODUCER_BYTE_RATE

static struct quota_table table;

static int teardown(void **state)
{
    (void)state;
    quota_table_done(&table);
    return 0;
}

/* NULL: not given; "": all that have none. */
static void name_set(struct beck_quota_name *name, const char *text)
{
    if (!text)
        return;
    name->match = text[0] ? BECK_QUOTA_NAMED : BECK_QUOTA_DEFAULT;
    name->size = strlen(text);
    memcpy(name->bytes, text, name->size);
}

static void set(const char *user, const char *client_id, enum beck_quota_kind kind, double value)
{
    struct beck_quota quota = {.set = value > 0 ? 1U << kind : 0};
    name_set(&quota.parts[BECK_QUOTA_USER], user);
    name_set(&quota.parts[BECK_QUOTA_CLIENT_ID], client_id);
    quota.values[kind] = value;
    struct quota_entry *entry = quota_entry_new(&quota);
    assert_non_null(entry);
    assert_int_equal(quota_table_reserve(&table, 1), 0);
    quota_table_set(&table, entry);
}

static void set_address(const char *address, double value)
{
    struct beck_quota quota = {.set = 1U << BECK_QUOTA_CONNECTION_CREATION_RATE};
    name_set(&quota.parts[BECK_QUOTA_IP], address);
    quota.values[BECK_QUOTA_CONNECTION_CREATION_RATE] = value;
    assert_int_equal(quota_table_reserve(&table, 1), 0);
    quota_table_set(&table, quota_entry_new(&quota));
}

/* The limit of a client of user "u", as a number; -1: none. */
static int limit(const char *client_id, bool *ret_is_users)
{
    double value = quota_table_limit(&table, KIND, "u", client_id, strlen(client_id), ret_is_users);
    return isfinite(value) ? (int)value : -1;
}

static int address_limit(const char *text)
{
    uint8_t address[QUOTA_ADDRESS_BYTES];
    assert_true(quota_address_parse(text, address));
    double value = quota_table_address_limit(&table, address);
    return isfinite(value) ? (int)value : -1;
}

/* Each is set on top of those that count less. */
static void what_says_most_counts(void **state)
{
    static const struct {
        const char *user;
        const char *client_id;
    } order[] = {{NULL, ""}, {NULL, "c"}, {"", NULL}, {"", ""},
                 {"", "c"},  {"u", NULL}, {"u", ""},  {"u", "c"}};
    bool is_users = true;
    (void)state;
    assert_int_equal(limit("c", &is_users), -1);
    assert_false(is_users);
    for (int i = 0; i < 8; i++) {
        set(order[i].user, order[i].client_id, KIND, i + 1);
        assert_int_equal(limit("c", &is_users), i + 1);
        assert_int_equal(is_users, !order[i].client_id);
    }
    for (int i = 7; i > 0; i--) {
        set(order[i].user, order[i].client_id, KIND, 0);
        assert_int_equal(limit("c", &is_users), i);
    }
    assert_int_equal(table.count, 1);
}

static void others_have_others(void **state)
{
    bool is_users;
    (void)state;
    set(NULL, "c", KIND, 1);
    set("v", NULL, KIND, 2);
    set("v", "d", KIND, 3);
    assert_int_equal(limit("d", &is_users), -1);
    set(NULL, "", KIND, 4);
    assert_int_equal(limit("d", &is_users), 4);
    assert_int_equal(limit("c", &is_users), 1);
}

static void one_that_says_nothing_of_a_kind_hides_nothing(void **state)
{
    bool is_users;
    (void)state;
    set(NULL, "", KIND, 4);
    set("u", "c", BECK_QUOTA_CONSUMER_BYTE_RATE, 9);
    assert_int_equal(limit("c", &is_users), 4);
    assert_int_equal(quota_table_kinds(&table), 1U << KIND | 1U << BECK_QUOTA_CONSUMER_BYTE_RATE);
}

static void who_has_no_client_id_has_no_default_for_it(void **state)
{
    bool is_users;
    (void)state;
    set(NULL, "", KIND, 1);
    set("", "", KIND, 2);
    set("u", "", KIND, 3);
    assert_int_equal(limit("", &is_users), -1);
    set("", NULL, KIND, 4);
    assert_int_equal(limit("", &is_users), 4);
    assert_true(is_users);
}

static void a_client_id_may_be_longer_than_any_name(void **state)
{
    char name[BECK_QUOTA_NAME_BYTES + 1] = "";
    char longer[BECK_QUOTA_NAME_BYTES + 2] = "";
    bool is_users;
    (void)state;
    memset(name, 'x', BECK_QUOTA_NAME_BYTES);
    memset(longer, 'x', BECK_QUOTA_NAME_BYTES + 1);
    set(NULL, name, KIND, 1);
    set(NULL, "", KIND, 2);
    assert_int_equal(limit(name, &is_users), 1);
    assert_int_equal(limit(longer, &is_users), 2);
}

static void many_are_found_changed_and_removed(void **state)
{
    char name[8];
    bool is_users;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "%d", i * 7 % 1000);
        set(NULL, name, KIND, i * 7 % 1000 + 1);
    }
    for (int i = 0; i < 1000; i += 2) {
        (void)snprintf(name, sizeof(name), "%d", i);
        set(NULL, name, KIND, 0);
    }
    set(NULL, "77", KIND, 5);
    assert_int_equal(table.count, 500);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "%d", i);
        assert_int_equal(limit(name, &is_users), i % 2 == 0 ? -1 : i == 77 ? 5 : i + 1);
    }
}

static void an_address_has_its_own_or_the_default(void **state)
{
    (void)state;
    set(NULL, "", KIND, 9);
    assert_int_equal(address_limit("10.0.0.1"), -1);
    set_address("10.0.0.1", 1);
    assert_int_equal(address_limit("10.0.0.1"), 1);
    assert_int_equal(address_limit("::ffff:10.0.0.1"), 1);
    assert_int_equal(address_limit("10.0.0.2"), -1);
    set_address("", 2);
    set_address("0:0:0:0:0:0:0:1", 3);
    assert_int_equal(address_limit("10.0.0.1"), 1);
    assert_int_equal(address_limit("10.0.0.2"), 2);
    assert_int_equal(address_limit("::1"), 3);
}

static void what_is_no_address_is_none(void **state)
{
    static const char *const texts[] = {"",          "localhost", "1",     "1.2.3",
                                        "300.1.1.1", "[::1]",     "::1%lo"};
    uint8_t address[QUOTA_ADDRESS_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(quota_address_parse(texts[i], address));
}

#define TEST(function) cmocka_unit_test_teardown(function, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_says_most_counts),
        TEST(others_have_others),
        TEST(one_that_says_nothing_of_a_kind_hides_nothing),
        TEST(who_has_no_client_id_has_no_default_for_it),
        TEST(a_client_id_may_be_longer_than_any_name),
        TEST(many_are_found_changed_and_removed),
        TEST(an_address_has_its_own_or_the_default),
        TEST(what_is_no_address_is_none),
    };
    return cmocka_run_group_tests_name("netd/quota/table", tests, NULL, NULL);
}
