/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that forgets: it lets all calls through and notes, for each segment file, up to where it
 * was synced, and whether its name was. power_cut() then does to the files what power loss may do:
 * keeps, tears or drops what was not synced. The notes are in memory that survives the process
 * whose power is cut. What LMDB wrote is taken as it is: its commits are synced.
 */
#ifndef TESTS_POWER_IO_H
#define TESTS_POWER_IO_H

#include "fault_io.h"

#define POWER_FILES 4096

struct power_file {
    uint64_t inode;
    uint64_t folder; /* inode of the folder that it is in */
    uint64_t synced_bytes;
    bool name_synced;
};

struct power_notes {
    atomic_flag busy;
    uint32_t count;
    struct power_file files[POWER_FILES];
};

/* Notes in shared memory. */
struct power_notes *power_notes_new(void);
void power_notes_free(struct power_notes *notes);

void power_io_init(struct fault_io *fault, struct power_notes *notes);

/* Note that all segment files, as they are now, are synced. */
void power_all_synced(struct power_notes *notes, const char *store_path);

/* After the process is dead. `random` decides what happens to each byte that was not synced. */
void power_cut(struct power_notes *notes, const char *store_path, uint64_t *random);

#endif
