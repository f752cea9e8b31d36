/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular expressions for names of topics, as members send them: a name matches as a whole. What
 * one may cost is bounded, whatever is sent.
 */
#ifndef BECK_NETD_GROUP_REGEX_H
#define BECK_NETD_GROUP_REGEX_H

#include <stdint.h>

#include "codec/wire.h"

#define REGEX_PATTERN_BYTES 4096
#define REGEX_MATCH_STEPS   10000 /* to try one name; more, and it does not match */
#define REGEX_FEW_STEPS     200   /* enough for nearly all that people write */

struct regex;

/* -EINVAL: this is none, or it is longer than REGEX_PATTERN_BYTES. -ENOMEM. */
int regex_new(struct kafka_string pattern, struct regex **ret_regex);
/* Takes NULL. */
struct regex *regex_free(struct regex *regex);

enum regex_answer {
    REGEX_UNKNOWN,
    REGEX_NO,
    REGEX_YES,
    REGEX_DEAR, /* not known after so many steps */
};

/* Does it match this name? */
enum regex_answer regex_try(const struct regex *regex, const char *name, uint32_t steps);

#endif
