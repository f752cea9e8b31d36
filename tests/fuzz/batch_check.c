/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes what reads batches. The input is a batch with one byte before it:
 *
 *     bit 0   the rules of a log instead of a producer's
 *     bit 1   leave length, magic and CRC as they are; else they are put right, as no fuzzer finds
 * a CRC, and what comes behind it is what matters bits 2-3  how much may come out of a compressed
 * batch
 *
 * Whatever the check takes must then be what it promised: so many records, offsets in order, a view
 * of that size in pieces as in whole, and JSON of the size that it tells. What it refuses must have
 * a code that is documented, and a text. The iterator and the view are run over refused batches
 * too, as tools do: they may say what they like, but must end.
 *
 *     clang -g -fsanitize=fuzzer,address,undefined ... batch_check.c
 *     ./batch_check tests/fuzz/corpus/batch_check
 */
#include "batch.h"
#include "compression.h"
#include "record.h"
#include "view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RENDERED_BYTES_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct decompressor *decompressor;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void put_right(uint8_t *batch, size_t size)
{
    struct batch_header header;
    if (size < BATCH_HEADER_BYTES)
        return;
    size_t length = size - BATCH_LENGTH_END;
    for (int i = 0; i < 4; i++)
        batch[8 + i] = (uint8_t)(length >> (24 - 8 * i));
    batch[16] = BATCH_MAGIC;
    if (batch_header_read(batch, size, &header, NULL) < 0)
        return;
    header.crc = batch_crc(batch, size);
    batch_header_write(batch, &header);
}

static bool code_is_documented(int code)
{
    return code == -EBADMSG || code == -EINVAL || code == -EMSGSIZE || code == -EPROTONOSUPPORT;
}

/* Headers and JSON of one record that was taken. */
static void try_record(const struct beck_record *record)
{
    struct beck_header header;
    size_t position = 0;
    uint32_t count = 0;
    int result;
    while ((result = beck_header_next(record, &position, &header)) > 0)
        count++;
    must(result == 0 && count == record->header_count);

    char small[100];
    ssize_t needed = beck_record_json(record, "topic", 1, small, sizeof(small));
    must(needed > 0);
    char *exact = malloc((size_t)needed);
    must(exact != NULL);
    must(beck_record_json(record, "topic", 1, exact, (size_t)needed) == needed);
    must(exact[needed - 1] == '\n');
    size_t both = (size_t)needed < sizeof(small) ? (size_t)needed : sizeof(small);
    must(memcmp(exact, small, both) == 0);
    free(exact);
}

static void try_records(const struct batch_summary *summary, const void *records, size_t size)
{
    struct record_iterator iterator;
    struct beck_record record;
    int64_t previous = -1;
    int64_t max_timestamp_ms = summary->header.max_timestamp_ms;
    int64_t max_offset = -1;
    int32_t count = 0;
    int result;
    record_iterator_init(&iterator, &summary->header, records, size);
    while ((result = record_next(&iterator, &record)) > 0) {
        must(record.offset > previous && record.offset < batch_next_offset(&summary->header));
        must(record.offset >= summary->header.base_offset);
        previous = record.offset;
        if (count == 0 || record.timestamp_ms > max_timestamp_ms) {
            max_timestamp_ms = record.timestamp_ms;
            max_offset = record.offset - summary->header.base_offset;
        }
        count++;
        try_record(&record);
    }
    must(result == 0 && count == summary->header.record_count);
    must(max_timestamp_ms == summary->max_timestamp_ms);
    must(max_offset == summary->max_timestamp_offset_delta);
}

/* The view in pieces of `step` bytes; returns its size. With `expected`, the bytes must be those.
 */
static uint64_t render(const struct batch_header *header, const void *records, size_t size,
                       size_t step, const uint8_t *expected, uint8_t *to)
{
    struct record_iterator iterator;
    uint64_t skip = 0;
    uint64_t sum = 0;
    ssize_t got;
    record_iterator_init(&iterator, header, records, size);
    while ((got = view_render(&iterator, &skip, to, step)) > 0) {
        must((size_t)got <= step);
        if (expected != NULL)
            must(memcmp(expected + sum, to, (size_t)got) == 0);
        sum += (uint64_t)got;
    }
    return sum;
}

