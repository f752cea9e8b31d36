/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of entries, and setting them. Every value is checked here, so that nothing behind this
 * has to.
 */
#include "settings.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a value goes. */
enum kind {
    KIND_BOOL,
    KIND_INT32,
    KIND_INT64,
    KIND_PATH,
    KIND_TEXT,
    KIND_LISTENERS,
    KIND_ADVERTISED,
    KIND_PROTOCOLS, /* checked, and of no further use */
    KIND_WORDS,     /* some words of those that there are, with commas */
    KIND_WORD,      /* one of them */
    KIND_STORE,     /* one of the store's, as it is */
    KIND_STORE_TIME /* likewise, after `least` was multiplied with it */
};

struct row {
    struct setting entry;
    enum kind kind;
    size_t offset; /* in struct broker_config */
    int64_t least;
    int64_t most;
};

#define AT(member) offsetof(struct broker_config, member)
#define OWN(name, type, kind, member, least, most, initial, change, text)                          \
    {                                                                                              \
        {name, initial, text, BECK_CONFIG_##type, change, NULL}, KIND_##kind, AT(member), least,   \
            most                                                                                   \
    }
#define STORE(name, store_name, type, text)                                                        \
    {                                                                                              \
        {name, "", text, BECK_CONFIG_##type, false, store_name}, KIND_STORE, 0, 0, 0               \
    }
#define STORE_TIME(name, store_name, unit_ms, text)                                                \
    {                                                                                              \
        {name, "", text, BECK_CONFIG_INT, false, store_name}, KIND_STORE_TIME, 0, unit_ms, 0       \
    }
#define FOR_TOPICS "For topics that do not set "

/* Sorted by name. */
static const struct row rows[] = {
    OWN("advertised.listeners", STRING, ADVERTISED, advertised, 0, 0, "", false,
        "Where clients are told to come, for listeners of the same name: NAME://HOST:PORT, ... "
        "Where "
        "a listener is not among them, clients are told its own host, or the address that their "
        "connection came to where that is no single one."),
    OWN("auto.create.topics.enable", BOOLEAN, BOOL, auto_create_topics_enable, 0, 1, "true", true,
        "Make a topic when a client asks for one that is missing."),
    OWN("broker.rack", STRING, TEXT, broker_rack, 0, 0, "", true,
        "The rack that clients are told the broker is in."),
    STORE("compression.type", "compression.type", STRING, FOR_TOPICS "compression.type."),
    OWN("connections.max.idle.ms", LONG, INT64, connections_max_idle_ms, 100, INT32_MAX, "600000",
        true,
        "Silence after which a connection is closed. One that waits for an answer is not silent."),
    OWN("controller.quota.window.num", INT, INT32, controller_quota_window_num, 1,
        CONFIG_WINDOWS_MAX, "11", false,
        "How many windows' worth of controller_mutation_rate a client may do at once."),
    OWN("controller.quota.window.size.seconds", INT, INT32, controller_quota_window_size_seconds, 1,
        3600, "1", false, "How long such a window is."),
    OWN("delete.topic.enable", BOOLEAN, BOOL, delete_topic_enable, 0, 1, "true", true,
        "Let clients delete topics."),
    OWN("fetch.max.bytes", INT, INT32, fetch_max_bytes, 1024, INT32_MAX / 2, "57671680", true,
        "The longest answer to a fetch, whatever the client allows. A single batch that is larger "
        "is "
        "sent nevertheless."),
    OWN("group.consumer.assignors", LIST, WORDS, group_consumer_assignors, 0, 0, "uniform,range",
        false,
        "How partitions are divided among members that leave that to the broker: uniform, range. "
        "They may choose among these; the first is for those that do not."),
    OWN("group.consumer.heartbeat.interval.ms", INT, INT32, group_consumer_heartbeat_interval_ms, 1,
        INT32_MAX, "5000", false,
        "How often members of the new consumer protocol send heartbeats."),
    OWN("group.consumer.max.heartbeat.interval.ms", INT, INT32,
        group_consumer_max_heartbeat_interval_ms, 1, INT32_MAX, "15000", false,
        "The most that group.consumer.heartbeat.interval.ms counts for."),
    OWN("group.consumer.max.session.timeout.ms", INT, INT32, group_consumer_max_session_timeout_ms,
        1, INT32_MAX, "60000", false,
        "The most that group.consumer.session.timeout.ms counts for."),
    OWN("group.consumer.max.size", INT, INT32, group_consumer_max_size, 1, INT32_MAX, "2147483647",
        false, "Members of a group of the new consumer protocol."),
    OWN("group.consumer.migration.policy", STRING, WORD, group_consumer_migration_policy, 0, 0,
        "bidirectional", false,
        "Whether a group with members goes over from the classic protocol to the new one when a "
        "member of that comes (upgrade), back when the last such goes (downgrade), both "
        "(bidirectional) or neither (disabled)."),
    OWN("group.consumer.min.heartbeat.interval.ms", INT, INT32,
        group_consumer_min_heartbeat_interval_ms, 1, INT32_MAX, "5000", false,
        "The least that group.consumer.heartbeat.interval.ms counts for."),
    OWN("group.consumer.min.session.timeout.ms", INT, INT32, group_consumer_min_session_timeout_ms,
        1, INT32_MAX, "45000", false,
        "The least that group.consumer.session.timeout.ms counts for."),
    OWN("group.consumer.session.timeout.ms", INT, INT32, group_consumer_session_timeout_ms, 1,
        INT32_MAX, "45000", false,
        "Silence after which a member of the new consumer protocol is one no more."),
    OWN("group.initial.rebalance.delay.ms", INT, INT32, group_initial_rebalance_delay_ms, 0,
        INT32_MAX, "3000", false, "How long the first members of a group are given to be several."),
    OWN("group.max.session.timeout.ms", INT, INT32, group_max_session_timeout_ms, 1, INT32_MAX,
        "1800000", false, "The longest session timeout that a member may ask for."),
    OWN("group.max.size", INT, INT32, group_max_size, 1, INT32_MAX, "2147483647", false,
        "Members of a group."),
    OWN("group.min.session.timeout.ms", INT, INT32, group_min_session_timeout_ms, 1, INT32_MAX,
        "6000", false, "The shortest session timeout that a member may ask for."),
    OWN("listener.security.protocol.map", STRING, PROTOCOLS, listeners, 0, 0, "PLAINTEXT:PLAINTEXT",
        false, "Which protocol listeners speak, by their names: PLAINTEXT is the only one so far."),
    OWN("listeners", STRING, LISTENERS, listeners, 0, 0, "PLAINTEXT://127.0.0.1:9092", false,
        "Where to listen: NAME://HOST:PORT, ... An IPv6 address stands in brackets; without a host "
        "all "
        "addresses are meant; with port 0 any free one is taken."),
    OWN("log.cleaner.dedupe.buffer.size", LONG, INT64, log_cleaner_dedupe_buffer_size, 1 << 20,
        INT64_MAX, "134217728", false, "Memory for the keys of a topic that is being compacted."),
    STORE("log.cleaner.delete.retention.ms", "delete.retention.ms", LONG,
          FOR_TOPICS "delete.retention.ms."),
    STORE("log.cleaner.max.compaction.lag.ms", "max.compaction.lag.ms", LONG,
          FOR_TOPICS "max.compaction.lag.ms."),
    STORE("log.cleaner.min.cleanable.ratio", "min.cleanable.dirty.ratio", DOUBLE,
          FOR_TOPICS "min.cleanable.dirty.ratio."),
    STORE("log.cleaner.min.compaction.lag.ms", "min.compaction.lag.ms", LONG,
          FOR_TOPICS "min.compaction.lag.ms."),
    STORE("log.cleanup.policy", "cleanup.policy", LIST, FOR_TOPICS "cleanup.policy."),
    OWN("log.dir", STRING, PATH, store_path, 0, 0, "", false, "The same as log.dirs."),
    OWN("log.dirs", STRING, PATH, store_path, 0, 0, "", false,
        "The directory of the store; the same as --store."),
    STORE("log.flush.policy", "flush.policy", STRING,
          "Whether acks=all waits for the disk (sync) or not (os), for topics that do not set "
          "flush.policy."),
    STORE("log.message.timestamp.after.max.ms", "message.timestamp.after.max.ms", LONG,
          FOR_TOPICS "message.timestamp.after.max.ms."),
    STORE("log.message.timestamp.before.max.ms", "message.timestamp.before.max.ms", LONG,
          FOR_TOPICS "message.timestamp.before.max.ms."),
    STORE("log.message.timestamp.type", "message.timestamp.type", STRING,
          FOR_TOPICS "message.timestamp.type."),
    STORE("log.retention.bytes", "retention.bytes", LONG, FOR_TOPICS "retention.bytes."),
    STORE("log.retention.check.interval.ms", "log.retention.check.interval.ms", LONG,
          "How often the store is looked through for segments that are too old or too many."),
    STORE_TIME("log.retention.hours", "retention.ms", 3600000,
               FOR_TOPICS "retention.ms, in hours."),
    STORE_TIME("log.retention.minutes", "retention.ms", 60000,
               FOR_TOPICS "retention.ms, in minutes."),
    STORE("log.retention.ms", "retention.ms", LONG, FOR_TOPICS "retention.ms."),
    STORE_TIME("log.roll.hours", "segment.ms", 3600000, FOR_TOPICS "segment.ms, in hours."),
    STORE("log.roll.ms", "segment.ms", LONG, FOR_TOPICS "segment.ms."),
    STORE("log.segment.bytes", "segment.bytes", INT, FOR_TOPICS "segment.bytes."),
    OWN("max.connections", INT, INT64, max_connections, 1, INT32_MAX, "2147483647", true,
        "Connections at a time. The limit of open files sets another bound: half of them, at most "
        "4096, "
        "are kept for the store."),
    OWN("max.connections.per.ip", INT, INT64, max_connections_per_ip, 1, INT32_MAX, "2147483647",
        true, "Connections at a time from one address."),
    OWN("max.incremental.fetch.session.cache.slots", INT, INT32,
        max_incremental_fetch_session_cache_slots, 0, INT32_MAX, "1000", false,
        "Clients whose fetch sessions are kept."),
    STORE("message.max.bytes", "max.message.bytes", INT, FOR_TOPICS "max.message.bytes."),
    STORE("min.insync.replicas", "min.insync.replicas", INT, FOR_TOPICS "min.insync.replicas."),
    OWN("num.io.threads", INT, INT32, num_io_threads, 1, 256, "8", false,
        "Threads for what may wait for the disk."),
    OWN("num.network.threads", INT, INT32, num_network_threads, 0, CONFIG_LOOPS_MAX, "0", false,
        "Threads that serve connections; 0: one for each processor."),
    OWN("num.partitions", INT, INT32, num_partitions, 1, CONFIG_PARTITIONS_MAX, "1", true,
        "Partitions of a topic for which nobody said how many."),
    STORE("offset.metadata.max.bytes", "offset.metadata.max.bytes", INT,
          "The longest text that may be committed with an offset."),
    STORE("offsets.retention.minutes", "offsets.retention.minutes", INT,
          "How long the offsets of a group without members are kept."),
    STORE("producer.id.expiration.ms", "producer.id.expiration.ms", INT,
          "How long a producer that does not send is remembered."),
    OWN("queued.max.request.bytes", LONG, INT64, queued_max_request_bytes, 1 << 20, INT64_MAX,
        "1073741824", true,
        "Memory for requests that have not arrived whole, of all connections together; small ones, "
        "up "
        "to 16 KiB, are always taken."),
    OWN("queued.max.response.bytes", LONG, INT64, queued_max_response_bytes, 1 << 20, INT64_MAX,
        "1073741824", true,
        "Memory for answers that clients have not taken, of all connections together. When half of "
        "it is used up, requests that only look wait, and for them those are closed who have most "
        "and took nothing for three seconds; when all of it is, those who have most."),
    OWN("quota.window.num", INT, INT32, quota_window_num, 1, CONFIG_WINDOWS_MAX, "11", false,
        "Over how many windows of time the mean is taken that client quotas limit."),
    OWN("quota.window.size.seconds", INT, INT32, quota_window_size_seconds, 1, 3600, "1", false,
        "How long such a window is."),
    OWN("replication.factor.any", BOOLEAN, BOOL, replication_factor_any, 0, 1, "false", true,
        "Take any replication factor that a client asks for and make one copy, for programs that "
        "ask "
        "for three whatever there is."),
    OWN("socket.receive.buffer.bytes", INT, INT32, socket_receive_buffer_bytes, -1, INT32_MAX, "-1",
        true,
        "The system's buffer for what arrives, of each connection that comes from now on; -1: the "
        "system "
        "makes it as large as is needed."),
    OWN("socket.request.max.bytes", INT, INT32, socket_request_max_bytes, 1024, INT32_MAX - 4,
        "104857600", true, "The longest request; who announces a longer one is disconnected."),
    OWN("socket.send.buffer.bytes", INT, INT32, socket_send_buffer_bytes, -1, INT32_MAX, "204800",
        true,
        "The system's buffer for what is sent, of each connection that comes from now on; -1: the "
        "system makes it as large as is needed. A small one stays in the processor's cache; over "
        "long distances a larger one, or -1, is faster."),
    OWN("store.map.bytes", LONG, INT64, store_map_bytes, 0, INT64_MAX, "0", false,
        "Address space for each of the two databases in the store, which it cannot outgrow; 0: 1 "
        "TiB. "
        "For where address space is limited."),
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

_Static_assert(ROWS <= 64, "broker_config.set has a bit for each");

const struct setting *settings_entry_at(size_t index)
{
    return index < ROWS ? &rows[index].entry : NULL;
}

bool settings_is_set(const struct broker_config *config, size_t index)
{
    return config->set >> index & 1;
}

__attribute__((format(printf, 2, 3))) static int refuse(struct beck_error *error,
                                                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    error->code = -EINVAL;
    return -EINVAL;
}

/* ---- endpoints ---- */

static int parse_number(const char *text, int64_t least, int64_t most, int64_t *ret)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least || value > most)
        return -EINVAL;
    *ret = value;
    return 0;
}

int settings_endpoint_parse(const char *text, struct endpoint *ret_endpoint)
{
    const char *host = text;
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    int64_t port;
    if (!colon || parse_number(colon + 1, 0, 65535, &port) < 0)
        return -EINVAL;
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
    } else if (memchr(host, ':', length)) {
        return -EINVAL; /* a bare IPv6 address: which colon is the port's? */
    }
    if (length > CONFIG_HOST_BYTES)
        return -EINVAL;
    memset(ret_endpoint, 0, sizeof(*ret_endpoint));
    memcpy(ret_endpoint->host, host, length);
    ret_endpoint->port = (uint16_t)port;
    return 0;
}

