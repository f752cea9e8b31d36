/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes the codec: the input is a request as it stands in a frame, header first. What decodes
 * must encode, and decode again to the same; the same bytes are tried as a response of that API
 * too, since both share the runtime. The header names API and version, so the fuzzer finds every
 * message by itself; requests made of tests/netd/vectors/messages.txt are good seeds.
 *
 *     clang -g -fsanitize=fuzzer,address,undefined ... request_decode.c
 */
#include <errno.h>
#include <stdlib.h>

#include "kafka/api.h"
#include "messages.h"

#define ARENA_LIMIT_BYTES ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Decodes, encodes, decodes and encodes again: from the first encoding on, bytes must not change.
 */
static void round_trip(const struct kafka_message *message, int16_t version, const uint8_t *data,
                       size_t size)
{
    struct kafka_arena arena;
    struct kafka_writer first;
    struct kafka_writer second;
    struct kafka_reader reader;
    void *decoded = malloc(message->size);
    must(decoded != NULL);
    kafka_arena_init(&arena, ARENA_LIMIT_BYTES);
    kafka_writer_init(&first);
    kafka_writer_init(&second);

    kafka_reader_init(&reader, data, size);
    int r = message->decode(&reader, version, &arena, decoded);
    must(r == 0 || r == -EBADMSG || r == -EMSGSIZE);
    must(arena.used_bytes <= ARENA_LIMIT_BYTES);
    if (r == 0) {
        must(message->encode(&first, version, decoded) == 0);
        kafka_arena_reset(&arena);
        kafka_reader_init(&reader, first.data, first.size);
        must(message->decode(&reader, version, &arena, decoded) == 0);
        must(message->encode(&second, version, decoded) == 0);
        must(first.size == second.size);
        must(first.size == 0 || memcmp(first.data, second.data, first.size) == 0);
    }

    kafka_arena_done(&arena);
    kafka_writer_done(&first);
    kafka_writer_done(&second);
    free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kafka_request_header header;
    const struct kafka_api *api;
    struct kafka_reader reader;
    kafka_reader_init(&reader, data, size);
    if (kafka_request_header_read(&reader, &header, &api) < 0)
        return 0;
    if (!api || !kafka_api_serves(api, header.request_api_version))
        return 0;
    round_trip(&api->request, header.request_api_version, reader.at, kafka_reader_left(&reader));
    round_trip(&api->response, header.request_api_version, reader.at, kafka_reader_left(&reader));
    return 0;
}
