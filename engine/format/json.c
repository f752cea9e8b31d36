/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lossless JSON form of a record. Text goes through as it is, in runs between the few bytes
 * that JSON wants escaped; what is not UTF-8 becomes base64 (RFC 4648, with padding), so that the
 * same bytes come back.
 *
 * Everything is written through a sink that counts on when its room is used up: how long a record
 * becomes is known after one pass, whether it fitted or not.
 */
#include "beck.h"
#include "bytes.h"
#include "check.h"
#include "public.h"
#include "utf8.h"

#include <errno.h>

struct sink {
    uint8_t *to;
    size_t room;
    size_t size; /* what was put so far, also what did not fit */
};

static inline void put(struct sink *sink, const void *data, size_t size)
{
    if (LIKELY(sink->size < sink->room)) {
        size_t fits = sink->room - sink->size;
        memcpy(sink->to + sink->size, data, size < fits ? size : fits);
    }
    sink->size += size;
}

#define PUT_TEXT(sink, text) put((sink), (text), sizeof(text) - 1)

static void put_number(struct sink *sink, int64_t value)
{
    char digits[20]; /* of -2^63 there are 19, and the sign */
    char *at = digits + sizeof(digits);
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do
        *--at = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (value < 0)
        *--at = '-';
    put(sink, at, (size_t)(digits + sizeof(digits) - at));
}

/* ---- text ----------------------------------------------------------------------------------- */

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* Not zero if one of the eight bytes is a control character, '"' or '\\'. No false alarms but for
 * bytes above a true one, and no misses. */
static inline uint64_t special_among(uint64_t word)
{
    uint64_t quote = word ^ EACH_BYTE('"');
    uint64_t backslash = word ^ EACH_BYTE('\\');
    uint64_t control_found = (word - EACH_BYTE(0x20)) & ~word;
    uint64_t quote_found = (quote - EACH_BYTE(1)) & ~quote;
    uint64_t backslash_found = (backslash - EACH_BYTE(1)) & ~backslash;
    return (control_found | quote_found | backslash_found) & EACH_BYTE(0x80);
}

static inline bool special(uint8_t byte)
{
    return byte < 0x20 || byte == '"' || byte == '\\';
}

/* The first byte that needs an escape, or `end`. */
static const uint8_t *find_special(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 8) {
        uint64_t found = special_among(load_le64(at));
        if (found != 0)
            return at + __builtin_ctzll(found) / 8;
        at += 8;
    }
    while (at < end && !special(*at))
        at++;
    return at;
}

static void put_escape(struct sink *sink, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char shorts[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't',
    };
    char escape[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 0xf]};
    if (byte >= 0x20)
        escape[1] = (char)byte; /* '"' or '\\' */
    else if (shorts[byte] != 0)
        escape[1] = shorts[byte];
    put(sink, escape, escape[1] == 'u' ? 6 : 2);
}

static void put_text(struct sink *sink, const uint8_t *at, size_t size)
{
    const uint8_t *end = at + size;
    PUT_TEXT(sink, "\"");
    while (at < end) {
        const uint8_t *stop = find_special(at, end);
        if (stop > at)
            put(sink, at, (size_t)(stop - at));
        if (stop == end)
            break;
        put_escape(sink, *stop);
        at = stop + 1;
    }
    PUT_TEXT(sink, "\"");
}

/* ---- base64 --------------------------------------------------------------------------------- */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static inline void base64_group(uint32_t bits, char to[4])
{
    to[0] = base64_digits[bits >> 18 & 0x3f];
    to[1] = base64_digits[bits >> 12 & 0x3f];
    to[2] = base64_digits[bits >> 6 & 0x3f];
    to[3] = base64_digits[bits & 0x3f];
}

static void put_base64(struct sink *sink, const uint8_t *at, size_t size)
{
    PUT_TEXT(sink, "{\"base64\":\"");
    char group[256];
    size_t filled = 0;
    for (; size >= 3; size -= 3, at += 3) {
        base64_group((uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2], group + filled);
        filled += 4;
        if (filled == sizeof(group)) {
            put(sink, group, filled);
            filled = 0;
        }
    }
    put(sink, group, filled);
    if (size > 0) {
        base64_group((uint32_t)at[0] << 16 | (size == 2 ? (uint32_t)at[1] << 8 : 0), group);
        group[3] = '=';
        if (size == 1)
            group[2] = '=';
        put(sink, group, 4);
    }
    PUT_TEXT(sink, "\"}");
}

/* ---- the record -------------------------------------------------------------------------------
 */

/* A byte string in whichever form keeps it whole. */
static void put_bytes(struct sink *sink, const void *bytes, int32_t size)
{
    if (size < 0)
        PUT_TEXT(sink, "null");
    else if (utf8_valid(bytes, (size_t)size))
        put_text(sink, bytes, (size_t)size);
    else
        put_base64(sink, bytes, (size_t)size);
}

static int put_headers(struct sink *sink, const struct beck_record *record)
{
    struct beck_header header;
    size_t position = 0;
    uint32_t count = 0;
    int result;
    PUT_TEXT(sink, ",\"headers\":[");
    while ((result = beck_header_next(record, &position, &header)) > 0) {
        if (count++ > 0)
            PUT_TEXT(sink, ",");
        PUT_TEXT(sink, "[");
        put_bytes(sink, header.name, header.name_size);
        PUT_TEXT(sink, ",");
        put_bytes(sink, header.value, header.value_size);
        PUT_TEXT(sink, "]");
    }
    PUT_TEXT(sink, "]");
    return result < 0 || count != record->header_count ? -EBADMSG : 0;
}

BECK_PUBLIC ssize_t beck_record_json(const struct beck_record *record, const char *topic,
                                     int32_t partition, void *buffer, size_t size)
{
    struct sink sink = {.to = buffer, .room = size};
    PUT_TEXT(&sink, "{");
    if (topic != NULL) {
        PUT_TEXT(&sink, "\"topic\":");
        put_text(&sink, (const uint8_t *)topic, strlen(topic));
        PUT_TEXT(&sink, ",\"partition\":");
        put_number(&sink, partition);
        PUT_TEXT(&sink, ",");
    }
    PUT_TEXT(&sink, "\"offset\":");
    put_number(&sink, record->offset);
    PUT_TEXT(&sink, ",\"timestamp\":");
    put_number(&sink, record->timestamp_ms);
    if (record->log_append_time)
        PUT_TEXT(&sink, ",\"timestampType\":\"log-append\"");
    PUT_TEXT(&sink, ",\"key\":");
    put_bytes(&sink, record->key, record->key_size);
    PUT_TEXT(&sink, ",\"value\":");
    put_bytes(&sink, record->value, record->value_size);
    if (record->header_count > 0 || record->headers_size > 0) {
        int result = put_headers(&sink, record);
        if (result < 0)
            return result;
    }
    PUT_TEXT(&sink, "}\n");
    return (ssize_t)sink.size;
}
