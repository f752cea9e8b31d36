/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What beck dump prints: batches, records and damage, as lines of text or as JSON objects. Belongs
 * to one thread.
 */
#ifndef TOOLS_DUMP_PRINT_H
#define TOOLS_DUMP_PRINT_H

#include "output.h"
#include "source.h"

struct dump_print {
    struct output output;
    bool json;
    bool indent;       /* records, as they stand below their batch */
    const char *topic; /* NULL: one partition alone is printed, and not named */
    int32_t partition;
};

void dump_print_batch(struct dump_print *print, const struct source_batch *batch);
void dump_print_record(struct dump_print *print, const struct source_batch *batch,
                       const struct beck_record *record);
/* Flushes, so that what stands on stderr comes behind it. */
void dump_print_damage(struct dump_print *print, const struct source_damage *damage);

#endif
