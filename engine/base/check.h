/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions that stay on in every build. They are for our own state, never for what came from a
 * disk, a wire or a user: that is checked and answered with an error.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stddef.h>

/* Say what did not hold and abort. */
__attribute__((noreturn, cold)) void check_failed(const char *expression, const char *file,
                                                  int line, const char *function);

#define CHECK(expression)                                                                          \
    (__builtin_expect(!!(expression), 1)                                                           \
         ? (void)0                                                                                 \
         : check_failed(#expression, __FILE__, __LINE__, __func__))

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

#endif
