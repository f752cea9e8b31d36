/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idempotent producers: a batch that is sent again is not appended again, whatever happened in
 * between. Held against a small model: for each producer, all that it ever had acknowledged.
 */
#include "forge.h"
#include "producers.h"
#include "producers_expire.h"
#include "store.h"
#include "store_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct forge forge;

struct sent {
    int16_t epoch;
    int32_t base_sequence;
    int32_t count;
    int64_t base_offset;
};

static void forge_sent(int64_t id, const struct sent *sent)
{
    forge_begin(&forge);
    for (int32_t i = 0; i < sent->count; i++)
        forge_value(&forge, "v");
    forge.header.producer_id = id;
    forge.header.producer_epoch = sent->epoch;
    forge.header.base_sequence = sent->base_sequence;
    forge_seal(&forge);
}

static int send(struct fixture *f, int64_t id, const struct sent *sent,
                struct beck_append_result *ret_result)
{
    forge_sent(id, sent);
    return beck_append(f->partition, forge.bytes, forge.size, BECK_ACKS_LEADER, ret_result,
                       &f->error);
}

static int send_batch(struct fixture *f, int64_t id, int16_t epoch, int32_t sequence, int32_t count)
{
    struct beck_append_result result;
    return send(f, id, &(struct sent){epoch, sequence, count, 0}, &result);
}

/* It is taken, and gets this offset. */
static void must_take(struct fixture *f, int64_t id, int16_t epoch, int32_t sequence, int32_t count,
                      int64_t offset)
{
    struct beck_append_result result;
    must(send(f, id, &(struct sent){epoch, sequence, count, 0}, &result), &f->error);
    assert_false(result.duplicate);
    assert_int_equal(result.base_offset, offset);
    assert_int_equal(result.next_offset, offset + count);
}

/* It is known to be at this offset, and nothing is appended. */
static void must_know(struct fixture *f, int64_t id, int16_t epoch, int32_t sequence, int32_t count,
                      int64_t offset)
{
    struct beck_append_result result;
    int64_t next = must_state(f->partition).next_offset;
    must(send(f, id, &(struct sent){epoch, sequence, count, 0}, &result), &f->error);
    assert_true(result.duplicate);
    assert_int_equal(result.base_offset, offset);
    assert_int_equal(result.next_offset, offset + count);
    assert_int_equal(must_state(f->partition).next_offset, next);
}

/* ---- one producer -------------------------------------------------------------------------- */

static void a_batch_sent_again_is_not_appended_again(void **state)
{
    struct fixture *f = *state;
    must_take(f, 7, 0, 0, 3, 0);
    must_know(f, 7, 0, 0, 3, 0);
    must_take(f, 7, 0, 3, 1, 3);
    assert_int_equal(count_records(f->partition, 0), 4);
}

static void the_last_five_batches_are_known(void **state)
{
    struct fixture *f = *state;
    for (int32_t i = 0; i < 6; i++)
        must_take(f, 7, 0, i, 1, i);
    for (int32_t i = 1; i < 6; i++)
        must_know(f, 7, 0, i, 1, i);
    assert_int_equal(send_batch(f, 7, 0, 0, 1), -EILSEQ);
}

static void a_gap_is_refused(void **state)
{
    struct fixture *f = *state;
    must_take(f, 7, 0, 0, 3, 0);
    assert_int_equal(send_batch(f, 7, 0, 4, 1), -EILSEQ);
    assert_non_null(strstr(f->error.message, "producer 7 sends sequence 4, where 3 comes next"));
    must_take(f, 7, 0, 3, 1, 3);
}

static void a_batch_of_another_length_is_no_duplicate(void **state)
{
    struct fixture *f = *state;
    must_take(f, 7, 0, 0, 3, 0);
    assert_int_equal(send_batch(f, 7, 0, 0, 2), -EILSEQ);
    assert_int_equal(send_batch(f, 7, 0, 1, 2), -EILSEQ);
}

static void a_producer_that_is_not_known_begins_anywhere(void **state)
{
    struct fixture *f = *state;
    must_take(f, 7, 3, 1000, 2, 0);
    must_take(f, 7, 3, 1002, 2, 2);
}

