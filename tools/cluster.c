/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of librdkafka. It logs nothing by itself: what it cannot do is said by who asked. */
#include "cluster.h"

#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int cluster_error(struct beck_error *error, rd_kafka_resp_err_t wrong, const char *format, ...)
{
    char what[256];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    int code = -EIO;
    if (wrong == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
        wrong == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || wrong == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        code = -ENOENT;
    else if (wrong == RD_KAFKA_RESP_ERR__TIMED_OUT || wrong == RD_KAFKA_RESP_ERR__TRANSPORT ||
             wrong == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        code = -ETIMEDOUT;
    return report(error, code, "%s: %s", what, rd_kafka_err2str(wrong));
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct beck_error *error)
{
    char why[256];

    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
        return 0;
    return report(error, -EINVAL, "%s=%s: %s", name, value, why);
}

static int set_all(const struct tool *tool, const struct cluster_setting *settings,
                   rd_kafka_conf_t *conf, struct beck_error *error)
{
    int result = set(conf, "bootstrap.servers", tool->brokers, error);
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
                       const struct cluster_setting *settings,
                       void (*delivered)(rd_kafka_t *client, const rd_kafka_message_t *message,
                                         void *opaque),
                       void *opaque, rd_kafka_t **ret_client, struct beck_error *error)
{
    char why[256];

    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int result = set_all(tool, settings, conf, error);
    if (result < 0) {
        rd_kafka_conf_destroy(conf);
        return result;
    }
    rd_kafka_conf_set_log_cb(conf, log_nothing);
    rd_kafka_conf_set_opaque(conf, opaque);
    if (delivered != NULL)
        rd_kafka_conf_set_dr_msg_cb(conf, delivered);
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

    if (cluster_client_new(tool, type, settings, NULL, NULL, ret_client, &error) < 0)
        return tool_failed_error(&error);
    return TOOL_OK;
}
