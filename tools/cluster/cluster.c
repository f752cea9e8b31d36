/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of librdkafka. It logs nothing by itself: what it cannot do is said by who asked. */
#include "cluster.h"

#include "parse.h"
#include "report.h"
#include "signals.h"

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { AGAIN_MS = 100 };

static int code_of(rd_kafka_resp_err_t wrong)
{
    switch (wrong) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND:
        return -ENOENT;
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
        return -EEXIST;
    case RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP:
    case RD_KAFKA_RESP_ERR_GROUP_SUBSCRIBED_TO_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
        return -EBUSY;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return -EACCES;
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
        return -EAGAIN;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        return -ETIMEDOUT;
    default:
        return -EIO;
    }
}

const char *cluster_why(rd_kafka_resp_err_t wrong)
{
    return wrong == RD_KAFKA_RESP_ERR__TRANSPORT || wrong == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
                   wrong == RD_KAFKA_RESP_ERR__RESOLVE
               ? "no broker answers"
               : rd_kafka_err2str(wrong);
}

int cluster_error(struct beck_error *error, rd_kafka_resp_err_t wrong, const char *format, ...)
{
    char what[256];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    int code = code_of(wrong);
    return report(error, code, "%s: %s", what, cluster_why(wrong));
}

int64_t cluster_gone_ms(const struct tool *tool, const char *name)
{
    int64_t number = CLUSTER_GONE_MS;

    for (size_t i = 0; i < tool->client_settings.count; i++) {
        if (strcmp(tool->client_settings.configs[i].name, name) == 0)
            (void)parse_number(tool->client_settings.configs[i].value, 1, INT32_MAX, &number);
    }
    return number;
}

bool cluster_again(int64_t since_ms)
{
    const struct timespec rest = {.tv_nsec = AGAIN_MS * 1000000L};

    if (parse_now_ms() - since_ms >= CLUSTER_PATIENCE_MS || signals_caught())
        return false;
    (void)nanosleep(&rest, NULL);
    return true;
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct beck_error *error)
{
    char why[256];

    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
        return 0;
    return report(error, -EINVAL, "%s=%s: %s", name, value, why);
}

/* ---- by the store's socket ---------------------------------------------------------------- */

/* librdkafka knows addresses of the internet only: whatever it looks up and connects to, it gets
 * the socket. There is one store in a process, and so one socket. */
static struct sockaddr_un broker_socket = {.sun_family = AF_UNIX};

static int make_socket(int domain, int type, int protocol, void *opaque)
{
    (void)domain, (void)protocol, (void)opaque;
    return socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
}

static int connect_socket(int fd, const struct sockaddr *address, int size, const char *id,
                          void *opaque)
{
    (void)address, (void)size, (void)id, (void)opaque;
    const struct sockaddr *here = (const struct sockaddr *)&broker_socket;
    return connect(fd, here, sizeof(broker_socket)) == 0 ? 0 : errno;
}

/* Any address will do; also the one that the broker advertises, which may mean nothing here. */
static int resolve_nothing(const char *node, const char *service, const struct addrinfo *hints,
                           struct addrinfo **result, void *opaque)
{
    (void)opaque;
    if (node == NULL && service == NULL) { /* as documented: free it */
        freeaddrinfo(*result);
        return 0;
    }
    return getaddrinfo("127.0.0.1", "9092", hints, result);
}

static int name_socket(const char *store_path, struct beck_error *error)
{
    size_t room = sizeof(broker_socket.sun_path);
    int size = snprintf(broker_socket.sun_path, room, "%s/broker.sock", store_path);

    if (size < 0 || (size_t)size >= room)
        return report(error, -ENAMETOOLONG, "%s/broker.sock: the path is too long for a socket",
                      store_path);
    return 0;
}

static int go_by_socket(const struct tool *tool, rd_kafka_conf_t *conf, struct beck_error *error)
{
    int result = name_socket(tool->store_path, error);
    if (result < 0)
        return result;
    rd_kafka_conf_set_socket_cb(conf, make_socket);
    rd_kafka_conf_set_connect_cb(conf, connect_socket);
    rd_kafka_conf_set_resolve_cb(conf, resolve_nothing);
    return 0;
}

