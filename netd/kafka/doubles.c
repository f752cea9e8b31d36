/* SPDX-License-Identifier: Apache-2.0
 *
 * By sorting, for there may be many; see doubles.h.
 */
#include "kafka/doubles.h"

#include <stdlib.h>
#include <string.h>

static int compare_texts(const struct kafka_string *a, const struct kafka_string *b)
{
    if (!a->data || !b->data)
        return (a->data != NULL) - (b->data != NULL);
    int order = memcmp(a->data, b->data, a->length < b->length ? a->length : b->length);
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

/* By what they say, then as they stand in the request. */
static int compare(const void *left, const void *right)
{
    const struct kafka_string *a = *(const struct kafka_string *const *)left;
    const struct kafka_string *b = *(const struct kafka_string *const *)right;
    int order = compare_texts(a, b);
    return order != 0 ? order : (a > b) - (a < b);
}

const enum occurrence *doubles_find(struct kafka_arena *arena, const struct kafka_string *names,
                                    uint32_t count)
{
    const struct kafka_string **sorted =
        kafka_arena_alloc(arena, count, sizeof(const struct kafka_string *));
    enum occurrence *found = kafka_arena_alloc(arena, count, sizeof(*found));
    if (!sorted || !found)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = &names[i];
    qsort(sorted, count, sizeof(const struct kafka_string *), compare);
    for (uint32_t i = 1; i < count; i++) {
        const struct kafka_string *before = sorted[i - 1];
        if (!before->data || compare_texts(before, sorted[i]) != 0)
            continue;
        if (found[before - names] == OCCURS_ONCE)
            found[before - names] = OCCURS_FIRST;
        found[sorted[i] - names] = OCCURS_AGAIN;
    }
    return found;
}
