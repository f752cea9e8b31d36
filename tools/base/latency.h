/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long things took: counted in buckets, each less than 1/64 wide of what it holds, so that any
 * number of them takes the same memory, and percentiles are right to 1.6 %. Least and largest are
 * exact. Times are of the monotonic clock, in microseconds.
 */
#ifndef TOOLS_LATENCY_H
#define TOOLS_LATENCY_H

#include "row.h"

#include <stdint.h>

enum { LATENCY_SUB_BUCKETS = 64, LATENCY_BUCKETS = 64 * 58 };

struct latency {
    uint64_t count;
    int64_t least_usec;
    int64_t largest_usec;
    uint64_t buckets[LATENCY_BUCKETS];
};

/* Now, by the monotonic clock. */
int64_t latency_now_usec(void);

/* Add what took so long, so many times. Below zero counts as zero. */
void latency_add(struct latency *latency, int64_t usec, uint64_t times);

/* What so many of a thousand took at most (500: the median); 0 where there is none. */
int64_t latency_percentile_usec(const struct latency *latency, unsigned per_mille);

/* Fields p50-ms, p99-ms and so on. */
void latency_row(const struct latency *latency, const struct row *row);

#endif
