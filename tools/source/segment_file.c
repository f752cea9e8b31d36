/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking a segment file. The file is read through a window, not mapped: a page that the disk
 * cannot give is then an error and not a signal. The happy path reads a header, then the whole
 * batch, and checks it.
 *
 * Where that fails, the walk looks for the next byte that could begin a batch (magic 2, a length
 * that fits, an offset not below the one expected) and takes it only if the CRC is right; so no
 * garbage is mistaken for a batch, and a length that was damaged loses one batch and not the rest
 * of the file.
 */
#include "segment_file.h"

#include "bytes.h"
#include "compression.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WINDOW_BYTES = 4 << 20,
    HOP_BYTES = 4 << 10, /* read at a header, where batches are hopped over */
    RECORD_BYTES_MAX = BECK_BATCH_BYTES_LIMIT,
    MAGIC_AT = 16,
    LENGTH_AT = 8,
};

struct segment_file {
    int fd;
    uint64_t bytes;
    uint64_t position;   /* of the next batch */
    int64_t next_offset; /* the least that the next batch may begin with */
    int64_t least_offset;
    int64_t end_offset; /* no batch may begin there or beyond */
    uint8_t *window;
    size_t window_capacity;
    size_t window_size;
    uint64_t window_position;
    struct decompressor *decompressor;
};

int segment_file_open(const char *path, struct segment_file **ret_file)
{
    struct stat status;

    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    struct segment_file *file = calloc(1, sizeof(*file));
    if (file == NULL) {
        (void)close(fd);
        return -ENOMEM;
    }
    file->fd = fd;
    int result = fstat(fd, &status) < 0 ? -errno : 0;
    if (result == 0 && !S_ISREG(status.st_mode))
        result = S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    if (result == 0)
        result = decompressor_new(&file->decompressor);
    if (result < 0) {
        (void)segment_file_close(file);
        return result;
    }
    file->bytes = (uint64_t)status.st_size;
    file->end_offset = INT64_MAX;
    *ret_file = file;
    return 0;
}

struct segment_file *segment_file_close(struct segment_file *file)
{
    if (file == NULL)
        return NULL;
    (void)close(file->fd);
    free(file->window);
    (void)decompressor_free(file->decompressor);
    free(file);
    return NULL;
}

uint64_t segment_file_bytes(const struct segment_file *file)
{
    return file->bytes;
}

void segment_file_expect(struct segment_file *file, int64_t least, int64_t end)
{
    file->least_offset = least;
    file->next_offset = least;
    file->end_offset = end;
}

void segment_file_seek(struct segment_file *file, uint64_t position)
{
    file->position = position;
    file->next_offset = file->least_offset;
}

/* ---- the window --------------------------------------------------------------------------- */

static int window_fill(struct segment_file *file, uint64_t position, size_t size, size_t least)
{
    size_t want = size > least ? size : least;

    if (want > file->window_capacity) {
        uint8_t *larger = realloc(file->window, want);
        if (larger == NULL)
            return -ENOMEM;
        file->window = larger;
        file->window_capacity = want;
    }
    file->window_position = position;
    file->window_size = 0;
    while (file->window_size < want) {
        ssize_t got = pread(file->fd, file->window + file->window_size, want - file->window_size,
                            (off_t)(position + file->window_size));
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            break;
        if (got > 0)
            file->window_size += (size_t)got;
    }
    return file->window_size >= size ? 0 : -ENODATA;
}

/* `size` bytes from `position` on, which are within the file as it was when it was opened. Where
 * they are not at hand, `least` bytes are read at least. */
static int window_of(struct segment_file *file, uint64_t position, size_t size, size_t least,
                     const uint8_t **ret_data)
{
    if (position < file->window_position ||
        position + size > file->window_position + file->window_size) {
        int result = window_fill(file, position, size, least);
        if (result < 0)
            return result;
    }
    *ret_data = file->window + (position - file->window_position);
    return 0;
}

