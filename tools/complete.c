/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck complete: what a shell's completion may put in place of the last of the words that it is
 * given, those of a command line behind "beck". It answers from the very tables that the commands
 * are parsed by, so that it cannot come to differ from them. One candidate a line; ":files" and
 * ":directories" ask the shell for its own.
 *
 * Topics and groups are those of the store or brokers that the words name. Brokers have a second:
 * what takes longer is of no use to who waits with a finger on a key.
 */
#include "admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BROKER_PATIENCE_SECONDS = 1 };

static const char usage[] = "beck complete [WORD...]\n\n"
                            "What may stand in place of the last WORD, one a line. For shells.\n";

struct completion {
    struct tool tool; /* of the command line that is being completed */
    const struct command *command;
    const char *word; /* what is there of it */
    const char *action;
    int arguments; /* before the word, without the action */
};

/* ---- candidates --------------------------------------------------------------------------- */

static void offer(const struct completion *completion, const char *text)
{
    if (strncmp(text, completion->word, strlen(completion->word)) == 0)
        (void)puts(text);
}

static void offer_list(const struct completion *completion, const char *list)
{
    char word[64];

    for (const char *at = list; *at != '\0'; at += strspn(at, " ")) {
        size_t size = strcspn(at, " ");
        (void)snprintf(word, sizeof(word), "%.*s", (int)size, at);
        offer(completion, word);
        at += size;
    }
}

static void offer_commands(const struct completion *completion)
{
    for (const struct command *at = NULL; (at = tool_command_next(at)) != NULL;) {
        if (at->summary != NULL)
            offer(completion, at->name);
    }
    offer(completion, "help");
}

static void offer_options(const struct completion *completion, const struct option *options)
{
    char text[64];

    for (; options->name != NULL; options++) {
        (void)snprintf(text, sizeof(text), "--%s", options->name);
        offer(completion, text);
    }
}

static struct admin *open_admin(struct completion *completion)
{
    struct admin *admin = NULL;

    if (completion->tool.brokers != NULL)
        (void)alarm(BROKER_PATIENCE_SECONDS);
    (void)admin_open(&completion->tool, TOOL_LOOK, &admin);
    return admin;
}

static void offer_topics(struct completion *completion)
{
    struct admin *admin = open_admin(completion);
    struct admin_topic topic = {.name = ""};
    struct beck_error error;

    while (admin != NULL && admin_topic_next(admin, topic.name, &topic, &error) > 0)
        offer(completion, topic.name);
    (void)admin_close(admin);
}

static void offer_groups(struct completion *completion)
{
    struct admin *admin = open_admin(completion);
    struct admin_groups groups = {0};
    struct beck_error error;

    if (admin != NULL)
        (void)admin_list_groups(admin, &groups, &error);
    for (size_t i = 0; i < groups.count; i++)
        offer(completion, groups.items[i].name);
    admin_groups_done(&groups);
    (void)admin_close(admin);
}

static void offer_settings(struct completion *completion, const char *topic, bool with_value)
{
    struct admin *admin = open_admin(completion);
    struct admin_config config;
    struct beck_error error;
    char text[300];

    for (uint32_t i = 0; admin != NULL && admin_config(admin, topic, i, &config, &error) > 0; i++) {
        (void)snprintf(text, sizeof(text), "%s%s", config.name, with_value ? "=" : "");
        offer(completion, text);
    }
    (void)admin_close(admin);
}

/* ---- values and arguments ----------------------------------------------------------------- */

/* Values that can be listed, by the options' long names. */
static const struct {
    const char *option;
    const char *values;
} value_lists[] = {
    {"acks", "all 1"},
    {"compression", "none gzip snappy lz4 zstd"},
    {"format", "text json"},
    {"isolation", "committed uncommitted"},
    {"offset", "beginning end @-1h"},
    {"before", "end"},
    {"print", "partition offset timestamp key headers value"},
    {"file", ":files"},
    {"store", ":directories"},
    {"log-dir", ":directories"},
    {"to-segments", ":directories"},
    {"to-log-dir", ":directories"},
};

static void offer_values(struct completion *completion, const struct option *option)
{
    if (strcmp(option->name, "topic") == 0)
        offer_topics(completion);
    if (strcmp(option->name, "group") == 0)
        offer_groups(completion);
    for (size_t i = 0; i < sizeof(value_lists) / sizeof(value_lists[0]); i++) {
        if (strcmp(value_lists[i].option, option->name) != 0)
            continue;
        if (value_lists[i].values[0] == ':')
            (void)puts(value_lists[i].values);
        else
            offer_list(completion, value_lists[i].values);
    }
}

static bool is_action(const struct completion *completion, const char *name)
{
    return completion->action != NULL && strcmp(completion->action, name) == 0;
}

