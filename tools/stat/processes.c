/* SPDX-License-Identifier: Apache-2.0 */
/* Processes and locks of a store, as the library tells of them. */
#include "processes.h"

#include "table.h"
#include "tool.h"

#include <stdio.h>

static void print_process(const struct beck_process *process, enum row_form form)
{
    struct row row;

    row_begin(&row, form, "process");
    row_key_number(&row, "pid", process->pid);
    row_key_text(&row, "name", process->name);
    row_time(&row, "started", process->started_ms);
    row_time(&row, "opened", process->opened_ms);
    row_number(&row, "waits-for-partitions", process->waits_for_partitions);
    row_flag(&row, "waits-for-topics", process->waits_for_topics);
    row_flag(&row, "doorbell", process->has_doorbell);
    row_flag(&row, "broker", process->is_broker);
    row_flag(&row, "cleaner", process->is_cleaner);
    row_flag(&row, "maintaining", process->is_maintaining);
    row_end(&row);
}

static void print_lock(struct beck_store *store, const struct beck_lock *lock, enum row_form form)
{
    static const char *const kinds[] = {[BECK_LOCK_MAINTENANCE] = "maintenance",
                                        [BECK_LOCK_APPEND] = "append",
                                        [BECK_LOCK_SYNC] = "sync"};
    struct beck_topic topic;
    struct row row;

    row_begin(&row, form, "lock");
    row_key_text(&row, "kind", kinds[lock->kind]);
    row_number(&row, "pid", lock->pid);
    row_number(&row, "thread", lock->thread);
    if (lock->partition >= 0) {
        if (beck_topic_find_id(store, lock->topic_id, &topic, NULL) == 0)
            row_text(&row, "topic", topic.name);
        row_number(&row, "partition", lock->partition);
    }
    row_end(&row);
}

int processes_print(struct beck_store *store, enum row_form form)
{
    struct beck_process process;
    struct beck_lock lock;
    struct beck_error error;
    uint32_t position = 0;
    int result;

    while ((result = beck_store_process_next(store, &position, &process, &error)) > 0)
        print_process(&process, form);
    position = 0;
    while (result == 0 && (result = beck_store_lock_next(store, &position, &lock, &error)) > 0) {
        print_lock(store, &lock, form);
        result = 0;
    }
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}
