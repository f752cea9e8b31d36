/* SPDX-License-Identifier: Apache-2.0
 *
 * Time for intervals and deadlines: it never jumps, and says nothing about the date.
 */
#ifndef BECK_NETD_CLOCK_H
#define BECK_NETD_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_nsec(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int64_t clock_usec(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static inline int64_t clock_ms(void)
{
    return clock_usec() / 1000;
}

#endif
