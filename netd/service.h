/* SPDX-License-Identifier: Apache-2.0
 *
 * The service manager, systemd: telling it how the daemon is, and taking the sockets it opened for
 * it. Where there is none, nothing of this does anything.
 */
#ifndef BECK_NETD_SERVICE_H
#define BECK_NETD_SERVICE_H

#include <stddef.h>
#include <stdint.h>

#include "settings.h"

/* Signs of life, and looks at who is alive, in each interval of the watchdog. */
#define WATCHDOG_BEATS 4

struct beck_error;
struct broker;

/* Sockets that listen already, each with the name of the listener whose place it takes. */
struct service_sockets {
    struct service_socket {
        int fd;
        char name[CONFIG_HOST_BYTES + 1];
    } list[CONFIG_LISTENERS_MAX];
    size_t count;
};

/* Take them over: they are the caller's, and no child's. 0, or a negative errno with the reason.
 * While there is one thread. */
int service_sockets_take(struct service_sockets *ret_sockets, struct beck_error *error);

/* How long the manager lets the daemon go without a sign of life, in ms; 0: for ever. */
int64_t service_watchdog_ms(void);

/* The sign, unless one of the loops or the maintenance has not moved for half of that time. In the
 * first loop's thread. */
void service_alive(struct broker *broker);

void service_ready(const char *status);
void service_reloading(void);
void service_stopping(void);

#endif
