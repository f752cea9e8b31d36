/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing a store back to a state that is right, when nobody has it open: rebuild `live` from the
 * checkpoints, read what was appended since, cut off a torn end. Damage before a checkpoint is
 * never cut; reading it is an error.
 */
#ifndef STORE_RECOVERY_H
#define STORE_RECOVERY_H

#include "store.h"

/*
 * Fill the slots of all partitions. With a store that is read-only nothing on disk is changed: what
 * would be cut is only left out of sight.
 */
int recovery_run(struct beck_store *store, struct beck_error *error);

#endif
