/* SPDX-License-Identifier: Apache-2.0
 *
 * Single fields of single messages, from bytes written by hand: nulls, defaults, tagged fields,
 * records, headers, and lengths that lie. codec_test.c goes over all messages.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "messages.h"

#define DECODE(fixture, name, version, bytes, ret)                                                 \
    ({                                                                                             \
        struct kafka_reader reader_;                                                               \
        kafka_reader_init(&reader_, bytes, sizeof(bytes));                                         \
        kafka_arena_reset(&(fixture)->arena);                                                      \
        kafka_##name##_decode(&reader_, version, &(fixture)->arena, ret);                          \
    })

#define assert_string(string, text) assert_true(kafka_string_equal(string, kafka_string_of(text)))

static void assert_written(const struct fixture *fixture, const void *bytes, size_t size)
{
    assert_int_equal(fixture->writer.size, size);
    assert_memory_equal(fixture->writer.data, bytes, size);
}

#define assert_writer_holds(fixture, ...)                                                          \
    do {                                                                                           \
        const uint8_t expected_[] = {__VA_ARGS__};                                                 \
        assert_written(fixture, expected_, sizeof(expected_));                                     \
    } while (0)

/* ---- Single messages ---- */

static void metadata_tells_all_topics_from_none(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_metadata_request request;

    const uint8_t null_v1[] = {0xff, 0xff, 0xff, 0xff};
    assert_int_equal(DECODE(fixture, metadata_request, 1, null_v1, &request), 0);
    assert_null(request.topics);
    assert_int_equal(request.topics_count, 0);

    const uint8_t empty_v1[] = {0, 0, 0, 0};
    assert_int_equal(DECODE(fixture, metadata_request, 1, empty_v1, &request), 0);
    assert_non_null(request.topics);
    assert_int_equal(request.topics_count, 0);

    const uint8_t null_v9[] = {0, 1, 0, 0, 0};
    assert_int_equal(DECODE(fixture, metadata_request, 9, null_v9, &request), 0);
    assert_null(request.topics);

    const uint8_t empty_v9[] = {1, 1, 0, 0, 0};
    assert_int_equal(DECODE(fixture, metadata_request, 9, empty_v9, &request), 0);
    assert_non_null(request.topics);

    assert_int_equal(DECODE(fixture, metadata_request, 0, null_v1, &request), -EBADMSG);
}

static void metadata_request_fields(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_metadata_request request;
    const uint8_t v10[] = {
        3,                                                         /* two topics */
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 'a', 0, /* by name */
        9, 8, 7, 6, 5, 4, 3, 2, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0,      /* by id */
        0, 1, 0, 0,
    };
    assert_int_equal(DECODE(fixture, metadata_request, 10, v10, &request), 0);
    assert_int_equal(request.topics_count, 2);
    assert_string(request.topics[0].name, "a");
    assert_true(kafka_uuid_is_zero(&request.topics[0].topic_id));
    assert_null(request.topics[1].name.data);
    assert_int_equal(request.topics[1].topic_id.bytes[0], 9);
    assert_false(request.allow_auto_topic_creation);
    assert_true(request.include_cluster_authorized_operations);
    assert_false(request.include_topic_authorized_operations);
}

static void absent_fields_have_their_defaults(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_metadata_request request;
    const uint8_t v0[] = {0, 0, 0, 0};
    assert_int_equal(DECODE(fixture, metadata_request, 0, v0, &request), 0);
    assert_true(request.allow_auto_topic_creation);

    struct kafka_init_producer_id_request init;
    const uint8_t init_v0[] = {0xff, 0xff, 0, 0, 0, 9};
    assert_int_equal(DECODE(fixture, init_producer_id_request, 0, init_v0, &init), 0);
    assert_null(init.transactional_id.data);
    assert_int_equal(init.transaction_timeout_ms, 9);
    assert_int_equal(init.producer_id, -1);
    assert_int_equal(init.producer_epoch, -1);

    struct kafka_fetch_request fetch;
    kafka_fetch_request_init(&fetch);
    assert_int_equal(fetch.max_bytes, 0x7fffffff);
    assert_int_equal(fetch.session_epoch, -1);
    assert_int_equal(fetch.replica_state.replica_id, -1);
    assert_string(fetch.rack_id, "");

    struct kafka_metadata_response_topic *topics =
        kafka_metadata_response_topic_array(&fixture->arena, 2);
    assert_int_equal(topics[1].topic_authorized_operations, INT32_MIN);
}

