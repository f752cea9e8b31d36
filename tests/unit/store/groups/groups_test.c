/* SPDX-License-Identifier: Apache-2.0 */
/* Consumer groups: offsets and records are kept, found, walked, deleted and forgotten as beck.h
 * says. */
#include "groups.h"
#include "groups_expire.h"
#include "store_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUP(name) (name), strlen(name)
#define DAY_MS      INT64_C(86400000)

static struct beck_offset_commit commit_of(const char *group, const char *topic, int32_t partition,
                                           int64_t offset)
{
    return (struct beck_offset_commit){
        .group = group,
        .group_size = strlen(group),
        .topic = topic,
        .partition = partition,
        .offset = offset,
        .leader_epoch = -1,
        .expire_ms = -1,
        .flags = BECK_OFFSET_BEYOND_END,
    };
}

/* Commit one; returns its result. */
static int commit(struct fixture *fixture, const char *group, int32_t partition, int64_t offset)
{
    struct beck_offset_commit one = commit_of(group, "t", partition, offset);
    int r = beck_offsets_commit(fixture->store, &one, 1, &fixture->error);
    assert_true(r < 0 || r == (one.result == 0));
    return r < 0 ? r : one.result;
}

/* The offset that is stored, or -1. */
static int64_t stored(struct fixture *fixture, const char *group, int32_t partition)
{
    static struct beck_offset offset;
    int r = (int)must(
        beck_offset_fetch(fixture->store, GROUP(group), "t", partition, &offset, &fixture->error),
        &fixture->error);
    return r == 1 ? offset.offset : -1;
}

/* How many offsets a walk over a group finds. */
static int walk(struct fixture *fixture, const char *group)
{
    static struct beck_offset offset;
    int count = 0;
    memset(&offset, 0, sizeof(offset));
    while (must(beck_offset_next(fixture->store, GROUP(group), &offset, &fixture->error),
                &fixture->error) == 1)
        count++;
    return count;
}

static int count_groups(struct fixture *fixture)
{
    static struct beck_group group;
    int count = 0;
    memset(&group, 0, sizeof(group));
    while (must(beck_group_next(fixture->store, &group, &fixture->error), &fixture->error) == 1)
        count++;
    return count;
}

static void put_group(struct fixture *fixture, const char *name, int64_t empty_since_ms,
                      const char *state)
{
    static struct beck_group group;
    memset(&group, 0, sizeof(group));
    group.id_size = strlen(name);
    memcpy(group.id, name, group.id_size);
    (void)snprintf(group.protocol_type, sizeof(group.protocol_type), "consumer");
    group.empty_since_ms = empty_since_ms;
    group.state_size = strlen(state);
    must(beck_group_put(fixture->store, &group, state, &fixture->error), &fixture->error);
}

/* Does a group have anything? */
static int get_group(struct fixture *fixture, const char *name, struct beck_group *ret_group)
{
    return (int)must(
        beck_group_get(fixture->store, GROUP(name), ret_group, NULL, 0, &fixture->error),
        &fixture->error);
}

/* ---- committing ---------------------------------------------------------------------------- */

static void what_is_committed_is_fetched(void **state)
{
    struct fixture *fixture = *state;
    static struct beck_offset offset;
    struct beck_offset_commit one = commit_of("g", "t", 0, 7);
    one.leader_epoch = 3;
    one.metadata = "a\0b";
    one.metadata_size = 3;
    one.expire_ms = INT64_MAX;
    int64_t before_ms = store_now_ms();
    assert_int_equal(beck_offsets_commit(fixture->store, &one, 1, &fixture->error), 1);
    fixture_reopen(fixture);
    assert_int_equal(beck_offset_fetch(fixture->store, "g", 1, "t", 0, &offset, &fixture->error),
                     1);
    assert_string_equal(offset.topic, "t");
    assert_int_equal(offset.partition, 0);
    assert_int_equal(offset.offset, 7);
    assert_int_equal(offset.leader_epoch, 3);
    assert_int_equal(offset.metadata_size, 3);
    assert_memory_equal(offset.metadata, "a\0b", 4);
    assert_true(offset.commit_ms >= before_ms && offset.commit_ms <= store_now_ms());
    assert_true(offset.expire_ms == INT64_MAX);
}

