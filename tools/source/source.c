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
    int result = records->decompressor == NULL ? decompressor_new(&records->decompressor) : 0;
    if (result == 0)
        result = record_iterator_begin(&records->iterator, header, batch, batch_bytes(header),
                                       records->decompressor);
    return result;
}

void source_records_done(struct source_records *records)
{
    records->decompressor = decompressor_free(records->decompressor);
}
