/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections that came from an address that makes more of them than it may: nothing is read from
 * them, and they are closed when their time is over, so that who tries again at once has to wait,
 * too. They count as connections until then. All of it in the first loop's thread.
 */
#ifndef BECK_NETD_HELD_H
#define BECK_NETD_HELD_H

#include <stdint.h>
#include <sys/queue.h>

struct accepted;
struct broker;
struct held;

TAILQ_HEAD(held_list, held);

/* Takes the socket over. */
void held_add(struct broker *broker, const struct accepted *accepted, int32_t wait_ms);
/* Close all that are left. */
void held_close(struct broker *broker);

#endif
