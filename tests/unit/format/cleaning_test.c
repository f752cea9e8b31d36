/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What compaction keeps: logs of a few batches, mapped and cleaned, each result one outcome. A
 * batch's records are written as text: "a1 b- c2" are keys a, b and c, b with a null value.
 */
#include "cleaning.h"

#include "bytes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "forge.h"

#define NOW      (FORGE_TIME + 1000)
#define RETAINED 500 /* delete.retention.ms */

static struct forge forge;
static struct offset_map *map;
static struct filter *filter;
static struct decompressor *decompressor;
static struct cleaned_transactions mapped;
static struct cleaning cleaning;
static char kept[256]; /* of the batch that was cleaned last: its records, as text */

static int begin(void **state)
{
    (void)state;
    assert_int_equal(offset_map_new(1 << 16, UINT64_MAX, 0, &map), 0);
    assert_int_equal(filter_new(&filter), 0);
    assert_int_equal(decompressor_new(&decompressor), 0);
    mapped = (struct cleaned_transactions){0};
    cleaning = (struct cleaning){
        .map = map, .round_end = INT64_MAX, .now_ms = NOW, .delete_retention_ms = RETAINED};
    return 0;
}

static int end(void **state)
{
    (void)state;
    cleaned_transactions_done(&mapped);
    cleaned_transactions_done(&cleaning.transactions);
    (void)filter_free(filter);
    (void)offset_map_free(map);
    (void)decompressor_free(decompressor);
    return 0;
}

/* A batch at an offset. */
static void make(int64_t base_offset, const char *records)
{
    forge_begin(&forge);
    forge.header.base_offset = base_offset;
    for (int i = 0; records[0] != '\0'; i++) {
        struct beck_record record = {.key = records,
                                     .key_size = records[0] == '-' ? -1 : 1,
                                     .value = records + 1,
                                     .value_size = records[1] == '-' ? -1 : 1};
        forge_record(&forge, &record, i, 0);
        records += records[2] == ' ' ? 3 : 2;
    }
    forge_seal(&forge);
}

/* Make it one of a transaction. */
static void of_producer(int64_t producer_id, uint16_t attributes)
{
    forge.header.producer_id = producer_id;
    forge.header.producer_epoch = 0;
    forge.header.base_sequence = 0;
    forge.header.attributes |= attributes;
    forge_seal(&forge);
}

static void make_marker(int64_t offset, int64_t producer_id, enum control_type type)
{
    const uint8_t key[4] = {0, 0, 0, (uint8_t)type};
    const struct beck_record record = {
        .key = key, .key_size = sizeof(key), .value = "\0\0\0\0\0", .value_size = 6};
    forge_begin(&forge);
    forge.header.base_offset = offset;
    forge_record(&forge, &record, 0, 0);
    of_producer(producer_id, BATCH_TRANSACTIONAL | BATCH_CONTROL);
}

static void add_to_map(void)
{
    assert_int_equal(
        cleaning_map(map, &mapped, decompressor, forge.bytes, forge.size, 0, &cleaning.map_end), 0);
}

static void map_batch(int64_t base_offset, const char *records)
{
    make(base_offset, records);
    add_to_map();
}

static void note_kept(const struct batch_header *header, const void *records, size_t size)
{
    struct record_iterator iterator;
    struct beck_record record;
    char *to = kept;
    record_iterator_init(&iterator, header, records, size);
    while (record_next(&iterator, &record) == 1) {
        if (to != kept)
            *to++ = ' ';
        *to++ = record.key == NULL ? '-' : *(const char *)record.key;
        *to++ = record.value == NULL ? '-' : *(const char *)record.value;
    }
    *to = '\0';
}

