/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small files of a Kafka log directory: what is right in them is understood, and whatever else
 * is in them is refused or passed over, never believed. The damage is random but the same in each
 * run.
 */
#include "kafka_dir.h"
#include "kafka_txn.h"

#include "bytes.h"
#include "crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROUNDS = 3000, FILE_BYTES_MAX = 4096 };

struct fixture {
    char folder[64];
    struct kafka_dir dir;
    struct beck_error error;
};

static uint64_t random_state = 7;

static uint32_t next_random(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static void write_file(const struct fixture *fixture, const char *name, const void *data,
                       size_t size)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", fixture->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    assert_int_equal(close(fd), 0);
}

static void write_text(const struct fixture *fixture, const char *name, const char *text)
{
    write_file(fixture, name, text, strlen(text));
}

static void make_folder(const struct fixture *fixture, const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", fixture->folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* Two topics, of which one has a dash and a digit in its name, and what does not count. */
static int setup(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){0};
    (void)snprintf(fixture.folder, sizeof(fixture.folder), "/tmp/beck-test-XXXXXX");
    assert_non_null(mkdtemp(fixture.folder));
    make_folder(&fixture, "t-0");
    make_folder(&fixture, "t-10");
    make_folder(&fixture, "t-2");
    make_folder(&fixture, "a-1-0");
    make_folder(&fixture, "t-3.0123456789abcdef-delete");
    make_folder(&fixture, "t-4.0123456789abcdef-future");
    make_folder(&fixture, "t-");
    make_folder(&fixture, "plain");
    make_folder(&fixture, "t-99999999999");
    assert_int_equal(kafka_dir_open(fixture.folder, &fixture.dir, &fixture.error), 0);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[96];

    kafka_dir_done(&fixture->dir);
    (void)snprintf(command, sizeof(command), "rm -r %s", fixture->folder);
    return system(command);
}

static void partitions_are_listed_in_order(void **state)
{
    const struct fixture *fixture = *state;
    const struct kafka_partition *found = fixture->dir.partitions;

    assert_int_equal(fixture->dir.count, 4);
    assert_string_equal(found[0].topic, "a-1");
    assert_int_equal(found[1].number, 0);
    assert_int_equal(found[2].number, 2);
    assert_int_equal(found[3].number, 10);
    assert_int_equal(kafka_dir_find(&fixture->dir, "t", 10), 3);
    assert_int_equal(kafka_dir_find(&fixture->dir, "t", 4), -1);
}

static int start_of(struct fixture *fixture, int64_t *ret_offset)
{
    return kafka_dir_checkpoint(&fixture->dir, KAFKA_CHECKPOINT_LOG_START,
                                &fixture->dir.partitions[3], ret_offset, &fixture->error);
}

static void a_checkpoint_is_read(void **state)
{
    struct fixture *fixture = *state;
    int64_t offset;

    assert_int_equal(start_of(fixture, &offset), 0);
    write_text(fixture, KAFKA_CHECKPOINT_LOG_START, "0\n2\nt 1 5\nt 10 1234567890123\n");
    assert_int_equal(start_of(fixture, &offset), 1);
    assert_int_equal(offset, 1234567890123);
    write_text(fixture, KAFKA_CHECKPOINT_LOG_START, "0\n0\n");
    assert_int_equal(start_of(fixture, &offset), 0);
    write_text(fixture, KAFKA_CHECKPOINT_LOG_START, "");
    assert_int_equal(start_of(fixture, &offset), 0);
}

static void a_checkpoint_that_cannot_be_is_refused(void **state)
{
    static const char *const wrong[] = {
        "\n",
        "0",
        "1\n0\n",
        "0\n-1\n",
        "0\n1\n",
        "0\n1\nt 10 5\nt 2 6\n",
        "0\n1\nt\n",
        "0\n1\nt 10\n",
        "0\n1\n 10 5\n",
        "0\n1\nt 10 -5\n",
        "0\n1\nt 10 5x\n",
        "0\n1\nt 10 99999999999999999999\n",
        "0\n1\nt/.. 10 5\n",
        "0\nx\nt 10 5\n",
    };
    struct fixture *fixture = *state;
    int64_t offset;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        write_text(fixture, KAFKA_CHECKPOINT_LOG_START, wrong[i]);
        assert_int_equal(start_of(fixture, &offset), -EBADMSG);
    }
    write_file(fixture, KAFKA_CHECKPOINT_LOG_START, "\0\0\0\0", 4);
    assert_int_equal(start_of(fixture, &offset), -EBADMSG);
}

static void a_topics_id_is_read(void **state)
{
    static const char *const wrong[] = {
        "",
        "version: 0\n",
        "version: 1\ntopic_id: _OdsJubuSu-I1K4dkJ9Y_w\n",
        "version: 0\ntopic_id: _OdsJubuSu-I1K4dkJ9Y_\n",
        "version: 0\ntopic_id: _OdsJubuSu-I1K4dkJ9Y+w\n",
    };
    struct fixture *fixture = *state;
    const struct kafka_partition *partition = &fixture->dir.partitions[1];
    uint8_t id[BECK_ID_BYTES];

    assert_int_equal(kafka_dir_topic_id(&fixture->dir, partition, id, &fixture->error), 0);
    write_text(fixture, "t-0/partition.metadata", "version: 0\ntopic_id: _OdsJubuSu-I1K4dkJ9Y_w");
    assert_int_equal(kafka_dir_topic_id(&fixture->dir, partition, id, &fixture->error), 1);
    assert_int_equal(id[0], 0xfc);
    assert_int_equal(id[15], 0xff);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        write_text(fixture, "t-0/partition.metadata", wrong[i]);
        assert_int_equal(kafka_dir_topic_id(&fixture->dir, partition, id, &fixture->error),
                         -EBADMSG);
    }
}

