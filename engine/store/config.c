/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of topic configurations and their checks. Names, types and defaults are those of
 * Kafka's TopicConfig and LogConfig; flush.policy is beck's own.
 */
#include "config.h"

#include "check.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum config_kind {
    CONFIG_NUMBER,
    CONFIG_RATIO, /* 0 to 1 */
    CONFIG_BOOLEAN,
    CONFIG_CHOICE, /* one of `choices` */
    CONFIG_LIST,   /* some of `choices`, comma-separated */
    CONFIG_TEXT,
};

struct config_row {
    struct config_definition definition;
    enum config_kind kind;
    const char *choices; /* separated by spaces */
    int64_t least;
    int64_t most;
};

#define ROW(name, default_value, kind, choices, least, most, documentation)                        \
    {                                                                                              \
        {name, default_value, documentation}, kind, choices, least, most                           \
    }
#define MOST INT64_MAX

static const struct config_row rows[] = {
    ROW("cleanup.policy", "delete", CONFIG_LIST, "delete compact", 0, 0,
        "What happens to old records: delete them, or keep the last one of each key."),
    ROW("compression.type", "producer", CONFIG_CHOICE, "producer uncompressed gzip snappy lz4 zstd",
        0, 0, "How batches are compressed on disk; producer: as they came."),
    ROW("delete.retention.ms", "86400000", CONFIG_NUMBER, NULL, 0, MOST,
        "How long a tombstone stays in a compacted topic."),
    ROW("file.delete.delay.ms", "60000", CONFIG_NUMBER, NULL, 0, MOST,
        "How long a removed segment's file stays."),
    ROW("flush.messages", "9223372036854775807", CONFIG_NUMBER, NULL, 1, MOST,
        "Sync after so many records; see flush.policy."),
    ROW("flush.ms", "9223372036854775807", CONFIG_NUMBER, NULL, 0, MOST,
        "Sync after so long; see flush.policy."),
    ROW("flush.policy", "sync", CONFIG_CHOICE, "sync os", 0, 0,
        "sync: acks=all waits for fdatasync. os: the system writes when it likes, as Apache Kafka "
        "does."),
    ROW("follower.replication.throttled.replicas", "", CONFIG_TEXT, NULL, 0, 0,
        "Kept for Kafka's tools; there are no followers."),
    ROW("index.interval.bytes", "4096", CONFIG_NUMBER, NULL, 0, INT32_MAX,
        "Kept for Kafka's tools; the index has an interval of its own."),
    ROW("leader.replication.throttled.replicas", "", CONFIG_TEXT, NULL, 0, 0,
        "Kept for Kafka's tools; there are no followers."),
    ROW("local.retention.bytes", "-2", CONFIG_NUMBER, NULL, -2, MOST,
        "Kept for Kafka's tools; there is no tiered storage."),
    ROW("local.retention.ms", "-2", CONFIG_NUMBER, NULL, -2, MOST,
        "Kept for Kafka's tools; there is no tiered storage."),
    ROW("max.compaction.lag.ms", "9223372036854775807", CONFIG_NUMBER, NULL, 1, MOST,
        "The longest that a record stays uncompacted."),
    ROW("max.message.bytes", "1048588", CONFIG_NUMBER, NULL, 0, BECK_BATCH_BYTES_LIMIT,
        "The largest batch, as it is stored."),
    ROW("message.downconversion.enable", "true", CONFIG_BOOLEAN, NULL, 0, 0,
        "Kept for Kafka's tools; formats before v2 are not served."),
    ROW("message.format.version", "3.0-IV1", CONFIG_TEXT, NULL, 0, 0,
        "Kept for Kafka's tools; the format is v2."),
    ROW("message.timestamp.after.max.ms", "9223372036854775807", CONFIG_NUMBER, NULL, 0, MOST,
        "How far ahead of the clock a producer's timestamp may be."),
    ROW("message.timestamp.before.max.ms", "9223372036854775807", CONFIG_NUMBER, NULL, 0, MOST,
        "How far behind the clock a producer's timestamp may be."),
    ROW("message.timestamp.difference.max.ms", "9223372036854775807", CONFIG_NUMBER, NULL, 0, MOST,
        "How far off the clock a producer's timestamp may be."),
    ROW("message.timestamp.type", "CreateTime", CONFIG_CHOICE, "CreateTime LogAppendTime", 0, 0,
        "Whose time a record carries: its producer's, or that of the append."),
    ROW("min.cleanable.dirty.ratio", "0.5", CONFIG_RATIO, NULL, 0, 0,
        "The share of uncompacted bytes at which compaction begins."),
    ROW("min.compaction.lag.ms", "0", CONFIG_NUMBER, NULL, 0, MOST,
        "The shortest that a record stays uncompacted."),
    ROW("min.insync.replicas", "1", CONFIG_NUMBER, NULL, 1, INT32_MAX,
        "Kept for Kafka's tools; there is one copy."),
    ROW("preallocate", "false", CONFIG_BOOLEAN, NULL, 0, 0,
        "Kept for Kafka's tools; segments grow as they are written."),
    ROW("remote.storage.enable", "false", CONFIG_BOOLEAN, NULL, 0, 0,
        "Kept for Kafka's tools; there is no tiered storage."),
    ROW("retention.bytes", "-1", CONFIG_NUMBER, NULL, -1, MOST,
        "Remove the oldest segments of a partition above this size; -1: never."),
    ROW("retention.ms", "604800000", CONFIG_NUMBER, NULL, -1, MOST,
        "Remove segments whose records are older; -1: never."),
    ROW("segment.bytes", "1073741824", CONFIG_NUMBER, NULL, 1 << 20, INT32_MAX,
        "The size at which a segment file is closed and a new one begun."),
    ROW("segment.index.bytes", "10485760", CONFIG_NUMBER, NULL, 4, INT32_MAX,
        "Kept for Kafka's tools; the index is not in files of its own."),
    ROW("segment.jitter.ms", "0", CONFIG_NUMBER, NULL, 0, MOST,
        "Kept for Kafka's tools; rolls are not spread."),
    ROW("segment.ms", "604800000", CONFIG_NUMBER, NULL, 1, MOST,
        "The age at which a segment file is closed and a new one begun."),
    ROW("unclean.leader.election.enable", "false", CONFIG_BOOLEAN, NULL, 0, 0,
        "Kept for Kafka's tools; there is one copy."),
};

