/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon's log: lines on stderr, each begun with the program's name, each written with one
 * call, so that lines of several threads do not mix. What a peer can cause goes through a limit, so
 * that nobody fills a disk by sending nonsense.
 */
#ifndef BECK_NETD_LOG_H
#define BECK_NETD_LOG_H

#include <stdint.h>

#define LOG_LIMIT_LINES     20 /* lines a limit lets through in each of its windows */
#define LOG_LIMIT_WINDOW_MS 1000

/* Belongs to one thread; begins zeroed. */
struct log_limit {
    int64_t window_ms; /* when the current window began */
    unsigned lines;    /* written in it */
    unsigned left_out; /* since the last line that was written */
};

void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, unless the limit is reached; then the next line that gets through says how many did
 * not. */
void log_limited(struct log_limit *limit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
