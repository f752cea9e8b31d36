/* SPDX-License-Identifier: Apache-2.0
 *
 * What a regular expression says of each topic, so that it is asked once: a topic's name stays, and
 * asking may be dear. One look through all topics notes all verdicts anew, by those of the look
 * before; so those of topics that are gone go, too.
 */
#ifndef BECK_NETD_GROUP_VERDICTS_H
#define BECK_NETD_GROUP_VERDICTS_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/wire.h"
#include "group/regex.h"

struct verdict {
    struct kafka_uuid id; /* the topic's */
    enum regex_answer answer;
};

struct verdicts {
    struct verdict *list; /* of the last look, by id */
    uint32_t count;
    struct verdict *next; /* of the one under way */
    uint32_t next_count;
    uint32_t next_room;
};

/* REGEX_UNKNOWN: the topic was not there. */
enum regex_answer verdicts_of(const struct verdicts *verdicts, const struct kafka_uuid *id);
/* In the look that is under way. -ENOMEM. */
int verdicts_note(struct verdicts *verdicts, const struct kafka_uuid *id, enum regex_answer answer);
/* The look is over; `whole`: it went through all topics. */
void verdicts_turn(struct verdicts *verdicts, bool whole);
void verdicts_done(struct verdicts *verdicts);

#endif