/* One of a list: NAME://HOST:PORT, of `length` bytes. */
static int parse_listener(const char *text, size_t length, struct endpoint *ret_endpoint)
{
    char copy[CONFIG_NAME_BYTES + CONFIG_HOST_BYTES + 16];
    struct endpoint endpoint;
    if (length >= sizeof(copy))
        return -EINVAL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *separator = strstr(copy, "://");
    if (!separator || separator == copy || separator - copy > CONFIG_NAME_BYTES)
        return -EINVAL;
    *separator = '\0';
    if (settings_endpoint_parse(separator + 3, &endpoint) < 0)
        return -EINVAL;
    memcpy(endpoint.name, copy, (size_t)(separator - copy));
    *ret_endpoint = endpoint;
    return 0;
}

static int set_endpoints(struct endpoints *endpoints, const char *name, const char *value,
                         struct beck_error *error)
{
    struct endpoints parsed = {.count = 0};
    const char *at = value;
    while (*at) {
        at += strspn(at, ", ");
        size_t length = strcspn(at, ", ");
        if (length == 0)
            break;
        if (parsed.count == CONFIG_LISTENERS_MAX)
            return refuse(error, "%s: more than %d", name, CONFIG_LISTENERS_MAX);
        if (parse_listener(at, length, &parsed.list[parsed.count]) < 0)
            return refuse(error,
                          "%s: '%.*s' is not NAME://HOST:PORT, as PLAINTEXT://127.0.0.1:9092 or "
                          "PLAINTEXT://[::1]:9092",
                          name, (int)length, at);
        for (size_t i = 0; i < parsed.count; i++)
            if (strcmp(parsed.list[i].name, parsed.list[parsed.count].name) == 0)
                return refuse(error, "%s: two are named %s", name, parsed.list[i].name);
        parsed.count++;
        at += length;
    }
    if (parsed.count == 0 && value[0] != '\0')
        return refuse(error, "%s: there is nothing in '%s'", name, value);
    *endpoints = parsed;
    return 0;
}

