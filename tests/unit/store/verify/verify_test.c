/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What verification holds against what: each kind of damage is told, with the file that has it, and
 * a sound store has none, however many threads look, and while others go on. Damage of batches:
 * damage_test.c.
 */
#include "index.h"
#include "meta.h"
#include "segments.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VALUE_BYTES 90000
#define VALUES      30 /* two complete segments of 1 MiB, and a third that is written to */

static void maintain(struct fixture *fixture)
{
    uint32_t next_ms;
    must(beck_store_maintain(fixture->store, true, &next_ms, &fixture->error), &fixture->error);
}

static int setup_segments(void **state)
{
    setup_store(state);
    struct fixture *fixture = *state;
    must_create_topic(fixture->store, "t", 1, "segment.bytes", "1048576");
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    for (unsigned i = 0; i < VALUES; i++)
        must_append_bytes(fixture->partition, VALUE_BYTES, i, BECK_ACKS_LEADER);
    maintain(fixture);
    return 0;
}

static void seal(struct fixture *fixture)
{
    uint32_t next_ms;
    must(beck_store_clean(fixture->store, NULL, NULL, &next_ms, &fixture->error), &fixture->error);
}

/* A transaction on one of the databases, to spoil something in it. */
struct spoiler {
    struct db *db;
    MDB_txn *txn;
};

static struct spoiler spoil(struct db *db)
{
    struct spoiler spoiler = {.db = db};
    must(db_begin(db, true, &spoiler.txn, NULL), NULL);
    return spoiler;
}

static void spoiled(struct spoiler *spoiler)
{
    must(db_commit(spoiler->db, spoiler->txn, NULL), NULL);
}

/* One damage, in this file, with these words. */
static void assert_told(struct fixture *fixture, const char *file, const char *what)
{
    struct beck_damage damage = {.partition = 0};
    int count = verify_count(fixture->store, &damage);
    if (count != 1 || !strstr(damage.file, file) || !strstr(damage.what, what))
        fail_msg("%d damages, the last: %s: %s", count, damage.file, damage.what);
}

/* ---- segments ------------------------------------------------------------------------------ */

static void a_sound_store_has_no_damage(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    seal(fixture);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

/* No CRC covers it: the history of leader epochs does. */
static void a_changed_leader_epoch_is_told(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    for (int segment = 0; segment < 3; segment++) {
        segment_path(fixture, "t", 0, segment, path);
        file_flip(path, 15);
        assert_told(fixture, ".log", ", where it was 0");
        file_flip(path, 15);
    }
    seal(fixture);
    segment_path(fixture, "t", 0, 1, path);
    file_flip(path, 12);
    assert_told(fixture, ".log", ", where it was 0");
}

static void set_first_epoch(const char *path, uint8_t epoch)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, &epoch, 1, 15), 1);
    assert_int_equal(close(fd), 0);
}

