/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens when an assertion does not hold: one line on stderr, then abort(), so that the core
 * shows the state that should not have been. Uses no memory and no stdio locks, which may be what
 * is broken. The only place where the library prints.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void check_failed(const char *expression, const char *file, int line, const char *function)
{
    dprintf(STDERR_FILENO, "%s:%d: %s: CHECK(%s) does not hold\n", file, line, function,
            expression);
    abort();
}
