/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two walks over the decompressed records: the first asks which stay, and learns what the new
 * header must say; the second, where it is needed, copies those that do. Only timestamps are stored
 * against the batch's base, so where that is the same, records are copied byte for byte.
 *
 * The base of the new batch is its delete horizon where it has one, else the first record's
 * timestamp, as Kafka's.
 */
#include "filter.h"

#include "bytes.h"
#include "check.h"
#include "cleanup.h"
#include "compression.h"
#include "crc32c.h"
#include "report.h"
#include "varint.h"

#include <errno.h>
#include <string.h>

#define KINDS                                                                                      \
    (BATCH_LOG_APPEND_TIME | BATCH_TRANSACTIONAL | BATCH_CONTROL) /* what an empty batch keeps */

/* So many records are looked at together. */
#define FILTER_RUN 32

struct filter {
    struct decompressor *decompressor;
    struct compressor *compressors[BECK_COMPRESSION_ZSTD + 1]; /* made when first needed */
    uint8_t *stays;                                            /* a bit for each record */
    size_t stays_bytes;
    uint8_t *records; /* that stay */
    size_t records_bytes;
};

/* The batch at hand. */
struct pass {
    struct batch_header header;
    const uint8_t *records;
    size_t records_size;
    int32_t stay_count;
    size_t stay_bytes; /* of the records that stay, as they are */
    uint64_t view_bytes;
    int64_t first_ms; /* of the first that stays */
    int64_t max_ms;   /* of those that stay */
    bool has_tombstone;
};

int filter_new(struct filter **ret_filter)
{
    struct filter *filter = calloc(1, sizeof(*filter));
    if (filter == NULL)
        return -ENOMEM;
    int result = decompressor_new(&filter->decompressor);
    if (result < 0) {
        free(filter);
        return result;
    }
    *ret_filter = filter;
    return 0;
}

struct filter *filter_free(struct filter *filter)
{
    if (filter == NULL)
        return NULL;
    (void)decompressor_free(filter->decompressor);
    for (size_t i = 0; i < ELEMENTS(filter->compressors); i++)
        (void)compressor_free(filter->compressors[i]);
    free(filter->stays);
    free(filter->records);
    free(filter);
    return NULL;
}

/* Have so many bytes, whatever is in them. */
static int have(uint8_t **buffer, size_t *bytes, size_t needed)
{
    if (*bytes >= needed)
        return 0;
    free(*buffer);
    *bytes = 0;
    *buffer = malloc(needed);
    if (*buffer == NULL)
        return -ENOMEM;
    *bytes = needed;
    return 0;
}

static bool is_control(const struct batch_header *header)
{
    return (header->attributes & BATCH_CONTROL) != 0;
}

/* ---- what stays ----------------------------------------------------------------------------- */

static void note_stays(struct filter *filter, struct pass *pass, int32_t index,
                       const struct beck_record *record, size_t size)
{
    filter->stays[index / 8] |= (uint8_t)(1u << (index % 8));
    if (pass->stay_count++ == 0)
        pass->first_ms = pass->max_ms = record->timestamp_ms;
    if (record->timestamp_ms > pass->max_ms)
        pass->max_ms = record->timestamp_ms;
    pass->stay_bytes += size;
    if (record->value == NULL)
        pass->has_tombstone = true;
    if (!is_control(&pass->header))
        pass->view_bytes += 1 + (uint64_t)(record->value_size > 0 ? record->value_size : 0);
}

/* The records that come next, told of before they are asked about. */
struct run {
    struct beck_record records[FILTER_RUN];
    size_t bytes[FILTER_RUN];
    int count;
};

/* Returns what record_next() did after the last of them. */
static int take_run(struct run *run, struct record_iterator *iterator, const struct pass *pass,
                    const struct filter_rules *rules)
{
    int result = 1;
    run->count = 0;
    while (run->count < FILTER_RUN) {
        const uint8_t *begin = iterator->at;
        struct beck_record *record = &run->records[run->count];
        result = record_next(iterator, record);
        if (result <= 0)
            break;
        if (rules->foresee)
            rules->foresee(rules->context, &pass->header, record);
        run->bytes[run->count++] = (size_t)(iterator->at - begin);
    }
    return result;
}