static void produce_records_are_borrowed(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_produce_request request;
    const uint8_t v3[] = {
        0xff, 0xff,                        /* no transactional id */
        0xff, 0xff, 0, 0, 0x75, 0x30,      /* acks, timeout */
        0,    0,    0, 1, 0,    1,    't', /* one topic */
        0,    0,    0, 2,                  /* two partitions */
        0,    0,    0, 7, 0,    0,    0,   3, 1, 2, 3, 0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff,
    };
    assert_int_equal(DECODE(fixture, produce_request, 3, v3, &request), 0);
    assert_int_equal(request.acks, -1);
    assert_int_equal(request.timeout_ms, 30000);
    assert_null(request.transactional_id.data);
    assert_string(request.topic_data[0].name, "t");
    const struct kafka_produce_request_partition *partitions = request.topic_data[0].partition_data;
    assert_int_equal(request.topic_data[0].partition_data_count, 2);
    assert_int_equal(partitions[0].index, 7);
    assert_int_equal(partitions[0].records.source, KAFKA_RECORDS_MEMORY);
    assert_int_equal(partitions[0].records.size, 3);
    assert_ptr_equal(partitions[0].records.data, &v3[sizeof(v3) - 11]);
    assert_int_equal(partitions[1].records.source, KAFKA_RECORDS_NULL);
}