static void sequences_go_on_at_0_behind_the_largest(void **state)
{
    struct fixture *f = *state;
    must_take(f, 7, 0, INT32_MAX - 1, 2, 0);
    must_take(f, 7, 0, 0, 1, 2);
    must_take(f, 8, 0, INT32_MAX - 1, 5, 3);
    assert_int_equal(send_batch(f, 8, 0, 4, 1), -EILSEQ);
    must_take(f, 8, 0, 3, 1, 8);
    must_know(f, 8, 0, INT32_MAX - 1, 5, 3);
}

static void a_larger_epoch_begins_at_0(void **state)
{
    struct fixture *f = *state;
    must_take(f, 7, 1, 0, 3, 0);
    assert_int_equal(send_batch(f, 7, 2, 3, 1), -EILSEQ);
    must_take(f, 7, 2, 0, 1, 3);
    must_take(f, 7, 2, 1, 1, 4);
}

static void an_epoch_that_is_over_is_refused(void **state)
{
    struct fixture *f = *state;
    must_take(f, 7, 2, 0, 3, 0);
    assert_int_equal(send_batch(f, 7, 1, 3, 1), -EKEYEXPIRED);
    assert_non_null(strstr(f->error.message, "epoch 1, but 2 began"));
    assert_int_equal(send_batch(f, 7, 1, 0, 3), -EKEYEXPIRED);
    must_take(f, 7, 2, 3, 1, 3);
}

static void partitions_know_nothing_of_each_other(void **state)
{
    struct fixture *f = *state;
    must_create_topic(f->store, "u", 1, NULL, NULL);
    must_take(f, 7, 0, 0, 3, 0);
    struct beck_partition *first = f->partition;
    f->partition = must_open_partition(f->store, "u", 0);
    must_take(f, 7, 0, 50, 3, 0);
    beck_partition_close(f->partition);
    f->partition = first;
    must_take(f, 7, 0, 3, 3, 3);
}

static void a_duplicate_has_the_time_of_the_first(void **state)
{
    struct fixture *f = *state;
    struct beck_append_result first;
    struct beck_append_result again;
    must_create_topic(f->store, "log", 1, "message.timestamp.type", "LogAppendTime");
    beck_partition_close(f->partition);
    f->partition = must_open_partition(f->store, "log", 0);
    must(send(f, 7, &(struct sent){0, 0, 1, 0}, &first), &f->error);
    for (int i = 0; i < 2; i++) {
        usleep(20000);
        must(send(f, 7, &(struct sent){0, 0, 1, 0}, &again), &f->error);
        assert_true(again.duplicate);
        assert_int_equal(again.append_time_ms, first.append_time_ms);
        fixture_close(f);
        f->store = must_open(f->path, 0);
        f->partition = must_open_partition(f->store, "log", 0);
    }
}

static void what_a_batch_without_a_producer_says_is_not_noted(void **state)
{
    struct fixture *f = *state;
    must_append(f->partition, "a", BECK_ACKS_LEADER);
    must_take(f, 7, 0, 0, 1, 1);
    must_append(f->partition, "b", BECK_ACKS_LEADER);
    must_know(f, 7, 0, 0, 1, 1);
    must_take(f, 7, 0, 1, 1, 3);
}

/* ---- many producers ------------------------------------------------------------------------ */

static void the_longest_silent_go_first(void **state)
{
    struct fixture *f = *state;
    int64_t count = BECK_PARTITION_PRODUCERS_MAX + 3;
    for (int64_t id = 0; id < count; id++) {
        must_take(f, id, 0, 0, 1, id + (id > 5));
        if (id == 5)
            must_take(f, 0, 0, 1, 1, 6); /* this one was not silent */
    }
    for (int i = 0; i < 2; i++) {
        must_know(f, 0, 0, 1, 1, 6);
        must_know(f, 4, 0, 0, 1, 4);
        must_know(f, count - 1, 0, 0, 1, count);
        fixture_reopen(f);
    }
    must_take(f, 1, 0, 77, 1, count + 1); /* anywhere: nothing is known of it */
}

static int visit_count(void *context, const struct producer *producer)
{
    (void)producer;
    (*(int *)context)++;
    return 0;
}

/* How many producers index.mdb knows in "t" 0. */
static int indexed_count(struct fixture *f)
{
    struct db *index = &f->store->index;
    MDB_txn *txn;
    int count = 0;
    int64_t offset;
    must(db_begin(index, false, &txn, &f->error), &f->error);
    int r = producers_walk(index, txn, beck_partition_topic(f->partition)->number, 0, visit_count,
                           &count, &offset);
    mdb_txn_abort(txn);
    return r < 0 ? r : count;
}