static void a_compaction_that_was_cut_short_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct segments segments = {0};

    write_text(fixture, "t-0/00000000000000000007.log.swap", "");
    assert_int_equal(
        kafka_dir_segments(&fixture->dir, &fixture->dir.partitions[1], &segments, &fixture->error),
        -EBADMSG);
    assert_non_null(strstr(fixture->error.message, "start the broker"));
    segments_done(&segments);
}

static void segments_come_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct segments segments = {0};

    write_text(fixture, "t-0/00000000000000000020.log", "");
    write_text(fixture, "t-0/00000000000000000003.log", "");
    write_text(fixture, "t-0/00000000000000000004.log.deleted", "");
    write_text(fixture, "t-0/00000000000000000005.log.cleaned", "");
    write_text(fixture, "t-0/99999999999999999999.log", "");
    write_text(fixture, "t-0/6.log", "");
    assert_int_equal(
        kafka_dir_segments(&fixture->dir, &fixture->dir.partitions[1], &segments, &fixture->error),
        0);
    assert_int_equal(segments.count, 2);
    assert_int_equal(segments.entries[0].base_offset, 3);
    assert_int_equal(segments.entries[1].base_offset, 20);
    segments_done(&segments);
}

/* ---- binary files, mangled ---------------------------------------------------------------- */

static size_t make_index(uint8_t *to)
{
    for (unsigned i = 0; i < 3; i++) {
        store_be16(to + 34 * i, 0);
        store_be64(to + 34 * i + 2, 1000 + i);
        store_be64(to + 34 * i + 10, 10 * i);
        store_be64(to + 34 * i + 18, 10 * i + 9);
        store_be64(to + 34 * i + 26, 10 * i);
    }
    return 102;
}

static size_t make_snapshot(uint8_t *to)
{
    memset(to, 0, 10 + 46);
    store_be16(to, 1);
    store_be32(to + 6, 1);
    store_be64(to + 48, 25);
    store_be32(to + 2, crc32c(0, to + 6, 50));
    return 56;
}

static size_t mangle(uint8_t *data, size_t size)
{
    for (uint32_t i = next_random(4); i > 0 && size > 0; i--) {
        if (next_random(4) == 0)
            size = next_random((uint32_t)size + 1);
        else
            data[next_random((uint32_t)size)] ^= (uint8_t)(1u << next_random(8));
    }
    return size;
}

static void load(struct fixture *fixture, struct transactions *transactions)
{
    struct segments segments = {0};

    assert_int_equal(
        kafka_dir_segments(&fixture->dir, &fixture->dir.partitions[1], &segments, &fixture->error),
        0);
    assert_int_equal(transactions_load(&segments, 40, transactions, &fixture->error), 0);
    segments_done(&segments);
}

static void transactions_are_taken_from_the_small_files(void **state)
{
    struct fixture *fixture = *state;
    struct transactions transactions;
    uint8_t data[FILE_BYTES_MAX];
    struct batch_header header = {
        .attributes = BATCH_TRANSACTIONAL, .producer_id = 1001, .base_offset = 15};

    write_text(fixture, "t-0/00000000000000000000.log", "");
    write_file(fixture, "t-0/00000000000000000000.txnindex", data, make_index(data));
    write_file(fixture, "t-0/00000000000000000040.snapshot", data, make_snapshot(data));
    load(fixture, &transactions);
    assert_int_equal(transactions.stable_offset, 25);
    assert_int_equal(transactions.count, 3);
    assert_true(transactions_aborted(&transactions, &header));
    header.base_offset = 20;
    assert_false(transactions_aborted(&transactions, &header));
    header.base_offset = 9;
    assert_false(transactions_aborted(&transactions, &header));
    header.base_offset = 15;
    header.producer_id = 1000;
    assert_false(transactions_aborted(&transactions, &header));
    transactions_done(&transactions);
}

static void mangled_files_are_believed_only_where_they_can_be(void **state)
{
    struct fixture *fixture = *state;
    struct transactions transactions;
    uint8_t data[FILE_BYTES_MAX];

    write_text(fixture, "t-0/00000000000000000000.log", "");
    for (int i = 0; i < ROUNDS; i++) {
        size_t size = mangle(data, make_index(data));
        write_file(fixture, "t-0/00000000000000000000.txnindex", data, size);
        size = mangle(data, make_snapshot(data));
        write_file(fixture, "t-0/00000000000000000040.snapshot", data, size);
        load(fixture, &transactions);
        assert_true(transactions.count <= 3);
        assert_true(transactions.stable_offset == 25 || transactions.stable_offset == 40);
        for (size_t at = 0; at < transactions.count; at++)
            assert_true(transactions.aborted[at].first_offset <=
                        transactions.aborted[at].last_offset);
        transactions_done(&transactions);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(partitions_are_listed_in_order),
        TEST(a_checkpoint_is_read),
        TEST(a_checkpoint_that_cannot_be_is_refused),
        TEST(a_topics_id_is_read),
        TEST(a_compaction_that_was_cut_short_is_told),
        TEST(segments_come_in_order),
        TEST(transactions_are_taken_from_the_small_files),
        TEST(mangled_files_are_believed_only_where_they_can_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
