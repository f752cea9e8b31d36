/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader for the one shape of JSON that stands for a record. It is no general parser: it knows
 * the form's keys, refuses what it does not know, and never needs more memory than the line,
 * because a decoded string is never longer than its JSON (RFC 8259) or base64 (RFC 4648).
 */
#include "json_input.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct json {
    char *at;
    char *end;
    const char *wrong; /* the first thing that was not right */
};

struct bytes {
    char *data;
    int32_t size; /* -1: null */
};

static bool fail(struct json *json, const char *wrong)
{
    if (json->wrong == NULL)
        json->wrong = wrong;
    return false;
}

static void skip_spaces(struct json *json)
{
    while (json->at < json->end && (*json->at == ' ' || *json->at == '\t' || *json->at == '\r'))
        json->at++;
}

/* Take this character if it comes next. */
static bool take(struct json *json, char wanted)
{
    skip_spaces(json);
    if (json->at == json->end || *json->at != wanted)
        return false;
    json->at++;
    return true;
}

static bool take_word(struct json *json, const char *word)
{
    size_t length = strlen(word);

    skip_spaces(json);
    if ((size_t)(json->end - json->at) < length || memcmp(json->at, word, length) != 0)
        return false;
    json->at += length;
    return true;
}

/* ---- strings ------------------------------------------------------------------------------ */

static bool take_hex(struct json *json, uint32_t *ret_code)
{
    uint32_t code = 0;

    if (json->end - json->at < 4)
        return fail(json, "a \\u escape is cut short");
    for (int i = 0; i < 4; i++) {
        char digit = *json->at++;
        code <<= 4;
        if (digit >= '0' && digit <= '9')
            code |= (uint32_t)(digit - '0');
        else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
            code |= (uint32_t)((digit | 0x20) - 'a' + 10);
        else
            return fail(json, "a \\u escape has no four hexadecimal digits");
    }
    *ret_code = code;
    return true;
}

