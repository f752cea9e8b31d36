/* SPDX-License-Identifier: Apache-2.0 */
/* Reading records, and bytes of the file view. See beck_reader_next() and beck_reader_view(). */
#ifndef STORE_READER_H
#define STORE_READER_H

#include "partition.h"

int reader_new(struct beck_partition *partition, enum beck_isolation isolation,
               struct beck_reader **ret_reader);
struct beck_store *reader_store(const struct beck_reader *reader);
struct beck_reader *reader_free(struct beck_reader *reader);
int reader_seek(struct beck_reader *reader, int64_t offset, struct beck_error *error);
int reader_next(struct beck_reader *reader, struct beck_record *ret_record,
                struct beck_error *error);
ssize_t reader_view(struct beck_reader *reader, uint64_t position, void *buffer, size_t size,
                    struct beck_error *error);

/* See beck_reader_view_from(). */
void reader_view_from(struct beck_reader *reader, const struct beck_view_head *head);

#endif
