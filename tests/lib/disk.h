/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk whose power can be cut. It is put into a folder, from where calls.h tells of each call
 * that changes it; the calls are noted, in order, with what they wrote. Of a disk and its notes,
 * disk_cut() makes the disk that may be found when the power was cut in any one of the calls:
 *
 *   - what was written before the last sync of the file is there;
 *   - of each later write all, nothing, or any of its sectors of 512 bytes is there, and the file's
 *     size may be the old one or the new one, with zeros in it;
 *   - what was made, renamed and removed in a folder since its last sync happened, or did not.
 *
 * What is only in memory that processes share (`live`, LMDB's lock files) is not on the disk. One
 * disk at a time is watched, and by one thread.
 */
#ifndef TESTS_DISK_H
#define TESTS_DISK_H

#include "calls.h"

struct disk;

struct disk *disk_new(void); /* with an empty folder on it */
void disk_free(struct disk *disk);

/* Write what is on the disk into the folder `path`, which is made. */
void disk_put(struct disk *disk, const char *path);
/* Note what is done in the folder that it was put into, from now on, or no more. */
void disk_watch(struct disk *disk);
void disk_unwatch(void);

/* The number of calls that were noted, and at which point one of them is. */
uint32_t disk_calls(const struct disk *disk);
uint32_t disk_point(const struct disk *disk, uint32_t call);

/* The disk after power loss in the call `at`, counted from 0; the number of calls: after the last.
 * It has no notes. */
struct disk *disk_cut(const struct disk *disk, uint32_t at, uint64_t *random);

/* One line for each call that was noted, on stderr. */
void disk_print(const struct disk *disk, uint32_t at);

#endif
