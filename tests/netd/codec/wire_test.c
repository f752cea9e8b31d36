/* SPDX-License-Identifier: Apache-2.0
 *
 * The codec's runtime: the arena's limit and reuse, the writer's frames and attachments, and what
 * happens when an allocation fails. Allocations go through __wrap_ functions here, which count them
 * and can let one fail.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "messages.h"

static size_t allocations;
static size_t failing; /* the allocation that fails, counted from 1; 0: none */

void *__real_malloc(size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);

static bool fails(void)
{
    if (++allocations != failing)
        return false;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
    return fails() ? NULL : __real_reallocarray(memory, count, size);
}

static int setup(void **state)
{
    (void)state;
    allocations = 0;
    failing = 0;
    return 0;
}

/* ---- Arena ---- */

static void arena_gives_zeroed_aligned_memory(void **state)
{
    (void)state;
    struct kafka_arena arena;
    kafka_arena_init(&arena, 100000);
    for (size_t size = 0; size < 300; size++) {
        uint8_t *memory = kafka_arena_alloc(&arena, size, 1);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xff, size);
        if (size == 150)
            kafka_arena_reset(&arena);
    }
    kafka_arena_done(&arena);
}

static void arena_keeps_to_its_limit(void **state)
{
    (void)state;
    struct kafka_arena arena;
    kafka_arena_init(&arena, 64);
    assert_non_null(kafka_arena_alloc(&arena, 1, 48));
    assert_null(kafka_arena_alloc(&arena, 1, 17));
    assert_int_equal(errno, EMSGSIZE);
    assert_non_null(kafka_arena_alloc(&arena, 1, 16));
    assert_null(kafka_arena_alloc(&arena, 1, 1));
    assert_non_null(kafka_arena_alloc(&arena, 0, 1));
    kafka_arena_reset(&arena);
    assert_non_null(kafka_arena_alloc(&arena, 1, 64));
    kafka_arena_done(&arena);
}

static void arena_refuses_sizes_that_overflow(void **state)
{
    (void)state;
    struct kafka_arena arena;
    kafka_arena_init(&arena, SIZE_MAX);
    assert_null(kafka_arena_alloc(&arena, SIZE_MAX / 2, 3));
    assert_int_equal(errno, EMSGSIZE);
    assert_null(kafka_arena_alloc(&arena, SIZE_MAX, 1));
    assert_null(kafka_arena_copy(&arena, "", SIZE_MAX));
    assert_null(arena.blocks);
    kafka_arena_done(&arena);
}

static void arena_needs_no_memory_in_steady_state(void **state)
{
    (void)state;
    struct kafka_arena arena;
    kafka_arena_init(&arena, 1 << 20);
    for (size_t round = 0; round < 20; round++) {
        if (round == 10)
            allocations = 0;
        for (size_t i = 0; i < 500; i++)
            assert_non_null(kafka_arena_alloc(&arena, 3, 100));
        kafka_arena_reset(&arena);
    }
    assert_int_equal(allocations, 0);
    kafka_arena_done(&arena);
}

static void arena_gives_back_what_a_huge_request_took(void **state)
{
    (void)state;
    struct kafka_arena arena;
    kafka_arena_init(&arena, 8 * KAFKA_ARENA_KEEP_BYTES);
    assert_non_null(kafka_arena_alloc(&arena, 2, KAFKA_ARENA_KEEP_BYTES));
    kafka_arena_reset(&arena);
    assert_null(arena.blocks);
    kafka_arena_done(&arena);
}

static void arena_copies_and_formats(void **state)
{
    (void)state;
    struct kafka_arena arena;
    kafka_arena_init(&arena, 64);
    assert_memory_equal(kafka_arena_copy(&arena, "abc", 3), "abc", 4);
    assert_string_equal(kafka_arena_printf(&arena, "%d-%s", 12, "x"), "12-x");
    assert_null(kafka_arena_printf(&arena, "%70d", 1));
    assert_int_equal(errno, EMSGSIZE);
    kafka_arena_done(&arena);
}

/* ---- Numbers ---- */

