/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding what is subscribed; see topics.h.
 */
#include "group/topics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "group/group.h"

/* ---- subscriptions ---- */

static int compare_names(const void *left, const void *right)
{
    return text_compare(*(const struct kafka_string *)left, *(const struct kafka_string *)right);
}

static void regex_unref(struct subscribed_regex *regex)
{
    if (!regex || --regex->refs > 0)
        return;
    LIST_REMOVE(regex, link);
    text_free(&regex->text);
    regex_free(regex->regex);
    verdicts_done(&regex->verdicts);
    free(regex->matches);
    free(regex);
}

static int regex_ref(struct topics *topics, struct kafka_string pattern,
                     struct subscribed_regex **ret_regex)
{
    struct subscribed_regex *regex;
    LIST_FOREACH(regex, &topics->regexes, link)
    {
        if (!kafka_string_equal(regex->text, pattern))
            continue;
        regex->refs++;
        *ret_regex = regex;
        return 0;
    }
    regex = calloc(1, sizeof(*regex));
    if (!regex)
        return -ENOMEM;
    int result = text_copy(pattern, &regex->text);
    if (result == 0)
        result = regex_new(pattern, &regex->regex);
    if (result < 0) {
        text_free(&regex->text);
        free(regex);
        return result;
    }
    regex->refs = 1;
    LIST_INSERT_HEAD(&topics->regexes, regex, link);
    *ret_regex = regex;
    return 0;
}

void subscription_done(struct subscription *subscription)
{
    for (uint32_t i = 0; i < subscription->names_count; i++)
        text_free(&subscription->names[i]);
    free(subscription->names);
    regex_unref(subscription->regex);
    *subscription = (struct subscription){0};
}

/* Sorted, each once. */
static int copy_names(const struct kafka_string *names, uint32_t count,
                      struct subscription *subscription)
{
    struct kafka_string *sorted = calloc((size_t)count + 1, sizeof(*sorted));
    int result = 0;
    subscription->names = calloc((size_t)count + 1, sizeof(*subscription->names));
    if (!sorted || !subscription->names) {
        free(sorted);
        return -ENOMEM;
    }
    if (count > 0) {
        memcpy(sorted, names, count * sizeof(*sorted));
        qsort(sorted, count, sizeof(*sorted), compare_names);
    }
    for (uint32_t i = 0; result == 0 && i < count; i++) {
        if (i > 0 && compare_names(&sorted[i - 1], &sorted[i]) == 0)
            continue;
        result = text_copy(sorted[i], &subscription->names[subscription->names_count]);
        subscription->names_count += result == 0;
    }
    free(sorted);
    return result;
}

int subscription_init(struct topics *topics, const struct kafka_string *names, uint32_t count,
                      struct kafka_string pattern, struct subscription *ret_subscription)
{
    struct subscription subscription = {0};
    int result = copy_names(names, count, &subscription);
    if (result == 0 && pattern.length > 0)
        result = regex_ref(topics, pattern, &subscription.regex);
    if (result < 0)
        subscription_done(&subscription);
    else
        *ret_subscription = subscription;
    return result;
}

bool subscription_equal(const struct subscription *a, const struct subscription *b)
{
    if (a->names_count != b->names_count || a->regex != b->regex)
        return false;
    for (uint32_t i = 0; i < a->names_count; i++)
        if (compare_names(&a->names[i], &b->names[i]) != 0)
            return false;
    return true;
}

bool subscription_has(const struct subscription *subscription, const struct topics *topics,
                      uint32_t index)
{
    struct kafka_string key = kafka_string_of(topics->list[index].name);
    if (subscription->names_count > 0 &&
        bsearch(&key, subscription->names, subscription->names_count, sizeof(key), compare_names))
        return true;
    return subscription->regex && subscription->regex->matches &&
           subscription->regex->matches[index];
}

/* ---- searching ---- */

static int compare_ids(const void *left, const void *right)
{
    const struct group_topic *a = left;
    const struct group_topic *b = right;
    return memcmp(a->id.bytes, b->id.bytes, sizeof(a->id.bytes));
}

static int add(struct topics_search *search, const struct group_topic *topic)
{
    if (search->count == search->room) {
        uint32_t room = search->room ? 2 * search->room : 16;
        struct group_topic *grown = reallocarray(search->list, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        search->list = grown;
        search->room = room;
    }
    search->list[search->count++] = *topic;
    return 0;
}

static void drop_doubles(struct topics_search *search)
{
    uint32_t kept = 0;
    if (search->count > 1)
        qsort(search->list, search->count, sizeof(*search->list), compare_ids);
    for (uint32_t i = 0; i < search->count; i++)
        if (kept == 0 || compare_ids(&search->list[kept - 1], &search->list[i]) != 0)
            search->list[kept++] = search->list[i];
    search->count = kept;
}

int topics_add_names(struct topics_search *search, const struct subscription *subscription)
{
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < subscription->names_count; i++) {
        struct group_topic topic;
        result = search->source->find(search->source->context, subscription->names[i], &topic);
        if (result == 0)
            result = add(search, &topic);
        else if (result == -ENOENT || result == -EINVAL)
            result = 0; /* it may come */
    }
    if (search->count > 1024) /* members that subscribe the same do not fill the memory */
        drop_doubles(search);
    return result;
}

