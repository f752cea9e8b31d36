/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of the codec use: an arena and a writer, fresh for each test, and a decode of bytes
 * in a block of exactly their size, so that under a sanitizer a read beyond them ends the test.
 * Include after cmocka.h.
 */
#ifndef BECK_TESTS_NETD_FIXTURE_H
#define BECK_TESTS_NETD_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "codec/api.h"

#define LIMIT_BYTES ((size_t)4 << 20)

struct fixture {
    struct kafka_arena arena;
    struct kafka_writer writer;
};

static inline int setup(void **state)
{
    static struct fixture fixture;
    kafka_arena_init(&fixture.arena, LIMIT_BYTES);
    kafka_writer_init(&fixture.writer);
    *state = &fixture;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *fixture = *state;
    kafka_arena_done(&fixture->arena);
    kafka_writer_done(&fixture->writer);
    return 0;
}

/* Decodes a copy of the bytes that is as long as they are; the copy stays in *ret_copy if asked
 * for, since what was decoded borrows from it. */
static inline int decode_copy(struct fixture *fixture, const struct kafka_message *message,
                              int16_t version, const uint8_t *bytes, size_t size, void *ret,
                              uint8_t **ret_copy)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    struct kafka_reader reader;
    kafka_reader_init(&reader, copy, size);
    kafka_arena_reset(&fixture->arena);
    int r = message->decode(&reader, version, &fixture->arena, ret);
    if (ret_copy)
        *ret_copy = copy;
    else
        free(copy);
    return r;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
