/* SPDX-License-Identifier: Apache-2.0 */
/* Who has a store open, and who has which lock in it, a line each. */
#ifndef TOOLS_PROCESSES_H
#define TOOLS_PROCESSES_H

#include "beck.h"
#include "row.h"

/* Says so and returns an exit code when it fails. */
int processes_print(struct beck_store *store, enum row_form form);

#endif
