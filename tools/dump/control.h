/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control records in words: the markers that end transactions, and what KRaft writes into its own
 * log (KIP-98, KIP-595, KIP-630, KIP-853). What is newer or damaged is "unknown".
 */
#ifndef TOOLS_CONTROL_H
#define TOOLS_CONTROL_H

#include "beck.h"

enum { CONTROL_TEXT = 160 };

/* As members of a JSON object, each with a comma before it:
 * ,"control":"commit","coordinatorEpoch":3 */
char *control_json(const struct beck_record *record, char text[CONTROL_TEXT]);

#endif
