/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of repair share: running it and noting what it says, and a store with ten records
 * that are to be there again.
 */
#ifndef TESTS_REPAIR_FIXTURE_H
#define TESTS_REPAIR_FIXTURE_H

#include "repair.h"
#include "store.h"
#include "store_fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- running it ----------------------------------------------------------------------------- */

static struct beck_repair_step steps[64];
static unsigned step_count;
static struct beck_repair_totals totals;

static inline int note_step(void *context, const struct beck_repair_step *step)
{
    (void)context;
    if (step_count < 64)
        steps[step_count++] = *step;
    return 0;
}

static inline int repair(struct fixture *fixture, unsigned flags)
{
    step_count = 0;
    memset(&totals, 0, sizeof(totals));
    return beck_store_repair(fixture->path, flags, &fixture_options, note_step, NULL, &totals,
                             &fixture->error);
}

static inline bool has_step(enum beck_repair_kind kind, const char *in_file)
{
    for (unsigned i = 0; i < step_count; i++)
        if (steps[i].kind == kind && strstr(steps[i].file, in_file))
            return true;
    return false;
}

static inline void print_steps(void)
{
    for (unsigned i = 0; i < step_count; i++)
        print_message("%d %s %s %d %lld %lld: %s\n", (int)steps[i].kind, steps[i].file,
                      steps[i].topic, (int)steps[i].partition, (long long)steps[i].byte,
                      (long long)steps[i].bytes, steps[i].what);
}

/* There is nothing to be done. */
static inline void assert_sound(struct fixture *fixture)
{
    int r = repair(fixture, 0);
    if (r != 0)
        print_steps();
    assert_int_equal(must(r, &fixture->error), 0);
    assert_int_equal(step_count, 0);
}

/* Looking says so much and changes nothing; doing does it, and then there is nothing to be done. */
static inline void assert_repaired(struct fixture *fixture, unsigned flags, uint32_t expected)
{
    assert_int_equal(must(repair(fixture, flags), &fixture->error), 1);
    if (totals.to_do != expected)
        print_steps();
    assert_int_equal(totals.to_do, expected);
    assert_int_equal(totals.done, 0);
    assert_string_equal(totals.side, "");
    ssize_t r = must(repair(fixture, flags | BECK_REPAIR_EXECUTE), &fixture->error);
    if (r != 0)
        print_steps();
    assert_int_equal(r, 0);
    assert_int_equal(totals.done, expected);
    assert_int_equal(totals.to_do, 0);
    assert_int_equal(totals.left, 0);
}

static inline void side_file(const struct fixture *fixture, const char *name, char to[PATH_MAX])
{
    (void)snprintf(to, PATH_MAX, "%s/%s/%s", fixture->path, totals.side, name);
}

/* ---- stores --------------------------------------------------------------------------------- */

static int64_t one_batch;

/* Ten records of one size and another topic, closed cleanly. */
static inline void leave_ten(struct fixture *fixture)
{
    must_create_topic(fixture->store, "other", 2, "max.message.bytes", "4242");
    struct beck_partition *other = must_open_partition(fixture->store, "other", 1);
    must_append(other, "other", BECK_ACKS_LEADER);
    beck_partition_close(other);
    one_batch = fixture_leave_ten(fixture);
}

/* All ten records are there, nothing is damaged, and appending goes on behind them. */
static inline void assert_ten(struct fixture *fixture)
{
    char value[32];
    fixture_open(fixture);
    assert_int_equal(count_records(fixture->partition, 0), 10);
    for (int i = 0; i < 10; i++) {
        (void)snprintf(value, sizeof(value), "record %d", i);
        assert_value(fixture->partition, i, value);
    }
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    int64_t offset = must_append(fixture->partition, "next", BECK_ACKS_LEADER);
    assert_true(offset >= 10);
    assert_value(fixture->partition, offset, "next");
    struct beck_partition *other = must_open_partition(fixture->store, "other", 1);
    assert_value(other, 0, "other");
    beck_partition_close(other);
}

static inline void remove_store_file(struct fixture *fixture, const char *name)
{
    char path[PATH_MAX];
    store_file(fixture, name, path);
    assert_int_equal(unlink(path), 0);
}

static inline void assert_topics(struct fixture *fixture)
{
    struct beck_topic topic;
    struct beck_config_entry entry;
    bool found = false;
    must(beck_topic_find(fixture->store, "other", &topic, &fixture->error), &fixture->error);
    assert_int_equal(topic.partition_count, 2);
    for (uint32_t i = 0;
         !found && beck_topic_config(fixture->store, "other", i, &entry, &fixture->error) == 1; i++)
        found = strcmp(entry.name, "max.message.bytes") == 0 && strcmp(entry.value, "4242") == 0;
    assert_true(found);
    must_create_topic(fixture->store, "new", 1, NULL, NULL);
    struct beck_topic made;
    must(beck_topic_find(fixture->store, "new", &made, &fixture->error), &fixture->error);
    assert_true(made.number > topic.number);
}

#endif