static void maintain(struct fixture *f)
{
    uint32_t next_ms;
    must(beck_store_maintain(f->store, true, &next_ms, &f->error), &f->error);
}

static void silent_producers_expire(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 3000 };
    for (int i = 0; i < COUNT; i++)
        must_take(f, 3 * i, 0, 0, 1, i);
    maintain(f);
    assert_int_equal(indexed_count(f), COUNT);
    int64_t day = 86400000;
    must(producers_expire(f->store, store_now_ms() + day - 10000, day, &f->error), &f->error);
    assert_int_equal(indexed_count(f), COUNT);
    must(producers_expire(f->store, store_now_ms() + day + 10000, day, &f->error), &f->error);
    assert_int_equal(indexed_count(f), 0);
    fixture_reopen(f);
    must_take(f, 3, 0, 77, 1, COUNT); /* nothing is known of it */
    maintain(f);
    assert_int_equal(indexed_count(f), 1);
    assert_int_equal(verify_count(f->store, NULL), 0);
}

/* What is known stays known when its records are trimmed. */
static const struct beck_producer *listed(const struct beck_producer *list, uint32_t count,
                                          int64_t id)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i].id == id)
            return &list[i];
    return NULL;
}

static void those_that_are_known_are_listed(void **state)
{
    struct fixture *f = *state;
    struct beck_producer list[3];
    uint32_t count = 9;
    must(beck_partition_producers(f->partition, list, 3, &count, &f->error), &f->error);
    assert_int_equal(count, 0);
    must_take(f, 7, 0, 0, 3, 0);
    must_take(f, 8, 0, 5, 1, 3);
    must_take(f, 7, 2, 0, 2, 4);
    must(beck_partition_producers(f->partition, list, 3, &count, &f->error), &f->error);
    assert_int_equal(count, 2);
    const struct beck_producer *one = listed(list, count, 7);
    assert_non_null(one);
    assert_int_equal(one->epoch, 2);
    assert_int_equal(one->last_sequence, 1);
    assert_true(one->last_ms > 0);
    assert_int_equal(listed(list, count, 8)->last_sequence, 5);

    struct beck_producer only[1];
    must(beck_partition_producers(f->partition, only, 1, &count, &f->error), &f->error);
    assert_int_equal(count, 2);
}

static void trimming_forgets_no_producer(void **state)
{
    struct fixture *f = *state;
    int64_t log_start;
    must_create_topic(f->store, "u", 1, "segment.bytes", "1048576");
    beck_partition_close(f->partition);
    f->partition = must_open_partition(f->store, "u", 0);
    must_take(f, 7, 0, 0, 3, 0);
    for (unsigned i = 0; i < 30; i++)
        must_append_bytes(f->partition, 100000, i, BECK_ACKS_LEADER);
    must_take(f, 8, 0, 0, 3, 33);
    must(beck_trim(f->partition, -1, &log_start, &f->error), &f->error);
    assert_int_equal(log_start, 36);
    for (int i = 0; i < 2; i++) {
        must_know(f, 7, 0, 0, 3, 0);
        must_know(f, 8, 0, 0, 3, 33);
        assert_int_equal(verify_count(f->store, NULL), 0);
        fixture_close(f);
        f->store = must_open(f->path, 0);
        f->partition = must_open_partition(f->store, "u", 0);
    }
    must_take(f, 7, 0, 3, 1, 36);
}

/* A process that knew nothing yet goes on from what is left of the log. */
static int take_after_trim(struct fixture *f)
{
    f->store = must_open(f->path, 0);
    f->partition = must_open_partition(f->store, "u", 0);
    must_know(f, 7, 0, 1, 1, 31);
    must_take(f, 7, 0, 2, 1, 32);
    fixture_close(f);
    return 0;
}

static void a_trim_in_between_keeps_nobody_from_following(void **state)
{
    struct fixture *f = *state;
    int64_t log_start;
    must_create_topic(f->store, "u", 1, "segment.bytes", "1048576");
    beck_partition_close(f->partition);
    f->partition = must_open_partition(f->store, "u", 0);
    must_take(f, 7, 0, 0, 1, 0);
    for (unsigned i = 0; i < 30; i++)
        must_append_bytes(f->partition, 100000, i, BECK_ACKS_LEADER);
    must_take(f, 7, 0, 1, 1, 31);
    must(beck_trim(f->partition, 31, &log_start, &f->error), &f->error);
    assert_int_equal(run_in_child(take_after_trim, f), 0);
    must_know(f, 7, 0, 2, 1, 32);
    must_take(f, 7, 0, 3, 1, 33);
}

