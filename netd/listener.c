/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening and accepting; see listener.h. When descriptors run out, listening pauses for a moment
 * rather than spinning on a connection that cannot be taken.
 */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "beck.h"
#include "loops.h"

#define BACKLOG        1024
#define PAUSE_MS       100
#define ACCEPTS_A_TURN 64

/* Descriptors that connections leave to the store: half of all, as the library assumes, up to a
 * number; and some for the rest of the daemon. */
#define STORE_DESCRIPTORS 4096
#define OTHER_DESCRIPTORS 32

/* Address and port as text; an IPv4 address that came through an IPv6 socket as IPv4. */
static uint16_t address_text(const struct sockaddr_storage *address, char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
        if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
            inet_ntop(AF_INET, six->sin6_addr.s6_addr + 12, ret_text, (socklen_t)size);
        else
            inet_ntop(AF_INET6, &six->sin6_addr, ret_text, (socklen_t)size);
        return ntohs(six->sin6_port);
    }
    const struct sockaddr_in *four = (const struct sockaddr_in *)address;
    inet_ntop(AF_INET, &four->sin_addr, ret_text, (socklen_t)size);
    return ntohs(four->sin_port);
}

static void take(struct listener *listener, int fd, const struct sockaddr_storage *address)
{
    struct loop *loop = listener->loop;
    char host[INET6_ADDRSTRLEN];
    char peer[CONNECTION_NAME_BYTES];
    uint16_t port = address_text(address, host, sizeof(host));
    snprintf(peer, sizeof(peer), strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, (unsigned)port);
    if (atomic_load(&loop->broker->connection_count) >= listener->most) {
        log_limited(&loop->log_limit, "%s: closed: there are %zu connections already", peer,
                    listener->most);
        close(fd);
        return;
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    atomic_fetch_add(&loop->broker->connection_count, 1);
    loops_take(loop->broker, fd, peer);
}

static void pause_listening(struct listener *listener)
{
    struct timeval after = {.tv_usec = PAUSE_MS * 1000};
    event_del(listener->readable);
    event_add(listener->again, &after);
}

static void again_event(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct listener *listener = context;
    event_add(listener->readable, NULL);
}

static void readable_event(evutil_socket_t listening, short what, void *context)
{
    (void)what;
    struct listener *listener = context;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
        socklen_t size = sizeof(address);
        int fd =
            accept4(listening, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take(listener, fd, &address);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            log_limited(&listener->loop->log_limit, "cannot take a connection: %s",
                        strerror(errno));
            pause_listening(listener);
            break;
        } else if (errno == EAGAIN) {
            break;
        } /* else that client is gone already */
    }
    loop_settle(listener->loop);
}

/* How many connections there may be: else they would take the descriptors that the store needs, and
 * everybody's produces and fetches would fail. */
static size_t connections_most(const struct broker_config *config)
{
    size_t most = (size_t)config->max_connections;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return most;
    size_t all = (size_t)limit.rlim_cur;
    size_t kept = all / 2 < STORE_DESCRIPTORS ? all / 2 : STORE_DESCRIPTORS;
    size_t left =
        all - kept > 2 * OTHER_DESCRIPTORS ? all - kept - OTHER_DESCRIPTORS : OTHER_DESCRIPTORS;
    return most < left ? most : left;
}

/* Binds the first address of the host that can be bound. */
static int bind_host(const struct broker_config *config, const char **ret_reason)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", (unsigned)config->listen_port);
    struct addrinfo hints = {
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
    };
    struct addrinfo *all = NULL;
    int result = getaddrinfo(config->listen_host, port, &hints, &all);
    if (result != 0) {
        *ret_reason = gai_strerror(result);
        return -EADDRNOTAVAIL;
    }
    int fd = -1;
    int failure = EADDRNOTAVAIL;
    for (struct addrinfo *one = all; one && fd < 0; one = one->ai_next) {
        fd = socket(one->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int yes = 1;
        if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
                        bind(fd, one->ai_addr, one->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)) {
            failure = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(all);
    if (fd < 0)
        *ret_reason = failure == EADDRINUSE ? "another program listens there" : strerror(failure);
    return fd < 0 ? -failure : fd;
}

int listener_open(struct listener *listener, struct loop *loop, struct beck_error *error)
{
    const struct broker_config *config = loop->broker->config;
    const char *reason = "no memory";
    *listener = (struct listener){.loop = loop, .most = connections_most(config)};
    listener->fd = bind_host(config, &reason);
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof(address);
    int result = listener->fd < 0 ? listener->fd : 0;
    if (result == 0 && getsockname(listener->fd, (struct sockaddr *)&address, &size) == 0) {
        char host[INET6_ADDRSTRLEN];
        listener->port = address_text(&address, host, sizeof(host));
        listener->readable =
            event_new(loop->base, listener->fd, EV_READ | EV_PERSIST, readable_event, listener);
        listener->again = evtimer_new(loop->base, again_event, listener);
        if (!listener->readable || !listener->again || event_add(listener->readable, NULL) < 0)
            result = -ENOMEM;
    }
    uint16_t port = listener->port ? listener->port : config->listen_port;
    snprintf(listener->name, sizeof(listener->name),
             strchr(config->listen_host, ':') ? "[%s]:%u" : "%s:%u", config->listen_host,
             (unsigned)port);
    if (result < 0) {
        listener_close(listener);
        error->code = result;
        snprintf(error->message, sizeof(error->message), "cannot listen on %s: %s", listener->name,
                 reason);
    }
    return result;
}

void listener_close(struct listener *listener)
{
    if (listener->readable)
        event_free(listener->readable);
    if (listener->again)
        event_free(listener->again);
    listener->readable = listener->again = NULL;
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
}

void listener_advertise(const struct loop *loop, int fd, char *ret_host, size_t size,
                        uint16_t *ret_port)
{
    const char *asked = loop->broker->config->listen_host;
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t address_size = sizeof(address);
    char host[INET6_ADDRSTRLEN] = "";
    *ret_port = loop->broker->config->listen_port;
    if (getsockname(fd, (struct sockaddr *)&address, &address_size) == 0)
        *ret_port = address_text(&address, host, sizeof(host));
    /* localhost may be another address for the client than it was here. */
    bool vague = strcmp(asked, "0.0.0.0") == 0 || strcmp(asked, "::") == 0 ||
                 strcmp(asked, "localhost") == 0;
    snprintf(ret_host, size, "%s", vague && host[0] ? host : asked);
}
