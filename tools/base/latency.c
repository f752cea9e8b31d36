/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buckets: up to 64 each has one value; above, each doubling is divided into 64, by the six bits
 * behind the leading one.
 */
#include "latency.h"

#include <stdio.h>
#include <time.h>

enum { SUB_BITS = 6 };

int64_t latency_now_usec(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static unsigned bucket_of(uint64_t value)
{
    if (value < LATENCY_SUB_BUCKETS)
        return (unsigned)value;
    unsigned shift = 63 - SUB_BITS - (unsigned)__builtin_clzll(value);
    return (shift + 1) * LATENCY_SUB_BUCKETS + (unsigned)(value >> shift) - LATENCY_SUB_BUCKETS;
}

/* The largest value that a bucket holds. */
static uint64_t end_of(unsigned bucket)
{
    if (bucket < LATENCY_SUB_BUCKETS)
        return bucket;
    unsigned shift = bucket / LATENCY_SUB_BUCKETS - 1;
    uint64_t top = LATENCY_SUB_BUCKETS + bucket % LATENCY_SUB_BUCKETS;
    return ((top + 1) << shift) - 1;
}

void latency_add(struct latency *latency, int64_t usec, uint64_t times)
{
    if (times == 0)
        return;
    if (usec < 0)
        usec = 0;
    if (latency->count == 0 || usec < latency->least_usec)
        latency->least_usec = usec;
    if (usec > latency->largest_usec)
        latency->largest_usec = usec;
    latency->count += times;
    latency->buckets[bucket_of((uint64_t)usec)] += times;
}

int64_t latency_percentile_usec(const struct latency *latency, unsigned per_mille)
{
    uint64_t wanted = (latency->count * per_mille + 999) / 1000;
    uint64_t seen = 0;

    for (unsigned i = 0; i < LATENCY_BUCKETS && latency->count > 0; i++) {
        seen += latency->buckets[i];
        if (seen < wanted || seen == 0)
            continue;
        int64_t end = (int64_t)end_of(i);
        return end < latency->largest_usec ? end : latency->largest_usec;
    }
    return latency->largest_usec;
}

static void field(const struct row *row, const char *name, int64_t usec)
{
    row_decimal(row, name, (double)usec / 1000);
}

void latency_row(const struct latency *latency, const struct row *row)
{
    field(row, "min-ms", latency->least_usec);
    field(row, "p50-ms", latency_percentile_usec(latency, 500));
    field(row, "p99-ms", latency_percentile_usec(latency, 990));
    field(row, "p99.9-ms", latency_percentile_usec(latency, 999));
    field(row, "max-ms", latency->largest_usec);
}
