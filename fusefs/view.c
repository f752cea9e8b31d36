/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to log positions, and lines to records; see view.h. The happy path of a write: each
 * complete line goes to the sink without being copied, except the first, whose beginning may have
 * come with earlier writes and is joined in `held`; store() is called once; what follows the last
 * newline is held.
 *
 * What can fail is arranged so that a writer can tell what is recorded: a failure before anything
 * of this write was stored takes back what the write added to `held`, a later one is a short write.
 */
#include "view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Inode numbers: topic number + 1, then 4 bits for what it is, then the partition. */
#define INO_TOPIC_SHIFT 24
#define INO_KIND_SHIFT  20
#define INO_DIRECTORY   0U
#define INO_PARTITION   1U

/* A batch with one record, without the record's value: see FORMAT.md, RecordBatch. */
#define BATCH_HEADER_BYTES 61U
#define RECORD_FIXED_BYTES 5U     /* attributes, two deltas of 0, a null key, no headers */
#define RECORD_OTHER_BYTES 15U    /* the same and two lengths, at most */
#define HELD_KEPT_BYTES    65536U /* a buffer up to this size stays for the next line */

int32_t view_partition_number(const char *name, uint32_t count)
{
    uint32_t number = 0;
    size_t digits = strlen(name);
    if (digits == 0 || digits > 9 || (name[0] == '0' && digits > 1))
        return -1;
    for (const char *at = name; *at != '\0'; at++) {
        if (*at < '0' || *at > '9')
            return -1;
        number = number * 10 + (uint32_t)(*at - '0');
    }
    return number < count ? (int32_t)number : -1;
}

static uint64_t ino_of(uint32_t topic_number, uint32_t kind, uint32_t low)
{
    return (((uint64_t)topic_number + 1) << INO_TOPIC_SHIFT) | ((uint64_t)kind << INO_KIND_SHIFT) |
           low;
}

uint64_t view_topic_ino(uint32_t topic_number)
{
    return ino_of(topic_number, INO_DIRECTORY, 0);
}

uint64_t view_partition_ino(uint32_t topic_number, int32_t partition)
{
    return ino_of(topic_number, INO_PARTITION, (uint32_t)partition);
}

mode_t view_file_mode(mode_t topic_mode)
{
    return topic_mode & 0666;
}

mode_t view_topic_mode(mode_t file_mode)
{
    /* Who may read or write the files must be able to reach them. */
    mode_t bits = file_mode & 0666;
    return bits | ((bits & 0444) >> 2) | ((bits & 0222) >> 1);
}

int64_t view_seek(int64_t offset, int whence, uint64_t size)
{
    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return -EINVAL;
    if (offset < 0 || (uint64_t)offset >= size)
        return -ENXIO;
    return whence == SEEK_DATA ? offset : (int64_t)size;
}

/* Bytes of a zigzag varint of a length. */
static size_t varint_bytes(uint64_t length)
{
    size_t bytes = 1;
    for (length <<= 1; length >= 0x80; length >>= 7)
        bytes++;
    return bytes;
}

static size_t record_bytes(size_t value_bytes)
{
    size_t body = RECORD_FIXED_BYTES + varint_bytes(value_bytes) + value_bytes;
    return varint_bytes(body) + body;
}

size_t view_line_limit(uint32_t max_message_bytes)
{
    size_t overhead = BATCH_HEADER_BYTES + RECORD_OTHER_BYTES;
    size_t limit = max_message_bytes > overhead ? max_message_bytes - overhead : 0;
    while (BATCH_HEADER_BYTES + record_bytes(limit + 1) <= max_message_bytes)
        limit++;
    return limit;
}

static void held_free(struct view_splitter *splitter)
{
    atomic_fetch_sub(splitter->held_total, splitter->held_capacity);
    free(splitter->held);
    splitter->held = NULL;
    splitter->held_bytes = 0;
    splitter->held_capacity = 0;
}

/* Hold nothing, but keep a small buffer: writers that pause within a line tend to do it again. */
static void held_reset(struct view_splitter *splitter)
{
    splitter->held_bytes = 0;
    if (splitter->held_capacity > HELD_KEPT_BYTES)
        held_free(splitter);
}

static int held_grow(struct view_splitter *splitter, size_t bytes)
{
    size_t capacity = splitter->held_capacity > 0 ? splitter->held_capacity : 256;
    while (capacity < bytes)
        capacity *= 2;
    size_t more = capacity - splitter->held_capacity;
    if (more == 0)
        return 0;
    if (atomic_fetch_add(splitter->held_total, more) + more > VIEW_HELD_BYTES_MAX)
        goto refuse;
    char *grown = realloc(splitter->held, capacity);
    if (grown == NULL)
        goto refuse;
    splitter->held = grown;
    splitter->held_capacity = capacity;
    return 0;
refuse:
    atomic_fetch_sub(splitter->held_total, more);
    return -ENOMEM;
}

