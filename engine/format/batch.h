/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RecordBatch v2 (KIP-98): the header, and whether a batch is what it claims to be. Pure: no I/O,
 * no state. Nothing in a batch is believed before it was checked against the bytes that are there.
 *
 *     offset  0  base offset       8      21  attributes          2
 *             8  length (after it) 4      23  last offset delta   4
 *            12  leader epoch      4      27  base timestamp      8
 *            16  magic (2)         1      35  max timestamp       8
 *            17  CRC-32C of 21..   4      43  producer id         8
 *                                         51  producer epoch      2
 *                                         53  base sequence       4
 *                                         57  record count        4
 */
#ifndef FORMAT_BATCH_H
#define FORMAT_BATCH_H

#include "beck.h"

#include <stddef.h>
#include <stdint.h>

#define BATCH_HEADER_BYTES BECK_BATCH_HEADER_BYTES
#define BATCH_LENGTH_END   12 /* base offset and length: what `length` does not count */
#define BATCH_CRC_BEGIN    21 /* the CRC covers from here to the end */
#define BATCH_MAGIC        2

enum batch_attributes {
    BATCH_CODEC_MASK = 0x07,
    BATCH_LOG_APPEND_TIME = 0x08,
    BATCH_TRANSACTIONAL = 0x10,
    BATCH_CONTROL = 0x20,
    BATCH_DELETE_HORIZON = 0x40,
};

struct batch_header {
    int64_t base_offset;
    int32_t length;
    int32_t leader_epoch;
    int8_t magic;
    uint32_t crc;
    uint16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp_ms;
    int64_t max_timestamp_ms;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t record_count;
};

/*
 * Read a header. `available` is how many bytes stand at `data`, at least BATCH_HEADER_BYTES, or
 * -ENODATA. Checks what the header alone can show: length, magic, counts not negative. The batch
 * may be longer than what is available: compare with batch_bytes(). -EBADMSG; -EPROTONOSUPPORT:
 * magic.
 */
int batch_header_read(const void *data, size_t available, struct batch_header *ret_header,
                      struct beck_error *error);

/* Write all of a header's BATCH_HEADER_BYTES. */
void batch_header_write(void *to, const struct batch_header *header);

/* The size of the whole batch. */
static inline size_t batch_bytes(const struct batch_header *header)
{
    return (size_t)header->length + BATCH_LENGTH_END;
}

/* The offset after the batch's last. */
static inline int64_t batch_next_offset(const struct batch_header *header)
{
    return header->base_offset + header->last_offset_delta + 1;
}

/* The CRC that the batch of `size` bytes should have. */
uint32_t batch_crc(const void *batch, size_t size);

/* What checking a batch tells. */
struct batch_summary {
    struct batch_header header;
    uint64_t view_bytes; /* of its records in the file view: sum of value size + 1; 0: control */
    int64_t max_timestamp_ms; /* of its records, whatever the header says; without records: that */
    int64_t max_timestamp_offset_delta; /* of the first record that has it */
    int64_t min_timestamp_ms;           /* of its records; of none -1, as the largest */
    bool has_null_key;                  /* has a record whose key is null */
    uint64_t record_bytes;              /* of its records, decompressed */
};

enum batch_rules {
    /* From a producer, as Kafka's broker wants it: base offset 0, offset deltas 0, 1, 2, ..., at
     * least one record; no control batch, LogAppendTime or delete horizon; a sequence where there
     * is a producer id. A max timestamp in the header that differs from the records' is no error.
     */
    BATCH_FROM_PRODUCER = 1,
    /* From a log: offsets rise but may have holes (compaction), and there may be no records. */
    BATCH_FROM_LOG = 2,
};

struct decompressor;

/*
 * Check a whole batch: header, CRC and every record, decompressing with `decompressor` (which keeps
 * its memory; may be NULL for an uncompressed batch) up to `record_bytes_max`. `size` must be the
 * batch's exactly. Allocates nothing for an uncompressed batch. What the CRC does not cover is base
 * offset, length, leader epoch and magic: of these the leader epoch is taken as it is, and in a log
 * the base offset too, if it is not negative.
 *
 * -EBADMSG: the bytes are not those that were sent: length or CRC, or a header that cannot be.
 * -EINVAL: they are, but a count, record or attribute is wrong. -EMSGSIZE: grows too large.
 * -EPROTONOSUPPORT: magic or codec. -ENOMEM. The text names record and byte; the error's byte
 * counts from the batch's begin (report_place() with the sum makes it one in the file).
 */
int batch_check(const void *batch, size_t size, enum batch_rules rules,
                struct decompressor *decompressor, size_t record_bytes_max,
                struct batch_summary *ret_summary, struct beck_error *error);

#endif
