/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a batch again without some of its records: what stays is what was, and the new batch is
 * one that a log may have. Every result is held against batch_check().
 */
#include "filter.h"

#include "compression.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "forge.h"

#define RECORDS 6

static struct forge forge;
static struct filter *filter;
static uint8_t result[FORGE_BYTES];
static size_t result_size;

static int begin(void **state)
{
    (void)state;
    return filter_new(&filter);
}

static int end(void **state)
{
    (void)state;
    filter = filter_free(filter);
    return 0;
}

/* Records with the keys k0, k1, ..., at times that rise by 10 ms, and a header each. */
static void forge_records(int tombstone)
{
    static const uint8_t header[] = {2, 'h', 2, 'v'};
    forge_begin(&forge);
    forge.header.base_offset = 1000;
    forge.header.leader_epoch = 7;
    forge.header.producer_id = 44;
    forge.header.producer_epoch = 3;
    forge.header.base_sequence = 500;
    for (int i = 0; i < RECORDS; i++) {
        char key[8];
        char value[16];
        (void)snprintf(key, sizeof(key), "k%d", i);
        (void)snprintf(value, sizeof(value), "value %d", i);
        struct beck_record record = {.key = key,
                                     .key_size = 2,
                                     .value = i == tombstone ? NULL : value,
                                     .value_size = i == tombstone ? -1 : 7,
                                     .headers = header,
                                     .headers_size = sizeof(header),
                                     .header_count = 1};
        forge_record(&forge, &record, i, 10 * i);
    }
    forge.header.last_offset_delta = RECORDS + 3; /* a hole at the end, of an earlier cleaning */
    forge.header.max_timestamp_ms = FORGE_TIME + 10 * (RECORDS - 1);
}

/* Records stay whose bit, by offset, is set. */
static bool retain_bits(void *context, const struct batch_header *header,
                        const struct beck_record *record)
{
    const unsigned *bits = context;
    return *bits >> (record->offset - header->base_offset) & 1;
}

static struct filter_rules rules_of(unsigned *bits)
{
    return (struct filter_rules){.retention = FILTER_DELETE_EMPTY,
                                 .retain = retain_bits,
                                 .context = bits,
                                 .delete_horizon_ms = FORGE_TIME + 86400000};
}

/* Filter the forged batch; what stays is in `result`, and what was told of it is true. */
static struct filtered run(const struct filter_rules *rules)
{
    struct filtered filtered;
    struct batch_summary summary;
    struct decompressor *decompressor = NULL;
    assert_int_equal(filter_batch(filter, forge.bytes, forge.size, rules, &filtered, NULL), 0);
    result_size = 0;
    if (filtered.outcome == FILTER_DROPPED)
        return filtered;
    if (filtered.outcome == FILTER_UNCHANGED) {
        memcpy(result, forge.bytes, forge.size);
        result_size = forge.size;
    } else {
        memcpy(result, filtered.header_bytes, BATCH_HEADER_BYTES);
        memcpy(result + BATCH_HEADER_BYTES, filtered.records, filtered.records_size);
        result_size = BATCH_HEADER_BYTES + filtered.records_size;
    }
    assert_int_equal(decompressor_new(&decompressor), 0);
    assert_int_equal(
        batch_check(result, result_size, BATCH_FROM_LOG, decompressor, FORGE_BYTES, &summary, NULL),
        0);
    assert_int_equal(summary.view_bytes, filtered.view_bytes);
    assert_int_equal(summary.max_timestamp_ms, filtered.max_timestamp_ms);
    uint8_t told[BATCH_HEADER_BYTES];
    batch_header_write(told, &filtered.header);
    assert_memory_equal(result, told, BATCH_HEADER_BYTES);
    (void)decompressor_free(decompressor);
    return filtered;
}

/* What consumers and producers know a batch by is as it was. */
static void assert_same_place(const struct filtered *filtered)
{
    const struct batch_header *old = &forge.header;
    const struct batch_header *new = &filtered->header;
    assert_int_equal(new->base_offset, old->base_offset);
    assert_int_equal(new->last_offset_delta, old->last_offset_delta);
    assert_int_equal(new->leader_epoch, old->leader_epoch);
    assert_int_equal(new->producer_id, old->producer_id);
    assert_int_equal(new->producer_epoch, old->producer_epoch);
    assert_int_equal(new->base_sequence, old->base_sequence);
}

