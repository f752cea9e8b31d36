/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a batch is what it claims to be. Everything that is appended and everything that recovery
 * and verification read goes through here, so it is written for speed: the happy path makes no
 * calls per record and keeps no texts; a record that does not fit is taken apart a second time,
 * slowly, to say what is wrong and where.
 *
 * The order: header, CRC, then what header fields promise each other, then the records. A batch
 * that was damaged on its way is -EBADMSG; one whose CRC is right and whose content is not was made
 * so: -EINVAL. What is asked of producers beyond a log's own rules is what Kafka's broker asks of
 * them.
 */
#include "batch.h"

#include "bytes.h"
#include "check.h"
#include "compression.h"
#include "record.h"
#include "record_parse.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define ATTRIBUTES_KNOWN                                                                           \
    (BATCH_CODEC_MASK | BATCH_LOG_APPEND_TIME | BATCH_TRANSACTIONAL | BATCH_CONTROL |              \
     BATCH_DELETE_HORIZON)

/* The records of a batch while they are walked. */
struct walk {
    const struct batch_header *header;
    const uint8_t *begin;
    const uint8_t *end;
    bool compressed; /* so that positions are not those of the batch */
    bool from_producer;
};

/* ---- what is wrong with a record: off the happy path ---------------------------------------- */

/*
 * Refuse the record number `index`, which has what is wrong with it at `at`. A position counts from
 * the batch's begin; in a compressed batch that is its header with the records behind it as they
 * were before compression, and the error's byte is where the compressed ones begin.
 */
static __attribute__((cold, noinline)) int refuse(const struct walk *walk, int32_t index,
                                                  const uint8_t *at, const char *what,
                                                  struct beck_error *error)
{
    int64_t byte = BATCH_HEADER_BYTES + (at - walk->begin);
    (void)report_at(error, -EINVAL, walk->compressed ? BATCH_HEADER_BYTES : byte,
                    "record %" PRId32 " of the batch, at byte %" PRId64 "%s: %s", index, byte,
                    walk->compressed ? " when decompressed" : "", what);
    if (error)
        error->record = index;
    return -EINVAL;
}

/* The same for a byte string: key, value, or part of a header. */
static int refuse_field(const struct walk *walk, int32_t index, const uint8_t *at,
                        const uint8_t *end, const char *name, struct beck_error *error)
{
    char what[96];
    int32_t size = 0;
    if (varint32_read(at, end, &size) == NULL)
        (void)snprintf(what, sizeof(what), "the length of its %s is cut off", name);
    else if (size < 0)
        (void)snprintf(what, sizeof(what), "its %s has the length %" PRId32, name, size);
    else
        (void)snprintf(what, sizeof(what), "its %s of %" PRId32 " bytes goes beyond its end", name,
                       size);
    return refuse(walk, index, at, what, error);
}

static __attribute__((cold, noinline)) int refuse_record(const struct walk *walk, int32_t index,
                                                         const uint8_t *at,
                                                         struct beck_error *error)
{
    if (at == walk->end)
        return refuse(walk, index, at, "missing, as the batch ends before its record count", error);
    int32_t size = 0;
    const uint8_t *next = varint32_read(at, walk->end, &size);
    if (next == NULL)
        return refuse(walk, index, at, "its length is cut off", error);
    if (size > walk->end - next)
        return refuse(walk, index, at, "it goes beyond the batch's end", error);
    if (size < RECORD_BYTES_MIN - 1)
        return refuse(walk, index, at, "it is too short to be one", error);

    const uint8_t *end = next + size;
    struct record_fields fields;
    at = next + 1;
    if ((next = varint64_read(at, end, &fields.timestamp_delta_ms)) == NULL)
        return refuse(walk, index, at, "its timestamp is cut off", error);
    at = next;
    if ((next = varint32_read(at, end, &fields.offset_delta)) == NULL)
        return refuse(walk, index, at, "its offset is cut off", error);
    at = next;
    if ((next = field_parse(at, end, &fields.key, &fields.key_size)) == NULL)
        return refuse_field(walk, index, at, end, "key", error);
    at = next;
    if ((next = field_parse(at, end, &fields.value, &fields.value_size)) == NULL)
        return refuse_field(walk, index, at, end, "value", error);
    at = next;
    if ((next = varint32_read(at, end, &fields.header_count)) == NULL)
        return refuse(walk, index, at, "its header count is cut off", error);
    if (fields.header_count < 0)
        return refuse(walk, index, at, "its header count is negative", error);
    if (fields.header_count == 0)
        return refuse(walk, index, next, "bytes are left over behind its last field", error);
    return refuse(walk, index, at, "its header count is more than it has room for", error);
}

