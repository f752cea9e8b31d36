/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Kafka broker's log directory as a source, and single segment files as one of one partition.
 * Records come from the checked batches of segments.h; what transactions made of them is known from
 * the beginning (kafka_txn.h). The end of a partition is behind its last whole batch: what a broker
 * that was killed left half-written behind it is damage for who looks at batches, and does not
 * exist for who reads records.
 */
#include "source.h"

#include "cleanup.h"
#include "kafka_dir.h"
#include "kafka_txn.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct kafka_source {
    struct source base;
    struct kafka_dir dir;
    char *const *files; /* NULL: it is a log directory */
    size_t file_count;
};

struct kafka_reader {
    struct source_partition base;
    struct segments segments;
    struct transactions transactions;
    struct source_bounds bounds;
    struct source_records records;
    bool in_batch;            /* `records` has some of the batch that was read last */
    int64_t passed;           /* the offset behind the batch that was read last */
    int64_t wanted;           /* records before it are not handed out */
    struct beck_error failed; /* code 0: nothing has */
};

static const struct source_ops kafka_ops;

/* ---- topics ------------------------------------------------------------------------------- */

static void kafka_close(struct source *base)
{
    struct kafka_source *source = (struct kafka_source *)base;

    kafka_dir_done(&source->dir);
    free(source);
}

static int kafka_topic_at(const struct kafka_source *source, size_t at,
                          struct source_topic *ret_topic, struct beck_error *error)
{
    const struct kafka_dir *dir = &source->dir;
    const struct kafka_partition *first = &dir->partitions[at];
    struct source_topic topic = {0};

    memcpy(topic.name, first->topic, sizeof(topic.name));
    for (; at < dir->count && strcmp(dir->partitions[at].topic, topic.name) == 0; at++)
        topic.partition_count++;
    int result = kafka_dir_topic_id(dir, first, topic.id, error);
    if (result < 0 && result != -EBADMSG)
        return result;
    topic.has_id = result > 0;
    *ret_topic = topic;
    return 1;
}

static int kafka_topic_next(struct source *base, const char *after, struct source_topic *ret_topic,
                            struct beck_error *error)
{
    const struct kafka_source *source = (const struct kafka_source *)base;

    for (size_t i = 0; i < source->dir.count; i++) {
        if (strcmp(source->dir.partitions[i].topic, after) > 0)
            return kafka_topic_at(source, i, ret_topic, error);
    }
    return 0;
}

static int kafka_topic_find(struct source *base, const char *name, struct source_topic *ret_topic,
                            struct beck_error *error)
{
    const struct kafka_source *source = (const struct kafka_source *)base;

    if (source->files != NULL) {
        *ret_topic = (struct source_topic){.partition_count = 1};
        return 0;
    }
    for (size_t i = 0; i < source->dir.count; i++) {
        if (strcmp(source->dir.partitions[i].topic, name) != 0)
            continue;
        int result = kafka_topic_at(source, i, ret_topic, error);
        return result < 0 ? result : 0;
    }
    return report(error, -ENOENT, "there is no topic %.249s in %s", name, source->dir.path);
}

static int32_t kafka_partition_next(struct source *base, const struct source_topic *topic,
                                    int32_t after)
{
    const struct kafka_source *source = (const struct kafka_source *)base;

    if (source->files != NULL)
        return after < 0 ? 0 : -1;
    for (size_t i = 0; i < source->dir.count; i++) {
        const struct kafka_partition *at = &source->dir.partitions[i];
        if (strcmp(at->topic, topic->name) == 0 && at->number > after)
            return at->number;
    }
    return -1;
}

/* ---- opening a partition ------------------------------------------------------------------ */

static void kafka_partition_close(struct source_partition *base)
{
    struct kafka_reader *reader = (struct kafka_reader *)base;

    segments_done(&reader->segments);
    transactions_done(&reader->transactions);
    source_records_done(&reader->records);
    free(reader);
}

/* Where a file without a name for it begins. */
static int first_offset(struct segments *segments, int64_t *ret_offset, struct beck_error *error)
{
    const struct segment_entry *entry;
    struct segment_step step;

    segments_rewind(segments, 0);
    int result = segments_next(segments, &step, &entry, error);
    if (result > 0)
        *ret_offset = step.summary.header.base_offset;
    return result == -EBADMSG || result > 0 ? 0 : result;
}

static int find_segments(const struct kafka_source *source, const struct kafka_partition *partition,
                         struct kafka_reader *reader, struct beck_error *error)
{
    int64_t offset;
    int result;

    if (source->files != NULL) {
        for (size_t i = 0; i < source->file_count; i++) {
            result = segments_add(&reader->segments, source->files[i], -1);
            if (result < 0)
                return report_errno(error, result, "cannot open %s", source->files[i]);
        }
        return first_offset(&reader->segments, &reader->bounds.start, error);
    }
    result = kafka_dir_segments(&source->dir, partition, &reader->segments, error);
    if (result == 0 && reader->segments.count > 0)
        reader->bounds.start = reader->segments.entries[0].base_offset;
    /* A checkpoint that is damaged only lets the log begin where its files do. */
    if (result == 0 &&
        kafka_dir_checkpoint(&source->dir, KAFKA_CHECKPOINT_LOG_START, partition, &offset, NULL) >
            0 &&
        offset > reader->bounds.start)
        reader->bounds.start = offset;
    return result;
}