/* The result has just the records of these bits, each as it was. */
static void assert_records(unsigned bits, int tombstone)
{
    struct batch_header header;
    struct record_iterator iterator;
    struct beck_record record;
    struct decompressor *decompressor = NULL;
    const void *records = result + BATCH_HEADER_BYTES;
    size_t size = result_size - BATCH_HEADER_BYTES;
    assert_int_equal(batch_header_read(result, result_size, &header, NULL), 0);
    assert_int_equal(decompressor_new(&decompressor), 0);
    assert_int_equal(decompress(decompressor, header.attributes & BATCH_CODEC_MASK, records, size,
                                FORGE_BYTES, &records, &size),
                     0);
    record_iterator_init(&iterator, &header, records, size);
    for (int i = 0; i < RECORDS; i++) {
        char text[16];
        if ((bits >> i & 1) == 0)
            continue;
        assert_int_equal(record_next(&iterator, &record), 1);
        assert_int_equal(record.offset, 1000 + i);
        if ((header.attributes & BATCH_LOG_APPEND_TIME) == 0)
            assert_int_equal(record.timestamp_ms, FORGE_TIME + 10 * i);
        (void)snprintf(text, sizeof(text), "k%d", i);
        assert_int_equal(record.key_size, 2);
        assert_memory_equal(record.key, text, 2);
        (void)snprintf(text, sizeof(text), "value %d", i);
        assert_int_equal(record.value_size, i == tombstone ? -1 : 7);
        if (i != tombstone)
            assert_memory_equal(record.value, text, 7);
        assert_int_equal(record.header_count, 1);
        assert_memory_equal(record.headers, "\2h\2v", 4);
    }
    assert_int_equal(record_next(&iterator, &record), 0);
    (void)decompressor_free(decompressor);
}

/* Each codec, and each choice of records. */
static void test_keeps_what_it_is_told_to(void **state)
{
    (void)state;
    for (int codec = BECK_COMPRESSION_NONE; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        for (unsigned bits = 1; bits < (1u << RECORDS) - 1; bits++) {
            struct filter_rules rules = rules_of(&bits);
            forge_records(-1);
            if (codec != BECK_COMPRESSION_NONE)
                forge_compress(&forge, (enum beck_compression)codec);
            forge_seal(&forge);
            struct filtered filtered = run(&rules);
            assert_int_equal(filtered.outcome, FILTER_REWRITTEN);
            assert_same_place(&filtered);
            assert_int_equal(filtered.header.attributes, codec);
            assert_int_equal(filtered.header.record_count, __builtin_popcount(bits));
            assert_int_equal(filtered.header.base_timestamp_ms,
                             FORGE_TIME + 10 * __builtin_ctz(bits));
            assert_int_equal(filtered.header.max_timestamp_ms,
                             FORGE_TIME + 10 * (31 - __builtin_clz(bits)));
            assert_records(bits, -1);
        }
    }
}

static void test_leaves_a_batch_whose_records_all_stay(void **state)
{
    (void)state;
    unsigned bits = UINT32_MAX;
    struct filter_rules rules = rules_of(&bits);
    forge_records(-1);
    forge_compress(&forge, BECK_COMPRESSION_ZSTD);
    forge_seal(&forge);
    assert_int_equal(run(&rules).outcome, FILTER_UNCHANGED);
}

static void test_drops_a_batch_without_records(void **state)
{
    (void)state;
    unsigned bits = 0;
    struct filter_rules rules = rules_of(&bits);
    forge_records(-1);
    forge_seal(&forge);
    assert_int_equal(run(&rules).outcome, FILTER_DROPPED);
}

static void test_drops_a_batch_whatever_is_in_it(void **state)
{
    (void)state;
    unsigned bits = UINT32_MAX;
    struct filter_rules rules = rules_of(&bits);
    rules.retention = FILTER_DELETE;
    forge_records(-1);
    forge_seal(&forge);
    assert_int_equal(run(&rules).outcome, FILTER_DROPPED);
}

/* The header of a batch that has to stay says all but what the records were. */
static void test_keeps_an_empty_batch_where_it_has_to(void **state)
{
    (void)state;
    unsigned bits = 0;
    struct filter_rules rules = rules_of(&bits);
    rules.retention = FILTER_RETAIN_EMPTY;
    forge_records(2);
    forge.header.attributes |= BATCH_TRANSACTIONAL;
    forge_compress(&forge, BECK_COMPRESSION_GZIP);
    forge_seal(&forge);
    struct filtered filtered = run(&rules);
    assert_int_equal(filtered.outcome, FILTER_REWRITTEN);
    assert_same_place(&filtered);
    assert_int_equal(result_size, BATCH_HEADER_BYTES);
    assert_int_equal(filtered.header.attributes, BATCH_TRANSACTIONAL);
    assert_int_equal(filtered.header.record_count, 0);
    assert_int_equal(filtered.header.base_timestamp_ms, -1);
    assert_int_equal(filtered.header.max_timestamp_ms, forge.header.max_timestamp_ms);
}

