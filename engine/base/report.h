/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling a `struct beck_error`: the text where the failure is found, the place on the way out, by
 * whichever caller knows it. Each function takes a NULL error and does nothing to it.
 */
#ifndef BASE_REPORT_H
#define BASE_REPORT_H

#include "beck.h"

/* Set code and text, and clear the place. Returns `code`, so that a failure is one statement. */
int report(struct beck_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with the text of the errno behind ": ", for a system call that failed. */
int report_errno(struct beck_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "text: " before what stands there. */
void report_prefix(struct beck_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Say where: prefixes the message with "topic T partition P offset O byte B: ", leaving out what is
 * NULL or negative and what the error knows already.
 */
void report_place(struct beck_error *error, const char *topic, int32_t partition, int64_t offset,
                  int64_t byte);

#endif
