/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which records a command is asked for: by key and headers, each exactly or by a regular expression
 * (POSIX extended), and from where to where. All conditions have to hold. Keys and values are byte
 * strings: an expression sees bytes behind a NUL too.
 */
#ifndef TOOLS_FILTER_H
#define TOOLS_FILTER_H

#include "beck.h"
#include "tool.h"

#include <regex.h>
#include <stdbool.h>

enum { FILTER_HEADERS_MAX = 16 };

struct filter_match {
    const char *exact; /* NULL: by the expression */
    bool has_regex;
    struct re_pattern_buffer regex;
};

struct filter_header {
    const char *name;
    size_t name_size;
    bool any_value;
    struct filter_match value;
};

struct filter {
    bool has_key;
    struct filter_match key;
    struct filter_header headers[FILTER_HEADERS_MAX];
    unsigned header_count;
};

void filter_done(struct filter *filter);

static inline bool filter_is_empty(const struct filter *filter)
{
    return !filter->has_key && filter->header_count == 0;
}

/* Options of commands that take conditions: to be put before TOOL_LONG_OPTIONS. */
enum filter_option {
    FILTER_OPTION_KEY = 1100,
    FILTER_OPTION_KEY_REGEX,
    FILTER_OPTION_HEADER,
    FILTER_OPTION_HEADER_REGEX,
};

/* clang-format off */
#define FILTER_LONG_OPTIONS                                                                        \
    {"key", required_argument, NULL, FILTER_OPTION_KEY},                                           \
    {"key-regex", required_argument, NULL, FILTER_OPTION_KEY_REGEX},                               \
    {"header", required_argument, NULL, FILTER_OPTION_HEADER},                                     \
    {"header-regex", required_argument, NULL, FILTER_OPTION_HEADER_REGEX}
/* clang-format on */

/* Take one of them, with its value in `optarg`, which has to outlive the filter. Returns -1 to go
 * on, else the exit code. */
int filter_take_option(const struct tool *tool, struct filter *filter, int option);

/* Does the record pass? */
bool filter_passes(struct filter *filter, const struct beck_record *record);

/* A place in a partition: an offset, or the first record at a time. */
struct filter_place {
    enum { FILTER_NOWHERE, FILTER_OFFSET, FILTER_TIME } by;
    int64_t number;
};

/* N: an offset. @TIME, or a date: a time as parse_time_ms() has it. */
bool filter_parse_place(const char *text, struct filter_place *ret_place);

#endif
