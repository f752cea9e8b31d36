/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records inside a batch, decompressed: reading them one after the other, and writing them. A
 * record is: length, attributes, timestamp delta, offset delta, key, value, headers, all in varints
 * (KIP-98).
 */
#ifndef FORMAT_RECORD_H
#define FORMAT_RECORD_H

#include "batch.h"
#include "beck.h"

struct record_iterator {
    const uint8_t *at;
    const uint8_t *end;
    int64_t base_offset;
    int64_t base_timestamp_ms;
    int64_t append_timestamp_ms; /* of all records, where log_append_time */
    int32_t remaining;           /* records */
    bool log_append_time;
};

/* Begin with the records of a batch: `records` are those bytes, decompressed, and outlive it. */
void record_iterator_init(struct record_iterator *iterator, const struct batch_header *header,
                          const void *records, size_t size);

struct decompressor;

/* The same of a whole batch of `size` bytes, whose records are decompressed where they have to be:
 * they are valid until the decompressor is used again, or the batch is gone. -EBADMSG, -EMSGSIZE,
 * -EPROTONOSUPPORT: they cannot be decompressed. -ENOMEM. */
int record_iterator_begin(struct record_iterator *iterator, const struct batch_header *header,
                          const void *batch, size_t size, struct decompressor *decompressor);

/*
 * The next record; its pointers point into the records' bytes. Returns 1; 0 after the last;
 * -EBADMSG where it is malformed, or bytes are left over after the last: the iterator then stays
 * before it. The headers are handed out as they are: beck_header_next() checks them.
 */
int record_next(struct record_iterator *iterator, struct beck_record *ret_record);

/*
 * Write one record's encoding at `to`, which has `room` bytes, with the given deltas; the record's
 * own offset and timestamp are not looked at, nor what its headers are made of. Returns its size,
 * or -EMSGSIZE when it does not fit (nothing was written), -EINVAL for a size below -1.
 */
ssize_t record_write(uint8_t *to, size_t room, const struct beck_record *record,
                     int32_t offset_delta, int64_t timestamp_delta_ms);

/* The most that record_write() could need for this record, whatever its deltas. */
size_t record_bytes_max(const struct beck_record *record);

#endif
