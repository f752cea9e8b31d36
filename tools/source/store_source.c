/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store as a source: records by the library's reader, batches by its ranges, up to the high
 * watermark; behind damage, from the segment's file.
 */
#include "source.h"

#include "damaged_segment.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RANGE_BYTES = 4 << 20 };

struct store_source {
    struct source base;
    struct beck_store *store;
};

struct store_partition {
    struct source_partition base;
    struct beck_partition *partition;
    struct beck_reader *reader;
    /* batches: what was read of a range, and where the next one begins */
    uint8_t *buffer;
    size_t capacity;
    size_t size;
    size_t at;
    uint64_t position; /* of the buffer's begin */
    int64_t next_offset;
    bool ended; /* there is no telling what is behind damage */
    struct damaged_segment damaged;
    struct beck_error unsought; /* why the reader does not stand where it should; code 0: it does */
    char topic[BECK_TOPIC_NAME_BYTES + 1];
};

/* ---- topics ------------------------------------------------------------------------------- */

static void store_close(struct source *base)
{
    free(base);
}

static void fill_topic(const struct beck_topic *topic, struct source_topic *ret_topic)
{
    *ret_topic = (struct source_topic){.has_id = true, .partition_count = topic->partition_count};
    memcpy(ret_topic->name, topic->name, sizeof(ret_topic->name));
    memcpy(ret_topic->id, topic->id, sizeof(ret_topic->id));
}

static int store_topic_next(struct source *base, const char *after, struct source_topic *ret_topic,
                            struct beck_error *error)
{
    const struct store_source *source = (const struct store_source *)base;
    struct beck_topic topic;

    int result = beck_topic_next(source->store, after, &topic, error);
    if (result > 0)
        fill_topic(&topic, ret_topic);
    return result;
}

static int store_topic_find(struct source *base, const char *name, struct source_topic *ret_topic,
                            struct beck_error *error)
{
    const struct store_source *source = (const struct store_source *)base;
    struct beck_topic topic;

    int result = beck_topic_find(source->store, name, &topic, error);
    if (result == 0)
        fill_topic(&topic, ret_topic);
    return result;
}

static int32_t store_partition_next(struct source *base, const struct source_topic *topic,
                                    int32_t after)
{
    (void)base;
    return (uint32_t)(after + 1) < topic->partition_count ? after + 1 : -1;
}

/* ---- a partition -------------------------------------------------------------------------- */

static void store_partition_close(struct source_partition *base)
{
    struct store_partition *partition = (struct store_partition *)base;

    (void)beck_reader_free(partition->reader);
    (void)beck_partition_close(partition->partition);
    damaged_segment_done(&partition->damaged);
    free(partition->buffer);
    free(partition);
}

static int store_bounds(struct source_partition *base, struct source_bounds *ret_bounds,
                        struct beck_error *error)
{
    const struct store_partition *partition = (const struct store_partition *)base;
    struct beck_partition_state state;

    int result = beck_partition_state(partition->partition, &state, error);
    if (result == 0)
        *ret_bounds = (struct source_bounds){.start = state.log_start_offset,
                                             .stable = state.last_stable_offset,
                                             .end = state.high_watermark,
                                             .promised = state.log_start_offset};
    return result;
}

static int store_seek(struct source_partition *base, int64_t offset, struct beck_error *error)
{
    struct store_partition *partition = (struct store_partition *)base;

    partition->size = partition->at = 0;
    partition->next_offset = offset;
    partition->ended = false;
    damaged_segment_done(&partition->damaged);
    int result = beck_reader_seek(partition->reader, offset, error);
    /* Who goes through batches can go on behind it, and is told by the first one. */
    partition->unsought = (struct beck_error){0};
    if (result == -EBADMSG)
        partition->unsought = *error;
    return result == -EBADMSG ? 0 : result;
}

static int store_partition_open(struct source *base, const struct source_topic *topic,
                                int32_t number, enum beck_isolation isolation,
                                struct source_partition **ret_partition, struct beck_error *error)
{
    const struct store_source *source = (const struct store_source *)base;
    struct source_bounds bounds = {0};

    struct store_partition *partition = calloc(1, sizeof(*partition));
    if (partition == NULL)
        return report(error, -ENOMEM, "not enough memory");
    partition->base = (struct source_partition){base->ops, base, isolation, number};
    memcpy(partition->topic, topic->name, sizeof(partition->topic));
    int result =
        beck_partition_open(source->store, topic->name, number, &partition->partition, error);
    if (result == 0)
        result = beck_reader_new(partition->partition, isolation, &partition->reader, error);
    if (result == 0)
        result = store_bounds(&partition->base, &bounds, error);
    if (result < 0) {
        store_partition_close(&partition->base);
        return result;
    }
    partition->next_offset = bounds.start;
    *ret_partition = &partition->base;
    return 0;
}

static int store_offset_for_time(struct source_partition *base, int64_t timestamp_ms,
                                 int64_t *ret_offset, struct beck_error *error)
{
    const struct store_partition *partition = (const struct store_partition *)base;
    int64_t timestamp;

    return beck_offset_for_time(partition->partition, timestamp_ms, base->isolation, ret_offset,
                                &timestamp, error);
}

static int store_next(struct source_partition *base, struct beck_record *ret_record,
                      struct beck_error *error)
{
    struct store_partition *partition = (struct store_partition *)base;

    if (partition->unsought.code < 0) {
        *error = partition->unsought;
        return error->code;
    }
    return beck_reader_next(partition->reader, ret_record, error);
}

/* ---- batches ------------------------------------------------------------------------------ */

