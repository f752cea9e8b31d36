/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system's calls with a say of the test's before each: it may let the call go on, fail it,
 * wait, or end the process. Calls are counted, so that a sweep can fail the first, the second, and
 * so on.
 */
#ifndef TESTS_FAULT_IO_H
#define TESTS_FAULT_IO_H

#include "io.h"

#include <stdatomic.h>

enum fault_call {
    FAULT_OPEN,
    FAULT_CLOSE, /* told, but cannot be failed */
    FAULT_STAT,
    FAULT_READ,
    FAULT_WRITE,
    FAULT_TRUNCATE,
    FAULT_ALLOCATE,
    FAULT_SYNC_DATA,
    FAULT_SYNC,
    FAULT_SYNC_ALL,
    FAULT_WRITE_BACK,
    FAULT_FORGET,
    FAULT_MAKE_DIRECTORY,
    FAULT_MAKE_FIFO,
    FAULT_RENAME,
    FAULT_REMOVE,
    FAULT_LINK,
    FAULT_CLONE,
    FAULT_LOCK,
    FAULT_LOCK_IS_HELD,
    FAULT_MAP,
};

/* What a call is about. */
struct fault_what {
    enum fault_call call;
    int fd;           /* -1: none */
    const char *name; /* relative to a folder; NULL: none */
    int flags;        /* of open */
    uint64_t position;
};

struct fault_io {
    struct io io; /* first: the table that the engine is given */
    /* Asked before each call. 0: go on; a negative errno: fail. May be NULL. */
    int (*hook)(struct fault_io *fault, const struct fault_what *what);
    void *context;

    atomic_uint calls;   /* that were made, but for close and unlocking */
    atomic_uint fail_at; /* the call that fails, from 1; 0: none */
    int fail_code;       /* negative errno */
    atomic_bool failed;  /* it did */
};

void fault_io_init(struct fault_io *fault);
/* Count from 0 again, and fail the `at`th call. */
void fault_io_arm(struct fault_io *fault, unsigned at, int code);

/* Does the name end so? */
bool fault_is(const struct fault_what *what, enum fault_call call, const char *ending);

#endif