/* Clean the forged batch, which becomes what is left of it; `kept` says what. */
static struct filtered clean(void)
{
    struct filtered filtered;
    assert_int_equal(cleaning_batch(&cleaning, filter, forge.bytes, forge.size, &filtered, NULL),
                     0);
    kept[0] = '\0';
    if (filtered.outcome == FILTER_REWRITTEN) {
        memcpy(forge.bytes, filtered.header_bytes, BATCH_HEADER_BYTES);
        if (filtered.records_size > 0)
            memcpy(forge.bytes + BATCH_HEADER_BYTES, filtered.records, filtered.records_size);
        forge.size = BATCH_HEADER_BYTES + filtered.records_size;
        forge.header = filtered.header;
    }
    if (filtered.outcome != FILTER_DROPPED)
        note_kept(&filtered.header, forge.bytes + BATCH_HEADER_BYTES,
                  forge.size - BATCH_HEADER_BYTES);
    return filtered;
}

/* ---- keys ----------------------------------------------------------------------------------- */

static void test_keeps_the_last_record_of_each_key(void **state)
{
    (void)state;
    map_batch(0, "a1 b1 c1 a2");
    map_batch(4, "b2 d1");
    make(0, "a1 b1 c1 a2");
    (void)clean();
    assert_string_equal(kept, "c1 a2");
    make(4, "b2 d1");
    assert_int_equal(clean().outcome, FILTER_UNCHANGED);
}

static void test_drops_a_batch_that_is_obsolete(void **state)
{
    (void)state;
    map_batch(10, "a2 b2");
    make(0, "a1 b1");
    assert_int_equal(clean().outcome, FILTER_DROPPED);
}

static void test_keeps_keys_that_the_map_does_not_have(void **state)
{
    (void)state;
    map_batch(10, "a2");
    make(0, "a1 x1");
    (void)clean();
    assert_string_equal(kept, "x1");
}

static void test_keeps_what_is_behind_the_map(void **state)
{
    (void)state;
    map_batch(0, "a1");
    make(1, "a2 -x");
    assert_int_equal(clean().outcome, FILTER_UNCHANGED);
}

static void test_drops_records_without_key(void **state)
{
    (void)state;
    map_batch(0, "a1 -x b1");
    make(0, "a1 -x b1");
    (void)clean();
    assert_string_equal(kept, "a1 b1");
}

/* A map that is full knows of what went before: what comes after is the next round's. */
static void test_a_full_map_ends_before_the_first_key_that_it_has_no_room_for(void **state)
{
    (void)state;
    struct offset_map *small = NULL;
    int64_t map_end = 0;
    assert_int_equal(offset_map_new((size_t)4 * OFFSET_MAP_ENTRY_BYTES, UINT64_MAX, 0, &small), 0);
    assert_int_equal(offset_map_room(small), 3);
    make(0, "a1 b1 c1 a2 d1 e1");
    assert_int_equal(
        cleaning_map(small, &mapped, decompressor, forge.bytes, forge.size, 0, &map_end), 1);
    assert_int_equal(map_end, 4);
    cleaning.map = small;
    cleaning.map_end = map_end;
    (void)clean();
    assert_string_equal(kept, "b1 c1 a2 d1 e1");
    (void)offset_map_free(small);
}

/* More keys than are looked up together, and the first of them once more at the end. */
static void test_maps_and_cleans_many_keys_of_a_batch(void **state)
{
    enum { KEYS = 70 };
    (void)state;
    char records[3 * KEYS + 4];
    for (int i = 0; i <= KEYS; i++)
        (void)snprintf(records + (size_t)3 * (size_t)i, 4, "%c%d ", '.' + i % KEYS, i / KEYS);
    records[3 * KEYS + 2] = '\0';
    map_batch(0, records);
    assert_int_equal(offset_map_count(map), KEYS);
    (void)clean();
    assert_string_equal(kept, records + 3);
}

static void test_maps_from_an_offset_on(void **state)
{
    (void)state;
    make(0, "a1 b1 c1");
    assert_int_equal(
        cleaning_map(map, &mapped, decompressor, forge.bytes, forge.size, 2, &cleaning.map_end), 0);
    assert_int_equal(offset_map_count(map), 1);
    assert_int_equal(offset_map_get(map, "c", 1), 2);
    assert_int_equal(cleaning.map_end, 3);
}

