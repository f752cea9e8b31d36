/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and times of the command line. */
#include "parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool parse_number(const char *text, int64_t lowest, int64_t highest, int64_t *ret_number)
{
    char *end = NULL;

    if (text[0] != '-' && (text[0] < '0' || text[0] > '9'))
        return false;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < lowest || number > highest)
        return false;
    *ret_number = number;
    return true;
}

int64_t parse_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* "-90s": so long before now. */
static bool parse_ago(const char *text, int64_t *ret_ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    char *end = NULL;

    errno = 0;
    long long amount = strtoll(text + 1, &end, 10);
    if (errno != 0 || end == text + 1 || amount < 0 || amount > 1000000000 || strlen(end) != 1)
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (units[i].unit == *end) {
            *ret_ms = parse_now_ms() - amount * units[i].ms;
            return true;
        }
    }
    return false;
}

static bool parse_date(const char *text, int64_t *ret_ms)
{
    static const char *const formats[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
                                          "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"};

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        struct tm fields = {.tm_isdst = -1};
        const char *rest = strptime(text, formats[i], &fields);
        if (rest == NULL || (*rest != '\0' && strcmp(rest, "Z") != 0))
            continue;
        time_t seconds = *rest == 'Z' ? timegm(&fields) : mktime(&fields);
        *ret_ms = (int64_t)seconds * 1000;
        return true;
    }
    return false;
}

bool parse_time_ms(const char *text, int64_t *ret_ms)
{
    if (text[0] == '-')
        return parse_ago(text, ret_ms);
    return parse_number(text, 0, INT64_MAX, ret_ms) || parse_date(text, ret_ms);
}