/* Sends for a producer, and lets what it sent be trimmed. */
static int send_and_trim(struct fixture *f)
{
    int64_t log_start;
    f->store = must_open(f->path, 0);
    f->partition = must_open_partition(f->store, "u", 0);
    must_take(f, 7, 0, 1, 1, 1);
    for (unsigned i = 0; i < 30; i++)
        must_append_bytes(f->partition, 100000, i, BECK_ACKS_LEADER);
    must_take(f, 8, 0, 0, 1, 32);
    must(beck_trim(f->partition, -1, &log_start, &f->error), &f->error);
    fixture_close(f);
    return 0;
}

static void who_fell_behind_the_log_start_learns_what_was_there(void **state)
{
    struct fixture *f = *state;
    must_create_topic(f->store, "u", 1, "segment.bytes", "1048576");
    beck_partition_close(f->partition);
    f->partition = must_open_partition(f->store, "u", 0);
    must_take(f, 7, 0, 0, 1, 0);
    assert_int_equal(run_in_child(send_and_trim, f), 0);
    must_know(f, 7, 0, 1, 1, 1);
    must_take(f, 7, 0, 2, 1, 33);
}

/* ---- damage -------------------------------------------------------------------------------- */

static struct db_key producer_key_of(struct fixture *f, int64_t id)
{
    return db_key_segment(beck_partition_topic(f->partition)->number, 0, id);
}

/* Write a value as if that were what index.mdb had. */
static void put_value(struct fixture *f, struct db_key key, const void *value, size_t size)
{
    struct db *index = &f->store->index;
    MDB_val k = {.mv_size = key.size, .mv_data = key.bytes};
    MDB_val v = {.mv_size = size, .mv_data = (void *)(uintptr_t)value};
    MDB_txn *txn;
    must(db_begin(index, true, &txn, &f->error), &f->error);
    assert_int_equal(mdb_put(txn, index->dbis[INDEX_PRODUCERS], &k, &v, 0), 0);
    must(db_commit(index, txn, &f->error), &f->error);
}

static void put_producer(struct fixture *f, int64_t id, const void *value, size_t size)
{
    put_value(f, producer_key_of(f, id), value, size);
}

/* What is read again from the log is in the states that are good already. */
static void a_damaged_offset_makes_no_batch_come_twice(void **state)
{
    struct fixture *f = *state;
    struct beck_damage damage;
    must_take(f, 7, 0, 0, 3, 0);
    must_take(f, 7, 0, 3, 3, 3);
    must_take(f, 8, 0, 0, 3, 6);
    maintain(f);
    put_value(f, db_key_partition(beck_partition_topic(f->partition)->number, 0), "damaged", 7);
    must_take(f, 7, 0, 6, 1, 9);
    maintain(f);
    assert_int_equal(verify_count(f->store, &damage), 0);
    fixture_reopen(f);
    must_know(f, 7, 0, 0, 3, 0);
    must_know(f, 7, 0, 3, 3, 3);
    must_know(f, 8, 0, 0, 3, 6);
    must_take(f, 7, 0, 7, 1, 10);
    assert_int_equal(verify_count(f->store, &damage), 0);
}

static void a_damaged_state_is_found_again_in_the_log(void **state)
{
    struct fixture *f = *state;
    struct beck_damage damage;
    must_take(f, 7, 0, 0, 3, 0);
    must_take(f, 8, 0, 0, 3, 3);
    maintain(f);
    put_producer(f, 7, "damaged", 7);
    assert_int_equal(verify_count(f->store, &damage), 2); /* the value, and the partition */
    fixture_reopen(f);
    must_know(f, 7, 0, 0, 3, 0);
    must_know(f, 8, 0, 0, 3, 3);
    must_take(f, 7, 0, 3, 1, 6);
    maintain(f);
    assert_int_equal(verify_count(f->store, &damage), 0);
}

static void send_three(struct fixture *f, struct beck_store *store)
{
    f->partition = must_open_partition(store, "t", 0);
    for (int32_t i = 0; i < 3; i++)
        must_take(f, 7, 0, i, 1, i);
}