static const struct config_row *row_find(const char *name)
{
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        if (strcmp(rows[i].definition.name, name) == 0)
            return &rows[i];
    return NULL;
}

const struct config_definition *config_definition_at(size_t index)
{
    return index < ELEMENTS(rows) ? &rows[index].definition : NULL;
}

/* ---- checking values ----------------------------------------------------------------------- */

static int number_parse(const char *text, int64_t *ret_number)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0')
        return -EINVAL;
    *ret_number = number;
    return 0;
}

static bool is_choice(const char *choices, const char *word, size_t size)
{
    for (const char *at = choices; at; at = strchr(at, ' ')) {
        at += *at == ' ';
        if (strncmp(at, word, size) == 0 && (at[size] == ' ' || at[size] == '\0'))
            return size > 0;
    }
    return false;
}

static bool is_list(const char *choices, const char *text)
{
    for (;;) {
        text += strspn(text, " ");
        size_t size = strcspn(text, ", ");
        if (!is_choice(choices, text, size))
            return false;
        text += size;
        text += strspn(text, " ");
        if (*text == '\0')
            return true;
        if (*text++ != ',')
            return false;
    }
}

static int value_check(const struct config_row *row, const char *value, struct beck_error *error)
{
    const char *name = row->definition.name;
    int64_t number;
    char *end;
    switch (row->kind) {
    case CONFIG_NUMBER:
        if (number_parse(value, &number) < 0 || number < row->least || number > row->most)
            return report(error, -EINVAL,
                          "%s must be a whole number from %" PRId64 " to %" PRId64 ", not \"%s\"",
                          name, row->least, row->most, value);
        return 0;
    case CONFIG_RATIO: {
        double ratio = strtod(value, &end);
        if (end == value || *end != '\0' || !(ratio >= 0 && ratio <= 1))
            return report(error, -EINVAL, "%s must be a number from 0 to 1, not \"%s\"", name,
                          value);
        return 0;
    }
    case CONFIG_BOOLEAN:
        if (!is_choice("true false", value, strlen(value)))
            return report(error, -EINVAL, "%s must be true or false, not \"%s\"", name, value);
        return 0;
    case CONFIG_CHOICE:
        if (!is_choice(row->choices, value, strlen(value)))
            return report(error, -EINVAL, "%s must be one of: %s; not \"%s\"", name, row->choices,
                          value);
        return 0;
    case CONFIG_LIST:
        if (!is_list(row->choices, value))
            return report(error, -EINVAL, "%s must be a list of: %s; not \"%s\"", name,
                          row->choices, value);
        return 0;
    case CONFIG_TEXT:
    default:
        return 0;
    }
}