/* NAME:PROTOCOL, ... */
static int check_protocols(const char *value, struct beck_error *error)
{
    const char *at = value;
    while (*at) {
        at += strspn(at, ", ");
        size_t length = strcspn(at, ", ");
        const char *colon = memchr(at, ':', length);
        if (length == 0)
            break;
        if (!colon || strncmp(colon, ":PLAINTEXT", length - (size_t)(colon - at)) != 0 ||
            length - (size_t)(colon - at) != strlen(":PLAINTEXT"))
            return refuse(error,
                          "listener.security.protocol.map: '%.*s': PLAINTEXT is the only protocol "
                          "that is served",
                          (int)length, at);
        at += length;
    }
    return 0;
}

/* ---- setting ---- */

static int set_store_entry(struct broker_config *config, const char *store_name, const char *value,
                           struct beck_error *error)
{
    size_t i = 0;
    while (i < config->store_entry_count && strcmp(config->store_entries[i].name, store_name) != 0)
        i++;
    if (i == CONFIG_STORE_ENTRIES || strlen(value) > CONFIG_VALUE_BYTES)
        return refuse(error, "%s: the value is too long", store_name);
    config->store_entries[i].name = store_name;
    (void)snprintf(config->store_entries[i].value, sizeof(config->store_entries[i].value), "%s",
                   value);
    if (i == config->store_entry_count)
        config->store_entry_count++;
    return 0;
}

