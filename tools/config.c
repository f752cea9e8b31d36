/* SPDX-License-Identifier: Apache-2.0 */
/* beck config: what is configured for a topic, or for the store, and changing it. */
#include "tool.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "beck config list [-t TOPIC] [-a]\n"
    "       beck config get [-t TOPIC] NAME...\n"
    "       beck config set [-t TOPIC] NAME=VALUE... [-n]\n"
    "       beck config reset [-t TOPIC] NAME... [-n]\n"
    "       beck config describe [NAME...]\n\n"
    "What is configured for a topic, or without -t for the store: for itself, and for topics that\n"
    "set nothing. Names are Kafka's, retention.ms say.\n\n"
    "  -t, --topic TOPIC  of this topic\n"
    "  -a, --all          what nobody changed, too\n"
    "  -n, --dry-run      check, but change nothing\n";

struct config_options {
    const char *topic; /* NULL: the store */
    bool all;
    bool dry_run;
};

/* ---- showing ------------------------------------------------------------------------------ */

static int entry_at(struct beck_store *store, const char *topic, uint32_t index,
                    struct beck_config_entry *ret_entry, struct beck_error *error)
{
    return topic != NULL ? beck_topic_config(store, topic, index, ret_entry, error)
                         : beck_store_config(store, index, ret_entry, error);
}

/* Find an entry by name. */
static int find_entry(struct beck_store *store, const char *topic, const char *name,
                      struct beck_config_entry *ret_entry)
{
    struct beck_error error;
    int result;

    for (uint32_t i = 0; (result = entry_at(store, topic, i, ret_entry, &error)) > 0; i++) {
        if (strcmp(ret_entry->name, name) == 0)
            return TOOL_OK;
    }
    if (result < 0)
        return tool_failed_error(&error);
    return tool_failed("there is no configuration %s%s (see: beck config describe)", name,
                       topic != NULL ? " of topics" : "");
}

static const char *source_text(const struct beck_config_entry *entry)
{
    switch (entry->source) {
    case BECK_CONFIG_FROM_TOPIC:
        return "topic";
    case BECK_CONFIG_FROM_STORE:
        return "store";
    case BECK_CONFIG_FROM_DEFAULT:
    default:
        return "default";
    }
}

