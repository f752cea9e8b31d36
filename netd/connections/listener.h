/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets that take connections for the loops: one for each of the listeners that are configured,
 * and one in the store's directory, broker.sock, by which programs on this machine reach whoever
 * has the broker role.
 */
#ifndef BECK_NETD_LISTENER_H
#define BECK_NETD_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service.h"
#include "settings.h"

#define LISTENERS_MAX        (CONFIG_LISTENERS_MAX + 1)
#define LISTENER_SOCKET_NAME "broker.sock"

struct beck_error;
struct broker;
struct connection;
struct event;

struct listener {
    struct broker *broker;
    const struct endpoint *endpoint; /* NULL: the store's socket */
    int fd;
    struct event *readable;
    struct event *again;              /* listens again after a pause */
    char host[CONFIG_HOST_BYTES + 1]; /* as asked for, or where a passed socket listens */
    uint16_t port;                    /* the real one */
    char name[300];                   /* HOST:PORT, for people */
};

/* Open all of them, in the first loop's thread. A socket that was passed takes the place of the
 * listener of its name, or of the only one. The sockets are closed in any case. 0, or a negative
 * errno with the reason. */
int listeners_open(struct broker *broker, struct service_sockets *passed, struct beck_error *error);
/* Take no more connections. May be called twice. */
void listeners_close(struct broker *broker);

/* Where a client that has this connection is told that the daemon is: what is advertised for its
 * listener; else its host, or, where that names no single address, the one this connection came to.
 */
void listener_advertise(const struct connection *connection, char *ret_host, size_t size,
                        uint16_t *ret_port);

#endif
