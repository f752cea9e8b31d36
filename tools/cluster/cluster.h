/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Kafka broker or cluster that was named with -b, or the beckd that serves a store, by its socket
 * there, by librdkafka: its clients, made as the command line says, and its errors as exit codes
 * and as the library's errors.
 */
#ifndef TOOLS_CLUSTER_H
#define TOOLS_CLUSTER_H

#include "tool.h"

#include <librdkafka/rdkafka.h>

enum {
    CLUSTER_PATIENCE_MS = 10000, /* for an answer from a broker */
    CLUSTER_GONE_MS = 60000,     /* for a partition's leader to be there again; see below */
};

/* A client's setting besides those that the user gave with -X, which win. */
struct cluster_setting {
    const char *name;
    const char *value;
};

/* Make a client; `settings` ends with a NULL name. Says what fails and returns an exit code. */
int cluster_client(const struct tool *tool, rd_kafka_type_t type,
                   const struct cluster_setting *settings, rd_kafka_t **ret_client);

/* What a client calls, each with `opaque`; may be NULL. */
struct cluster_calls {
    /* For each record that a producer sent. */
    void (*delivered)(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque);
    /* When a member of a group gets partitions, or is to give some up. */
    void (*rebalance)(rd_kafka_t *client, rd_kafka_resp_err_t what,
                      rd_kafka_topic_partition_list_t *partitions, void *opaque);
    void *opaque;
};

/* The same with the library's kind of error; `calls` may be NULL. */
int cluster_client_new(const struct tool *tool, rd_kafka_type_t type,
                       const struct cluster_setting *settings, const struct cluster_calls *calls,
                       rd_kafka_t **ret_client, struct beck_error *error);

/* Connect to the socket of the beckd that serves a store. Returns the descriptor. */
int cluster_socket(const char *store_path, struct beck_error *error);

/* How it is called in messages. */
const char *cluster_name(const struct tool *tool);

/* How many partitions a topic has; does not make it. Says what fails and returns an exit code. */
int cluster_find_topic(const struct tool *tool, rd_kafka_t *client, const char *topic,
                       uint32_t *ret_partition_count);

/* librdkafka's words, where they say what matters. */
const char *cluster_why(rd_kafka_resp_err_t wrong);

/* Fill in an error from librdkafka's, behind what was being done. Returns the code: -ENOENT,
 * -EEXIST, -EBUSY (a group has members), -EAGAIN (a group's coordinator or a partition's
 * leader is on its way to another broker), -ETIMEDOUT (nobody answers), -EACCES, else -EIO. */
int cluster_error(struct beck_error *error, rd_kafka_resp_err_t wrong, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* How long records are waited for where brokers are gone: librdkafka's setting `name`, which the
 * user may have given, or CLUSTER_GONE_MS. */
int64_t cluster_gone_ms(const struct tool *tool, const char *name);
#define CLUSTER_GONE_TEXT "60000"

/* After -EAGAIN: is there time to ask once more, what was first asked then? Waits a little. */
bool cluster_again(int64_t since_ms);

#endif