static int set_store_time(struct broker_config *config, const struct row *row, const char *value,
                          struct beck_error *error)
{
    char text[32];
    int64_t number;
    if (parse_number(value, -1, INT64_MAX / row->least, &number) < 0)
        return refuse(error, "%s must be a whole number, not '%s'", row->entry.name, value);
    (void)snprintf(text, sizeof(text), "%lld",
                   (long long)(number < 0 ? number : number * row->least));
    return set_store_entry(config, row->entry.store_name, text, error);
}

static int set_number(struct broker_config *config, const struct row *row, const char *value,
                      struct beck_error *error)
{
    char *place = (char *)config + row->offset;
    int64_t number;
    if (parse_number(value, row->least, row->most, &number) < 0)
        return refuse(error, "%s must be a whole number from %lld to %lld, not '%s'",
                      row->entry.name, (long long)row->least, (long long)row->most, value);
    if (row->kind == KIND_INT32)
        memcpy(place, &(int32_t){(int32_t)number}, sizeof(int32_t));
    else
        memcpy(place, &number, sizeof(number));
    return 0;
}

/* What the entries of words can be. */
static bool is_word(const struct row *row, const char *word, size_t length)
{
    static const char *const assignors[] = {"uniform", "range", NULL};
    static const char *const policies[] = {"bidirectional", "upgrade", "downgrade", "disabled",
                                           NULL};
    const char *const *words = row->kind == KIND_WORDS ? assignors : policies;
    for (; *words; words++)
        if (strlen(*words) == length && strncmp(*words, word, length) == 0)
            return true;
    return false;
}