/* Which somebody else sent, who was killed, while we had the store open. */
static void what_is_behind_damage_is_known_too(void **state)
{
    struct fixture *f = *state;
    struct beck_partition *own = f->partition;
    char path[PATH_MAX];
    run_and_kill(send_three, f);
    f->partition = own;
    segment_path(f, "t", 0, 0, path);
    file_flip(path, file_size(path) / 3 + 16);
    must_take(f, 7, 0, 3, 1, 3);
    must_know(f, 7, 0, 2, 1, 2);
}

static void verification_holds_the_state_against_the_log(void **state)
{
    struct fixture *f = *state;
    struct beck_damage damage;
    uint8_t buffer[160];
    struct packer p;
    struct db_key key = producer_key_of(f, 9);
    must_take(f, 7, 0, 0, 3, 0);
    must_take(f, 8, 0, 0, 3, 3);
    maintain(f);
    assert_int_equal(verify_count(f->store, &damage), 0);
    pack_begin(&p, buffer, sizeof(buffer), VALUE_PRODUCER);
    pack_u32(&p, 0);
    pack_u64(&p, 3);
    pack_u64(&p, 0);
    pack_u8(&p, 1);
    pack_u32(&p, 0);
    pack_u32(&p, 2);
    pack_u64(&p, 0); /* where the batch of another producer stands */
    pack_u64(&p, UINT64_MAX);
    int size = pack_end(&p, key.bytes, key.size);
    assert_true(size > 0);
    put_producer(f, 9, buffer, (size_t)size);
    assert_int_equal(verify_count(f->store, &damage), 1);
    assert_non_null(strstr(damage.what, "producer 9 is said to have sent sequence 0"));
    assert_int_equal(damage.offset, 0);
}

/* ---- the model ----------------------------------------------------------------------------- */

#define IDS       12
#define SENT_MAX  4000
#define MODEL_RUN 60

struct model {
    struct past {
        int count;
        struct sent sent[SENT_MAX];
    } pasts[IDS];
    int64_t next_offset;
    uint64_t random;
};

static int32_t after(const struct sent *sent)
{
    return (int32_t)(((int64_t)sent->base_sequence + sent->count) % ((int64_t)INT32_MAX + 1));
}

/* What must come of a batch: 0, 1 and where it is, or an error. */
static int model_verdict(const struct past *past, const struct sent *sent, int64_t *ret_offset)
{
    int known = 0;
    const struct sent *last = past->count > 0 ? &past->sent[past->count - 1] : NULL;
    if (!last)
        return 0;
    if (sent->epoch < last->epoch)
        return -EKEYEXPIRED;
    if (sent->epoch > last->epoch)
        return sent->base_sequence == 0 ? 0 : -EILSEQ;
    for (int i = past->count; i-- > 0 && known < 5 && past->sent[i].epoch == last->epoch; known++)
        if (past->sent[i].base_sequence == sent->base_sequence &&
            past->sent[i].count == sent->count) {
            *ret_offset = past->sent[i].base_offset;
            return 1;
        }
    return sent->base_sequence == after(last) ? 0 : -EILSEQ;
}

static struct sent model_choose(struct model *model, const struct past *past)
{
    struct sent sent = {.count = 1 + (int32_t)random_below(&model->random, 3)};
    const struct sent *last = past->count > 0 ? &past->sent[past->count - 1] : NULL;
    uint32_t choice = random_below(&model->random, 10);
    if (!last) {
        sent.base_sequence = choice < 5 ? 0 : INT32_MAX - (int32_t)choice;
        return sent;
    }
    sent.epoch = last->epoch;
    sent.base_sequence = after(last);
    if (choice < 3) { /* again, one that is known or one that is not any more */
        int back = 1 + (int)random_below(&model->random, 7);
        return past->sent[past->count > back ? past->count - back : 0];
    }
    if (choice == 3)
        sent.base_sequence = (int32_t)random_below(&model->random, 50);
    if (choice == 4) {
        sent.epoch = (int16_t)(sent.epoch + (int)random_below(&model->random, 3) - 1);
        sent.base_sequence = random_below(&model->random, 3) ? 0 : sent.base_sequence;
        sent.epoch = sent.epoch < 0 ? 0 : sent.epoch;
    }
    return sent;
}

