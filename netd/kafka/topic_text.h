/* SPDX-License-Identifier: Apache-2.0
 *
 * Names from the wire as the library wants them.
 */
#ifndef BECK_NETD_KAFKA_TOPIC_TEXT_H
#define BECK_NETD_KAFKA_TOPIC_TEXT_H

#include <string.h>

#include "codec/arena.h"
#include "codec/wire.h"

/* The string with a final NUL. One that has a NUL inside, which would end it early and make it
 * another name, becomes the empty string, which is no name. NULL: no memory. */
static inline const char *topic_text(struct kafka_arena *arena, struct kafka_string string)
{
    if (!string.data || memchr(string.data, '\0', string.length))
        return "";
    return kafka_arena_copy(arena, string.data, string.length);
}

#endif
