/* SPDX-License-Identifier: Apache-2.0
 *
 * The socket that takes connections for a loop.
 */
#ifndef BECK_NETD_LISTENER_H
#define BECK_NETD_LISTENER_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "connection.h"

struct beck_error;
struct event;
struct loop;

struct listener {
    struct loop *loop;
    int fd;
    struct event *readable;
    struct event *again; /* listens again after a pause */
    uint16_t port;       /* the real one */
    size_t most;         /* connections at a time */
    char name[300];      /* HOST:PORT, for people */
};

/* 0, or a negative errno with the reason. */
int listener_open(struct listener *listener, struct loop *loop, struct beck_error *error);
/* Takes no more connections. May be called twice. */
void listener_close(struct listener *listener);

/* The host under which a client that has this connection can reach the daemon: what was asked for
 * with
 * --listen; or, where that names no single address, the one this connection came to. */
void listener_advertise(const struct loop *loop, int fd, char *ret_host, size_t size,
                        uint16_t *ret_port);

#endif
