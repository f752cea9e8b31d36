/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck stat: what a store is and holds, in lines of words and numbers, and what recovery had to cut
 * since it was last told to forget.
 */
#include "processes.h"
#include "row.h"
#include "stat_log_dir.h"
#include "table.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>

static const char usage[] =
    "beck stat [TOPIC...] [--processes] [--json] [--forget]\n"
    "       beck stat --log-dir DIR [TOPIC...]\n\n"
    "Show the store, its topics and their partitions (or only the TOPICs), and what recovery had\n"
    "to cut off after a crash.\n\n"
    "  -p, --processes    show who has the store open, who has which role and lock, and who "
    "waits;\n"
    "                     opens the store for reading only\n"
    "      --json         a JSON object a line\n"
    "      --log-dir DIR  show the log directory of a Kafka broker that is stopped\n"
    "      --forget       forget what recovery did, once it was printed\n";

enum { OPTION_FORGET = TOOL_OPTION_FIRST, OPTION_JSON, OPTION_LOG_DIR };

struct stat_options {
    enum row_form form;
    bool processes;
    bool forget;
};

static void print_store_text(const struct beck_store_info *info, const char *id)
{
    (void)printf("store %s\nid %s\nformat %u\ntopics %u\npartitions %u\nflush %s\n", info->path, id,
                 info->format_version, info->topic_count, info->partition_count,
                 info->flush_os ? "os" : "sync");
    if (info->broker_pid != 0)
        (void)printf("broker-pid %d\n", (int)info->broker_pid);
    else
        (void)printf("broker-pid none\n");
}

static int print_store(struct beck_store *store, enum row_form form)
{
    struct beck_store_info info;
    struct beck_error error;
    struct row row;
    char id[TABLE_ID_TEXT];

    if (beck_store_info(store, &info, &error) < 0)
        return tool_failed_error(&error);
    (void)table_id_text(info.id, id);
    if (form == ROW_TEXT) {
        print_store_text(&info, id);
        return TOOL_OK;
    }
    row_begin(&row, form, "store");
    row_text(&row, "path", info.path);
    row_text(&row, "id", id);
    row_number(&row, "format", info.format_version);
    row_number(&row, "topics", info.topic_count);
    row_number(&row, "partitions", info.partition_count);
    row_text(&row, "flush", info.flush_os ? "os" : "sync");
    row_number(&row, "broker-pid", info.broker_pid);
    row_end(&row);
    return TOOL_OK;
}

static int print_topic(struct beck_store *store, const struct beck_topic *topic, enum row_form form)
{
    struct table_totals totals = {0};
    struct row row;

    int code = table_partitions(store, topic, &form, &totals);
    if (code != TOOL_OK)
        return code;
    row_begin(&row, form, "topic");
    row_key_text(&row, "topic", topic->name);
    row_number(&row, "partitions", topic->partition_count);
    row_number(&row, "records", (int64_t)totals.records);
    row_number(&row, "view-bytes", (int64_t)totals.view_bytes);
    row_number(&row, "disk-bytes", (int64_t)totals.disk_bytes);
    row_end(&row);
    return TOOL_OK;
}

