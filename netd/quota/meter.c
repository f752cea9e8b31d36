/* SPDX-License-Identifier: Apache-2.0
 *
 * Rates and buckets; see meter.h. The mean is over all windows but the first, whole, and the part
 * of the newest that is over: so who begins is not taken for somebody who did all in a moment.
 */
#include "quota/meter.h"

#include <stdlib.h>

struct rate *rate_new(const struct meter_windows *windows)
{
    return calloc(1, sizeof(struct rate) + windows->count * sizeof(double));
}

/* Empties the cells of windows that came since. */
static void advance(struct rate *rate, const struct meter_windows *windows, int64_t now_ms)
{
    int64_t now = now_ms / windows->size_ms;
    int64_t first = now - windows->count + 1;
    if (first <= rate->newest)
        first = rate->newest + 1;
    for (int64_t i = first; i <= now; i++)
        rate->cells[i % windows->count] = 0;
    if (now > rate->newest)
        rate->newest = now;
}

void rate_add(struct rate *rate, const struct meter_windows *windows, double amount, int64_t now_ms)
{
    advance(rate, windows, now_ms);
    rate->cells[rate->newest % windows->count] += amount;
}

static int32_t wait_of(double ms)
{
    if (ms < 0.5)
        return 0;
    return ms < METER_WAIT_MAX_MS ? (int32_t)(ms + 0.5) : METER_WAIT_MAX_MS;
}

int32_t rate_wait_ms(struct rate *rate, const struct meter_windows *windows, double limit,
                     double more, int64_t now_ms)
{
    double sum = more;
    advance(rate, windows, now_ms);
    for (uint32_t i = 0; i < windows->count; i++)
        sum += rate->cells[i];
    int64_t over_ms = (windows->count - 1) * windows->size_ms + now_ms % windows->size_ms;
    return wait_of(sum / limit * 1000 - (double)(over_ms > 0 ? over_ms : 1));
}

int32_t bucket_take(struct bucket *bucket, const struct meter_windows *windows, double limit,
                    double tokens, bool is_strict, int64_t now_ms)
{
    double room = limit * windows->count * (double)windows->size_ms / 1000;
    bucket->missing -= limit * (double)(now_ms - bucket->at_ms) / 1000;
    bucket->at_ms = now_ms;
    if (bucket->missing < 0)
        bucket->missing = 0;
    if (is_strict && bucket->missing > room)
        return wait_of((bucket->missing - room) / limit * 1000);
    bucket->missing += tokens;
    return is_strict ? 0 : wait_of((bucket->missing - room) / limit * 1000);
}
