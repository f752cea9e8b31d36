/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What beckfs has to say while it runs: to stderr in the foreground, to syslog as a daemon. Any
 * thread. What goes wrong before the mount is up is said by main.c, once, on stderr.
 */
#ifndef FUSEFS_LOGGER_H
#define FUSEFS_LOGGER_H

#include <stdbool.h>

/* From now on to syslog. Call before there are other threads. */
void logger_to_syslog(void);

/* One sentence, without a newline. `priority` as syslog(3)'s. */
void logger_say(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
