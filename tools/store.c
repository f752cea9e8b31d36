/* SPDX-License-Identifier: Apache-2.0 */
/* beck store: making a store, which nothing does by accident. */
#include "admin.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "beck store create [DIR] [-c SETTING=VALUE]...\n\n"
    "Make an empty store in DIR (default: the one of --store or BECK_STORE), a directory that is\n"
    "missing or empty.\n\n"
    "  -c, --config S=VALUE  what topics have where they set nothing themselves, under Kafka's\n"
    "                        name for it; flush.policy=os: acks=all does not wait for the disk\n";

static int create(struct tool *tool, const char *directory, const struct tool_configs *configs)
{
    struct beck_store_options options = {.configs = configs->configs,
                                         .config_count = configs->count};
    struct beck_error error;

    if (directory == NULL)
        directory = tool->store_path;
    if (directory == NULL)
        return tool_misused(tool, "where? Name the directory, or use --store DIR or BECK_STORE");
    if (beck_store_create(directory, &options, &error) < 0)
        return tool_failed_error(&error);
    (void)printf("created a store in %s\n", directory);
    return TOOL_OK;
}

/* For completion; there is no store to be opened for it. */
static const struct admin_action actions[] = {{"create", TOOL_WRITE, NULL},
                                              {NULL, TOOL_READ, NULL}};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    TOOL_LONG_OPTIONS,
};

static int run(struct tool *tool, int argc, char **argv)
{
    struct tool_configs configs = {.count = 0};
    int option;

    while ((option = getopt_long(argc, argv, ":c:", long_options, NULL)) != -1) {
        int code = option == 'c' ? tool_take_config(tool, optarg, &configs)
                                 : tool_common_option(tool, option, argv);
        if (code >= 0)
            return code;
    }
    argc -= optind;
    argv += optind;
    if (argc < 1 || strcmp(argv[0], actions[0].name) != 0)
        return tool_misused(tool, argc < 1 ? "what about the store? create"
                                           : "a store can only be created");
    if (argc > 2)
        return tool_misused(tool, "one directory at a time");
    return create(tool, argc == 2 ? argv[1] : NULL, &configs);
}

const struct command store_command = {.name = "store",
                                      .summary = "create a store",
                                      .usage = usage,
                                      .options = long_options,
                                      .actions = actions,
                                      .argument = TOOL_ARGUMENT_DIRECTORY,
                                      .run = run};
