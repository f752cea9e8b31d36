/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines on stderr; see log.h. A line longer than the buffer is cut: nothing here allocates.
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"

#define LINE_BYTES 1024

__attribute__((format(printf, 2, 0))) static void write_line(unsigned left_out, const char *format,
                                                             va_list arguments)
{
    char line[LINE_BYTES];
    int used = snprintf(line, sizeof(line), "beckd: ");
    if (left_out > 0)
        used +=
            snprintf(line + used, sizeof(line) - (size_t)used, "(%u lines left out) ", left_out);
    int more = vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format, arguments);
    if (more < 0)
        return;
    size_t size = (size_t)used + (size_t)more;
    if (size > sizeof(line) - 2)
        size = sizeof(line) - 2;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)line[i] < ' ')
            line[i] = '?'; /* a peer's text must not end a line or move a terminal's cursor */
    line[size++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, size);
    (void)written; /* there is nowhere to report it */
}

void log_line(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(0, format, arguments);
    va_end(arguments);
}

void log_limited(struct log_limit *limit, const char *format, ...)
{
    int64_t now_ms = clock_ms();
    if (limit->lines == 0 || now_ms - limit->window_ms >= LOG_LIMIT_WINDOW_MS) {
        limit->window_ms = now_ms;
        limit->lines = 0;
    }
    if (limit->lines >= LOG_LIMIT_LINES) {
        limit->left_out++;
        return;
    }
    limit->lines++;
    va_list arguments;
    va_start(arguments, format);
    write_line(limit->left_out, format, arguments);
    va_end(arguments);
    limit->left_out = 0;
}
