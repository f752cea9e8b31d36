/* SPDX-License-Identifier: Apache-2.0
 *
 * What all loops and threads of the daemon share: the store, the configuration, the workers, the
 * maintenance and the cleaner. Every loop has a pointer to it; there are no globals.
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
#include "guests.h"
#include "held.h"
#include "kafka/fetch_session.h"
#include "listener.h"
#include "log.h"
#include "maintenance.h"
#include "quotas.h"
#include "settings.h"
#include "sources.h"
#include "wake.h"
#include "workers.h"

#define BROKER_NODE_ID          1
#define BROKER_CLUSTER_ID_BYTES 22 /* 16 bytes in base64url, without padding */
#define BROKER_HOST_BYTES       CONFIG_HOST_BYTES

struct loop;

struct broker {
    const struct broker_config *_Atomic config; /* a new one when it is read anew; none goes away */
    struct beck_store *store;
    char cluster_id[BROKER_CLUSTER_ID_BYTES + 1];
    struct workers workers;
    int64_t watchdog_ms; /* service_watchdog_ms() */
    struct maintenance maintenance;
    struct cleaner cleaner;
    struct bells bells; /* of the loops */
    struct guests guests;

    struct loop *loops; /* the first one listens */
    size_t loop_count;
    struct listener listeners[LISTENERS_MAX]; /* these two and the groups are the first loop's */
    size_t listener_count;
    struct groups groups;
    struct fetch_sessions fetch_sessions;
    size_t loops_running; /* these four are the first loop's */
    size_t loops_started; /* with a thread, and the first one */
    unsigned stops;       /* how often they were told to */
    size_t next_loop;
    struct log_shared log_shared; /* for what peers cause on workers */
    atomic_size_t connection_count;
    struct quotas quotas;        /* locks itself */
    struct held_list held;       /* connections that are only closed; the first loop's */
    struct sources sources;      /* of connections; locks itself */
    atomic_size_t input_bytes;   /* memory of all input buffers */
    atomic_size_t body_bytes;    /* what large requests under way were decoded to */
    atomic_size_t output_bytes;  /* of all answers that are ready and not gone */
    atomic_size_t waiting_looks; /* requests that wait for room for their answers */
};

/* NULL: it is in none that anybody named. Lives as long as the broker. */
static inline const char *broker_rack(const struct broker *broker)
{
    const struct broker_config *config = broker->config;
    return config->broker_rack[0] ? config->broker_rack : NULL;
}

/* Opens the store, making it where there is none, takes the broker role and starts the threads. 0,
 * or a negative errno with the reason. `config` is borrowed until broker_stop(). */
int broker_start(struct broker *broker, const struct broker_config *config,
                 struct beck_error *error);

/* Ends the workers, which touch no loop from then on; before the loops go. */
void broker_stop_workers(struct broker *broker);
/* Ends the other threads and closes the store. All partitions must have been closed. */
void broker_stop(struct broker *broker);

#endif
