/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C library's file calls with somebody who watches. calls.c defines them in the test's
 * executable, where the linker finds them before the C library's: so LMDB's calls are seen as well
 * as the engine's. What is watched changes something on the disk, or makes it durable; reading is
 * not.
 *
 * A call belongs to a point, "sync of a segment" say: what it does, and to what kind of file.
 */
#ifndef TESTS_CALLS_H
#define TESTS_CALLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum call_op {
    CALL_CREATE, /* an open that made the file */
    CALL_WRITE,
    CALL_WRITE_THROUGH, /* by a descriptor that is O_DSYNC: durable when it returns */
    CALL_TRUNCATE,
    CALL_ALLOCATE,
    CALL_SYNC,
    CALL_SYNC_ALL,
    CALL_WRITE_BACK, /* makes nothing durable, but tells of errors */
    CALL_MAKE_FOLDER,
    CALL_MAKE_FIFO,
    CALL_RENAME,
    CALL_REMOVE,
    CALL_OPS,
};

enum call_file {
    FILE_META,
    FILE_INDEX,
    FILE_COPY, /* of meta.mdb */
    FILE_LOCK, /* LMDB's */
    FILE_LIVE,
    FILE_SEGMENT,
    FILE_CLEANED, /* a segment that compaction writes */
    FILE_TOPIC,   /* the small file of that name, and one that is to replace it */
    FOLDER_PARTITION,
    FOLDER_TOPIC,
    FOLDER_TOPICS,
    FOLDER_STORE,
    FILE_WAKE,
    FILE_OTHER,
    CALL_FILES,
};

#define CALL_POINTS (CALL_OPS * CALL_FILES)

struct call {
    enum call_op op;
    enum call_file file;
    uint32_t point; /* op and file in one number, below CALL_POINTS */
    int fd; /* of the file; where it goes by name: of the folder that `name` is relative to */
    const char *name; /* NULL: by descriptor */
    const char *to;   /* of a rename */
    const struct iovec *vectors;
    int count;
    uint64_t position; /* of a write; the size that truncation or allocation gives */
    int flags;         /* of an open or remove */
};

struct calls {
    /* 0: go on; a negative errno: the call fails with it and is not made. */
    int (*before)(const struct call *call);
    /* `result` is what the call returned: below 0 where it failed. */
    void (*after)(const struct call *call, ssize_t result);
    bool skip_syncs;      /* do not make them, nor set blocks aside: the disk is not real */
    uint32_t boot;        /* not 0: what the system says of its boot is made of this number */
    int64_t clock_add_ms; /* to what the system says the time of day is */
};

/* One watcher for all threads of the process. Tests set its members while nobody calls. */
extern struct calls calls;

/* "sync segment" */
const char *call_point_name(uint32_t point, char to[64]);
enum call_file call_file_of(const char *path);

#endif
