/* SPDX-License-Identifier: Apache-2.0
 *
 * From the bytes of a request to its handler.
 */
#ifndef BECK_NETD_KAFKA_DISPATCH_H
#define BECK_NETD_KAFKA_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

struct connection;

/* Queues one request, without its length, and has it handled. What cannot be understood ends the
 * connection. `data` is borrowed for the call. */
void dispatch(struct connection *connection, const uint8_t *data, size_t size);

#endif
