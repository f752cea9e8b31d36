/* SPDX-License-Identifier: Apache-2.0
 *
 * The protocol of sd_notify(3), sd_listen_fds(3) and sd_watchdog_enabled(3); see service.h. What
 * the manager does not take is not said twice: it is told of changes, and of life again and again.
 */
#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "beck.h"
#include "clock.h"
#include "loops.h"

static int refuse(struct beck_error *error, int code, const char *name, const char *why)
{
    error->code = code;
    (void)snprintf(error->message, sizeof(error->message), "the socket '%s' that was passed: %s",
                   name, why);
    return code;
}

/* Does it listen for TCP? */
static bool is_listener(int fd)
{
    return sd_is_socket(fd, AF_INET, SOCK_STREAM, 1) > 0 ||
           sd_is_socket(fd, AF_INET6, SOCK_STREAM, 1) > 0;
}

int service_sockets_take(struct service_sockets *ret_sockets, struct beck_error *error)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names);
    int result = 0;
    *ret_sockets = (struct service_sockets){.count = 0};
    if (count < 0)
        result = refuse(error, count, "LISTEN_FDS", "cannot be taken");
    for (int i = 0; i < count; i++) {
        struct service_socket *one = &ret_sockets->list[ret_sockets->count];
        if (result == 0 && ret_sockets->count == CONFIG_LISTENERS_MAX)
            result = refuse(error, -E2BIG, names[i], "there are too many");
        else if (result == 0 && !is_listener(SD_LISTEN_FDS_START + i))
            result = refuse(error, -EINVAL, names[i], "does not listen for TCP");
        if (result == 0) {
            one->fd = SD_LISTEN_FDS_START + i;
            (void)snprintf(one->name, sizeof(one->name), "%s", names[i]);
            ret_sockets->count++;
        }
        free(names[i]);
    }
    free(names);
    return result;
}

int64_t service_watchdog_ms(void)
{
    uint64_t usec;
    if (sd_watchdog_enabled(0, &usec) <= 0)
        return 0;
    return usec < 4000 ? 4 : (int64_t)(usec / 1000);
}

void service_alive(struct broker *broker)
{
    int64_t oldest_ms = clock_ms() - broker->watchdog_ms / 2;
    if (!maintenance_is_alive(&broker->maintenance, oldest_ms))
        return;
    for (size_t i = 0; i < broker->loop_count; i++)
        if (atomic_load(&broker->loops[i].beat_ms) < oldest_ms)
            return;
    (void)sd_notify(0, "WATCHDOG=1");
}

void service_ready(const char *status)
{
    (void)sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void service_reloading(void)
{
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_usec());
}

void service_stopping(void)
{
    (void)sd_notify(0, "STOPPING=1\nSTATUS=answers what is under way and closes the store");
}
