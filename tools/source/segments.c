/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking files in their order. One is open at a time. A file's name bounds the offsets that its
 * batches may have: not below its own, not above the next file's, and within 2^31 of its own, as
 * Kafka's indexes hold offsets relative to it. So a flipped bit in a base offset, which no CRC
 * covers, costs one batch.
 */
#include "segments.h"

#include "bytes.h"
#include "cleanup.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    FILES_MAX = 1 << 20,
    NAME_DIGITS = 20,
    INDEX_ENTRY_BYTES = 8,      /* relative offset and position, both u32 */
    INDEX_BYTES_MAX = 64 << 20, /* of an .index that is looked at: six times Kafka's default */
};

int64_t segment_name_offset(const char *name)
{
    if (strspn(name, "0123456789") != NAME_DIGITS || strcmp(name + NAME_DIGITS, ".log") != 0)
        return -1;
    errno = 0;
    long long offset = strtoll(name, NULL, 10);
    return errno == 0 ? offset : -1;
}

int segments_add(struct segments *segments, const char *path, int64_t base_offset)
{
    struct stat status;
    size_t count = segments->count;

    if (stat(path, &status) < 0)
        return -errno;
    if (count == FILES_MAX)
        return -EMSGSIZE;
    if ((count & (count - 1)) == 0) {
        struct segment_entry *larger =
            reallocarray(segments->entries, count > 0 ? 2 * count : 1, sizeof(*segments->entries));
        if (larger == NULL)
            return -ENOMEM;
        segments->entries = larger;
    }
    char *copy = strdup(path);
    if (copy == NULL)
        return -ENOMEM;
    segments->entries[segments->count++] = (struct segment_entry){
        .path = copy, .base_offset = base_offset, .bytes = (uint64_t)status.st_size};
    return 0;
}

void segments_done(struct segments *segments)
{
    (void)segment_file_close(segments->file);
    for (size_t i = 0; i < segments->count; i++)
        free(segments->entries[i].path);
    free(segments->entries);
    *segments = (struct segments){0};
}

void segments_rewind(struct segments *segments, size_t at)
{
    segments->file = segment_file_close(segments->file);
    segments->at = at;
}

/* ---- one file ----------------------------------------------------------------------------- */

static int open_file(struct segments *segments, struct beck_error *error)
{
    const struct segment_entry *entry = &segments->entries[segments->at];

    int result = segment_file_open(entry->path, &segments->file);
    if (result < 0)
        return report_errno(error, result, "cannot open %s", entry->path);
    if (entry->base_offset < 0)
        return 0;
    int64_t end =
        entry->base_offset > INT64_MAX - INT32_MAX ? INT64_MAX : entry->base_offset + INT32_MAX;
    if (segments->at + 1 < segments->count && entry[1].base_offset < end)
        end = entry[1].base_offset;
    segment_file_expect(segments->file, entry->base_offset, end);
    return 0;
}

/* Have a file open that a batch can come from: 1; 0: there are no more. */
static int have_file(struct segments *segments, struct beck_error *error)
{
    if (segments->file != NULL)
        return 1;
    if (segments->at >= segments->count)
        return 0;
    int result = open_file(segments, error);
    return result < 0 ? result : 1;
}

static void leave_file(struct segments *segments)
{
    segments_rewind(segments, segments->at + 1);
}

int segments_next(struct segments *segments, struct segment_step *ret_step,
                  const struct segment_entry **ret_entry, struct beck_error *error)
{
    for (;;) {
        int result = have_file(segments, error);
        if (result <= 0)
            return result;
        *ret_entry = &segments->entries[segments->at];
        result = segment_file_next(segments->file, ret_step, error);
        if (result > 0)
            return result;
        if (result < 0) {
            report_place(error, NULL, -1, error->offset, (int64_t)ret_step->position);
            report_prefix(error, "%s", (*ret_entry)->path);
            return result;
        }
        leave_file(segments);
    }
}

int segments_hop(struct segments *segments, struct segment_step *ret_step,
                 const struct segment_entry **ret_entry, struct beck_error *error)
{
    for (;;) {
        int result = have_file(segments, error);
        if (result <= 0)
            return result;
        *ret_entry = &segments->entries[segments->at];
        result = segment_file_hop(segments->file, ret_step, error);
        if (result > 0) {
            segments->hopped = ret_step->position;
            return result;
        }
        leave_file(segments);
        if (result < 0) {
            report_prefix(error, "%s", (*ret_entry)->path);
            return result;
        }
    }
}

