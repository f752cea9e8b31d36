/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Being asked to stop. SIGINT, SIGTERM, SIGHUP and SIGPIPE are noted, so that a command can come to
 * an end, say what it did and close the store; main() then dies of the signal, as callers expect. A
 * second SIGINT, SIGTERM or SIGHUP kills at once.
 */
#ifndef TOOLS_SIGNALS_H
#define TOOLS_SIGNALS_H

#include <poll.h>
#include <stdbool.h>

/* Once, at the start. */
void signals_install(void);

/* Has a signal come that asks to stop? */
bool signals_caught(void);

/*
 * poll(2) for one descriptor (or none: -1) that a signal is sure to end, also one that came just
 * before. `timeout_ms` -1: no limit. Returns poll's result; 0 for a signal.
 */
int signals_poll(int fd, short events, int timeout_ms);

/* Die of the signal that was caught; returns where there was none. */
void signals_obey(void);

#endif
