/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block of the file is kept in the buffer; a batch is taken from it when it is in there whole,
 * else a new block is read that begins with it. The end is never passed: what another process is
 * writing behind it is not looked at.
 */
#include "scan.h"

#include "bytes.h"
#include "check.h"
#include "cleanup.h"
#include "crc32c.h"
#include "record.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define SCAN_READ_FIRST ((size_t)16 * 1024)
#define SCAN_READ_MOST  ((size_t)256 * 1024)

void scan_begin(struct scan *scan, const struct io *io, int fd, enum scan_depth depth,
                uint64_t position, uint64_t end)
{
    scan->io = io;
    scan->fd = fd;
    scan->depth = depth;
    scan->position = position;
    scan->end = end;
    scan->block_begin = 0;
    scan->block_bytes = 0;
    scan->next_read_bytes = SCAN_READ_FIRST;
}

void scan_done(struct scan *scan)
{
    free(scan->buffer);
    scan->decompressor = decompressor_free(scan->decompressor);
    *scan = (struct scan){.fd = -1};
}

int scan_decompressor(struct scan *scan, struct decompressor **ret_decompressor)
{
    if (!scan->decompressor) {
        int r = decompressor_new(&scan->decompressor);
        if (r < 0)
            return r;
    }
    *ret_decompressor = scan->decompressor;
    return 0;
}

int scan_records(struct scan *scan, const struct scan_batch *batch,
                 struct record_iterator *ret_iterator, struct beck_error *error)
{
    struct decompressor *decompressor;
    int r = scan_decompressor(scan, &decompressor);
    if (r == 0)
        r = record_iterator_begin(ret_iterator, &batch->summary.header, batch->bytes, batch->size,
                                  decompressor);
    if (r < 0)
        return report_errno(error, r == -ENOMEM ? r : -EBADMSG, "the batch cannot be decompressed");
    return 0;
}

/* The bytes of the block from the walk's position on. */
static size_t scan_available(const struct scan *scan)
{
    if (scan->position < scan->block_begin ||
        scan->position >= scan->block_begin + scan->block_bytes)
        return 0;
    return (size_t)(scan->block_begin + scan->block_bytes - scan->position);
}

/* Have at least `size` bytes at the position, which the end allows. -EBADMSG: the file ends before.
 */
static int scan_fill(struct scan *scan, size_t size, struct beck_error *error)
{
    if (LIKELY(scan_available(scan) >= size))
        return 0;
    size_t wanted = size > scan->next_read_bytes ? size : scan->next_read_bytes;
    if (wanted > scan->end - scan->position)
        wanted = (size_t)(scan->end - scan->position);
    if (scan->next_read_bytes < SCAN_READ_MOST)
        scan->next_read_bytes *= 2;
    if (wanted > scan->buffer_bytes) {
        uint8_t *grown = realloc(scan->buffer, wanted);
        if (!grown)
            return report(error, -ENOMEM, "out of memory for a batch of %zu bytes", wanted);
        scan->buffer = grown;
        scan->buffer_bytes = wanted;
    }
    ssize_t r = scan->io->read(scan->io, scan->fd, scan->buffer, wanted, scan->position);
    scan->block_begin = scan->position;
    scan->block_bytes = r > 0 ? (size_t)r : 0;
    if (r < 0)
        return report_errno(error, (int)r, "cannot read the segment");
    if ((size_t)r < size)
        return report(error, -EBADMSG, "the segment file ends in the middle of a batch");
    return 0;
}

static const uint8_t *scan_bytes(const struct scan *scan)
{
    return scan->buffer + (scan->position - scan->block_begin);
}

static int scan_header(struct scan *scan, struct batch_header *ret_header, struct beck_error *error)
{
    uint64_t left = scan->end - scan->position;
    if (left < BATCH_HEADER_BYTES)
        return report(error, -EBADMSG, "%" PRIu64 " bytes stand where a batch should", left);
    int r = scan_fill(scan, BATCH_HEADER_BYTES, error);
    if (r == 0)
        r = batch_header_read(scan_bytes(scan), BATCH_HEADER_BYTES, ret_header, error);
    if (r == 0 && batch_bytes(ret_header) > left)
        r = report(error, -EBADMSG, "a batch of %zu bytes is cut off after %" PRIu64 " bytes",
                   batch_bytes(ret_header), left);
    if (r == 0 && batch_bytes(ret_header) > BECK_BATCH_BYTES_LIMIT + BATCH_HEADER_BYTES)
        r = report(error, -EBADMSG, "a batch of %zu bytes is above the limit",
                   batch_bytes(ret_header));
    return r;
}

