/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decompression: one growing buffer, and for each codec the state that its library wants, made at
 * its first use. What can be told from the input before memory is taken is told; a content size
 * that the input claims is at most a hint.
 *
 * gzip and lz4 stream into the buffer, which doubles whenever it is full. zstd decodes in one
 * piece, again with a larger buffer where the first was too small: that needs no window of its own
 * (which a frame's header may set to gigabytes), and the content size is known or the buffer large
 * from earlier batches nearly always. Snappy needs its room at once.
 */
#include "compression.h"

#include "bytes.h"
#include "check.h"
#include "cleanup.h"

#include <errno.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <stdbool.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define BUFFER_BYTES_MIN ((size_t)64 << 10)

/* More than anything that Kafka's 32-bit lengths allow; keeps sums below what the libraries count
 * in. */
#define INPUT_BYTES_MAX ((size_t)INT32_MAX)

/* A copy element of three bytes makes 64: snappy cannot grow data by more than 64 / 3. */
#define SNAPPY_GROWTH_MAX 22

#define XERIAL_MAGIC_BYTES  8
#define XERIAL_HEADER_BYTES 16 /* magic, version, compatible version */

/* A frame is decoded with this much memory of the library's own at most, unless its blocks are
 * larger; then that memory is given back. */
#define LZ4_BLOCK_KEPT LZ4F_max256KB

struct decompressor {
    uint8_t *buffer;
    size_t capacity;
    size_t last_used; /* bytes of the buffer that the last result took */
    z_stream gzip;
    bool gzip_ready;
    LZ4F_dctx *lz4;
    ZSTD_DCtx *zstd;
};

const char *codec_name(int codec)
{
    static const char *const names[] = {
        [BECK_COMPRESSION_NONE] = "none",     [BECK_COMPRESSION_GZIP] = "gzip",
        [BECK_COMPRESSION_SNAPPY] = "snappy", [BECK_COMPRESSION_LZ4] = "lz4",
        [BECK_COMPRESSION_ZSTD] = "zstd",
    };
    return codec >= 0 && codec < (int)ELEMENTS(names) ? names[codec] : "unknown";
}

int decompressor_new(struct decompressor **ret_decompressor)
{
    struct decompressor *decompressor = calloc(1, sizeof(*decompressor));
    if (decompressor == NULL)
        return -ENOMEM;
    *ret_decompressor = decompressor;
    return 0;
}

struct decompressor *decompressor_free(struct decompressor *decompressor)
{
    if (decompressor == NULL)
        return NULL;
    if (decompressor->gzip_ready)
        (void)inflateEnd(&decompressor->gzip);
    (void)LZ4F_freeDecompressionContext(decompressor->lz4);
    (void)ZSTD_freeDCtx(decompressor->zstd);
    free(decompressor->buffer);
    free(decompressor);
    return NULL;
}

/* ---- the buffer -------------------------------------------------------------------------------
 */

static void buffer_drop(struct decompressor *decompressor)
{
    free(decompressor->buffer);
    decompressor->buffer = NULL;
    decompressor->capacity = 0;
}

/* Give the buffer `capacity` bytes at least, keeping what is in its first `used`. */
static int buffer_reserve(struct decompressor *decompressor, size_t used, size_t capacity)
{
    if (capacity <= decompressor->capacity)
        return 0;
    if (used == 0) /* nothing to be moved along */
        buffer_drop(decompressor);
    uint8_t *buffer = realloc(decompressor->buffer, capacity);
    if (buffer == NULL)
        return -ENOMEM;
    decompressor->buffer = buffer;
    decompressor->capacity = capacity;
    return 0;
}

/*
 * Make room behind `used` bytes, all of which came out of the input. One byte more than `size_max`
 * is the most: when that is taken too, the limit was passed.
 */
static int buffer_grow(struct decompressor *decompressor, size_t used, size_t size_max)
{
    if (used > size_max)
        return -EMSGSIZE;
    size_t capacity =
        decompressor->capacity < BUFFER_BYTES_MIN ? BUFFER_BYTES_MIN : 2 * decompressor->capacity;
    if (capacity > size_max + 1)
        capacity = size_max + 1;
    return buffer_reserve(decompressor, used, capacity);
}

/* Where to begin: four times the input is a usual ratio; growing goes on from there. */
static int buffer_begin(struct decompressor *decompressor, size_t size, size_t size_max)
{
    size_t capacity = 4 * size < BUFFER_BYTES_MIN ? BUFFER_BYTES_MIN : 4 * size;
    if (capacity > size_max + 1)
        capacity = size_max + 1;
    return buffer_reserve(decompressor, 0, capacity);
}

/* ---- gzip ---------------------------------------------------------------------------------------
 */

static int gzip_begin(struct decompressor *decompressor)
{
    if (decompressor->gzip_ready)
        return inflateReset(&decompressor->gzip) == Z_OK ? 0 : -EIO;
    /* 16: gzip framing, with its header and CRC-32 */
    int result = inflateInit2(&decompressor->gzip, 16 + MAX_WBITS);
    if (result != Z_OK)
        return -ENOMEM;
    decompressor->gzip_ready = true;
    return 0;
}

/* RFC 1952: a sequence of members, whose contents are one after the other. */
static int gzip_decompress(struct decompressor *decompressor, const uint8_t *data, size_t size,
                           size_t size_max, size_t *ret_size)
{
    int result = gzip_begin(decompressor);
    if (result < 0)
        return result;
    z_stream *stream = &decompressor->gzip;
    stream->next_in = (Bytef *)(uintptr_t)data;
    stream->avail_in = (uInt)size;
    size_t used = 0;
    for (;;) {
        if (used == decompressor->capacity || used > size_max) {
            result = buffer_grow(decompressor, used, size_max);
            if (result < 0)
                return result;
        }
        size_t room = decompressor->capacity - used;
        if (room > INPUT_BYTES_MAX)
            room = INPUT_BYTES_MAX;
        stream->next_out = decompressor->buffer + used;
        stream->avail_out = (uInt)room;
        int state = inflate(stream, Z_NO_FLUSH);
        used += room - stream->avail_out;
        if (state == Z_STREAM_END) {
            if (stream->avail_in == 0)
                break;
            if (inflateReset(stream) != Z_OK)
                return -EBADMSG;
        } else if (state == Z_MEM_ERROR) {
            return -ENOMEM;
        } else if (state != Z_OK || (stream->avail_in == 0 && stream->avail_out > 0)) {
            return -EBADMSG; /* not valid, or cut off */
        }
    }
    *ret_size = used;
    return used <= size_max ? 0 : -EMSGSIZE;
}

/* ---- snappy -------------------------------------------------------------------------------------
 */

/* How much a raw piece will be, if it is valid. */
static int snappy_claimed(const uint8_t *data, size_t size, size_t *ret_size)
{
    size_t claimed = 0;
    if (snappy_uncompressed_length((const char *)data, size, &claimed) != SNAPPY_OK ||
        claimed > size * SNAPPY_GROWTH_MAX)
        return -EBADMSG;
    *ret_size = claimed;
    return 0;
}

static int snappy_piece(const uint8_t *data, size_t size, uint8_t *to, size_t *room)
{
    return snappy_uncompress((const char *)data, size, (char *)to, room) == SNAPPY_OK ? 0
                                                                                      : -EBADMSG;
}

static bool xerial_framed(const uint8_t *data, size_t size)
{
    static const uint8_t magic[XERIAL_MAGIC_BYTES] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
    return size >= XERIAL_HEADER_BYTES && memcmp(data, magic, sizeof(magic)) == 0;
}

/*
 * The chunk at `*at`: big-endian length and a raw piece. Moves `*at` behind it. The versions in the
 * header before the first chunk are not looked at, as clients disagree on them.
 */
static int xerial_next(const uint8_t **at, const uint8_t *end, const uint8_t **ret_piece,
                       size_t *ret_size)
{
    if (end - *at < 4)
        return -EBADMSG;
    size_t size = load_be32(*at);
    if (size > (size_t)(end - *at) - 4)
        return -EBADMSG;
    *ret_piece = *at + 4;
    *ret_size = size;
    *at += 4 + size;
    return 0;
}

/* What all the chunks come to; none of the claims is beyond what its chunk can become. */
static int xerial_claimed(const uint8_t *at, const uint8_t *end, size_t size_max, size_t *ret_size)
{
    size_t sum = 0;
    while (at < end) {
        const uint8_t *piece = NULL;
        size_t piece_size = 0;
        size_t claimed = 0;
        int result = xerial_next(&at, end, &piece, &piece_size);
        if (result == 0)
            result = snappy_claimed(piece, piece_size, &claimed);
        if (result < 0)
            return result;
        sum += claimed;
        if (sum > size_max)
            return -EMSGSIZE;
    }
    *ret_size = sum;
    return 0;
}

static int xerial_decompress(struct decompressor *decompressor, const uint8_t *at,
                             const uint8_t *end, size_t size_max, size_t *ret_size)
{
    size_t whole = 0;
    int result = xerial_claimed(at, end, size_max, &whole);
    if (result == 0)
        result = buffer_reserve(decompressor, 0, whole + 1);
    if (result < 0)
        return result;
    size_t used = 0;
    while (at < end) {
        const uint8_t *piece = NULL;
        size_t piece_size = 0;
        result = xerial_next(&at, end, &piece, &piece_size);
        CHECK(result == 0); /* seen a moment ago */
        size_t room = whole - used;
        result = snappy_piece(piece, piece_size, decompressor->buffer + used, &room);
        if (result < 0)
            return result;
        used += room;
    }
    *ret_size = used;
    return 0;
}

static int snappy_decompress(struct decompressor *decompressor, const uint8_t *data, size_t size,
                             size_t size_max, size_t *ret_size)
{
    if (xerial_framed(data, size))
        return xerial_decompress(decompressor, data + XERIAL_HEADER_BYTES, data + size, size_max,
                                 ret_size);
    size_t room = 0;
    int result = snappy_claimed(data, size, &room);
    if (result < 0)
        return result;
    if (room > size_max)
        return -EMSGSIZE;
    result = buffer_reserve(decompressor, 0, room + 1);
    if (result < 0)
        return result;
    result = snappy_piece(data, size, decompressor->buffer, &room);
    if (result < 0)
        return result;
    *ret_size = room;
    return 0;
}

/* ---- lz4 ----------------------------------------------------------------------------------------
 */

static void lz4_drop(struct decompressor *decompressor)
{
    (void)LZ4F_freeDecompressionContext(decompressor->lz4);
    decompressor->lz4 = NULL;
}

/* Read the frame's header; `*size` becomes its length. */
static int lz4_begin(struct decompressor *decompressor, const uint8_t *data, size_t *size,
                     size_t size_max, LZ4F_frameInfo_t *ret_info)
{
    if (decompressor->lz4 == NULL &&
        LZ4F_isError(LZ4F_createDecompressionContext(&decompressor->lz4, LZ4F_VERSION)))
        return -ENOMEM;
    LZ4F_resetDecompressionContext(decompressor->lz4);
    if (LZ4F_isError(LZ4F_getFrameInfo(decompressor->lz4, ret_info, data, size)) ||
        ret_info->frameType != LZ4F_frame || ret_info->dictID != 0)
        return -EBADMSG;
    return ret_info->contentSize > size_max ? -EMSGSIZE : 0;
}

/* The blocks, up to the end of the one frame, which must be the end of the data. */
static int lz4_blocks(struct decompressor *decompressor, const uint8_t *at, const uint8_t *end,
                      size_t size_max, size_t *ret_size)
{
    size_t used = 0;
    for (;;) {
        if (used == decompressor->capacity || used > size_max) {
            int result = buffer_grow(decompressor, used, size_max);
            if (result < 0)
                return result;
        }
        size_t taken = (size_t)(end - at);
        size_t made = decompressor->capacity - used;
        size_t state = LZ4F_decompress(decompressor->lz4, decompressor->buffer + used, &made, at,
                                       &taken, NULL);
        if (LZ4F_isError(state))
            return -EBADMSG;
        at += taken;
        used += made;
        if (state == 0)
            break;
        if (taken == 0 && made == 0)
            return -EBADMSG; /* it wants more than there is */
    }
    if (used > size_max)
        return -EMSGSIZE;
    if (at != end)
        return -EBADMSG;
    *ret_size = used;
    return 0;
}

static int lz4_decompress(struct decompressor *decompressor, const uint8_t *data, size_t size,
                          size_t size_max, size_t *ret_size)
{
    size_t header = size;
    LZ4F_frameInfo_t info = {.blockSizeID = LZ4F_default};
    int result = lz4_begin(decompressor, data, &header, size_max, &info);
    if (result == 0)
        result = lz4_blocks(decompressor, data + header, data + size, size_max, ret_size);
    if (result < 0 || info.blockSizeID > LZ4_BLOCK_KEPT)
        lz4_drop(decompressor);
    return result;
}

/* ---- zstd ---------------------------------------------------------------------------------------
 */

/*
 * Decode the frame of `size` bytes behind what is in the buffer already. The content size is
 * checked first where the frame has it. A buffer that turns out to be too small doubles, which it
 * does only when a block came that did not fit.
 */
static int zstd_frame(struct decompressor *decompressor, const uint8_t *frame, size_t size,
                      size_t size_max, size_t *used)
{
    unsigned long long content = ZSTD_getFrameContentSize(frame, size);
    if (content == ZSTD_CONTENTSIZE_ERROR)
        return -EBADMSG;
    if (content != ZSTD_CONTENTSIZE_UNKNOWN && content > size_max - *used)
        return -EMSGSIZE;
    for (;;) {
        size_t made = ZSTD_decompressDCtx(decompressor->zstd, decompressor->buffer + *used,
                                          decompressor->capacity - *used, frame, size);
        if (!ZSTD_isError(made)) {
            *used += made;
            return *used <= size_max ? 0 : -EMSGSIZE;
        }
        ZSTD_ErrorCode why = ZSTD_getErrorCode(made);
        if (why == ZSTD_error_memory_allocation)
            return -ENOMEM;
        if (why != ZSTD_error_dstSize_tooSmall)
            return -EBADMSG;
        if (decompressor->capacity > size_max)
            return -EMSGSIZE;
        int result = buffer_grow(decompressor, *used, size_max);
        if (result < 0)
            return result;
    }
}

/* One frame after the other. Only the format of RFC 8878: the library may know older ones too. */
static int zstd_decompress(struct decompressor *decompressor, const uint8_t *data, size_t size,
                           size_t size_max, size_t *ret_size)
{
    if (decompressor->zstd == NULL && (decompressor->zstd = ZSTD_createDCtx()) == NULL)
        return -ENOMEM;
    size_t used = 0;
    for (size_t position = 0; position < size;) {
        size_t left = size - position;
        if (left < 4 || load_le32(data + position) != ZSTD_MAGICNUMBER)
            return -EBADMSG;
        size_t frame = ZSTD_findFrameCompressedSize(data + position, left);
        if (ZSTD_isError(frame))
            return -EBADMSG;
        int result = zstd_frame(decompressor, data + position, frame, size_max, &used);
        if (result < 0)
            return result;
        position += frame;
    }
    *ret_size = used;
    return 0;
}

/* ---- all of them --------------------------------------------------------------------------------
 */

static int decompress_codec(struct decompressor *decompressor, int codec, const uint8_t *data,
                            size_t size, size_t size_max, size_t *ret_size)
{
    if (codec == BECK_COMPRESSION_SNAPPY)
        return snappy_decompress(decompressor, data, size, size_max, ret_size);
    int result = buffer_begin(decompressor, size, size_max);
    if (result < 0)
        return result;
    switch (codec) {
    case BECK_COMPRESSION_GZIP:
        return gzip_decompress(decompressor, data, size, size_max, ret_size);
    case BECK_COMPRESSION_LZ4:
        return lz4_decompress(decompressor, data, size, size_max, ret_size);
    default:
        return zstd_decompress(decompressor, data, size, size_max, ret_size);
    }
}

int decompress(struct decompressor *decompressor, int codec, const void *data, size_t size,
               size_t size_max, const void **ret_data, size_t *ret_size)
{
    if (codec < BECK_COMPRESSION_NONE || codec > BECK_COMPRESSION_ZSTD)
        return -EPROTONOSUPPORT;
    if (codec == BECK_COMPRESSION_NONE) {
        if (size > size_max)
            return -EMSGSIZE;
        *ret_data = data;
        *ret_size = size;
        return 0;
    }
    if (size == 0)
        return -EBADMSG;
    if (size > INPUT_BYTES_MAX)
        return -EMSGSIZE;
    if (size_max > INPUT_BYTES_MAX)
        size_max = INPUT_BYTES_MAX;

    if (decompressor->capacity > DECOMPRESSOR_KEPT_BYTES &&
        decompressor->last_used <= DECOMPRESSOR_KEPT_BYTES)
        buffer_drop(decompressor);
    size_t used = 0;
    int result = decompress_codec(decompressor, codec, data, size, size_max, &used);
    if (result < 0) {
        decompressor->last_used = 0;
        if (decompressor->capacity > DECOMPRESSOR_KEPT_BYTES)
            buffer_drop(decompressor);
        return result;
    }
    decompressor->last_used = used;
    *ret_data = decompressor->buffer;
    *ret_size = used;
    return 0;
}
