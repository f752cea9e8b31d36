/* SPDX-License-Identifier: Apache-2.0
 *
 * What all loops and threads of the daemon share: the store, the configuration, which does not
 * change while it runs, the workers, the maintenance and the cleaner. Every loop has a pointer to
 * it; there are no globals.
 */
#ifndef BECK_NETD_BROKER_H
#define BECK_NETD_BROKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "beck.h"
#include "cleaner.h"
#include "groups.h"
#include "kafka/fetch_session.h"
#include "maintenance.h"
#include "wake.h"
#include "workers.h"

#define BROKER_NODE_ID          1
#define BROKER_CLUSTER_ID_BYTES 22    /* 16 bytes in base64url, without padding */
#define BROKER_PARTITIONS_MAX   10000 /* what num.partitions may be set to */
#define BROKER_HOST_BYTES       255
#define BROKER_LOOPS_MAX        WAKE_BELLS_MAX

struct loop;

struct broker_config {
    const char *store_path;
    char listen_host[BROKER_HOST_BYTES + 1];
    uint16_t listen_port;

    /* Under Kafka's names, with dots: what --set sets. */
    bool auto_create_topics_enable;
    int32_t group_initial_rebalance_delay_ms;
    int32_t group_max_session_timeout_ms;
    int32_t group_max_size;
    int32_t group_min_session_timeout_ms;
    int32_t max_incremental_fetch_session_cache_slots;
    int32_t num_network_threads; /* loops */
    int32_t num_partitions;
    int32_t socket_request_max_bytes;
    int32_t fetch_max_bytes;
    int64_t queued_max_request_bytes; /* of all connections together */
    int64_t connections_max_idle_ms;
    int64_t max_connections;
    int64_t store_map_bytes;
};

struct broker {
    const struct broker_config *config;
    struct beck_store *store;
    char cluster_id[BROKER_CLUSTER_ID_BYTES + 1];
    struct workers workers;
    struct maintenance maintenance;
    struct cleaner cleaner;
    struct bells bells; /* of the loops */

    struct loop *loops; /* the first one listens */
    size_t loop_count;
    struct groups groups; /* the first loop's */
    struct fetch_sessions fetch_sessions;
    size_t loops_running; /* these two are the first loop's */
    size_t next_loop;
    atomic_size_t connection_count;
    atomic_size_t input_bytes; /* memory of all input buffers */
};

/* Opens the store, making it where there is none, takes the broker role and starts the threads. 0,
 * or a negative errno with the reason. `config` is borrowed until broker_stop(). */
int broker_start(struct broker *broker, const struct broker_config *config,
                 struct beck_error *error);

/* Ends the threads and closes the store. All partitions must have been closed. */
void broker_stop(struct broker *broker);

#endif