static void test_maps_compressed_batches(void **state)
{
    (void)state;
    make(5, "a1 a2 a3");
    forge_compress(&forge, BECK_COMPRESSION_LZ4);
    forge_seal(&forge);
    add_to_map();
    assert_int_equal(offset_map_get(map, "a", 1), 7);
}

/* ---- tombstones ----------------------------------------------------------------------------- */

static void test_a_tombstone_stays_until_it_is_due(void **state)
{
    (void)state;
    map_batch(0, "a1 b1 a-");
    make(0, "a1 b1 a-");
    struct filtered first = clean();
    assert_string_equal(kept, "b1 a-");
    assert_int_equal(filter_delete_horizon(&first.header), NOW + RETAINED);

    cleaning.now_ms = NOW + RETAINED - 1;
    assert_int_equal(clean().outcome, FILTER_UNCHANGED);
    cleaning.now_ms = NOW + RETAINED;
    (void)clean();
    assert_string_equal(kept, "b1");
}

static void test_a_tombstone_behind_the_map_gets_its_time_too(void **state)
{
    (void)state;
    map_batch(0, "a1");
    make(1, "b-");
    struct filtered filtered = clean();
    assert_string_equal(kept, "b-");
    assert_int_equal(filter_delete_horizon(&filtered.header), NOW + RETAINED);
}

static void test_a_tombstone_that_is_obsolete_goes(void **state)
{
    (void)state;
    map_batch(0, "a- a1");
    make(0, "a- a1");
    struct filtered filtered = clean();
    assert_string_equal(kept, "a1");
    assert_int_equal(filter_delete_horizon(&filtered.header), -1);
}

static void test_a_time_beyond_all_times_is_no_overflow(void **state)
{
    (void)state;
    cleaning.delete_retention_ms = INT64_MAX;
    map_batch(0, "a-");
    make(0, "a-");
    struct filtered filtered = clean();
    assert_string_equal(kept, "a-");
    assert_int_equal(filter_delete_horizon(&filtered.header), INT64_MAX);
}

/* ---- batches that stay ---------------------------------------------------------------------- */

static void test_the_last_batch_of_the_round_stays(void **state)
{
    (void)state;
    map_batch(10, "a2");
    make(0, "a1");
    cleaning.round_end = 1;
    struct filtered filtered = clean();
    assert_int_equal(filtered.outcome, FILTER_REWRITTEN);
    assert_int_equal(filtered.header.record_count, 0);
    assert_int_equal(batch_next_offset(&filtered.header), 1);
}

static void test_the_last_batch_of_a_producer_stays(void **state)
{
    (void)state;
    const struct last_record producers[] = {{3, 100, 0}, {7, 1, 0}, {9, 5, 0}};
    cleaning.producers = producers;
    cleaning.producer_count = 3;
    map_batch(10, "a2");
    for (int64_t id = 1; id < 12; id++) {
        make(0, "a1 a1");
        of_producer(id, 0);
        struct filtered filtered = clean();
        assert_int_equal(filtered.outcome, id == 7 ? FILTER_REWRITTEN : FILTER_DROPPED);
        if (id == 7)
            assert_int_equal(filtered.header.last_offset_delta, 1);
    }
}

/* ---- transactions --------------------------------------------------------------------------- */

static const struct aborted_transaction aborted[] = {{1, 10, 12}};

static void test_records_of_an_aborted_transaction_are_not_mapped(void **state)
{
    (void)state;
    mapped.aborted = aborted;
    mapped.aborted_count = 1;
    make(10, "a2");
    of_producer(1, BATCH_TRANSACTIONAL);
    add_to_map();
    make(11, "b2");
    of_producer(2, BATCH_TRANSACTIONAL);
    add_to_map();
    make_marker(12, 1, CONTROL_ABORT);
    add_to_map();
    make(13, "c2"); /* the producer's next transaction */
    of_producer(1, BATCH_TRANSACTIONAL);
    add_to_map();
    assert_int_equal(offset_map_get(map, "a", 1), -1);
    assert_int_equal(offset_map_get(map, "b", 1), 11);
    assert_int_equal(offset_map_get(map, "c", 1), 13);
    assert_int_equal(cleaning.map_end, 14);
}