static void a_later_commit_replaces_an_earlier(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(commit(fixture, "g", 0, 7), 0);
    assert_int_equal(commit(fixture, "g", 0, 3), 0);
    assert_int_equal(stored(fixture, "g", 0), 3);
}

static void a_commit_below_0_forgets_the_offset(void **state)
{
    struct fixture *fixture = *state;
    struct beck_offset_commit one = commit_of("g", "t", 0, -1);
    assert_int_equal(commit(fixture, "g", 0, 7), 0);
    assert_int_equal(commit(fixture, "h", 0, 8), 0);
    one.flags = 0;
    assert_int_equal(beck_offsets_commit(fixture->store, &one, 1, &fixture->error), 1);
    assert_int_equal(stored(fixture, "g", 0), -1);
    assert_int_equal(walk(fixture, "g"), 0);
    assert_int_equal(commit(fixture, "g", 0, INT64_MIN), 0); /* there is nothing to forget */
    assert_int_equal(commit(fixture, "g", 1, -1), -ENOENT);
    assert_int_equal(stored(fixture, "h", 0), 8);
}

static void groups_are_apart(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(commit(fixture, "g", 0, 7), 0);
    assert_int_equal(commit(fixture, "h", 0, 8), 0);
    assert_int_equal(commit(fixture, "", 0, 9), 0);
    assert_int_equal(stored(fixture, "g", 0), 7);
    assert_int_equal(stored(fixture, "h", 0), 8);
    assert_int_equal(stored(fixture, "", 0), 9);
    assert_int_equal(stored(fixture, "i", 0), -1);
}

static void a_group_may_have_a_long_name_with_any_bytes(void **state)
{
    struct fixture *fixture = *state;
    static char name[BECK_GROUP_ID_BYTES + 1];
    static struct beck_offset offset;
    memset(name, 'x', sizeof(name));
    name[5] = '\0';
    struct beck_offset_commit one = commit_of("", "t", 0, 5);
    one.group = name;
    one.group_size = BECK_GROUP_ID_BYTES;
    assert_int_equal(beck_offsets_commit(fixture->store, &one, 1, &fixture->error), 1);
    assert_int_equal(beck_offset_fetch(fixture->store, name, BECK_GROUP_ID_BYTES, "t", 0, &offset,
                                       &fixture->error),
                     1);
    assert_int_equal(beck_offset_fetch(fixture->store, name, BECK_GROUP_ID_BYTES - 1, "t", 0,
                                       &offset, &fixture->error),
                     0);
    one.group_size = BECK_GROUP_ID_BYTES + 1;
    assert_int_equal(beck_offsets_commit(fixture->store, &one, 1, &fixture->error), 0);
    assert_int_equal(one.result, -EINVAL);
}

static void metadata_has_the_limit_that_is_configured(void **state)
{
    struct fixture *fixture = *state;
    static char metadata[BECK_OFFSET_METADATA_BYTES];
    static struct beck_offset offset;
    const struct beck_config_change wider = {.name = "offset.metadata.max.bytes", .value = "32767"};
    struct beck_offset_commit one = commit_of("g", "t", 0, 5);
    memset(metadata, 'm', sizeof(metadata));
    one.metadata = metadata;
    one.metadata_size = 4096;
    assert_int_equal(beck_offsets_commit(fixture->store, &one, 1, &fixture->error), 1);
    one.metadata_size = 4097;
    assert_int_equal(beck_offsets_commit(fixture->store, &one, 1, &fixture->error), 0);
    assert_int_equal(one.result, -EMSGSIZE);
    must(beck_store_alter(fixture->store, &wider, 1, 0, &fixture->error), &fixture->error);
    one.metadata_size = sizeof(metadata);
    assert_int_equal(beck_offsets_commit(fixture->store, &one, 1, &fixture->error), 1);
    assert_int_equal(beck_offset_fetch(fixture->store, "g", 1, "t", 0, &offset, &fixture->error),
                     1);
    assert_int_equal(offset.metadata_size, sizeof(metadata));
}

