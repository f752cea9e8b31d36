/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding what is subscribed by regular expressions: each is asked once of each topic, and those
 * that are dear to ask do not hold the loop.
 */
#include "group/topics.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Steps without end on names of many a's. */
#define DEAR "(a+a*)+(a+a*)+[bc]"
/* Some thousand, and then they match. */
#define DEAR_MATCH "(.*.*z|a*[0-9]+)"
/* How many names one search tries such a one on. */
#define A_SEARCH (TOPICS_SEARCH_STEPS / REGEX_MATCH_STEPS)

struct shop {
    unsigned count; /* of topics, whose names are in order */
    bool fails;     /* half way */
};

static int next(void *context, const char *after, struct group_topic *ret_topic)
{
    const struct shop *shop = context;
    unsigned number = after[0] ? (unsigned)atoi(after + 40) + 1 : 0;
    if (shop->fails && number == shop->count / 2)
        return -EIO;
    if (number == shop->count)
        return 0;
    memset(ret_topic, 0, sizeof(*ret_topic));
    memset(ret_topic->name, 'a', 40);
    (void)snprintf(ret_topic->name + 40, sizeof(ret_topic->name) - 40, "%04u", number);
    ret_topic->id.bytes[0] = (uint8_t)(7 * number); /* in another order */
    ret_topic->id.bytes[1] = (uint8_t)(number >> 8);
    ret_topic->id.bytes[2] = (uint8_t)number;
    ret_topic->partition_count = 1;
    return 1;
}

static int search(struct topics *topics, struct shop *shop)
{
    const struct topics_source source = {.context = shop, .next = next};
    struct topics_search one = {.topics = topics, .source = &source};
    return topics_search_end(&one, 0);
}

static void subscribe(struct topics *topics, const char *pattern, struct subscription *ret)
{
    memset(ret, 0, sizeof(*ret));
    assert_int_equal(subscription_init(topics, NULL, 0, kafka_string_of(pattern), ret), 0);
}

static uint32_t count_subscribed(const struct topics *topics, const struct subscription *one)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < topics->count; i++)
        count += subscription_has(one, topics, i);
    return count;
}

static void what_matches_is_found(void **state)
{
    (void)state;
    struct topics topics = {0};
    struct shop shop = {.count = 300};
    struct subscription one;
    struct subscription other;
    subscribe(&topics, "a*000[0-4]", &one);
    subscribe(&topics, "a*0.*", &other);
    assert_int_equal(search(&topics, &shop), 1);
    assert_true(topics.found);
    assert_int_equal(topics.count, 300);
    assert_int_equal(count_subscribed(&topics, &one), 5);
    assert_int_equal(count_subscribed(&topics, &other), 300);
    assert_int_equal(search(&topics, &shop), 0); /* again the same */
    shop.count = 3;
    assert_int_equal(search(&topics, &shop), 1);
    assert_int_equal(count_subscribed(&topics, &one), 3);
    subscription_done(&one);
    subscription_done(&other);
    topics_done(&topics);
}

static void what_is_dear_is_left_to_later_searches_and_then_remembered(void **state)
{
    (void)state;
    struct topics topics = {0};
    struct shop shop = {.count = 5 * A_SEARCH};
    struct subscription dear;
    struct subscription cheap;
    subscribe(&topics, DEAR, &dear);
    subscribe(&topics, "a*0.*", &cheap);
    for (int i = 1; i < 5; i++) {
        assert_int_equal(search(&topics, &shop), i == 1);
        assert_false(topics.found);
        assert_int_equal(count_subscribed(&topics, &cheap), shop.count);
    }
    assert_int_equal(search(&topics, &shop), 0);
    assert_true(topics.found);
    assert_int_equal(count_subscribed(&topics, &dear), 0);
    shop.count += A_SEARCH; /* these alone are tried */
    assert_int_equal(search(&topics, &shop), 1);
    assert_true(topics.found);
    subscription_done(&dear);
    subscription_done(&cheap);
    topics_done(&topics);
}

/* They are of the list already, by another one: it stays the same, and who has what does not. */
static void what_matches_only_later_is_told_of(void **state)
{
    (void)state;
    struct topics topics = {0};
    struct shop shop = {.count = A_SEARCH + 1};
    struct subscription dear;
    struct subscription cheap;
    subscribe(&topics, DEAR_MATCH, &dear);
    subscribe(&topics, "a*0.*", &cheap);
    assert_int_equal(search(&topics, &shop), 1);
    assert_int_equal(count_subscribed(&topics, &dear), A_SEARCH);
    assert_int_equal(search(&topics, &shop), 1);
    assert_int_equal(count_subscribed(&topics, &dear), shop.count);
    assert_int_equal(search(&topics, &shop), 0);
    subscription_done(&dear);
    subscription_done(&cheap);
    topics_done(&topics);
}

static void a_search_that_fails_forgets_nothing(void **state)
{
    (void)state;
    struct topics topics = {0};
    struct shop shop = {.count = A_SEARCH};
    struct subscription dear;
    subscribe(&topics, DEAR, &dear);
    assert_int_equal(search(&topics, &shop), 1); /* none, which nobody knew yet */
    assert_true(topics.found);
    shop.fails = true;
    assert_int_equal(search(&topics, &shop), -EIO);
    shop.fails = false;
    shop.count += A_SEARCH;
    assert_int_equal(search(&topics, &shop), 0);
    assert_true(topics.found);
    subscription_done(&dear);
    topics_done(&topics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_matches_is_found),
        cmocka_unit_test(what_is_dear_is_left_to_later_searches_and_then_remembered),
        cmocka_unit_test(what_matches_only_later_is_told_of),
        cmocka_unit_test(a_search_that_fails_forgets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
