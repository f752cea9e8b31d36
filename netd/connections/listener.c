/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening and accepting; see listener.h. When descriptors run out, listening pauses for a moment
 * rather than spinning on a connection that cannot be taken.
 *
 * The socket in the store's directory is left there when the daemon is killed, and taken away by
 * the next one, which has the broker role then and so is the only one.
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
#include <sys/un.h>
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

/* Counts one more connection. -EBUSY: there may be no more, and a line says why; -ENOMEM. */
static int count_connection(struct broker *broker, const struct sockaddr_storage *address,
                            struct accepted *accepted)
{
    struct log_limit *limit = &broker->loops[0].log_limit;
    size_t most = connections_most(broker->config);
    int64_t most_of_one = broker->config->max_connections_per_ip;
    if (atomic_load(&broker->connection_count) >= most) {
        log_peer(limit, accepted->peer, "closed: there are %zu connections already", most);
        return -EBUSY;
    }
    int result = sources_take(&broker->sources, address, most_of_one, &accepted->source);
    if (result == -EBUSY)
        log_peer(limit, accepted->peer,
                 "closed: there are %lld connections from its address already",
                 (long long)most_of_one);
    else if (result < 0)
        log_peer(limit, accepted->peer, "closed: no memory for a connection");
    else
        atomic_fetch_add(&broker->connection_count, 1);
    return result;
}

static void set_options(const struct broker_config *config, int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    /* One that waits for an answer is not idle: this is how it is found that its client is gone. */
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    if (config->socket_send_buffer_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &config->socket_send_buffer_bytes,
                   sizeof(config->socket_send_buffer_bytes));
    if (config->socket_receive_buffer_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &config->socket_receive_buffer_bytes,
                   sizeof(config->socket_receive_buffer_bytes));
}

static void take(struct listener *listener, int fd, const struct sockaddr_storage *address)
{
    struct broker *broker = listener->broker;
    struct accepted accepted = {.fd = fd, .listener = listener};
    char host[INET6_ADDRSTRLEN] = "local";
    uint16_t port = 0;
    if (address->ss_family != AF_UNIX)
        port = address_text(address, host, sizeof(host));
    snprintf(accepted.peer, sizeof(accepted.peer), strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
             (unsigned)port);
    if (count_connection(broker, address, &accepted) < 0) {
        close(fd);
        return;
    }
    if (address->ss_family != AF_UNIX)
        set_options(broker->config, fd);
    int32_t wait_ms =
        quotas_limit_addresses(&broker->quotas) ? quotas_connect(&broker->quotas, address) : 0;
    if (wait_ms == 0) {
        loops_take(broker, &accepted);
        return;
    }
    log_peer(&broker->loops[0].log_limit, accepted.peer,
             "closed: its address makes more connections than its quota allows");
    held_add(broker, &accepted, wait_ms);
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
            log_limited(&listener->broker->loops[0].log_limit, "cannot take a connection: %s",
                        strerror(errno));
            pause_listening(listener);
            break;
        } else if (errno == EAGAIN) {
            break;
        } /* else that client is gone already */
    }
    loop_settle(&listener->broker->loops[0]);
}

/* Binds the first address of the host that can be bound. */
static int bind_host(const struct endpoint *endpoint, const char **ret_reason)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", (unsigned)endpoint->port);
    struct addrinfo hints = {
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
    };
    struct addrinfo *all = NULL;
    const char *host = endpoint->host[0] ? endpoint->host : NULL;
    int result = getaddrinfo(host, port, &hints, &all);
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

/* Who may open the store may talk to its broker: the directory's mode says who that is. */
static int bind_store_socket(const char *store_path, const char **ret_reason)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", store_path,
                     LISTENER_SOCKET_NAME);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path)) {
        *ret_reason = "the path is too long for a socket";
        return -ENAMETOOLONG;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)unlink(address.sun_path);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    int failure = errno;
    *ret_reason = strerror(failure);
    if (fd >= 0)
        close(fd);
    return -failure;
}

/* ---- one listener ---- */

static int add_events(struct listener *listener)
{
    struct event_base *base = listener->broker->loops[0].base;
    listener->readable =
        event_new(base, listener->fd, EV_READ | EV_PERSIST, readable_event, listener);
    listener->again = evtimer_new(base, again_event, listener);
    bool added = listener->readable && listener->again && event_add(listener->readable, NULL) == 0;
    return added ? 0 : -ENOMEM;
}

static void name_listener(struct listener *listener, bool passed)
{
    const struct endpoint *endpoint = listener->endpoint;
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof(address);
    char host[INET6_ADDRSTRLEN];
    if (!endpoint) {
        snprintf(listener->name, sizeof(listener->name), "%s", LISTENER_SOCKET_NAME);
        return;
    }
    listener->port = endpoint->port;
    snprintf(listener->host, sizeof(listener->host), "%s", endpoint->host);
    if (listener->fd >= 0 && getsockname(listener->fd, (struct sockaddr *)&address, &size) == 0) {
        listener->port = address_text(&address, host, sizeof(host));
        if (passed)
            snprintf(listener->host, sizeof(listener->host), "%s", host);
    }
    snprintf(listener->name, sizeof(listener->name),
             strchr(listener->host, ':') ? "[%s]:%u" : "%s:%u", listener->host,
             (unsigned)listener->port);
}