static void one_bad_commit_leaves_the_others(void **state)
{
    struct fixture *fixture = *state;
    struct beck_offset_commit commits[] = {
        commit_of("g", "t", 0, 4),  commit_of("g", "u", 0, 4), commit_of("g", "t", 1, 4),
        commit_of("g", "t", -1, 4), commit_of("g", "t", 0, 6), commit_of("h", "t", 0, 5),
    };
    commits[4].leader_epoch = -2;
    static const int results[] = {0, -ENOENT, -ENOENT, -ENOENT, -EINVAL, 0};
    assert_int_equal(beck_offsets_commit(fixture->store, commits, 6, &fixture->error), 2);
    for (int i = 0; i < 6; i++)
        assert_int_equal(commits[i].result, results[i]);
    assert_int_equal(stored(fixture, "g", 0), 4);
    assert_int_equal(stored(fixture, "h", 0), 5);
}

static void many_go_into_one_call(void **state)
{
    struct fixture *fixture = *state;
    enum { MANY = 1000 };
    static struct beck_offset_commit commits[MANY];
    must_create_topic(fixture->store, "u", MANY, NULL, NULL);
    for (int i = 0; i < MANY; i++)
        commits[i] = commit_of("g", "u", i, i);
    assert_int_equal(beck_offsets_commit(fixture->store, commits, MANY, &fixture->error), MANY);
    assert_int_equal(walk(fixture, "g"), MANY);
}

static void beyond_the_end_needs_to_be_asked_for(void **state)
{
    struct fixture *fixture = *state;
    struct beck_offset_commit one = commit_of("g", "t", 0, 2);
    one.flags = 0;
    must_append(fixture->partition, "v", BECK_ACKS_LEADER);
    assert_int_equal(beck_offsets_commit(fixture->store, &one, 1, &fixture->error), 0);
    assert_int_equal(one.result, -ERANGE);
    one.offset = 1;
    assert_int_equal(beck_offsets_commit(fixture->store, &one, 1, &fixture->error), 1);
    one.offset = 2;
    one.flags = BECK_OFFSET_BEYOND_END;
    assert_int_equal(beck_offsets_commit(fixture->store, &one, 1, &fixture->error), 1);
    one.flags = 2;
    assert_int_equal(beck_offsets_commit(fixture->store, &one, 1, &fixture->error), 0);
    assert_int_equal(one.result, -EINVAL);
}

static void the_log_is_synced_first(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++)
        must_append(fixture->partition, "v", BECK_ACKS_LEADER);
    assert_int_equal(must_state(fixture->partition).synced_offset, 0);
    assert_int_equal(commit(fixture, "g", 0, 0), 0);
    assert_int_equal(must_state(fixture->partition).synced_offset, 0);
    assert_int_equal(commit(fixture, "g", 0, 2), 0);
    assert_true(must_state(fixture->partition).synced_offset >= 2);
}

static void the_log_is_not_synced_where_nothing_is(void **state)
{
    struct fixture *fixture = *state;
    const struct beck_config_change os = {.name = "flush.policy", .value = "os"};
    must(beck_topic_alter(fixture->store, "t", &os, 1, 0, &fixture->error), &fixture->error);
    must_append(fixture->partition, "v", BECK_ACKS_LEADER);
    assert_int_equal(commit(fixture, "g", 0, 1), 0);
    assert_int_equal(must_state(fixture->partition).synced_offset, 0);
}

static void a_reader_fetches_and_commits_nothing(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(commit(fixture, "g", 0, 4), 0);
    fixture_close(fixture);
    fixture->store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
    assert_int_equal(stored(fixture, "g", 0), 4);
    assert_int_equal(commit(fixture, "g", 0, 5), -EROFS);
    assert_int_equal(beck_group_delete(fixture->store, "g", 1, &fixture->error), -EROFS);
}

static void a_walk_goes_by_topic_and_partition(void **state)
{
    struct fixture *fixture = *state;
    static struct beck_offset offset;
    must_create_topic(fixture->store, "a", 3, NULL, NULL);
    struct beck_offset_commit commits[] = {
        commit_of("g", "a", 2, 12),
        commit_of("g", "t", 0, 1),
        commit_of("h", "a", 1, 90),
        commit_of("g", "a", 0, 10),
    };
    assert_int_equal(beck_offsets_commit(fixture->store, commits, 4, &fixture->error), 4);
    static const int64_t wanted[] = {1, 10, 12};
    memset(&offset, 0, sizeof(offset));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(beck_offset_next(fixture->store, "g", 1, &offset, &fixture->error), 1);
        assert_int_equal(offset.offset, wanted[i]);
        assert_string_equal(offset.topic, i == 0 ? "t" : "a");
    }
    assert_int_equal(beck_offset_next(fixture->store, "g", 1, &offset, &fixture->error), 0);
}