static int set_words(char *place, const struct row *row, const char *value,
                     struct beck_error *error)
{
    const char *word = value;
    for (;;) {
        size_t length = row->kind == KIND_WORDS ? strcspn(word, ",") : strlen(word);
        if (!is_word(row, word, length))
            return refuse(error, "%s cannot be '%s'", row->entry.name, value);
        if (word[length] == '\0')
            break;
        word += length + 1;
    }
    (void)snprintf(place, CONFIG_VALUE_BYTES + 1, "%s", value);
    return 0;
}

static int set_value(struct broker_config *config, const struct row *row, const char *value,
                     struct beck_error *error)
{
    char *place = (char *)config + row->offset;
    switch (row->kind) {
    case KIND_BOOL:
        if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
            return refuse(error, "%s must be true or false, not '%s'", row->entry.name, value);
        *place = strcmp(value, "true") == 0;
        return 0;
    case KIND_INT32:
    case KIND_INT64:
        return set_number(config, row, value, error);
    case KIND_PATH:
        if (strchr(value, ','))
            return refuse(error, "%s: a store has one directory, not several", row->entry.name);
        if (strlen(value) >= sizeof(config->store_path))
            return refuse(error, "%s: the path is too long", row->entry.name);
        (void)snprintf(config->store_path, sizeof(config->store_path), "%s", value);
        return 0;
    case KIND_TEXT:
        if (strlen(value) > CONFIG_VALUE_BYTES)
            return refuse(error, "%s: at most %d bytes", row->entry.name, CONFIG_VALUE_BYTES);
        (void)snprintf(place, CONFIG_VALUE_BYTES + 1, "%s", value);
        return 0;
    case KIND_LISTENERS:
    case KIND_ADVERTISED:
        return set_endpoints((struct endpoints *)(void *)place, row->entry.name, value, error);
    case KIND_PROTOCOLS:
        return check_protocols(value, error);
    case KIND_WORDS:
    case KIND_WORD:
        return set_words(place, row, value, error);
    case KIND_STORE_TIME:
        return set_store_time(config, row, value, error);
    case KIND_STORE:
    default:
        return set_store_entry(config, row->entry.store_name, value, error);
    }
}

