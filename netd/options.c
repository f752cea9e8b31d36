/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line; see options.h. Numbers are checked against the range of what they set, so that
 * nothing behind this has to.
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "beck.h"

#define DEFAULT_LISTEN "127.0.0.1:9092"

enum setting_type { SETTING_BOOL, SETTING_INT32, SETTING_INT64 };

struct setting {
    const char *name;
    enum setting_type type;
    size_t offset; /* in struct broker_config */
    int64_t least;
    int64_t most;
    int64_t initial;
    const char *text;
};

#define AT(member) offsetof(struct broker_config, member)

static const struct setting settings[] = {
    {"auto.create.topics.enable", SETTING_BOOL, AT(auto_create_topics_enable), 0, 1, 1,
     "make a topic when a client asks for one that is missing"},
    {"group.initial.rebalance.delay.ms", SETTING_INT32, AT(group_initial_rebalance_delay_ms), 0,
     INT32_MAX, 3000, "how long the first members of a group are given to be several"},
    {"group.max.session.timeout.ms", SETTING_INT32, AT(group_max_session_timeout_ms), 1, INT32_MAX,
     1800000, "the longest session timeout that a member may ask for"},
    {"group.max.size", SETTING_INT32, AT(group_max_size), 1, INT32_MAX, INT32_MAX,
     "members of a group"},
    {"group.min.session.timeout.ms", SETTING_INT32, AT(group_min_session_timeout_ms), 1, INT32_MAX,
     6000, "the shortest session timeout that a member may ask for"},
    {"max.incremental.fetch.session.cache.slots", SETTING_INT32,
     AT(max_incremental_fetch_session_cache_slots), 0, INT32_MAX, 1000,
     "clients whose fetch sessions are kept"},
    {"num.network.threads", SETTING_INT32, AT(num_network_threads), 0, BROKER_LOOPS_MAX, 0,
     "threads that serve connections; 0: one for each processor"},
    {"num.partitions", SETTING_INT32, AT(num_partitions), 1, BROKER_PARTITIONS_MAX, 1,
     "partitions of a topic for which nobody said how many"},
    {"socket.request.max.bytes", SETTING_INT32, AT(socket_request_max_bytes), 1024, INT32_MAX - 4,
     100 * 1024 * 1024, "the longest request that is read"},
    {"fetch.max.bytes", SETTING_INT32, AT(fetch_max_bytes), 1024, INT32_MAX / 2, 55 * 1024 * 1024,
     "the longest answer to a fetch"},
    {"queued.max.request.bytes", SETTING_INT64, AT(queued_max_request_bytes), 1024 * 1024,
     INT64_MAX, 1024 * 1024 * 1024, "memory for unfinished requests of all connections together"},
    {"connections.max.idle.ms", SETTING_INT64, AT(connections_max_idle_ms), 100, INT32_MAX, 600000,
     "silence after which a connection is closed"},
    {"store.map.bytes", SETTING_INT64, AT(store_map_bytes), 0, INT64_MAX, 0,
     "address space for each of the store's databases; 0: 1 TiB"},
    {"max.connections", SETTING_INT64, AT(max_connections), 1, INT32_MAX, INT32_MAX,
     "connections at a time"},
};

#define SETTING_COUNT (sizeof(settings) / sizeof(settings[0]))

static void help(void)
{
    printf("usage: beckd --store DIR [--listen HOST:PORT] [--set NAME=VALUE]...\n"
           "\n"
           "Serves the store in DIR to Kafka clients; makes it where DIR is missing or empty.\n"
           "\n"
           "  --store DIR          the store\n"
           "  --listen HOST:PORT   where to listen; port 0: any free one (default %s)\n"
           "  --set NAME=VALUE     a broker configuration:\n",
           DEFAULT_LISTEN);
    for (size_t i = 0; i < SETTING_COUNT; i++)
        printf("      %-26s %s (%lld)\n", settings[i].name, settings[i].text,
               (long long)settings[i].initial);
    printf("  --help               this text\n"
           "  --version            the version\n"
           "\n"
           "beckd(8) has more.\n");
}

