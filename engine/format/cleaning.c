/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which the rules are asked follows Kafka's: first what becomes of the batch as a
 * whole, then each of its records.
 */
#include "cleaning.h"

#include "check.h"
#include "record.h"
#include "report.h"

#include <errno.h>

/* So many keys are looked up together: each is a place in the map that the processor has to wait
 * for. */
#define MAP_RUN 32

/* ---- the map -------------------------------------------------------------------------------- */

/* The records with keys that come next, from `from_offset` on. Returns what record_next() did after
 * the last of them. */
static int take_run(struct record_iterator *iterator, const struct offset_map *map,
                    int64_t from_offset, struct beck_record run[MAP_RUN], int *ret_count)
{
    int count = 0;
    int result = 1;
    while (count < MAP_RUN && (result = record_next(iterator, &run[count])) == 1) {
        if (run[count].offset < from_offset || run[count].key == NULL)
            continue;
        offset_map_foresee(map, run[count].key, (size_t)run[count].key_size);
        count++;
    }
    *ret_count = count;
    return result;
}

static int map_records(struct offset_map *map, struct record_iterator *iterator,
                       int64_t from_offset, int64_t *map_end)
{
    struct beck_record run[MAP_RUN];
    int result;
    do {
        int count;
        result = take_run(iterator, map, from_offset, run, &count);
        for (int i = 0; i < count; i++) {
            const struct beck_record *record = &run[i];
            if (offset_map_put(map, record->key, (size_t)record->key_size, record->offset) == 0)
                continue;
            /* What comes from here on is not known of; what went before it is. */
            if (record->offset > *map_end)
                *map_end = record->offset;
            return 1;
        }
    } while (result == 1);
    return result;
}

int cleaning_map(struct offset_map *map, struct cleaned_transactions *transactions,
                 struct decompressor *decompressor, const void *batch, size_t size,
                 int64_t from_offset, int64_t *map_end)
{
    struct batch_header header;
    struct record_iterator iterator;
    int result = batch_header_read(batch, size, &header, NULL);
    if (result < 0)
        return result;
    result = cleaned_transactions_visit(transactions, &header, batch, size);
    if (result == 0 && (header.attributes & BATCH_CONTROL) == 0) {
        result = record_iterator_begin(&iterator, &header, batch, size, decompressor);
        if (result < 0)
            return result;
        result = map_records(map, &iterator, from_offset, map_end);
        if (result != 0)
            return result;
    }
    if (result >= 0 && batch_next_offset(&header) > *map_end)
        *map_end = batch_next_offset(&header);
    return result < 0 ? result : 0;
}

/* ---- batches -------------------------------------------------------------------------------- */

static const struct last_record *find_producer(const struct cleaning *cleaning, int64_t producer_id)
{
    size_t low = 0;
    size_t high = cleaning->producer_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (cleaning->producers[middle].producer_id < producer_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < cleaning->producer_count && cleaning->producers[low].producer_id == producer_id
               ? &cleaning->producers[low]
               : NULL;
}

/* Is this the batch that has an active producer's sequence, or, where it has none, its epoch? */
static bool is_last_of_producer(const struct cleaning *cleaning, const struct batch_header *header)
{
    if (header->producer_id < 0 || cleaning->keeps_producers)
        return header->producer_id >= 0;
    const struct last_record *last = find_producer(cleaning, header->producer_id);
    if (last == NULL)
        return false;
    if (last->last_offset >= 0)
        return batch_next_offset(header) - 1 == last->last_offset;
    return (header->attributes & BATCH_CONTROL) != 0 && header->producer_epoch == last->epoch;
}

/* Is the time over that tombstones, or a marker, are kept for? */
static bool is_due(const struct cleaning *cleaning, const struct batch_header *header)
{
    int64_t horizon_ms = filter_delete_horizon(header);
    return horizon_ms >= 0 && horizon_ms <= cleaning->now_ms;
}

/* ---- records -------------------------------------------------------------------------------- */

/* Is that for the map to say? */
static bool is_mapped(const struct cleaning *cleaning, const struct batch_header *header,
                      const struct beck_record *record)
{
    return (header->attributes & BATCH_CONTROL) == 0 && record->offset < cleaning->map_end;
}

static void foresee(void *context, const struct batch_header *header,
                    const struct beck_record *record)
{
    const struct cleaning *cleaning = context;
    if (is_mapped(cleaning, header, record) && record->key != NULL)
        offset_map_foresee(cleaning->map, record->key, (size_t)record->key_size);
}

static bool retain(void *context, const struct batch_header *header,
                   const struct beck_record *record)
{
    const struct cleaning *cleaning = context;
    if (cleaning->discard)
        return false;
    if (!is_mapped(cleaning, header, record))
        return true;
    if (record->key == NULL)
        return false;
    if (record->value == NULL && is_due(cleaning, header))
        return false;
    return record->offset >= offset_map_get(cleaning->map, record->key, (size_t)record->key_size);
}

int cleaning_batch(struct cleaning *cleaning, struct filter *filter, const void *batch, size_t size,
                   struct filtered *ret_filtered, struct beck_error *error)
{
    struct batch_header header;
    int result = batch_header_read(batch, size, &header, error);
    if (result < 0)
        return result;
    result = cleaned_transactions_visit(&cleaning->transactions, &header, batch, size);
    if (result < 0)
        return report_errno(error, result, "the batch's transaction is not known");
    bool is_control = (header.attributes & BATCH_CONTROL) != 0;
    bool may_discard = result == 1;
    struct filter_rules rules = {
        .retain = retain,
        .foresee = foresee,
        .context = cleaning,
        .marks_nothing = may_discard && is_control,
    };
    if (__builtin_add_overflow(cleaning->now_ms, cleaning->delete_retention_ms,
                               &rules.delete_horizon_ms))
        rules.delete_horizon_ms = INT64_MAX;
    if (cleaning->delays_horizons)
        rules.delete_horizon_ms = -1;
    /* A marker waits as long as a tombstone. */
    cleaning->discard = may_discard && (!is_control || is_due(cleaning, &header));
    if (is_last_of_producer(cleaning, &header) || batch_next_offset(&header) == cleaning->round_end)
        rules.retention = FILTER_RETAIN_EMPTY;
    else
        rules.retention = cleaning->discard ? FILTER_DELETE : FILTER_DELETE_EMPTY;
    return filter_batch(filter, batch, size, &rules, ret_filtered, error);
}