static int window_at(struct segment_file *file, uint64_t position, size_t size,
                     const uint8_t **ret_data)
{
    return window_of(file, position, size, WINDOW_BYTES, ret_data);
}

/* ---- one batch ---------------------------------------------------------------------------- */

static int check_header(const struct segment_file *file, const struct batch_header *header,
                        struct beck_error *error)
{
    uint64_t rest = file->bytes - file->position;

    if (batch_bytes(header) > rest)
        return report(error, -EBADMSG, "the batch of %zu bytes is cut short: %llu are there",
                      batch_bytes(header), (unsigned long long)rest);
    if (header->base_offset < file->next_offset)
        return report(error, -EBADMSG, "base offset %lld where at least %lld comes next",
                      (long long)header->base_offset, (long long)file->next_offset);
    if (header->base_offset > INT64_MAX - 1 - header->last_offset_delta)
        return report(error, -EBADMSG, "base offset %lld leaves no room for the batch's records",
                      (long long)header->base_offset);
    if (header->base_offset >= file->end_offset)
        return report(error, -EBADMSG, "base offset %lld in a file that ends before %lld",
                      (long long)header->base_offset, (long long)file->end_offset);
    return 0;
}

/* The header at the file's position, with `least` bytes read ahead. */
static int take_header(struct segment_file *file, size_t least, struct segment_step *step,
                       struct beck_error *error)
{
    uint64_t rest = file->bytes - file->position;
    struct batch_header *header = &step->summary.header;

    if (rest < BATCH_HEADER_BYTES)
        return report(error, -EBADMSG, "%llu bytes are too few for a batch",
                      (unsigned long long)rest);
    int result = window_of(file, file->position, BATCH_HEADER_BYTES, least, &step->batch);
    if (result < 0)
        return report_errno(error, result, "cannot read");
    result = batch_header_read(step->batch, BATCH_HEADER_BYTES, header, error);
    if (result == 0)
        result = check_header(file, header, error);
    if (result == 0)
        step->size = batch_bytes(header);
    return result;
}

/* Could a batch begin here, going by 17 bytes of it? */
static bool plausible(const struct segment_file *file, const uint8_t *at, uint64_t position)
{
    if (at[MAGIC_AT] != BATCH_MAGIC)
        return false;
    uint64_t length = load_be32(at + LENGTH_AT);
    return length + BATCH_LENGTH_END >= BATCH_HEADER_BYTES &&
           length + BATCH_LENGTH_END <= file->bytes - position &&
           (int64_t)load_be64(at) >= file->next_offset && (int64_t)load_be64(at) < file->end_offset;
}

static int is_batch(struct segment_file *file, uint64_t position, bool *ret_is)
{
    struct batch_header header;
    const uint8_t *at;

    *ret_is = false;
    int result = window_at(file, position, BATCH_HEADER_BYTES, &at);
    if (result < 0 || !plausible(file, at, position) ||
        batch_header_read(at, BATCH_HEADER_BYTES, &header, NULL) < 0)
        return result;
    result = window_at(file, position, batch_bytes(&header), &at);
    if (result == 0)
        *ret_is = batch_crc(at, batch_bytes(&header)) == header.crc;
    return result;
}

/* Nothing covers a base offset. One that leaves a hole is wrong where the batch that comes next
 * goes on within the hole, or within this batch: then it is not that one that is wrong. */
static int check_hole(struct segment_file *file, const struct batch_header *header,
                      struct beck_error *error)
{
    uint64_t next = file->position + batch_bytes(header);
    const uint8_t *at;
    bool found;

    if (header->base_offset == file->next_offset)
        return 0;
    if (batch_next_offset(header) > file->end_offset)
        return report(error, -EBADMSG, "offsets up to %lld in a file that ends before %lld",
                      (long long)batch_next_offset(header) - 1, (long long)file->end_offset);
    if (file->bytes - next < BATCH_HEADER_BYTES)
        return 0;
    int result = window_at(file, next, BATCH_HEADER_BYTES, &at);
    int64_t base_offset = result == 0 ? (int64_t)load_be64(at) : 0;
    if (result == 0 && base_offset >= batch_next_offset(header))
        return 0;
    if (result == 0)
        result = is_batch(file, next, &found);
    if (result < 0)
        return report_errno(error, result, "cannot read");
    if (found)
        result = report(error, -EBADMSG, "base offset %lld, and %lld comes next",
                        (long long)header->base_offset, (long long)base_offset);
    return result;
}