static void setting_store(struct broker_config *config, const struct setting *setting,
                          int64_t value)
{
    char *place = (char *)config + setting->offset;
    if (setting->type == SETTING_BOOL)
        *place = (char)value;
    else if (setting->type == SETTING_INT32)
        memcpy(place, &(int32_t){(int32_t)value}, sizeof(int32_t));
    else
        memcpy(place, &value, sizeof(value));
}

static bool parse_number(const char *text, int64_t least, int64_t most, int64_t *ret)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least || value > most)
        return false;
    *ret = value;
    return true;
}

static bool parse_setting(const char *text, struct broker_config *config)
{
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : 0;
    for (size_t i = 0; equals && i < SETTING_COUNT; i++) {
        const struct setting *setting = &settings[i];
        if (strlen(setting->name) != length || memcmp(setting->name, text, length) != 0)
            continue;
        const char *value = equals + 1;
        int64_t number;
        if (setting->type == SETTING_BOOL && strcmp(value, "true") == 0)
            number = 1;
        else if (setting->type == SETTING_BOOL && strcmp(value, "false") == 0)
            number = 0;
        else if (setting->type == SETTING_BOOL ||
                 !parse_number(value, setting->least, setting->most, &number)) {
            fprintf(stderr, "beckd: %s cannot be '%s'\n", setting->name, value);
            return false;
        }
        setting_store(config, setting, number);
        return true;
    }
    fprintf(stderr, "beckd: --set %s: not NAME=VALUE of a known configuration (see --help)\n",
            text);
    return false;
}

/* HOST:PORT, where an IPv6 address stands in brackets. */
static bool parse_listen(const char *text, struct broker_config *config)
{
    const char *host = text;
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
    } else if (memchr(host, ':', length)) {
        length = 0; /* a bare IPv6 address: which colon is the port's? */
    }
    int64_t port;
    if (length == 0 || length > BROKER_HOST_BYTES || !parse_number(colon + 1, 0, 65535, &port)) {
        fprintf(stderr, "beckd: --listen takes HOST:PORT, as %s or [::1]:9092, not '%s'\n",
                DEFAULT_LISTEN, text);
        return false;
    }
    memcpy(config->listen_host, host, length);
    config->listen_host[length] = '\0';
    config->listen_port = (uint16_t)port;
    return true;
}

static void set_defaults(struct broker_config *config)
{
    *config = (struct broker_config){.store_path = NULL};
    for (size_t i = 0; i < SETTING_COUNT; i++)
        setting_store(config, &settings[i], settings[i].initial);
    parse_listen(DEFAULT_LISTEN, config);
}

static enum options_outcome check(int argc, char **argv, const struct broker_config *config)
{
    if (optind < argc) {
        fprintf(stderr, "beckd: '%s' is not understood; see beckd --help\n", argv[optind]);
        return OPTIONS_WRONG;
    }
    if (!config->store_path || config->store_path[0] == '\0') {
        fprintf(stderr, "beckd: --store DIR is missing; see beckd --help\n");
        return OPTIONS_WRONG;
    }
    return OPTIONS_RUN;
}

enum options_outcome options_parse(int argc, char **argv, struct broker_config *ret_config)
{
    static const struct option options[] = {
        {"store", required_argument, NULL, 's'}, {"listen", required_argument, NULL, 'l'},
        {"set", required_argument, NULL, 'o'},   {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},     {NULL, 0, NULL, 0},
    };
    set_defaults(ret_config);
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            ret_config->store_path = optarg;
            break;
        case 'l':
            if (!parse_listen(optarg, ret_config))
                return OPTIONS_WRONG;
            break;
        case 'o':
            if (!parse_setting(optarg, ret_config))
                return OPTIONS_WRONG;
            break;
        case 'h':
            help();
            return OPTIONS_DONE;
        case 'v':
            printf("beckd %s\n", beck_version());
            return OPTIONS_DONE;
        default:
            return OPTIONS_WRONG; /* getopt said why */
        }
    }
    return check(argc, argv, ret_config);
}
