/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops of the daemon: one runs in the thread that starts them, listens, and has the groups;
 * the others have a thread each. Connections are spread over them; quiet ones gather on the first.
 */
#ifndef BECK_NETD_LOOPS_H
#define BECK_NETD_LOOPS_H

#include "loop.h"

/* Make and start all but the first one, which loops_run() runs. 0, or a negative errno with the
 * reason. Signals must be blocked by the caller. */
int loops_start(struct broker *broker, struct beck_error *error);
/* Run the first loop until all have ended after loops_stop(). */
void loops_run(struct broker *broker);
/* In the first loop's thread: all answer what is under way and end, after LOOP_STOP_MS in any case.
 * On a second call, all end at once. */
void loops_stop(struct broker *broker);
void loops_done(struct broker *broker);

/* In the first loop's thread: give a connection to some loop. */
void loops_take(struct broker *broker, const struct accepted *accepted);

#endif
