/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions on records. */
#include "filter.h"

#include "parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WRONG_BYTES = 256 }; /* for what is wrong with an expression */

static int add_match(struct filter_match *match, const char *text, bool regex, char *ret_wrong)
{
    if (!regex) {
        match->exact = text;
        return 0;
    }
    (void)re_set_syntax(RE_SYNTAX_POSIX_EXTENDED | RE_NO_SUB);
    const char *wrong = re_compile_pattern(text, strlen(text), &match->regex);
    if (wrong != NULL) {
        (void)snprintf(ret_wrong, WRONG_BYTES, "%s", wrong);
        regfree(&match->regex);
        return -EINVAL;
    }
    match->regex.newline_anchor = 0; /* as regcomp(3) has it */
    match->has_regex = true;
    return 0;
}

/* Add a condition on the key. -EINVAL: not an expression, and `ret_wrong` says why; -EMSGSIZE:
 * there is one already. */
static int take_key(struct filter *filter, const char *text, bool regex, char *ret_wrong)
{
    if (filter->has_key)
        return -EMSGSIZE;
    int result = add_match(&filter->key, text, regex, ret_wrong);
    filter->has_key = result == 0;
    return result;
}

/* The same of a header: NAME=VALUE, or NAME where any value will do. -EMSGSIZE: too many. */
static int take_header(struct filter *filter, const char *text, bool regex, char *ret_wrong)
{
    const char *equals = strchr(text, '=');

    if (filter->header_count == FILTER_HEADERS_MAX)
        return -EMSGSIZE;
    struct filter_header *header = &filter->headers[filter->header_count];
    *header = (struct filter_header){
        .name = text,
        .name_size = equals != NULL ? (size_t)(equals - text) : strlen(text),
        .any_value = equals == NULL,
    };
    int result = header->any_value ? 0 : add_match(&header->value, equals + 1, regex, ret_wrong);
    if (result == 0)
        filter->header_count++;
    return result;
}

int filter_take_option(const struct tool *tool, struct filter *filter, int option)
{
    char wrong[WRONG_BYTES] = "";
    bool regex = option == FILTER_OPTION_KEY_REGEX || option == FILTER_OPTION_HEADER_REGEX;
    int result = option == FILTER_OPTION_KEY || option == FILTER_OPTION_KEY_REGEX
                     ? take_key(filter, optarg, regex, wrong)
                     : take_header(filter, optarg, regex, wrong);

    if (result == -EMSGSIZE)
        return tool_misused(tool, "one key, and at most %d headers", FILTER_HEADERS_MAX);
    if (result < 0)
        return tool_misused(tool, "'%s' is no regular expression: %s", optarg, wrong);
    return -1;
}

void filter_done(struct filter *filter)
{
    if (filter->key.has_regex)
        regfree(&filter->key.regex);
    for (unsigned i = 0; i < filter->header_count; i++) {
        if (filter->headers[i].value.has_regex)
            regfree(&filter->headers[i].value.regex);
    }
    *filter = (struct filter){0};
}

/* Null matches nothing. GNU's functions are told how long a text is; POSIX's end at a NUL. */
static bool matches(struct filter_match *match, const void *data, int32_t size)
{
    if (size < 0)
        return false;
    if (!match->has_regex)
        return strlen(match->exact) == (size_t)size &&
               memcmp(match->exact, data, (size_t)size) == 0;
    return re_search(&match->regex, size > 0 ? data : "", size, 0, size, NULL) >= 0;
}

static bool has_header(struct filter_header *wanted, const struct beck_record *record)
{
    struct beck_header header;
    size_t position = 0;

    while (beck_header_next(record, &position, &header) > 0) {
        if ((size_t)header.name_size == wanted->name_size &&
            memcmp(header.name, wanted->name, wanted->name_size) == 0 &&
            (wanted->any_value || matches(&wanted->value, header.value, header.value_size)))
            return true;
    }
    return false;
}

bool filter_passes(struct filter *filter, const struct beck_record *record)
{
    if (filter->has_key && !matches(&filter->key, record->key, record->key_size))
        return false;
    for (unsigned i = 0; i < filter->header_count; i++) {
        if (!has_header(&filter->headers[i], record))
            return false;
    }
    return true;
}

bool filter_parse_place(const char *text, struct filter_place *ret_place)
{
    struct filter_place place = {.by = FILTER_OFFSET};

    if (!parse_number(text, 0, INT64_MAX, &place.number)) {
        place.by = FILTER_TIME;
        if (!parse_time_ms(text + (text[0] == '@'), &place.number))
            return false;
    }
    *ret_place = place;
    return true;
}
