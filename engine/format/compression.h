/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kafka's codecs: gzip (RFC 1952), snappy (raw, and in the xerial framing that Java clients write),
 * lz4 (frame format) and zstd (RFC 8878). A compressor or decompressor keeps its memory between
 * uses, and belongs to one thread at a time. What comes in is not trusted: output is bounded by the
 * caller, whatever the input claims.
 */
#ifndef FORMAT_COMPRESSION_H
#define FORMAT_COMPRESSION_H

#include "beck.h"

#include <stddef.h>

/* "gzip", "zstd" and so on, as Kafka's configuration has them; "unknown". Lives for ever. */
const char *codec_name(int codec);

struct decompressor;

/*
 * What a decompressor's buffer may keep while nobody needs it: above this, the memory goes back at
 * the beginning of the next use, unless the last result was that large too, and at once when a use
 * failed.
 */
#define DECOMPRESSOR_KEPT_BYTES (4u << 20)

int decompressor_new(struct decompressor **ret_decompressor);
struct decompressor *decompressor_free(struct decompressor *decompressor);

/*
 * Decompress. The result belongs to the decompressor, until its next use. With
 * BECK_COMPRESSION_NONE it is the input itself, and `decompressor` may be NULL. -EBADMSG: not
 * valid, cut off, or something stands behind it. -EMSGSIZE: above `size_max`. -EPROTONOSUPPORT: no
 * such codec. -ENOMEM.
 *
 * Memory grows with what really comes out: to twice of that, and never beyond `size_max` by more
 * than some bytes. (Raw snappy says how much comes, and is believed up to 22 times what went in,
 * which is more than it can become.) Beside the buffer the codecs keep less than 1 MiB.
 */
int decompress(struct decompressor *decompressor, int codec, const void *data, size_t size,
               size_t size_max, const void **ret_data, size_t *ret_size);

struct compressor;

/* -EPROTONOSUPPORT: no such codec. -ENOMEM. */
int compressor_new(enum beck_compression codec, struct compressor **ret_compressor);
struct compressor *compressor_free(struct compressor *compressor);

/* For much that is compressed at once, by nobody's wish: zstd at its level 1. That takes a quarter
 * to two thirds of the time; messages of JSON come out no larger, program text by 8%. */
void compressor_make_quick(struct compressor *compressor);

/*
 * Compress in one piece; the result belongs to the compressor, until its next use. Each codec at
 * its own default level, unless it was to be quick; snappy is written raw, lz4 in one frame of
 * independent blocks, as Kafka's Java client reads no others. -ENOMEM. -EMSGSIZE: above 1 GiB.
 */
int compress_all(struct compressor *compressor, const void *data, size_t size,
                 const void **ret_data, size_t *ret_size);

#endif
