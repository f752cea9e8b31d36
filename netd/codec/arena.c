/* SPDX-License-Identifier: Apache-2.0
 *
 * The arena is a list of blocks. Memory is cut from the newest; when that is full, a new one of at
 * least twice its size comes in front. A reset keeps only the newest, which is the largest, so a
 * connection whose requests are alike soon has one block that holds any of them.
 */
#include "codec/arena.h"

#include <errno.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BLOCK_BYTES ((size_t)4096)

struct kafka_arena_block {
    struct kafka_arena_block *next;
    size_t size;
    size_t used;
    alignas(max_align_t) char data[];
};

void kafka_arena_init(struct kafka_arena *arena, size_t limit_bytes)
{
    *arena = (struct kafka_arena){.limit_bytes = limit_bytes};
}

static void free_blocks(struct kafka_arena_block *block)
{
    while (block) {
        struct kafka_arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void kafka_arena_done(struct kafka_arena *arena)
{
    free_blocks(arena->blocks);
    *arena = (struct kafka_arena){0};
}

void kafka_arena_reset(struct kafka_arena *arena)
{
    struct kafka_arena_block *newest = arena->blocks;
    arena->used_bytes = 0;
    if (!newest)
        return;
    free_blocks(newest->next);
    newest->next = NULL;
    newest->used = 0;
    if (newest->size > KAFKA_ARENA_KEEP_BYTES) {
        free(newest);
        arena->blocks = NULL;
    }
}

static int add_block(struct kafka_arena *arena, size_t least_bytes)
{
    size_t size = arena->blocks ? arena->blocks->size * 2 : FIRST_BLOCK_BYTES;
    if (size > arena->limit_bytes)
        size = arena->limit_bytes;
    if (size < least_bytes)
        size = least_bytes;
    struct kafka_arena_block *block = malloc(sizeof(*block) + size);
    if (!block)
        return -ENOMEM;
    *block = (struct kafka_arena_block){.next = arena->blocks, .size = size};
    arena->blocks = block;
    return 0;
}

void *kafka_arena_alloc(struct kafka_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) ||
        __builtin_add_overflow(bytes, alignof(max_align_t) - 1, &bytes)) {
        errno = EMSGSIZE;
        return NULL;
    }
    bytes &= ~(alignof(max_align_t) - 1);
    if (bytes > arena->limit_bytes - arena->used_bytes) {
        errno = EMSGSIZE;
        return NULL;
    }
    struct kafka_arena_block *block = arena->blocks;
    if (!block || bytes > block->size - block->used) {
        int r = add_block(arena, bytes);
        if (r < 0) {
            errno = -r;
            return NULL;
        }
        block = arena->blocks;
    }
    void *memory = block->data + block->used;
    block->used += bytes;
    arena->used_bytes += bytes;
    return memset(memory, 0, bytes);
}

void *kafka_arena_copy(struct kafka_arena *arena, const void *data, size_t size)
{
    if (size == SIZE_MAX) {
        errno = EMSGSIZE;
        return NULL;
    }
    void *copy = kafka_arena_alloc(arena, size + 1, 1);
    if (copy && size > 0)
        memcpy(copy, data, size);
    return copy;
}

char *kafka_arena_vprintf(struct kafka_arena *arena, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    char *text = NULL;
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0)
        errno = EINVAL;
    else
        text = kafka_arena_alloc(arena, (size_t)length + 1, 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *kafka_arena_printf(struct kafka_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = kafka_arena_vprintf(arena, format, arguments);
    va_end(arguments);
    return text;
}