static void produce_before_version_3_lists_its_partitions(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_produce_request request;
    const uint8_t v0[] = {
        0, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 1, 0xff,
    };
    for (int16_t version = 0; version < 3; version++) {
        assert_int_equal(DECODE(fixture, produce_request, version, v0, &request), 0);
        assert_int_equal(request.acks, 1);
        assert_int_equal(request.topic_data[0].partition_data[0].index, 5);
    }

    struct kafka_produce_response response;
    kafka_produce_response_init(&response);
    response.responses = kafka_produce_response_topic_array(&fixture->arena, 1);
    response.responses_count = 1;
    response.responses[0].name = kafka_string_of("t");
    response.responses[0].partition_responses =
        kafka_produce_response_partition_array(&fixture->arena, 1);
    response.responses[0].partition_responses_count = 1;
    response.responses[0].partition_responses[0].index = 5;
    response.responses[0].partition_responses[0].error_code = 35;
    response.responses[0].partition_responses[0].base_offset = -1;
    assert_int_equal(kafka_produce_response_encode(&fixture->writer, 0, &response), 0);
    assert_writer_holds(fixture, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 5, 0, 35, 0xff, 0xff,
                        0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
}

/* A response to a fetch of one partition, with these records. */
static void build_fetch(struct fixture *fixture, struct kafka_records records,
                        struct kafka_fetch_response *ret)
{
    kafka_fetch_response_init(ret);
    ret->responses = kafka_fetch_response_topic_array(&fixture->arena, 1);
    ret->responses_count = 1;
    ret->responses[0].topic = kafka_string_of("t");
    ret->responses[0].partitions = kafka_fetch_response_partition_array(&fixture->arena, 1);
    ret->responses[0].partitions_count = 1;
    ret->responses[0].partitions[0].records = records;
}

static void empty_records_have_length_0_and_null_ones_minus_1(void **state)
{
    static const struct {
        struct kafka_records records;
        uint8_t v4_length;
        uint8_t v12_length;
    } cases[] = {
        {{.source = KAFKA_RECORDS_MEMORY}, 0x00, 1},
        {{.source = KAFKA_RECORDS_FILE, .fd = 3}, 0x00, 1},
        {{.source = KAFKA_RECORDS_NULL}, 0xff, 0},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kafka_fetch_response response;
        build_fetch(fixture, cases[i].records, &response);
        kafka_writer_reset(&fixture->writer);
        assert_int_equal(kafka_fetch_response_encode(&fixture->writer, 4, &response), 0);
        for (size_t k = 1; k <= 4; k++)
            assert_int_equal(fixture->writer.data[fixture->writer.size - k], cases[i].v4_length);
        kafka_writer_reset(&fixture->writer);
        assert_int_equal(kafka_fetch_response_encode(&fixture->writer, 12, &response), 0);
        /* Behind the records: the tags of partition, topic and response. */
        assert_int_equal(fixture->writer.data[fixture->writer.size - 4], cases[i].v12_length);
        assert_int_equal(fixture->writer.attachments_count, 0);
    }
}

/* The output with the attachments' bytes put where they belong; `file` stands for each file. */
static uint8_t *splice(const struct kafka_writer *writer, const uint8_t *file, size_t *ret_size)
{
    uint8_t *out = malloc(writer->size + writer->attached_bytes);
    size_t from = 0;
    size_t to = 0;
    for (size_t i = 0; i < writer->attachments_count; i++) {
        const struct kafka_attachment *attachment = &writer->attachments[i];
        memcpy(out + to, writer->data + from, attachment->offset - from);
        to += attachment->offset - from;
        from = attachment->offset;
        memcpy(out + to, file + attachment->position, attachment->size);
        to += attachment->size;
    }
    memcpy(out + to, writer->data + from, writer->size - from);
    *ret_size = to + writer->size - from;
    return out;
}

static void records_in_a_file_give_the_bytes_of_records_in_memory(void **state)
{
    static const uint8_t file[300] = {[100] = 0xaa, [101] = 0xbb, [299] = 0xcc};
    struct fixture *fixture = *state;
    const struct kafka_api *api = kafka_api_find(KAFKA_API_FETCH);
    int owner;
    for (int16_t version = api->min_version; version <= api->max_version; version++) {
        struct kafka_fetch_response response;
        build_fetch(fixture, kafka_records_of_memory(file + 100, 200), &response);
        kafka_writer_reset(&fixture->writer);
        kafka_response_begin(&fixture->writer, api, version, 42);
        assert_int_equal(kafka_fetch_response_encode(&fixture->writer, version, &response), 0);
        assert_int_equal(kafka_writer_frame_end(&fixture->writer), 0);
        assert_int_equal(fixture->writer.attachments_count, 0);

        struct kafka_writer attached;
        kafka_writer_init(&attached);
        build_fetch(fixture, kafka_records_of_file(5, 100, 200, &owner), &response);
        kafka_response_begin(&attached, api, version, 42);
        assert_int_equal(kafka_fetch_response_encode(&attached, version, &response), 0);
        assert_int_equal(kafka_writer_frame_end(&attached), 0);
        assert_int_equal(attached.attachments_count, 1);
        assert_int_equal(attached.attachments[0].fd, 5);
        assert_ptr_equal(attached.attachments[0].owner, &owner);
        assert_int_equal(attached.size, fixture->writer.size - 200);

        size_t size;
        uint8_t *spliced = splice(&attached, file, &size);
        assert_written(fixture, spliced, size);
        free(spliced);
        kafka_writer_done(&attached);
    }
}

static void tagged_fields_that_are_as_they_started_are_left_out(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_api_versions_response response;
    kafka_api_versions_response_init(&response);
    assert_int_equal(kafka_api_versions_response_encode(&fixture->writer, 3, &response), 0);
    assert_writer_holds(fixture, 0, 0, 1, 0, 0, 0, 0, 0);

    kafka_writer_reset(&fixture->writer);
    response.finalized_features_epoch = 1;
    response.zk_migration_ready = true;
    assert_int_equal(kafka_api_versions_response_encode(&fixture->writer, 3, &response), 0);
    assert_writer_holds(fixture, 0, 0, 1, 0, 0, 0, 0, 2, 1, 8, 0, 0, 0, 0, 0, 0, 0, 1, 3, 1, 1);
}

static void tagged_structs_are_read(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_fetch_request request;
    const uint8_t v15[] = {
        0, 0, 0, 1,   0,   0, 0,  2, 0, 0, 0, 3, 1, 0, 0, 0, 4, 0, 0, 0,
        5, 1, 1, 2,   'r', 2, /* tagged fields: the cluster's id, the replica's state */
        0, 3, 3, 'i', 'd', 1, 13, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 7, 0,
    };
    assert_int_equal(DECODE(fixture, fetch_request, 15, v15, &request), 0);
    assert_int_equal(request.max_wait_ms, 1);
    assert_int_equal(request.min_bytes, 2);
    assert_int_equal(request.max_bytes, 3);
    assert_int_equal(request.isolation_level, 1);
    assert_int_equal(request.session_id, 4);
    assert_int_equal(request.session_epoch, 5);
    assert_string(request.rack_id, "r");
    assert_string(request.cluster_id, "id");
    assert_int_equal(request.replica_state.replica_id, 6);
    assert_int_equal(request.replica_state.replica_epoch, 7);
}

static void unknown_tagged_fields_are_skipped(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_init_producer_id_request request;
    const uint8_t v2[] = {2, 'x', 0, 0, 0, 1, 2, 5, 3, 9, 9, 9, 0x80, 0x01, 0};
    assert_int_equal(DECODE(fixture, init_producer_id_request, 2, v2, &request), 0);
    assert_string(request.transactional_id, "x");
    assert_int_equal(request.transaction_timeout_ms, 1);
}

static void tagged_fields_must_ascend(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_init_producer_id_request request;
    const uint8_t twice[] = {2, 'x', 0, 0, 0, 1, 2, 5, 0, 5, 0};
    const uint8_t back[] = {2, 'x', 0, 0, 0, 1, 2, 5, 0, 4, 0};
    const uint8_t good[] = {2, 'x', 0, 0, 0, 1, 2, 5, 0, 6, 0};
    assert_int_equal(DECODE(fixture, init_producer_id_request, 2, twice, &request), -EBADMSG);
    assert_int_equal(DECODE(fixture, init_producer_id_request, 2, back, &request), -EBADMSG);
    assert_int_equal(DECODE(fixture, init_producer_id_request, 2, good, &request), 0);
}

static void tagged_fields_must_be_as_long_as_they_say(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_api_versions_response response;
    uint8_t bytes[] = {0, 0, 1, 0, 0, 0, 0, 1, 1, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0};
    const size_t size_at = 9;
    struct kafka_reader reader;
    for (uint8_t said = 0; said < 12; said++) {
        bytes[size_at] = said;
        /* The last byte is there for those that say too much. */
        kafka_reader_init(&reader, bytes, sizeof(bytes) - (said <= 8));
        int r = kafka_api_versions_response_decode(&reader, 3, &fixture->arena, &response);
        assert_int_equal(r, said == 8 ? 0 : -EBADMSG);
    }
    assert_int_equal(response.finalized_features_epoch, 1);
}

static void null_is_written_as_empty_where_a_version_knows_no_null(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_delete_topics_response response;
    kafka_delete_topics_response_init(&response);
    response.responses = kafka_delete_topics_response_topic_array(&fixture->arena, 1);
    response.responses_count = 1;
    assert_int_equal(kafka_delete_topics_response_encode(&fixture->writer, 1, &response), 0);
    assert_writer_holds(fixture, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0);
}

static void a_string_that_is_too_long_is_not_written(void **state)
{
    struct fixture *fixture = *state;
    const struct kafka_api *api = kafka_api_find(KAFKA_API_METADATA);
    char *text = calloc(1, KAFKA_STRING_MAX_BYTES + 1);
    struct kafka_metadata_response response;
    kafka_metadata_response_init(&response);
    for (int16_t version = 8; version <= 9; version++) {
        response.cluster_id = (struct kafka_string){text, KAFKA_STRING_MAX_BYTES};
        kafka_response_begin(&fixture->writer, api, version, 1);
        assert_int_equal(kafka_metadata_response_encode(&fixture->writer, version, &response), 0);
        assert_int_equal(kafka_writer_frame_end(&fixture->writer), 0);
        size_t size = fixture->writer.size;

        response.cluster_id.length++;
        kafka_response_begin(&fixture->writer, api, version, 1);
        assert_int_equal(kafka_metadata_response_encode(&fixture->writer, version, &response),
                         -EMSGSIZE);
        assert_int_equal(kafka_writer_frame_end(&fixture->writer), -EMSGSIZE);
        assert_int_equal(fixture->writer.size, size);
        assert_int_equal(fixture->writer.error, 0);
    }
    free(text);
}

/* ---- Lengths that lie ---- */

static void lying_lengths_are_refused_before_memory_is_taken(void **state)
{
    static const struct {
        int16_t version;
        size_t size;
        uint8_t bytes[20];
    } cases[] = {
        {1, 4, {0x7f, 0xff, 0xff, 0xff}},                /* topics, and nothing behind */
        {1, 8, {0, 0, 0, 3, 0, 0, 0, 0}},                /* three topics in four bytes */
        {1, 4, {0x80, 0, 0, 0}},                         /* less than null */
        {1, 4, {0xff, 0xff, 0xff, 0xfe}},                /* likewise */
        {9, 6, {0xff, 0xff, 0xff, 0xff, 0x0f, 0}},       /* compact: 2^32 - 2 */
        {9, 7, {0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0}}, /* compact: six bytes */
        {9, 5, {0xff, 0xff, 0xff, 0xff, 0x1f}},          /* compact: 33 bits */
        {9, 3, {4, 1, 1}},                               /* three topics in two bytes */
    };
    struct fixture *fixture = *state;
    const struct kafka_message *message = &kafka_api_find(KAFKA_API_METADATA)->request;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kafka_metadata_request request;
        int r = decode_copy(fixture, message, cases[i].version, cases[i].bytes, cases[i].size,
                            &request, NULL);
        assert_int_equal(r, -EBADMSG);
        assert_null(fixture->arena.blocks);
    }
}

