/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck stat: what a store is and holds, in lines of words and numbers, and what recovery had to cut
 * since it was last told to forget.
 */
#include "stat_log_dir.h"
#include "table.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>

static const char usage[] =
    "beck stat [TOPIC...] [--forget]\n"
    "       beck stat --log-dir DIR [TOPIC...]\n\n"
    "Show the store, its topics and their partitions (or only the TOPICs), and what recovery had\n"
    "to cut off after a crash.\n\n"
    "      --log-dir DIR  show the log directory of a Kafka broker that is stopped\n"
    "      --forget       forget what recovery did, once it was printed\n";

enum { OPTION_FORGET = TOOL_OPTION_FIRST, OPTION_LOG_DIR };

static int print_store(struct beck_store *store)
{
    struct beck_store_info info;
    struct beck_error error;
    char id[TABLE_ID_TEXT];

    if (beck_store_info(store, &info, &error) < 0)
        return tool_failed_error(&error);
    (void)printf("store %s\nid %s\nformat %u\ntopics %u\npartitions %u\nflush %s\n", info.path,
                 table_id_text(info.id, id), info.format_version, info.topic_count,
                 info.partition_count, info.flush_os ? "os" : "sync");
    if (info.broker_pid != 0)
        (void)printf("broker-pid %d\n", (int)info.broker_pid);
    else
        (void)printf("broker-pid none\n");
    return TOOL_OK;
}

static int print_topic(struct beck_store *store, const struct beck_topic *topic)
{
    struct table_totals totals = {0};

    int code = table_partitions(store, topic, true, &totals);
    if (code == TOOL_OK)
        (void)printf("topic %s partitions %u records %llu view-bytes %llu disk-bytes %llu\n",
                     topic->name, topic->partition_count, (unsigned long long)totals.records,
                     (unsigned long long)totals.view_bytes, (unsigned long long)totals.disk_bytes);
    return code;
}

static int print_topics(struct beck_store *store)
{
    struct beck_topic topic = {0};
    struct beck_error error;
    int result;

    while ((result = beck_topic_next(store, topic.name, &topic, &error)) > 0) {
        int code = print_topic(store, &topic);
        if (code != TOOL_OK)
            return code;
    }
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

static int print_named_topics(struct beck_store *store, char **names, int count)
{
    struct beck_topic topic;

    for (int i = 0; i < count; i++) {
        int code = tool_find_topic(store, names[i], &topic);
        if (code == TOOL_OK)
            code = print_topic(store, &topic);
        if (code != TOOL_OK)
            return code;
    }
    return TOOL_OK;
}

static int print_recovery(struct beck_store *store, bool forget)
{
    struct beck_recovery entry;
    struct beck_error error;
    char time[TABLE_TIME_TEXT];
    uint32_t index = 0;
    int result;

    while ((result = beck_store_recovery(store, index, &entry, &error)) > 0) {
        (void)printf("recovered %s %d at %s: cut %llu bytes behind byte %llu of %020lld.log, next "
                     "offset %lld: %s\n",
                     entry.topic, (int)entry.partition, table_time_text(entry.time_ms, time),
                     (unsigned long long)entry.truncated_bytes, (unsigned long long)entry.position,
                     (long long)entry.segment, (long long)entry.next_offset, entry.reason);
        index++;
    }
    if (result == 0 && forget && index > 0)
        result = beck_store_recovery_forget(store, &error);
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

static int print_all(struct tool *tool, bool forget, char **names, int count)
{
    struct beck_store *store = NULL;

    int code = tool_open(tool, forget ? TOOL_WRITE : TOOL_READ, &store);
    if (code == TOOL_OK)
        code = print_store(store);
    if (code == TOOL_OK)
        code = count > 0 ? print_named_topics(store, names, count) : print_topics(store);
    if (code == TOOL_OK)
        code = print_recovery(store, forget);
    (void)beck_store_close(store);
    return code;
}

static int run(struct tool *tool, int argc, char **argv)
{
    static const struct option options[] = {
        {"forget", no_argument, NULL, OPTION_FORGET},
        {"log-dir", required_argument, NULL, OPTION_LOG_DIR},
        TOOL_LONG_OPTIONS,
    };
    const char *log_dir = NULL;
    bool forget = false;
    int option;

    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option == OPTION_FORGET) {
            forget = true;
            continue;
        }
        if (option == OPTION_LOG_DIR) {
            log_dir = optarg;
            continue;
        }
        int code = tool_common_option(tool, option, argv);
        if (code >= 0)
            return code;
    }
    if (log_dir != NULL && forget)
        return tool_misused(tool, "--forget is for stores");
    if (log_dir != NULL)
        return stat_log_dir(log_dir, argv + optind, argc - optind);
    return print_all(tool, forget, argv + optind, argc - optind);
}

const struct command stat_command = {.name = "stat",
                                     .summary = "show a store, its topics and what recovery did",
                                     .usage = usage,
                                     .run = run};