static __attribute__((cold, noinline)) int refuse_offset(const struct walk *walk, int32_t index,
                                                         const uint8_t *at, int32_t delta,
                                                         struct beck_error *error)
{
    char what[96];
    if (walk->from_producer)
        (void)snprintf(what, sizeof(what), "its offset delta is %" PRId32, delta);
    else
        (void)snprintf(what, sizeof(what),
                       "its offset delta %" PRId32 " does not rise, or is above the batch's last",
                       delta);
    return refuse(walk, index, at, what, error);
}

/* ---- records -------------------------------------------------------------------------------- */

/* `count` headers, from `at` to the record's `end`, and nothing behind the last. */
static __attribute__((noinline)) int check_headers(const struct walk *walk, int32_t index,
                                                   const uint8_t *at, const uint8_t *end,
                                                   int32_t count, struct beck_error *error)
{
    for (int32_t i = 0; i < count; i++) {
        const uint8_t *bytes;
        int32_t size = -1;
        const uint8_t *next = field_parse(at, end, &bytes, &size);
        if (UNLIKELY(next == NULL || size < 0))
            return refuse_field(walk, index, at, end, "header's name", error);
        at = next;
        next = field_parse(at, end, &bytes, &size);
        if (UNLIKELY(next == NULL))
            return refuse_field(walk, index, at, end, "header's value", error);
        at = next;
    }
    if (UNLIKELY(at != end))
        return refuse(walk, index, at, "bytes are left over behind its last header", error);
    return 0;
}

/*
 * All records, from the first to the batch's end. Compiled once for each kind of batch, so that
 * neither loop keeps in registers what only the other needs. The header is not copied.
 */
static inline __attribute__((always_inline)) int walk_records(const struct walk *walk,
                                                              bool from_producer,
                                                              struct batch_summary *ret_summary,
                                                              struct beck_error *error)
{
    const uint8_t *at = walk->begin;
    const uint8_t *const end = walk->end;
    const int32_t count = walk->header->record_count;
    const int64_t base_ms = walk->header->base_timestamp_ms;
    int64_t max_ms = INT64_MIN;
    int64_t min_ms = INT64_MAX;
    int32_t key_sizes = 0; /* all bits of them: below 0 where one is */
    int32_t max_delta = -1;
    int32_t previous_delta = -1;
    uint64_t value_bytes = 0;

    for (int32_t i = 0; i < count; i++) {
        struct record_fields fields;
        const uint8_t *next = record_parse(at, end, &fields);
        if (UNLIKELY(next == NULL))
            return refuse_record(walk, i, at, error);
        if (UNLIKELY(fields.header_count > 0)) {
            int result = check_headers(walk, i, fields.headers, next, fields.header_count, error);
            if (result < 0)
                return result;
        }
        int32_t delta = fields.offset_delta;
        if (UNLIKELY(from_producer
                         ? delta != i
                         : delta <= previous_delta || delta > walk->header->last_offset_delta))
            return refuse_offset(walk, i, at, delta, error);
        int64_t timestamp_ms;
        if (UNLIKELY(__builtin_add_overflow(base_ms, fields.timestamp_delta_ms, &timestamp_ms)))
            return refuse(walk, i, at, "its timestamp is beyond 64 bits", error);
        if (timestamp_ms > max_ms || i == 0) {
            max_ms = timestamp_ms;
            max_delta = delta;
        }
        min_ms = timestamp_ms < min_ms ? timestamp_ms : min_ms;
        key_sizes |= fields.key_size;
        value_bytes += (uint64_t)(fields.value_size > 0 ? fields.value_size : 0);
        previous_delta = delta;
        at = next;
    }
    if (UNLIKELY(at != end))
        return refuse(walk, count, at, "bytes are left over behind the last record", error);

