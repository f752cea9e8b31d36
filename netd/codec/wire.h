/* SPDX-License-Identifier: Apache-2.0
 *
 * The runtime of the generated codec: Kafka's primitive types, a reader that never looks past the
 * end of the bytes it was given, and a writer that builds frames.
 *
 * What is decoded is borrowed: strings, bytes and records point into the request, arrays into the
 * arena. Both must outlive the decoded struct. A length that a peer claims is compared with the
 * bytes that are left before anything is allocated for it.
 *
 * Errors stick: after the first one, reads return zeroes and writes do nothing, so generated code
 * is a list of fields and looks at `error` only where it loops and at the end.
 *
 * Null is a NULL `data` (strings, bytes, arrays). A zeroed struct is therefore full of nulls; where
 * a version does not know null, the encoder writes the empty value instead. What was decoded as
 * empty has a `data` that is not NULL.
 *
 * It leaves to others: which fields there are (schemas/, generate.py), UTF-8, and the sockets.
 */
#ifndef BECK_NETD_CODEC_WIRE_H
#define BECK_NETD_CODEC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "codec/arena.h"

/* Kafka's own limit for strings, in any encoding. */
#define KAFKA_STRING_MAX_BYTES INT16_MAX

/* What a reset of the writer keeps for the next answer, at most. */
#define KAFKA_WRITER_KEEP_BYTES ((size_t)1 << 20)

/* ---- Values ---- */

/* Text, not zero-terminated. */
struct kafka_string {
    const char *data; /* NULL: null */
    uint32_t length;  /* in bytes */
};

struct kafka_bytes {
    const void *data; /* NULL: null */
    uint32_t length;
};

struct kafka_uuid {
    uint8_t bytes[16];
};

enum kafka_records_source {
    KAFKA_RECORDS_MEMORY, /* `size` bytes at `data`; the zeroed struct is present and empty */
    KAFKA_RECORDS_FILE,   /* `size` bytes of `fd` from `position`; never read by the codec */
    KAFKA_RECORDS_NULL,
};

/* Record batches as they lie in a request, in memory or in a segment. */
struct kafka_records {
    enum kafka_records_source source;
    uint32_t size;
    const void *data;  /* MEMORY */
    int fd;            /* FILE */
    uint64_t position; /* FILE */
    void *owner;       /* FILE: what keeps the descriptor open, handed on to the attachment */
};

/* A string that borrows zero-terminated text; null for NULL. */
static inline struct kafka_string kafka_string_of(const char *text)
{
    return (struct kafka_string){.data = text, .length = text ? (uint32_t)strlen(text) : 0};
}

