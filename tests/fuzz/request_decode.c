/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes the codec: the input is a request as it stands in a frame, header first. What decodes
 * must encode, and decode again to the same; the same bytes are tried as a response of that API
 * too, since both share the runtime. The header names API and version, so the fuzzer finds every
 * message by itself; requests made of tests/netd/codec/vectors/messages.txt (request_seeds.py) are
 * good seeds.
 */
#include <errno.h>
#include <stdlib.h>

#include "codec/api.h"
#include "messages.h"

#define ARENA_LIMIT_BYTES ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* What is decoded into and written to, kept from input to input: taking the memory would cost more
 * than the codec does. */
static struct {
    struct kafka_arena arena;
    struct kafka_writer first;
    struct kafka_writer second;
    void *decoded;
} kept;

static void begin(void)
{
    if (!kept.decoded) {
        size_t size = 0;
        for (size_t i = 0; i < kafka_apis_count; i++) {
            size = kafka_apis[i].request.size > size ? kafka_apis[i].request.size : size;
            size = kafka_apis[i].response.size > size ? kafka_apis[i].response.size : size;
        }
        must((kept.decoded = malloc(size)) != NULL);
        kafka_arena_init(&kept.arena, ARENA_LIMIT_BYTES);
        kafka_writer_init(&kept.first);
        kafka_writer_init(&kept.second);
    }
    kafka_arena_reset(&kept.arena);
    kafka_writer_reset(&kept.first);
    kafka_writer_reset(&kept.second);
}

/* Decodes, encodes, decodes and encodes again: from the first encoding on, bytes must not change.
 */
static void round_trip(const struct kafka_message *message, int16_t version, const uint8_t *data,
                       size_t size)
{
    struct kafka_reader reader;
    begin();
    kafka_reader_init(&reader, data, size);
    int r = message->decode(&reader, version, &kept.arena, kept.decoded);
    must(r == 0 || r == -EBADMSG || r == -EMSGSIZE);
    must(kept.arena.used_bytes <= ARENA_LIMIT_BYTES);
    if (r < 0)
        return;
    must(message->encode(&kept.first, version, kept.decoded) == 0);
    kafka_arena_reset(&kept.arena);
    kafka_reader_init(&reader, kept.first.data, kept.first.size);
    must(message->decode(&reader, version, &kept.arena, kept.decoded) == 0);
    must(message->encode(&kept.second, version, kept.decoded) == 0);
    must(kept.first.size == kept.second.size);
    must(kept.first.size == 0 || memcmp(kept.first.data, kept.second.data, kept.first.size) == 0);
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