/* ---- several at once ----------------------------------------------------------------------- */

enum { THREADS = 8, COMMITS = 50 };

struct committer {
    struct fixture *fixture;
    int number;
    int stored;
};

static void *commit_many(void *context)
{
    struct committer *committer = context;
    char group[16];
    (void)snprintf(group, sizeof(group), "g%d", committer->number);
    for (int i = 1; i <= COMMITS; i++) {
        struct beck_offset_commit commits[] = {commit_of(group, "t", 0, i),
                                               commit_of(group, "none", 0, i)};
        committer->stored +=
            beck_offsets_commit(committer->fixture->store, commits, 2, NULL) == 1 &&
            commits[0].result == 0 && commits[1].result == -ENOENT;
    }
    return NULL;
}

static void threads_share_commits_and_keep_their_results(void **state)
{
    struct fixture *fixture = *state;
    struct committer committers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        committers[i] = (struct committer){.fixture = fixture, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, commit_many, &committers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        char group[16];
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(committers[i].stored, COMMITS);
        (void)snprintf(group, sizeof(group), "g%d", i);
        assert_int_equal(stored(fixture, group, 0), COMMITS);
    }
    assert_int_equal(count_groups(fixture), THREADS);
}

static int commit_in_child(struct fixture *fixture)
{
    struct beck_store *store = must_open(fixture->path, 0);
    struct beck_offset_commit one = commit_of("theirs", "t", 0, 11);
    return beck_offsets_commit(store, &one, 1, NULL) == 1 ? 0 : 1;
}

static void another_process_commits_too(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(commit(fixture, "ours", 0, 4), 0);
    assert_int_equal(run_in_child(commit_in_child, fixture), 0);
    assert_int_equal(stored(fixture, "theirs", 0), 11);
    assert_int_equal(stored(fixture, "ours", 0), 4);
}

static void commit_and_tell(struct fixture *fixture, struct beck_store *store)
{
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    for (int64_t i = 1; i <= 20; i++) {
        struct beck_offset_commit commits[] = {commit_of("g", "t", 0, i),
                                               commit_of("h", "t", 0, 2 * i)};
        must_append(partition, "v", BECK_ACKS_LEADER);
        must_append(partition, "v", BECK_ACKS_LEADER);
        assert_int_equal(beck_offsets_commit(store, commits, 2, &fixture->error), 2);
    }
}

static void what_was_acknowledged_survives_a_kill(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    run_and_kill(commit_and_tell, fixture);
    fixture_open(fixture);
    assert_int_equal(stored(fixture, "g", 0), 20);
    assert_int_equal(stored(fixture, "h", 0), 40);
    assert_true(must_state(fixture->partition).next_offset >= 40);
}

/* ---- deleting ------------------------------------------------------------------------------ */

static void offsets_are_deleted_one_by_one(void **state)
{
    struct fixture *fixture = *state;
    struct beck_offset_delete deletes[] = {
        {"t", 0, 1}, {"u", 0, 1}, {"t", 5, 1}, {"no/name", 0, 1}};
    assert_int_equal(commit(fixture, "g", 0, 4), 0);
    assert_int_equal(commit(fixture, "h", 0, 4), 0);
    must(beck_offsets_delete(fixture->store, "g", 1, deletes, 4, &fixture->error), &fixture->error);
    assert_int_equal(deletes[0].result, 0);
    for (int i = 1; i < 4; i++)
        assert_int_equal(deletes[i].result, -ENOENT);
    assert_int_equal(stored(fixture, "g", 0), -1);
    assert_int_equal(stored(fixture, "h", 0), 4);
}

static void a_group_is_deleted_with_its_offsets(void **state)
{
    struct fixture *fixture = *state;
    static struct beck_group group;
    assert_int_equal(commit(fixture, "g", 0, 4), 0);
    assert_int_equal(commit(fixture, "h", 0, 4), 0);
    put_group(fixture, "g", -1, "state");
    must(beck_group_delete(fixture->store, "g", 1, &fixture->error), &fixture->error);
    assert_int_equal(get_group(fixture, "g", &group), 0);
    assert_int_equal(walk(fixture, "g"), 0);
    assert_int_equal(walk(fixture, "h"), 1);
    assert_int_equal(beck_group_delete(fixture->store, "g", 1, &fixture->error), -ENOENT);
}