static int scan_check(struct scan *scan, struct scan_batch *batch, struct beck_error *error)
{
    int r = scan_fill(scan, batch->size, error);
    if (r < 0)
        return r;
    batch->bytes = scan_bytes(scan);
    if (scan->depth == SCAN_CRC) {
        uint32_t crc = batch_crc(batch->bytes, batch->size);
        if (crc != batch->summary.header.crc)
            return report(error, -EBADMSG, "the batch's CRC is %08x, its bytes have %08x",
                          batch->summary.header.crc, crc);
        return 0;
    }
    struct decompressor *decompressor;
    r = scan_decompressor(scan, &decompressor);
    if (r == 0)
        r = batch_check(batch->bytes, batch->size, BATCH_FROM_LOG, decompressor,
                        BECK_BATCH_BYTES_LIMIT, &batch->summary, error);
    return r;
}

int scan_next(struct scan *scan, struct scan_batch *ret_batch, struct beck_error *error)
{
    if (scan->position >= scan->end)
        return 0;
    struct scan_batch batch = {.position = scan->position};
    int r = scan_header(scan, &batch.summary.header, error);
    if (r == 0) {
        batch.size = batch_bytes(&batch.summary.header);
        if (scan->depth != SCAN_HEADERS)
            r = scan_check(scan, &batch, error);
    }
    if (r < 0) {
        /* Where a batch stands in our own log, whatever is wrong with it is damage. */
        if (r == -EINVAL || r == -EMSGSIZE || r == -EPROTONOSUPPORT)
            r = -EBADMSG;
        if (error) {
            error->code = r;
            error->byte = -1;
        }
        report_place(error, NULL, -1, -1, (int64_t)scan->position);
        return r;
    }
    scan->position += batch.size;
    *ret_batch = batch;
    return 1;
}

/* Could a batch begin here that goes on from `offset`? The bytes are a header's. */
static bool may_be_batch(const uint8_t *bytes, int64_t offset, uint64_t left)
{
    int64_t base = (int64_t)load_be64(bytes);
    int32_t length = (int32_t)load_be32(bytes + 8);
    int32_t last_delta = (int32_t)load_be32(bytes + 23);
    int32_t count = (int32_t)load_be32(bytes + 57);
    return bytes[16] == BATCH_MAGIC && base >= offset && base - offset <= INT32_MAX &&
           load_be16(bytes + 21) < 2 * BATCH_DELETE_HORIZON && last_delta >= 0 && count >= 0 &&
           count - 1 <= last_delta && length >= BATCH_HEADER_BYTES - BATCH_LENGTH_END &&
           (uint64_t)length + BATCH_LENGTH_END <= left;
}

int scan_find(struct scan *scan, uint64_t from, uint64_t end, int64_t offset,
              uint64_t *ret_position)
{
    enum { BLOCK = 64 * 1024 };
    const struct io *io = scan->io;
    _cleanup_free_ uint8_t *block = malloc(BLOCK);
    int fd = scan->fd;
    if (!block)
        return -ENOMEM;
    while (from < end && end - from >= BATCH_HEADER_BYTES) {
        ssize_t n = io->read(io, fd, block, BLOCK, from);
        if (n < 0)
            return (int)n;
        if (n < BATCH_HEADER_BYTES)
            return 0;
        for (uint64_t i = 0; i + BATCH_HEADER_BYTES <= (uint64_t)n; i++) {
            struct scan_batch batch;
            if (from + i + BATCH_HEADER_BYTES > end ||
                !may_be_batch(block + i, offset, end - from - i))
                continue;
            scan_begin(scan, io, fd, SCAN_RECORDS, from + i, end);
            if (scan_next(scan, &batch, NULL) == 1) {
                *ret_position = from + i;
                return 1;
            }
        }
        from += (uint64_t)n - BATCH_HEADER_BYTES + 1;
    }
    return 0;
}