static void numbers_come_back(void **state)
{
    (void)state;
    static const uint32_t varints[] = {0,         1,         127,       128,
                                       16383,     16384,     2097151,   2097152,
                                       268435455, 268435456, INT32_MAX, UINT32_MAX};
    struct kafka_writer writer;
    struct kafka_reader reader;
    kafka_writer_init(&writer);
    kafka_write_int8(&writer, INT8_MIN);
    kafka_write_int16(&writer, INT16_MIN);
    kafka_write_uint16(&writer, UINT16_MAX);
    kafka_write_int32(&writer, INT32_MIN);
    kafka_write_uint32(&writer, UINT32_MAX);
    kafka_write_int64(&writer, INT64_MIN);
    kafka_write_float64(&writer, -0.5);
    for (size_t i = 0; i < sizeof(varints) / sizeof(varints[0]); i++)
        kafka_write_uvarint(&writer, varints[i]);
    kafka_reader_init(&reader, writer.data, writer.size);
    assert_int_equal(kafka_read_int8(&reader), INT8_MIN);
    assert_int_equal(kafka_read_int16(&reader), INT16_MIN);
    assert_int_equal(kafka_read_uint16(&reader), UINT16_MAX);
    assert_int_equal(kafka_read_int32(&reader), INT32_MIN);
    assert_int_equal(kafka_read_uint32(&reader), UINT32_MAX);
    assert_true(kafka_read_int64(&reader) == INT64_MIN);
    assert_true(kafka_read_float64(&reader) == -0.5);
    for (size_t i = 0; i < sizeof(varints) / sizeof(varints[0]); i++)
        assert_int_equal(kafka_read_uvarint(&reader), varints[i]);
    assert_int_equal(reader.error, 0);
    assert_int_equal(kafka_reader_left(&reader), 0);
    kafka_writer_done(&writer);
}

static void numbers_are_big_endian(void **state)
{
    (void)state;
    static const uint8_t expected[] = {1, 2, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8, 0xac, 0x02};
    struct kafka_writer writer;
    kafka_writer_init(&writer);
    kafka_write_int16(&writer, 0x0102);
    kafka_write_int32(&writer, 0x01020304);
    kafka_write_int64(&writer, 0x0102030405060708);
    kafka_write_uvarint(&writer, 300);
    assert_int_equal(writer.size, sizeof(expected));
    assert_memory_equal(writer.data, expected, sizeof(expected));
    kafka_writer_done(&writer);
}

static void varints_above_32_bits_are_refused(void **state)
{
    (void)state;
    static const uint8_t most[] = {0xff, 0xff, 0xff, 0xff, 0x0f};
    static const uint8_t more[] = {0xff, 0xff, 0xff, 0xff, 0x1f};
    static const uint8_t longer[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    struct kafka_reader reader;
    kafka_reader_init(&reader, most, sizeof(most));
    assert_int_equal(kafka_read_uvarint(&reader), UINT32_MAX);
    assert_int_equal(reader.error, 0);
    assert_int_equal(kafka_reader_left(&reader), 0);
    kafka_reader_init(&reader, more, sizeof(more));
    assert_int_equal(kafka_read_uvarint(&reader), 0);
    assert_int_equal(reader.error, -EBADMSG);
    kafka_reader_init(&reader, longer, sizeof(longer));
    assert_int_equal(kafka_read_uvarint(&reader), 0);
    assert_int_equal(reader.error, -EBADMSG);
}

static void strings_are_read_up_to_their_limit(void **state)
{
    (void)state;
    static uint8_t bytes[KAFKA_STRING_MAX_BYTES + 4] = {0x80, 0x80, 0x02}; /* 32,767 and one */
    struct kafka_reader reader;
    kafka_reader_init(&reader, bytes, sizeof(bytes));
    reader.flexible = true;
    assert_int_equal(kafka_read_string(&reader, false).length, KAFKA_STRING_MAX_BYTES);
    assert_int_equal(reader.error, 0);
    bytes[0]++;
    kafka_reader_init(&reader, bytes, sizeof(bytes));
    reader.flexible = true;
    assert_int_equal(kafka_read_string(&reader, false).length, 0);
    assert_int_equal(reader.error, -EBADMSG);
}

static void a_tagged_value_must_be_read_to_its_end(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 0, 2, 7, 7, 7};
    struct kafka_tag tag;
    struct kafka_reader reader;
    kafka_reader_init(&reader, bytes, sizeof(bytes));
    struct kafka_tag_section section = kafka_read_tag_section(&reader);
    assert_true(kafka_read_tag_begin(&reader, &section, &tag));
    assert_int_equal(kafka_read_int8(&reader), 7);
    kafka_read_tag_end(&reader, &tag);
    assert_int_equal(reader.error, -EBADMSG);
}

static void after_an_error_the_reader_gives_nothing(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3};
    struct kafka_reader reader;
    kafka_reader_init(&reader, bytes, sizeof(bytes));
    assert_int_equal(kafka_read_int32(&reader), 0);
    assert_int_equal(kafka_read_int8(&reader), 0);
    assert_null(kafka_read_string(&reader, true).data);
    kafka_reader_fail(&reader, -ENOMEM);
    assert_int_equal(reader.error, -EBADMSG);
}

/* ---- Frames ---- */