static void try_view(const struct batch_summary *summary, const void *records, size_t size,
                     unsigned step)
{
    uint64_t expected = summary->view_bytes;
    if ((summary->header.attributes & BATCH_CONTROL) != 0 || expected > RENDERED_BYTES_MAX)
        return;
    /* One byte more than there is, so that the rendering ends before its room does. */
    uint8_t *whole = malloc((size_t)expected + 1);
    uint8_t *piece = malloc(step + 1);
    must(whole != NULL && piece != NULL);
    must(render(&summary->header, records, size, (size_t)expected + 1, NULL, whole) == expected);
    must(render(&summary->header, records, size, step + 1, whole, piece) == expected);

    struct record_iterator iterator;
    uint64_t skip = 0;
    record_iterator_init(&iterator, &summary->header, records, size);
    must(view_skip(&iterator, expected / 2, &skip) == 0);
    ssize_t rest = view_render(&iterator, &skip, piece, step + 1);
    must(rest >= 0 && memcmp(whole + expected / 2, piece, (size_t)rest) == 0);
    free(whole);
    free(piece);
}

/* What was refused, or never checked: reading it must end, and stay within. */
static void walk_anyway(const struct batch_header *header, const void *records, size_t size)
{
    struct record_iterator iterator;
    struct beck_record record;
    struct beck_header field;
    char to[100];
    record_iterator_init(&iterator, header, records, size);
    while (record_next(&iterator, &record) > 0) {
        size_t position = 0;
        while (beck_header_next(&record, &position, &field) > 0)
            continue;
        (void)beck_record_json(&record, NULL, 0, to, sizeof(to));
    }
    (void)render(header, records, size, sizeof(to), NULL, (uint8_t *)to);
    uint64_t skip;
    record_iterator_init(&iterator, header, records, size);
    (void)view_skip(&iterator, UINT64_MAX, &skip);
}

static void try_batch(uint8_t options, const uint8_t *batch, size_t size)
{
    struct batch_summary summary;
    struct beck_error error = {.code = 0};
    size_t limit = (size_t)1024 << 3 * (options >> 2 & 3);
    int result = batch_check(batch, size, options & 1 ? BATCH_FROM_LOG : BATCH_FROM_PRODUCER,
                             decompressor, limit, &summary, &error);
    must(result == 0 || (code_is_documented(result) && error.code == result &&
                         error.message[0] != '\0' && error.byte <= (int64_t)size));
    struct batch_header header;
    if (batch_header_read(batch, size, &header, NULL) < 0) {
        must(result < 0);
        return;
    }
    const void *records = NULL;
    size_t records_size = 0;
    const uint8_t *begin = batch + BATCH_HEADER_BYTES;
    int codec = header.attributes & BATCH_CODEC_MASK;
    int unpacked =
        decompress(decompressor, codec, begin, size - BATCH_HEADER_BYTES,
                   codec == BECK_COMPRESSION_NONE ? SIZE_MAX : limit, &records, &records_size);
    if (result == 0 && size == BATCH_HEADER_BYTES) { /* emptied by compaction */
        records = begin;
        records_size = 0;
        unpacked = 0;
    }
    must(unpacked == 0 || result < 0);
    if (result == 0) {
        must(records_size == summary.record_bytes);
        try_records(&summary, records, records_size);
        try_view(&summary, records, records_size, options);
    } else if (unpacked == 0) {
        walk_anyway(&header, records, records_size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (decompressor == NULL)
        must(decompressor_new(&decompressor) == 0);
    uint8_t *batch = malloc(size); /* ends where the batch does */
    must(batch != NULL);
    memcpy(batch, data + 1, size - 1);
    if ((data[0] & 2) == 0)
        put_right(batch, size - 1);
    try_batch(data[0], batch, size - 1);
    free(batch);
    return 0;
}
