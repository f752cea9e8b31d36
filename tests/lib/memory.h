/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory under watch: how often it was asked for, how large the largest piece was, and a request
 * that fails. For tests that are linked with --wrap for malloc, calloc and realloc; it sees our own
 * calls, not those inside other libraries.
 */
#ifndef TESTS_MEMORY_H
#define TESTS_MEMORY_H

#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);

static unsigned memory_requests;
static size_t memory_largest;
static unsigned memory_fail_at; /* the request that fails, from 1; 0: none */

static inline void memory_watch(unsigned fail_at)
{
    memory_requests = 0;
    memory_largest = 0;
    memory_fail_at = fail_at;
}

static inline int memory_fails(size_t size)
{
    if (size > memory_largest)
        memory_largest = size;
    return ++memory_requests == memory_fail_at;
}

void *__wrap_malloc(size_t size)
{
    return memory_fails(size) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return memory_fails(count * size) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *pointer, size_t size)
{
    return memory_fails(size) ? NULL : __real_realloc(pointer, size);
}

#endif