/* Null equals null only. */
static inline bool kafka_string_equal(struct kafka_string a, struct kafka_string b)
{
    if (!a.data || !b.data)
        return !a.data && !b.data;
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

static inline bool kafka_uuid_is_zero(const struct kafka_uuid *uuid)
{
    static const struct kafka_uuid zero;
    return memcmp(uuid, &zero, sizeof(zero)) == 0;
}

static inline struct kafka_records kafka_records_of_memory(const void *data, uint32_t size)
{
    return (struct kafka_records){.source = KAFKA_RECORDS_MEMORY, .size = size, .data = data};
}

/* `owner` is passed on untouched; whoever sends the attachment releases it. */
static inline struct kafka_records kafka_records_of_file(int fd, uint64_t position, uint32_t size,
                                                         void *owner)
{
    return (struct kafka_records){
        .source = KAFKA_RECORDS_FILE,
        .size = size,
        .fd = fd,
        .position = position,
        .owner = owner,
    };
}

/* ---- Reader ---- */

struct kafka_reader {
    const uint8_t *at;
    const uint8_t *end;
    struct kafka_arena *arena; /* for arrays; set by the generated decode functions */
    bool flexible;             /* compact lengths and tagged fields; set likewise */
    int error;                 /* 0, -EBADMSG, -EMSGSIZE or -ENOMEM: the first one stays */
};

/* Starts at `data`, which is borrowed until the last value read from it is done with. */
void kafka_reader_init(struct kafka_reader *reader, const void *data, size_t size);

static inline size_t kafka_reader_left(const struct kafka_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

/* Notes an error (negative errno) unless there is one already. */
void kafka_reader_fail(struct kafka_reader *reader, int error);

bool kafka_read_bool(struct kafka_reader *reader); /* any byte but 0 is true */
int8_t kafka_read_int8(struct kafka_reader *reader);
int16_t kafka_read_int16(struct kafka_reader *reader);
uint16_t kafka_read_uint16(struct kafka_reader *reader);
int32_t kafka_read_int32(struct kafka_reader *reader);
uint32_t kafka_read_uint32(struct kafka_reader *reader);
int64_t kafka_read_int64(struct kafka_reader *reader);
double kafka_read_float64(struct kafka_reader *reader);
uint32_t kafka_read_uvarint(struct kafka_reader *reader); /* at most 5 bytes and 32 bits */
struct kafka_uuid kafka_read_uuid(struct kafka_reader *reader);

/* A null where `nullable` is false is -EBADMSG. */
struct kafka_string kafka_read_string(struct kafka_reader *reader, bool nullable);
struct kafka_bytes kafka_read_bytes(struct kafka_reader *reader, bool nullable);
struct kafka_records kafka_read_records(struct kafka_reader *reader, bool nullable);

/* A string with a 16-bit length even in a flexible version: the client id of request headers. */
struct kafka_string kafka_read_classic_string(struct kafka_reader *reader, bool nullable);

/* Zeroed memory of `size` bytes for the nullable struct that follows; NULL for null and on errors.
 */
void *kafka_read_nullable(struct kafka_reader *reader, size_t size);

/* Reads an array's length and takes zeroed memory for its elements, of `element_size` bytes each in
 * memory and at least `least_bytes` (not 0) on the wire. NULL with *ret_count 0 for null and
 * on errors. */
void *kafka_read_array(struct kafka_reader *reader, bool nullable, size_t least_bytes,
                       size_t element_size, uint32_t *ret_count);

/* A section of tagged fields: kafka_read_tag_section(), then for each field _tag_begin(), the value
 * or _tag_skip(), _tag_end(). While a field is open, the reader ends where the field ends. Numbers
 * must ascend, and a value must be exactly as long as was said. */
struct kafka_tag_section {
    uint32_t left;       /* fields still to come */
    int64_t last_number; /* -1 before the first */
};

struct kafka_tag {
    uint32_t number;
    const uint8_t *outer_end; /* the end of the reader around this field */
};

struct kafka_tag_section kafka_read_tag_section(struct kafka_reader *reader);

/* False after the last field, and on errors. */
bool kafka_read_tag_begin(struct kafka_reader *reader, struct kafka_tag_section *section,
                          struct kafka_tag *ret);
void kafka_read_tag_skip(struct kafka_reader *reader);
void kafka_read_tag_end(struct kafka_reader *reader, const struct kafka_tag *tag);

/* Reads and ignores a whole section, for structs that know no tag. */
void kafka_read_tags_unknown(struct kafka_reader *reader);

/* ---- Writer ---- */

/* Bytes of a file that belong into the output but are not copied into the buffer. */
struct kafka_attachment {
    size_t offset; /* in the writer's buffer: they come before the byte at this offset */
    int fd;
    uint64_t position;
    uint32_t size; /* never 0 */
    void *owner;
};

struct kafka_writer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    struct kafka_attachment *attachments; /* by ascending offset */
    size_t attachments_count;
    size_t attachments_capacity;
    uint64_t attached_bytes; /* the sum of the attachments' sizes */

    size_t frame_offset; /* the open frame, and what was attached before it */
    size_t frame_attachments_count;
    uint64_t frame_attached_bytes;

    bool flexible; /* set by the generated encode functions */
    int error;     /* 0, -EMSGSIZE or -ENOMEM: the first one stays until the frame's end */
};

/* An empty writer. Allocates nothing. */
void kafka_writer_init(struct kafka_writer *writer);

/* Frees the buffer. Owners of attachments are the caller's. */
void kafka_writer_done(struct kafka_writer *writer);

/* Forgets bytes, attachments and errors; keeps at most KAFKA_WRITER_KEEP_BYTES. */
void kafka_writer_reset(struct kafka_writer *writer);

/* Notes an error (negative errno) unless there is one already. */
void kafka_writer_fail(struct kafka_writer *writer, int error);

/* Opens a frame behind what the buffer holds and leaves room for its length. Frames don't nest. */
void kafka_writer_frame_begin(struct kafka_writer *writer);

/* Closes the frame: fills in its length, attachments included. From now on the connection owns the
 * attachments' owners. -EMSGSIZE: above 2^31-1 bytes, or a string too long; -ENOMEM. On an error
 * the frame is taken back as by kafka_writer_frame_abort(), and the owners stay the caller's. */
int kafka_writer_frame_end(struct kafka_writer *writer);

/* Takes the open frame back, with its attachments and the error; what was before it stays. */
void kafka_writer_frame_abort(struct kafka_writer *writer);

void kafka_write_bool(struct kafka_writer *writer, bool value);
void kafka_write_int8(struct kafka_writer *writer, int8_t value);
void kafka_write_int16(struct kafka_writer *writer, int16_t value);
void kafka_write_uint16(struct kafka_writer *writer, uint16_t value);
void kafka_write_int32(struct kafka_writer *writer, int32_t value);
void kafka_write_uint32(struct kafka_writer *writer, uint32_t value);
void kafka_write_int64(struct kafka_writer *writer, int64_t value);
void kafka_write_float64(struct kafka_writer *writer, double value);
void kafka_write_uvarint(struct kafka_writer *writer, uint32_t value);
void kafka_write_uuid(struct kafka_writer *writer, const struct kafka_uuid *value);

/* Null where `nullable` is false is written as empty. */
void kafka_write_string(struct kafka_writer *writer, struct kafka_string value, bool nullable);
void kafka_write_bytes(struct kafka_writer *writer, struct kafka_bytes value, bool nullable);
void kafka_write_records(struct kafka_writer *writer, const struct kafka_records *value,
                         bool nullable);
void kafka_write_classic_string(struct kafka_writer *writer, struct kafka_string value,
                                bool nullable);

/* Whether a nullable struct follows. */
void kafka_write_present(struct kafka_writer *writer, bool present);

/* The length of an array whose elements follow. */
void kafka_write_array(struct kafka_writer *writer, uint32_t count, bool null);

/* One tagged field: its number, room for its size; then the value; then the size is filled in.
 * What _tag_begin() returns goes to _tag_end(). A value holds no attachment. */
size_t kafka_write_tag_begin(struct kafka_writer *writer, uint32_t number);
void kafka_write_tag_end(struct kafka_writer *writer, size_t start);

#endif