static void lying_string_and_records_lengths_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_init_producer_id_request init;
    const uint8_t long_string[] = {0, 5, 'a', 'b', 'c', 'd'};
    const uint8_t negative_string[] = {0xff, 0xfe, 0, 0, 0, 0};
    assert_int_equal(DECODE(fixture, init_producer_id_request, 0, long_string, &init), -EBADMSG);
    assert_int_equal(DECODE(fixture, init_producer_id_request, 0, negative_string, &init),
                     -EBADMSG);

    struct kafka_produce_request produce;
    uint8_t records[] = {0, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0, 1, 't',
                         0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 2, 1};
    assert_int_equal(DECODE(fixture, produce_request, 0, records, &produce), -EBADMSG);
    records[24] = 1;
    assert_int_equal(DECODE(fixture, produce_request, 0, records, &produce), 0);
}

static void a_request_above_the_arena_limit_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_metadata_request request;
    /* As many topics of one byte each as there is room for: each takes far more in memory. */
    size_t size = (size_t)1 << 20;
    uint8_t *bytes = calloc(1, size);
    uint32_t count = htobe32((uint32_t)(size - 4) / 2);
    memcpy(bytes, &count, sizeof(count));
    struct kafka_reader reader;
    kafka_reader_init(&reader, bytes, size);
    assert_int_equal(kafka_metadata_request_decode(&reader, 1, &fixture->arena, &request),
                     -EMSGSIZE);
    assert_null(fixture->arena.blocks);
    free(bytes);
}

