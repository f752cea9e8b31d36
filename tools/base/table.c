/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions' figures, ids and times as text. */
#include "table.h"

#include "tool.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

char *table_id_text(const uint8_t id[BECK_ID_BYTES], char text[TABLE_ID_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    char *to = text;

    for (int i = 0; i < BECK_ID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *to++ = '-';
        *to++ = digits[id[i] >> 4];
        *to++ = digits[id[i] & 15];
    }
    *to = '\0';
    return text;
}

char *table_time_text(int64_t ms, char text[TABLE_TIME_TEXT])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm fields;
    char date[24];

    if (ms < 0 || gmtime_r(&seconds, &fields) == NULL ||
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &fields) == 0)
        (void)snprintf(text, TABLE_TIME_TEXT, "%lld", (long long)ms);
    else
        (void)snprintf(text, TABLE_TIME_TEXT, "%s.%03dZ", date, (int)(ms % 1000));
    return text;
}

static void print_state(const struct row *row, const struct table_figures *figures)
{
    const struct beck_partition_state *state = &figures->state;

    row_number(row, "next", state->next_offset);
    row_number(row, "synced", state->synced_offset);
    row_number(row, "view-bytes", (int64_t)state->view_bytes);
    row_number(row, "disk-bytes", (int64_t)figures->disk_bytes);
    row_number(row, "epoch", state->leader_epoch);
    row_number(row, "unsynced-bytes", (int64_t)state->unsynced_bytes);
    row_time(row, "unsynced-since", state->unsynced_since_ms);
    row_number(row, "uncheckpointed-bytes", (int64_t)state->uncheckpointed_bytes);
    row_time(row, "uncheckpointed-since", state->uncheckpointed_since_ms);
    row_flag(row, row->form == ROW_TEXT ? "FAILED" : "failed", state->failed);
}

void table_print_partition(const char *topic, int32_t number, const struct table_figures *figures,
                           enum row_form form)
{
    struct row row;

    row_begin(&row, form, "partition");
    row_key_text(&row, "topic", topic);
    row_key_number(&row, "partition", number);
    if (figures->has_bounds) {
        row_number(&row, "start", figures->start);
        row_number(&row, "end", figures->end);
        row_number(&row, "stable", figures->stable);
    }
    if (figures->has_state)
        print_state(&row, figures);
    if (figures->has_replicas) {
        if (figures->leader >= 0)
            row_number(&row, "leader", figures->leader);
        else
            row_text(&row, "leader", "none");
        row_text(&row, "replicas", figures->replicas);
        row_text(&row, "in-sync", figures->in_sync);
    }
    row_end(&row);
}

int table_figures(struct beck_store *store, const char *topic, int32_t number,
                  struct table_figures *ret_figures, struct beck_error *error)
{
    struct beck_partition *partition = NULL;
    struct table_figures figures = {.has_bounds = true, .has_state = true};

    int result = beck_partition_open(store, topic, number, &partition, error);
    if (result < 0)
        return result;
    result = beck_partition_state(partition, &figures.state, error);
    if (result >= 0)
        result = beck_partition_disk_bytes(partition, &figures.disk_bytes, error);
    (void)beck_partition_close(partition);
    if (result < 0)
        return result;
    figures.start = figures.state.log_start_offset;
    figures.end = figures.state.high_watermark;
    figures.stable = figures.state.last_stable_offset;
    *ret_figures = figures;
    return 0;
}

int table_partitions(struct beck_store *store, const struct beck_topic *topic,
                     const enum row_form *form, struct table_totals *totals)
{
    struct table_figures figures;
    struct beck_error error;

    for (int32_t i = 0; (uint32_t)i < topic->partition_count; i++) {
        if (table_figures(store, topic->name, i, &figures, &error) < 0)
            return tool_failed_error(&error);
        if (form != NULL)
            table_print_partition(topic->name, i, &figures, *form);
        totals->records += (uint64_t)(figures.end - figures.start);
        totals->view_bytes += figures.state.view_bytes;
        totals->disk_bytes += figures.disk_bytes;
    }
    return TOOL_OK;
}