/* The records of all offsets, also of those that nobody sees. */
static int count_records_of_offsets(struct fixture *fixture)
{
    uint8_t hash[GROUP_HASH_BYTES] = {0};
    struct offset_place place = {0};
    struct meta_offset offset;
    MDB_txn *txn = NULL;
    int count = 0;
    must(db_begin(&fixture->store->meta, false, &txn, &fixture->error), &fixture->error);
    while (meta_offset_next(&fixture->store->meta, txn, hash, &place, &offset) == 1)
        count++;
    mdb_txn_abort(txn);
    return count;
}

static void offsets_go_with_their_topic(void **state)
{
    struct fixture *fixture = *state;
    enum { PARTITIONS = 700 }; /* more than one transaction deletes */
    static struct beck_offset_commit commits[PARTITIONS];
    must_create_topic(fixture->store, "u", PARTITIONS, NULL, NULL);
    for (int i = 0; i < PARTITIONS; i++)
        commits[i] = commit_of(i % 2 ? "g" : "h", "u", i, 4);
    assert_int_equal(beck_offsets_commit(fixture->store, commits, PARTITIONS, &fixture->error),
                     PARTITIONS);
    assert_int_equal(commit(fixture, "g", 0, 4), 0);
    must(beck_topic_delete(fixture->store, "u", &fixture->error), &fixture->error);
    assert_int_equal(count_records_of_offsets(fixture), 1);
    must_create_topic(fixture->store, "u", 1, NULL, NULL);
    static struct beck_offset offset;
    assert_int_equal(beck_offset_fetch(fixture->store, "h", 1, "u", 0, &offset, &fixture->error),
                     0);
    assert_int_equal(count_groups(fixture), 1);
}

/* ---- records of groups --------------------------------------------------------------------- */

static void a_groups_record_is_kept(void **state)
{
    struct fixture *fixture = *state;
    static struct beck_group group;
    char room[16] = "";
    put_group(fixture, "g", 1234, "first");
    put_group(fixture, "g", -1, "generation 5");
    fixture_reopen(fixture);
    assert_int_equal(
        beck_group_get(fixture->store, "g", 1, &group, room, sizeof(room), &fixture->error), 1);
    assert_true(group.has_record);
    assert_string_equal(group.id, "g");
    assert_string_equal(group.protocol_type, "consumer");
    assert_int_equal(group.empty_since_ms, -1);
    assert_int_equal(group.state_size, 12);
    assert_string_equal(room, "generation 5");
}

static void a_state_that_has_no_room_is_not_copied(void **state)
{
    struct fixture *fixture = *state;
    static struct beck_group group;
    char room[4] = "abc";
    put_group(fixture, "g", -1, "longer");
    assert_int_equal(
        beck_group_get(fixture->store, "g", 1, &group, room, sizeof(room), &fixture->error), 1);
    assert_int_equal(group.state_size, 6);
    assert_string_equal(room, "abc");
}

static void a_state_has_a_limit(void **state)
{
    struct fixture *fixture = *state;
    static struct beck_group group = {.id_size = 1, .id = "g", .empty_since_ms = -1};
    static char bytes[BECK_GROUP_STATE_BYTES + 1];
    group.state_size = BECK_GROUP_STATE_BYTES;
    must(beck_group_put(fixture->store, &group, bytes, &fixture->error), &fixture->error);
    group.state_size++;
    assert_int_equal(beck_group_put(fixture->store, &group, bytes, &fixture->error), -EMSGSIZE);
}

static void groups_with_records_offsets_or_both_are_listed_once(void **state)
{
    struct fixture *fixture = *state;
    static struct beck_group group;
    char name[16];
    for (int i = 0; i < 30; i++) {
        (void)snprintf(name, sizeof(name), "g%d", i);
        if (i % 3 != 0)
            assert_int_equal(commit(fixture, name, 0, i), 0);
        if (i % 3 != 1)
            put_group(fixture, name, -1, "");
    }
    int seen[30] = {0};
    memset(&group, 0, sizeof(group));
    while (must(beck_group_next(fixture->store, &group, &fixture->error), &fixture->error) == 1) {
        int i = atoi(group.id + 1);
        seen[i]++;
        assert_int_equal(group.has_record, i % 3 != 1);
    }
    for (int i = 0; i < 30; i++)
        assert_int_equal(seen[i], 1);
}

