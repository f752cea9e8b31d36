/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compression in one piece, for batches that are built here. The output buffer has each codec's
 * worst case, so that compressing cannot fail for want of room; it grows to the largest input and
 * is kept.
 */
#include "compression.h"

#include "check.h"
#include "cleanup.h"

#include <errno.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <stdint.h>
#include <zlib.h>
#include <zstd.h>

#define COMPRESS_BYTES_MAX ((size_t)1 << 30)

struct compressor {
    enum beck_compression codec;
    uint8_t *buffer;
    size_t capacity;
    z_stream gzip;
    ZSTD_CCtx *zstd;
    int zstd_level;
};

static const LZ4F_preferences_t lz4_preferences = {
    .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
    .autoFlush = 1,
};

CLEANUP_DEFINE(struct compressor, compressor_free)

int compressor_new(enum beck_compression codec, struct compressor **ret_compressor)
{
    if ((int)codec < BECK_COMPRESSION_NONE || codec > BECK_COMPRESSION_ZSTD)
        return -EPROTONOSUPPORT;
    _cleanup_(compressor_freep) struct compressor *compressor = calloc(1, sizeof(*compressor));
    if (compressor == NULL)
        return -ENOMEM;
    if (codec == BECK_COMPRESSION_GZIP &&
        deflateInit2(&compressor->gzip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    if (codec == BECK_COMPRESSION_ZSTD && (compressor->zstd = ZSTD_createCCtx()) == NULL)
        return -ENOMEM;
    compressor->zstd_level = ZSTD_CLEVEL_DEFAULT;
    compressor->codec = codec; /* only now: freeing goes by it */
    *ret_compressor = TAKE_POINTER(compressor);
    return 0;
}

void compressor_make_quick(struct compressor *compressor)
{
    compressor->zstd_level = 1;
}

struct compressor *compressor_free(struct compressor *compressor)
{
    if (compressor == NULL)
        return NULL;
    if (compressor->codec == BECK_COMPRESSION_GZIP)
        (void)deflateEnd(&compressor->gzip);
    (void)ZSTD_freeCCtx(compressor->zstd);
    free(compressor->buffer);
    free(compressor);
    return NULL;
}

/* And make ready for it. */
static size_t bound(struct compressor *compressor, size_t size)
{
    switch (compressor->codec) {
    case BECK_COMPRESSION_GZIP:
        /* First, as zlib's bound for a stream that has ended leaves out gzip's header. */
        CHECK(deflateReset(&compressor->gzip) == Z_OK);
        return deflateBound(&compressor->gzip, (uLong)size);
    case BECK_COMPRESSION_SNAPPY:
        return snappy_max_compressed_length(size);
    case BECK_COMPRESSION_LZ4:
        return LZ4F_compressFrameBound(size, &lz4_preferences);
    default:
        return ZSTD_compressBound(size);
    }
}

static int gzip_compress(struct compressor *compressor, const void *data, size_t size,
                         size_t *ret_size)
{
    z_stream *stream = &compressor->gzip;
    stream->next_in = (Bytef *)(uintptr_t)data;
    stream->avail_in = (uInt)size;
    stream->next_out = compressor->buffer;
    stream->avail_out = (uInt)compressor->capacity;
    int result = deflate(stream, Z_FINISH);
    CHECK(result == Z_STREAM_END); /* there is room for the worst case */
    *ret_size = compressor->capacity - stream->avail_out;
    return 0;
}

static int compress_codec(struct compressor *compressor, const void *data, size_t size,
                          size_t *ret_size)
{
    size_t made = compressor->capacity;
    switch (compressor->codec) {
    case BECK_COMPRESSION_GZIP:
        return gzip_compress(compressor, data, size, ret_size);
    case BECK_COMPRESSION_SNAPPY:
        if (snappy_compress(data, size, (char *)compressor->buffer, &made) != SNAPPY_OK)
            return -ENOMEM;
        break;
    case BECK_COMPRESSION_LZ4:
        made = LZ4F_compressFrame(compressor->buffer, made, data, size, &lz4_preferences);
        if (LZ4F_isError(made))
            return -ENOMEM;
        break;
    default:
        made = ZSTD_compressCCtx(compressor->zstd, compressor->buffer, made, data, size,
                                 compressor->zstd_level);
        if (ZSTD_isError(made))
            return -ENOMEM;
        break;
    }
    *ret_size = made;
    return 0;
}

int compress_all(struct compressor *compressor, const void *data, size_t size,
                 const void **ret_data, size_t *ret_size)
{
    if (size > COMPRESS_BYTES_MAX)
        return -EMSGSIZE;
    if (compressor->codec == BECK_COMPRESSION_NONE) {
        *ret_data = data;
        *ret_size = size;
        return 0;
    }
    size_t needed = bound(compressor, size);
    if (needed > compressor->capacity) {
        free(compressor->buffer);
        compressor->capacity = 0;
        compressor->buffer = malloc(needed);
        if (compressor->buffer == NULL)
            return -ENOMEM;
        compressor->capacity = needed;
    }
    size_t made = 0;
    int result = compress_codec(compressor, data, size, &made);
    if (result < 0)
        return result;
    *ret_data = compressor->buffer;
    *ret_size = made;
    return 0;
}