void settings_init(struct broker_config *config)
{
    struct beck_error error;
    *config = (struct broker_config){.set = 0};
    for (size_t i = 0; i < ROWS; i++)
        if (!rows[i].entry.store_name)
            (void)set_value(config, &rows[i], rows[i].entry.default_value, &error);
}

/* How many letters have to be changed, put in or left out to make one word of the other. */
static size_t distance(const char *a, const char *b)
{
    size_t row[128];
    size_t length = strlen(b);
    if (length >= sizeof(row) / sizeof(row[0]))
        return SIZE_MAX;
    for (size_t i = 0; i <= length; i++)
        row[i] = i;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t change = corner + (a[i - 1] != b[j - 1]);
            size_t less = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            corner = row[j];
            row[j] = change < less ? change : less;
        }
    }
    return row[length];
}

static const char *nearest(const char *name)
{
    const char *best = rows[0].entry.name;
    for (size_t i = 1; i < ROWS; i++)
        if (distance(name, rows[i].entry.name) < distance(name, best))
            best = rows[i].entry.name;
    return best;
}

/* A time in hours or minutes is shown by the row that has the same in ms. */
static size_t row_in_ms(size_t index)
{
    size_t i = 0;
    while (rows[i].kind != KIND_STORE ||
           strcmp(rows[i].entry.store_name, rows[index].entry.store_name) != 0)
        i++;
    return i;
}

int settings_set(struct broker_config *config, const char *name, const char *value,
                 struct beck_error *error)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].entry.name, name) != 0)
            continue;
        int result = set_value(config, &rows[i], value, error);
        if (result == 0)
            config->set |= UINT64_C(1) << (rows[i].kind == KIND_STORE_TIME ? row_in_ms(i) : i);
        return result;
    }
    return refuse(error, "there is no configuration '%.64s'; did you mean '%s'?", name,
                  nearest(name));
}

/* ---- showing ---- */

static void endpoints_text(const struct endpoints *endpoints, char *to, size_t size)
{
    size_t n = 0;
    to[0] = '\0';
    for (size_t i = 0; i < endpoints->count && n < size; i++) {
        const struct endpoint *one = &endpoints->list[i];
        bool six = strchr(one->host, ':');
        n += (size_t)snprintf(to + n, size - n, "%s%s://%s%s%s:%u", i > 0 ? "," : "", one->name,
                              six ? "[" : "", one->host, six ? "]" : "", (unsigned)one->port);
    }
}

void settings_value(const struct broker_config *config, size_t index,
                    char ret_text[CONFIG_VALUE_BYTES + 1])
{
    const struct row *row = &rows[index];
    const char *place = (const char *)config + row->offset;
    size_t room = CONFIG_VALUE_BYTES + 1;
    int32_t small;
    int64_t large;
    ret_text[0] = '\0';
    switch (row->kind) {
    case KIND_BOOL:
        (void)snprintf(ret_text, room, "%s", *place ? "true" : "false");
        break;
    case KIND_INT32:
        memcpy(&small, place, sizeof(small));
        (void)snprintf(ret_text, room, "%d", small);
        break;
    case KIND_INT64:
        memcpy(&large, place, sizeof(large));
        (void)snprintf(ret_text, room, "%lld", (long long)large);
        break;
    case KIND_PATH:
    case KIND_TEXT:
    case KIND_WORDS:
    case KIND_WORD:
        (void)snprintf(ret_text, room, "%.255s", place);
        break;
    case KIND_LISTENERS:
    case KIND_ADVERTISED:
        endpoints_text((const struct endpoints *)(const void *)place, ret_text, room);
        break;
    case KIND_PROTOCOLS:
        (void)snprintf(ret_text, room, "%s", row->entry.default_value);
        break;
    case KIND_STORE_TIME: /* said once, by the entry in ms */
        break;
    case KIND_STORE:
        for (size_t i = 0; i < config->store_entry_count; i++)
            if (strcmp(config->store_entries[i].name, row->entry.store_name) == 0)
                (void)snprintf(ret_text, room, "%s", config->store_entries[i].value);
        break;
    default:
        break;
    }
}