/* ---- the set ------------------------------------------------------------------------------- */

/* The entry after `at`; NULL behind the last. An entry is its name; the value follows. */
static const char *set_next(const struct config_set *set, const char *at)
{
    const char *end = set->text + set->bytes;
    if (!at)
        return set->bytes > 0 ? set->text : NULL;
    at += strlen(at) + 1;
    at += strlen(at) + 1;
    return at < end ? at : NULL;
}

const char *config_set_get(const struct config_set *set, const char *name)
{
    for (const char *at = set_next(set, NULL); at; at = set_next(set, at))
        if (strcmp(at, name) == 0)
            return at + strlen(at) + 1;
    return NULL;
}

static void set_remove(struct config_set *set, const char *name)
{
    for (const char *at = set_next(set, NULL); at; at = set_next(set, at)) {
        if (strcmp(at, name) != 0)
            continue;
        size_t begin = (size_t)(at - set->text);
        size_t size = strlen(at) + 1;
        size += strlen(at + size) + 1;
        memmove(set->text + begin, set->text + begin + size, set->bytes - begin - size);
        set->bytes -= (uint32_t)size;
        return;
    }
}

int config_set_put(struct config_set *set, const char *name, const char *value,
                   struct beck_error *error)
{
    const struct config_row *row = row_find(name);
    if (!row)
        return report(error, -EINVAL, "there is no topic configuration named \"%.64s\"", name);
    if (!value) {
        set_remove(set, name);
        return 0;
    }
    size_t name_size = strlen(name) + 1;
    size_t value_size = strlen(value) + 1;
    if (value_size > CONFIG_VALUE_BYTES + 1)
        return report(error, -EINVAL, "%s: the value is longer than %d bytes", name,
                      CONFIG_VALUE_BYTES);
    int r = value_check(row, value, error);
    if (r < 0)
        return r;
    set_remove(set, name);
    if (set->bytes + name_size + value_size > CONFIG_SET_BYTES)
        return report(error, -EMSGSIZE, "a topic's configuration is limited to %d bytes",
                      CONFIG_SET_BYTES);
    memcpy(set->text + set->bytes, name, name_size);
    memcpy(set->text + set->bytes + name_size, value, value_size);
    set->bytes += (uint32_t)(name_size + value_size);
    return 0;
}

bool config_set_valid(const struct config_set *set)
{
    uint32_t strings = 0;
    if (set->bytes > CONFIG_SET_BYTES || (set->bytes > 0 && set->text[set->bytes - 1] != '\0'))
        return false;
    for (uint32_t i = 0; i < set->bytes; i++)
        strings += set->text[i] == '\0';
    return strings % 2 == 0;
}

/* ---- what the engine acts on --------------------------------------------------------------- */

static const char *resolve(const struct config_set *set, const struct config_set *defaults,
                           const char *name)
{
    const char *value = config_set_get(set, name);
    if (!value && defaults)
        value = config_set_get(defaults, name);
    return value ? value : row_find(name)->definition.default_value;
}

static int64_t resolve_number(const struct config_set *set, const struct config_set *defaults,
                              const char *name)
{
    const struct config_row *row = row_find(name);
    const char *value = resolve(set, defaults, name);
    int64_t number = 0;
    /* What stands in meta.mdb was checked when it was set, maybe by another version. */
    if (value_check(row, value, NULL) < 0)
        value = row->definition.default_value;
    CHECK(number_parse(value, &number) == 0);
    return number;
}

void config_resolve(const struct config_set *set, const struct config_set *defaults,
                    struct config_resolved *ret_resolved)
{
    *ret_resolved = (struct config_resolved){
        .max_message_bytes = (uint32_t)resolve_number(set, defaults, "max.message.bytes"),
        .segment_bytes = (uint64_t)resolve_number(set, defaults, "segment.bytes"),
        .segment_ms = resolve_number(set, defaults, "segment.ms"),
        .log_append_time =
            strcmp(resolve(set, defaults, "message.timestamp.type"), "LogAppendTime") == 0,
        .flush_os = strcmp(resolve(set, defaults, "flush.policy"), "os") == 0,
        .compact = strstr(resolve(set, defaults, "cleanup.policy"), "compact") != NULL,
    };
}
