/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source that a reading command was told to read: the store; with -b a broker or cluster; with
 * --log-dir the log directory of a Kafka broker; or segment files. Says what fails, and returns
 * exit codes.
 */
#ifndef TOOLS_INPUT_H
#define TOOLS_INPUT_H

#include "source.h"
#include "tool.h"

struct input {
    struct beck_store *store; /* NULL: it is no store */
    struct source *source;
};

/* Open what was named; `log_dir` NULL: the store, or the cluster. */
int input_open(const struct tool *tool, const char *log_dir, struct input *ret_input);
int input_open_files(char *const *paths, int count, struct input *ret_input);
void input_done(struct input *input);

/* Look up a topic. */
int input_find_topic(const struct input *input, const char *name, struct source_topic *ret_topic);

/* Open one partition; says which ones there are where there is no such. */
int input_open_partition(const struct input *input, const struct source_topic *topic,
                         int32_t number, enum beck_isolation isolation,
                         struct source_partition **ret_partition);

#endif