static void a_group_with_offsets_only_is_found(void **state)
{
    struct fixture *fixture = *state;
    static struct beck_group group;
    assert_int_equal(get_group(fixture, "g", &group), 0);
    assert_int_equal(commit(fixture, "g", 0, 1), 0);
    assert_int_equal(get_group(fixture, "g", &group), 1);
    assert_false(group.has_record);
    assert_string_equal(group.id, "g");
}

/* ---- expiry -------------------------------------------------------------------------------- */

static void expire(struct fixture *fixture, int64_t now_ms)
{
    must(groups_expire(fixture->store, now_ms, &fixture->error), &fixture->error);
}

static void offsets_of_a_group_without_record_expire_by_their_commit(void **state)
{
    struct fixture *fixture = *state;
    int64_t now_ms = store_now_ms();
    assert_int_equal(commit(fixture, "g", 0, 1), 0);
    expire(fixture, now_ms + 7 * DAY_MS - 1);
    assert_int_equal(stored(fixture, "g", 0), 1);
    expire(fixture, store_now_ms() + 7 * DAY_MS);
    assert_int_equal(stored(fixture, "g", 0), -1);
}

static void nothing_of_a_group_with_members_expires(void **state)
{
    struct fixture *fixture = *state;
    static struct beck_group group;
    assert_int_equal(commit(fixture, "g", 0, 1), 0);
    put_group(fixture, "g", -1, "");
    expire(fixture, store_now_ms() + 1000 * DAY_MS);
    assert_int_equal(stored(fixture, "g", 0), 1);
    assert_int_equal(get_group(fixture, "g", &group), 1);
}

static void offsets_of_an_empty_group_expire_by_when_it_was_left(void **state)
{
    struct fixture *fixture = *state;
    int64_t left_ms = store_now_ms() + 10 * DAY_MS;
    static struct beck_group group;
    assert_int_equal(commit(fixture, "g", 0, 1), 0);
    put_group(fixture, "g", left_ms, "");
    expire(fixture, left_ms + 7 * DAY_MS - 1);
    assert_int_equal(stored(fixture, "g", 0), 1);
    expire(fixture, left_ms + 7 * DAY_MS);
    assert_int_equal(stored(fixture, "g", 0), -1);
    assert_int_equal(get_group(fixture, "g", &group), 0);
}

static void a_commit_after_a_group_was_left_counts(void **state)
{
    struct fixture *fixture = *state;
    put_group(fixture, "g", store_now_ms() - 30 * DAY_MS, "");
    assert_int_equal(commit(fixture, "g", 0, 1), 0);
    expire(fixture, store_now_ms());
    assert_int_equal(stored(fixture, "g", 0), 1);
}

static void a_time_that_was_given_decides(void **state)
{
    struct fixture *fixture = *state;
    int64_t now_ms = store_now_ms();
    struct beck_offset_commit one = commit_of("g", "t", 0, 1);
    one.expire_ms = now_ms + 1000;
    assert_int_equal(beck_offsets_commit(fixture->store, &one, 1, &fixture->error), 1);
    expire(fixture, now_ms + 999);
    assert_int_equal(stored(fixture, "g", 0), 1);
    expire(fixture, now_ms + 1000);
    assert_int_equal(stored(fixture, "g", 0), -1);
}

static void the_store_says_how_long_offsets_are_kept(void **state)
{
    struct fixture *fixture = *state;
    const struct beck_config_change change = {.name = "offsets.retention.minutes", .value = "1"};
    assert_int_equal(commit(fixture, "g", 0, 1), 0);
    must(beck_store_alter(fixture->store, &change, 1, 0, &fixture->error), &fixture->error);
    expire(fixture, store_now_ms() + 59000);
    assert_int_equal(stored(fixture, "g", 0), 1);
    expire(fixture, store_now_ms() + 60000);
    assert_int_equal(stored(fixture, "g", 0), -1);
}

