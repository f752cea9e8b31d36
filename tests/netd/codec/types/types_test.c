/* SPDX-License-Identifier: Apache-2.0
 *
 * Field types and rules that no served message needs yet, generated from types.kafka: so that
 * whoever adds a message finds them working.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "messages.h"

static struct kafka_arena arena;
static struct kafka_writer writer;

static int setup(void **state)
{
    (void)state;
    kafka_arena_init(&arena, 1 << 16);
    kafka_writer_init(&writer);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kafka_arena_done(&arena);
    kafka_writer_done(&writer);
    return 0;
}

/* Encodes, decodes again, and leaves the bytes in the writer. */
static struct kafka_everything_request round_trip(int16_t version,
                                                  const struct kafka_everything_request *message)
{
    struct kafka_everything_request decoded;
    struct kafka_reader reader;
    kafka_writer_reset(&writer);
    assert_int_equal(kafka_everything_request_encode(&writer, version, message), 0);
    kafka_reader_init(&reader, writer.data, writer.size);
    assert_int_equal(kafka_everything_request_decode(&reader, version, &arena, &decoded), 0);
    return decoded;
}

static struct kafka_bytes bytes_of(const char *text)
{
    return (struct kafka_bytes){.data = text, .length = (uint32_t)strlen(text)};
}

static void fill(struct kafka_everything_request *ret)
{
    static struct kafka_string names[2];
    static struct kafka_bytes blobs[1];
    static struct kafka_uuid ids[] = {{{1}}, {{2}}};
    names[0] = kafka_string_of("n");
    names[1] = kafka_string_of("");
    blobs[0] = bytes_of("blob");
    kafka_everything_request_init(ret);
    ret->ratio = 0.25;
    ret->raw = bytes_of("raw");
    ret->one.x = 11;
    ret->one.names = names;
    ret->one.names_count = 2;
    ret->maybe = kafka_everything_request_place_array(&arena, 1);
    ret->maybe->where.x = 12;
    ret->points = kafka_everything_request_point_array(&arena, 2);
    ret->points_count = 2;
    ret->points[1].x = 13;
    ret->ids = ids;
    ret->ids_count = 2;
    ret->blobs = blobs;
    ret->blobs_count = 1;
    ret->late = 8;
    ret->later = kafka_string_of("later");
    ret->off = false;
    ret->id.bytes[15] = 3;
    ret->near.x = 14;
    ret->gone = 15;
}

static void fields_start_as_the_schema_says(void **state)
{
    (void)state;
    struct kafka_everything_request message;
    kafka_everything_request_init(&message);
    assert_true(message.yes);
    assert_int_equal(message.small, -128);
    assert_int_equal(message.port, 65535);
    assert_int_equal(message.count, UINT32_MAX);
    assert_true(message.least == INT64_MIN);
    assert_null(message.raw.data);
    assert_null(message.maybe);
    assert_int_equal(message.late, 7);
    assert_non_null(message.later.data);
    assert_true(message.off);
}

static void every_type_comes_back(void **state)
{
    (void)state;
    struct kafka_everything_request message;
    fill(&message);
    for (int16_t version = 0; version <= 3; version++) {
        struct kafka_everything_request back = round_trip(version, &message);
        assert_true(back.yes);
        assert_int_equal(back.small, -128);
        assert_int_equal(back.port, 65535);
        assert_int_equal(back.count, UINT32_MAX);
        assert_true(back.least == INT64_MIN);
        assert_true(back.ratio == 0.25);
        assert_memory_equal(back.raw.data, "raw", 3);
        assert_int_equal(back.one.x, 11);
        assert_int_equal(back.one.names_count, version >= 1 ? 2 : 0);
        assert_int_equal(back.points_count, 2);
        assert_int_equal(back.points[1].x, 13);
        assert_int_equal(back.ids_count, 2);
        assert_int_equal(back.ids[1].bytes[0], 2);
        assert_memory_equal(back.blobs[0].data, "blob", 4);
        assert_int_equal(back.gone, version <= 1 ? 15 : 0);
    }
}

static void nullable_structs_are_there_or_not(void **state)
{
    (void)state;
    struct kafka_everything_request message;
    fill(&message);
    assert_null(round_trip(0, &message).maybe);
    assert_int_equal(round_trip(1, &message).maybe->where.x, 12);
    message.maybe = NULL;
    assert_null(round_trip(1, &message).maybe);
    assert_null(round_trip(3, &message).maybe);
}

static void nulls_become_empty_where_a_version_knows_none(void **state)
{
    (void)state;
    struct kafka_everything_request message;
    kafka_everything_request_init(&message);
    for (int16_t version = 0; version <= 3; version++) {
        struct kafka_everything_request back = round_trip(version, &message);
        assert_true((back.raw.data == NULL) == (version >= 1));
        assert_true((back.points == NULL) == (version <= 1));
        assert_non_null(back.blobs);
    }
}

static void tagged_fields_of_every_type_come_back(void **state)
{
    (void)state;
    struct kafka_everything_request message;
    fill(&message);
    for (int16_t version = 0; version <= 3; version++) {
        struct kafka_everything_request back = round_trip(version, &message);
        assert_int_equal(back.late, version >= 2 ? 8 : 7);
        assert_int_equal(back.later.length, version >= 3 ? 5 : 0);
        assert_int_equal(back.off, version < 2);
        assert_int_equal(back.id.bytes[15], version >= 2 ? 3 : 0);
        assert_int_equal(back.near.x, version >= 2 ? 14 : 0);
    }
}

static void a_tagged_field_is_unknown_before_its_version(void **state)
{
    (void)state;
    struct kafka_everything_request message;
    struct kafka_everything_request back;
    struct kafka_reader reader;
    kafka_everything_request_init(&message);
    message.later = kafka_string_of("x");
    round_trip(3, &message);
    kafka_reader_init(&reader, writer.data, writer.size);
    assert_int_equal(kafka_everything_request_decode(&reader, 2, &arena, &back), 0);
    assert_int_equal(back.later.length, 0);
}

static void unadvertised_apis_are_in_the_table_but_not_listed(void **state)
{
    (void)state;
    assert_int_equal(kafka_apis_count, 1);
    assert_int_equal(kafka_apis[0].key, KAFKA_API_EVERYTHING);
    assert_int_equal(kafka_apis[0].flexible_version, 2);
    assert_false(kafka_apis[0].advertised);
}

static void present_is_any_byte_that_is_not_negative(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0, 1, 0x7f, 0xff, 0x80};
    struct kafka_reader reader;
    kafka_reader_init(&reader, bytes, sizeof(bytes));
    reader.arena = &arena;
    assert_non_null(kafka_read_nullable(&reader, 4));
    assert_non_null(kafka_read_nullable(&reader, 4));
    assert_non_null(kafka_read_nullable(&reader, 4));
    assert_null(kafka_read_nullable(&reader, 4));
    assert_null(kafka_read_nullable(&reader, 4));
    assert_int_equal(reader.error, 0);
    assert_int_equal(kafka_reader_left(&reader), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fields_start_as_the_schema_says),
        TEST(every_type_comes_back),
        TEST(nullable_structs_are_there_or_not),
        TEST(nulls_become_empty_where_a_version_knows_none),
        TEST(tagged_fields_of_every_type_come_back),
        TEST(a_tagged_field_is_unknown_before_its_version),
        TEST(unadvertised_apis_are_in_the_table_but_not_listed),
        TEST(present_is_any_byte_that_is_not_negative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
