/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How who may only read keeps up with the others. Where a store was open to nobody when he came,
 * his slots are his own, made by reading the files; what others publish later stands in `live`,
 * which he looks at, and takes over into his own slots.
 */
#ifndef STORE_FOLLOW_H
#define STORE_FOLLOW_H

#include "partition.h"

/* Take over what is new, where the store is private. */
void follow_partition(const struct beck_partition *partition);

#endif
