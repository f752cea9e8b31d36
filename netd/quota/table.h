/* SPDX-License-Identifier: Apache-2.0
 *
 * The quotas that there are, in order of whom they are for, and which of them counts for a client
 * or an address. Nothing fails here once there is room, so that what the store has committed is in
 * the table, too.
 */
#ifndef BECK_NETD_QUOTA_TABLE_H
#define BECK_NETD_QUOTA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "beck.h"

#define QUOTA_ADDRESS_BYTES 16

struct quota_entry {
    struct beck_quota quota;
    uint8_t address[QUOTA_ADDRESS_BYTES]; /* of one that is for an address */
};

struct quota_table {
    struct quota_entry **list; /* sorted */
    size_t count;
    size_t room;
};

/* The bytes of an address that is given as text: IPv6, and IPv4 as it is mapped there. */
bool quota_address_parse(const char *text, uint8_t ret_address[QUOTA_ADDRESS_BYTES]);

/* NULL: no memory. free() it, unless the table has it. */
struct quota_entry *quota_entry_new(const struct beck_quota *quota);

/* A zeroed table is empty. */
void quota_table_done(struct quota_table *table);
/* Make room for that many more. -ENOMEM. */
int quota_table_reserve(struct quota_table *table, size_t more);
/* The table has the entry from now on, instead of the one for the same; one that limits nothing is
 * gone then, and so is the one that was there. There must be room. */
void quota_table_set(struct quota_table *table, struct quota_entry *entry);
/* The one for the same clients, or NULL. */
const struct quota_entry *quota_table_find(const struct quota_table *table,
                                           const struct beck_quota *like);
/* The order of the table: by whom they are for, alone. */
int quota_compare(const struct beck_quota *a, const struct beck_quota *b);
/* 1 << kind for each kind that any quota limits. */
unsigned quota_table_kinds(const struct quota_table *table);

/* What counts for a client of this name and user; INFINITY: nothing does. `ret_is_users`: what the
 * user's clients do counts together. An empty client id is none, and has no default either. */
double quota_table_limit(const struct quota_table *table, enum beck_quota_kind kind,
                         const char *user, const char *client_id, size_t client_id_size,
                         bool *ret_is_users);
/* What counts for connections from an address. */
double quota_table_address_limit(const struct quota_table *table,
                                 const uint8_t address[QUOTA_ADDRESS_BYTES]);

#endif
