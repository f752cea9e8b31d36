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

/* What is known of a partition. */
struct table_figures {
    bool has_bounds; /* nobody knows them of a cluster's partition without a leader */
    int64_t start;
    int64_t end; /* the high watermark */
    int64_t stable;
    bool has_state; /* of a store's: */
    struct beck_partition_state state;
    uint64_t disk_bytes;
    bool has_replicas; /* of a cluster's: */
    int32_t leader;
    const char *replicas; /* numbers of brokers: "1,2" */
    const char *in_sync;
};

/* A store's partition. As the library, returns 0 or a negative errno. */
int table_figures(struct beck_store *store, const char *topic, int32_t number,
                  struct table_figures *ret_figures, struct beck_error *error);

void table_print_partition(const char *topic, int32_t number, const struct table_figures *figures,
                           enum row_form form);

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
