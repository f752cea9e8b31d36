/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has the store open: a table in slot 0 of `live`. A process that may write claims an entry at
 * opening, under the gate, and holds a lock on a byte of the file as long as it has it, so that the
 * entry of a dead one is known for what it is. Nothing depends on the table: it is for those who
 * ask, and a process that finds no entry goes without one.
 */
#ifndef STORE_PROCESS_H
#define STORE_PROCESS_H

#include "beck.h"
#include "live.h"

/* Claim an entry; where all are taken, or it cannot be had, do without. With the gate held. */
void process_enter(struct beck_store *store);
/* Clear the entry. Its lock is released by whoever closes `live`. */
void process_leave(struct beck_store *store);

/* Say that we have a role now, or have it no more. */
void process_set_role(struct beck_store *store, enum live_role role, bool has);

/* The next entry of a living process from `*position` on; 1 or 0. */
int process_next(struct beck_store *store, uint32_t *position, struct beck_process *ret_process);
/* The next lock that somebody has from `*position` on; 1 or 0. */
int process_lock_next(struct beck_store *store, uint32_t *position, struct beck_lock *ret_lock);

/* The names and ids of those in the table, for a message: "beckd (12), beck (13)"; "" where there
 * is nobody. `own`: the index of our own entry, whose lock we would not see; -1: we have none. */
void process_names(const struct live *live, int own, char *to, size_t size);

#endif
