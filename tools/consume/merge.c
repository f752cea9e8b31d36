/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The merge: a heap of the partitions that have a record at hand, ordered by that record's
 * timestamp, then its offset. A partition's record was read ahead into its source's buffer and
 * stays there until it was handed out and the next call comes; only then is the partition read on.
 * Partitions that have come to their end stand behind the heap in the same array: done for ever,
 * or, where it follows, until they are looked at again.
 *
 * Waiting: arm every partition, look at those at their end once more, and only then poll the
 * source's descriptor; so nothing is missed. Where there is no descriptor to be had, it looks each
 * 10 ms.
 */
#include "merge.h"

#include "signals.h"
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum {
    POLL_MS = 10, /* where there is no wake descriptor */
    REARM_NSEC = 1000000,
    LOOK_AGAIN = 4096, /* records of busy partitions between looks at idle ones */
};

struct lane {
    struct source_partition *partition;
    struct beck_record record;
    int64_t start; /* where it begins */
    int64_t next;  /* nothing comes below that */
    int64_t end;   /* hand out nothing from here on */
    bool is_moved; /* it has to be put to its start */
    /* Where it was asked for the last ones: */
    int64_t first;    /* of the partition */
    uint64_t counted; /* records from the start up to the end */
    int32_t number;
};

struct merge {
    const struct input *input;
    bool follow;
    bool handed_out; /* the top's record was given to the caller: read on before anything else */
    uint32_t count;
    uint32_t ready; /* lanes[0..ready) are the heap */
    uint32_t until_look;
    struct timespec last_wait;
    struct lane lanes[];
};

/* The partition's numbers: one, or all that there are. */
static int32_t next_number(const struct merge *merge, const struct source_topic *topic,
                           int32_t wanted, int32_t last)
{
    return wanted >= 0 ? wanted : source_partition_next(merge->input->source, topic, last);
}

int merge_new(const struct input *input, const struct source_topic *topic, int32_t number,
              enum beck_isolation isolation, struct merge **ret_merge)
{
    uint32_t count = number < 0 ? topic->partition_count : 1;
    struct merge *merge = calloc(1, sizeof(*merge) + count * sizeof(struct lane));
    if (merge == NULL)
        return tool_failed("not enough memory for %u partitions", count);
    merge->input = input;
    merge->count = count;
    int32_t at = -1;
    for (uint32_t i = 0; i < count; i++) {
        at = next_number(merge, topic, number, at);
        merge->lanes[i].number = at;
        int code = input_open_partition(input, topic, at, isolation, &merge->lanes[i].partition);
        if (code != TOOL_OK) {
            (void)merge_free(merge);
            return code;
        }
    }
    *ret_merge = merge;
    return TOOL_OK;
}

struct merge *merge_free(struct merge *merge)
{
    if (merge == NULL)
        return NULL;
    for (uint32_t i = 0; i < merge->count; i++) {
        (void)source_partition_close(merge->lanes[i].partition);
    }
    free(merge);
    return NULL;
}

/* ---- the last records --------------------------------------------------------------------- */

/* Count the records from where the lane stands up to its end. A negative exit code: said. What is
 * behind the last one is not asked for: a broker would wait for more of it. */
static int64_t count_records(struct lane *lane)
{
    struct beck_record record;
    struct beck_error error;
    int64_t next = lane->start;
    int64_t count = 0;

    while (next < lane->end && !signals_caught()) {
        int result = source_next(lane->partition, &record, &error);
        if (result < 0)
            return -tool_failed_error(&error);
        if (result == 0 || record.offset >= lane->end)
            break;
        next = record.offset + 1;
        count++;
    }
    return count;
}

/* Put all lanes that were moved where they begin. All of them, before any is read, and after all is
 * known that had to be asked: a cluster's are fetched side by side then, and a broker that waits
 * for more of one does not answer about others meanwhile. */
static int seek_all(struct merge *merge)
{
    struct beck_error error;

    for (uint32_t i = 0; i < merge->count; i++) {
        struct lane *lane = &merge->lanes[i];
        lane->next = lane->start;
        if (lane->is_moved && source_seek(lane->partition, lane->start, &error) < 0)
            return tool_failed_error(&error);
    }
    return TOOL_OK;
}

/* Count what each lane has; those with too few are to begin further back. 1: there are such; 0; a
 * negative exit code. */
static int count_all(struct merge *merge, int64_t wanted, int64_t distance)
{
    int more = 0;

    for (uint32_t i = 0; i < merge->count; i++) {
        struct lane *lane = &merge->lanes[i];
        if (!lane->is_moved)
            continue;
        int64_t count = count_records(lane);
        if (count < 0)
            return (int)count;
        lane->counted = (uint64_t)count;
        lane->is_moved = count < wanted && lane->start > lane->first;
        if (lane->is_moved)
            lane->start = lane->end - lane->first > distance ? lane->end - distance : lane->first;
        more |= lane->is_moved;
    }
    return more;
}

