/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The headers of a record that is to be produced, in the encoding of RecordBatch v2 (KIP-98), which
 * beck_record takes them in. Memory is kept for the next record.
 */
#ifndef TOOLS_HEADERS_H
#define TOOLS_HEADERS_H

#include "beck.h"

struct headers {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
    uint32_t count;
};

/* Add one; `value_size` -1: null. -ENOMEM. */
int headers_add(struct headers *headers, const void *name, int32_t name_size, const void *value,
                int32_t value_size);

/* Forget all, keeping the memory. */
void headers_reset(struct headers *headers);
void headers_done(struct headers *headers);

/* Point a record at them, until they change. */
void headers_give(const struct headers *headers, struct beck_record *record);

#endif
