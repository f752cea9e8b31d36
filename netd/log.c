/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines on stderr; see log.h. A line longer than the buffer is cut: nothing here allocates. How
 * lines look is the process's, as stderr is: the one thing that is no broker's.
 */
#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define MESSAGE_BYTES 2048
/* Each byte of a message may take six in JSON. */
#define LINE_BYTES (6 * MESSAGE_BYTES + 512)

static enum log_format line_format; /* these two are written before there are threads */
static bool to_journal;

/* One line on its way. */
struct line {
    enum log_level level;
    unsigned left_out;
    const char *version; /* these two may be NULL */
    const char *peer;
    char message[MESSAGE_BYTES];
};

/* Is stderr the stream to the journal that whoever started us says? */
static bool is_journal(void)
{
    unsigned long long device;
    unsigned long long inode;
    struct stat status;
    const char *stream = getenv("JOURNAL_STREAM");
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

void log_setup(enum log_format format)
{
    line_format = format;
    to_journal = is_journal();
}

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_INFO:
    default:
        return "info";
    }
}

static size_t put(char *to, const char *text)
{
    size_t length = strlen(text);
    memcpy(to, text, length);
    return length;
}

/* How many bytes of UTF-8 begin here; 0: what is here is none. */
static size_t utf8_length(const unsigned char *at)
{
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xC2 ? 0 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
    if (at[0] > 0xF4)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    bool wrong = (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) ||
                 (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F);
    return wrong ? 0 : length;
}

/* `text` as a JSON string; bytes that are no UTF-8 become question marks. */
static size_t put_json(char *to, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t n = 0;
    to[n++] = '"';
    while (*at) {
        size_t length = utf8_length(at);
        if (*at == '"' || *at == '\\') {
            to[n++] = '\\';
            to[n++] = (char)*at;
        } else if (*at < ' ' || *at == 0x7F) {
            n += (size_t)sprintf(to + n, "\\u%04x", *at);
        } else if (length > 0) {
            memcpy(to + n, at, length);
            n += length;
        } else {
            to[n++] = '?';
        }
        at += length > 0 ? length : 1;
    }
    to[n++] = '"';
    return n;
}

static size_t put_member(char *to, const char *name, const char *text)
{
    size_t n = (size_t)sprintf(to, ",\"%s\":", name);
    return n + put_json(to + n, text);
}

static size_t put_time(char *to, size_t size)
{
    struct timespec now;
    struct tm date;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &date);
    size_t n = strftime(to, size, "{\"time\":\"%Y-%m-%dT%H:%M:%S", &date);
    return n + (size_t)sprintf(to + n, ".%03ldZ\"", now.tv_nsec / 1000000);
}

static size_t line_json(const struct line *line, char to[LINE_BYTES])
{
    size_t n = put_time(to, LINE_BYTES);
    n += put_member(to + n, "level", level_name(line->level));
    n += put_member(to + n, "message", line->message);
    if (line->peer)
        n += put_member(to + n, "peer", line->peer);
    if (line->version)
        n += put_member(to + n, "version", line->version);
    if (line->left_out > 0)
        n += (size_t)sprintf(to + n, ",\"left_out\":%u", line->left_out);
    return n + put(to + n, "}");
}

/* A peer's text must not end a line or move a terminal's cursor. */
static size_t line_text(const struct line *line, char to[LINE_BYTES])
{
    size_t n = put(to, "beckd");
    if (line->version)
        n += (size_t)sprintf(to + n, " %s", line->version);
    n += put(to + n, ": ");
    if (line->left_out > 0)
        n += (size_t)sprintf(to + n, "(%u lines left out) ", line->left_out);
    if (line->peer)
        n += (size_t)sprintf(to + n, "%s: ", line->peer);
    n += put(to + n, line->message);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)to[i] < ' ')
            to[i] = '?';
    return n;
}

__attribute__((format(printf, 2, 0))) static void write_line(struct line *line, const char *format,
                                                             va_list arguments)
{
    char text[LINE_BYTES];
    size_t n = 0;
    if (vsnprintf(line->message, sizeof(line->message), format, arguments) < 0)
        return;
    if (to_journal)
        n = (size_t)sprintf(text, "<%d>", line->level);
    n += line_format == LOG_JSON ? line_json(line, text + n) : line_text(line, text + n);
    text[n++] = '\n';
    ssize_t written = write(STDERR_FILENO, text, n);
    (void)written; /* there is nowhere to report it */
}

void log_info(const char *format, ...)
{
    struct line line = {.level = LOG_LEVEL_INFO};
    va_list arguments;
    va_start(arguments, format);
    write_line(&line, format, arguments);
    va_end(arguments);
}

void log_warning(const char *format, ...)
{
    struct line line = {.level = LOG_LEVEL_WARNING};
    va_list arguments;
    va_start(arguments, format);
    write_line(&line, format, arguments);
    va_end(arguments);
}

void log_error(const char *format, ...)
{
    struct line line = {.level = LOG_LEVEL_ERROR};
    va_list arguments;
    va_start(arguments, format);
    write_line(&line, format, arguments);
    va_end(arguments);
}

void log_started(const char *version, const char *format, ...)
{
    struct line line = {.level = LOG_LEVEL_INFO, .version = version};
    va_list arguments;
    va_start(arguments, format);
    write_line(&line, format, arguments);
    va_end(arguments);
}

/* May a line be written now? If so, it tells how many could not. */
static bool let_through(struct log_limit *limit, struct line *line)
{
    int64_t now_ms = clock_ms();
    if (limit->lines == 0 || now_ms - limit->window_ms >= LOG_LIMIT_WINDOW_MS) {
        limit->window_ms = now_ms;
        limit->lines = 0;
    }
    if (limit->lines >= LOG_LIMIT_LINES) {
        limit->left_out++;
        return false;
    }
    limit->lines++;
    line->left_out = limit->left_out;
    limit->left_out = 0;
    return true;
}

void log_limited(struct log_limit *limit, const char *format, ...)
{
    struct line line = {.level = LOG_LEVEL_WARNING};
    va_list arguments;
    if (!let_through(limit, &line))
        return;
    va_start(arguments, format);
    write_line(&line, format, arguments);
    va_end(arguments);
}

void log_peer(struct log_limit *limit, const char *peer, const char *format, ...)
{
    struct line line = {.level = LOG_LEVEL_WARNING, .peer = peer};
    va_list arguments;
    if (!let_through(limit, &line))
        return;
    va_start(arguments, format);
    write_line(&line, format, arguments);
    va_end(arguments);
}

void log_shared_init(struct log_shared *shared)
{
    *shared = (struct log_shared){.limit = {.lines = 0}};
    pthread_mutex_init(&shared->lock, NULL);
}

void log_shared_done(struct log_shared *shared)
{
    pthread_mutex_destroy(&shared->lock);
}

void log_error_limited(struct log_shared *shared, const char *format, ...)
{
    struct line line = {.level = LOG_LEVEL_ERROR};
    va_list arguments;
    pthread_mutex_lock(&shared->lock);
    bool fine = let_through(&shared->limit, &line);
    pthread_mutex_unlock(&shared->lock);
    if (!fine)
        return;
    va_start(arguments, format);
    write_line(&line, format, arguments);
    va_end(arguments);
}
