/* SPDX-License-Identifier: Apache-2.0
 *
 * The generated codec over all messages and versions: by vectors that Kafka's own client made, by
 * the first frames of real clients, and by its table. messages_test.c looks at single fields.
 *
 *     codec_test messages.txt frames.txt
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "messages.h"
#include "vectors.h"

static struct vectors vectors;
static struct vectors frames;

/* ---- Headers, in the form of the table's messages ---- */

static int decode_request_header(struct kafka_reader *reader, int16_t version,
                                 struct kafka_arena *arena, void *ret)
{
    return kafka_request_header_decode(reader, version, arena, ret);
}

static int encode_request_header(struct kafka_writer *writer, int16_t version, const void *message)
{
    return kafka_request_header_encode(writer, version, message);
}

static int decode_response_header(struct kafka_reader *reader, int16_t version,
                                  struct kafka_arena *arena, void *ret)
{
    return kafka_response_header_decode(reader, version, arena, ret);
}

static int encode_response_header(struct kafka_writer *writer, int16_t version, const void *message)
{
    return kafka_response_header_encode(writer, version, message);
}

/* A message and the versions of it that are served. */
struct subject {
    const struct kafka_message *message;
    int16_t min_version;
    int16_t max_version;
};

static struct subject find_subject(const char *name)
{
    static const struct kafka_message request_header = {
        .name = "RequestHeader",
        .size = sizeof(struct kafka_request_header),
        .decode = decode_request_header,
        .encode = encode_request_header,
    };
    static const struct kafka_message response_header = {
        .name = "ResponseHeader",
        .size = sizeof(struct kafka_response_header),
        .decode = decode_response_header,
        .encode = encode_response_header,
    };
    if (strcmp(name, "RequestHeader") == 0)
        return (struct subject){&request_header, 1, 2};
    if (strcmp(name, "ResponseHeader") == 0)
        return (struct subject){&response_header, 0, 1};
    for (size_t i = 0; i < kafka_apis_count; i++) {
        const struct kafka_api *api = &kafka_apis[i];
        if (strcmp(name, api->request.name) == 0)
            return (struct subject){&api->request, api->min_version, api->max_version};
        if (strcmp(name, api->response.name) == 0)
            return (struct subject){&api->response, api->min_version, api->max_version};
    }
    fail_msg("no message %s", name);
    return (struct subject){0};
}

/* ---- All vectors ---- */

static void every_message_and_version_has_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < kafka_apis_count; i++) {
        const struct kafka_api *api = &kafka_apis[i];
        for (int16_t version = api->min_version; version <= api->max_version; version++) {
            size_t requests = 0;
            size_t responses = 0;
            for (size_t k = 0; k < vectors.count; k++) {
                const struct vector *vector = &vectors.list[k];
                requests += vector->version == version && !strcmp(vector->name, api->request.name);
                responses +=
                    vector->version == version && !strcmp(vector->name, api->response.name);
            }
            if (requests < 5 || responses < 5)
                fail_msg("%s v%d has %zu and %zu vectors", api->name, version, requests, responses);
        }
    }
}

static void decoded_vectors_encode_to_the_same_bytes(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < vectors.count; i++) {
        const struct vector *vector = &vectors.list[i];
        const struct kafka_message *message = find_subject(vector->name).message;
        void *decoded = calloc(1, message->size);
        uint8_t *copy;
        int r = decode_copy(fixture, message, vector->version, vector->bytes, vector->size, decoded,
                            &copy);
        if (r != 0)
            fail_msg("vector %zu, %s v%d: %d", i, vector->name, vector->version, r);
        kafka_writer_reset(&fixture->writer);
        assert_int_equal(message->encode(&fixture->writer, vector->version, decoded), 0);
        if (fixture->writer.size != vector->size ||
            (vector->size && memcmp(fixture->writer.data, vector->bytes, vector->size) != 0))
            fail_msg("vector %zu, %s v%d: other bytes", i, vector->name, vector->version);
        free(copy);
        free(decoded);
    }
}

