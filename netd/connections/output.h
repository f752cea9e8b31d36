/* SPDX-License-Identifier: Apache-2.0
 *
 * What a connection still has to send: frames in memory, with ranges of segment files in between
 * that go from the file to the socket without being copied. Ranges are released when they were
 * sent, or when the connection ends.
 */
#ifndef BECK_NETD_OUTPUT_H
#define BECK_NETD_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/wire.h"

struct output {
    struct kafka_writer writer; /* responses are encoded into it; owners are struct beck_range * */
    size_t sent;                /* of the writer's bytes */
    size_t attachment;          /* the first that is not sent whole */
    uint32_t attachment_sent;   /* of that one */
    uint64_t total_bytes;       /* that the client ever took */
};

void output_init(struct output *output);
void output_done(struct output *output);

/* Memory that is held for it. */
static inline size_t output_memory(const struct output *output)
{
    return output->writer.capacity +
           output->writer.attachments_capacity * sizeof(*output->writer.attachments);
}

static inline bool output_empty(const struct output *output)
{
    return output->writer.size == 0;
}

/* Frees what is held for the next answers, if there is nothing to send. */
void output_shrink(struct output *output);

/* Sends what the socket takes, at most about `budget` bytes. Returns 1 when all is gone, 0 when
 * some is left, or a negative errno: the connection is of no more use. */
int output_send(struct output *output, int fd, size_t budget);

#endif