/* Does the action make something, or list all, so that there are no names to choose from? */
static bool takes_no_names(const struct completion *completion)
{
    return is_action(completion, "list") || (is_action(completion, "create") &&
                                             completion->command->argument == TOOL_ARGUMENT_TOPIC);
}

static void offer_arguments(struct completion *completion, const char *topic)
{
    const struct command *command = completion->command;

    if (command->actions != NULL && completion->action == NULL) {
        for (const struct admin_action *at = command->actions; at->name != NULL; at++)
            offer(completion, at->name);
        return;
    }
    if (takes_no_names(completion))
        return;
    switch (command->argument) {
    case TOOL_ARGUMENT_TOPIC_OR_FILE:
        (void)puts(":files");
        offer_topics(completion);
        break;
    case TOOL_ARGUMENT_TOPIC:
        offer_topics(completion);
        break;
    case TOOL_ARGUMENT_GROUP:
        if (completion->arguments == 0 || is_action(completion, "delete"))
            offer_groups(completion);
        else
            offer_topics(completion);
        break;
    case TOOL_ARGUMENT_SETTING:
        offer_settings(completion, topic, is_action(completion, "set"));
        break;
    case TOOL_ARGUMENT_DIRECTORY:
        (void)puts(":directories");
        break;
    case TOOL_ARGUMENT_NONE:
        break;
    }
}

/* ---- the words before --------------------------------------------------------------------- */

/* Options before the command. */
static const struct option global_options[] = {
    {"store", required_argument, NULL, TOOL_OPTION_STORE},
    {"help", no_argument, NULL, TOOL_OPTION_HELP},
    {"version", no_argument, NULL, TOOL_OPTION_FIRST},
    {NULL, 0, NULL, 0},
};

/* The option that a word is, whose value may stand behind "=": NULL, none. */
static const struct option *find_option(const struct option *options, const char *word,
                                        const char **ret_value)
{
    size_t size = strcspn(word, "=");

    *ret_value = NULL;
    for (; word[0] == '-' && options->name != NULL; options++) {
        if (word[1] == '-' && strlen(options->name) == size - 2 &&
            strncmp(options->name, word + 2, size - 2) == 0) {
            *ret_value = word[size] == '=' ? word + size + 1 : NULL;
            return options;
        }
        if (word[1] != '-' && word[1] == options->val && word[2] == '\0')
            return options;
    }
    return NULL;
}

static void take_option(struct completion *completion, const struct option *option,
                        const char *value, const char **topic)
{
    if (option->val == TOOL_OPTION_STORE)
        completion->tool.store_path = value;
    if (option->val == 'b')
        completion->tool.brokers = value;
    if (strcmp(option->name, "topic") == 0)
        *topic = value;
}

static void take_argument(struct completion *completion, const char *word)
{
    if (completion->command == NULL)
        completion->command = tool_command(word);
    else if (completion->command->actions != NULL && completion->action == NULL)
        completion->action = word;
    else
        completion->arguments++;
}

/* Walk over all words but the last one, and answer for that one. */
static void complete(struct completion *completion, char **words, int count)
{
    const struct option *options = global_options;
    const struct option *waiting = NULL; /* for its value */
    const char *topic = NULL;
    const char *value = NULL;

    for (int i = 0; i < count - 1; i++) {
        const struct option *option = waiting ? NULL : find_option(options, words[i], &value);
        if (waiting != NULL)
            take_option(completion, waiting, words[i], &topic);
        else if (option != NULL && value != NULL)
            take_option(completion, option, value, &topic);
        else if (words[i][0] != '-')
            take_argument(completion, words[i]);
        waiting = option != NULL && option->has_arg && value == NULL ? option : NULL;
        if (completion->command != NULL)
            options = completion->command->options;
    }
    completion->word = words[count - 1];
    const struct option *option = find_option(options, completion->word, &value);
    if (waiting != NULL)
        offer_values(completion, waiting);
    else if (option != NULL && value != NULL) {
        completion->word = value;
        offer_values(completion, option);
    } else if (completion->word[0] == '-')
        offer_options(completion, options);
    else if (completion->command != NULL)
        offer_arguments(completion, topic);
    else
        offer_commands(completion);
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct completion completion = {.tool = {.store_path = tool->store_path}};

    int skip = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
    if (argc > skip)
        complete(&completion, argv + skip, argc - skip);
    return TOOL_OK;
}

static const struct option long_options[] = {TOOL_LONG_OPTIONS};

/* Not in the list of commands: people have no use for it. */
const struct command complete_command = {.name = "complete",
                                         .usage = usage,
                                         .options = long_options,
                                         .argument = TOOL_ARGUMENT_NONE,
                                         .run = run};
