/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an append takes and what it refuses: a batch that is refused changes no byte of the log. And
 * that appending asks for no memory once it has begun.
 */
#include "forge.h"
#include "memory.h"
#include "store_fixture.h"

#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

static struct forge forge;

/* Transactions that were begun. */
int __real_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn);
int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn);

static unsigned transactions;

int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn)
{
    transactions++;
    return __real_mdb_txn_begin(env, parent, flags, txn);
}

static int append(struct fixture *fixture)
{
    struct beck_append_result result;
    return beck_append(fixture->partition, forge.bytes, forge.size, BECK_ACKS_LEADER, &result,
                       &fixture->error);
}

static void one_record(const char *value)
{
    forge_begin(&forge);
    forge_value(&forge, value);
    forge_seal(&forge);
}

/* The forged batch is refused so, and neither file nor state moves. */
static void assert_refused(struct fixture *fixture, int code)
{
    char path[PATH_MAX];
    size_t size;
    size_t size_after;
    must_append(fixture->partition, "before", BECK_ACKS_LEADER);
    segment_path(fixture, "t", 0, 0, path);
    char *before = file_read(path, &size);
    struct beck_partition_state state = must_state(fixture->partition);
    assert_int_equal(append(fixture), code);
    assert_int_equal(fixture->error.code, code);
    assert_string_equal(fixture->error.topic, "t");
    assert_true(fixture->error.message[0] != '\0');
    char *after = file_read(path, &size_after);
    struct beck_partition_state now = must_state(fixture->partition);
    assert_int_equal(size, size_after);
    assert_memory_equal(before, after, size);
    assert_int_equal(state.next_offset, now.next_offset);
    assert_int_equal(state.high_watermark, now.high_watermark);
    assert_int_equal(state.view_bytes, now.view_bytes);
    assert_false(now.failed);
    free(before);
    free(after);
    must_append(fixture->partition, "after", BECK_ACKS_LEADER);
    assert_value(fixture->partition, 1, "after");
}

static void a_batch_from_the_wire_is_stored_as_it_is(void **state)
{
    struct fixture *fixture = *state;
    char buffer[1000];
    one_record("hello");
    must(append(fixture), &fixture->error);
    ssize_t n = beck_read(fixture->partition, 0, buffer, sizeof(buffer), BECK_READ_UNCOMMITTED,
                          &fixture->error);
    assert_int_equal(n, forge.size);
    assert_memory_equal(buffer + BATCH_CRC_BEGIN, forge.bytes + BATCH_CRC_BEGIN,
                        forge.size - BATCH_CRC_BEGIN);
    assert_memory_equal(buffer + 17, forge.bytes + 17, 4);
}

static void each_batch_gets_the_next_offset(void **state)
{
    struct fixture *fixture = *state;
    struct beck_append_result result;
    forge_begin(&forge);
    forge_value(&forge, "a");
    forge_value(&forge, "b");
    forge_seal(&forge);
    for (int i = 0; i < 3; i++) {
        must(beck_append(fixture->partition, forge.bytes, forge.size, BECK_ACKS_LEADER, &result,
                         &fixture->error),
             &fixture->error);
        assert_int_equal(result.base_offset, 2 * i);
        assert_int_equal(result.next_offset, 2 * i + 2);
        assert_int_equal(result.append_time_ms, -1);
        assert_int_equal(result.log_start_offset, 0);
    }
}

static void the_batch_handed_in_is_not_written_to(void **state)
{
    struct fixture *fixture = *state;
    one_record("a");
    must(append(fixture), &fixture->error);
    struct forge before = forge;
    must(append(fixture), &fixture->error);
    assert_memory_equal(before.bytes, forge.bytes, forge.size);
}

static void log_append_time_is_given_and_told(void **state)
{
    struct fixture *fixture = *state;
    struct beck_append_result result;
    struct beck_reader *reader = NULL;
    struct beck_record record;
    must_create_topic(fixture->store, "log", 1, "message.timestamp.type", "LogAppendTime");
    struct beck_partition *partition = must_open_partition(fixture->store, "log", 0);
    one_record("a");
    must(
        beck_append(partition, forge.bytes, forge.size, BECK_ACKS_LEADER, &result, &fixture->error),
        &fixture->error);
    assert_true(result.append_time_ms > FIXTURE_TIME);
    must(beck_reader_new(partition, BECK_READ_UNCOMMITTED, &reader, &fixture->error),
         &fixture->error);
    assert_int_equal(beck_reader_next(reader, &record, &fixture->error), 1);
    assert_int_equal(record.timestamp_ms, result.append_time_ms);
    assert_true(record.log_append_time);
    beck_reader_free(reader);
    beck_partition_close(partition);
    assert_int_equal(verify_count(fixture->store, NULL), 0);
}