    ret_summary->view_bytes = value_bytes + (uint64_t)count;
    /* Of one that compaction emptied the header alone knows what there was. */
    ret_summary->max_timestamp_ms = count > 0 ? max_ms : walk->header->max_timestamp_ms;
    ret_summary->max_timestamp_offset_delta = max_delta;
    ret_summary->min_timestamp_ms = count > 0 ? min_ms : -1;
    ret_summary->has_null_key = key_sizes < 0;
    ret_summary->record_bytes = (uint64_t)(end - walk->begin);
    return 0;
}

static int check_records(const struct walk *walk, struct batch_summary *ret_summary,
                         struct beck_error *error)
{
    int result = walk->from_producer ? walk_records(walk, true, ret_summary, error)
                                     : walk_records(walk, false, ret_summary, error);
    if (UNLIKELY(result < 0))
        return result;
    const struct batch_header *header = walk->header;
    if ((header->attributes & BATCH_CONTROL) != 0)
        ret_summary->view_bytes = 0;
    if ((header->attributes & BATCH_LOG_APPEND_TIME) != 0 && header->record_count > 0) {
        /* All have the header's time, so the first is the first that has it. */
        struct record_fields first = {.offset_delta = 0};
        (void)record_parse(walk->begin, walk->end, &first);
        ret_summary->max_timestamp_ms = header->max_timestamp_ms;
        ret_summary->max_timestamp_offset_delta = first.offset_delta;
    }
    return 0;
}

/* ---- the header ----------------------------------------------------------------------------- */

static int check_attributes(const struct batch_header *header, struct beck_error *error)
{
    unsigned codec = header->attributes & BATCH_CODEC_MASK;
    if (UNLIKELY(codec > BECK_COMPRESSION_ZSTD))
        return report_at(error, -EPROTONOSUPPORT, 21, "compression codec %u is not known", codec);
    if (UNLIKELY((header->attributes & ~(unsigned)ATTRIBUTES_KNOWN) != 0))
        return report_at(error, -EINVAL, 21, "batch attributes 0x%04x have bits that are not known",
                         header->attributes);
    if (UNLIKELY(header->producer_id < -1))
        return report_at(error, -EINVAL, 43, "a producer id of %" PRId64 " cannot be",
                         header->producer_id);
    if (UNLIKELY((header->attributes & BATCH_TRANSACTIONAL) != 0 && header->producer_id < 0))
        return report_at(error, -EINVAL, 43, "a transactional batch without a producer id");
    if (UNLIKELY(header->producer_id >= 0 && header->producer_epoch < 0))
        return report_at(error, -EINVAL, 51, "producer id %" PRId64 " with the epoch %d",
                         header->producer_id, header->producer_epoch);
    return 0;
}

/* What a log may hold but a producer must not send. */
static int check_producer_rules(const struct batch_header *header, struct beck_error *error)
{
    if (UNLIKELY((header->attributes & BATCH_CONTROL) != 0))
        return report_at(error, -EINVAL, 21, "a producer may not write control batches");
    if (UNLIKELY((header->attributes & BATCH_LOG_APPEND_TIME) != 0))
        return report_at(error, -EINVAL, 21,
                         "a producer may not set the timestamp type LogAppendTime");
    if (UNLIKELY((header->attributes & BATCH_DELETE_HORIZON) != 0))
        return report_at(error, -EINVAL, 21, "a producer may not set a delete horizon");
    if (UNLIKELY(header->base_offset != 0))
        return report_at(error, -EINVAL, 0,
                         "a producer's batch has the base offset %" PRId64 " instead of 0",
                         header->base_offset);
    if (UNLIKELY(header->record_count == 0))
        return report_at(error, -EINVAL, 57, "a producer's batch has no records");
    if (UNLIKELY(header->last_offset_delta != header->record_count - 1))
        return report_at(error, -EINVAL, 23,
                         "the last offset delta %" PRId32 " does not match %" PRId32 " records",
                         header->last_offset_delta, header->record_count);
    if (UNLIKELY(header->producer_id >= 0 && header->base_sequence < 0))
        return report_at(error, -EINVAL, 53, "producer id %" PRId64 " with the sequence %" PRId32,
                         header->producer_id, header->base_sequence);
    return 0;
}

