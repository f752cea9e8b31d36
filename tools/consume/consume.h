/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `beck consume` was asked for: shared by the command line's side (consume.c), by what prints
 * records (consume_print.c) and by those that read for a group: as one of its members
 * (consume_member.c), or alone (consume_alone.c).
 */
#ifndef TOOLS_CONSUME_H
#define TOOLS_CONSUME_H

#include "filter.h"
#include "merge.h"
#include "output.h"

#include <stdbool.h>

enum field {
    FIELD_PARTITION,
    FIELD_OFFSET,
    FIELD_TIMESTAMP,
    FIELD_KEY,
    FIELD_HEADERS,
    FIELD_VALUE
};

enum { FIELDS_MAX = 12 };

struct consume {
    const char *topic;
    const char *log_dir; /* NULL: the store */
    int32_t partition;   /* -1: all */
    const char *group;   /* NULL: none */
    struct merge_start start;
    struct merge_end end;
    int64_t last; /* only so many of all partitions; -1: all */
    int64_t count;
    struct filter filter;
    bool follow;
    bool json;
    bool newline;
    enum beck_isolation isolation;
    const char *null_text;
    size_t null_size;
    enum field fields[FIELDS_MAX];
    unsigned field_count;
    bool value_only; /* the common case */
    bool several;    /* partitions: JSON names topic and partition */
    struct output output;
};

/* Print a record, where it passes the filter. 1: it was printed; 0: it was not; -EBADMSG, -ENOMEM.
 */
int consume_print(struct consume *consume, const struct beck_record *record, int32_t partition);

/*
 * Be a member of the group, until everything was read that there is, or so many records were, or,
 * where it follows, until a signal comes. Offsets are committed behind what was written out.
 */
int consume_as_member(const struct tool *tool, struct consume *consume);

/* The same for a store that nobody serves: it is the group's only reader. */
int consume_alone(struct consume *consume, const struct input *input);

#endif