static int list(struct tool *tool, struct beck_store *store, const struct config_options *options,
                char **names, int count)
{
    struct beck_config_entry entry;
    struct beck_error error;
    int result;

    (void)names;
    if (count > 0)
        return tool_misused(tool, "list takes no names (see: beck config get)");
    for (uint32_t i = 0; (result = entry_at(store, options->topic, i, &entry, &error)) > 0; i++) {
        if (options->all || entry.source != BECK_CONFIG_FROM_DEFAULT)
            (void)printf("%s=%s (%s)\n", entry.name, entry.value, source_text(&entry));
    }
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

static int get(struct tool *tool, struct beck_store *store, const struct config_options *options,
               char **names, int count)
{
    struct beck_config_entry entry;

    if (count == 0)
        return tool_misused(tool, "which configuration?");
    for (int i = 0; i < count; i++) {
        int code = find_entry(store, options->topic, names[i], &entry);
        if (code != TOOL_OK)
            return code;
        (void)printf("%s\n", entry.value);
    }
    return TOOL_OK;
}

static const char *type_text(enum beck_config_type type)
{
    switch (type) {
    case BECK_CONFIG_BOOLEAN:
        return "boolean";
    case BECK_CONFIG_INT:
        return "int";
    case BECK_CONFIG_LONG:
        return "long";
    case BECK_CONFIG_DOUBLE:
        return "double";
    case BECK_CONFIG_LIST:
        return "list";
    case BECK_CONFIG_STRING:
    default:
        return "string";
    }
}

static void print_description(const struct beck_config_entry *entry)
{
    (void)printf("%s %s default=%s\n    %s\n", entry->name, type_text(entry->type),
                 entry->default_value, entry->documentation);
}

static int describe(struct tool *tool, struct beck_store *store,
                    const struct config_options *options, char **names, int count)
{
    struct beck_config_entry entry;
    struct beck_error error;
    int result = 0;

    (void)tool;
    for (int i = 0; i < count; i++) {
        int code = find_entry(store, options->topic, names[i], &entry);
        if (code != TOOL_OK)
            return code;
        print_description(&entry);
    }
    for (uint32_t i = 0;
         count == 0 && (result = entry_at(store, options->topic, i, &entry, &error)) > 0; i++)
        print_description(&entry);
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

/* ---- changing ----------------------------------------------------------------------------- */

static int alter(struct beck_store *store, const struct config_options *options,
                 const struct beck_config_change *changes, size_t count)
{
    struct beck_error error;
    unsigned flags = options->dry_run ? BECK_ALTER_VALIDATE_ONLY : 0;
    int result = options->topic != NULL
                     ? beck_topic_alter(store, options->topic, changes, count, flags, &error)
                     : beck_store_alter(store, changes, count, flags, &error);

    if (result < 0)
        return tool_failed_error(&error);
    for (size_t i = 0; i < count; i++) {
        const char *verb = changes[i].operation == BECK_CONFIG_RESET ? "reset" : "set";
        (void)printf("%s %s%s%s%s\n", verb, changes[i].name, changes[i].value ? "=" : "",
                     changes[i].value ? changes[i].value : "",
                     options->dry_run ? " (dry run)" : "");
    }
    return TOOL_OK;
}

static int set(struct tool *tool, struct beck_store *store, const struct config_options *options,
               char **names, int count)
{
    struct beck_config_change changes[TOOL_CONFIGS_MAX];
    struct tool_configs configs = {.count = 0};

    if (count == 0)
        return tool_misused(tool, "set what? NAME=VALUE");
    for (int i = 0; i < count; i++) {
        int code = tool_take_config(tool, names[i], &configs);
        if (code >= 0)
            return code;
        changes[i] = (struct beck_config_change){.name = configs.configs[i].name,
                                                 .value = configs.configs[i].value,
                                                 .operation = BECK_CONFIG_SET};
    }
    return alter(store, options, changes, (size_t)count);
}

static int reset(struct tool *tool, struct beck_store *store, const struct config_options *options,
                 char **names, int count)
{
    struct beck_config_change changes[TOOL_CONFIGS_MAX];

    if (count == 0)
        return tool_misused(tool, "reset what?");
    if (count > TOOL_CONFIGS_MAX)
        return tool_misused(tool, "more than %d settings", TOOL_CONFIGS_MAX);
    for (int i = 0; i < count; i++)
        changes[i] = (struct beck_config_change){.name = names[i], .operation = BECK_CONFIG_RESET};
    return alter(store, options, changes, (size_t)count);
}

/* ---- the command line --------------------------------------------------------------------- */

struct action {
    const char *name;
    enum tool_access access;
    int (*run)(struct tool *tool, struct beck_store *store, const struct config_options *options,
               char **names, int count);
};

static const struct action actions[] = {
    {"list", TOOL_READ, list},    {"get", TOOL_READ, get},           {"set", TOOL_WRITE, set},
    {"reset", TOOL_WRITE, reset}, {"describe", TOOL_READ, describe},
};

static int perform(struct tool *tool, const struct config_options *options, int argc, char **argv)
{
    struct beck_store *store = NULL;
    struct beck_topic topic;

    if (argc < 1)
        return tool_misused(tool, "what about configuration? list, get, set, reset or describe");
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(actions[i].name, argv[0]) != 0)
            continue;
        int code = tool_open(tool, actions[i].access, &store);
        if (code == TOOL_OK && options->topic != NULL)
            code = tool_find_topic(store, options->topic, &topic);
        if (code == TOOL_OK)
            code = actions[i].run(tool, store, options, argv + 1, argc - 1);
        (void)beck_store_close(store);
        return code;
    }
    return tool_misused(tool, "'%s' is none of list, get, set, reset and describe", argv[0]);
}

static int run(struct tool *tool, int argc, char **argv)
{
    static const struct option long_options[] = {
        {"topic", required_argument, NULL, 't'},
        {"all", no_argument, NULL, 'a'},
        {"dry-run", no_argument, NULL, 'n'},
        TOOL_LONG_OPTIONS,
    };
    struct config_options options = {.topic = NULL};
    int option;

    while ((option = getopt_long(argc, argv, ":t:an", long_options, NULL)) != -1) {
        int code = -1;
        if (option == 't')
            options.topic = optarg;
        else if (option == 'a')
            options.all = true;
        else if (option == 'n')
            options.dry_run = true;
        else
            code = tool_common_option(tool, option, argv);
        if (code >= 0)
            return code;
    }
    return perform(tool, &options, argc - optind, argv + optind);
}

const struct command config_command = {
    .name = "config", .summary = "show or change what is configured", .usage = usage, .run = run};
