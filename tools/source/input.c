/* SPDX-License-Identifier: Apache-2.0 */
/* Opening what is read. */
#include "input.h"

#include "cluster_source.h"

#include <errno.h>

int input_open(const struct tool *tool, const char *log_dir, struct input *ret_input)
{
    struct input input = {0};
    struct beck_error error;

    if (log_dir != NULL) {
        if (source_open_log_dir(log_dir, &input.source, &error) < 0)
            return tool_failed_error(&error);
        *ret_input = input;
        return TOOL_OK;
    }
    if (tool->brokers != NULL) {
        if (source_of_cluster(tool, &input.source, &error) < 0)
            return tool_failed_error(&error);
        *ret_input = input;
        return TOOL_OK;
    }
    int code = tool_open(tool, TOOL_READ, &input.store);
    if (code != TOOL_OK)
        return code;
    if (source_of_store(input.store, &input.source) < 0) {
        input_done(&input);
        return tool_failed("not enough memory");
    }
    *ret_input = input;
    return TOOL_OK;
}

int input_open_files(char *const *paths, int count, struct input *ret_input)
{
    struct beck_error error;

    *ret_input = (struct input){0};
    if (source_open_files(paths, (size_t)count, &ret_input->source, &error) < 0)
        return tool_failed_error(&error);
    return TOOL_OK;
}

void input_done(struct input *input)
{
    input->source = source_close(input->source);
    input->store = beck_store_close(input->store);
}

int input_find_topic(const struct input *input, const char *name, struct source_topic *ret_topic)
{
    struct beck_topic topic;
    struct beck_error error;

    if (input->store != NULL) { /* which knows more to say */
        int code = tool_find_topic(input->store, name, &topic);
        if (code != TOOL_OK)
            return code;
    }
    int result = source_topic_find(input->source, name, ret_topic, &error);
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

int input_open_partition(const struct input *input, const struct source_topic *topic,
                         int32_t number, enum beck_isolation isolation,
                         struct source_partition **ret_partition)
{
    struct beck_error error;

    if (input->store != NULL && (number < 0 || (uint32_t)number >= topic->partition_count))
        return tool_failed("topic %s has no partition %d: it has 0 to %u", topic->name, (int)number,
                           topic->partition_count - 1);
    if (source_partition_open(input->source, topic, number, isolation, ret_partition, &error) < 0)
        return tool_failed_error(&error);
    return TOOL_OK;
}
