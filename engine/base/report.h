/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling a `struct beck_error`: the text where the failure is found, the place on the way out, by
 * whichever caller knows it. Each function takes a NULL error and does nothing to it. A text that
 * is too long is cut; the message always ends with a NUL.
 */
#ifndef BASE_REPORT_H
#define BASE_REPORT_H

#include "beck.h"

/* Set code and text, and clear the place. Returns `code`, so that a failure is one statement. */
int report(struct beck_error *error, int code, const char *format, ...)
    __attribute__((cold, format(printf, 3, 4)));

/* The same with the text of the errno behind ": ", for a system call that failed. */
int report_errno(struct beck_error *error, int code, const char *format, ...)
    __attribute__((cold, format(printf, 3, 4)));

/*
 * As report(), and remember a byte position that the text has in words of its own: one that counts
 * from the start of what was looked at, a batch say. Who knows where in the file that stands passes
 * the sum to report_place().
 */
int report_at(struct beck_error *error, int code, int64_t byte, const char *format, ...)
    __attribute__((cold, format(printf, 4, 5)));

/* Put "text: " before what stands there. */
void report_prefix(struct beck_error *error, const char *format, ...)
    __attribute__((cold, format(printf, 2, 3)));

/*
 * Say where: lets the message begin with "topic T partition P offset O byte B: ". What is NULL,
 * empty or negative is left out. Topic, partition and offset that the error knows already stay as
 * they are, as who was nearer knew better; a byte replaces the one before. May be called again
 * further out: the message has one place at its beginning, with all that is known.
 */
void report_place(struct beck_error *error, const char *topic, int32_t partition, int64_t offset,
                  int64_t byte);

#endif
