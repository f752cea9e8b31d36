/* SPDX-License-Identifier: Apache-2.0
 *
 * Names that a request has more than once, where each may stand there once: Kafka refuses such a
 * one, each time it stands there.
 */
#ifndef BECK_NETD_KAFKA_DOUBLES_H
#define BECK_NETD_KAFKA_DOUBLES_H

#include "codec/arena.h"
#include "codec/wire.h"

enum occurrence {
    OCCURS_ONCE,
    OCCURS_FIRST, /* of several times */
    OCCURS_AGAIN,
};

/* For each of `count` names; one that is null occurs once. NULL: no memory. */
const enum occurrence *doubles_find(struct kafka_arena *arena, const struct kafka_string *names,
                                    uint32_t count);

#endif
