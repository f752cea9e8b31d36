/* SPDX-License-Identifier: Apache-2.0
 *
 * How much was done lately. A rate is the mean over the last windows of time, the one that is under
 * way included; a bucket holds tokens that come back at a rate, and may fall below zero once. Both
 * say how long to wait until the mean, or the bucket, is right again, as Kafka's brokers do.
 */
#ifndef BECK_NETD_QUOTA_METER_H
#define BECK_NETD_QUOTA_METER_H

#include <stdbool.h>
#include <stdint.h>

/* No wait is longer. */
#define METER_WAIT_MAX_MS INT32_MAX

struct meter_windows {
    uint32_t count; /* 1 or more, the one that is under way included */
    int64_t size_ms;
};

struct rate {
    int64_t newest; /* number of the newest window that has a cell */
    double cells[]; /* by the window's number, modulo their count */
};

/* NULL: no memory. free() it. */
struct rate *rate_new(const struct meter_windows *windows);
void rate_add(struct rate *rate, const struct meter_windows *windows, double amount,
              int64_t now_ms);
/* How long until the mean is at `limit` a second, if nothing but `more` comes; 0: it is not above.
 */
int32_t rate_wait_ms(struct rate *rate, const struct meter_windows *windows, double limit,
                     double more, int64_t now_ms);

/* Zeroed it is full. */
struct bucket {
    double missing; /* tokens that it is not full for */
    int64_t at_ms;  /* when that was so */
};

/*
 * Take tokens out of a bucket that gets `limit` of them a second and has room for those of all
 * windows. Where it has none left: if `is_strict`, none are taken; and in any case the time until
 * it has is returned. 0: they were taken, and it is not below zero, or strict.
 */
int32_t bucket_take(struct bucket *bucket, const struct meter_windows *windows, double limit,
                    double tokens, bool is_strict, int64_t now_ms);

#endif
