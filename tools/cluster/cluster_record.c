/* SPDX-License-Identifier: Apache-2.0 */
/* librdkafka's messages as records. */
#include "cluster_record.h"

#include <string.h>

static int take_headers(const rd_kafka_message_t *message, struct headers *headers)
{
    rd_kafka_headers_t *from = NULL;
    const char *name;
    const void *value;
    size_t size;

    headers_reset(headers);
    if (rd_kafka_message_headers(message, &from) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    for (size_t i = 0;
         rd_kafka_header_get_all(from, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        int result = headers_add(headers, name, (int32_t)strlen(name), value,
                                 value != NULL ? (int32_t)size : -1);
        if (result < 0)
            return result;
    }
    return 0;
}

int cluster_record(const rd_kafka_message_t *message, struct headers *headers,
                   struct beck_record *ret_record)
{
    rd_kafka_timestamp_type_t type;
    struct beck_record record = {
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
        .key = message->key,
        .key_size = message->key != NULL ? (int32_t)message->key_len : -1,
        .value = message->payload,
        .value_size = message->payload != NULL ? (int32_t)message->len : -1,
    };

    record.log_append_time = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
    int result = take_headers(message, headers);
    if (result < 0)
        return result;
    headers_give(headers, &record);
    *ret_record = record;
    return 0;
}
