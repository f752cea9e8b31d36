/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck topic: create, list, show, add-partitions, delete-records, delete; of a store, or of a
 * broker or cluster.
 */
#include "admin.h"
#include "parse.h"
#include "table.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "beck topic create NAME [-p COUNT] [-r COUNT] [-c SETTING=VALUE]...\n"
    "       beck topic list [-l]\n"
    "       beck topic show NAME [-a]\n"
    "       beck topic add-partitions NAME -p COUNT [-n]\n"
    "       beck topic delete-records NAME -p PARTITION --before OFFSET|end\n"
    "       beck topic delete NAME...\n\n" TOOL_CLUSTER_USAGE
    "  -p, --partitions COUNT  partitions that the topic is to have; of a new one, default: 1;\n"
    "                          for delete-records, the number of the partition\n"
    "  -r, --replicas COUNT    of each record, with -b; default: as the broker likes\n"
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
    int64_t replicas;  /* -1: not said */
    int64_t before;    /* offset; -1: the end */
    bool has_before;
    bool is_long;
    bool all;
    bool dry_run;
};

static int create(struct tool *tool, struct admin *admin, const void *context, char **names,
                  int count)
{
    const struct topic_options *options = context;
    struct admin_new_topic wanted = {
        .partition_count = options->partition > 0 ? (uint32_t)options->partition : 1,
        .replicas = (int)options->replicas,
        .configs = options->configs.configs,
        .config_count = options->configs.count,
    };
    struct beck_error error;

    if (count != 1)
        return tool_misused(tool, count == 0 ? "which topic?" : "one topic at a time");
    if (options->partition == 0)
        return tool_misused(tool, "a topic has 1 to %d partitions", BECK_PARTITIONS_MAX);
    wanted.name = names[0];
    if (admin_topic_create(admin, &wanted, &error) < 0)
        return tool_failed_error(&error);
    (void)printf("created topic %s with %u partition%s\n", wanted.name, wanted.partition_count,
                 wanted.partition_count == 1 ? "" : "s");
    return TOOL_OK;
}

/* ---- list --------------------------------------------------------------------------------- */

/* Where records are not known, the line ends before them. */
static int print_long(struct admin *admin, const struct admin_topic *topic)
{
    struct table_figures figures = {0};
    struct beck_error error;
    uint64_t records = 0;
    uint64_t disk_bytes = 0;

    (void)printf("%s\t%u partitions", topic->name, topic->partition_count);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        if (admin_figures(admin, topic, (int32_t)i, &figures, &error) < 0) {
            (void)putchar('\n');
            return tool_failed_error(&error);
        }
        if (!figures.has_bounds) {
            (void)putchar('\n');
            return tool_failed("topic %s partition %u has no leader", topic->name, i);
        }
        records += (uint64_t)(figures.end - figures.start);
        disk_bytes += figures.disk_bytes;
    }
    (void)printf("\t%llu records", (unsigned long long)records);
    if (figures.has_state)
        (void)printf("\t%llu bytes", (unsigned long long)disk_bytes);
    (void)putchar('\n');
    return TOOL_OK;
}

static int list(struct tool *tool, struct admin *admin, const void *context, char **names,
                int count)
{
    const struct topic_options *options = context;
    struct admin_topic topic = {.name = ""};
    struct beck_error error;
    int code = TOOL_OK;
    int result;

    (void)names;
    if (count > 0)
        return tool_misused(tool, "list takes no names (see: beck topic show)");
    while ((result = admin_topic_next(admin, topic.name, &topic, &error)) > 0) {
        if (!options->is_long)
            (void)printf("%s\n", topic.name);
        else if (print_long(admin, &topic) != TOOL_OK)
            code = TOOL_FAILED;
    }
    return result < 0 ? tool_failed_error(&error) : code;
}

/* ---- show --------------------------------------------------------------------------------- */

