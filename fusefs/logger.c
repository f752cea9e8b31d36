/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of the running program; see logger.h. A message is one write(2), so that lines of
 * several threads do not mix.
 */
#include "logger.h"

#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>
#include <unistd.h>

#define MESSAGE_BYTES_MAX 1024

static bool to_syslog;

void logger_to_syslog(void)
{
    openlog("beckfs", LOG_PID, LOG_DAEMON);
    to_syslog = true;
}

void logger_say(int priority, const char *format, ...)
{
    char message[MESSAGE_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    if (to_syslog) {
        syslog(priority, "%s", message);
        return;
    }
    char line[MESSAGE_BYTES_MAX + 16];
    int bytes = snprintf(line, sizeof(line), "beckfs: %s\n", message);
    if (bytes > 0 && write(STDERR_FILENO, line, (size_t)bytes) < 0)
        return; /* nobody is there to tell */
}
