/* SPDX-License-Identifier: Apache-2.0
 *
 * A sorted array; see table.h. Looking a client's limits up is a few searches, and is done once for
 * a client, until quotas change.
 */
#include "quota/table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

bool quota_address_parse(const char *text, uint8_t ret_address[QUOTA_ADDRESS_BYTES])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    struct in6_addr six;
    struct in_addr four;
    if (inet_pton(AF_INET6, text, &six) == 1) {
        memcpy(ret_address, &six, QUOTA_ADDRESS_BYTES);
        return true;
    }
    if (inet_pton(AF_INET, text, &four) != 1)
        return false;
    memcpy(ret_address, mapped, sizeof(mapped));
    memcpy(ret_address + sizeof(mapped), &four, 4);
    return true;
}

struct quota_entry *quota_entry_new(const struct beck_quota *quota)
{
    struct quota_entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->quota = *quota;
    if (quota->parts[BECK_QUOTA_IP].match == BECK_QUOTA_NAMED)
        (void)quota_address_parse(quota->parts[BECK_QUOTA_IP].bytes, entry->address);
    return entry;
}

void quota_table_done(struct quota_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->list[i]);
    free(table->list);
    *table = (struct quota_table){.count = 0};
}

int quota_table_reserve(struct quota_table *table, size_t more)
{
    if (table->room - table->count >= more)
        return 0;
    size_t room = table->count + more > 2 * table->room ? table->count + more : 2 * table->room;
    struct quota_entry **list = reallocarray(table->list, room, sizeof(struct quota_entry *));
    if (!list)
        return -ENOMEM;
    table->list = list;
    table->room = room;
    return 0;
}

int quota_compare(const struct beck_quota *a, const struct beck_quota *b)
{
    for (unsigned i = 0; i < BECK_QUOTA_PARTS; i++) {
        const struct beck_quota_name *x = &a->parts[i];
        const struct beck_quota_name *y = &b->parts[i];
        if (x->match != y->match)
            return x->match < y->match ? -1 : 1;
        if (x->size != y->size)
            return x->size < y->size ? -1 : 1;
        int order = memcmp(x->bytes, y->bytes, x->size);
        if (order != 0)
            return order;
    }
    return 0;
}

/* Where it is, or would be. */
static size_t place_of(const struct quota_table *table, const struct beck_quota *like,
                       bool *ret_found)
{
    size_t low = 0;
    size_t high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (quota_compare(&table->list[middle]->quota, like) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = low < table->count && quota_compare(&table->list[low]->quota, like) == 0;
    return low;
}

void quota_table_set(struct quota_table *table, struct quota_entry *entry)
{
    bool found;
    size_t place = place_of(table, &entry->quota, &found);
    bool stays = entry->quota.set != 0;
    struct quota_entry **at = table->list + place;
    if (found)
        free(*at);
    if (!stays)
        free(entry);
    size_t behind = table->count - place - found;
    if (found != stays && behind > 0)
        memmove(at + stays, at + found, behind * sizeof(*at));
    if (stays)
        *at = entry;
    table->count = table->count - found + stays;
}

const struct quota_entry *quota_table_find(const struct quota_table *table,
                                           const struct beck_quota *like)
{
    bool found;
    size_t place = place_of(table, like, &found);
    return found ? table->list[place] : NULL;
}

unsigned quota_table_kinds(const struct quota_table *table)
{
    unsigned kinds = 0;
    for (size_t i = 0; i < table->count; i++)
        kinds |= table->list[i]->quota.set;
    return kinds;
}

/* ---- what counts ---- */

static void name_set(struct beck_quota_name *name, enum beck_quota_match match, const char *bytes,
                     size_t size)
{
    name->match = match;
    name->size = match == BECK_QUOTA_NAMED ? size : 0;
    memcpy(name->bytes, bytes, name->size);
}

double quota_table_limit(const struct quota_table *table, enum beck_quota_kind kind,
                         const char *user, const char *client_id, size_t client_id_size,
                         bool *ret_is_users)
{
    /* Kafka's order: what says most counts. */
    static const struct {
        enum beck_quota_match user;
        enum beck_quota_match client_id;
    } order[] = {
        {BECK_QUOTA_NAMED, BECK_QUOTA_NAMED},     {BECK_QUOTA_NAMED, BECK_QUOTA_DEFAULT},
        {BECK_QUOTA_NAMED, BECK_QUOTA_NOT_GIVEN}, {BECK_QUOTA_DEFAULT, BECK_QUOTA_NAMED},
        {BECK_QUOTA_DEFAULT, BECK_QUOTA_DEFAULT}, {BECK_QUOTA_DEFAULT, BECK_QUOTA_NOT_GIVEN},
        {BECK_QUOTA_NOT_GIVEN, BECK_QUOTA_NAMED}, {BECK_QUOTA_NOT_GIVEN, BECK_QUOTA_DEFAULT},
    };
    struct beck_quota like = {.set = 0};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        bool is_users = order[i].client_id == BECK_QUOTA_NOT_GIVEN;
        if (!is_users && (client_id_size == 0 || (order[i].client_id == BECK_QUOTA_NAMED &&
                                                  client_id_size > BECK_QUOTA_NAME_BYTES)))
            continue;
        name_set(&like.parts[BECK_QUOTA_USER], order[i].user, user, strlen(user));
        name_set(&like.parts[BECK_QUOTA_CLIENT_ID], order[i].client_id, client_id, client_id_size);
        const struct quota_entry *entry = quota_table_find(table, &like);
        if (entry && entry->quota.set & 1U << kind) {
            *ret_is_users = is_users;
            return entry->quota.values[kind];
        }
    }
    *ret_is_users = false;
    return (double)INFINITY;
}

double quota_table_address_limit(const struct quota_table *table,
                                 const uint8_t address[QUOTA_ADDRESS_BYTES])
{
    double limit = (double)INFINITY;
    for (size_t i = 0; i < table->count; i++) {
        const struct quota_entry *entry = table->list[i];
        enum beck_quota_match match = entry->quota.parts[BECK_QUOTA_IP].match;
        if (match == BECK_QUOTA_NOT_GIVEN)
            continue;
        if (match == BECK_QUOTA_NAMED && memcmp(entry->address, address, QUOTA_ADDRESS_BYTES) == 0)
            return entry->quota.values[BECK_QUOTA_CONNECTION_CREATION_RATE];
        if (match == BECK_QUOTA_DEFAULT)
            limit = entry->quota.values[BECK_QUOTA_CONNECTION_CREATION_RATE];
    }
    return limit;
}