/* Of the lanes with too many, read the first ones and leave them. */
static int skip_all(struct merge *merge, int64_t wanted)
{
    struct beck_record record;
    struct beck_error error;

    for (uint32_t i = 0; i < merge->count; i++) {
        struct lane *lane = &merge->lanes[i];
        for (; lane->counted > (uint64_t)wanted; lane->counted--) {
            if (source_next(lane->partition, &record, &error) < 0)
                return tool_failed_error(&error);
        }
    }
    return TOOL_OK;
}

/*
 * Go so many records back from the end of each lane. Offsets may be missing, after compaction say:
 * so count, and go further back where there are too few.
 */
static int seek_last(struct merge *merge, int64_t wanted)
{
    int64_t distance = wanted;
    int more = 1;

    for (uint32_t i = 0; i < merge->count; i++) {
        struct lane *lane = &merge->lanes[i];
        lane->start = lane->end - lane->first > distance ? lane->end - distance : lane->first;
        lane->counted = 0;
        lane->is_moved = lane->start < lane->end;
    }
    while (more > 0 && !signals_caught()) {
        int code = seek_all(merge);
        if (code != TOOL_OK)
            return code;
        distance = distance > INT64_MAX / 2 ? INT64_MAX : 2 * distance;
        more = count_all(merge, wanted, distance);
        if (more < 0)
            return -more;
    }
    for (uint32_t i = 0; i < merge->count; i++)
        merge->lanes[i].is_moved = true;
    int code = seek_all(merge);
    return code == TOOL_OK ? skip_all(merge, wanted) : code;
}

/* ---- other places ------------------------------------------------------------------------- */

static int check_range(const struct lane *lane, int64_t offset, int64_t first, int64_t end)
{
    if (offset >= first && offset <= end)
        return TOOL_OK;
    return tool_failed("offset %lld is out of range: partition %d has %lld up to %lld",
                       (long long)offset, (int)lane->number, (long long)first, (long long)end);
}

/* What the caller knows of a partition; what is there no more becomes the nearest that is. */
static int64_t callers_offset(const struct lane *lane, const struct merge_start *start,
                              int64_t first, int64_t end)
{
    int64_t offset = start->offset_of(start->context, lane->number);

    if (offset == -2 || offset > end)
        return end;
    return offset < first ? first : offset;
}

static int start_offset(const struct lane *lane, int64_t first, int64_t end,
                        const struct merge_start *start, int64_t *ret_offset)
{
    struct beck_error error;
    int found = 1;

    *ret_offset = first;
    if (start->from == MERGE_END)
        *ret_offset = end;
    if (start->from == MERGE_CALLER)
        *ret_offset = callers_offset(lane, start, first, end);
    if (start->from == MERGE_OFFSET) {
        *ret_offset = start->number;
        return check_range(lane, start->number, first, end);
    }
    if (start->from == MERGE_TIMESTAMP)
        found = source_offset_for_time(lane->partition, start->number, ret_offset, &error);
    if (found == 0)
        *ret_offset = end;
    return found < 0 ? tool_failed_error(&error) : TOOL_OK;
}

/* Where the lane is to end, of what there is now. */
static int end_offset(const struct lane *lane, int64_t now, const struct merge_end *end,
                      int64_t *ret_offset)
{
    struct beck_error error;
    int64_t offset = now;
    int found = 1;

    if (end->to == MERGE_TO_OFFSET)
        offset = end->number;
    if (end->to == MERGE_TO_TIMESTAMP)
        found = source_offset_for_time(lane->partition, end->number, &offset, &error);
    if (found < 0)
        return tool_failed_error(&error);
    *ret_offset = found > 0 && offset < now ? offset : now;
    return TOOL_OK;
}

/* Find out where a lane is to begin and to end. */
static int place_lane(struct lane *lane, const struct merge_start *start,
                      const struct merge_end *end)
{
    const struct merge_end all = {.to = MERGE_TO_END};
    struct source_bounds bounds;
    struct beck_error error;

    if (source_bounds(lane->partition, &bounds, &error) < 0)
        return tool_failed_error(&error);
    int64_t now = source_bounds_end(lane->partition, &bounds);
    lane->first = bounds.start;
    int code = end_offset(lane, now, end ? end : &all, &lane->end);
    if (code != TOOL_OK || start->from == MERGE_LAST)
        return code;
    code = start_offset(lane, bounds.start, now, start, &lane->start);
    lane->is_moved = end == NULL || lane->start < lane->end;
    return code;
}

uint64_t merge_counted(const struct merge *merge)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < merge->count; i++)
        count += merge->lanes[i].counted;
    return count;
}

/* ---- the heap ----------------------------------------------------------------------------- */

