/* SPDX-License-Identifier: Apache-2.0 */
/* What all sources share. */
#include "source.h"

#include "compression.h"

#include <errno.h>

struct source *source_close(struct source *source)
{
    if (source != NULL)
        source->ops->close(source);
    return NULL;
}

int source_records_begin(struct source_records *records, const struct batch_header *header,
                         const uint8_t *batch)
{
    const void *data;
    size_t size;

    int result = records->decompressor == NULL ? decompressor_new(&records->decompressor) : 0;
    if (result == 0)
        result = decompress(records->decompressor, header->attributes & BATCH_CODEC_MASK,
                            batch + BATCH_HEADER_BYTES, batch_bytes(header) - BATCH_HEADER_BYTES,
                            BECK_BATCH_BYTES_LIMIT, &data, &size);
    if (result == 0)
        record_iterator_init(&records->iterator, header, data, size);
    return result;
}

void source_records_done(struct source_records *records)
{
    records->decompressor = decompressor_free(records->decompressor);
}
