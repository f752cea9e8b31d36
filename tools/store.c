/* SPDX-License-Identifier: Apache-2.0 */
/* beck store: making a store, which nothing does by accident. */
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "beck store create [DIR]\n\n"
    "Make an empty store in DIR (default: the one of --store or BECK_STORE), a directory that is\n"
    "missing or empty.\n";

static int create(struct tool *tool, const char *directory)
{
    struct beck_error error;

    if (directory == NULL)
        directory = tool->store_path;
    if (directory == NULL)
        return tool_misused(tool, "where? Name the directory, or use --store DIR or BECK_STORE");
    if (beck_store_create(directory, NULL, &error) < 0)
        return tool_failed_error(&error);
    (void)printf("created a store in %s\n", directory);
    return TOOL_OK;
}

static int run(struct tool *tool, int argc, char **argv)
{
    static const struct option options[] = {TOOL_LONG_OPTIONS};
    int option;

    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        int code = tool_common_option(tool, option, argv);
        if (code >= 0)
            return code;
    }
    argc -= optind;
    argv += optind;
    if (argc < 1 || strcmp(argv[0], "create") != 0)
        return tool_misused(tool, argc < 1 ? "what about the store? create"
                                           : "a store can only be created");
    if (argc > 2)
        return tool_misused(tool, "one directory at a time");
    return create(tool, argc == 2 ? argv[1] : NULL);
}

const struct command store_command = {
    .name = "store", .summary = "create a store", .usage = usage, .run = run};
