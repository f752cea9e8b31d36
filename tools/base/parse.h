/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading what stands on a command line: numbers and times. All of a text must be used up, and be
 * within the bounds, or it is not taken. Says nothing itself: the command knows the option's name.
 */
#ifndef TOOLS_PARSE_H
#define TOOLS_PARSE_H

#include "beck.h"

#include <stdbool.h>
#include <stdint.h>

/* A decimal number from `lowest` to `highest`. */
bool parse_number(const char *text, int64_t lowest, int64_t highest, int64_t *ret_number);

/*
 * A time: milliseconds since the epoch (1763719200123); a date, with or without a time of day
 * (2026-11-21, 2026-11-21T08:00:00.123, local unless Z or +01:00 stands behind it); or so long ago
 * (-90s, -15m, -2h, -7d).
 */
bool parse_time_ms(const char *text, int64_t *ret_ms);

/* "none", "gzip", and so on. */
bool parse_compression(const char *name, enum beck_compression *ret_compression);

/* Milliseconds since the epoch, now. */
int64_t parse_now_ms(void);

#endif