/* ---- refused ------------------------------------------------------------------------------- */

static void a_wrong_crc_is_refused(void **state)
{
    one_record("hello");
    forge.bytes[forge.size - 2] ^= 1;
    assert_refused(*state, -EBADMSG);
}

static void a_batch_that_is_cut_off_is_refused(void **state)
{
    one_record("hello");
    forge.size -= 3;
    assert_refused(*state, -EBADMSG);
}

static void bytes_behind_a_batch_are_refused(void **state)
{
    one_record("hello");
    forge.size += 3;
    assert_refused(*state, -EBADMSG);
}

static void half_a_header_is_refused(void **state)
{
    one_record("hello");
    forge.size = 40;
    assert_refused(*state, -EBADMSG);
}

static void a_length_below_the_header_is_refused(void **state)
{
    one_record("hello");
    memset(forge.bytes + 8, 0, 4);
    assert_refused(*state, -EBADMSG);
}

static void a_wrong_count_is_refused(void **state)
{
    one_record("hello");
    forge.header.record_count = 2;
    forge_seal(&forge);
    assert_refused(*state, -EINVAL);
}

static void a_count_of_billions_is_refused(void **state)
{
    one_record("hello");
    forge.header.record_count = INT32_MAX;
    forge.header.last_offset_delta = INT32_MAX - 1;
    forge_seal(&forge);
    assert_refused(*state, -EINVAL);
}

static void an_unknown_magic_is_refused(void **state)
{
    one_record("hello");
    forge.bytes[16] = 3;
    assert_refused(*state, -EPROTONOSUPPORT);
}

static void an_old_magic_is_refused(void **state)
{
    one_record("hello");
    forge.bytes[16] = 1;
    assert_refused(*state, -EPROTONOSUPPORT);
}

static void an_unknown_codec_is_refused(void **state)
{
    one_record("hello");
    forge.header.attributes = 5;
    forge_seal(&forge);
    assert_refused(*state, -EPROTONOSUPPORT);
}

static void a_control_batch_is_refused(void **state)
{
    one_record("hello");
    forge.header.attributes = BATCH_CONTROL;
    forge_seal(&forge);
    assert_refused(*state, -EINVAL);
}

static void compressed_records_that_are_garbage_are_refused(void **state)
{
    one_record("hello");
    forge.header.attributes = BECK_COMPRESSION_ZSTD;
    forge_seal(&forge);
    struct fixture *fixture = *state;
    int r = append(fixture);
    assert_true(r == -EINVAL || r == -EBADMSG);
    assert_refused(fixture, r);
}

static void a_batch_above_the_topics_limit_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct beck_append_result result;
    must_create_topic(fixture->store, "tiny", 1, "max.message.bytes", "80");
    struct beck_partition *partition = must_open_partition(fixture->store, "tiny", 0);
    one_record("this does not fit into 80 bytes");
    assert_int_equal(
        beck_append(partition, forge.bytes, forge.size, BECK_ACKS_LEADER, &result, &fixture->error),
        -EMSGSIZE);
    one_record("fits");
    must(
        beck_append(partition, forge.bytes, forge.size, BECK_ACKS_LEADER, &result, &fixture->error),
        &fixture->error);
    beck_partition_close(partition);
}

/* 200 MiB of zeros in a few KiB, which memory must not be asked for. */
static void a_decompression_bomb_is_refused(void **state)
{
    enum { BOMB = 200 * 1024 * 1024 };
    struct fixture *fixture = *state;
    struct compressor *compressor = NULL;
    const void *data = NULL;
    size_t size = 0;
    char *zeros = __real_calloc(1, BOMB);
    struct beck_append_result result;
    assert_non_null(zeros);
    must(compressor_new(BECK_COMPRESSION_ZSTD, &compressor), NULL);
    must(compress_all(compressor, zeros, BOMB, &data, &size), NULL);
    assert_true(size < 100000);
    uint8_t *batch = __real_malloc(size + BATCH_HEADER_BYTES);
    assert_non_null(batch);
    forge_begin(&forge);
    struct batch_header header = forge.header;
    header.attributes = BECK_COMPRESSION_ZSTD;
    header.record_count = 1;
    header.length = (int32_t)(size + BATCH_HEADER_BYTES - BATCH_LENGTH_END);
    memcpy(batch + BATCH_HEADER_BYTES, data, size);
    batch_header_write(batch, &header);
    header.crc = batch_crc(batch, size + BATCH_HEADER_BYTES);
    batch_header_write(batch, &header);
    memory_watch(0);
    int r = beck_append(fixture->partition, batch, size + BATCH_HEADER_BYTES, BECK_ACKS_LEADER,
                        &result, &fixture->error);
    assert_int_equal(r, -EMSGSIZE);
    assert_true(memory_largest <= (size_t)BECK_BATCH_BYTES_LIMIT + (1 << 20));
    assert_int_equal(must_state(fixture->partition).next_offset, 0);
    compressor_free(compressor);
    free(batch);
    free(zeros);
}