int cluster_socket(const char *store_path, struct beck_error *error)
{
    int result = name_socket(store_path, error);
    if (result < 0)
        return result;
    int fd = make_socket(AF_UNIX, SOCK_STREAM, 0, NULL);
    if (fd < 0)
        return report(error, -errno, "no socket can be made: %s", strerror(errno));
    result = connect_socket(fd, NULL, 0, NULL, NULL);
    if (result == 0)
        return fd;
    (void)close(fd);
    return report(error, -result, "%s: %s", broker_socket.sun_path, strerror(result));
}

/* ---- clients ------------------------------------------------------------------------------ */

const char *cluster_name(const struct tool *tool)
{
    return tool->by_socket ? "beckd" : tool->brokers;
}

static int set_all(const struct tool *tool, const struct cluster_setting *settings,
                   rd_kafka_conf_t *conf, struct beck_error *error)
{
    const char *brokers = tool->by_socket ? "127.0.0.1:9092" : tool->brokers;
    int result = set(conf, "bootstrap.servers", brokers, error);
    if (result == 0)
        result = set(conf, "client.id", "beck", error);
    for (; result == 0 && settings->name != NULL; settings++)
        result = set(conf, settings->name, settings->value, error);
    for (size_t i = 0; result == 0 && i < tool->client_settings.count; i++)
        result = set(conf, tool->client_settings.configs[i].name,
                     tool->client_settings.configs[i].value, error);
    return result;
}

static void log_nothing(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)client, (void)level, (void)facility, (void)text;
}

int cluster_client_new(const struct tool *tool, rd_kafka_type_t type,
                       const struct cluster_setting *settings, const struct cluster_calls *calls,
                       rd_kafka_t **ret_client, struct beck_error *error)
{
    char why[256];

    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int result = set_all(tool, settings, conf, error);
    if (result == 0 && tool->by_socket)
        result = go_by_socket(tool, conf, error);
    if (result < 0) {
        rd_kafka_conf_destroy(conf);
        return result;
    }
    rd_kafka_conf_set_log_cb(conf, log_nothing);
    if (calls != NULL)
        rd_kafka_conf_set_opaque(conf, calls->opaque);
    if (calls != NULL && calls->delivered != NULL)
        rd_kafka_conf_set_dr_msg_cb(conf, calls->delivered);
    if (calls != NULL && calls->rebalance != NULL)
        rd_kafka_conf_set_rebalance_cb(conf, calls->rebalance);
    rd_kafka_t *client = rd_kafka_new(type, conf, why, sizeof(why));
    if (client == NULL) {
        rd_kafka_conf_destroy(conf);
        return report(error, -EINVAL, "%s", why);
    }
    *ret_client = client;
    return 0;
}

int cluster_client(const struct tool *tool, rd_kafka_type_t type,
                   const struct cluster_setting *settings, rd_kafka_t **ret_client)
{
    struct beck_error error;

    if (cluster_client_new(tool, type, settings, NULL, ret_client, &error) < 0)
        return tool_failed_error(&error);
    return TOOL_OK;
}

int cluster_find_topic(const struct tool *tool, rd_kafka_t *client, const char *topic,
                       uint32_t *ret_partition_count)
{
    const struct rd_kafka_metadata *metadata = NULL;
    int count = 0;

    /* All topics, as asking for one by name may make it. */
    rd_kafka_resp_err_t wrong = rd_kafka_metadata(client, 1, NULL, &metadata, CLUSTER_PATIENCE_MS);
    if (wrong)
        return tool_failed("%s: cannot list the topics: %s", cluster_name(tool),
                           cluster_why(wrong));
    for (int i = 0; i < metadata->topic_cnt; i++) {
        if (strcmp(metadata->topics[i].topic, topic) == 0)
            count = metadata->topics[i].partition_cnt;
    }
    rd_kafka_metadata_destroy(metadata);
    if (count <= 0)
        return tool_failed("there is no topic %s (make it with: beck topic create %s)", topic,
                           topic);
    *ret_partition_count = (uint32_t)count;
    return TOOL_OK;
}
