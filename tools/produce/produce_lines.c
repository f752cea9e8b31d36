/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard input, a line a record. Batches fill up while there is more to read at once; when
 * whoever writes pauses, what was read is appended and, with acks=all, synced, so that it can be
 * seen. What was taken before a line that cannot be is kept, and the summary tells how much that
 * is.
 */
#include "json_input.h"
#include "lines.h"
#include "parse.h"
#include "produce.h"
#include "progress.h"
#include "signals.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    JSON_EXPANSION = 6, /* a byte of a value takes at most \u0000 */
    JSON_OVERHEAD = 1 << 16,
    PAUSE_MS = 5, /* without input: send on what there is */
    HELD_MS = 50, /* hold nothing back for longer, if there are pauses at all */
};

/* When did the oldest record that is held back come? Asked when there is nothing to read only. */
struct pause {
    int64_t since_ms; /* -1: nothing is held back */
    uint64_t line;    /* the last one that was sent on */
};

/*
 * Whoever writes pauses. Wait a moment: a program in a pipe that is a little slower than this one
 * would have each of its blocks synced otherwise. But not for long, if more drips in. Then send on.
 */
static int bridge_pause(struct sender *sender, const struct lines *lines, struct pause *pause)
{
    int64_t now_ms = parse_now_ms();

    if (lines->number == pause->line)
        return TOOL_OK;
    if (pause->since_ms < 0 || now_ms < pause->since_ms)
        pause->since_ms = now_ms;
    if (now_ms - pause->since_ms < HELD_MS && lines_ready(lines, PAUSE_MS))
        return TOOL_OK;
    pause->since_ms = -1;
    pause->line = lines->number;
    return sender_sync(sender);
}

/* Split a text line at the separator, where there is one. */
static struct beck_record text_record(const struct produce *produce, const char *line, size_t size)
{
    const char *found = NULL;
    size_t separator = 0;

    if (produce->key_separator != NULL) {
        separator = strlen(produce->key_separator);
        found = memmem(line, size, produce->key_separator, separator);
    }
    if (found == NULL)
        return produce_record(produce, line, size);
    size_t key_size = (size_t)(found - line);
    struct beck_record record =
        produce_record(produce, found + separator, size - key_size - separator);
    record.key = line;
    record.key_size = (int32_t)key_size;
    return record;
}

static int send_line(const struct produce *produce, struct sender *sender, struct headers *headers,
                     char *line, size_t size, uint64_t number)
{
    struct sender_origin origin = {.what = "line", .number = number};
    struct beck_record record;
    int32_t partition = -1;
    const char *wrong;

    if (!produce->json) {
        record = text_record(produce, line, size);
    } else {
        int result = json_input_record(line, size, headers, &record, &partition, &wrong);
        if (result == -ENOMEM)
            return tool_failed("line %llu: not enough memory", (unsigned long long)number);
        if (result < 0)
            return tool_failed("line %llu: %s", (unsigned long long)number, wrong);
    }
    if (produce->partition >= 0)
        partition = produce->partition;
    return sender_add(sender, partition, &record, &origin, NULL);
}

/* The size of standard input where it is a file, for the progress line; else 0. */
static uint64_t input_bytes(void)
{
    struct stat status;

    if (fstat(STDIN_FILENO, &status) < 0 || !S_ISREG(status.st_mode))
        return 0;
    return (uint64_t)status.st_size;
}

static int read_failed(const struct lines *lines, int result)
{
    unsigned long long number = lines->number + 1;

    if (signals_caught())
        return TOOL_OK;
    if (result == -EMSGSIZE)
        return tool_failed("line %llu: it is longer than the %zu bytes that the topic takes",
                           number, lines->limit);
    return tool_failed("cannot read line %llu of standard input: %s", number, strerror(-result));
}

static int send_all(const struct produce *produce, struct sender *sender, struct lines *lines,
                    struct progress *progress)
{
    struct headers headers = {0};
    struct pause pause = {.since_ms = -1};
    uint64_t all_bytes = input_bytes();
    uint64_t shown_bytes = 0;
    char *line;
    size_t size;
    int code = TOOL_OK;
    int result = 1;

    while (code == TOOL_OK && !signals_caught()) {
        if (lines->bytes != shown_bytes) { /* a block was read since */
            shown_bytes = lines->bytes;
            progress_show(progress, shown_bytes, all_bytes);
        }
        if (!lines_ready(lines, 0))
            code = bridge_pause(sender, lines, &pause);
        if (code != TOOL_OK)
            break;
        result = lines_next(lines, &line, &size);
        if (result <= 0)
            break;
        code = send_line(produce, sender, &headers, line, size, lines->number);
    }
    headers_done(&headers);
    progress_end(progress);
    return result < 0 ? read_failed(lines, result) : code;
}

int produce_lines(const struct produce *produce, struct sender *sender)
{
    struct lines lines;
    struct progress progress;
    size_t limit = sender->value_limit;

    if (produce->json)
        limit = limit * JSON_EXPANSION + JSON_OVERHEAD;
    if (lines_init(&lines, STDIN_FILENO, limit) < 0)
        return tool_failed("not enough memory");
    if (isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1)
        (void)fputs("Each line is a record; end with Ctrl-D.\n", stderr);
    progress_begin(&progress, "producing");
    int code = send_all(produce, sender, &lines, &progress);
    int synced = sender_sync(sender);
    sender_print_summary(sender);
    lines_done(&lines);
    return code != TOOL_OK ? code : synced;
}
