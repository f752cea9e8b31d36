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

struct decompressor;

int decompressor_new(struct decompressor **ret_decompressor);
struct decompressor *decompressor_free(struct decompressor *decompressor);

/*
 * Decompress. The result belongs to the decompressor, until its next use. With BECK_COMPRESSION_NONE
 * it is the input itself. -EBADMSG: not valid, or something stands behind it. -EMSGSIZE: above
 * `size_max`. -EPROTONOSUPPORT: no such codec. -ENOMEM.
 */
int decompress(struct decompressor *decompressor, int codec, const void *data, size_t size,
               size_t size_max, const void **ret_data, size_t *ret_size);

struct compressor;

int compressor_new(enum beck_compression codec, struct compressor **ret_compressor);
struct compressor *compressor_free(struct compressor *compressor);

/* Compress in one piece; the result belongs to the compressor, until its next use. -ENOMEM. */
int compress_all(struct compressor *compressor, const void *data, size_t size,
                 const void **ret_data, size_t *ret_size);

#endif