static int fill_buffer(struct store_partition *partition, const struct beck_range *range,
                       struct beck_error *error)
{
    if (range->size > partition->capacity) {
        uint8_t *larger = realloc(partition->buffer, range->size);
        if (larger == NULL)
            return report(error, -ENOMEM, "not enough memory for %zu bytes", range->size);
        partition->buffer = larger;
        partition->capacity = range->size;
    }
    for (size_t done = 0; done < range->size;) {
        ssize_t got = pread(range->fd, partition->buffer + done, range->size - done,
                            (off_t)(range->position + done));
        if (got == 0 || (got < 0 && errno != EINTR))
            return report_errno(error, got == 0 ? -ENODATA : -errno, "cannot read a segment");
        if (got > 0)
            done += (size_t)got;
    }
    partition->size = range->size;
    partition->at = 0;
    partition->position = range->position;
    partition->next_offset = range->next_offset;
    return 0;
}

/* Go on behind damage, which `error` tells: in its segment where that has something, else with the
 * next. Returns -EBADMSG; else what the disk said, and stays where it is. */
static int go_behind(struct store_partition *partition, int64_t offset,
                     struct source_damage *ret_damage, struct beck_error *error)
{
    const struct store_source *source = (const struct store_source *)partition->base.source;
    struct beck_error why;
    uint64_t skipped = 0;
    int64_t byte = error->byte;

    int result = damaged_segment_begin(&partition->damaged, source->store, partition->partition,
                                       offset, byte, &skipped, &why);
    if (result < 0 && result != -EBADMSG) {
        *error = why;
        return result;
    }
    *ret_damage =
        (struct source_damage){.offset = offset, .position = byte, .skipped = (size_t)skipped};
    partition->next_offset = partition->damaged.end_offset;
    partition->ended = result < 0 || partition->next_offset <= offset;
    return -EBADMSG;
}

static int next_behind(struct store_partition *partition, struct source_batch *ret_batch,
                       struct source_damage *ret_damage, struct beck_error *error)
{
    struct segment_step step;

    int result = damaged_segment_next(&partition->damaged, &step, error);
    if (result == 1)
        *ret_batch = (struct source_batch){
            .header = step.summary.header, .bytes = step.batch, .position = step.position};
    if (result == -EBADMSG)
        *ret_damage = (struct source_damage){
            .offset = error->offset, .position = (int64_t)step.position, .skipped = step.size};
    if (result < 0)
        report_place(error, partition->topic, partition->base.number, error->offset,
                     (int64_t)step.position);
    return result;
}

/* Have the next range in the buffer: 1; 0: the end. */
static int next_range(struct store_partition *partition, struct source_damage *ret_damage,
                      struct beck_error *error)
{
    struct beck_range range;
    int64_t offset = partition->next_offset;

    int result = beck_read_range(partition->partition, offset, RANGE_BYTES, BECK_READ_UNCOMMITTED,
                                 &range, error);
    if (result == -EBADMSG)
        result = go_behind(partition, offset, ret_damage, error);
    if (result < 0)
        return result;
    if (range.size > 0)
        result = fill_buffer(partition, &range, error);
    int got = range.size > 0;
    beck_range_release(&range);
    return result < 0 ? result : got;
}

static int store_next_batch(struct source_partition *base, struct source_batch *ret_batch,
                            struct source_damage *ret_damage, struct beck_error *error)
{
    struct store_partition *partition = (struct store_partition *)base;

    if (partition->at == partition->size && partition->damaged.file != NULL) {
        int result = next_behind(partition, ret_batch, ret_damage, error);
        if (result != 0)
            return result;
    }
    if (partition->at == partition->size) {
        int result = partition->ended ? 0 : next_range(partition, ret_damage, error);
        if (result <= 0)
            return result;
    }
    size_t rest = partition->size - partition->at;
    struct source_batch batch = {.bytes = partition->buffer + partition->at,
                                 .position = partition->position + partition->at};
    int result = batch_header_read(batch.bytes, rest, &batch.header, error);
    if (result < 0 || batch_bytes(&batch.header) > rest)
        return report(error, -EIO, "byte %llu: the range does not end with a batch",
                      (unsigned long long)batch.position);
    partition->at += batch_bytes(&batch.header);
    *ret_batch = batch;
    return 1;
}

/* ---- waiting ------------------------------------------------------------------------------ */

static int store_wake_fd(struct source *base, struct beck_error *error)
{
    return beck_store_wake_fd(((struct store_source *)base)->store, error);
}

static void store_wake_clear(struct source *base)
{
    beck_store_wake_clear(((struct store_source *)base)->store);
}

static void store_arm(struct source_partition *base)
{
    beck_partition_arm(((struct store_partition *)base)->partition);
}

static const struct source_ops store_ops = {
    .close = store_close,
    .topic_next = store_topic_next,
    .topic_find = store_topic_find,
    .partition_next = store_partition_next,
    .partition_open = store_partition_open,
    .partition_close = store_partition_close,
    .bounds = store_bounds,
    .offset_for_time = store_offset_for_time,
    .seek = store_seek,
    .next = store_next,
    .next_batch = store_next_batch,
    .wake_fd = store_wake_fd,
    .wake_clear = store_wake_clear,
    .arm = store_arm,
};

int source_of_store(struct beck_store *store, struct source **ret_source)
{
    struct store_source *source = calloc(1, sizeof(*source));
    if (source == NULL)
        return -ENOMEM;
    source->base = (struct source){.ops = &store_ops, .grows = true};
    source->store = store;
    *ret_source = &source->base;
    return 0;
}
