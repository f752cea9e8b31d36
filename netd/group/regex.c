/* SPDX-License-Identifier: Apache-2.0
 *
 * PCRE2, with limits; see regex.h. Kafka takes RE2's syntax, which is nearly all PCRE's, too.
 */
#include "group/regex.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct regex {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

struct regex *regex_free(struct regex *regex)
{
    if (regex) {
        pcre2_match_context_free(regex->limits);
        pcre2_match_data_free(regex->data);
        pcre2_code_free(regex->code);
        free(regex);
    }
    return NULL;
}

static int compile(struct kafka_string pattern, pcre2_code **ret_code)
{
    const uint32_t options =
        PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C | PCRE2_UTF;
    PCRE2_SIZE offset;
    int error;
    if (pattern.length > REGEX_PATTERN_BYTES)
        return -EINVAL;
    *ret_code = pcre2_compile((PCRE2_SPTR)(pattern.data ? pattern.data : ""), pattern.length,
                              options, &error, &offset, NULL);
    if (*ret_code)
        return 0;
    return error == PCRE2_ERROR_NOMEMORY || error == PCRE2_ERROR_HEAP_FAILED ? -ENOMEM : -EINVAL;
}

int regex_new(struct kafka_string pattern, struct regex **ret_regex)
{
    struct regex *regex = calloc(1, sizeof(*regex));
    int result = regex ? compile(pattern, &regex->code) : -ENOMEM;
    if (result == 0) {
        regex->data = pcre2_match_data_create(1, NULL);
        regex->limits = pcre2_match_context_create(NULL);
        result = regex->data && regex->limits ? 0 : -ENOMEM;
    }
    if (result < 0) {
        regex_free(regex);
        return result;
    }
    (void)pcre2_set_heap_limit(regex->limits, 1024); /* KiB */
    *ret_regex = regex;
    return 0;
}

enum regex_answer regex_try(const struct regex *regex, const char *name, uint32_t steps)
{
    (void)pcre2_set_match_limit(regex->limits, steps);
    (void)pcre2_set_depth_limit(regex->limits, steps);
    int result =
        pcre2_match(regex->code, (PCRE2_SPTR)name, strlen(name), 0, 0, regex->data, regex->limits);
    if (result == PCRE2_ERROR_MATCHLIMIT || result == PCRE2_ERROR_DEPTHLIMIT)
        return REGEX_DEAR;
    return result >= 0 ? REGEX_YES : REGEX_NO;
}
