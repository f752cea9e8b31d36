/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the records that a topic's configuration keeps out. What is found here is refused, so
 * nothing is in a hurry. */
#include "record_rules.h"

#include "record.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>

static bool is_in_time(const struct record_rules *rules, int64_t timestamp_ms)
{
    /* -1 is none at all. */
    return timestamp_ms == -1 ||
           (timestamp_ms >= rules->least_ms && timestamp_ms <= rules->most_ms);
}

static int record_code(const struct record_rules *rules, const struct beck_record *record)
{
    if (rules->needs_key && record->key_size < 0)
        return -ENOKEY;
    return is_in_time(rules, record->timestamp_ms) ? 0 : -ETIME;
}

static int begin(struct record_iterator *iterator, const struct record_rules_batch *batch,
                 struct beck_error *error)
{
    int r = record_iterator_begin(iterator, batch->header, batch->bytes, batch->size,
                                  batch->decompressor);
    return r < 0 ? report_errno(error, r, "the batch cannot be decompressed") : 0;
}

int record_rules_list(const struct record_rules *rules, const struct record_rules_batch *batch,
                      struct beck_refusal *list, uint32_t room, uint32_t *ret_count,
                      struct beck_error *error)
{
    struct record_iterator iterator;
    struct beck_record record;
    uint32_t count = 0;
    int r = begin(&iterator, batch, error);
    if (r < 0)
        return r;
    for (int32_t index = 0; record_next(&iterator, &record) == 1; index++) {
        int code = record_code(rules, &record);
        if (code == 0)
            continue;
        if (count < room)
            list[count] = (struct beck_refusal){index, code, record.timestamp_ms};
        count++;
    }
    *ret_count = count;
    return 0;
}

int record_rules_refuse(const struct record_rules *rules, const struct record_rules_batch *batch,
                        struct beck_error *error)
{
    struct beck_refusal found = {.code = 0};
    struct record_iterator iterator;
    struct beck_record record;
    int r = begin(&iterator, batch, error);
    if (r < 0)
        return r;
    for (int32_t index = 0; found.code != -ETIME && record_next(&iterator, &record) == 1; index++) {
        int code = record_code(rules, &record);
        if (code == -ETIME || (code != 0 && found.code == 0))
            found = (struct beck_refusal){index, code, record.timestamp_ms};
    }
    if (found.code == 0)
        return 0;
    if (found.code == -ENOKEY)
        r = report(error, -ENOKEY,
                   "record %" PRId32 " of the batch has no key, and the topic is compacted",
                   found.record);
    else
        r = report(error, -ETIME,
                   "record %" PRId32 " of the batch has the timestamp %" PRId64
                   ", and the topic takes those from %" PRId64 " to %" PRId64,
                   found.record, found.timestamp_ms, rules->least_ms, rules->most_ms);
    if (error)
        error->record = found.record;
    return r;
}