static void a_read_only_store_takes_no_appends(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    fixture->store = must_open(fixture->path, BECK_OPEN_READ_ONLY);
    fixture->partition = must_open_partition(fixture->store, "t", 0);
    one_record("a");
    assert_int_equal(append(fixture), -EROFS);
}

/* ---- memory -------------------------------------------------------------------------------- */

static void appending_asks_neither_for_memory_nor_for_lmdb(void **state)
{
    struct fixture *fixture = *state;
    one_record("hello");
    must(append(fixture), &fixture->error);
    memory_watch(0);
    transactions = 0;
    for (int i = 0; i < 10000; i++)
        must(append(fixture), &fixture->error);
    assert_int_equal(memory_requests, 0);
    assert_int_equal(transactions, 0);
    must(beck_sync(fixture->partition, 1000, &fixture->error), &fixture->error);
    assert_int_equal(count_records(fixture->partition, 0), 10001);
}

static void appending_compressed_batches_asks_for_no_memory_in_the_end(void **state)
{
    struct fixture *fixture = *state;
    forge_begin(&forge);
    for (int i = 0; i < 50; i++)
        forge_value(&forge, "the same again and again and again");
    forge_compress(&forge, BECK_COMPRESSION_LZ4);
    forge_seal(&forge);
    for (int i = 0; i < 3; i++)
        must(append(fixture), &fixture->error);
    memory_watch(0);
    for (int i = 0; i < 1000; i++)
        must(append(fixture), &fixture->error);
    assert_int_equal(memory_requests, 0);
}

static void append_of_producer(struct fixture *fixture, int32_t sequence)
{
    forge.header.producer_id = 7;
    forge.header.producer_epoch = 0;
    forge.header.base_sequence = sequence;
    forge_seal(&forge);
    must(append(fixture), &fixture->error);
}

static void appending_for_a_producer_asks_neither_for_memory_nor_for_lmdb(void **state)
{
    struct fixture *fixture = *state;
    one_record("hello");
    append_of_producer(fixture, 0);
    memory_watch(0);
    transactions = 0;
    for (int32_t i = 1; i <= 10000; i++) {
        append_of_producer(fixture, i);
        if (i % 10 == 0)
            must(append(fixture), &fixture->error); /* the same again */
    }
    assert_int_equal(memory_requests, 0);
    assert_int_equal(transactions, 0);
    must(beck_sync(fixture->partition, 1000, &fixture->error), &fixture->error);
    assert_int_equal(count_records(fixture->partition, 0), 10001);
}

static void a_lack_of_memory_refuses_the_first_append_and_no_more(void **state)
{
    struct fixture *fixture = *state;
    one_record("hello");
    memory_watch(1);
    assert_int_equal(append(fixture), -ENOMEM);
    memory_watch(0);
    must(append(fixture), &fixture->error);
    assert_value(fixture->partition, 0, "hello");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_partition, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_from_the_wire_is_stored_as_it_is),
        TEST(each_batch_gets_the_next_offset),
        TEST(the_batch_handed_in_is_not_written_to),
        TEST(log_append_time_is_given_and_told),
        TEST(a_wrong_crc_is_refused),
        TEST(a_batch_that_is_cut_off_is_refused),
        TEST(bytes_behind_a_batch_are_refused),
        TEST(half_a_header_is_refused),
        TEST(a_length_below_the_header_is_refused),
        TEST(a_wrong_count_is_refused),
        TEST(a_count_of_billions_is_refused),
        TEST(an_unknown_magic_is_refused),
        TEST(an_old_magic_is_refused),
        TEST(an_unknown_codec_is_refused),
        TEST(a_control_batch_is_refused),
        TEST(compressed_records_that_are_garbage_are_refused),
        TEST(a_batch_above_the_topics_limit_is_refused),
        TEST(a_decompression_bomb_is_refused),
        TEST(a_read_only_store_takes_no_appends),
        TEST(appending_asks_neither_for_memory_nor_for_lmdb),
        TEST(appending_for_a_producer_asks_neither_for_memory_nor_for_lmdb),
        TEST(appending_compressed_batches_asks_for_no_memory_in_the_end),
        TEST(a_lack_of_memory_refuses_the_first_append_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