static int show_settings(struct admin *admin, const char *name, bool all)
{
    struct admin_config config;
    struct beck_error error;
    int result;

    for (uint32_t i = 0; (result = admin_config(admin, name, i, &config, &error)) > 0; i++) {
        if (!config.is_default || all)
            (void)printf("setting %s=%s%s\n", config.name, config.value ? config.value : "",
                         config.is_default ? " (default)" : "");
    }
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

static int show_partitions(struct admin *admin, const struct admin_topic *topic)
{
    struct table_figures figures;
    struct beck_error error;

    for (uint32_t i = 0; i < topic->partition_count; i++) {
        if (admin_figures(admin, topic, (int32_t)i, &figures, &error) < 0)
            return tool_failed_error(&error);
        table_print_partition(topic->name, (int32_t)i, &figures, ROW_TEXT);
    }
    return TOOL_OK;
}

static void show_record(const struct beck_topic *record)
{
    char id[TABLE_ID_TEXT];
    char created[TABLE_TIME_TEXT];

    (void)printf("id %s\ncreated %s\nowner %u:%u mode %04o\n", table_id_text(record->id, id),
                 table_time_text(record->created_ms, created), record->uid, record->gid,
                 record->mode);
}

static int show(struct tool *tool, struct admin *admin, const void *context, char **names,
                int count)
{
    const struct topic_options *options = context;
    struct admin_topic topic;

    if (count != 1)
        return tool_misused(tool, count == 0 ? "which topic?" : "one topic at a time");
    int code = admin_find_topic(admin, names[0], &topic);
    if (code != TOOL_OK)
        return code;
    (void)printf("topic %s\npartitions %u\n", topic.name, topic.partition_count);
    if (topic.has_record)
        show_record(&topic.record);
    code = show_settings(admin, topic.name, options->all);
    return code != TOOL_OK ? code : show_partitions(admin, &topic);
}

/* ---- changing ----------------------------------------------------------------------------- */

static int add_partitions(struct tool *tool, struct admin *admin, const void *context, char **names,
                          int count)
{
    const struct topic_options *options = context;
    struct admin_topic topic;
    struct beck_error error;

    if (count != 1)
        return tool_misused(tool, count == 0 ? "which topic?" : "one topic at a time");
    if (options->partition < 1)
        return tool_misused(tool, "how many partitions is it to have? -p COUNT");
    int code = admin_find_topic(admin, names[0], &topic);
    if (code != TOOL_OK)
        return code;
    if (admin_topic_grow(admin, names[0], (uint32_t)options->partition, options->dry_run, &error) <
        0)
        return tool_failed_error(&error);
    (void)printf("topic %s %s %lld partitions\n", topic.name,
                 options->dry_run ? "would have" : "has", (long long)options->partition);
    return TOOL_OK;
}

static int delete_records(struct tool *tool, struct admin *admin, const void *context, char **names,
                          int count)
{
    const struct topic_options *options = context;
    struct admin_topic topic;
    struct beck_error error;
    int64_t log_start;

    if (count != 1)
        return tool_misused(tool, count == 0 ? "which topic?" : "one topic at a time");
    if (options->partition < 0 || !options->has_before)
        return tool_misused(tool, "which records? -p PARTITION --before OFFSET");
    int code = admin_find_topic(admin, names[0], &topic);
    if (code != TOOL_OK)
        return code;
    if (options->partition >= topic.partition_count)
        return tool_failed("topic %s has no partition %d: it has 0 to %u", topic.name,
                           (int)options->partition, topic.partition_count - 1);
    if (admin_trim(admin, topic.name, (int32_t)options->partition, options->before, &log_start,
                   &error) < 0)
        return tool_failed_error(&error);
    (void)printf("topic %s partition %d begins at offset %lld\n", topic.name,
                 (int)options->partition, (long long)log_start);
    return TOOL_OK;
}

static int delete (struct tool *tool, struct admin *admin, const void *context, char **names,
                   int count)
{
    struct beck_error error;
    int code = TOOL_OK;

    (void)context;
    if (count == 0)
        return tool_misused(tool, "which topic?");
    for (int i = 0; i < count; i++) {
        int result = admin_topic_delete(admin, names[i], &error);
        if (result == 0)
            (void)printf("deleted topic %s\n", names[i]);
        else if (result == -ENOENT)
            code = tool_failed("there is no topic %s", names[i]);
        else
            code = tool_failed_error(&error);
    }
    return code;
}

static const struct admin_action actions[] = {
    {"create", TOOL_WRITE, create},
    {"list", TOOL_READ, list},
    {"show", TOOL_READ, show},
    {"add-partitions", TOOL_WRITE, add_partitions},
    {"delete-records", TOOL_WRITE, delete_records},
    {"delete", TOOL_WRITE, delete},
    {NULL, TOOL_READ, NULL},
};

/* ---- the command line --------------------------------------------------------------------- */

static int take_option(struct tool *tool, struct topic_options *options, int option, char **argv)
{
    switch (option) {
    case 'p':
        if (!parse_number(optarg, 0, BECK_PARTITIONS_MAX, &options->partition))
            return tool_misused(tool, "'%s' is no number of partitions: 1 to %d", optarg,
                                BECK_PARTITIONS_MAX);
        return -1;
    case 'r':
        if (!parse_number(optarg, 1, INT16_MAX, &options->replicas))
            return tool_misused(tool, "'%s' is no number of replicas", optarg);
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

static const struct option long_options[] = {
    {"partitions", required_argument, NULL, 'p'},
    {"replicas", required_argument, NULL, 'r'},
    {"config", required_argument, NULL, 'c'},
    {"long", no_argument, NULL, 'l'},
    {"all", no_argument, NULL, 'a'},
    {"dry-run", no_argument, NULL, 'n'},
    {"before", required_argument, NULL, OPTION_BEFORE},
    TOOL_CLUSTER_OPTIONS,
    TOOL_LONG_OPTIONS,
};

static int run(struct tool *tool, int argc, char **argv)
{
    struct topic_options options = {.partition = -1, .replicas = -1};
    int option;

    while ((option = getopt_long(argc, argv, ":p:r:c:lan" TOOL_CLUSTER_SHORT, long_options,
                                 NULL)) != -1) {
        int code = take_option(tool, &options, option, argv);
        if (code >= 0)
            return code;
    }
    return admin_perform(tool, actions, "topics", &options, argc - optind, argv + optind);
}

const struct command topic_command = {.name = "topic",
                                      .summary = "create, list, show, grow or delete topics",
                                      .usage = usage,
                                      .options = long_options,
                                      .actions = actions,
                                      .argument = TOOL_ARGUMENT_TOPIC,
                                      .run = run};