static void test_leaves_an_empty_batch_that_stays(void **state)
{
    (void)state;
    unsigned bits = 0;
    struct filter_rules rules = rules_of(&bits);
    rules.retention = FILTER_RETAIN_EMPTY;
    forge_records(-1);
    forge_seal(&forge);
    assert_int_equal(run(&rules).outcome, FILTER_REWRITTEN);
    memcpy(forge.bytes, result, result_size);
    forge.size = result_size;
    assert_int_equal(run(&rules).outcome, FILTER_UNCHANGED);
    rules.retention = FILTER_DELETE_EMPTY;
    assert_int_equal(run(&rules).outcome, FILTER_DROPPED);
}

/* A tombstone that stays gets its batch a horizon, which is the base of the timestamps. */
static void test_says_when_a_tombstone_may_go(void **state)
{
    (void)state;
    for (int codec = BECK_COMPRESSION_NONE; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        unsigned bits = UINT32_MAX;
        struct filter_rules rules = rules_of(&bits);
        forge_records(2);
        if (codec != BECK_COMPRESSION_NONE)
            forge_compress(&forge, (enum beck_compression)codec);
        forge_seal(&forge);
        struct filtered filtered = run(&rules);
        assert_int_equal(filtered.outcome, FILTER_REWRITTEN);
        assert_same_place(&filtered);
        assert_int_equal(filtered.header.attributes, BATCH_DELETE_HORIZON | codec);
        assert_int_equal(filter_delete_horizon(&filtered.header), FORGE_TIME + 86400000);
        assert_int_equal(filtered.header.max_timestamp_ms, forge.header.max_timestamp_ms);
        assert_records((1u << RECORDS) - 1, 2);
    }
}

/* From the horizon to such times is further than can be said; what is obsolete goes all the same.
 */
static void test_leaves_nothing_obsolete_because_of_its_time(void **state)
{
    (void)state;
    unsigned bits = ((1u << RECORDS) - 1) & ~1u;
    struct filter_rules rules = rules_of(&bits);
    forge_records(2);
    forge.header.base_timestamp_ms = INT64_MIN;
    forge.header.max_timestamp_ms = INT64_MIN + 10 * (RECORDS - 1);
    forge_seal(&forge);
    struct filtered filtered = run(&rules);
    assert_int_equal(filtered.outcome, FILTER_REWRITTEN);
    assert_int_equal(filtered.header.record_count, RECORDS - 1);
    assert_int_equal(filter_delete_horizon(&filtered.header), -1);
}

/* It is said once: the tombstone does not get more time at the next cleaning. */
static void test_keeps_the_horizon_that_a_batch_has(void **state)
{
    (void)state;
    unsigned bits = UINT32_MAX;
    struct filter_rules rules = rules_of(&bits);
    forge_records(2);
    forge_seal(&forge);
    (void)run(&rules);
    memcpy(forge.bytes, result, result_size);
    forge.size = result_size;
    rules.delete_horizon_ms += 1000;
    assert_int_equal(run(&rules).outcome, FILTER_UNCHANGED);
    bits = 0x0c;
    struct filtered filtered = run(&rules);
    assert_int_equal(filtered.outcome, FILTER_REWRITTEN);
    assert_int_equal(filter_delete_horizon(&filtered.header), FORGE_TIME + 86400000);
    assert_records(bits, 2);
}

static void test_a_tombstone_that_goes_needs_no_horizon(void **state)
{
    (void)state;
    unsigned bits = ~4u;
    struct filter_rules rules = rules_of(&bits);
    forge_records(2);
    forge_seal(&forge);
    struct filtered filtered = run(&rules);
    assert_int_equal(filter_delete_horizon(&filtered.header), -1);
}

