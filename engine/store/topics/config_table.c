/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table. What nothing here acts on says so: it is kept for programs that set it, and they are
 * told what they set.
 */
#include "config_table.h"

#include "check.h"

#include <string.h>

#define ROW(name, default_value, type, kind, choices, least, most, documentation)                  \
    {                                                                                              \
        name, default_value, documentation, BECK_CONFIG_##type, CONFIG_##kind, false, choices,     \
            least, most                                                                            \
    }
#define STORE_ROW(name, default_value, type, least, most, documentation)                           \
    {                                                                                              \
        name, default_value, documentation, BECK_CONFIG_##type, CONFIG_NUMBER, true, NULL, least,  \
            most                                                                                   \
    }
#define MOST INT64_MAX

static const struct config_row rows[] = {
    ROW("cleanup.policy", "delete", LIST, LIST, "delete compact", 0, 0,
        "What happens to old records: delete removes segments that are too old or too many, "
        "compact keeps the last record of each key. Both may be set; with neither, nothing goes."),
    ROW("compression.gzip.level", "-1", INT, CHOICE, "-1 1 2 3 4 5 6 7 8 9", 0, 0,
        "Kept for Kafka's tools; batches are stored as they came."),
    ROW("compression.lz4.level", "9", INT, NUMBER, NULL, 1, 17,
        "Kept for Kafka's tools; batches are stored as they came."),
    ROW("compression.type", "producer", STRING, CHOICE,
        "producer uncompressed gzip snappy lz4 zstd", 0, 0,
        "Kept for Kafka's tools; batches are stored as they came, which is what producer means."),
    ROW("compression.zstd.level", "3", INT, NUMBER, NULL, -131072, 22,
        "Kept for Kafka's tools; batches are stored as they came."),
    ROW("delete.retention.ms", "86400000", LONG, NUMBER, NULL, 0, MOST,
        "How long a tombstone stays in a compacted topic."),
    ROW("file.delete.delay.ms", "60000", LONG, NUMBER, NULL, 0, MOST,
        "Kept for Kafka's tools; a removed segment's file goes at once, and who reads it goes on."),
    ROW("flush.messages", "9223372036854775807", LONG, NUMBER, NULL, 1, MOST,
        "Kept for Kafka's tools; see flush.policy."),
    ROW("flush.ms", "9223372036854775807", LONG, NUMBER, NULL, 0, MOST,
        "Kept for Kafka's tools; see flush.policy."),
    ROW("flush.policy", "sync", STRING, CHOICE, "sync os", 0, 0,
        "sync: acks=all waits for fdatasync. os: the system writes when it likes, as Apache Kafka "
        "does."),
    ROW("follower.replication.throttled.replicas", "", LIST, REPLICAS, NULL, 0, 0,
        "Kept for Kafka's tools; there are no followers."),
    ROW("index.interval.bytes", "4096", INT, NUMBER, NULL, 0, INT32_MAX,
        "Kept for Kafka's tools; the index has an interval of its own."),
    ROW("leader.replication.throttled.replicas", "", LIST, REPLICAS, NULL, 0, 0,
        "Kept for Kafka's tools; there are no followers."),
    ROW("local.retention.bytes", "-2", LONG, NUMBER, NULL, -2, MOST,
        "Kept for Kafka's tools; there is no tiered storage."),
    ROW("local.retention.ms", "-2", LONG, NUMBER, NULL, -2, MOST,
        "Kept for Kafka's tools; there is no tiered storage."),
    ROW("max.compaction.lag.ms", "9223372036854775807", LONG, NUMBER, NULL, 1, MOST,
        "The longest that a record stays uncompacted."),
    ROW("max.message.bytes", "1048588", INT, NUMBER, NULL, 0, BECK_BATCH_BYTES_LIMIT,
        "The largest batch, as it is stored."),
    ROW("message.downconversion.enable", "true", BOOLEAN, BOOLEAN, NULL, 0, 0,
        "Kept for Kafka's tools; formats before v2 are not served."),
    ROW("message.format.version", "3.0-IV1", STRING, TEXT, NULL, 0, 0,
        "Kept for Kafka's tools; the format is v2."),
    ROW("message.timestamp.after.max.ms", "3600000", LONG, NUMBER, NULL, 0, MOST,
        "How far ahead of the clock a producer's timestamp may be."),
    ROW("message.timestamp.before.max.ms", "9223372036854775807", LONG, NUMBER, NULL, 0, MOST,
        "How far behind the clock a producer's timestamp may be."),
    ROW("message.timestamp.difference.max.ms", "9223372036854775807", LONG, NUMBER, NULL, 0, MOST,
        "How far off the clock a producer's timestamp may be, either way, where the two before set "
        "nothing."),
    ROW("message.timestamp.type", "CreateTime", STRING, CHOICE, "CreateTime LogAppendTime", 0, 0,
        "Whose time a record carries: its producer's, or that of the append."),
    ROW("min.cleanable.dirty.ratio", "0.5", DOUBLE, RATIO, NULL, 0, 0,
        "The share of uncompacted bytes at which compaction begins."),
    ROW("min.compaction.lag.ms", "0", LONG, NUMBER, NULL, 0, MOST,
        "The shortest that a record stays uncompacted."),
    ROW("min.insync.replicas", "1", INT, NUMBER, NULL, 1, INT32_MAX,
        "Kept for Kafka's tools; there is one copy."),
    ROW("preallocate", "false", BOOLEAN, BOOLEAN, NULL, 0, 0,
        "Kept for Kafka's tools; segments grow as they are written."),
    ROW("remote.log.copy.disable", "false", BOOLEAN, BOOLEAN, NULL, 0, 0,
        "Kept for Kafka's tools; there is no tiered storage."),
    ROW("remote.log.delete.on.disable", "false", BOOLEAN, BOOLEAN, NULL, 0, 0,
        "Kept for Kafka's tools; there is no tiered storage."),
    ROW("remote.storage.enable", "false", BOOLEAN, BOOLEAN, NULL, 0, 0,
        "Kept for Kafka's tools; there is no tiered storage."),
    ROW("retention.bytes", "-1", LONG, NUMBER, NULL, INT64_MIN, MOST,
        "Remove the oldest segments of a partition while it is larger; below 0: never."),
    ROW("retention.ms", "604800000", LONG, NUMBER, NULL, -1, MOST,
        "Remove segments whose records are all older; -1: never."),
    ROW("segment.bytes", "1073741824", INT, NUMBER, NULL, 1 << 20, INT32_MAX,
        "The size at which a segment file is closed and a new one begun."),
    ROW("segment.index.bytes", "10485760", INT, NUMBER, NULL, 4, INT32_MAX,
        "Kept for Kafka's tools; the index is not in files of its own."),
    ROW("segment.jitter.ms", "0", LONG, NUMBER, NULL, 0, MOST,
        "Kept for Kafka's tools; rolls are not spread."),
    ROW("segment.ms", "604800000", LONG, NUMBER, NULL, 1, MOST,
        "The age at which a segment file is closed and a new one begun."),
    ROW("unclean.leader.election.enable", "false", BOOLEAN, BOOLEAN, NULL, 0, 0,
        "Kept for Kafka's tools; there is one copy."),

    STORE_ROW(
        "log.retention.check.interval.ms", "300000", LONG, 1, MOST,
        "How often each process that maintains the store looks for segments that are too old or "
        "too many."),
    STORE_ROW("offset.metadata.max.bytes", "4096", INT, 0, BECK_OFFSET_METADATA_BYTES,
              "The longest text that may stand beside a committed offset."),
    STORE_ROW("offsets.retention.minutes", "10080", INT, 1, INT32_MAX,
              "How long committed offsets are kept after their group was left by its last member, "
              "or, where it never had one, after their commit."),
    STORE_ROW("producer.id.expiration.ms", "86400000", INT, 1, INT32_MAX,
              "How long the state of an idempotent producer is kept after its last batch."),
};

const struct config_row *config_row_at(size_t index)
{
    return index < ELEMENTS(rows) ? &rows[index] : NULL;
}

const struct config_row *config_row_find(const char *name)
{
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

/* ---- the nearest name ---------------------------------------------------------------------- */

#define NAME_BYTES 64 /* longer ones are like none of ours */

/* How many bytes have to be put in, taken out or changed to make `b` of `a` (Levenshtein). */
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t row[NAME_BYTES + 1];
    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            diagonal = row[j];
            row[j] = change < least ? change : least;
        }
    }
    return row[b_size];
}

const char *config_row_nearest(const char *name)
{
    const char *nearest = NULL;
    size_t size = strnlen(name, NAME_BYTES + 1);
    if (size > NAME_BYTES)
        return NULL;
    size_t least = size / 2 + 1;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        size_t d = distance(name, size, rows[i].name, strlen(rows[i].name));
        if (d < least) {
            least = d;
            nearest = rows[i].name;
        }
    }
    return nearest;
}
