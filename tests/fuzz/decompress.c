/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes decompression. The first byte says the codec and how much may come out; the rest is what
 * is decompressed. What comes out must fit the limit, and be the same when it is compressed and
 * decompressed once more.
 */
#include "compression.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct decompressor *decompressor;
static struct decompressor *again;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void try_again(int codec, const void *plain, size_t size)
{
    struct compressor *compressor = NULL;
    const void *packed;
    const void *out;
    size_t packed_size;
    size_t out_size;
    if (compressor_new((enum beck_compression)codec, &compressor) < 0)
        return;
    must(compress_all(compressor, plain, size, &packed, &packed_size) == 0);
    must(decompress(again, codec, packed, packed_size, size, &out, &out_size) == 0);
    must(out_size == size && (size == 0 || memcmp(out, plain, size) == 0));
    compressor_free(compressor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const void *plain = NULL;
    size_t plain_size = 0;
    if (size == 0)
        return 0;
    if (decompressor == NULL) {
        must(decompressor_new(&decompressor) == 0);
        must(decompressor_new(&again) == 0);
    }
    int codec = data[0] & 7;
    size_t limit = (size_t)64 << 4 * (data[0] >> 3 & 3);
    uint8_t *packed = malloc(size); /* ends where the input does */
    must(packed != NULL);
    memcpy(packed, data + 1, size - 1);
    int r = decompress(decompressor, codec, packed, size - 1, limit, &plain, &plain_size);
    must(r == 0 || r == -EBADMSG || r == -EMSGSIZE || r == -EPROTONOSUPPORT);
    if (r == 0) {
        must(plain_size <= limit);
        try_again(codec, plain, plain_size);
    }
    free(packed);
    return 0;
}