/* A store that kept no history says of a batch only which epochs had not begun. */
static void a_leader_epoch_that_had_not_begun_is_told_without_a_history(void **state)
{
    struct fixture *fixture = *state;
    struct meta_partition location;
    char path[PATH_MAX];
    struct spoiler spoiler = spoil(&fixture->store->meta);
    must(meta_partition_get(spoiler.db, spoiler.txn, 1, 0, &location), NULL);
    location.leader_epoch = 2;
    must(meta_partition_put(spoiler.db, spoiler.txn, 1, 0, &location), NULL);
    spoiled(&spoiler);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
    segment_path(fixture, "t", 0, 1, path);
    set_first_epoch(path, 3);
    assert_told(fixture, ".log", "leader epoch 3, which had not begun then");
    set_first_epoch(path, 2);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

static void damage_of_a_batch_is_told_once_where_the_segment_is_sealed(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    seal(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_flip(path, 100000);
    assert_told(fixture, ".log", "CRC");
}

static void a_file_that_is_longer_than_the_catalogue_says_is_told(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    fixture_close(fixture);
    segment_path(fixture, "t", 0, 0, path);
    file_append(path, "more", 4);
    fixture->store = must_open(fixture->path, 0);
    assert_told(fixture, ".log", "the catalogue says");
}

static struct segment_record get_segment(struct fixture *fixture, MDB_txn *txn, int64_t base)
{
    struct segment_record record;
    must(index_segment_get(&fixture->store->index, txn, 1, 0, base, &record), NULL);
    return record;
}

static void spoil_first_segment(struct fixture *fixture,
                                void (*change)(struct segment_record *record))
{
    struct spoiler spoiler = spoil(&fixture->store->index);
    struct segment_record record = get_segment(fixture, spoiler.txn, 0);
    change(&record);
    must(index_segment_put(spoiler.db, spoiler.txn, 1, 0, &record), NULL);
    spoiled(&spoiler);
    fixture_reopen(fixture);
}

static void change_view(struct segment_record *record)
{
    record->view_bytes++;
}

static void a_wrong_view_size_in_the_catalogue_is_told(void **state)
{
    struct fixture *fixture = *state;
    spoil_first_segment(fixture, change_view);
    assert_told(fixture, STORE_PATH_INDEX, "the catalogue says");
}

static void change_next_offset(struct segment_record *record)
{
    record->next_offset++;
}

static void segments_that_overlap_in_the_catalogue_are_told(void **state)
{
    struct fixture *fixture = *state;
    spoil_first_segment(fixture, change_next_offset);
    assert_told(fixture, STORE_PATH_INDEX, "begins before the end");
}

static void change_digest(struct segment_record *record)
{
    record->digest[3] ^= 1;
}

static void a_wrong_digest_is_told(void **state)
{
    struct fixture *fixture = *state;
    seal(fixture);
    spoil_first_segment(fixture, change_digest);
    assert_told(fixture, ".log", "digest");
}

static void spoil_checkpoint(struct fixture *fixture,
                             void (*change)(struct index_checkpoint *checkpoint))
{
    struct index_checkpoint checkpoint;
    struct spoiler spoiler = spoil(&fixture->store->index);
    must(index_checkpoint_get(spoiler.db, spoiler.txn, 1, 0, &checkpoint), NULL);
    change(&checkpoint);
    must(index_checkpoint_put(spoiler.db, spoiler.txn, 1, 0, &checkpoint), NULL);
    spoiled(&spoiler);
}

static void change_checkpoint_view(struct index_checkpoint *checkpoint)
{
    checkpoint->end.view += 7;
}

static void a_wrong_view_position_in_a_checkpoint_is_told(void **state)
{
    struct fixture *fixture = *state;
    spoil_checkpoint(fixture, change_checkpoint_view);
    assert_told(fixture, STORE_PATH_INDEX, "the checkpoint's offset, view position");
}

static void change_checkpoint_position(struct index_checkpoint *checkpoint)
{
    checkpoint->end.position -= 7;
}

static void a_checkpoint_between_batches_is_told(void **state)
{
    struct fixture *fixture = *state;
    spoil_checkpoint(fixture, change_checkpoint_position);
    assert_told(fixture, STORE_PATH_INDEX, "where no batch ends");
}

/* ---- records ------------------------------------------------------------------------------- */

static void a_missing_id_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct spoiler spoiler = spoil(&fixture->store->meta);
    must(db_delete(spoiler.txn, spoiler.db->dbis[META_TOPIC_IDS],
                   beck_partition_topic(fixture->partition)->id, BECK_ID_BYTES),
         NULL);
    spoiled(&spoiler);
    assert_told(fixture, STORE_PATH_META, "the id of topic t is missing");
}

static void an_id_without_a_topic_is_told(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t id[BECK_ID_BYTES] = {7};
    uint8_t buffer[64];
    struct packer p;
    struct spoiler spoiler = spoil(&fixture->store->meta);
    pack_begin(&p, buffer, sizeof(buffer), VALUE_TOPIC_ID);
    pack_string(&p, "nobody", 6);
    must(db_put_value(spoiler.txn, spoiler.db->dbis[META_TOPIC_IDS], id, sizeof(id), &p), NULL);
    spoiled(&spoiler);
    assert_told(fixture, STORE_PATH_META, "an id names topic nobody");
}

static void a_missing_slot_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct db_key key = db_key_number(1);
    struct spoiler spoiler = spoil(&fixture->store->meta);
    must(db_delete(spoiler.txn, spoiler.db->dbis[META_SLOTS], key.bytes, key.size), NULL);
    spoiled(&spoiler);
    assert_told(fixture, STORE_PATH_META, "slot 1, of topic t partition 0, is missing");
}

static void a_partition_without_a_topic_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct meta_partition location = {.slot = 9};
    struct beck_damage damage;
    struct spoiler spoiler = spoil(&fixture->store->meta);
    must(meta_partition_put(spoiler.db, spoiler.txn, 8, 3, &location), NULL);
    spoiled(&spoiler);
    assert_int_equal(verify_count(fixture->store, &damage), 2); /* its slot, too */
    assert_non_null(strstr(damage.what, "slot 9"));
}

