/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck config: what is configured for a topic, or for the store or broker, and changing it.
 */
#include "admin.h"
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
    "set nothing. With -b and without -t, for the broker. Names are Kafka's, retention.ms "
    "say.\n\n" TOOL_CLUSTER_USAGE
    "      --node ID         that broker of the cluster, where there are several\n"
    "  -t, --topic TOPIC     of this topic\n"
    "  -a, --all             what nobody changed, too\n"
    "  -n, --dry-run         check, but change nothing\n";

enum { OPTION_NODE = TOOL_OPTION_FIRST };

struct config_options {
    const char *topic; /* NULL: the store */
    bool all;
    bool dry_run;
};

/* ---- showing ------------------------------------------------------------------------------ */

/* Is the topic there, where one is meant? */
static int check_topic(struct admin *admin, const struct config_options *options)
{
    struct admin_topic topic;
    return options->topic != NULL ? admin_find_topic(admin, options->topic, &topic) : TOOL_OK;
}

/* Find an entry by name. */
static int find_entry(struct admin *admin, const char *topic, const char *name,
                      struct admin_config *ret_entry)
{
    struct beck_error error;
    int result;

    for (uint32_t i = 0; (result = admin_config(admin, topic, i, ret_entry, &error)) > 0; i++) {
        if (strcmp(ret_entry->name, name) == 0)
            return TOOL_OK;
    }
    if (result < 0)
        return tool_failed_error(&error);
    return tool_failed("there is no configuration %s%s (see: beck config describe)", name,
                       topic != NULL ? " of topics" : "");
}

static const char *value_text(const struct admin_config *entry)
{
    return entry->value != NULL ? entry->value : "(secret)";
}

static int list(struct tool *tool, struct admin *admin, const void *context, char **names,
                int count)
{
    const struct config_options *options = context;
    struct admin_config entry;
    struct beck_error error;
    int result;

    (void)names;
    if (count > 0)
        return tool_misused(tool, "list takes no names (see: beck config get)");
    int code = check_topic(admin, options);
    if (code != TOOL_OK)
        return code;
    for (uint32_t i = 0; (result = admin_config(admin, options->topic, i, &entry, &error)) > 0;
         i++) {
        if (options->all || !entry.is_built_in)
            (void)printf("%s=%s (%s)\n", entry.name, value_text(&entry), entry.source);
    }
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

static int get(struct tool *tool, struct admin *admin, const void *context, char **names, int count)
{
    const struct config_options *options = context;
    struct admin_config entry;

    if (count == 0)
        return tool_misused(tool, "which configuration?");
    int code = check_topic(admin, options);
    if (code != TOOL_OK)
        return code;
    for (int i = 0; i < count; i++) {
        code = find_entry(admin, options->topic, names[i], &entry);
        if (code != TOOL_OK)
            return code;
        (void)printf("%s\n", value_text(&entry));
    }
    return TOOL_OK;
}

static void print_description(const struct admin_config *entry)
{
    (void)printf("%s", entry->name);
    if (entry->type != NULL)
        (void)printf(" %s", entry->type);
    if (entry->default_value != NULL)
        (void)printf(" default=%s", entry->default_value);
    (void)putchar('\n');
    if (entry->documentation != NULL)
        (void)printf("    %s\n", entry->documentation);
}

static int describe(struct tool *tool, struct admin *admin, const void *context, char **names,
                    int count)
{
    const struct config_options *options = context;
    struct admin_config entry;
    struct beck_error error;
    int result = 0;

    (void)tool;
    int code = check_topic(admin, options);
    if (code != TOOL_OK)
        return code;
    for (int i = 0; i < count; i++) {
        code = find_entry(admin, options->topic, names[i], &entry);
        if (code != TOOL_OK)
            return code;
        print_description(&entry);
    }
    for (uint32_t i = 0;
         count == 0 && (result = admin_config(admin, options->topic, i, &entry, &error)) > 0; i++)
        print_description(&entry);
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

/* ---- changing ----------------------------------------------------------------------------- */

static int alter(struct admin *admin, const struct config_options *options,
                 const struct beck_config_change *changes, size_t count)
{
    struct beck_error error;

    int code = check_topic(admin, options);
    if (code != TOOL_OK)
        return code;
    if (admin_alter(admin, options->topic, changes, count, options->dry_run, &error) < 0)
        return tool_failed_error(&error);
    for (size_t i = 0; i < count; i++) {
        const char *verb = changes[i].operation == BECK_CONFIG_RESET ? "reset" : "set";
        (void)printf("%s %s%s%s%s\n", verb, changes[i].name, changes[i].value ? "=" : "",
                     changes[i].value ? changes[i].value : "",
                     options->dry_run ? " (dry run)" : "");
    }
    return TOOL_OK;
}

static int set(struct tool *tool, struct admin *admin, const void *context, char **names, int count)
{
    const struct config_options *options = context;
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
    return alter(admin, options, changes, (size_t)count);
}

static int reset(struct tool *tool, struct admin *admin, const void *context, char **names,
                 int count)
{
    const struct config_options *options = context;
    struct beck_config_change changes[TOOL_CONFIGS_MAX];

    if (count == 0)
        return tool_misused(tool, "reset what?");
    if (count > TOOL_CONFIGS_MAX)
        return tool_misused(tool, "more than %d settings", TOOL_CONFIGS_MAX);
    for (int i = 0; i < count; i++)
        changes[i] = (struct beck_config_change){.name = names[i], .operation = BECK_CONFIG_RESET};
    return alter(admin, options, changes, (size_t)count);
}

/* ---- the command line --------------------------------------------------------------------- */

static const struct admin_action actions[] = {
    {"list", TOOL_READ, list},    {"get", TOOL_READ, get},           {"set", TOOL_WRITE, set},
    {"reset", TOOL_WRITE, reset}, {"describe", TOOL_READ, describe}, {NULL, TOOL_READ, NULL},
};

static const struct option long_options[] = {
    {"topic", required_argument, NULL, 't'},
    {"all", no_argument, NULL, 'a'},
    {"dry-run", no_argument, NULL, 'n'},
    {"node", required_argument, NULL, OPTION_NODE},
    TOOL_CLUSTER_OPTIONS,
    TOOL_LONG_OPTIONS,
};

static int run(struct tool *tool, int argc, char **argv)
{
    struct config_options options = {.topic = NULL};
    int option;

    while ((option = getopt_long(argc, argv, ":t:an" TOOL_CLUSTER_SHORT, long_options, NULL)) !=
           -1) {
        int code = -1;
        if (option == 't')
            options.topic = optarg;
        else if (option == 'a')
            options.all = true;
        else if (option == 'n')
            options.dry_run = true;
        else if (option == OPTION_NODE)
            tool->node = optarg;
        else
            code = tool_common_option(tool, option, argv);
        if (code >= 0)
            return code;
    }
    return admin_perform(tool, actions, "configuration", &options, argc - optind, argv + optind);
}

const struct command config_command = {.name = "config",
                                       .summary = "show or change what is configured",
                                       .usage = usage,
                                       .options = long_options,
                                       .actions = actions,
                                       .argument = TOOL_ARGUMENT_SETTING,
                                       .run = run};
