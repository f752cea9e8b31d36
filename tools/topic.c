/* SPDX-License-Identifier: Apache-2.0 */
/* beck topic: create, list, show, add-partitions, delete-records, delete. */
#include "parse.h"
#include "table.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "beck topic create NAME [-p COUNT] [-c SETTING=VALUE]...\n"
    "       beck topic list [-l]\n"
    "       beck topic show NAME [-a]\n"
    "       beck topic add-partitions NAME -p COUNT [-n]\n"
    "       beck topic delete-records NAME -p PARTITION --before OFFSET|end\n"
    "       beck topic delete NAME...\n\n"
    "  -p, --partitions COUNT  partitions that the topic is to have; of a new one, default: 1;\n"
    "                          for delete-records, the number of the partition\n"
    "      --before OFFSET     the first record that stays; end: none does\n"
    "  -c, --config S=VALUE    a setting under Kafka's name for it, retention.ms say\n"
    "  -l, --long              partitions, records and bytes too\n"
    "  -a, --all               the settings that nobody changed too\n"
    "  -n, --dry-run           check, but add nothing\n\n"
    "A topic that is deleted is gone, with all its records.\n";

enum { OPTION_BEFORE = TOOL_OPTION_FIRST };

struct topic_options {
    struct tool_configs configs;
    int64_t partition; /* what -p said; -1: nothing */
    int64_t before;    /* offset; -1: the end */
    bool has_before;
    bool is_long;
    bool all;
    bool dry_run;
};

static int create(struct tool *tool, struct beck_store *store, const struct topic_options *options,
                  char **names, int count)
{
    struct beck_topic_options wanted = {
        .partition_count = options->partition > 0 ? (uint32_t)options->partition : 1,
        .configs = options->configs.configs,
        .config_count = options->configs.count,
    };
    struct beck_topic topic;
    struct beck_error error;

    if (count != 1)
        return tool_misused(tool, count == 0 ? "which topic?" : "one topic at a time");
    if (options->partition == 0)
        return tool_misused(tool, "a topic has 1 to %d partitions", BECK_PARTITIONS_MAX);
    if (beck_topic_create(store, names[0], &wanted, &topic, &error) < 0)
        return tool_failed_error(&error);
    (void)printf("created topic %s with %u partition%s\n", topic.name, topic.partition_count,
                 topic.partition_count == 1 ? "" : "s");
    return TOOL_OK;
}