int segments_again(struct segments *segments, struct segment_step *ret_step)
{
    struct beck_error error;

    segment_file_seek(segments->file, segments->hopped);
    int result = segment_file_next(segments->file, ret_step, &error);
    return result == 1 && ret_step->position != segments->hopped ? -EBADMSG : result;
}

/* ---- finding an offset -------------------------------------------------------------------- */

/* Read the .index beside a segment. Returns its entries, or 0: there is none that could be used. */
static size_t read_index(const struct segment_entry *entry, uint8_t **ret_entries)
{
    _cleanup_free_ char *path = NULL;
    struct stat status;

    if (entry->base_offset < 0 ||
        asprintf(&path, "%.*s.index", (int)strlen(entry->path) - 4, entry->path) < 0) {
        path = NULL;
        return 0;
    }
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
        status.st_size < INDEX_ENTRY_BYTES || status.st_size > INDEX_BYTES_MAX)
        return 0;
    uint8_t *entries = malloc((size_t)status.st_size);
    if (entries == NULL)
        return 0;
    ssize_t got = pread(fd, entries, (size_t)status.st_size, 0);
    if (got < INDEX_ENTRY_BYTES) {
        free(entries);
        return 0;
    }
    *ret_entries = entries;
    return (size_t)got / INDEX_ENTRY_BYTES;
}

/* Does the batch that the index names really begin there? Its entry has the batch's last offset.
 * Stands before it where it does. */
static bool index_is_right(struct segments *segments, int64_t offset, uint64_t position)
{
    struct segment_step step;
    struct beck_error error;

    segment_file_seek(segments->file, position);
    bool right = segment_file_next(segments->file, &step, &error) == 1 &&
                 step.position == position && batch_next_offset(&step.summary.header) - 1 == offset;
    segment_file_seek(segments->file, right ? position : 0);
    return right;
}

/* Jump to a batch that is not behind the one with `offset`, if the index knows one. */
static void jump_by_index(struct segments *segments, int64_t offset)
{
    const struct segment_entry *entry = &segments->entries[segments->at];
    _cleanup_free_ uint8_t *entries = NULL;
    size_t low = 0;
    size_t high = read_index(entry, &entries);

    while (low < high) { /* the entries below `low` are not above the offset */
        size_t middle = low + (high - low) / 2;
        const uint8_t *at = entries + middle * INDEX_ENTRY_BYTES;
        bool unused = middle > 0 && load_be64(at) == 0; /* the file was set aside in full */
        if (!unused && entry->base_offset + load_be32(at) <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return;
    const uint8_t *at = entries + (low - 1) * INDEX_ENTRY_BYTES;
    (void)index_is_right(segments, entry->base_offset + load_be32(at), load_be32(at + 4));
}

int segments_seek(struct segments *segments, int64_t offset, struct beck_error *error)
{
    struct segment_step step;
    size_t at = 0;

    while (at + 1 < segments->count && segments->entries[at + 1].base_offset >= 0 &&
           segments->entries[at + 1].base_offset <= offset)
        at++;
    segments_rewind(segments, at);
    int result = have_file(segments, error);
    if (result <= 0)
        return result;
    jump_by_index(segments, offset);
    while ((result = segment_file_hop(segments->file, &step, error)) > 0) {
        if (batch_next_offset(&step.summary.header) > offset) {
            segment_file_seek(segments->file, step.position);
            return 0;
        }
    }
    /* The end, or damage: who reads on from there meets it. */
    if (result == -EBADMSG)
        result = 0;
    return result;
}

/* Behind the last file's last batch: by headers, or where these are damaged, by what is whole. */
static int last_file_end(struct segments *segments, bool whole, int64_t *end,
                         struct beck_error *error)
{
    const struct segment_entry *entry;
    struct segment_step step;
    int result;

    segments_rewind(segments, segments->count - 1);
    while ((result = whole ? segments_next(segments, &step, &entry, error)
                           : segments_hop(segments, &step, &entry, error)) != 0) {
        if (result > 0)
            *end = batch_next_offset(&step.summary.header);
        else if (result != -EBADMSG || !whole)
            return result;
    }
    return 0;
}

int segments_end_offset(struct segments *segments, int64_t least, int64_t *ret_offset,
                        struct beck_error *error)
{
    int64_t end = least;
    int result = 0;

    if (segments->count > 0) {
        int64_t base = segments->entries[segments->count - 1].base_offset;
        int64_t begin = base > least ? base : least;
        end = begin;
        result = last_file_end(segments, false, &end, error);
        if (result == -EBADMSG) {
            end = begin;
            result = last_file_end(segments, true, &end, error);
        }
    }
    segments_rewind(segments, 0);
    if (result == 0)
        *ret_offset = end;
    return result;
}