static int load_partition(const struct kafka_source *source,
                          const struct kafka_partition *partition, struct kafka_reader *reader,
                          struct beck_error *error)
{
    int result = find_segments(source, partition, reader, error);
    if (result == 0)
        result = segments_end_offset(&reader->segments, reader->bounds.start, &reader->bounds.end,
                                     error);
    if (result == 0)
        result =
            transactions_load(&reader->segments, reader->bounds.end, &reader->transactions, error);
    reader->bounds.stable = reader->transactions.stable_offset;
    if (result == 0 && partition != NULL)
        (void)kafka_dir_checkpoint(&source->dir, KAFKA_CHECKPOINT_RECOVERY, partition,
                                   &reader->bounds.promised, NULL);
    reader->wanted = reader->passed = reader->bounds.start;
    return result;
}

static int kafka_partition_open(struct source *base, const struct source_topic *topic,
                                int32_t number, enum beck_isolation isolation,
                                struct source_partition **ret_partition, struct beck_error *error)
{
    const struct kafka_source *source = (const struct kafka_source *)base;
    ssize_t at = source->files != NULL ? 0 : kafka_dir_find(&source->dir, topic->name, number);

    if (at < 0)
        return report(error, -ENOENT, "there is no partition %d of topic %s in %s", (int)number,
                      topic->name, source->dir.path);
    struct kafka_reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL)
        return report(error, -ENOMEM, "not enough memory");
    reader->base = (struct source_partition){&kafka_ops, base, isolation, number};
    int result = load_partition(source, source->files != NULL ? NULL : &source->dir.partitions[at],
                                reader, error);
    if (result < 0) {
        kafka_partition_close(&reader->base);
        return result;
    }
    *ret_partition = &reader->base;
    return 0;
}

static int kafka_bounds(struct source_partition *base, struct source_bounds *ret_bounds,
                        struct beck_error *error)
{
    (void)error;
    *ret_bounds = ((struct kafka_reader *)base)->bounds;
    return 0;
}

/* ---- reading ------------------------------------------------------------------------------ */

static int kafka_seek(struct source_partition *base, int64_t offset, struct beck_error *error)
{
    struct kafka_reader *reader = (struct kafka_reader *)base;

    if (offset < reader->bounds.start || offset > reader->bounds.end)
        return report(error, -ERANGE, "offset %lld is out of range", (long long)offset);
    reader->in_batch = false;
    reader->wanted = offset;
    reader->passed = offset;
    reader->failed.code = 0;
    return segments_seek(&reader->segments, offset, error);
}

/* Is there something in this batch for who reads records? */
static bool is_read(const struct kafka_reader *reader, const struct batch_header *header)
{
    return (header->attributes & BATCH_CONTROL) == 0 &&
           batch_next_offset(header) > reader->wanted &&
           !(reader->base.isolation == BECK_READ_COMMITTED &&
             transactions_aborted(&reader->transactions, header));
}

/* The log's end, behind the last batch that is whole. What a broker half wrote as it was killed is
 * not looked at; what it knew to be on disk has to be there. */
static int at_end(struct kafka_reader *reader, struct beck_error *error)
{
    const struct segment_entry *entry;
    struct segment_step step;

    if (reader->bounds.promised <= reader->bounds.end)
        return 0;
    int result = segments_next(&reader->segments, &step, &entry, error);
    if (result != 0)
        return result;
    entry = &reader->segments.entries[reader->segments.count - 1];
    return report(error, -EBADMSG,
                  "%s ends with offset %lld, and the broker's checkpoint says that there was more, "
                  "up to %lld",
                  entry->path, (long long)reader->bounds.end - 1,
                  (long long)reader->bounds.promised);
}

/* Begin with the next batch that has records for us: 1; 0: the end. */
static int next_batch_of_records(struct kafka_reader *reader, struct beck_error *error)
{
    const struct segment_entry *entry;
    struct segment_step step;
    int result;

    do {
        if (reader->passed >= reader->bounds.end && reader->segments.count > 0)
            return at_end(reader, error);
        result = segments_next(&reader->segments, &step, &entry, error);
        if (result <= 0)
            return result;
        reader->passed = batch_next_offset(&step.summary.header);
        if (step.summary.header.base_offset >= source_bounds_end(&reader->base, &reader->bounds))
            return 0;
    } while (!is_read(reader, &step.summary.header));
    result = source_records_begin(&reader->records, &step.summary.header, step.batch);
    if (result < 0)
        return report_errno(error, result, "%s byte %llu: cannot decompress", entry->path,
                            (unsigned long long)step.position);
    reader->in_batch = true;
    return 1;
}

static int kafka_next(struct source_partition *base, struct beck_record *ret_record,
                      struct beck_error *error)
{
    struct kafka_reader *reader = (struct kafka_reader *)base;
    int result = 1;