/* ---- Headers ---- */

static void request_header_follows_api_and_version(void **state)
{
    (void)state;
    struct kafka_request_header header;
    const struct kafka_api *api;
    struct kafka_reader reader;

    const uint8_t v1[] = {0, 3, 0, 8, 0, 0, 0, 5, 0, 1, 'c', 0x77};
    kafka_reader_init(&reader, v1, sizeof(v1));
    assert_int_equal(kafka_request_header_read(&reader, &header, &api), 0);
    assert_int_equal(api->key, KAFKA_API_METADATA);
    assert_int_equal(header.request_api_version, 8);
    assert_int_equal(header.correlation_id, 5);
    assert_string(header.client_id, "c");
    assert_int_equal(kafka_read_int8(&reader), 0x77);

    const uint8_t v2[] = {0, 3, 0, 9, 0, 0, 0, 5, 0xff, 0xff, 1, 0, 1, 'z', 0x77};
    kafka_reader_init(&reader, v2, sizeof(v2));
    assert_int_equal(kafka_request_header_read(&reader, &header, &api), 0);
    assert_null(header.client_id.data);
    assert_int_equal(kafka_read_int8(&reader), 0x77);
}

static void unserved_requests_still_show_their_header(void **state)
{
    (void)state;
    struct kafka_request_header header;
    const struct kafka_api *api;
    struct kafka_reader reader;

    const uint8_t future[] = {0, 18, 0, 99, 0, 0, 0, 5, 0, 1, 'c', 0xff};
    kafka_reader_init(&reader, future, sizeof(future));
    assert_int_equal(kafka_request_header_read(&reader, &header, &api), 0);
    assert_int_equal(api->key, KAFKA_API_API_VERSIONS);
    assert_false(kafka_api_serves(api, header.request_api_version));
    assert_int_equal(header.correlation_id, 5);

    const uint8_t unknown[] = {0x7f, 0xff, 0, 0, 0, 0, 0, 6, 0, 0};
    kafka_reader_init(&reader, unknown, sizeof(unknown));
    assert_int_equal(kafka_request_header_read(&reader, &header, &api), 0);
    assert_null(api);
    assert_int_equal(header.correlation_id, 6);

    for (size_t size = 0; size < sizeof(unknown); size++) {
        kafka_reader_init(&reader, unknown, size);
        assert_int_equal(kafka_request_header_read(&reader, &header, &api), -EBADMSG);
    }
}