/* Header and CRC: all that can be seen without the records. */
static int check_header(const void *batch, size_t size, enum batch_rules rules,
                        struct batch_header *ret_header, struct beck_error *error)
{
    /* Records of formats v0 and v1 may be shorter than this header; name what they are. */
    const uint8_t *bytes = batch;
    if (UNLIKELY(size < BATCH_HEADER_BYTES && size > 16 && bytes[16] < BATCH_MAGIC))
        return report_at(error, -EPROTONOSUPPORT, 16, "batch format v%d is not supported, only v%d",
                         bytes[16], BATCH_MAGIC);
    int result = batch_header_read(batch, size, ret_header, error);
    if (UNLIKELY(result == -ENODATA))
        return report_at(error, -EBADMSG, (int64_t)size,
                         "the batch is cut off within its header, after %zu bytes", size);
    if (UNLIKELY(result < 0))
        return result;
    if (UNLIKELY(batch_bytes(ret_header) != size))
        return report_at(error, -EBADMSG, 8, "the batch has %zu bytes but says that it has %zu",
                         size, batch_bytes(ret_header));
    uint32_t crc = batch_crc(batch, size);
    if (UNLIKELY(crc != ret_header->crc))
        return report_at(error, -EBADMSG, 17,
                         "the batch's CRC is 0x%08" PRIx32 " but should be 0x%08" PRIx32,
                         ret_header->crc, crc);
    result = check_attributes(ret_header, error);
    if (UNLIKELY(result < 0))
        return result;
    if (rules == BATCH_FROM_PRODUCER)
        return check_producer_rules(ret_header, error);
    if (UNLIKELY(ret_header->record_count - 1 > ret_header->last_offset_delta))
        return report_at(error, -EINVAL, 57,
                         "%" PRId32 " records are more than a last offset delta of %" PRId32
                         " has room for",
                         ret_header->record_count, ret_header->last_offset_delta);
    return 0;
}

static __attribute__((noinline)) int check_decompress(struct decompressor *decompressor, int codec,
                                                      struct walk *walk, size_t record_bytes_max,
                                                      struct beck_error *error)
{
    const void *records = NULL;
    size_t size = 0;
    int result = decompress(decompressor, codec, walk->begin, (size_t)(walk->end - walk->begin),
                            record_bytes_max, &records, &size);
    if (result == -EBADMSG)
        /* The CRC was right: who made the batch is to blame. */
        return report_at(error, -EINVAL, BATCH_HEADER_BYTES,
                         "the batch's records are not valid %s data", codec_name(codec));
    if (result == -EMSGSIZE)
        return report_at(error, result, BATCH_HEADER_BYTES,
                         "the batch's records are more than %zu bytes when decompressed",
                         record_bytes_max);
    if (result < 0)
        return report_errno(error, result, "cannot decompress the batch's records");
    walk->begin = records;
    walk->end = walk->begin + size;
    walk->compressed = true;
    return 0;
}

int batch_check(const void *batch, size_t size, enum batch_rules rules,
                struct decompressor *decompressor, size_t record_bytes_max,
                struct batch_summary *ret_summary, struct beck_error *error)
{
    struct batch_header header;
    int result = check_header(batch, size, rules, &header, error);
    if (UNLIKELY(result < 0))
        return result;

    struct walk walk = {
        .header = &header,
        .begin = (const uint8_t *)batch + BATCH_HEADER_BYTES,
        .end = (const uint8_t *)batch + size,
        .from_producer = rules == BATCH_FROM_PRODUCER,
    };
    int codec = header.attributes & BATCH_CODEC_MASK;
    /* A batch that compaction emptied keeps its attributes, but has nothing to decompress. */
    if (codec != BECK_COMPRESSION_NONE && walk.begin != walk.end) {
        result = check_decompress(decompressor, codec, &walk, record_bytes_max, error);
        if (result < 0)
            return result;
    }
    result = check_records(&walk, ret_summary, error);
    if (UNLIKELY(result < 0))
        return result;
    ret_summary->header = header;
    return 0;
}