static void frames_stand_behind_each_other(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0, 0, 0, 1, 7, 0, 0, 0, 2, 8, 9};
    struct kafka_writer writer;
    kafka_writer_init(&writer);
    kafka_writer_frame_begin(&writer);
    kafka_write_int8(&writer, 7);
    assert_int_equal(kafka_writer_frame_end(&writer), 0);
    kafka_writer_frame_begin(&writer);
    kafka_write_int8(&writer, 8);
    kafka_write_int8(&writer, 9);
    assert_int_equal(kafka_writer_frame_end(&writer), 0);
    assert_int_equal(writer.size, sizeof(expected));
    assert_memory_equal(writer.data, expected, sizeof(expected));
    kafka_writer_done(&writer);
}

static void frame_length_counts_its_own_attachments_only(void **state)
{
    (void)state;
    struct kafka_records first = kafka_records_of_file(3, 10, 1000, NULL);
    struct kafka_records second = kafka_records_of_file(4, 20, 500, &first);
    struct kafka_writer writer;
    struct kafka_reader reader;
    kafka_writer_init(&writer);
    kafka_writer_frame_begin(&writer);
    kafka_write_records(&writer, &first, false);
    assert_int_equal(kafka_writer_frame_end(&writer), 0);
    size_t start = writer.size;
    kafka_writer_frame_begin(&writer);
    kafka_write_records(&writer, &second, false);
    kafka_write_int8(&writer, 1);
    kafka_write_records(&writer, &second, false);
    assert_int_equal(kafka_writer_frame_end(&writer), 0);

    kafka_reader_init(&reader, writer.data, writer.size);
    assert_int_equal(kafka_read_int32(&reader), 4 + 1000);
    kafka_reader_init(&reader, writer.data + start, writer.size - start);
    assert_int_equal(kafka_read_int32(&reader), 4 + 500 + 1 + 4 + 500);
    assert_int_equal(writer.attachments_count, 3);
    assert_int_equal(writer.attached_bytes, 2000);
    assert_int_equal(writer.attachments[0].offset, 8);
    assert_int_equal(writer.attachments[1].offset, start + 8);
    assert_int_equal(writer.attachments[1].position, 20);
    assert_int_equal(writer.attachments[1].fd, 4);
    assert_ptr_equal(writer.attachments[1].owner, &first);
    assert_int_equal(writer.attachments[2].offset, start + 13);
    kafka_writer_done(&writer);
}

static void frame_taken_back_leaves_the_one_before_it(void **state)
{
    (void)state;
    struct kafka_records records = kafka_records_of_file(3, 0, 9, NULL);
    struct kafka_writer writer;
    kafka_writer_init(&writer);
    kafka_writer_frame_begin(&writer);
    kafka_write_records(&writer, &records, false);
    assert_int_equal(kafka_writer_frame_end(&writer), 0);
    kafka_writer_frame_begin(&writer);
    kafka_write_records(&writer, &records, false);
    kafka_writer_fail(&writer, -ENOMEM);
    kafka_writer_frame_abort(&writer);
    assert_int_equal(writer.size, 8);
    assert_int_equal(writer.attachments_count, 1);
    assert_int_equal(writer.attached_bytes, 9);
    assert_int_equal(writer.error, 0);
    kafka_writer_done(&writer);
}

static void frame_of_two_gigabytes_is_refused(void **state)
{
    (void)state;
    struct kafka_records half = kafka_records_of_file(3, 0, 1 << 30, NULL);
    struct kafka_writer writer;
    kafka_writer_init(&writer);
    kafka_writer_frame_begin(&writer);
    kafka_write_records(&writer, &half, false);
    kafka_write_records(&writer, &half, false);
    assert_int_equal(kafka_writer_frame_end(&writer), -EMSGSIZE);
    assert_int_equal(writer.size, 0);
    assert_int_equal(writer.attached_bytes, 0);

    struct kafka_records more = kafka_records_of_file(3, 0, UINT32_MAX, NULL);
    kafka_writer_frame_begin(&writer);
    kafka_write_records(&writer, &more, false);
    assert_int_equal(kafka_writer_frame_end(&writer), -EMSGSIZE);
    kafka_writer_done(&writer);
}

static void tagged_values_of_any_size_get_their_length(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, 127, 128, 129, 16383, 16384, 20000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct kafka_writer writer;
        struct kafka_reader reader;
        struct kafka_tag tag;
        kafka_writer_init(&writer);
        kafka_write_uvarint(&writer, 1);
        size_t start = kafka_write_tag_begin(&writer, 200);
        for (uint32_t k = 0; k < sizes[i]; k++)
            kafka_write_int8(&writer, (int8_t)(k & 0x7f));
        kafka_write_tag_end(&writer, start);

        kafka_reader_init(&reader, writer.data, writer.size);
        struct kafka_tag_section section = kafka_read_tag_section(&reader);
        assert_true(kafka_read_tag_begin(&reader, &section, &tag));
        assert_int_equal(tag.number, 200);
        assert_int_equal(kafka_reader_left(&reader), sizes[i]);
        for (uint32_t k = 0; k < sizes[i]; k++)
            assert_int_equal(kafka_read_int8(&reader), k & 0x7f);
        kafka_read_tag_end(&reader, &tag);
        assert_false(kafka_read_tag_begin(&reader, &section, &tag));
        assert_int_equal(reader.error, 0);
        assert_int_equal(kafka_reader_left(&reader), 0);
        kafka_writer_done(&writer);
    }
}

