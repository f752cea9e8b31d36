/* SPDX-License-Identifier: Apache-2.0
 *
 * Two arrays; see verdicts.h.
 */
#include "group/verdicts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *left, const void *right)
{
    const struct verdict *a = left;
    const struct verdict *b = right;
    return memcmp(a->id.bytes, b->id.bytes, sizeof(a->id.bytes));
}

enum regex_answer verdicts_of(const struct verdicts *verdicts, const struct kafka_uuid *id)
{
    const struct verdict key = {.id = *id};
    const struct verdict *found =
        verdicts->count > 0 ? bsearch(&key, verdicts->list, verdicts->count, sizeof(key), compare)
                            : NULL;
    return found ? found->answer : REGEX_UNKNOWN;
}

int verdicts_note(struct verdicts *verdicts, const struct kafka_uuid *id, enum regex_answer answer)
{
    if (verdicts->next_count == verdicts->next_room) {
        uint32_t room = verdicts->next_room ? 2 * verdicts->next_room : 16;
        struct verdict *grown = reallocarray(verdicts->next, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        verdicts->next = grown;
        verdicts->next_room = room;
    }
    verdicts->next[verdicts->next_count++] = (struct verdict){.id = *id, .answer = answer};
    return 0;
}

void verdicts_turn(struct verdicts *verdicts, bool whole)
{
    struct verdicts next = {.list = verdicts->next, .count = verdicts->next_count};
    if (whole) {
        if (next.count > 1)
            qsort(next.list, next.count, sizeof(*next.list), compare);
        free(verdicts->list);
    } else {
        free(next.list);
        next = (struct verdicts){.list = verdicts->list, .count = verdicts->count};
    }
    *verdicts = next;
}

void verdicts_done(struct verdicts *verdicts)
{
    free(verdicts->list);
    free(verdicts->next);
    *verdicts = (struct verdicts){0};
}
