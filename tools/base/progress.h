/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line on a terminal that tells how far something long has come. It shows itself after half a
 * second only, is renewed ten times a second at most, and is gone when the work is done. Where
 * stderr is no terminal there is nothing at all.
 */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *doing; /* "verifying" */
    int64_t begun_ms;
    int64_t shown_ms;
    bool terminal;
    bool visible;
};

void progress_begin(struct progress *progress, const char *doing);

/* `all_bytes` 0: not known. Cheap enough to be called for each megabyte. */
void progress_show(struct progress *progress, uint64_t done_bytes, uint64_t all_bytes);

/* Wipe the line; before anything else is printed, and at the end. */
void progress_end(struct progress *progress);

#endif