static void response_header_of_api_versions_is_never_flexible(void **state)
{
    struct fixture *fixture = *state;
    const struct kafka_api *versions = kafka_api_find(KAFKA_API_API_VERSIONS);
    for (int16_t version = 0; version <= versions->max_version; version++) {
        kafka_writer_reset(&fixture->writer);
        kafka_response_begin(&fixture->writer, versions, version, 7);
        assert_int_equal(kafka_writer_frame_end(&fixture->writer), 0);
        assert_writer_holds(fixture, 0, 0, 0, 4, 0, 0, 0, 7);
    }
    const struct kafka_api *metadata = kafka_api_find(KAFKA_API_METADATA);
    kafka_writer_reset(&fixture->writer);
    kafka_response_begin(&fixture->writer, metadata, 9, 7);
    assert_int_equal(kafka_writer_frame_end(&fixture->writer), 0);
    assert_writer_holds(fixture, 0, 0, 0, 5, 0, 0, 0, 7, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(metadata_tells_all_topics_from_none),
        TEST(metadata_request_fields),
        TEST(absent_fields_have_their_defaults),
        TEST(produce_records_are_borrowed),
        TEST(produce_before_version_3_lists_its_partitions),
        TEST(empty_records_have_length_0_and_null_ones_minus_1),
        TEST(records_in_a_file_give_the_bytes_of_records_in_memory),
        TEST(tagged_fields_that_are_as_they_started_are_left_out),
        TEST(tagged_structs_are_read),
        TEST(unknown_tagged_fields_are_skipped),
        TEST(tagged_fields_must_ascend),
        TEST(tagged_fields_must_be_as_long_as_they_say),
        TEST(null_is_written_as_empty_where_a_version_knows_no_null),
        TEST(a_string_that_is_too_long_is_not_written),
        TEST(lying_lengths_are_refused_before_memory_is_taken),
        TEST(lying_string_and_records_lengths_are_refused),
        TEST(a_request_above_the_arena_limit_is_refused),
        TEST(request_header_follows_api_and_version),
        TEST(unserved_requests_still_show_their_header),
        TEST(response_header_of_api_versions_is_never_flexible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
