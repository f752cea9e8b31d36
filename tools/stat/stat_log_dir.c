/* SPDX-License-Identifier: Apache-2.0 */
/* A Kafka log directory in lines of words and numbers, as stat has them of a store. */
#include "stat_log_dir.h"

#include "input.h"
#include "kafka_dir.h"
#include "signals.h"
#include "table.h"

#include <stdio.h>
#include <string.h>

struct totals {
    uint64_t records; /* offsets from the start to the end */
    uint64_t disk_bytes;
};

static void print_dir(const struct kafka_dir *dir)
{
    size_t topics = 0;

    for (size_t i = 0; i < dir->count; i++)
        topics += i == 0 || strcmp(dir->partitions[i].topic, dir->partitions[i - 1].topic) != 0;
    (void)printf("log-dir %s\ncluster %s\n", dir->path,
                 dir->cluster_id[0] != '\0' ? dir->cluster_id : "unknown");
    if (dir->node_id >= 0)
        (void)printf("node %d\n", (int)dir->node_id);
    (void)printf("topics %zu\npartitions %zu\n", topics, dir->count);
}

static int disk_bytes(const struct kafka_dir *dir, const struct kafka_partition *partition,
                      uint64_t *ret_bytes)
{
    struct segments segments = {0};
    struct beck_error error;

    int result = kafka_dir_segments(dir, partition, &segments, &error);
    *ret_bytes = 0;
    for (size_t i = 0; i < segments.count; i++)
        *ret_bytes += segments.entries[i].bytes;
    segments_done(&segments);
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

static int print_partition(const struct kafka_dir *dir, const struct input *input,
                           const struct source_topic *topic, int32_t number, struct totals *totals)
{
    const struct kafka_partition *found =
        &dir->partitions[kafka_dir_find(dir, topic->name, number)];
    struct source_partition *partition = NULL;
    struct source_bounds bounds = {0};
    struct beck_error error;
    uint64_t bytes;
    int64_t offset;
    int32_t epoch = 0;

    int code = disk_bytes(dir, found, &bytes);
    if (code == TOOL_OK)
        code = input_open_partition(input, topic, number, BECK_READ_UNCOMMITTED, &partition);
    if (code == TOOL_OK && source_bounds(partition, &bounds, &error) < 0)
        code = tool_failed_error(&error);
    (void)source_partition_close(partition);
    if (code != TOOL_OK)
        return code;
    (void)printf("partition %s %d start %lld end %lld stable %lld disk-bytes %llu", topic->name,
                 (int)number, (long long)bounds.start, (long long)bounds.end,
                 (long long)bounds.stable, (unsigned long long)bytes);
    if (kafka_dir_checkpoint(dir, KAFKA_CHECKPOINT_REPLICATION, found, &offset, NULL) > 0)
        (void)printf(" high %lld", (long long)offset);
    if (kafka_dir_epoch(dir, found, &epoch, &offset, NULL) > 0)
        (void)printf(" epoch %d", (int)epoch);
    (void)printf("%s\n", bounds.promised > bounds.end ? " CUT-SHORT" : "");
    totals->records += (uint64_t)(bounds.end - bounds.start);
    totals->disk_bytes += bytes;
    return TOOL_OK;
}

static int print_topic(const struct kafka_dir *dir, const struct input *input,
                       const struct source_topic *topic)
{
    struct totals totals = {0};
    char id[TABLE_ID_TEXT];
    int32_t number = -1;
    int code = TOOL_OK;

    while (code == TOOL_OK && (number = source_partition_next(input->source, topic, number)) >= 0)
        code = print_partition(dir, input, topic, number, &totals);
    if (code == TOOL_OK)
        (void)printf("topic %s partitions %u records %llu disk-bytes %llu id %s\n", topic->name,
                     topic->partition_count, (unsigned long long)totals.records,
                     (unsigned long long)totals.disk_bytes,
                     topic->has_id ? table_id_text(topic->id, id) : "unknown");
    return code;
}

static int print_topics(const struct kafka_dir *dir, const struct input *input)
{
    struct source_topic topic = {0};
    struct beck_error error;
    int code = TOOL_OK;
    int result = 1;

    while (code == TOOL_OK && !signals_caught() &&
           (result = source_topic_next(input->source, topic.name, &topic, &error)) > 0)
        code = print_topic(dir, input, &topic);
    return result < 0 ? tool_failed_error(&error) : code;
}

int stat_log_dir(const char *path, char *const *topics, int count)
{
    struct kafka_dir dir = {0};
    struct input input = {0};
    struct source_topic topic;
    struct beck_error error;

    if (kafka_dir_open(path, &dir, &error) < 0)
        return tool_failed_error(&error);
    int code = input_open(NULL, path, &input);
    if (code == TOOL_OK)
        print_dir(&dir);
    if (code == TOOL_OK && count == 0)
        code = print_topics(&dir, &input);
    for (int i = 0; code == TOOL_OK && i < count; i++) {
        code = input_find_topic(&input, topics[i], &topic);
        if (code == TOOL_OK)
            code = print_topic(&dir, &input, &topic);
    }
    input_done(&input);
    kafka_dir_done(&dir);
    return code;
}
