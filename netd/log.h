/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon's log: lines on stderr, each written with one call, so that lines of several threads
 * do not mix. As text, begun with the program's name; or each a JSON object. Where stderr is the
 * journal, a line begins with its priority, which the journal takes off. What a peer can cause goes
 * through a limit, so that nobody fills a disk by sending nonsense.
 */
#ifndef BECK_NETD_LOG_H
#define BECK_NETD_LOG_H

#include <pthread.h>
#include <stdint.h>

#define LOG_LIMIT_LINES     20 /* lines a limit lets through in each of its windows */
#define LOG_LIMIT_WINDOW_MS 1000

/* syslog's numbers, which are the journal's. */
enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6 };

enum log_format { LOG_TEXT, LOG_JSON };

/* Belongs to one thread; begins zeroed. */
struct log_limit {
    int64_t window_ms; /* when the current window began */
    unsigned lines;    /* written in it */
    unsigned left_out; /* since the last line that was written */
};

/* How lines look; before there are other threads. */
void log_setup(enum log_format format);

/* What the daemon does; what does not work as it should, and goes on; why something cannot be. */
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The line that says that the daemon serves now: begun with its version, too. */
void log_started(const char *version, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A warning, unless the limit is reached; then the next line that gets through says how many did
 * not. The second is about a connection to `peer`, which in text stands before it. */
void log_limited(struct log_limit *limit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void log_peer(struct log_limit *limit, const char *peer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for several threads. */
struct log_shared {
    pthread_mutex_t lock;
    struct log_limit limit; /* under lock */
};

void log_shared_init(struct log_shared *shared);
void log_shared_done(struct log_shared *shared);
/* An error, unless the limit is reached. From any thread. */
void log_error_limited(struct log_shared *shared, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