static int take_batch(struct segment_file *file, struct segment_step *step,
                      struct beck_error *error)
{
    int result = take_header(file, WINDOW_BYTES, step, error);
    if (result == 0)
        result = check_hole(file, &step->summary.header, error);
    if (result < 0)
        return result;
    result = window_at(file, file->position, step->size, &step->batch);
    if (result < 0)
        return report_errno(error, result, "cannot read");
    return batch_check(step->batch, step->size, BATCH_FROM_LOG, file->decompressor,
                       RECORD_BYTES_MAX, &step->summary, error);
}

/* ---- going on behind damage --------------------------------------------------------------- */

/* Find the next good batch behind `position`, or the file's end. */
static int find_batch(struct segment_file *file, uint64_t position, uint64_t *ret_position)
{
    for (; position + BATCH_HEADER_BYTES <= file->bytes; position++) {
        bool found;
        int result = is_batch(file, position, &found);
        if (result < 0)
            return result;
        if (found) {
            *ret_position = position;
            return 0;
        }
    }
    *ret_position = file->bytes;
    return 0;
}

/* A batch was not good: pass over it. If its length leads to a good one, or to the end, it is
 * believed: what looks like a batch inside it may be some record's value. */
static int pass_over(struct segment_file *file, struct segment_step *step)
{
    uint64_t rest = file->bytes - file->position;
    uint64_t next = file->bytes;
    const uint8_t *at;
    bool found = rest < BATCH_HEADER_BYTES;

    if (!found) {
        int result = window_at(file, file->position, BATCH_HEADER_BYTES, &at);
        if (result < 0)
            return result;
        uint64_t length = load_be32(at + LENGTH_AT) + (uint64_t)BATCH_LENGTH_END;
        next = file->position + length;
        found = length == rest;
        if (length < rest && rest - length >= BATCH_HEADER_BYTES)
            result = is_batch(file, next, &found);
        if (result == 0 && !found)
            result = find_batch(file, file->position + 1, &next);
        if (result < 0)
            return result;
    }
    step->size = (size_t)(next - file->position);
    file->position = next;
    return 0;
}

static bool is_damage(int result)
{
    return result == -EBADMSG || result == -EINVAL || result == -EPROTONOSUPPORT ||
           result == -EMSGSIZE;
}

int segment_file_next(struct segment_file *file, struct segment_step *ret_step,
                      struct beck_error *error)
{
    if (file->position >= file->bytes)
        return 0;
    *ret_step =
        (struct segment_step){.position = file->position, .decompressor = file->decompressor};
    int result = take_batch(file, ret_step, error);
    if (result == 0) {
        file->position += ret_step->size;
        file->next_offset = batch_next_offset(&ret_step->summary.header);
        return 1;
    }
    if (!is_damage(result))
        return result;
    error->offset = file->next_offset;
    int unread = pass_over(file, ret_step);
    return unread < 0 ? report_errno(error, unread, "cannot read") : -EBADMSG;
}

int segment_file_hop(struct segment_file *file, struct segment_step *ret_step,
                     struct beck_error *error)
{
    struct segment_step step = {.position = file->position, .decompressor = file->decompressor};

    if (file->position >= file->bytes)
        return 0;
    int result = take_header(file, HOP_BYTES, &step, error);
    if (result < 0) {
        report_place(error, NULL, -1, file->next_offset, (int64_t)file->position);
        return is_damage(result) ? -EBADMSG : result;
    }
    step.batch = NULL;
    file->position += step.size;
    file->next_offset = batch_next_offset(&step.summary.header);
    *ret_step = step;
    return 1;
}
