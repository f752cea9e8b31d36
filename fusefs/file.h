/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partition files that somebody has open: reading, writing, syncing. Functions return 0, a count or
 * a negative errno as the kernel is to get it, and have logged what an administrator must know.
 */
#ifndef FUSEFS_FILE_H
#define FUSEFS_FILE_H

#include "fs.h"

#include <stdint.h>
#include <sys/types.h>

#define FILE_READ_BYTES_MAX (1U << 20) /* the largest request that the kernel sends */

/*
 * Open a partition's file. Writing without O_APPEND, or with O_TRUNC, is -EPERM unless the
 * partition is empty, as with chattr +a.
 */
int file_open(struct fs *fs, struct node *node, int flags, struct handle **ret_handle);

/* The kernel is done with the handle: complete what is held and free it. */
void file_release(struct fs *fs, struct handle *handle);

/* At the end of the mount: the same for whatever is still open. */
void file_release_all(struct fs *fs);

/*
 * Up to `bytes` (at most FILE_READ_BYTES_MAX) from `position`: fewer only at the end, or before
 * damage, where the next read fails. *ret_data is valid until this thread's next call.
 */
ssize_t file_read(struct handle *handle, uint64_t position, size_t bytes, const void **ret_data);

/* `owner` tells processes apart: threads share one, and a child has one of its own. */
ssize_t file_write(struct handle *handle, uint64_t owner, const char *data, size_t bytes);

/* A descriptor was closed by `owner`, which completes the line where `owner` wrote last. */
int file_flush(struct handle *handle, uint64_t owner);

/*
 * What is recorded survives power loss when it returns. An incomplete line is no record yet: it
 * will be synced when it becomes one.
 */
int file_sync(struct handle *handle);

/* Size and time, from one consistent moment. */
int file_state(struct fs *fs, struct node *node, struct beck_partition_state *ret_state);

#endif
