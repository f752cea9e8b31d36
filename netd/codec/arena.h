/* SPDX-License-Identifier: Apache-2.0
 *
 * One arena holds what a request needs besides its own bytes: the arrays of the decoded request,
 * and whatever the handler builds for the answer. It never gives out more than its limit, and
 * it is reset, not freed, between requests, so that a connection in steady state allocates nothing.
 *
 * It leaves to others: when to reset (after the answer was encoded; nothing that was allocated here
 * may be used after that), and threads (an arena belongs to one at a time).
 */
#ifndef BECK_NETD_CODEC_ARENA_H
#define BECK_NETD_CODEC_ARENA_H

#include <stdarg.h>
#include <stddef.h>

/* What a reset keeps for the next request, at most; a larger block goes back to the system. */
#define KAFKA_ARENA_KEEP_BYTES ((size_t)1 << 20)

struct kafka_arena_block;

struct kafka_arena {
    struct kafka_arena_block *blocks; /* newest first; only the newest has room */
    size_t limit_bytes;               /* for all allocations between two resets */
    size_t used_bytes;                /* since the last reset, with alignment */
};

/* Prepares an arena that gives out at most `limit_bytes` between two resets. Allocates nothing. */
void kafka_arena_init(struct kafka_arena *arena, size_t limit_bytes);

/* Frees everything. The arena may be initialised again. */
void kafka_arena_done(struct kafka_arena *arena);

/* Takes back all that was given out; keeps one block of at most KAFKA_ARENA_KEEP_BYTES. */
void kafka_arena_reset(struct kafka_arena *arena);

/* Zeroed memory for `count` objects of `size` bytes, aligned for any type, valid until the reset.
 * Never NULL for a count of 0. NULL with errno EMSGSIZE: above the limit; ENOMEM: no memory. */
void *kafka_arena_alloc(struct kafka_arena *arena, size_t count, size_t size);

/* A copy of `size` bytes, followed by a zero byte that is not part of it. Errors as above. */
void *kafka_arena_copy(struct kafka_arena *arena, const void *data, size_t size);

/* A formatted, zero-terminated string. Errors as above, and EINVAL: the format is broken. */
char *kafka_arena_printf(struct kafka_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
char *kafka_arena_vprintf(struct kafka_arena *arena, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

#endif