static void writer_needs_no_memory_in_steady_state(void **state)
{
    (void)state;
    struct kafka_records records = kafka_records_of_file(3, 0, 9, NULL);
    struct kafka_writer writer;
    kafka_writer_init(&writer);
    for (size_t round = 0; round < 3; round++) {
        if (round == 1)
            allocations = 0;
        for (size_t i = 0; i < 5000; i++)
            kafka_write_records(&writer, &records, false);
        kafka_writer_reset(&writer);
    }
    assert_int_equal(allocations, 0);
    kafka_writer_done(&writer);
}

static void writer_gives_back_what_a_huge_answer_took(void **state)
{
    (void)state;
    static char text[KAFKA_WRITER_KEEP_BYTES + 1];
    struct kafka_writer writer;
    kafka_writer_init(&writer);
    kafka_write_bytes(&writer, (struct kafka_bytes){text, sizeof(text)}, false);
    kafka_writer_reset(&writer);
    assert_int_equal(writer.capacity, 0);
    assert_null(writer.data);
    kafka_writer_done(&writer);
}

/* ---- Allocations that fail ---- */

/* Decodes a request and encodes an answer with the k-th allocation failing. Returns what came of
 * it: 0, or the first error. */
static int exchange(void)
{
    static const uint8_t bytes[] = {0, 0, 0, 2, 0, 1, 'a', 0, 1, 'b'};
    struct kafka_arena arena;
    struct kafka_writer writer;
    struct kafka_reader reader;
    struct kafka_metadata_request request;
    struct kafka_fetch_response response;
    struct kafka_records records = kafka_records_of_file(3, 0, 9, NULL);

    kafka_arena_init(&arena, 1 << 20);
    kafka_writer_init(&writer);
    kafka_reader_init(&reader, bytes, sizeof(bytes));
    int r = kafka_metadata_request_decode(&reader, 1, &arena, &request);
    if (r == 0) {
        kafka_fetch_response_init(&response);
        response.responses = kafka_fetch_response_topic_array(&arena, 200);
        r = response.responses ? 0 : -errno;
    }
    if (r == 0) {
        response.responses_count = 200;
        kafka_writer_frame_begin(&writer);
        (void)kafka_fetch_response_encode(&writer, 12, &response);
        for (size_t i = 0; i < 20; i++)
            kafka_write_records(&writer, &records, false);
        r = kafka_writer_frame_end(&writer);
        assert_true(r == 0 || (writer.size == 0 && writer.attachments_count == 0));
    }
    kafka_arena_done(&arena);
    kafka_writer_done(&writer);
    return r;
}

static void every_allocation_that_fails_is_reported(void **state)
{
    (void)state;
    size_t failed = 0;
    for (failing = 1;; failing++) {
        allocations = 0;
        int r = exchange();
        if (r == 0)
            break;
        assert_int_equal(r, -ENOMEM);
        failed++;
    }
    assert_true(failed >= 5); /* two blocks, the buffer growing, the attachments growing */
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(arena_gives_zeroed_aligned_memory),
        TEST(arena_keeps_to_its_limit),
        TEST(arena_refuses_sizes_that_overflow),
        TEST(arena_needs_no_memory_in_steady_state),
        TEST(arena_gives_back_what_a_huge_request_took),
        TEST(arena_copies_and_formats),
        TEST(numbers_come_back),
        TEST(numbers_are_big_endian),
        TEST(varints_above_32_bits_are_refused),
        TEST(strings_are_read_up_to_their_limit),
        TEST(a_tagged_value_must_be_read_to_its_end),
        TEST(after_an_error_the_reader_gives_nothing),
        TEST(frames_stand_behind_each_other),
        TEST(frame_length_counts_its_own_attachments_only),
        TEST(frame_taken_back_leaves_the_one_before_it),
        TEST(frame_of_two_gigabytes_is_refused),
        TEST(tagged_values_of_any_size_get_their_length),
        TEST(writer_needs_no_memory_in_steady_state),
        TEST(writer_gives_back_what_a_huge_answer_took),
        TEST(every_allocation_that_fails_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
