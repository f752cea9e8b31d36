/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What topic and stat both show: a partition's figures as one line of words and numbers, the same
 * on a terminal and in a pipe, and ids and times as text.
 */
#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H

#include "beck.h"
#include "row.h"

enum { TABLE_ID_TEXT = 37, TABLE_TIME_TEXT = 32 };

/* xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx */
char *table_id_text(const uint8_t id[BECK_ID_BYTES], char text[TABLE_ID_TEXT]);

/* 2026-11-21T08:00:00.123Z */
char *table_time_text(int64_t ms, char text[TABLE_TIME_TEXT]);

/* What a topic's partitions hold together. */
struct table_totals {
    uint64_t records;    /* offsets from the start to the high watermark */
    uint64_t view_bytes; /* of the mount's files */
    uint64_t disk_bytes;
};

/*
 * Add up a topic's partitions, and print each in `form`, which may be NULL. Says so and returns an
 * exit code when it fails.
 */
int table_partitions(struct beck_store *store, const struct beck_topic *topic,
                     const enum row_form *form, struct table_totals *totals);

#endif