static int held_add(struct view_splitter *splitter, const char *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    int result = held_grow(splitter, splitter->held_bytes + bytes);
    if (result < 0)
        return result;
    memcpy(splitter->held + splitter->held_bytes, data, bytes);
    splitter->held_bytes += bytes;
    return 0;
}

void view_splitter_done(struct view_splitter *splitter)
{
    held_free(splitter);
    splitter->refusing = false;
    splitter->refused_bytes = 0;
}

/* FNV-1a. */
static uint64_t hash_of(const char *data, size_t bytes)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)data[i]) * 0x100000001b3U;
    return hash;
}

/* Does this write begin with what was refused last? */
static bool refused_again(const struct view_splitter *splitter, const char *data, size_t bytes)
{
    size_t refused = splitter->refused_bytes;
    return refused > 0 && bytes >= refused && hash_of(data, refused) == splitter->refused_hash;
}

static void refused_note(struct view_splitter *splitter, const char *data, size_t bytes)
{
    splitter->refused_bytes = bytes;
    splitter->refused_hash = hash_of(data, bytes);
}

/* Hand one complete line on, the first one together with what was held before it. */
static int line_pass(struct view_splitter *splitter, size_t limit, const char *line, size_t bytes,
                     size_t end, struct view_sink *sink)
{
    if (splitter->held_bytes + bytes > limit)
        return -EMSGSIZE;
    if (splitter->held_bytes == 0)
        return sink->line(sink, line, bytes, end);
    int result = held_add(splitter, line, bytes);
    if (result < 0)
        return result;
    return sink->line(sink, splitter->held, splitter->held_bytes, end);
}

/*
 * All complete lines. On success *ret_end is the byte behind the last newline, 0 where there is
 * none. On failure sink->stored tells how far it came.
 */
static int lines_pass(struct view_splitter *splitter, size_t limit, const char *data, size_t bytes,
                      struct view_sink *sink, size_t *ret_end)
{
    size_t held_before = splitter->held_bytes;
    size_t at = 0;
    int result = 0;
    const char *newline;
    while ((newline = memchr(data + at, '\n', bytes - at)) != NULL) {
        size_t end = (size_t)(newline - data) + 1;
        result = line_pass(splitter, limit, data + at, end - 1 - at, end, sink);
        if (result == -EMSGSIZE && at == 0 && held_before > 0)
            refused_note(splitter, data, end);
        if (at == 0)
            splitter->held_bytes = 0; /* still there, should the first line have to be taken back */
        if (result < 0)
            break;
        at = end;
    }
    int too_long = result == -EMSGSIZE && at > 0 ? result : 0;
    if (at > 0 && (result == 0 || too_long < 0))
        result = sink->store(sink);
    if (sink->stored == 0 && result != -EMSGSIZE)
        splitter->held_bytes = held_before;
    *ret_end = at;
    return result < 0 ? result : too_long;
}

ssize_t view_splitter_write(struct view_splitter *splitter, size_t limit, const char *data,
                            size_t bytes, struct view_sink *sink)
{
    if (splitter->refusing) {
        splitter->refusing = memchr(data, '\n', bytes) == NULL;
        return -EMSGSIZE;
    }
    if (refused_again(splitter, data, bytes))
        return -EMSGSIZE;
    splitter->refused_bytes = 0;
    size_t end = 0;
    sink->stored = 0;
    int result = lines_pass(splitter, limit, data, bytes, sink, &end);
    if (result < 0 && sink->stored > 0)
        return (ssize_t)sink->stored;
    if (result == -EMSGSIZE || (result == 0 && end > 0))
        held_reset(splitter);
    if (result < 0)
        return result;

    size_t rest = bytes - end;
    if (splitter->held_bytes + rest > limit) {
        if (end > 0)
            return (ssize_t)end;
        held_reset(splitter);
        splitter->refusing = true;
        return -EMSGSIZE;
    }
    result = held_add(splitter, data + end, rest);
    if (result < 0)
        return end > 0 ? (ssize_t)end : result;
    return (ssize_t)bytes;
}

int view_splitter_finish(struct view_splitter *splitter, struct view_sink *sink)
{
    splitter->refusing = false;
    splitter->refused_bytes = 0;
    if (splitter->held_bytes == 0)
        return 0;
    sink->stored = 0;
    int result = sink->line(sink, splitter->held, splitter->held_bytes, 0);
    if (result == 0)
        result = sink->store(sink);
    held_reset(splitter);
    return result;
}