static int choose(struct filter *filter, struct pass *pass, const struct filter_rules *rules)
{
    struct record_iterator iterator;
    struct run run;
    /* A record takes seven bytes at least: a count that cannot be asks for no memory. */
    if ((size_t)pass->header.record_count > pass->records_size / 7)
        return -EBADMSG;
    size_t bits = (size_t)pass->header.record_count / 8 + 1;
    int result = have(&filter->stays, &filter->stays_bytes, bits);
    if (result < 0)
        return result;
    memset(filter->stays, 0, bits);
    record_iterator_init(&iterator, &pass->header, pass->records, pass->records_size);
    int32_t index = 0;
    do {
        result = take_run(&run, &iterator, pass, rules);
        for (int i = 0; i < run.count; i++, index++)
            if (rules->retain(rules->context, &pass->header, &run.records[i]))
                note_stays(filter, pass, index, &run.records[i], run.bytes[i]);
    } while (result == 1);
    return result;
}

/* ---- writing again -------------------------------------------------------------------------- */

/* Copy the records that stay, with their timestamps against `base_ms`. -EOVERFLOW: one does not
 * fit behind it. */
static int copy_records(struct filter *filter, const struct pass *pass, int64_t base_ms,
                        size_t *ret_size)
{
    struct record_iterator iterator;
    struct beck_record record;
    const struct batch_header *header = &pass->header;
    bool as_they_are =
        base_ms == header->base_timestamp_ms && (header->attributes & BATCH_LOG_APPEND_TIME) == 0;
    /* A timestamp may grow to its longest, and a record's length by what that needs. */
    size_t room =
        pass->stay_bytes + (size_t)pass->stay_count * (VARINT64_BYTES_MAX + VARINT32_BYTES_MAX);
    size_t used = 0;
    int result = have(&filter->records, &filter->records_bytes, room);
    if (result < 0)
        return result;
    record_iterator_init(&iterator, header, pass->records, pass->records_size);
    for (int32_t i = 0;; i++) {
        const uint8_t *begin = iterator.at;
        result = record_next(&iterator, &record);
        if (result <= 0)
            break;
        if ((filter->stays[i / 8] >> (i % 8) & 1) == 0)
            continue;
        if (as_they_are) {
            size_t size = (size_t)(iterator.at - begin);
            memcpy(filter->records + used, begin, size);
            used += size;
            continue;
        }
        int64_t delta_ms;
        if (__builtin_sub_overflow(record.timestamp_ms, base_ms, &delta_ms))
            return -EOVERFLOW;
        ssize_t size = record_write(filter->records + used, room - used, &record,
                                    (int32_t)(record.offset - header->base_offset), delta_ms);
        CHECK(size > 0);
        used += (size_t)size;
    }
    *ret_size = used;
    return result;
}

static int compress_records(struct filter *filter, int codec, size_t size,
                            struct filtered *filtered)
{
    struct compressor **compressor = &filter->compressors[codec];
    filtered->records = filter->records;
    filtered->records_size = size;
    if (codec == BECK_COMPRESSION_NONE)
        return 0;
    if (*compressor == NULL) {
        int result = compressor_new((enum beck_compression)codec, compressor);
        if (result < 0)
            return result;
        compressor_make_quick(*compressor);
    }
    return compress_all(*compressor, filter->records, size, &filtered->records,
                        &filtered->records_size);
}

/* Length and CRC, and all of the header as bytes. */
static void seal(struct filtered *filtered)
{
    struct batch_header *header = &filtered->header;
    header->length = (int32_t)(BATCH_HEADER_BYTES - BATCH_LENGTH_END + filtered->records_size);
    batch_header_write(filtered->header_bytes, header);
    header->crc =
        crc32c(0, filtered->header_bytes + BATCH_CRC_BEGIN, BATCH_HEADER_BYTES - BATCH_CRC_BEGIN);
    header->crc = crc32c(header->crc, filtered->records, filtered->records_size);
    store_be32(filtered->header_bytes + 17, header->crc);
}

static int rewrite(struct filter *filter, const struct pass *pass, int64_t base_ms, bool is_horizon,
                   struct filtered *filtered)
{
    size_t size = 0;
    int result = copy_records(filter, pass, base_ms, &size);
    if (result == 0 && size > BECK_BATCH_BYTES_LIMIT)
        result = -EOVERFLOW;
    if (result == 0)
        result =
            compress_records(filter, pass->header.attributes & BATCH_CODEC_MASK, size, filtered);
    if (result == 0 && filtered->records_size > BECK_BATCH_BYTES_LIMIT)
        result = -EOVERFLOW;
    if (result < 0)
        return result;
    struct batch_header *header = &filtered->header;
    filtered->outcome = FILTER_REWRITTEN;
    filtered->view_bytes = pass->view_bytes;
    header->record_count = pass->stay_count;
    header->base_timestamp_ms = base_ms;
    header->max_timestamp_ms = filtered->max_timestamp_ms = pass->max_ms;
    if (is_horizon)
        header->attributes |= BATCH_DELETE_HORIZON;
    seal(filtered);
    return 0;
}

