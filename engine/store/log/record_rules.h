/* SPDX-License-Identifier: Apache-2.0 */
/* What a topic's configuration asks of each record that is appended: a key, a timestamp within
 * bounds. Whether a batch is well formed is not asked here. */
#ifndef STORE_RECORD_RULES_H
#define STORE_RECORD_RULES_H

#include "batch.h"
#include "compression.h"
#include "partition.h"

struct record_rules {
    bool needs_key;
    int64_t least_ms; /* of timestamps */
    int64_t most_ms;
};

static inline struct record_rules record_rules_of(const struct beck_partition *partition,
                                                  int64_t now_ms)
{
    struct record_rules rules = {.least_ms = INT64_MIN, .most_ms = INT64_MAX};
    rules.needs_key = atomic_load_explicit(&partition->compact, memory_order_relaxed);
    if (atomic_load_explicit(&partition->log_append_time, memory_order_relaxed))
        return rules;
    int64_t before_ms =
        atomic_load_explicit(&partition->timestamp_before_max_ms, memory_order_relaxed);
    int64_t after_ms =
        atomic_load_explicit(&partition->timestamp_after_max_ms, memory_order_relaxed);
    if (before_ms != INT64_MAX)
        rules.least_ms = now_ms - before_ms;
    if (after_ms < INT64_MAX - now_ms)
        rules.most_ms = now_ms + after_ms;
    return rules;
}

/* The records of a batch that was checked, and what it takes to read them. */
struct record_rules_batch {
    const struct batch_header *header;
    const uint8_t *bytes;
    size_t size;
    struct decompressor *decompressor;
};

/* Collect the records that break the rules, as beck_append_refusals(). */
int record_rules_list(const struct record_rules *rules, const struct record_rules_batch *batch,
                      struct beck_refusal *list, uint32_t room, uint32_t *ret_count,
                      struct beck_error *error);

/* Name a record that breaks the rules: -ENOKEY, -ETIME; where records break both, -ETIME, as Kafka
 * answers. 0: none does. */
int record_rules_refuse(const struct record_rules *rules, const struct record_rules_batch *batch,
                        struct beck_error *error);

#endif