/* Does it match? Asked of the regular expression only where it was not before. */
static int judge(struct topics_search *search, struct subscribed_regex *regex,
                 const struct group_topic *topic, bool *ret_matches)
{
    enum regex_answer before = verdicts_of(&regex->verdicts, &topic->id);
    enum regex_answer answer = before;
    if (answer == REGEX_UNKNOWN)
        answer = regex_try(regex->regex, topic->name, REGEX_FEW_STEPS);
    if (answer == REGEX_DEAR && search->steps_left >= REGEX_MATCH_STEPS) {
        search->steps_left -= REGEX_MATCH_STEPS;
        answer = regex_try(regex->regex, topic->name, REGEX_MATCH_STEPS);
        if (answer == REGEX_DEAR)
            answer = REGEX_NO;
    }
    if (answer == REGEX_DEAR)
        search->unfinished = true;
    search->found_late = search->found_late || (before == REGEX_DEAR && answer == REGEX_YES);
    *ret_matches = answer == REGEX_YES;
    return verdicts_note(&regex->verdicts, &topic->id, answer);
}

static int add_if_matching(struct topics_search *search, const struct group_topic *topic)
{
    struct subscribed_regex *regex;
    bool is_wanted = false;
    LIST_FOREACH(regex, &search->topics->regexes, link)
    {
        bool matches;
        int result = judge(search, regex, topic, &matches);
        if (result < 0)
            return result;
        is_wanted = is_wanted || matches;
    }
    return is_wanted ? add(search, topic) : 0;
}

static int add_matching(struct topics_search *search)
{
    struct group_topic topic = {.name = ""};
    struct subscribed_regex *regex;
    int result;
    if (LIST_EMPTY(&search->topics->regexes))
        return 0;
    search->steps_left = TOPICS_SEARCH_STEPS;
    while ((result = search->source->next(search->source->context, topic.name, &topic)) == 1) {
        result = add_if_matching(search, &topic);
        if (result < 0)
            break;
    }
    LIST_FOREACH(regex, &search->topics->regexes, link)
    verdicts_turn(&regex->verdicts, result == 0);
    return result;
}

/* FNV-1a. */
static uint64_t digest_bytes(uint64_t digest, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        digest = (digest ^ bytes[i]) * UINT64_C(0x100000001b3);
    return digest;
}

static uint64_t digest_of(const struct topics_search *search)
{
    uint64_t digest = UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < search->count; i++) {
        const struct group_topic *topic = &search->list[i];
        const uint8_t count[4] = {
            (uint8_t)topic->partition_count, (uint8_t)(topic->partition_count >> 8),
            (uint8_t)(topic->partition_count >> 16), (uint8_t)(topic->partition_count >> 24)};
        digest = digest_bytes(digest, topic->id.bytes, sizeof(topic->id.bytes));
        digest = digest_bytes(digest, count, sizeof(count));
    }
    return digest;
}

/* Note for each regular expression which of the topics it matches. */
static int note_matches(struct topics_search *search)
{
    struct subscribed_regex *regex;
    LIST_FOREACH(regex, &search->topics->regexes, link)
    {
        bool *matches = calloc((size_t)search->count + 1, sizeof(*matches));
        if (!matches)
            return -ENOMEM;
        for (uint32_t i = 0; i < search->count; i++)
            matches[i] = verdicts_of(&regex->verdicts, &search->list[i].id) == REGEX_YES;
        free(regex->matches);
        regex->matches = matches;
    }
    return 0;
}

int topics_search_end(struct topics_search *search, int result)
{
    struct topics *topics = search->topics;
    if (result == 0)
        result = add_matching(search);
    if (result < 0) {
        free(search->list);
        return result;
    }
    drop_doubles(search);
    uint64_t digest = digest_of(search);
    bool others = digest != topics->digest || search->found_late;
    free(topics->list);
    topics->list = search->list;
    topics->count = search->count;
    topics->digest = digest;
    result = note_matches(search);
    if (result < 0) { /* `matches` may be of another list: it is found again, or nothing is */
        topics->count = 0;
        topics->digest = 0;
    }
    topics->found = result == 0 && !search->unfinished;
    return result < 0 ? result : others;
}

const struct group_topic *topics_by_id(const struct topics *topics, const struct kafka_uuid *id)
{
    const struct group_topic key = {.id = *id};
    return topics->count == 0
               ? NULL
               : bsearch(&key, topics->list, topics->count, sizeof(key), compare_ids);
}

void topics_done(struct topics *topics)
{
    free(topics->list);
    *topics = (struct topics){0};
}
