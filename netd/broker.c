/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting and stopping what the loops share; see broker.h. In order: the store (with its
 * recovery), the broker role, so that a second daemon goes no further, then the threads.
 */
#include "broker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "service.h"

static void cluster_id_set(struct broker *broker, const uint8_t id[BECK_ID_BYTES])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < BROKER_CLUSTER_ID_BYTES; i++) {
        unsigned value = 0;
        for (size_t bit = 6 * i; bit < 6 * i + 6; bit++) {
            unsigned one = bit < 8 * BECK_ID_BYTES ? (unsigned)id[bit / 8] >> (7 - bit % 8) & 1 : 0;
            value = value << 1 | one;
        }
        broker->cluster_id[i] = digits[value];
    }
    broker->cluster_id[BROKER_CLUSTER_ID_BYTES] = '\0';
}

static int start_threads(struct broker *broker, struct beck_error *error)
{
    int result = workers_start(&broker->workers, (size_t)broker->config->num_io_threads);
    if (result == 0) {
        result = maintenance_start(&broker->maintenance, broker->store,
                                   (uint32_t)(broker->watchdog_ms / WATCHDOG_BEATS));
        if (result == 0) {
            result = cleaner_start(&broker->cleaner, broker->store);
            if (result < 0)
                maintenance_stop(&broker->maintenance);
        }
        if (result < 0)
            workers_stop(&broker->workers);
    }
    if (result < 0) {
        error->code = result;
        snprintf(error->message, sizeof(error->message), "cannot start a thread: %s",
                 strerror(-result));
    }
    return result;
}

/* Put what was set of the store's entries into it, if it is not there yet. */
static int set_store_entries(struct broker *broker, struct beck_error *error)
{
    const struct broker_config *config = broker->config;
    struct beck_config_change changes[CONFIG_STORE_ENTRIES];
    for (size_t i = 0; i < config->store_entry_count; i++)
        changes[i] = (struct beck_config_change){.name = config->store_entries[i].name,
                                                 .value = config->store_entries[i].value,
                                                 .operation = BECK_CONFIG_SET};
    if (config->store_entry_count == 0)
        return 0;
    return beck_store_alter(broker->store, changes, config->store_entry_count, 0, error);
}

int broker_start(struct broker *broker, const struct broker_config *config,
                 struct beck_error *error)
{
    *broker = (struct broker){.config = config, .watchdog_ms = service_watchdog_ms()};
    sources_init(&broker->sources);
    log_shared_init(&broker->log_shared);
    TAILQ_INIT(&broker->held);
    struct beck_store_options options = {
        .map_bytes = (uint64_t)config->store_map_bytes,
        .compaction_bytes = (uint64_t)config->log_cleaner_dedupe_buffer_size,
    };
    int result =
        beck_store_open(config->store_path, BECK_OPEN_CREATE, &options, &broker->store, error);
    if (result < 0)
        return result;
    struct beck_store_info info;
    result = beck_store_become_broker(broker->store, error);
    if (result >= 0)
        result = set_store_entries(broker, error);
    if (result >= 0)
        result = beck_store_info(broker->store, &info, error);
    if (result >= 0)
        result = quotas_init(&broker->quotas, broker->store, config, error);
    if (result >= 0) {
        cluster_id_set(broker, info.id);
        result = start_threads(broker, error);
        if (result < 0)
            quotas_done(&broker->quotas);
    }
    if (result < 0)
        broker->store = beck_store_close(broker->store);
    return result < 0 ? result : 0;
}

void broker_stop_workers(struct broker *broker)
{
    workers_stop(&broker->workers);
}

void broker_stop(struct broker *broker)
{
    cleaner_stop(&broker->cleaner);
    maintenance_stop(&broker->maintenance);
    quotas_done(&broker->quotas);
    broker->store = beck_store_close(broker->store);
    sources_done(&broker->sources);
    log_shared_done(&broker->log_shared);
}
