/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of the APIs that are served, generated from schemas/, and the rules of request and
 * response headers, which are those of the API and version that they introduce.
 *
 * The table is the only place that says which versions there are: what ApiVersions answers is read
 * from it, and the generated functions refuse any other version. What to answer when a client asks
 * for another one is the connection's decision.
 */
#ifndef BECK_NETD_CODEC_API_H
#define BECK_NETD_CODEC_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/wire.h"

struct kafka_request_header;

/* One message's generated functions, for code that treats all messages alike; `struct` stands for
 * the message's struct, of `size` bytes. Handlers use the typed functions of messages.h. */
struct kafka_message {
    const char *name; /* "MetadataRequest" */
    size_t size;
    void (*init)(void *message);
    int (*decode)(struct kafka_reader *reader, int16_t version, struct kafka_arena *arena,
                  void *ret);
    int (*encode)(struct kafka_writer *writer, int16_t version, const void *message);
};

struct kafka_api {
    int16_t key;
    int16_t min_version;
    int16_t max_version;
    int16_t flexible_version; /* the first flexible one; INT16_MAX if there is none */
    bool advertised;          /* whether ApiVersions lists it */
    const char *name;         /* "Metadata" */
    int32_t throttle_time_at; /* where the response's struct has throttle_time_ms; -1: nowhere */
    struct kafka_message request;
    struct kafka_message response;
};

/* All APIs, by ascending key. */
extern const struct kafka_api kafka_apis[];
extern const size_t kafka_apis_count;

/* The API of that key, or NULL. */
const struct kafka_api *kafka_api_find(int16_t key);

static inline bool kafka_api_serves(const struct kafka_api *api, int16_t version)
{
    return version >= api->min_version && version <= api->max_version;
}

/* The version of the header in front of a request or response of this API and version. */
int16_t kafka_api_request_header_version(const struct kafka_api *api, int16_t version);
int16_t kafka_api_response_header_version(const struct kafka_api *api, int16_t version);

/* Reads the header in front of a request, in the version that its API key and version call for,
 * and leaves the reader at the body. For an API or version that is not served the header is still
 * read up to the client id, so that the caller can answer or log it, but the body must not be
 * decoded then. *ret_api is NULL if the key is unknown. -EBADMSG: malformed. */
int kafka_request_header_read(struct kafka_reader *reader, struct kafka_request_header *ret,
                              const struct kafka_api **ret_api);

/* Opens a frame and writes the header of the response to a request of this API and version. The
 * body follows by the generated encode function, then kafka_writer_frame_end(). */
void kafka_response_begin(struct kafka_writer *writer, const struct kafka_api *api, int16_t version,
                          int32_t correlation_id);

#endif
