/* SPDX-License-Identifier: Apache-2.0 */
/* The progress line. */
#include "progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { PROGRESS_FIRST_MS = 500, PROGRESS_EVERY_MS = 100, SIZE_TEXT = 24 };

static int64_t monotonic_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_begin(struct progress *progress, const char *doing)
{
    *progress = (struct progress){
        .doing = doing, .begun_ms = monotonic_ms(), .terminal = isatty(STDERR_FILENO) == 1};
}

/* "1.4 GB", "12 kB", "0 bytes": into `text`, which is returned. */
static char *size_text(uint64_t bytes, char text[SIZE_TEXT])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
    double amount = (double)bytes;
    unsigned unit = 0;

    while (amount >= 999.5 && unit < sizeof(units) / sizeof(units[0]) - 1) {
        amount /= 1000;
        unit++;
    }
    (void)snprintf(text, SIZE_TEXT, unit > 0 && amount < 9.95 ? "%.1f %s" : "%.0f %s", amount,
                   units[unit]);
    return text;
}

void progress_show(struct progress *progress, uint64_t done_bytes, uint64_t all_bytes)
{
    char done[SIZE_TEXT];
    char all[SIZE_TEXT];
    char speed[SIZE_TEXT];

    if (!progress->terminal)
        return;
    int64_t now = monotonic_ms();
    int64_t passed = now - progress->begun_ms;
    if (passed < PROGRESS_FIRST_MS || now - progress->shown_ms < PROGRESS_EVERY_MS)
        return;
    progress->shown_ms = now;
    progress->visible = true;
    (void)size_text(done_bytes, done);
    (void)size_text(done_bytes * 1000 / (uint64_t)passed, speed);
    if (all_bytes > 0)
        (void)fprintf(stderr, "\r%s: %s of %s, %s/s\033[K", progress->doing, done,
                      size_text(all_bytes, all), speed);
    else
        (void)fprintf(stderr, "\r%s: %s, %s/s\033[K", progress->doing, done, speed);
    (void)fflush(stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->visible)
        (void)fputs("\r\033[K", stderr);
    progress->visible = false;
}