static void test_records_of_an_aborted_transaction_go_and_its_marker_after_them(void **state)
{
    (void)state;
    cleaning.transactions.aborted = aborted;
    cleaning.transactions.aborted_count = 1;
    make(10, "a2");
    of_producer(1, BATCH_TRANSACTIONAL);
    assert_int_equal(clean().outcome, FILTER_DROPPED);
    make_marker(12, 1, CONTROL_ABORT);
    assert_int_equal(clean().outcome, FILTER_UNCHANGED);

    /* The next cleaning meets the marker alone, and the one after its time lets it go. */
    cleaned_transactions_done(&cleaning.transactions);
    cleaning.transactions.aborted = aborted;
    cleaning.transactions.aborted_count = 1;
    struct filtered filtered = clean();
    assert_int_equal(filtered.outcome, FILTER_REWRITTEN);
    assert_int_equal(filter_delete_horizon(&filtered.header), NOW + RETAINED);
    assert_int_equal(filtered.header.record_count, 1);
    cleaning.now_ms += RETAINED;
    assert_int_equal(clean().outcome, FILTER_DROPPED);
}

static void test_a_commit_marker_stays_while_its_records_do(void **state)
{
    (void)state;
    map_batch(0, "a1");
    make(0, "a1");
    of_producer(1, BATCH_TRANSACTIONAL);
    assert_int_equal(clean().outcome, FILTER_UNCHANGED);
    make_marker(1, 1, CONTROL_COMMIT);
    assert_int_equal(clean().outcome, FILTER_UNCHANGED);
    struct filtered filtered = clean(); /* as if its records were gone */
    assert_int_equal(filter_delete_horizon(&filtered.header), NOW + RETAINED);
}

static void test_a_marker_of_another_kind_stays(void **state)
{
    (void)state;
    make_marker(0, 1, 5);
    assert_int_equal(clean().outcome, FILTER_UNCHANGED);
}

/* It has the producer's epoch, where there is nothing else of it. */
static void test_a_marker_that_is_all_of_a_producer_stays(void **state)
{
    (void)state;
    const struct last_record producers[] = {{1, -1, 0}};
    cleaning.producers = producers;
    cleaning.producer_count = 1;
    make_marker(0, 1, CONTROL_COMMIT);
    (void)clean();
    cleaning.now_ms += RETAINED;
    struct filtered filtered = clean();
    assert_int_equal(filtered.outcome, FILTER_REWRITTEN);
    assert_int_equal(filtered.header.record_count, 0);
    assert_int_equal(clean().outcome, FILTER_UNCHANGED);
    cleaning.producer_count = 0;
    assert_int_equal(clean().outcome, FILTER_DROPPED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_keeps_the_last_record_of_each_key),
        TEST(test_drops_a_batch_that_is_obsolete),
        TEST(test_keeps_keys_that_the_map_does_not_have),
        TEST(test_keeps_what_is_behind_the_map),
        TEST(test_drops_records_without_key),
        TEST(test_a_full_map_ends_before_the_first_key_that_it_has_no_room_for),
        TEST(test_maps_and_cleans_many_keys_of_a_batch),
        TEST(test_maps_from_an_offset_on),
        TEST(test_maps_compressed_batches),
        TEST(test_a_tombstone_stays_until_it_is_due),
        TEST(test_a_tombstone_behind_the_map_gets_its_time_too),
        TEST(test_a_tombstone_that_is_obsolete_goes),
        TEST(test_a_time_beyond_all_times_is_no_overflow),
        TEST(test_the_last_batch_of_the_round_stays),
        TEST(test_the_last_batch_of_a_producer_stays),
        TEST(test_records_of_an_aborted_transaction_are_not_mapped),
        TEST(test_records_of_an_aborted_transaction_go_and_its_marker_after_them),
        TEST(test_a_commit_marker_stays_while_its_records_do),
        TEST(test_a_marker_of_another_kind_stays),
        TEST(test_a_marker_that_is_all_of_a_producer_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
