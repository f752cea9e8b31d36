/* SPDX-License-Identifier: Apache-2.0
 *
 * The topics that members subscribe, by names and regular expressions, as the store has them: found
 * anew when the store's topics changed, or who subscribes what.
 */
#ifndef BECK_NETD_GROUP_TOPICS_H
#define BECK_NETD_GROUP_TOPICS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "codec/wire.h"
#include "group/regex.h"
#include "group/verdicts.h"

#define GROUP_TOPIC_NAME_BYTES 249
/* What one search may spend on names that are dear to match. It runs on the loop of all groups. */
#define TOPICS_SEARCH_STEPS (100 * REGEX_MATCH_STEPS)

struct group_topic {
    char name[GROUP_TOPIC_NAME_BYTES + 1];
    struct kafka_uuid id;
    uint32_t partition_count;
};

/* How the coordinator gets at the store's topics; see coordinator_environment. */
struct topics_source {
    void *context;
    /* Changes when topics do. Cheap. */
    uint64_t (*generation)(void *context);
    /* By name. -ENOENT, or another negative errno. */
    int (*find)(void *context, struct kafka_string name, struct group_topic *ret_topic);
    /* The first whose name comes after that one; 1, 0 behind the last, or a negative errno. */
    int (*next)(void *context, const char *after, struct group_topic *ret_topic);
};

/* A regular expression that members subscribe by. */
struct subscribed_regex {
    LIST_ENTRY(subscribed_regex) link;
    struct kafka_string text; /* a copy */
    struct regex *regex;
    struct verdicts verdicts;
    bool *matches; /* each of the topics that were found; NULL: not looked yet */
    unsigned refs;
};

LIST_HEAD(subscribed_regexes, subscribed_regex);

/* What one member subscribes. */
struct subscription {
    struct kafka_string *names; /* copies, in order, each once */
    uint32_t names_count;
    struct subscribed_regex *regex; /* NULL: none */
};

struct topics {
    struct group_topic *list; /* sorted by id */
    uint32_t count;
    uint64_t generation; /* of the store, when they were found */
    bool found;          /* all of them, and since then nobody changed a subscription */
    uint64_t digest;     /* of ids and partitions: whether they are others */
    struct subscribed_regexes regexes;
};

void topics_done(struct topics *topics);

/* Sets `ret_subscription`, which is zeroed. An empty pattern or null is none. -EINVAL: it is no
 * regular expression. -ENOMEM. */
int subscription_init(struct topics *topics, const struct kafka_string *names, uint32_t count,
                      struct kafka_string pattern, struct subscription *ret_subscription);
void subscription_done(struct subscription *subscription);
bool subscription_equal(const struct subscription *a, const struct subscription *b);
/* The `index`th of the topics that were found since it became what it is. */
bool subscription_has(const struct subscription *subscription, const struct topics *topics,
                      uint32_t index);

/* A search: add what each member subscribes by name, then end it. */
struct topics_search {
    struct topics *topics;
    const struct topics_source *source;
    struct group_topic *list;
    uint32_t count;
    uint32_t room;
    uint32_t steps_left; /* for what is dear to match */
    bool unfinished;     /* they did not suffice */
    bool found_late;     /* one matches that was left to this search: maybe for others, too */
};

int topics_add_names(struct topics_search *search, const struct subscription *subscription);
/* Adds what the regular expressions match, and ends the search: 1 where there are others than
 * before, or others match, else 0. Where many names are dear to match, some are left to the next
 * search, and do not match until then. `result` is what adding came to; where that or this is a
 * negative errno, they stay what they were. */
int topics_search_end(struct topics_search *search, int result);

/* NULL: not among them. */
const struct group_topic *topics_by_id(const struct topics *topics, const struct kafka_uuid *id);

#endif
