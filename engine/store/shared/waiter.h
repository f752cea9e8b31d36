/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for other processes. A process that waits owns one FIFO under wake/, the doorbell, and
 * one bit in the masks of what it waits for. Whoever changes such a thing swaps the mask for zero
 * and writes the number of its slot (u32, native) to the FIFO of each bit. The bit is a lock on a
 * byte of `live`, so that a dead process's FIFO is free again.
 *
 * Threads of one process share the FIFO: one of them at a time polls it and tells the others.
 */
#ifndef STORE_WAITER_H
#define STORE_WAITER_H

#include "beck.h"
#include "check.h"
#include "io.h"

#include <pthread.h>
#include <stdatomic.h>

struct waiter {
    const struct io *io;
    int directory; /* the store's */
    int live_fd;
    _Atomic int fd;        /* our FIFO; -1: not claimed yet */
    _Atomic int index;     /* our bit; -1: none */
    _Atomic int32_t *told; /* where others look our bit up, with -1 for none; may be NULL */
    _Atomic int bells[BECK_WAITING_PROCESSES_MAX]; /* others' FIFOs, opened when first rung; -1 */

    pthread_mutex_t mutex; /* for what follows */
    pthread_cond_t rung;
    uint64_t rings;
    uint64_t taken_bytes; /* out of the FIFO, since it was last empty */
    bool polling;         /* a thread is */
    _Atomic bool lent; /* the program polls the FIFO itself; our threads look every 10 ms instead */
};

void waiter_init(struct waiter *waiter, const struct io *io, int directory, int live_fd);
void waiter_done(struct waiter *waiter);

/* Our FIFO, claimed at the first call. -EUSERS: all are taken. */
int waiter_fd(struct waiter *waiter);
/* The same for the program's own loop: from then on no thread of ours empties it. */
int waiter_lend(struct waiter *waiter);
/* Set our bit. */
void waiter_arm(struct waiter *waiter, _Atomic uint64_t *mask);
/* Ring whoever has a bit set, for the slot of that number, which has the mask. */
void waiter_ring_armed(struct waiter *waiter, _Atomic uint64_t *mask, uint32_t slot);
static inline void waiter_ring(struct waiter *waiter, _Atomic uint64_t *mask, uint32_t slot)
{
    if (UNLIKELY(atomic_load(mask) != 0))
        waiter_ring_armed(waiter, mask, slot);
}
/* Empty our FIFO. */
void waiter_clear(struct waiter *waiter);
/* Take slots out of our FIFO. Returns how many; less than `room`: it is empty. -EOVERFLOW: it was
 * full, and any slot may have rung; it is empty now. */
int waiter_take(struct waiter *waiter, uint32_t *ret_slots, uint32_t room);

/* The clock of deadlines. By a coarse one, a wait would be over and not over for some ms. */
int64_t waiter_now_ms(void);
/* Where the count of rings stands; take it before looking at what is waited for. */
uint64_t waiter_rings(struct waiter *waiter);
/* Wait for a ring beyond `rings`, or until `deadline_ms` (monotonic; -1: none). Returns 1, 0 when
 * it is late, or -EINTR. */
int waiter_wait(struct waiter *waiter, uint64_t rings, int64_t deadline_ms);

#endif
