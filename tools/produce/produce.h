/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `beck produce` was asked for: shared by the command line's side (produce.c) and by the one
 * that reads standard input (produce_lines.c).
 */
#ifndef TOOLS_PRODUCE_H
#define TOOLS_PRODUCE_H

#include "headers.h"
#include "sender.h"

#include <stdbool.h>

struct produce {
    const char *topic;
    char **values; /* arguments */
    int value_count;
    char **files; /* each is one record */
    int file_count;
    const char *key;           /* of all records; NULL: none */
    const char *key_separator; /* in each line, between key and value; NULL: lines have no keys */
    int32_t partition;         /* -1: by key, or round-robin */
    int64_t timestamp_ms;      /* 0: now */
    bool null_value;
    bool json;
    struct headers headers;
    struct sender_options options;
};

/* A record with the key, headers and timestamp that the command line gives to all. */
struct beck_record produce_record(const struct produce *produce, const void *value, size_t size);

/* Send standard input, a line a record, and print the summary. Returns the exit code. */
int produce_lines(const struct produce *produce, struct sender *sender);

#endif