static void many_expire_at_once(void **state)
{
    struct fixture *fixture = *state;
    enum { MANY = 5000 }; /* more than one read transaction looks at */
    static struct beck_offset_commit commits[MANY];
    static char names[MANY][8];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%d", i);
        commits[i] = commit_of(names[i], "t", 0, i);
        commits[i].expire_ms = i % 10 ? 5 : -1;
    }
    assert_int_equal(beck_offsets_commit(fixture->store, commits, MANY, &fixture->error), MANY);
    expire(fixture, store_now_ms());
    assert_int_equal(count_records_of_offsets(fixture), MANY / 10);
}

static void maintenance_expires(void **state)
{
    struct fixture *fixture = *state;
    struct beck_offset_commit one = commit_of("g", "t", 0, 1);
    uint32_t next_ms;
    one.expire_ms = 1;
    assert_int_equal(beck_offsets_commit(fixture->store, &one, 1, &fixture->error), 1);
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
    assert_int_equal(stored(fixture, "g", 0), -1);
}

/* ---- damage -------------------------------------------------------------------------------- */

/* Put something else under a key of the database. */
static void overwrite(struct fixture *fixture, enum meta_database database, const void *key,
                      size_t key_size, const void *bytes, size_t size)
{
    MDB_txn *txn = NULL;
    MDB_val k = {.mv_size = key_size, .mv_data = (void *)(uintptr_t)key};
    MDB_val v = {.mv_size = size, .mv_data = (void *)(uintptr_t)bytes};
    must(db_begin(&fixture->store->meta, true, &txn, &fixture->error), &fixture->error);
    assert_int_equal(mdb_put(txn, fixture->store->meta.dbis[database], &k, &v, 0), 0);
    must(db_commit(&fixture->store->meta, txn, &fixture->error), &fixture->error);
}

static struct db_key key_of_offset(const char *group, uint32_t topic_number, uint32_t partition)
{
    struct group_name name = group_name_of(GROUP(group));
    struct db_key place = db_key_partition(topic_number, partition);
    struct db_key key = {.size = 24};
    memcpy(key.bytes, name.hash, 16);
    memcpy(key.bytes + 16, place.bytes, 8);
    return key;
}

static void a_damaged_offset_is_told_and_walked_past(void **state)
{
    struct fixture *fixture = *state;
    static struct beck_offset offset;
    struct beck_damage damage;
    must_create_topic(fixture->store, "u", 2, NULL, NULL);
    struct beck_offset_commit commits[] = {commit_of("g", "t", 0, 1), commit_of("g", "u", 1, 2)};
    assert_int_equal(beck_offsets_commit(fixture->store, commits, 2, &fixture->error), 2);
    struct db_key key = key_of_offset("g", 1, 0);
    overwrite(fixture, META_OFFSETS, key.bytes, key.size, "broken", 6);
    assert_int_equal(beck_offset_fetch(fixture->store, "g", 1, "t", 0, &offset, &fixture->error),
                     -EBADMSG);
    memset(&offset, 0, sizeof(offset));
    assert_int_equal(beck_offset_next(fixture->store, "g", 1, &offset, &fixture->error), -EBADMSG);
    assert_int_equal(offset.topic_number, 1);
    assert_int_equal(beck_offset_next(fixture->store, "g", 1, &offset, &fixture->error), 1);
    assert_string_equal(offset.topic, "u");
    assert_int_equal(verify_count(fixture->store, &damage), 1);
    assert_non_null(strstr(damage.what, "topic number 1 partition 0"));
    assert_int_equal(commit(fixture, "g", 0, 3), 0); /* puts it right */
    assert_int_equal(stored(fixture, "g", 0), 3);
}

static void a_damaged_group_is_told_and_walked_past(void **state)
{
    struct fixture *fixture = *state;
    static struct beck_group group;
    struct beck_damage damage;
    put_group(fixture, "g", -1, "state");
    put_group(fixture, "h", -1, "state");
    struct group_name name = group_name_of("g", 1);
    overwrite(fixture, META_GROUPS, name.hash, 16, "broken", 6);
    assert_int_equal(beck_group_get(fixture->store, "g", 1, &group, NULL, 0, &fixture->error),
                     -EBADMSG);
    int good = 0;
    int bad = 0;
    int r;
    memset(&group, 0, sizeof(group));
    while ((r = beck_group_next(fixture->store, &group, &fixture->error)) != 0) {
        good += r == 1;
        bad += r == -EBADMSG;
        assert_true(good + bad < 10);
    }
    assert_int_equal(good, 1);
    assert_int_equal(bad, 1);
    assert_int_equal(verify_count(fixture->store, &damage), 1);
    must(beck_group_delete(fixture->store, "g", 1, &fixture->error), &fixture->error);
    assert_int_equal(verify_count(fixture->store, &damage), 0);
}