    if (reader->failed.code < 0) {
        *error = reader->failed;
        return error->code;
    }
    while (result > 0) {
        if (!reader->in_batch)
            result = next_batch_of_records(reader, error);
        if (result <= 0)
            break;
        result = record_next(&reader->records.iterator, ret_record);
        if (result < 0)
            return report(error, result, "a record is damaged");
        if (result > 0 && ret_record->offset >= reader->wanted)
            return 1;
        if (result == 0) {
            reader->in_batch = false;
            result = 1;
        }
    }
    if (result < 0)
        reader->failed = *error;
    return result;
}

static int kafka_next_batch(struct source_partition *base, struct source_batch *ret_batch,
                            struct source_damage *ret_damage, struct beck_error *error)
{
    struct kafka_reader *reader = (struct kafka_reader *)base;
    const struct segment_entry *entry;
    struct segment_step step;

    int result = segments_next(&reader->segments, &step, &entry, error);
    if (result == -EBADMSG)
        *ret_damage = (struct source_damage){
            .offset = error->offset, .position = (int64_t)step.position, .skipped = step.size};
    if (result > 0)
        *ret_batch = (struct source_batch){
            .header = step.summary.header,
            .bytes = step.batch,
            .position = step.position,
            .aborted = transactions_aborted(&reader->transactions, &step.summary.header),
        };
    return result;
}

/* ---- by time ------------------------------------------------------------------------------ */

/* The first record of a batch at `timestamp_ms` or later: 1, or 0. */
static int find_in_batch(struct kafka_reader *reader, int64_t timestamp_ms, int64_t *ret_offset,
                         struct beck_error *error)
{
    struct segment_step step;
    struct beck_record record;

    int result = segments_again(&reader->segments, &step);
    if (result == 1)
        result = source_records_begin(&reader->records, &step.summary.header, step.batch);
    while (result >= 0 && (result = record_next(&reader->records.iterator, &record)) > 0) {
        if (record.timestamp_ms >= timestamp_ms && record.offset >= reader->wanted) {
            *ret_offset = record.offset;
            return 1;
        }
    }
    return result < 0 ? report(error, result, "a batch that would have to be looked at is damaged")
                      : 0;
}

/* Hops over all headers: an .timeindex could not be believed without that. */
static int kafka_offset_for_time(struct source_partition *base, int64_t timestamp_ms,
                                 int64_t *ret_offset, struct beck_error *error)
{
    struct kafka_reader *reader = (struct kafka_reader *)base;
    const struct segment_entry *entry;
    struct segment_step step;
    int result;

    reader->in_batch = false;
    reader->wanted = reader->passed = reader->bounds.start;
    segments_rewind(&reader->segments, 0);
    while ((result = segments_hop(&reader->segments, &step, &entry, error)) > 0) {
        const struct batch_header *header = &step.summary.header;
        if (header->base_offset >= source_bounds_end(base, &reader->bounds))
            return 0;
        if (header->max_timestamp_ms < timestamp_ms || !is_read(reader, header))
            continue;
        result = find_in_batch(reader, timestamp_ms, ret_offset, error);
        if (result != 0)
            return result;
    }
    return result;
}

/* ---- waiting ------------------------------------------------------------------------------ */

static int kafka_wake_fd(struct source *base, struct beck_error *error)
{
    (void)base;
    return report(error, -ENOTSUP, "the files of a broker that is stopped do not grow");
}

static void kafka_wake_clear(struct source *base)
{
    (void)base;
}

static void kafka_arm(struct source_partition *base)
{
    (void)base;
}

static const struct source_ops kafka_ops = {
    .close = kafka_close,
    .topic_next = kafka_topic_next,
    .topic_find = kafka_topic_find,
    .partition_next = kafka_partition_next,
    .partition_open = kafka_partition_open,
    .partition_close = kafka_partition_close,
    .bounds = kafka_bounds,
    .offset_for_time = kafka_offset_for_time,
    .seek = kafka_seek,
    .next = kafka_next,
    .next_batch = kafka_next_batch,
    .wake_fd = kafka_wake_fd,
    .wake_clear = kafka_wake_clear,
    .arm = kafka_arm,
};

/* ---- opening ------------------------------------------------------------------------------ */

int source_open_log_dir(const char *path, struct source **ret_source, struct beck_error *error)
{
    struct kafka_source *source = calloc(1, sizeof(*source));
    if (source == NULL)
        return report(error, -ENOMEM, "not enough memory");
    source->base.ops = &kafka_ops;
    int result = kafka_dir_open(path, &source->dir, error);
    if (result < 0) {
        free(source);
        return result;
    }
    *ret_source = &source->base;
    return 0;
}

int source_open_files(char *const *paths, size_t count, struct source **ret_source,
                      struct beck_error *error)
{
    struct kafka_source *source = calloc(1, sizeof(*source));
    if (source == NULL)
        return report(error, -ENOMEM, "not enough memory");
    source->base.ops = &kafka_ops;
    source->files = paths;
    source->file_count = count;
    *ret_source = &source->base;
    return 0;
}
