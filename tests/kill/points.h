/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a process is when it is killed: in which call that changes the disk (calls.h), the engine's
 * or LMDB's, or in which step on shared memory; or behind which. Each process says it in memory
 * that the supervisor sees. The supervisor may ask a process to die at a point: it does so itself,
 * before or behind it.
 */
#ifndef TESTS_KILL_POINTS_H
#define TESTS_KILL_POINTS_H

#include "calls.h"

#include <stdatomic.h>

enum step {
    STEP_LOCK, /* of a slot's or the maintenance mutex */
    STEP_UNLOCK,
    STEP_PUBLISH,   /* a tail */
    STEP_RING,      /* an index entry into a slot's ring */
    STEP_ROLLED,    /* a rolled segment into a slot's list */
    STEP_COMMIT,    /* an LMDB transaction */
    STEP_EXCHANGE,  /* note an exchange of segments, in the transaction that decides it */
    STEP_EXCHANGED, /* forget it, as it is carried out */
    STEP_CLEANED,   /* note how far a log is clean */
    STEPS,
};

#define POINT_STEPS CALL_POINTS /* points of steps begin here */
#define POINTS      (CALL_POINTS + STEPS)
#define PLACES      (2 * POINTS) /* in a point: 2 * point; behind it: one more */
#define NOWHERE     UINT32_MAX

/* Of one process. */
struct points {
    _Atomic uint32_t place;
    _Atomic uint32_t wanted;   /* the place where it is to send itself the signal; NOWHERE: none */
    _Atomic uint32_t signaled; /* where it did that last */
    atomic_int signal;         /* SIGKILL or SIGSTOP */
    _Atomic uint32_t visits[PLACES];
};

struct points *points_new(void); /* in memory that is shared with children */
/* Ask for a signal at a place. */
void points_want(struct points *points, uint32_t place, int signal);

/* Another process is to have them: to be called before it is there. */
void points_reset(struct points *points);

/* Tell where this process is from now on. */
void points_begin(struct points *points);

const char *place_name(uint32_t place, char to[80]);

/* Can a kill be expected there, where many are? */
bool place_is_needed(uint32_t place);

#endif