/* `fd`: the socket, if there is one already; else -1. No endpoint: the store's socket. */
static int open_one(struct broker *broker, const struct endpoint *endpoint, int fd,
                    struct beck_error *error)
{
    const char *reason = "no memory";
    struct listener *listener = &broker->listeners[broker->listener_count++];
    *listener = (struct listener){.broker = broker, .endpoint = endpoint};
    if (fd >= 0)
        listener->fd = fd;
    else
        listener->fd = endpoint ? bind_host(endpoint, &reason)
                                : bind_store_socket(broker->config->store_path, &reason);
    name_listener(listener, fd >= 0);
    int result = listener->fd < 0 ? listener->fd : add_events(listener);
    if (result < 0) {
        error->code = result;
        snprintf(error->message, sizeof(error->message), "cannot listen on %s: %s", listener->name,
                 reason);
    }
    return result;
}

static void close_one(struct listener *listener)
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

/* ---- all of them ---- */

static bool has_place(const struct service_socket *socket, const struct broker_config *config,
                      size_t index)
{
    return config->listeners.count == 1 ||
           strcmp(socket->name, config->listeners.list[index].name) == 0;
}

/* The listener at `index`: by all sockets that were passed for it, or by one of its own. */
static int open_listener(struct broker *broker, struct service_sockets *passed, size_t index,
                         struct beck_error *error)
{
    const struct endpoint *endpoint = &broker->config->listeners.list[index];
    bool has_socket = false;
    for (size_t i = 0; i < passed->count; i++) {
        struct service_socket *socket = &passed->list[i];
        if (socket->fd < 0 || !has_place(socket, broker->config, index))
            continue;
        int fd = socket->fd;
        socket->fd = -1;
        has_socket = true;
        if (broker->listener_count == CONFIG_LISTENERS_MAX) {
            close(fd);
            error->code = -E2BIG;
            snprintf(error->message, sizeof(error->message), "there are more than %d listeners",
                     CONFIG_LISTENERS_MAX);
            return -E2BIG;
        }
        (void)evutil_make_socket_nonblocking(fd);
        int result = open_one(broker, endpoint, fd, error);
        if (result < 0)
            return result;
    }
    if (has_socket)
        return 0;
    return open_one(broker, endpoint, -1, error);
}

/* Close those that nobody took. -EINVAL: there are some. */
static int close_rest(struct service_sockets *passed, struct beck_error *error)
{
    int result = 0;
    for (size_t i = 0; i < passed->count; i++) {
        if (passed->list[i].fd < 0)
            continue;
        close(passed->list[i].fd);
        passed->list[i].fd = -1;
        result = -EINVAL;
        error->code = result;
        snprintf(error->message, sizeof(error->message),
                 "the socket '%s' that was passed is named like none of the listeners",
                 passed->list[i].name);
    }
    return result;
}

int listeners_open(struct broker *broker, struct service_sockets *passed, struct beck_error *error)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < broker->config->listeners.count; i++)
        result = open_listener(broker, passed, i, error);
    struct beck_error unused;
    int rest = close_rest(passed, result < 0 ? &unused : error);
    if (result == 0)
        result = rest;
    if (result < 0) {
        listeners_close(broker);
        return result;
    }
    struct beck_error refused;
    if (open_one(broker, NULL, -1, &refused) < 0) /* on a file system without sockets, say */
        log_warning("%s: tools on this machine cannot ask this daemon for anything",
                    refused.message);
    return 0;
}

void listeners_close(struct broker *broker)
{
    held_close(broker);
    for (size_t i = 0; i < broker->listener_count; i++) {
        struct listener *listener = &broker->listeners[i];
        if (!listener->endpoint && listener->fd >= 0) {
            char path[4200];
            snprintf(path, sizeof(path), "%s/%s", broker->config->store_path, LISTENER_SOCKET_NAME);
            (void)unlink(path);
        }
        close_one(listener);
    }
}

/* What is advertised under the listener's name; NULL: nothing. */
static const struct endpoint *find_advertised(const struct broker_config *config, const char *name)
{
    for (size_t i = 0; i < config->advertised.count; i++)
        if (strcmp(config->advertised.list[i].name, name) == 0)
            return &config->advertised.list[i];
    return NULL;
}

void listener_advertise(const struct connection *connection, char *ret_host, size_t size,
                        uint16_t *ret_port)
{
    const struct broker *broker = connection->loop->broker;
    const struct listener *listener = connection->listener;
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t address_size = sizeof(address);
    char host[INET6_ADDRSTRLEN] = "";
    if (!listener->endpoint) /* who came by the store's socket is told of the first address */
        listener = &broker->listeners[0];
    const char *asked = listener->host;
    const struct endpoint *advertised = find_advertised(broker->config, listener->endpoint->name);
    *ret_port = listener->port;
    if (advertised) {
        snprintf(ret_host, size, "%s", advertised->host);
        if (advertised->port != 0)
            *ret_port = advertised->port;
        return;
    }
    if (getsockname(connection->fd, (struct sockaddr *)&address, &address_size) == 0 &&
        address.ss_family != AF_UNIX)
        *ret_port = address_text(&address, host, sizeof(host));
    /* localhost may be another address for the client than it was here. */
    bool vague = asked[0] == '\0' || strcmp(asked, "0.0.0.0") == 0 || strcmp(asked, "::") == 0 ||
                 strcmp(asked, "localhost") == 0;
    snprintf(ret_host, size, "%s", vague && host[0] ? host : asked);
}
