/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at the pages of an LMDB file, which have no checksums, without LMDB: it believes what
 * they say, and what it does not read today it goes by when it writes tomorrow. Whatever is held
 * twice in them is compared: each page is where it says that it is, is full of what it counts, and
 * is in one tree or free; keys are between those that led to them; trees have as many pages, levels
 * and pairs as they say. Nothing that stands in a page is followed or copied before it is checked.
 */
#ifndef STORE_PAGES_H
#define STORE_PAGES_H

#include "beck.h"

#include <lmdb.h>

/*
 * Check all that the last commit has. Others may write meanwhile. `tick` (NULL: nothing) is called
 * now and then. -EBADMSG: the error says which page is damaged, and how. -ENOMEM, -EIO.
 */
int pages_check(MDB_env *env, void (*tick)(void *context), void *context, struct beck_error *error);

#endif
