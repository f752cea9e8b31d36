/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making many files durable at once: their file system is synced as a whole, and each file is then
 * only asked whether the disk refused anything of it. A sync of each one costs an emptying of the
 * disk's own cache, even where nothing of the file is left to be written.
 */
#ifndef STORE_SYNC_MANY_H
#define STORE_SYNC_MANY_H

#include "io.h"

/* From so many partitions on it is cheaper than one by one. */
#define SYNC_MANY_LEAST 16

struct sync_many {
    const struct io *io;
    dev_t device;
    bool is_written; /* all that was in the file system has been written back */
    bool has_others; /* a file is on another file system, and so may be its folder */
    bool is_flushed; /* and the disk has said since that it keeps nothing in a cache */
};

/* Sync the file system that the store's directory is on. What is written from now on is not
 * covered. Where that fails, or where nothing is known of such a file system, each file is synced
 * by itself. */
void sync_many_begin(struct sync_many *many, const struct io *io, int directory);

/* Make durable what was in the file when `many` began; where that is NULL: what is in it. */
int sync_many_file(struct sync_many *many, const struct io *io, int fd);

/* After the files of a folder: are their names durable as well? */
bool sync_many_has_names(const struct sync_many *many);

#endif
