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

static void print_partition(const struct beck_topic *topic, int32_t number,
                            const struct beck_partition_state *state, uint64_t disk_bytes,
                            enum row_form form)
{
    struct row row;

    row_begin(&row, form, "partition");
    row_key_text(&row, "topic", topic->name);
    row_key_number(&row, "partition", number);
    row_number(&row, "start", state->log_start_offset);
    row_number(&row, "end", state->high_watermark);
    row_number(&row, "stable", state->last_stable_offset);
    row_number(&row, "next", state->next_offset);
    row_number(&row, "synced", state->synced_offset);
    row_number(&row, "view-bytes", (int64_t)state->view_bytes);
    row_number(&row, "disk-bytes", (int64_t)disk_bytes);
    row_number(&row, "epoch", state->leader_epoch);
    row_number(&row, "unsynced-bytes", (int64_t)state->unsynced_bytes);
    row_time(&row, "unsynced-since", state->unsynced_since_ms);
    row_number(&row, "uncheckpointed-bytes", (int64_t)state->uncheckpointed_bytes);
    row_time(&row, "uncheckpointed-since", state->uncheckpointed_since_ms);
    row_flag(&row, form == ROW_TEXT ? "FAILED" : "failed", state->failed);
    row_end(&row);
}

static int partition_figures(struct beck_store *store, const struct beck_topic *topic,
                             int32_t number, struct beck_partition_state *ret_state,
                             uint64_t *ret_disk_bytes)
{
    struct beck_partition *partition = NULL;
    struct beck_error error;

    int code = tool_open_partition(store, topic, number, &partition);
    if (code != TOOL_OK)
        return code;
    if (beck_partition_state(partition, ret_state, &error) < 0 ||
        beck_partition_disk_bytes(partition, ret_disk_bytes, &error) < 0)
        code = tool_failed_error(&error);
    (void)beck_partition_close(partition);
    return code;
}

int table_partitions(struct beck_store *store, const struct beck_topic *topic,
                     const enum row_form *form, struct table_totals *totals)
{
    for (int32_t i = 0; (uint32_t)i < topic->partition_count; i++) {
        struct beck_partition_state state;
        uint64_t disk_bytes;
        int code = partition_figures(store, topic, i, &state, &disk_bytes);
        if (code != TOOL_OK)
            return code;
        if (form != NULL)
            print_partition(topic, i, &state, disk_bytes, *form);
        totals->records += (uint64_t)(state.high_watermark - state.log_start_offset);
        totals->view_bytes += state.view_bytes;
        totals->disk_bytes += disk_bytes;
    }
    return TOOL_OK;
}
