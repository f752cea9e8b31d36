/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon's configuration, under Kafka's names where Kafka has one: what there is, what it is
 * when nobody says anything, and taking it from a file or the command line. What it means,
 * beckd.conf.5 says.
 *
 * Some entries are the store's: defaults for its topics, and what it does itself. They are kept in
 * the store, and what is set here is put into it when the daemon starts.
 */
#ifndef BECK_NETD_SETTINGS_H
#define BECK_NETD_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "beck.h"

#define CONFIG_LISTENERS_MAX  8
#define CONFIG_HOST_BYTES     255
#define CONFIG_NAME_BYTES     63 /* of a listener */
#define CONFIG_VALUE_BYTES    255
#define CONFIG_PARTITIONS_MAX 10000 /* what num.partitions may be set to */
#define CONFIG_LOOPS_MAX      64
#define CONFIG_WINDOWS_MAX    1000 /* what quota.window.num may be set to */
#define CONFIG_STORE_ENTRIES  64
#define CONFIG_PROCESSORS     0 /* of num.network.threads: as many as there are processors */

/* NAME://HOST:PORT */
struct endpoint {
    char name[CONFIG_NAME_BYTES + 1];
    char host[CONFIG_HOST_BYTES + 1]; /* empty: all addresses */
    uint16_t port;
};

struct endpoints {
    struct endpoint list[CONFIG_LISTENERS_MAX];
    size_t count;
};

/* An entry of the store's that is to be set. */
struct store_setting {
    const char *name; /* as the store calls it; lives for ever */
    char value[CONFIG_VALUE_BYTES + 1];
};

struct broker_config {
    char store_path[4096];
    struct endpoints listeners;
    struct endpoints advertised; /* for listeners of the same name */

    /* Under Kafka's names, with dots. */
    bool auto_create_topics_enable;
    bool delete_topic_enable;
    char broker_rack[CONFIG_VALUE_BYTES + 1]; /* empty: none */
    bool replication_factor_any;
    int32_t fetch_max_bytes;
    char group_consumer_assignors[CONFIG_VALUE_BYTES + 1];
    char group_consumer_migration_policy[CONFIG_VALUE_BYTES + 1];
    int32_t group_consumer_heartbeat_interval_ms;
    int32_t group_consumer_max_heartbeat_interval_ms;
    int32_t group_consumer_max_session_timeout_ms;
    int32_t group_consumer_max_size;
    int32_t group_consumer_min_heartbeat_interval_ms;
    int32_t group_consumer_min_session_timeout_ms;
    int32_t group_consumer_session_timeout_ms;
    int32_t group_initial_rebalance_delay_ms;
    int32_t group_max_session_timeout_ms;
    int32_t group_max_size;
    int32_t group_min_session_timeout_ms;
    int32_t max_incremental_fetch_session_cache_slots;
    int32_t num_io_threads;      /* workers */
    int32_t num_network_threads; /* loops */
    int32_t num_partitions;
    int32_t controller_quota_window_num;
    int32_t controller_quota_window_size_seconds;
    int32_t quota_window_num;
    int32_t quota_window_size_seconds;
    int32_t socket_receive_buffer_bytes;
    int32_t socket_request_max_bytes;
    int32_t socket_send_buffer_bytes;
    int64_t connections_max_idle_ms;
    int64_t log_cleaner_dedupe_buffer_size;
    int64_t max_connections;
    int64_t max_connections_per_ip;
    int64_t queued_max_request_bytes;  /* of all connections together */
    int64_t queued_max_response_bytes; /* likewise */
    int64_t store_map_bytes;

    struct store_setting store_entries[CONFIG_STORE_ENTRIES];
    size_t store_entry_count;
    uint64_t set; /* bit i: the entry at i was set, and is no default */
};

struct setting {
    const char *name;
    const char *default_value;
    const char *documentation;
    enum beck_config_type type;
    bool may_change;        /* a daemon that runs takes it anew on SIGHUP */
    const char *store_name; /* the store's entry that it stands for; NULL: it is the daemon's own */
};

/* The `index`th of the entries, sorted by name; NULL behind the last. */
const struct setting *settings_entry_at(size_t index);
/* Its value, as text. An entry that stands for the store's has none here: empty. */
void settings_value(const struct broker_config *config, size_t index,
                    char ret_text[CONFIG_VALUE_BYTES + 1]);
/* Was it set, by whatever? */
bool settings_is_set(const struct broker_config *config, size_t index);

/* Everything as it is when nobody says anything. */
void settings_init(struct broker_config *config);

/* Set one entry. -EINVAL, with a sentence: no such entry (it names the one that is most like it),
 * or a value that it cannot have. */
int settings_set(struct broker_config *config, const char *name, const char *value,
                 struct beck_error *error);

/* Set what a file says: lines of NAME=VALUE as in Java's properties, # before a comment. A negative
 * errno, with a sentence that names the line. */
int settings_read(struct broker_config *config, const char *path, struct beck_error *error);

/* Take back from `config`, which is to follow `running`, what may not change while the daemon runs;
 * names of such entries that differ are put into `ret_names`, with commas. */
void settings_keep(struct broker_config *config, const struct broker_config *running,
                   char *ret_names, size_t size);

/* Print all entries with their values and what they mean, as a file that settings_read() takes. */
void settings_dump(const struct broker_config *config);

/* "HOST:PORT", or "[HOST]:PORT" for an IPv6 address. -EINVAL. */
int settings_endpoint_parse(const char *text, struct endpoint *ret_endpoint);

#endif