static size_t row_bytes(const struct row *row)
{
    switch (row->kind) {
    case KIND_BOOL:
        return sizeof(bool);
    case KIND_INT32:
        return sizeof(int32_t);
    case KIND_INT64:
        return sizeof(int64_t);
    case KIND_PATH:
        return sizeof(((struct broker_config *)NULL)->store_path);
    case KIND_LISTENERS:
    case KIND_ADVERTISED:
        return sizeof(struct endpoints);
    case KIND_TEXT:
    case KIND_WORDS:
    case KIND_WORD:
        return CONFIG_VALUE_BYTES + 1;
    case KIND_PROTOCOLS:
    case KIND_STORE:
    case KIND_STORE_TIME:
    default:
        return 0;
    }
}

/* Does it say something else than the one that runs? An entry of the store's that is not set any
 * more stays there. */
static bool differs(const struct broker_config *config, const struct broker_config *running,
                    size_t index)
{
    char value[CONFIG_VALUE_BYTES + 1];
    char old[CONFIG_VALUE_BYTES + 1];
    size_t offset = rows[index].offset;
    if (rows[index].kind != KIND_STORE)
        return memcmp((const char *)config + offset, (const char *)running + offset,
                      row_bytes(&rows[index])) != 0;
    settings_value(config, index, value);
    settings_value(running, index, old);
    return value[0] != '\0' && strcmp(value, old) != 0;
}

void settings_keep(struct broker_config *config, const struct broker_config *running,
                   char *ret_names, size_t size)
{
    size_t n = 0;
    ret_names[0] = '\0';
    for (size_t i = 0; i < ROWS; i++) {
        const uint64_t bit = UINT64_C(1) << i;
        if (rows[i].entry.may_change)
            continue;
        config->set = (config->set & ~bit) | (running->set & bit);
        if (!differs(config, running, i))
            continue;
        memcpy((char *)config + rows[i].offset, (const char *)running + rows[i].offset,
               row_bytes(&rows[i]));
        if (n < size)
            n += (size_t)snprintf(ret_names + n, size - n, "%s%s", n > 0 ? ", " : "",
                                  rows[i].entry.name);
    }
    memcpy(config->store_entries, running->store_entries, sizeof(config->store_entries));
    config->store_entry_count = running->store_entry_count;
}

/* A sentence as a comment, in lines. */
static void dump_text(const char *text)
{
    enum { WIDTH = 96 };
    while (*text) {
        size_t length = strlen(text);
        if (length > WIDTH) {
            length = WIDTH;
            while (length > 0 && text[length] != ' ')
                length--;
        }
        printf("# %.*s\n", (int)length, text);
        text += length;
        text += strspn(text, " ");
    }
}

/* What it is where nobody set it; of a default for topics also what the library says of that. */
static void dump_default(const struct row *row, char ret_value[CONFIG_VALUE_BYTES + 1])
{
    struct beck_config_entry entry = {.name = NULL};
    (void)snprintf(ret_value, CONFIG_VALUE_BYTES + 1, "%s", row->entry.default_value);
    if (!row->entry.store_name)
        return;
    for (uint32_t i = 0; beck_store_config(NULL, i, &entry, NULL) == 1; i++)
        if (strcmp(entry.name, row->entry.store_name) == 0)
            break;
    if (strncmp(row->entry.documentation, FOR_TOPICS, strlen(FOR_TOPICS)) == 0)
        dump_text(entry.documentation);
    if (row->kind == KIND_STORE_TIME)
        (void)snprintf(ret_value, CONFIG_VALUE_BYTES + 1, "%lld",
                       strtoll(entry.default_value, NULL, 10) / (long long)row->least);
    else
        (void)snprintf(ret_value, CONFIG_VALUE_BYTES + 1, "%s", entry.default_value);
}

void settings_dump(const struct broker_config *config)
{
    for (size_t i = 0; i < ROWS; i++) {
        char initial[CONFIG_VALUE_BYTES + 1];
        char value[CONFIG_VALUE_BYTES + 1];
        settings_value(config, i, value);
        dump_text(rows[i].entry.documentation);
        dump_default(&rows[i], initial);
        bool is_default = !settings_is_set(config, i);
        printf("%s%s=%s\n\n", is_default ? "#" : "", rows[i].entry.name,
               is_default ? initial : value);
    }
}
