/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks up APIs and knows which header goes with which message. The one exception among headers:
 * the response to ApiVersions has header version 0 always, for it is read by clients that don't
 * know yet whether the broker speaks flexible versions.
 */
#include "codec/api.h"

#include <errno.h>

#include "messages.h"

const struct kafka_api *kafka_api_find(int16_t key)
{
    size_t low = 0;
    size_t high = kafka_apis_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (kafka_apis[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < kafka_apis_count && kafka_apis[low].key == key ? &kafka_apis[low] : NULL;
}

int16_t kafka_api_request_header_version(const struct kafka_api *api, int16_t version)
{
    return version >= api->flexible_version ? 2 : 1;
}

int16_t kafka_api_response_header_version(const struct kafka_api *api, int16_t version)
{
    if (api->key == KAFKA_API_API_VERSIONS)
        return 0;
    return version >= api->flexible_version ? 1 : 0;
}

/* The fields that every version of the header has, client id included; the tagged fields of
 * version 2 are left to be read. */
static void read_common_header(struct kafka_reader *reader, struct kafka_request_header *ret)
{
    kafka_request_header_init(ret);
    ret->request_api_key = kafka_read_int16(reader);
    ret->request_api_version = kafka_read_int16(reader);
    ret->correlation_id = kafka_read_int32(reader);
    ret->client_id = kafka_read_classic_string(reader, true);
}

int kafka_request_header_read(struct kafka_reader *reader, struct kafka_request_header *ret,
                              const struct kafka_api **ret_api)
{
    struct kafka_request_header header;
    read_common_header(reader, &header);
    const struct kafka_api *api = kafka_api_find(header.request_api_key);
    if (api && kafka_api_serves(api, header.request_api_version) &&
        kafka_api_request_header_version(api, header.request_api_version) >= 2)
        kafka_read_tags_unknown(reader);
    if (reader->error)
        return reader->error;
    *ret = header;
    *ret_api = api;
    return 0;
}

void kafka_response_begin(struct kafka_writer *writer, const struct kafka_api *api, int16_t version,
                          int32_t correlation_id)
{
    struct kafka_response_header header = {.correlation_id = correlation_id};
    kafka_writer_frame_begin(writer);
    int16_t header_version = kafka_api_response_header_version(api, version);
    (void)kafka_response_header_encode(writer, header_version, &header);
}