static void model_step(struct fixture *f, struct model *model)
{
    uint32_t id = random_below(&model->random, IDS);
    struct past *past = &model->pasts[id];
    struct sent sent = model_choose(model, past);
    struct beck_append_result result;
    int64_t offset = model->next_offset;
    int due = model_verdict(past, &sent, &offset);
    int r = send(f, 1000 + id, &sent, &result);
    if (due < 0) {
        assert_int_equal(r, due);
        return;
    }
    must(r, &f->error);
    assert_int_equal(result.duplicate, due);
    assert_int_equal(result.base_offset, offset);
    if (due == 1)
        return;
    sent.base_offset = offset;
    assert_true(past->count < SENT_MAX);
    past->sent[past->count++] = sent;
    model->next_offset += sent.count;
}

static struct model *model;

static void model_run(struct fixture *f)
{
    for (int i = 0; i < MODEL_RUN; i++) {
        if (random_below(&model->random, 20) == 0) {
            must_append(f->partition, "plain", BECK_ACKS_LEADER);
            model->next_offset++;
        }
        model_step(f, model);
    }
}

static int model_in_child(struct fixture *f)
{
    fixture_open(f);
    model_run(f);
    if (random_below(&model->random, 2))
        _exit(0); /* as if it had been killed */
    fixture_close(f);
    return 0;
}

static void lose(struct fixture *f, const char *file)
{
    char path[PATH_MAX];
    fixture_close(f);
    store_file(f, file, path);
    assert_int_equal(unlink(path), 0);
    fixture_open(f);
}

static void model_happens(struct fixture *f)
{
    switch (random_below(&model->random, 6)) {
    case 0:
        fixture_reopen(f);
        break;
    case 1:
        lose(f, STORE_PATH_INDEX);
        break;
    case 2:
        maintain(f);
        break;
    default:
        assert_int_equal(run_in_child(model_in_child, f), 0);
    }
}

/* Without anybody who has the store open beside it: what is recovered is all that is known. */
static void model_alone(struct fixture *f)
{
    fixture_close(f);
    assert_int_equal(run_in_child(model_in_child, f), 0);
    fixture_open(f);
}

static void producers_are_as_the_model_has_them(void **state)
{
    struct fixture *f = *state;
    model = mmap(NULL, sizeof(*model), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(model != MAP_FAILED);
    for (uint64_t seed = 1; seed <= 4; seed++) {
        memset(model, 0, sizeof(*model));
        model->random = seed;
        if (seed > 1) {
            beck_partition_close(f->partition);
            must(beck_topic_delete(f->store, "t", &f->error), &f->error);
            must_create_topic(f->store, "t", 1, "segment.bytes", "1048576");
            f->partition = must_open_partition(f->store, "t", 0);
        }
        for (int i = 0; i < 40; i++) {
            model_run(f);
            if (random_below(&model->random, 8) == 0)
                model_alone(f);
            else
                model_happens(f);
        }
        assert_int_equal(verify_count(f->store, NULL), 0);
    }
    (void)munmap(model, sizeof(*model));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_sent_again_is_not_appended_again),
        TEST(the_last_five_batches_are_known),
        TEST(a_gap_is_refused),
        TEST(a_batch_of_another_length_is_no_duplicate),
        TEST(a_producer_that_is_not_known_begins_anywhere),
        TEST(sequences_go_on_at_0_behind_the_largest),
        TEST(a_larger_epoch_begins_at_0),
        TEST(an_epoch_that_is_over_is_refused),
        TEST(partitions_know_nothing_of_each_other),
        TEST(a_duplicate_has_the_time_of_the_first),
        TEST(what_a_batch_without_a_producer_says_is_not_noted),
        TEST(the_longest_silent_go_first),
        TEST(silent_producers_expire),
        TEST(those_that_are_known_are_listed),
        TEST(trimming_forgets_no_producer),
        TEST(a_trim_in_between_keeps_nobody_from_following),
        TEST(who_fell_behind_the_log_start_learns_what_was_there),
        TEST(a_damaged_offset_makes_no_batch_come_twice),
        TEST(a_damaged_state_is_found_again_in_the_log),
        TEST(what_is_behind_damage_is_known_too),
        TEST(verification_holds_the_state_against_the_log),
        TEST(producers_are_as_the_model_has_them),
    };
    return cmocka_run_group_tests_name("store/producers", tests, NULL, NULL);
}
