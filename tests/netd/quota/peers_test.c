/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is measured: found again, forgotten after a while, and never more than a number of them.
 */
#include "quota/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct quota_peers peers;

static int setup(void **state)
{
    (void)state;
    quota_peers_init(&peers, 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    quota_peers_done(&peers);
    return 0;
}

static struct quota_peer *take(const char *key, int64_t now_ms)
{
    struct quota_peer *peer = quota_peers_take(&peers, key, strlen(key), now_ms);
    assert_non_null(peer);
    return peer;
}

/* Somebody of this name does something; is he one that was seen before? */
static bool is_known(const char *key, int64_t now_ms)
{
    struct quota_peer *peer = take(key, now_ms);
    bool known = peer->generation == 7;
    peer->generation = 7;
    quota_peer_give(peer);
    return known;
}

static void one_is_found_again(void **state)
{
    (void)state;
    assert_false(is_known("a", 0));
    assert_false(is_known("b", 0));
    assert_false(is_known("", 0));
    assert_true(is_known("a", 1));
    assert_true(is_known("", 1));
    assert_int_equal(peers.count, 3);
}

static void of_too_many_who_did_nothing_for_longest_is_forgotten(void **state)
{
    (void)state;
    (void)is_known("a", 0);
    (void)is_known("b", 1);
    (void)is_known("c", 2);
    (void)is_known("a", 3);
    (void)is_known("d", 4);
    assert_int_equal(peers.count, 3);
    assert_true(is_known("a", 5));
    assert_false(is_known("b", 6));
    assert_int_equal(peers.count, 3);
}

static void who_did_nothing_for_an_hour_is_forgotten(void **state)
{
    (void)state;
    (void)is_known("a", 0);
    (void)is_known("b", QUOTA_PEER_IDLE_MS - 1);
    (void)is_known("c", QUOTA_PEER_IDLE_MS);
    assert_int_equal(peers.count, 2);
    assert_true(is_known("b", QUOTA_PEER_IDLE_MS));
}

static void who_is_referred_to_stays_until_he_is_not(void **state)
{
    (void)state;
    struct quota_peer *first = take("a", 0);
    first->generation = 9;
    (void)is_known("b", 1);
    (void)is_known("c", 2);
    (void)is_known("d", 3);
    (void)is_known("e", 4);
    assert_int_equal(peers.count, 3);
    assert_int_equal(first->generation, 9);
    struct quota_peer *second = take("a", 5);
    assert_ptr_not_equal(first, second);
    quota_peer_give(second);
    quota_peer_give(first);
}

static void a_long_key_is_cut_and_no_name_of_a_quota(void **state)
{
    static char key[40000];
    (void)state;
    memset(key, 'x', sizeof(key));
    struct quota_peer *peer = quota_peers_take(&peers, key, sizeof(key), 0);
    assert_int_equal(peer->key_size, BECK_QUOTA_NAME_BYTES + 1);
    struct quota_peer *same = quota_peers_take(&peers, key, 30000, 0);
    struct quota_peer *other = quota_peers_take(&peers, key, BECK_QUOTA_NAME_BYTES, 0);
    assert_ptr_equal(peer, same);
    assert_ptr_not_equal(peer, other);
    quota_peer_give(peer);
    quota_peer_give(same);
    quota_peer_give(other);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_is_found_again),
        TEST(of_too_many_who_did_nothing_for_longest_is_forgotten),
        TEST(who_did_nothing_for_an_hour_is_forgotten),
        TEST(who_is_referred_to_stays_until_he_is_not),
        TEST(a_long_key_is_cut_and_no_name_of_a_quota),
    };
    return cmocka_run_group_tests_name("netd/quota/peers", tests, NULL, NULL);
}