/* Records of LogAppendTime have the header's time, whichever of them stay. */
static void test_keeps_log_append_time(void **state)
{
    (void)state;
    unsigned bits = 0x06;
    struct filter_rules rules = rules_of(&bits);
    forge_records(-1);
    forge.header.attributes |= BATCH_LOG_APPEND_TIME;
    forge.header.max_timestamp_ms = FORGE_TIME + 777;
    forge_seal(&forge);
    struct filtered filtered = run(&rules);
    assert_int_equal(filtered.header.attributes, BATCH_LOG_APPEND_TIME);
    assert_int_equal(filtered.header.base_timestamp_ms, FORGE_TIME + 777);
    assert_int_equal(filtered.max_timestamp_ms, FORGE_TIME + 777);
    assert_records(bits, -1);
}

/* Timestamps that do not fit behind the first that stays: they did behind the one that there was.
 */
static void test_keeps_the_base_where_no_other_fits(void **state)
{
    (void)state;
    unsigned bits = 0x06;
    struct filter_rules rules = rules_of(&bits);
    forge_begin(&forge);
    forge.header.base_timestamp_ms = 0;
    const struct beck_record record = {.key_size = -1, .value = "x", .value_size = 1};
    forge_record(&forge, &record, 0, 0);
    forge_record(&forge, &record, 1, INT64_MIN + 5);
    forge_record(&forge, &record, 2, INT64_MAX);
    forge.header.max_timestamp_ms = INT64_MAX;
    forge_seal(&forge);
    struct filtered filtered = run(&rules);
    assert_int_equal(filtered.outcome, FILTER_REWRITTEN);
    assert_int_equal(filtered.header.record_count, 2);
    assert_int_equal(filtered.header.base_timestamp_ms, 0);
}

/* How far the records of a batch were told of, and asked about. */
struct asked {
    int64_t foreseen;
    int64_t next;
};

static void note_foreseen(void *context, const struct batch_header *header,
                          const struct beck_record *record)
{
    struct asked *asked = context;
    assert_int_equal(record->offset - header->base_offset, asked->foreseen);
    asked->foreseen++;
}

static bool retain_odd(void *context, const struct batch_header *header,
                       const struct beck_record *record)
{
    struct asked *asked = context;
    assert_int_equal(record->offset - header->base_offset, asked->next);
    asked->next++;
    assert_true(asked->next <= asked->foreseen);
    return asked->next % 2 == 0;
}

static void test_tells_of_each_record_before_it_asks_about_it(void **state)
{
    enum { MANY = 101 };
    (void)state;
    struct asked asked = {0, 0};
    struct filter_rules rules = {.retention = FILTER_DELETE_EMPTY,
                                 .retain = retain_odd,
                                 .foresee = note_foreseen,
                                 .context = &asked,
                                 .delete_horizon_ms = -1};
    forge_begin(&forge);
    for (int i = 0; i < MANY; i++) {
        const struct beck_record record = {
            .key = "k", .key_size = 1, .value = "v", .value_size = 1};
        forge_record(&forge, &record, i, i);
    }
    forge_seal(&forge);
    struct filtered filtered = run(&rules);
    assert_int_equal(asked.foreseen, MANY);
    assert_int_equal(asked.next, MANY);
    assert_int_equal(filtered.header.record_count, MANY / 2);
    assert_int_equal(filtered.max_timestamp_ms, FORGE_TIME + MANY - 2);
}

static void test_refuses_malformed_records(void **state)
{
    (void)state;
    unsigned bits = UINT32_MAX;
    struct filter_rules rules = rules_of(&bits);
    struct filtered filtered;
    forge_records(-1);
    forge.header.record_count++;
    forge_seal(&forge);
    assert_int_equal(filter_batch(filter, forge.bytes, forge.size, &rules, &filtered, NULL),
                     -EBADMSG);
    forge.header.record_count = INT32_MAX;
    forge_seal(&forge);
    assert_int_equal(filter_batch(filter, forge.bytes, forge.size, &rules, &filtered, NULL),
                     -EBADMSG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_keeps_what_it_is_told_to),
        TEST(test_leaves_a_batch_whose_records_all_stay),
        TEST(test_drops_a_batch_without_records),
        TEST(test_drops_a_batch_whatever_is_in_it),
        TEST(test_keeps_an_empty_batch_where_it_has_to),
        TEST(test_leaves_an_empty_batch_that_stays),
        TEST(test_says_when_a_tombstone_may_go),
        TEST(test_leaves_nothing_obsolete_because_of_its_time),
        TEST(test_keeps_the_horizon_that_a_batch_has),
        TEST(test_a_tombstone_that_goes_needs_no_horizon),
        TEST(test_keeps_log_append_time),
        TEST(test_keeps_the_base_where_no_other_fits),
        TEST(test_tells_of_each_record_before_it_asks_about_it),
        TEST(test_refuses_malformed_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