static void what_makes_no_sense_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct beck_damage damage;
    struct beck_topic topic;
    must(beck_topic_find(fixture->store, "t", &topic, &fixture->error), &fixture->error);
    struct meta_offset offset = {.group = group_name_of("g", 1), .expire_ms = -1};
    memcpy(offset.topic_id, topic.id, BECK_ID_BYTES);
    MDB_txn *txn = NULL;
    must(db_begin(&fixture->store->meta, true, &txn, &fixture->error), &fixture->error);
    assert_int_equal(meta_offset_put(&fixture->store->meta, txn,
                                     (struct offset_place){topic.number, 77}, &offset),
                     0);
    must(db_commit(&fixture->store->meta, txn, &fixture->error), &fixture->error);
    assert_int_equal(verify_count(fixture->store, &damage), 1);
    assert_non_null(strstr(damage.what, "partition that its topic does not have"));
    overwrite(fixture, META_OFFSETS, "short", 5, "x", 1);
    overwrite(fixture, META_GROUPS, "short", 5, "x", 1);
    assert_int_equal(verify_count(fixture->store, &damage), 3);
    assert_int_equal(walk(fixture, "g"), 1);
}

/* A record under a key that its name does not have. */
static void a_name_that_is_not_its_keys_is_damage(void **state)
{
    struct fixture *fixture = *state;
    static struct beck_group group;
    uint8_t buffer[256];
    struct packer p;
    struct group_name name = group_name_of("g", 1);
    pack_begin(&p, buffer, sizeof(buffer), VALUE_GROUP);
    pack_string(&p, "other", 5);
    pack_string(&p, "", 0);
    pack_u64(&p, 0);
    pack_u32(&p, 0);
    int size = pack_end(&p, name.hash, sizeof(name.hash));
    overwrite(fixture, META_GROUPS, name.hash, sizeof(name.hash), buffer, (size_t)size);
    assert_int_equal(beck_group_get(fixture->store, "g", 1, &group, NULL, 0, &fixture->error),
                     -EBADMSG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_committed_is_fetched),
        TEST(a_later_commit_replaces_an_earlier),
        TEST(a_commit_below_0_forgets_the_offset),
        TEST(groups_are_apart),
        TEST(a_group_may_have_a_long_name_with_any_bytes),
        TEST(metadata_has_the_limit_that_is_configured),
        TEST(one_bad_commit_leaves_the_others),
        TEST(many_go_into_one_call),
        TEST(beyond_the_end_needs_to_be_asked_for),
        TEST(the_log_is_synced_first),
        TEST(the_log_is_not_synced_where_nothing_is),
        TEST(a_reader_fetches_and_commits_nothing),
        TEST(a_walk_goes_by_topic_and_partition),
        TEST(threads_share_commits_and_keep_their_results),
        TEST(another_process_commits_too),
        TEST(what_was_acknowledged_survives_a_kill),
        TEST(offsets_are_deleted_one_by_one),
        TEST(a_group_is_deleted_with_its_offsets),
        TEST(offsets_go_with_their_topic),
        TEST(a_groups_record_is_kept),
        TEST(a_state_that_has_no_room_is_not_copied),
        TEST(a_state_has_a_limit),
        TEST(groups_with_records_offsets_or_both_are_listed_once),
        TEST(a_group_with_offsets_only_is_found),
        TEST(offsets_of_a_group_without_record_expire_by_their_commit),
        TEST(nothing_of_a_group_with_members_expires),
        TEST(offsets_of_an_empty_group_expire_by_when_it_was_left),
        TEST(a_commit_after_a_group_was_left_counts),
        TEST(a_time_that_was_given_decides),
        TEST(the_store_says_how_long_offsets_are_kept),
        TEST(many_expire_at_once),
        TEST(maintenance_expires),
        TEST(a_damaged_offset_is_told_and_walked_past),
        TEST(a_damaged_group_is_told_and_walked_past),
        TEST(what_makes_no_sense_is_told),
        TEST(a_name_that_is_not_its_keys_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
