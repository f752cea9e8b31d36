/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck consume --group, of a store that no beckd serves: there are no members then, so it reads all
 * partitions from where the group is, and commits what was written out, each second and at the end.
 * It ends where a beckd comes to serve the store meanwhile, as the group's members are that one's.
 */
#include "consume.h"

#include "parse.h"
#include "signals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { COMMIT_MS = 1000 };

struct reader {
    struct consume *consume;
    struct beck_store *store;
    struct merge *merge;
    uint32_t count;
    int64_t *next;  /* one a partition: where the group is; -1: not known */
    bool *is_dirty; /* one a partition: not committed */
    int64_t committed_ms;
};

static int64_t offset_of(void *context, int32_t partition)
{
    const struct reader *reader = context;

    if (reader->next[partition] >= 0)
        return reader->next[partition];
    return reader->consume->start.from == MERGE_END ? -2 : -1;
}

/* Where the group is in each partition. */
static int find_offsets(struct reader *reader)
{
    const char *group = reader->consume->group;
    struct beck_offset *offset = calloc(1, sizeof(*offset));
    struct beck_error error;
    int code = TOOL_OK;

    if (offset == NULL)
        return tool_failed("not enough memory");
    for (uint32_t i = 0; code == TOOL_OK && i < reader->count; i++) {
        int result = beck_offset_fetch(reader->store, group, strlen(group), reader->consume->topic,
                                       (int32_t)i, offset, &error);
        if (result < 0)
            code = tool_failed_error(&error);
        reader->next[i] = result == 1 ? offset->offset : -1;
    }
    free(offset);
    return code;
}

static int commit_to_store(struct reader *reader, struct beck_offset_commit *commits)
{
    struct beck_store_info info;
    struct beck_error error;
    size_t count = 0;

    for (uint32_t i = 0; i < reader->count; i++) {
        if (!reader->is_dirty[i])
            continue;
        commits[count++] = (struct beck_offset_commit){
            .group = reader->consume->group,
            .group_size = strlen(reader->consume->group),
            .topic = reader->consume->topic,
            .partition = (int32_t)i,
            .offset = reader->next[i],
            .leader_epoch = -1,
            .expire_ms = -1,
        };
        reader->is_dirty[i] = false;
    }
    if (count == 0)
        return TOOL_OK;
    if (beck_store_info(reader->store, &info, &error) < 0)
        return tool_failed_error(&error);
    if (info.broker_pid != 0)
        return tool_failed("a beckd, process %d, has come to serve the store: start again to be a "
                           "member at it",
                           (int)info.broker_pid);
    int result = beck_offsets_commit(reader->store, commits, count, &error);
    return result < 0 || (size_t)result < count ? tool_failed_error(&error) : TOOL_OK;
}

/* Write out what was printed, and commit behind it. */
static int commit(struct reader *reader)
{
    output_flush(&reader->consume->output);
    reader->committed_ms = parse_now_ms();
    if (output_failed(&reader->consume->output))
        return TOOL_OK; /* which output_finish() says */
    struct beck_offset_commit *commits = calloc(reader->count, sizeof(*commits));
    if (commits == NULL)
        return tool_failed("not enough memory");
    int code = commit_to_store(reader, commits);
    free(commits);
    return code;
}

/* Print one record: 1; 0: it was left out; a negative exit code. */
static int print_next(struct reader *reader, const struct beck_record *record, int32_t partition)
{
    int result = consume_print(reader->consume, record, partition);

    if (result < 0)
        return -tool_failed("partition %d offset %lld: %s", (int)partition,
                            (long long)record->offset, strerror(-result));
    reader->next[partition] = record->offset + 1;
    reader->is_dirty[partition] = true;
    return result;
}

static int read_records(struct reader *reader)
{
    struct consume *consume = reader->consume;
    struct beck_record record;
    int32_t partition;
    int64_t done = 0;
    int code = TOOL_OK;

    while (code == TOOL_OK && done < consume->count && !signals_caught() &&
           !output_failed(&consume->output)) {
        int result = merge_next(reader->merge, &record, &partition);
        if (result == 0 && !consume->follow)
            break;
        if (result == 0) {
            code = commit(reader);
            result = code == TOOL_OK ? merge_wait(reader->merge) : 0;
        } else if (result > 0) {
            result = print_next(reader, &record, partition);
            done += result > 0;
        }
        if (result < 0)
            code = -result;
        if (code == TOOL_OK && parse_now_ms() - reader->committed_ms >= COMMIT_MS)
            code = commit(reader);
    }
    int committed = commit(reader);
    return code != TOOL_OK ? code : committed;
}

static int read_topic(struct reader *reader, const struct input *input,
                      const struct source_topic *topic)
{
    const struct merge_start start = {
        .from = MERGE_CALLER, .offset_of = offset_of, .context = reader};
    struct consume *consume = reader->consume;

    reader->next = calloc(reader->count, sizeof(*reader->next));
    reader->is_dirty = calloc(reader->count, sizeof(*reader->is_dirty));
    if (reader->next == NULL || reader->is_dirty == NULL)
        return tool_failed("not enough memory");
    int code = find_offsets(reader);
    if (code == TOOL_OK)
        code = merge_new(input, topic, -1, consume->isolation, &reader->merge);
    if (code == TOOL_OK)
        code = merge_seek(reader->merge, &start, consume->follow ? NULL : &consume->end);
    return code == TOOL_OK ? read_records(reader) : code;
}

int consume_alone(struct consume *consume, const struct input *input)
{
    struct reader reader = {
        .consume = consume, .store = input->store, .committed_ms = parse_now_ms()};
    struct source_topic topic;

    int code = input_find_topic(input, consume->topic, &topic);
    if (code != TOOL_OK)
        return code;
    reader.count = topic.partition_count;
    consume->several = topic.partition_count > 1;
    code = read_topic(&reader, input, &topic);
    (void)merge_free(reader.merge);
    free(reader.next);
    free(reader.is_dirty);
    return output_finish(&consume->output, code);
}