/* Nothing but the header stays: it says up to where the producer came. */
static void write_empty(const struct pass *pass, const void *batch, size_t size,
                        struct filtered *filtered)
{
    struct batch_header *header = &filtered->header;
    filtered->outcome = FILTER_REWRITTEN;
    filtered->view_bytes = 0;
    filtered->max_timestamp_ms = header->max_timestamp_ms;
    filtered->records = filtered->header_bytes;
    filtered->records_size = 0;
    header->attributes = (uint16_t)(pass->header.attributes & KINDS);
    header->base_timestamp_ms = -1;
    header->record_count = 0;
    seal(filtered);
    if (size == BATCH_HEADER_BYTES && memcmp(batch, filtered->header_bytes, size) == 0)
        filtered->outcome = FILTER_UNCHANGED;
}

/* All that is told of a batch that stays as it is, where all of its records do or not. */
static int leave(const struct pass *pass, struct filtered *filtered)
{
    struct record_iterator iterator;
    struct beck_record record;
    const struct batch_header *header = &pass->header;
    int result;
    filtered->outcome = FILTER_UNCHANGED;
    filtered->header = *header;
    filtered->max_timestamp_ms = header->max_timestamp_ms;
    filtered->view_bytes = 0;
    record_iterator_init(&iterator, header, pass->records, pass->records_size);
    for (bool first = true; (result = record_next(&iterator, &record)) == 1; first = false) {
        if (first || record.timestamp_ms > filtered->max_timestamp_ms)
            filtered->max_timestamp_ms = record.timestamp_ms;
        if (!is_control(header))
            filtered->view_bytes += 1 + (uint64_t)(record.value_size > 0 ? record.value_size : 0);
    }
    return result;
}

/* ---- one batch ------------------------------------------------------------------------------ */

static int filter_records(struct filter *filter, const void *batch, size_t size,
                          const struct filter_rules *rules, struct pass *pass,
                          struct filtered *filtered)
{
    int result = choose(filter, pass, rules);
    if (result < 0)
        return result;
    if (pass->stay_count == 0) {
        filtered->outcome = FILTER_DROPPED;
        if (rules->retention == FILTER_RETAIN_EMPTY)
            write_empty(pass, batch, size, filtered);
        return 0;
    }
    int64_t horizon_ms = filter_delete_horizon(&pass->header);
    bool needs_horizon = horizon_ms < 0 && rules->delete_horizon_ms >= 0 &&
                         (pass->has_tombstone || rules->marks_nothing);
    if (pass->stay_count == pass->header.record_count && !needs_horizon) {
        filtered->outcome = FILTER_UNCHANGED;
        filtered->view_bytes = pass->view_bytes;
        filtered->max_timestamp_ms = pass->max_ms;
        return 0;
    }
    if (needs_horizon)
        horizon_ms = rules->delete_horizon_ms;
    result = rewrite(filter, pass, horizon_ms >= 0 ? horizon_ms : pass->first_ms, horizon_ms >= 0,
                     filtered);
    /* Behind the time that they had they do fit. What is obsolete must go before the tombstone that
     * deletes it: this batch's own get no horizon. */
    if (result == -EOVERFLOW && pass->stay_count < pass->header.record_count)
        result = rewrite(filter, pass, pass->header.base_timestamp_ms,
                         filter_delete_horizon(&pass->header) >= 0, filtered);
    return result == -EOVERFLOW ? leave(pass, filtered) : result;
}

int filter_batch(struct filter *filter, const void *batch, size_t size,
                 const struct filter_rules *rules, struct filtered *ret_filtered,
                 struct beck_error *error)
{
    struct pass pass = {.records = (const uint8_t *)batch + BATCH_HEADER_BYTES,
                        .records_size = size - BATCH_HEADER_BYTES};
    const void *records = pass.records;
    ret_filtered->outcome = FILTER_DROPPED;
    if (rules->retention == FILTER_DELETE)
        return 0;
    int result = batch_header_read(batch, size, &pass.header, error);
    if (result < 0)
        return result;
    int codec = pass.header.attributes & BATCH_CODEC_MASK;
    if (codec != BECK_COMPRESSION_NONE && pass.records_size > 0)
        result = decompress(filter->decompressor, codec, pass.records, pass.records_size,
                            BECK_BATCH_BYTES_LIMIT, &records, &pass.records_size);
    if (result < 0)
        return report_errno(error, result, "the batch cannot be decompressed");
    pass.records = records;
    ret_filtered->header = pass.header;
    result = filter_records(filter, batch, size, rules, &pass, ret_filtered);
    if (result == -EBADMSG)
        return report(error, result, "a record of the batch is malformed");
    return result < 0 ? report_errno(error, result, "the batch cannot be written again") : 0;
}
