/* SPDX-License-Identifier: Apache-2.0
 *
 * Quotas and requests: what a request of a limited client is charged for, and how long its
 * connection is then not read from. Called only where some quota is set, or where a request has
 * somebody who is limited (`request->client`).
 *
 * A produce is charged when it comes, for all its bytes: what the client sent behind it is left in
 * the socket. A fetch is charged for its records when they are answered, and gets none while there
 * were too many before. A request's time is that of its loop's thread and its worker's. The answer
 * says how long the client is to wait, and for so long nothing of him is read.
 */
#ifndef BECK_NETD_THROTTLE_H
#define BECK_NETD_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;

/* Has a request of `size` bytes handled, and charged for. */
void throttle_handle(struct request *request, void (*handle)(struct request *request), size_t size);
/* Runs its work, on a worker. */
void throttle_work(struct request *request);
/* It will be answered now: has the answer say how long to wait. */
void throttle_answer(struct request *request);
/* It is answered, or never will be. */
void throttle_forget(struct request *request);

/* Is a fetch to be answered without records? Else `most_bytes` becomes what it may have, if that is
 * less. */
bool throttle_fetch(struct request *request, size_t *most_bytes);
/* May partitions be made or deleted? Where it is not strict they always may. On a worker, too. */
bool throttle_mutation(struct request *request, size_t partitions, bool is_strict);

#endif