static char *put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* What follows \u, with the second half of a surrogate pair. */
static bool take_code_point(struct json *json, char **to)
{
    uint32_t code;
    uint32_t low;

    if (!take_hex(json, &code))
        return false;
    if (code >= 0xd800 && code <= 0xdfff) {
        if (code >= 0xdc00 || json->end - json->at < 2 || memcmp(json->at, "\\u", 2) != 0)
            return fail(json, "a \\u escape is half of a surrogate pair");
        json->at += 2;
        if (!take_hex(json, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return fail(json, "a \\u escape is half of a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *to = put_utf8(*to, code);
    return true;
}

static bool take_escape(struct json *json, char **to)
{
    static const char names[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";

    if (json->at == json->end)
        return fail(json, "a string does not end");
    char name = *json->at++;
    if (name == 'u')
        return take_code_point(json, to);
    const char *found = name != '\0' ? strchr(names, name) : NULL;
    if (found == NULL)
        return fail(json, "a string has an escape that JSON does not know");
    *(*to)++ = meanings[found - names];
    return true;
}

/* A string, decoded where it stands. */
static bool take_string(struct json *json, struct bytes *ret_string)
{
    if (!take(json, '"'))
        return fail(json, "a string is missing");
    char *begin = json->at;
    char *to = begin;
    while (json->at < json->end) {
        char byte = *json->at++;
        if (byte == '"') {
            *ret_string = (struct bytes){begin, (int32_t)(to - begin)};
            return true;
        }
        if ((unsigned char)byte < 0x20)
            return fail(json, "a string has a control character that is not escaped");
        if (byte != '\\')
            *to++ = byte;
        else if (!take_escape(json, &to))
            return false;
    }
    return fail(json, "a string does not end");
}

/* ---- byte strings ------------------------------------------------------------------------- */

static int base64_digit(char digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

static bool decode_base64(struct json *json, struct bytes *string)
{
    uint32_t held = 0;
    int bits = 0;
    int32_t size = string->size;
    char *to = string->data;

    if (size % 4 != 0)
        return fail(json, "a base64 string has a wrong length");
    for (int padding = 0; padding < 2 && size > 0 && string->data[size - 1] == '='; padding++)
        size--;
    for (int32_t i = 0; i < size; i++) {
        int digit = base64_digit(string->data[i]);
        if (digit < 0)
            return fail(json, "a base64 string has a character that is none of base64's");
        held = held << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *to++ = (char)(held >> bits);
        }
    }
    string->size = (int32_t)(to - string->data);
    return true;
}

static bool take_bytes(struct json *json, struct bytes *ret_bytes)
{
    struct bytes name;

    if (take_word(json, "null")) {
        *ret_bytes = (struct bytes){NULL, -1};
        return true;
    }
    if (!take(json, '{')) {
        skip_spaces(json);
        if (json->at == json->end || *json->at != '"')
            return fail(json, "a key or value is no string, no {\"base64\":\"...\"} and not null");
        return take_string(json, ret_bytes);
    }
    if (!take_string(json, &name))
        return false;
    if (name.size != 6 || memcmp(name.data, "base64", 6) != 0)
        return fail(json, "an object as key or value is not {\"base64\":\"...\"}");
    if (!take(json, ':') || !take_string(json, ret_bytes) || !take(json, '}'))
        return fail(json, "{\"base64\":\"...\"} is malformed");
    return decode_base64(json, ret_bytes);
}

/* ---- numbers, headers, the record --------------------------------------------------------- */

static bool take_number(struct json *json, int64_t *ret_number)
{
    uint64_t number = 0;

    skip_spaces(json);
    bool negative = take(json, '-');
    const char *begin = json->at;
    while (json->at < json->end && *json->at >= '0' && *json->at <= '9') {
        number = number * 10 + (uint64_t)(*json->at++ - '0');
        if (number > INT64_MAX || json->at - begin > 19)
            return fail(json, "a number is too large");
    }
    if (json->at == begin)
        return fail(json, "a whole number is missing");
    *ret_number = negative ? -(int64_t)number : (int64_t)number;
    return true;
}

/* [["name","value"],...] */
static bool take_headers(struct json *json, struct headers *headers)
{
    struct bytes name;
    struct bytes value;

    if (!take(json, '['))
        return fail(json, "headers are not a list");
    if (take(json, ']'))
        return true;
    do {
        if (!take(json, '[') || !take_bytes(json, &name) || name.size < 0 || !take(json, ',') ||
            !take_bytes(json, &value) || !take(json, ']'))
            return fail(json, "a header is not [\"name\",value]");
        if (headers_add(headers, name.data, name.size, value.data, value.size) < 0)
            return fail(json, NULL);
    } while (take(json, ','));
    return take(json, ']') || fail(json, "the list of headers does not end");
}

static bool named(const struct bytes *name, const char *wanted)
{
    return (size_t)name->size == strlen(wanted) &&
           memcmp(name->data, wanted, (size_t)name->size) == 0;
}

struct fields {
    struct bytes key;
    struct bytes value;
    int64_t timestamp_ms;
    int64_t offset;
    int64_t partition;
    bool log_append_time;
    bool has_value;
};

static bool take_member(struct json *json, struct fields *fields, struct headers *headers)
{
    struct bytes name;
    struct bytes text;

    if (!take_string(json, &name))
        return false;
    if (!take(json, ':'))
        return fail(json, "a colon is missing behind a name");
    if (named(&name, "value")) {
        fields->has_value = true;
        return take_bytes(json, &fields->value);
    }
    if (named(&name, "key"))
        return take_bytes(json, &fields->key);
    if (named(&name, "timestamp"))
        return take_number(json, &fields->timestamp_ms);
    if (named(&name, "partition"))
        return take_number(json, &fields->partition);
    if (named(&name, "headers"))
        return take_headers(json, headers);
    if (named(&name, "offset"))
        return take_number(json, &fields->offset);
    if (named(&name, "topic"))
        return take_string(json, &text);
    if (named(&name, "timestampType")) {
        if (!take_string(json, &text))
            return false;
        fields->log_append_time = named(&text, "log-append");
        return true;
    }
    return fail(json, "the object has a member that records do not have");
}

static bool take_record(struct json *json, struct fields *fields, struct headers *headers)
{
    if (!take(json, '{'))
        return fail(json, "the line is no JSON object");
    if (!take(json, '}')) {
        do {
            if (!take_member(json, fields, headers))
                return false;
        } while (take(json, ','));
        if (!take(json, '}'))
            return fail(json, "the object does not end");
    }
    skip_spaces(json);
    if (json->at != json->end)
        return fail(json, "something stands behind the object");
    if (fields->partition < -1 || fields->partition > INT32_MAX)
        return fail(json, "there is no such partition number");
    if (fields->offset < -1)
        return fail(json, "there is no such offset");
    return fields->has_value || fail(json, "the object has no value");
}

int json_input_record(char *line, size_t size, struct headers *headers,
                      struct beck_record *ret_record, int32_t *ret_partition,
                      const char **ret_wrong)
{
    struct json json = {.at = line, .end = line + size};
    struct fields fields = {
        .key.size = -1, .timestamp_ms = JSON_INPUT_NO_TIME, .offset = -1, .partition = -1};

    headers_reset(headers);
    if (!take_record(&json, &fields, headers)) {
        *ret_wrong = json.wrong;
        return json.wrong != NULL ? -EINVAL : -ENOMEM;
    }
    *ret_record = (struct beck_record){
        .key = fields.key.data,
        .key_size = fields.key.size,
        .value = fields.value.data,
        .value_size = fields.value.size,
        .timestamp_ms = fields.timestamp_ms,
        .offset = fields.offset,
        .log_append_time = fields.log_append_time,
    };
    headers_give(headers, ret_record);
    *ret_partition = (int32_t)fields.partition;
    return 0;
}
