/* SPDX-License-Identifier: Apache-2.0 */
/*
 * librdkafka's messages as records. Headers are put into the encoding of RecordBatch v2 (KIP-98),
 * which a record has them in; memory is kept for the next one.
 */
#ifndef TOOLS_CLUSTER_RECORD_H
#define TOOLS_CLUSTER_RECORD_H

#include "beck.h"
#include "headers.h"

#include <librdkafka/rdkafka.h>

/* What the record points to is the message's, and `headers`'. -ENOMEM. */
int cluster_record(const rd_kafka_message_t *message, struct headers *headers,
                   struct beck_record *ret_record);

#endif
