/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and times of the command line. */
#include "parse.h"

#include "compression.h"

#include <errno.h>
#include <stdio.h>
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

/* Fractions of a second, as far as there are any: ".123456". */
static const char *parse_fraction(const char *text, int64_t *ret_ms)
{
    int64_t unit = 100;

    *ret_ms = 0;
    if (text[0] != '.' || text[1] < '0' || text[1] > '9')
        return text;
    for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10)
        *ret_ms += (*text - '0') * unit;
    return text;
}

/* The zone as RFC 3339 has it, or nothing for local time. */
static bool parse_zone(const char *text, bool *ret_local, int64_t *ret_seconds)
{
    int hours;
    int minutes;
    int used = 0;

    *ret_local = *text == '\0';
    *ret_seconds = 0;
    if (*ret_local || strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    if ((text[0] != '+' && text[0] != '-') || strspn(text + 1, "0123456789:") != 5 ||
        sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || text[1 + used] != '\0' ||
        hours > 23 || minutes > 59)
        return false;
    *ret_seconds = (hours * 60 + minutes) * 60 * (text[0] == '-' ? -1 : 1);
    return true;
}

static bool parse_date(const char *text, int64_t *ret_ms)
{
    static const char *const formats[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
                                          "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"};

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        struct tm fields = {.tm_isdst = -1};
        int64_t ms;
        int64_t zone_seconds;
        bool local;
        const char *rest = strptime(text, formats[i], &fields);
        if (rest == NULL || !parse_zone(parse_fraction(rest, &ms), &local, &zone_seconds))
            continue;
        time_t seconds = local ? mktime(&fields) : timegm(&fields);
        *ret_ms = ((int64_t)seconds - zone_seconds) * 1000 + ms;
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

bool parse_compression(const char *name, enum beck_compression *ret_compression)
{
    for (int codec = BECK_COMPRESSION_NONE; codec <= BECK_COMPRESSION_ZSTD; codec++) {
        if (strcmp(codec_name(codec), name) == 0) {
            *ret_compression = (enum beck_compression)codec;
            return true;
        }
    }
    return false;
}
