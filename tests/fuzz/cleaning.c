/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the record filter as compaction uses it: the input is a batch, behind two bytes that say
 * how it is cleaned. Length, magic and CRC are put right. What is written anew of a good batch must
 * be a good batch, with the same offsets at both ends and no record that was not there.
 */
#include "cleaning.h"
#include "batch.h"
#include "record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_BYTES_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct decompressor *decompressor;
static struct decompressor *again;
static struct filter *filter;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool put_right(uint8_t *batch, size_t size)
{
    struct batch_header header;
    if (size < BATCH_HEADER_BYTES)
        return false;
    size_t length = size - BATCH_LENGTH_END;
    for (int i = 0; i < 4; i++)
        batch[8 + i] = (uint8_t)(length >> (24 - 8 * i));
    batch[16] = BATCH_MAGIC;
    batch[0] &= 0x3f; /* room for the offsets behind it */
    if (batch_header_read(batch, size, &header, NULL) < 0)
        return false;
    header.crc = batch_crc(batch, size);
    batch_header_write(batch, &header);
    return true;
}

static void records_of(struct decompressor *of, const uint8_t *batch, size_t size,
                       struct record_iterator *ret_iterator)
{
    struct batch_header header;
    const void *records = batch + BATCH_HEADER_BYTES;
    size_t records_size = 0;
    must(batch_header_read(batch, size, &header, NULL) == 0);
    if (size > BATCH_HEADER_BYTES)
        must(decompress(of, header.attributes & BATCH_CODEC_MASK, records,
                        size - BATCH_HEADER_BYTES, SIZE_MAX, &records, &records_size) == 0);
    record_iterator_init(ret_iterator, &header, records, records_size);
}

static bool is_same(const void *a, int32_t a_size, const void *b, int32_t b_size)
{
    return a_size == b_size && (a_size <= 0 || memcmp(a, b, (size_t)a_size) == 0);
}

/* Each record of the new batch is one of the old one. */
static void compare(const uint8_t *old, size_t old_size, const uint8_t *new, size_t new_size)
{
    struct record_iterator from;
    struct record_iterator to;
    struct beck_record before;
    struct beck_record after;
    records_of(decompressor, old, old_size, &from);
    records_of(again, new, new_size, &to);
    while (record_next(&to, &after) == 1) {
        do
            must(record_next(&from, &before) == 1);
        while (before.offset < after.offset);
        must(before.offset == after.offset && before.timestamp_ms == after.timestamp_ms &&
             before.header_count == after.header_count);
        must(is_same(before.key, before.key_size, after.key, after.key_size));
        must(is_same(before.value, before.value_size, after.value, after.value_size));
    }
}

static void check_result(const uint8_t *batch, size_t size, const struct filtered *filtered)
{
    struct batch_header old;
    struct batch_summary summary;
    if (filtered->outcome != FILTER_REWRITTEN)
        return;
    size_t new_size = BATCH_HEADER_BYTES + filtered->records_size;
    uint8_t *new = malloc(new_size);
    must(new != NULL);
    memcpy(new, filtered->header_bytes, BATCH_HEADER_BYTES);
    if (filtered->records_size > 0)
        memcpy(new + BATCH_HEADER_BYTES, filtered->records, filtered->records_size);
    must(batch_header_read(batch, size, &old, NULL) == 0);
    must(batch_check(new, new_size, BATCH_FROM_LOG, again, SIZE_MAX, &summary, NULL) == 0);
    must(summary.view_bytes == filtered->view_bytes);
    must(summary.max_timestamp_ms == filtered->max_timestamp_ms);
    must(summary.header.base_offset == old.base_offset &&
         summary.header.last_offset_delta == old.last_offset_delta &&
         summary.header.leader_epoch == old.leader_epoch &&
         summary.header.producer_id == old.producer_id &&
         summary.header.producer_epoch == old.producer_epoch &&
         summary.header.base_sequence == old.base_sequence);
    compare(batch, size, new, new_size);
    free(new);
}

static bool is_refusal(int r)
{
    return r == -EBADMSG || r == -EMSGSIZE || r == -EPROTONOSUPPORT;
}

static void clean(const uint8_t *how, const uint8_t *batch, size_t size, bool is_good)
{
    struct batch_header header;
    struct offset_map *map = NULL;
    struct filtered filtered;
    struct beck_error error;
    struct last_record producer = {.last_offset = -1};
    must(batch_header_read(batch, size, &header, NULL) == 0);
    struct aborted_transaction aborted = {header.producer_id, header.base_offset,
                                          batch_next_offset(&header)};
    struct cleaned_transactions none = {.aborted = &aborted, .aborted_count = how[0] >> 4 & 1};
    struct cleaning cleaning = {
        .now_ms = how[0] & 1 ? INT64_MAX / 2 : 0,
        .delete_retention_ms = how[0] & 2 ? 86400000 : 0,
        .producers = &producer,
        .producer_count = how[0] >> 2 & 1,
        .keeps_producers = how[0] & 8,
        .transactions = none,
    };
    must(offset_map_new(4096, (uint64_t)how[1] + 2, header.base_offset, &map) == 0);
    producer.producer_id = header.producer_id;
    producer.epoch = header.producer_epoch;
    producer.last_offset = header.base_offset + header.last_offset_delta;
    cleaning.map = map;
    cleaning.map_end = header.base_offset;
    int r = cleaning_map(map, &none, decompressor, batch, size, header.base_offset + (how[1] >> 6),
                         &cleaning.map_end);
    must(r == 0 || r == 1 || (!is_good && is_refusal(r)));
    cleaning.round_end = how[0] & 32 ? INT64_MAX : batch_next_offset(&header);
    r = cleaning_batch(&cleaning, filter, batch, size, &filtered, &error);
    must(r == 0 || (!is_good && is_refusal(r)));
    if (r == 0 && is_good)
        check_result(batch, size, &filtered);
    cleaned_transactions_done(&none);
    cleaned_transactions_done(&cleaning.transactions);
    offset_map_free(map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct batch_summary summary;
    if (size < 2 || size > 65536)
        return 0;
    if (decompressor == NULL) {
        must(decompressor_new(&decompressor) == 0);
        must(decompressor_new(&again) == 0);
        must(filter_new(&filter) == 0);
    }
    uint8_t *batch = malloc(size); /* ends where the batch does */
    must(batch != NULL);
    memcpy(batch, data + 2, size - 2);
    if (put_right(batch, size - 2)) {
        int r = batch_check(batch, size - 2, BATCH_FROM_LOG, decompressor, RECORD_BYTES_MAX,
                            &summary, NULL);
        clean(data, batch, size - 2, r == 0);
    }
    free(batch);
    return 0;
}