static void a_slot_of_two_partitions_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct meta_partition location;
    struct beck_damage damage;
    must_create_topic(fixture->store, "u", 1, NULL, NULL);
    struct spoiler spoiler = spoil(&fixture->store->meta);
    must(meta_partition_get(spoiler.db, spoiler.txn, 2, 0, &location), NULL);
    struct db_key key = db_key_partition(2, 0);
    uint8_t buffer[64];
    struct packer p;
    pack_begin(&p, buffer, sizeof(buffer), VALUE_PARTITION);
    pack_u32(&p, 1);
    pack_u32(&p, 0);
    pack_u64(&p, 0);
    must(db_put_value(spoiler.txn, spoiler.db->dbis[META_PARTITIONS], key.bytes, key.size, &p),
         NULL);
    spoiled(&spoiler);
    assert_true(verify_count(fixture->store, &damage) >= 2);
    assert_string_equal(damage.file, STORE_PATH_META);
}

static void a_number_that_will_be_given_again_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct meta_store record;
    struct spoiler spoiler = spoil(&fixture->store->meta);
    must(meta_store_get(spoiler.db, spoiler.txn, &record), NULL);
    record.next_topic_number = 1;
    must(meta_store_put(spoiler.db, spoiler.txn, &record), NULL);
    spoiled(&spoiler);
    assert_told(fixture, STORE_PATH_META, "topic t has number 1");
}

static void a_damaged_value_that_nobody_uses_now_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct db_key key = db_key_number(0);
    MDB_val k = {.mv_size = key.size, .mv_data = key.bytes};
    char bytes[] = "no record of a recovery";
    MDB_val v = {.mv_size = sizeof(bytes), .mv_data = bytes};
    struct spoiler spoiler = spoil(&fixture->store->meta);
    assert_int_equal(mdb_put(spoiler.txn, spoiler.db->dbis[META_RECOVERIES], &k, &v, 0), 0);
    spoiled(&spoiler);
    assert_told(fixture, STORE_PATH_META, "a value in the database recoveries is damaged");
}

/* ---- parts, threads and others ------------------------------------------------------------- */

static int on_damage(void *context, const struct beck_damage *found)
{
    print_message("%s: %s\n", found->file, found->what);
    (*(int *)context)++;
    return 0;
}

static struct beck_verify_totals verify_part(struct fixture *fixture, const char *topic,
                                             int32_t partition)
{
    int damages = 0;
    struct beck_verify_totals totals;
    struct beck_verify *verify = NULL;
    struct beck_verify_options options = {.topic = topic,
                                          .one_partition = partition >= 0,
                                          .partition = partition,
                                          .damage = on_damage,
                                          .context = &damages};
    must(beck_verify_new(fixture->store, &options, &verify, &fixture->error), &fixture->error);
    must(beck_verify_run(verify, &fixture->error), &fixture->error);
    assert_int_equal(beck_verify_result(verify, &totals), damages);
    beck_verify_free(verify);
    assert_int_equal(damages, 0);
    return totals;
}

static void one_partition_is_verified_alone(void **state)
{
    struct fixture *fixture = *state;
    must_create_topic(fixture->store, "u", 3, NULL, NULL);
    struct beck_partition *partition = must_open_partition(fixture->store, "u", 2);
    must_append(partition, "one", BECK_ACKS_LEADER);
    must_append(partition, "two", BECK_ACKS_LEADER);
    beck_partition_close(partition);
    struct beck_verify_totals totals = verify_part(fixture, "u", 2);
    assert_int_equal(totals.partitions, 1);
    assert_int_equal(totals.records, 2);
    totals = verify_part(fixture, "u", -1);
    assert_int_equal(totals.partitions, 3);
    assert_int_equal(totals.records, 2);
    totals = verify_part(fixture, NULL, -1);
    assert_int_equal(totals.partitions, 4);
    assert_int_equal(totals.records, VALUES + 2);
}

static void a_partition_that_there_is_not_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct beck_verify *verify = NULL;
    struct beck_verify_options options = {
        .topic = "t", .one_partition = true, .partition = 1, .damage = on_damage};
    assert_int_equal(beck_verify_new(fixture->store, &options, &verify, &fixture->error), -ENOENT);
    options.topic = NULL;
    assert_int_equal(beck_verify_new(fixture->store, &options, &verify, &fixture->error), -EINVAL);
}

static void *run_verify(void *context)
{
    struct beck_verify *verify = context;
    must(beck_verify_run(verify, NULL), NULL);
    return NULL;
}

static void threads_share_what_there_is_to_read(void **state)
{
    struct fixture *fixture = *state;
    int damages = 0;
    struct beck_verify_totals totals;
    struct beck_verify *verify = NULL;
    struct beck_verify_options options = {.damage = on_damage, .context = &damages};
    pthread_t threads[4];
    must(beck_verify_new(fixture->store, &options, &verify, &fixture->error), &fixture->error);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_verify, verify), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(beck_verify_result(verify, &totals), 0);
    assert_int_equal(totals.segments, 3);
    assert_int_equal(totals.records, VALUES);
    beck_verify_free(verify);
}

