/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what is written on an open file to batches in the log: the lines of one write go into as few
 * batches as max.message.bytes allows. Writers of one partition take turns under its node's
 * append_lock, so that the lines of one write stand together unless another process writes between
 * its batches.
 */
#ifndef FUSEFS_WRITER_H
#define FUSEFS_WRITER_H

#include "fs.h"
#include "view.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The writing side of one open file; one thread at a time. */
struct writer {
    struct fs *fs;
    struct node *node;
    struct beck_partition *log;
    struct view_splitter splitter;
};

void writer_init(struct writer *writer, struct fs *fs, struct node *node,
                 struct beck_partition *log);
/* Forgets an incomplete line: call writer_finish() before. */
void writer_done(struct writer *writer);

/*
 * What one write(2) brought. Returns the bytes taken, see view_splitter_write(). The records
 * survive the death of any process when it returns.
 */
ssize_t writer_write(struct writer *writer, const char *data, size_t bytes,
                     struct beck_error *error);

/* Is there an incomplete line? */
static inline bool writer_holds(const struct writer *writer)
{
    return writer->splitter.held_bytes > 0;
}

/* Make a record of an incomplete line. On failure the line is lost, and the caller says so. */
int writer_finish(struct writer *writer, struct beck_error *error);

#endif