static int print_topics(struct beck_store *store, enum row_form form)
{
    struct beck_topic topic = {0};
    struct beck_error error;
    int result;

    while ((result = beck_topic_next(store, topic.name, &topic, &error)) > 0) {
        int code = print_topic(store, &topic, form);
        if (code != TOOL_OK)
            return code;
    }
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

static int print_named_topics(struct beck_store *store, enum row_form form, char **names, int count)
{
    struct beck_topic topic;

    for (int i = 0; i < count; i++) {
        int code = tool_find_topic(store, names[i], &topic);
        if (code == TOOL_OK)
            code = print_topic(store, &topic, form);
        if (code != TOOL_OK)
            return code;
    }
    return TOOL_OK;
}

static void print_recovered(const struct beck_recovery *entry, enum row_form form)
{
    char time[TABLE_TIME_TEXT];
    char what[64] = "damage";
    struct row row;

    if (form == ROW_TEXT) {
        if (entry->truncated_bytes > 0)
            (void)snprintf(what, sizeof(what), "cut %llu bytes",
                           (unsigned long long)entry->truncated_bytes);
        (void)printf("recovered %s %d at %s: %s behind byte %llu of %020lld.log, next "
                     "offset %lld: %s\n",
                     entry->topic, (int)entry->partition, table_time_text(entry->time_ms, time),
                     what, (unsigned long long)entry->position, (long long)entry->segment,
                     (long long)entry->next_offset, entry->reason);
        return;
    }
    row_begin(&row, form, "recovered");
    row_text(&row, "topic", entry->topic);
    row_number(&row, "partition", entry->partition);
    row_time(&row, "time", entry->time_ms);
    row_number(&row, "segment", entry->segment);
    row_number(&row, "position", (int64_t)entry->position);
    row_number(&row, "cut-bytes", (int64_t)entry->truncated_bytes);
    row_number(&row, "next", entry->next_offset);
    row_text(&row, "reason", entry->reason);
    row_end(&row);
}

static int print_recovery(struct beck_store *store, const struct stat_options *options)
{
    struct beck_recovery entry;
    struct beck_error error;
    uint32_t index = 0;
    int result;

    while ((result = beck_store_recovery(store, index, &entry, &error)) > 0) {
        print_recovered(&entry, options->form);
        index++;
    }
    if (result == 0 && options->forget && index > 0)
        result = beck_store_recovery_forget(store, &error);
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

static int print_all(struct tool *tool, const struct stat_options *options, char **names, int count)
{
    struct beck_store *store = NULL;
    /* Looking at who is there does not become one of them. */
    enum tool_access access = options->forget      ? TOOL_WRITE
                              : options->processes ? TOOL_LOOK
                                                   : TOOL_READ;

    int code = tool_open(tool, access, &store);
    if (code == TOOL_OK)
        code = print_store(store, options->form);
    if (code == TOOL_OK && options->processes)
        code = processes_print(store, options->form);
    if (code == TOOL_OK)
        code = count > 0 ? print_named_topics(store, options->form, names, count)
                         : print_topics(store, options->form);
    if (code == TOOL_OK)
        code = print_recovery(store, options);
    (void)beck_store_close(store);
    return code;
}

static const struct option long_options[] = {
    {"forget", no_argument, NULL, OPTION_FORGET},
    {"json", no_argument, NULL, OPTION_JSON},
    {"log-dir", required_argument, NULL, OPTION_LOG_DIR},
    {"processes", no_argument, NULL, 'p'},
    TOOL_LONG_OPTIONS,
};

static int run(struct tool *tool, int argc, char **argv)
{
    const char *log_dir = NULL;
    struct stat_options options = {.form = ROW_TEXT};
    int option;

    while ((option = getopt_long(argc, argv, ":p", long_options, NULL)) != -1) {
        if (option == OPTION_FORGET) {
            options.forget = true;
        } else if (option == OPTION_JSON) {
            options.form = ROW_JSON;
        } else if (option == 'p') {
            options.processes = true;
        } else if (option == OPTION_LOG_DIR) {
            log_dir = optarg;
        } else {
            int code = tool_common_option(tool, option, argv);
            if (code >= 0)
                return code;
        }
    }
    if (log_dir != NULL && (options.forget || options.processes || options.form == ROW_JSON))
        return tool_misused(tool, "--forget, --processes and --json are for stores");
    if (log_dir != NULL)
        return stat_log_dir(log_dir, argv + optind, argc - optind);
    return print_all(tool, &options, argv + optind, argc - optind);
}

const struct command stat_command = {.name = "stat",
                                     .summary = "show a store, its topics and what recovery did",
                                     .usage = usage,
                                     .options = long_options,
                                     .argument = TOOL_ARGUMENT_TOPIC,
                                     .run = run};