struct going_on {
    struct fixture *fixture;
    atomic_bool stop;
};

static void *append_and_delete(void *context)
{
    struct going_on *going = context;
    struct beck_store *store = going->fixture->store;
    for (unsigned i = 0; !going->stop; i++) {
        must_create_topic(store, "brief", 1, "segment.bytes", "1048576");
        struct beck_partition *partition = must_open_partition(store, "brief", 0);
        for (unsigned j = 0; j < 30; j++) {
            must_append_bytes(partition, VALUE_BYTES, j, BECK_ACKS_LEADER);
            must_append_bytes(going->fixture->partition, VALUE_BYTES, j, BECK_ACKS_LEADER);
        }
        uint32_t next_ms;
        must(beck_store_maintain(store, true, &next_ms, NULL), NULL);
        beck_partition_close(partition);
        must(beck_topic_delete(store, "brief", NULL), NULL);
    }
    return NULL;
}

static void others_that_go_on_are_no_damage(void **state)
{
    struct fixture *fixture = *state;
    struct going_on going = {.fixture = fixture};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, append_and_delete, &going), 0);
    for (int i = 0; i < 15; i++) {
        seal(fixture);
        (void)verify_part(fixture, NULL, -1);
    }
    going.stop = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* A thread of this process has begun a segment, and not published it yet. */
static void a_segment_that_nobody_published_is_not_looked_at(void **state)
{
    struct fixture *fixture = *state;
    struct beck_partition *partition = fixture->partition;
    struct segment *segment = NULL;
    struct live_tail tail;
    must(segments_lock(partition, &tail, NULL), NULL);
    must(segments_active(partition, VALUES, &segment), NULL);
    assert_true(segment_pin(segment, true) >= 0);
    segment_unpin(segment);
    segments_unlock(partition);
    struct beck_verify_totals totals = verify_part(fixture, NULL, -1);
    assert_int_equal(totals.segments, 3);
    assert_int_equal(totals.records, VALUES);
}

/* ---- LMDB's files by themselves ------------------------------------------------------------ */

static void count_tick(void *context)
{
    (*(int *)context)++;
}

static void sound_files_can_be_walked_over(void **state)
{
    struct fixture *fixture = *state;
    int ticks = 0;
    fixture_close(fixture);
    must(beck_database_walk(fixture->path, STORE_PATH_META, count_tick, &ticks, &fixture->error),
         &fixture->error);
    must(beck_database_walk(fixture->path, STORE_PATH_INDEX, count_tick, &ticks, &fixture->error),
         &fixture->error);
    assert_int_equal(beck_database_walk(fixture->path, "live", count_tick, &ticks, &fixture->error),
                     -EINVAL);
}

static void a_file_that_is_none_of_lmdb_cannot_be_walked_over(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_MAX];
    int ticks = 0;
    fixture_close(fixture);
    store_file(fixture, STORE_PATH_INDEX, path);
    file_write(path, "something else", 14);
    assert_int_equal(
        beck_database_walk(fixture->path, STORE_PATH_INDEX, count_tick, &ticks, &fixture->error),
        -EBADMSG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_segments, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sound_store_has_no_damage),
        TEST(a_changed_leader_epoch_is_told),
        TEST(a_leader_epoch_that_had_not_begun_is_told_without_a_history),
        TEST(damage_of_a_batch_is_told_once_where_the_segment_is_sealed),
        TEST(a_file_that_is_longer_than_the_catalogue_says_is_told),
        TEST(a_wrong_view_size_in_the_catalogue_is_told),
        TEST(segments_that_overlap_in_the_catalogue_are_told),
        TEST(a_wrong_digest_is_told),
        TEST(a_wrong_view_position_in_a_checkpoint_is_told),
        TEST(a_checkpoint_between_batches_is_told),
        TEST(a_missing_id_is_told),
        TEST(an_id_without_a_topic_is_told),
        TEST(a_missing_slot_is_told),
        TEST(a_partition_without_a_topic_is_told),
        TEST(a_slot_of_two_partitions_is_told),
        TEST(a_number_that_will_be_given_again_is_told),
        TEST(a_damaged_value_that_nobody_uses_now_is_told),
        TEST(one_partition_is_verified_alone),
        TEST(a_partition_that_there_is_not_is_refused),
        TEST(threads_share_what_there_is_to_read),
        TEST(others_that_go_on_are_no_damage),
        TEST(a_segment_that_nobody_published_is_not_looked_at),
        TEST(sound_files_can_be_walked_over),
        TEST(a_file_that_is_none_of_lmdb_cannot_be_walked_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
