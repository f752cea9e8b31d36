/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts for `struct beck_error`. Works in the space of the error itself and on the stack: a failure
 * can be told when there is no memory.
 */
#include "report.h"

#include "check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static __attribute__((format(printf, 4, 0))) void set(struct beck_error *error, int code,
                                                      int64_t byte, const char *format,
                                                      va_list arguments)
{
    error->code = code;
    error->topic[0] = '\0';
    error->partition = -1;
    error->offset = -1;
    error->byte = byte;
    error->record = -1;
    (void)vsnprintf(error->message, sizeof(error->message), format, arguments);
}

int report(struct beck_error *error, int code, const char *format, ...)
{
    if (error != NULL) {
        va_list arguments;
        va_start(arguments, format);
        set(error, code, -1, format, arguments);
        va_end(arguments);
    }
    return code;
}

int report_at(struct beck_error *error, int code, int64_t byte, const char *format, ...)
{
    if (error != NULL) {
        va_list arguments;
        va_start(arguments, format);
        set(error, code, byte, format, arguments);
        va_end(arguments);
    }
    return code;
}

int report_errno(struct beck_error *error, int code, const char *format, ...)
{
    if (error != NULL) {
        va_list arguments;
        va_start(arguments, format);
        set(error, code, -1, format, arguments);
        va_end(arguments);
        char why[128];
        const char *text = strerror_r(code < 0 ? -code : code, why, sizeof(why));
        size_t used = strlen(error->message);
        (void)snprintf(error->message + used, sizeof(error->message) - used, ": %s", text);
    }
    return code;
}

/* Put `prefix` before the message's part from `drop` on. */
static void prepend(struct beck_error *error, const char *prefix, size_t drop)
{
    char rest[sizeof(error->message)];
    (void)snprintf(rest, sizeof(rest), "%s", error->message + drop);
    (void)snprintf(error->message, sizeof(error->message), "%s", prefix);
    size_t size = strlen(error->message);
    (void)snprintf(error->message + size, sizeof(error->message) - size, "%s", rest);
}

void report_prefix(struct beck_error *error, const char *format, ...)
{
    if (error == NULL)
        return;
    char prefix[sizeof(error->message)];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(prefix, sizeof(prefix) - 2, format, arguments);
    va_end(arguments);
    strcat(prefix, ": ");
    prepend(error, prefix, 0);
}

#define PLACE_BYTES (BECK_TOPIC_NAME_BYTES + 128)

/* The place that the error knows, "topic T partition 3: " say, or nothing. Returns its length. */
static size_t place_print(const struct beck_error *error, char to[PLACE_BYTES])
{
    size_t used = 0;
    to[0] = '\0';
    if (error->topic[0] != '\0')
        used += (size_t)snprintf(to, PLACE_BYTES, "topic %s ", error->topic);
    if (error->partition >= 0)
        used += (size_t)snprintf(to + used, PLACE_BYTES - used, "partition %" PRId32 " ",
                                 error->partition);
    if (error->offset >= 0)
        used +=
            (size_t)snprintf(to + used, PLACE_BYTES - used, "offset %" PRId64 " ", error->offset);
    if (error->byte >= 0)
        used += (size_t)snprintf(to + used, PLACE_BYTES - used, "byte %" PRId64 " ", error->byte);
    CHECK(used + 1 < PLACE_BYTES);
    if (used > 0) {
        memcpy(to + used - 1, ": ", 3);
        used++;
    }
    return used;
}

void report_place(struct beck_error *error, const char *topic, int32_t partition, int64_t offset,
                  int64_t byte)
{
    if (error == NULL)
        return;
    char place[PLACE_BYTES];
    size_t known = place_print(error, place);
    bool stands_there = strncmp(error->message, place, known) == 0;

    if (error->topic[0] == '\0' && topic != NULL)
        (void)snprintf(error->topic, sizeof(error->topic), "%s", topic);
    if (error->partition < 0)
        error->partition = partition;
    if (error->offset < 0)
        error->offset = offset;
    if (byte >= 0)
        error->byte = byte;

    (void)place_print(error, place);
    prepend(error, place, stands_there ? known : 0);
}