/* What one version decoded, any other can carry, as far as it has the fields. */
static void decoded_vectors_encode_in_every_other_version(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_writer again;
    kafka_writer_init(&again);
    for (size_t i = 0; i < vectors.count; i++) {
        const struct vector *vector = &vectors.list[i];
        struct subject subject = find_subject(vector->name);
        const struct kafka_message *message = subject.message;
        void *decoded = calloc(1, message->size);
        for (int16_t other = subject.min_version; other <= subject.max_version; other++) {
            uint8_t *copy;
            assert_int_equal(decode_copy(fixture, message, vector->version, vector->bytes,
                                         vector->size, decoded, &copy),
                             0);
            kafka_writer_reset(&fixture->writer);
            assert_int_equal(message->encode(&fixture->writer, other, decoded), 0);
            free(copy);
            assert_int_equal(decode_copy(fixture, message, other, fixture->writer.data,
                                         fixture->writer.size, decoded, &copy),
                             0);
            kafka_writer_reset(&again);
            assert_int_equal(message->encode(&again, other, decoded), 0);
            free(copy);
            assert_int_equal(again.size, fixture->writer.size);
            if (again.size > 0)
                assert_memory_equal(again.data, fixture->writer.data, again.size);
        }
        free(decoded);
    }
    kafka_writer_done(&again);
}

static void every_truncation_is_refused(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < vectors.count; i++) {
        const struct vector *vector = &vectors.list[i];
        const struct kafka_message *message = find_subject(vector->name).message;
        uint8_t *decoded = malloc(message->size);
        memset(decoded, 0xa5, message->size);
        for (size_t size = 0; size < vector->size; size++) {
            int r =
                decode_copy(fixture, message, vector->version, vector->bytes, size, decoded, NULL);
            if (r != -EBADMSG)
                fail_msg("vector %zu, %s v%d, %zu of %zu bytes: %d", i, vector->name,
                         vector->version, size, vector->size, r);
        }
        for (size_t k = 0; k < message->size; k++)
            assert_int_equal(decoded[k], 0xa5); /* untouched on failure */
        free(decoded);
    }
}

static void a_byte_too_many_is_no_matter(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < vectors.count; i++) {
        const struct vector *vector = &vectors.list[i];
        const struct kafka_message *message = find_subject(vector->name).message;
        void *decoded = calloc(1, message->size);
        uint8_t *longer = calloc(1, vector->size + 1);
        uint8_t *copy;
        memcpy(longer, vector->bytes, vector->size);
        assert_int_equal(decode_copy(fixture, message, vector->version, longer, vector->size + 1,
                                     decoded, &copy),
                         0);
        kafka_writer_reset(&fixture->writer);
        assert_int_equal(message->encode(&fixture->writer, vector->version, decoded), 0);
        assert_int_equal(fixture->writer.size, vector->size);
        free(copy);
        free(longer);
        free(decoded);
    }
}

/* A changed byte may mean another message or none; it must neither lead out of the bytes nor to
 * more memory than the bytes can account for. No struct in memory is more than 256 times what it
 * takes on the wire. */
static void changed_bytes_stay_in_bounds(void **state)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < vectors.count; i++) {
        const struct vector *vector = &vectors.list[i];
        const struct kafka_message *message = find_subject(vector->name).message;
        void *decoded = calloc(1, message->size);
        for (size_t k = 0; k < vector->size * sizeof(values); k++) {
            uint8_t *byte = &vector->bytes[k / sizeof(values)];
            uint8_t kept = *byte;
            *byte = values[k % sizeof(values)];
            int r = decode_copy(fixture, message, vector->version, vector->bytes, vector->size,
                                decoded, NULL);
            *byte = kept;
            assert_true(r == 0 || r == -EBADMSG);
            assert_true(fixture->arena.used_bytes <= 256 * (vector->size + 1));
        }
        free(decoded);
    }
}

