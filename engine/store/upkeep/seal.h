/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests of segments that are complete: taken once, while every CRC in them is seen to be right,
 * and held against the file by verification ever after. Base offsets and leader epochs, which no
 * CRC covers, are covered by the digest.
 */
#ifndef STORE_SEAL_H
#define STORE_SEAL_H

#include "clean.h"

/*
 * Give each catalogued segment that has none its digest, until there are no more or the run is to
 * stop. -EBADMSG, or what the disk said: a segment could not be read whole; the error names it. It
 * is passed over for an hour, so that the next run goes on with the others.
 */
int seal_run(struct clean *clean, struct beck_error *error);

#endif