static int list(struct tool *tool, struct beck_store *store, const struct topic_options *options,
                char **names, int count)
{
    struct beck_topic topic = {0};
    struct beck_error error;
    int result;

    (void)names;
    if (count > 0)
        return tool_misused(tool, "list takes no names (see: beck topic show)");
    while ((result = beck_topic_next(store, topic.name, &topic, &error)) > 0) {
        struct table_totals totals = {0};
        (void)printf("%s", topic.name);
        if (options->is_long) {
            int code = table_partitions(store, &topic, NULL, &totals);
            if (code != TOOL_OK)
                return code;
            (void)printf("\t%u partitions\t%llu records\t%llu bytes", topic.partition_count,
                         (unsigned long long)totals.records, (unsigned long long)totals.disk_bytes);
        }
        (void)putchar('\n');
    }
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

static int show_settings(struct beck_store *store, const char *name, bool all)
{
    struct beck_config_entry entry;
    struct beck_error error;
    int result;

    for (uint32_t i = 0; (result = beck_topic_config(store, name, i, &entry, &error)) > 0; i++) {
        if (!entry.is_default || all)
            (void)printf("setting %s=%s%s\n", entry.name, entry.value,
                         entry.is_default ? " (default)" : "");
    }
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

static int show(struct tool *tool, struct beck_store *store, const struct topic_options *options,
                char **names, int count)
{
    struct table_totals totals = {0};
    struct beck_topic topic;
    char id[TABLE_ID_TEXT];
    char created[TABLE_TIME_TEXT];

    if (count != 1)
        return tool_misused(tool, count == 0 ? "which topic?" : "one topic at a time");
    int code = tool_find_topic(store, names[0], &topic);
    if (code != TOOL_OK)
        return code;
    (void)printf("topic %s\nid %s\npartitions %u\ncreated %s\nowner %u:%u mode %04o\n", topic.name,
                 table_id_text(topic.id, id), topic.partition_count,
                 table_time_text(topic.created_ms, created), topic.uid, topic.gid, topic.mode);
    code = show_settings(store, topic.name, options->all);
    const enum row_form form = ROW_TEXT;
    return code != TOOL_OK ? code : table_partitions(store, &topic, &form, &totals);
}

static int add_partitions(struct tool *tool, struct beck_store *store,
                          const struct topic_options *options, char **names, int count)
{
    struct beck_topic topic;
    struct beck_error error;

    if (count != 1)
        return tool_misused(tool, count == 0 ? "which topic?" : "one topic at a time");
    if (options->partition < 1)
        return tool_misused(tool, "how many partitions is it to have? -p COUNT");
    int code = tool_find_topic(store, names[0], &topic);
    if (code != TOOL_OK)
        return code;
    if (beck_topic_add_partitions(store, names[0], (uint32_t)options->partition, options->dry_run,
                                  &topic, &error) < 0)
        return tool_failed_error(&error);
    (void)printf("topic %s %s %u partitions\n", topic.name, options->dry_run ? "would have" : "has",
                 topic.partition_count);
    return TOOL_OK;
}

static int delete_records(struct tool *tool, struct beck_store *store,
                          const struct topic_options *options, char **names, int count)
{
    struct beck_partition *partition = NULL;
    struct beck_topic topic;
    struct beck_error error;
    int64_t log_start;

    if (count != 1)
        return tool_misused(tool, count == 0 ? "which topic?" : "one topic at a time");
    if (options->partition < 0 || !options->has_before)
        return tool_misused(tool, "which records? -p PARTITION --before OFFSET");
    int code = tool_find_topic(store, names[0], &topic);
    if (code == TOOL_OK)
        code = tool_open_partition(store, &topic, (int32_t)options->partition, &partition);
    if (code != TOOL_OK)
        return code;
    if (beck_trim(partition, options->before, &log_start, &error) < 0)
        code = tool_failed_error(&error);
    else
        (void)printf("topic %s partition %d begins at offset %lld\n", topic.name,
                     (int)options->partition, (long long)log_start);
    (void)beck_partition_close(partition);
    return code;
}

static int delete (struct tool *tool, struct beck_store *store, const struct topic_options *options,
                   char **names, int count)
{
    struct beck_error error;
    int code = TOOL_OK;

    (void)options;
    if (count == 0)
        return tool_misused(tool, "which topic?");
    for (int i = 0; i < count; i++) {
        int result = beck_topic_delete(store, names[i], &error);
        if (result == 0)
            (void)printf("deleted topic %s\n", names[i]);
        else if (result == -ENOENT)
            code = tool_failed("there is no topic %s", names[i]);
        else
            code = tool_failed_error(&error);
    }
    return code;
}

struct action {
    const char *name;
    enum tool_access access;
    int (*run)(struct tool *tool, struct beck_store *store, const struct topic_options *options,
               char **names, int count);
};

static const struct action actions[] = {
    {"create", TOOL_WRITE, create},
    {"list", TOOL_READ, list},
    {"show", TOOL_READ, show},
    {"add-partitions", TOOL_WRITE, add_partitions},
    {"delete-records", TOOL_WRITE, delete_records},
    {"delete", TOOL_WRITE, delete},
};

static int take_option(struct tool *tool, struct topic_options *options, int option, char **argv)
{
    switch (option) {
    case 'p':
        if (!parse_number(optarg, 0, BECK_PARTITIONS_MAX, &options->partition))
            return tool_misused(tool, "'%s' is no number of partitions: 1 to %d", optarg,
                                BECK_PARTITIONS_MAX);
        return -1;
    case OPTION_BEFORE:
        options->has_before = true;
        options->before = -1;
        if (strcmp(optarg, "end") != 0 && !parse_number(optarg, 0, INT64_MAX, &options->before))
            return tool_misused(tool, "'%s' is no offset: N, or end", optarg);
        return -1;
    case 'c':
        return tool_take_config(tool, optarg, &options->configs);
    case 'l':
        options->is_long = true;
        return -1;
    case 'a':
        options->all = true;
        return -1;
    case 'n':
        options->dry_run = true;
        return -1;
    default:
        return tool_common_option(tool, option, argv);
    }
}

static int perform(struct tool *tool, const struct topic_options *options, int argc, char **argv)
{
    struct beck_store *store = NULL;

    if (argc < 1)
        return tool_misused(
            tool,
            "what about topics? create, list, show, add-partitions, delete-records or delete");
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(actions[i].name, argv[0]) != 0)
            continue;
        int code = tool_open(tool, actions[i].access, &store);
        if (code == TOOL_OK)
            code = actions[i].run(tool, store, options, argv + 1, argc - 1);
        (void)beck_store_close(store);
        return code;
    }
    return tool_misused(tool, "'%s' is nothing that can be done with topics", argv[0]);
}

static int run(struct tool *tool, int argc, char **argv)
{
    static const struct option long_options[] = {
        {"partitions", required_argument, NULL, 'p'},
        {"config", required_argument, NULL, 'c'},
        {"long", no_argument, NULL, 'l'},
        {"all", no_argument, NULL, 'a'},
        {"dry-run", no_argument, NULL, 'n'},
        {"before", required_argument, NULL, OPTION_BEFORE},
        TOOL_LONG_OPTIONS,
    };
    struct topic_options options = {.partition = -1};
    int option;

    while ((option = getopt_long(argc, argv, ":p:c:lan", long_options, NULL)) != -1) {
        int code = take_option(tool, &options, option, argv);
        if (code >= 0)
            return code;
    }
    return perform(tool, &options, argc - optind, argv + optind);
}

const struct command topic_command = {.name = "topic",
                                      .summary = "create, list, show, grow or delete topics",
                                      .usage = usage,
                                      .run = run};