static void versions_outside_of_the_range_are_refused(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < kafka_apis_count; i++) {
        const struct kafka_api *api = &kafka_apis[i];
        const int16_t refused[] = {(int16_t)(api->min_version - 1), (int16_t)(api->max_version + 1),
                                   INT16_MAX, INT16_MIN};
        void *message = calloc(1, api->request.size + api->response.size);
        for (size_t k = 0; k < sizeof(refused) / sizeof(refused[0]); k++) {
            assert_int_equal(decode_copy(fixture, &api->request, refused[k], (const uint8_t *)"", 0,
                                         message, NULL),
                             -EPROTONOSUPPORT);
            api->response.init(message);
            assert_int_equal(api->response.encode(&fixture->writer, refused[k], message),
                             -EPROTONOSUPPORT);
        }
        assert_int_equal(fixture->writer.size, 0);
        free(message);
    }
}

/* ---- Frames and the table ---- */

static void first_frames_of_real_clients_are_understood(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < frames.count; i++) {
        const struct vector *frame = &frames.list[i];
        struct kafka_request_header header;
        const struct kafka_api *api;
        struct kafka_reader reader;
        kafka_reader_init(&reader, frame->bytes, frame->size);
        assert_int_equal(kafka_read_int32(&reader), frame->size - 4);
        assert_int_equal(kafka_request_header_read(&reader, &header, &api), 0);
        assert_ptr_equal(api, kafka_api_find(KAFKA_API_API_VERSIONS));
        assert_true(header.client_id.length > 0);

        struct kafka_api_versions_request request;
        assert_int_equal(kafka_api_versions_request_decode(&reader, header.request_api_version,
                                                           &fixture->arena, &request),
                         0);
        const char *version = strrchr(frame->name, '-') + 1;
        assert_memory_equal(request.client_software_version.data +
                                request.client_software_version.length - strlen(version),
                            version, strlen(version));
    }
}

static void the_table_is_sorted_and_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < kafka_apis_count; i++) {
        const struct kafka_api *api = &kafka_apis[i];
        assert_ptr_equal(kafka_api_find(api->key), api);
        assert_true(i == 0 || kafka_apis[i - 1].key < api->key);
        assert_true(api->min_version <= api->max_version);
    }
    assert_null(kafka_api_find(-1));
    assert_null(kafka_api_find(INT16_MAX));
    assert_null(kafka_api_find(7));
}

/* Versions that real clients rely on: fewer would turn features of theirs off, or them away. */
static void old_clients_find_the_versions_they_look_for(void **state)
{
    static const struct {
        int16_t key, min_version, max_version;
    } needed[] = {
        {KAFKA_API_PRODUCE, 0, 12},      {KAFKA_API_FETCH, 4, 17},
        {KAFKA_API_LIST_OFFSETS, 1, 10}, {KAFKA_API_METADATA, 0, 13},
        {KAFKA_API_API_VERSIONS, 0, 4},  {KAFKA_API_CREATE_TOPICS, 2, 7},
        {KAFKA_API_DELETE_TOPICS, 1, 6}, {KAFKA_API_INIT_PRODUCER_ID, 0, 5},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        const struct kafka_api *api = kafka_api_find(needed[i].key);
        assert_non_null(api);
        assert_true(api->advertised);
        assert_true(api->min_version <= needed[i].min_version);
        assert_true(api->max_version >= needed[i].max_version);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(every_message_and_version_has_vectors),
        TEST(decoded_vectors_encode_to_the_same_bytes),
        TEST(decoded_vectors_encode_in_every_other_version),
        TEST(every_truncation_is_refused),
        TEST(a_byte_too_many_is_no_matter),
        TEST(changed_bytes_stay_in_bounds),
        TEST(versions_outside_of_the_range_are_refused),
        TEST(first_frames_of_real_clients_are_understood),
        TEST(the_table_is_sorted_and_complete),
        TEST(old_clients_find_the_versions_they_look_for),
    };
    if (argc != 3) {
        print_error("usage: codec_test messages.txt frames.txt\n");
        return 2;
    }
    vectors = vectors_load(argv[1]);
    frames = vectors_load(argv[2]);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    vectors_free(&vectors);
    vectors_free(&frames);
    return failed;
}