static bool before(const struct lane *a, const struct lane *b)
{
    if (a->record.timestamp_ms != b->record.timestamp_ms)
        return a->record.timestamp_ms < b->record.timestamp_ms;
    if (a->record.offset != b->record.offset)
        return a->record.offset < b->record.offset;
    return a->number < b->number;
}

static void swap_lanes(struct merge *merge, uint32_t a, uint32_t b)
{
    struct lane kept = merge->lanes[a];

    merge->lanes[a] = merge->lanes[b];
    merge->lanes[b] = kept;
}

static void sift_down(struct merge *merge, uint32_t at)
{
    for (;;) {
        uint32_t first = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2; child++) {
            if (child < merge->ready && before(&merge->lanes[child], &merge->lanes[first]))
                first = child;
        }
        if (first == at)
            return;
        swap_lanes(merge, at, first);
        at = first;
    }
}

static void sift_up(struct merge *merge, uint32_t at)
{
    while (at > 0 && before(&merge->lanes[at], &merge->lanes[(at - 1) / 2])) {
        swap_lanes(merge, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

/* Read a lane's next record. 1; 0: it is at its end; a negative exit code. */
static int advance(const struct merge *merge, struct lane *lane)
{
    struct beck_error error;

    if (lane->next >= lane->end)
        return 0;
    int result = source_next(lane->partition, &lane->record, &error);
    if (result == -ETIMEDOUT && merge->follow)
        return 0;
    if (result < 0)
        return -tool_failed_error(&error);
    if (result == 0)
        return 0;
    lane->next = lane->record.offset + 1;
    return lane->record.offset < lane->end;
}

/* Look at the lanes that are at their end. Returns 0, or a negative exit code. */
static int look_at_idle(struct merge *merge)
{
    merge->until_look = LOOK_AGAIN;
    for (uint32_t i = merge->ready; i < merge->count; i++) {
        int result = advance(merge, &merge->lanes[i]);
        if (result < 0)
            return result;
        if (result == 0)
            continue;
        swap_lanes(merge, i, merge->ready);
        sift_up(merge, merge->ready++);
    }
    return 0;
}

/* Replace the record at the top, which was handed out, by its partition's next one. */
static int replace_top(struct merge *merge)
{
    merge->handed_out = false;
    int result = advance(merge, &merge->lanes[0]);
    if (result < 0)
        return result;
    if (result == 0)
        swap_lanes(merge, 0, --merge->ready);
    sift_down(merge, 0);
    return 0;
}

int merge_seek(struct merge *merge, const struct merge_start *start, const struct merge_end *end)
{
    merge->follow = end == NULL;
    merge->ready = 0;
    merge->handed_out = false;
    for (uint32_t i = 0; i < merge->count; i++) {
        int code = place_lane(&merge->lanes[i], start, end);
        if (code != TOOL_OK)
            return code;
    }
    int code = start->from == MERGE_LAST ? seek_last(merge, start->number) : seek_all(merge);
    for (uint32_t i = 0; merge->follow && i < merge->count; i++)
        merge->lanes[i].end = INT64_MAX;
    return code != TOOL_OK ? code : -look_at_idle(merge);
}

int merge_next(struct merge *merge, struct beck_record *ret_record, int32_t *ret_partition)
{
    int result = 0;

    if (merge->handed_out)
        result = replace_top(merge);
    if (result == 0 && merge->follow && (merge->ready == 0 || merge->until_look-- == 0))
        result = look_at_idle(merge);
    if (result < 0)
        return result;
    if (merge->ready == 0)
        return 0;
    *ret_record = merge->lanes[0].record;
    *ret_partition = merge->lanes[0].number;
    merge->handed_out = true;
    return 1;
}

/* ---- waiting ------------------------------------------------------------------------------ */

/* Under load, rings come by the thousand: take them a millisecond at a time. */
static void pace(struct merge *merge)
{
    struct timespec now;
    struct timespec rest = {.tv_nsec = REARM_NSEC};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec == merge->last_wait.tv_sec &&
        now.tv_nsec - merge->last_wait.tv_nsec < REARM_NSEC)
        (void)nanosleep(&rest, NULL);
    (void)clock_gettime(CLOCK_MONOTONIC, &merge->last_wait);
}

int merge_wait(struct merge *merge)
{
    struct beck_error error;

    pace(merge);
    int fd = source_wake_fd(merge->input->source, &error);
    for (uint32_t i = 0; fd >= 0 && i < merge->count; i++)
        source_arm(merge->lanes[i].partition);
    int result = look_at_idle(merge);
    if (result < 0 || merge->ready > 0)
        return result;
    (void)signals_poll(fd, POLLIN, fd >= 0 ? -1 : POLL_MS);
    if (fd >= 0)
        source_wake_clear(merge->input->source);
    return 0;
}
