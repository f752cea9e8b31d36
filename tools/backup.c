/* SPDX-License-Identifier: Apache-2.0 */
/* beck backup: a store's copy, made while it is in use. The library does it. */
#include "progress.h"
#include "signals.h"
#include "tool.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

static const char usage[] =
    "beck backup [OPTION]... DIR\n\n"
    "Make a backup of the store in DIR, which is missing or empty. Others may go on with the "
    "store\n"
    "meanwhile. The backup has all that was acknowledged before, and is a store of its own: open "
    "it\n"
    "as it is, or restore it by copying all of it.\n\n"
    "      --copy   copy every byte; else, where the file system can, it shares files with the\n"
    "               store, which takes little time and room\n";

enum { OPTION_COPY = TOOL_OPTION_FIRST };

static int on_progress(void *context, uint64_t done_bytes, uint64_t all_bytes)
{
    progress_show(context, done_bytes, all_bytes);
    return signals_caught() ? 1 : 0;
}

static const struct option long_options[] = {{"copy", no_argument, NULL, OPTION_COPY},
                                             TOOL_LONG_OPTIONS};

static int run(struct tool *tool, int argc, char **argv)
{
    struct progress progress;
    struct beck_backup_options backup = {.progress = on_progress, .context = &progress};
    struct beck_store *store = NULL;
    struct beck_error error;
    int option;

    while ((option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
        if (option == OPTION_COPY) {
            backup.copy = true;
            continue;
        }
        int code = tool_common_option(tool, option, argv);
        if (code >= 0)
            return code;
    }
    if (argc - optind != 1)
        return tool_misused(tool, "one directory to make the backup in");
    if (tool_open(tool, TOOL_READ, &store) != TOOL_OK)
        return TOOL_FAILED;
    progress_begin(&progress, "backing up");
    int result = beck_store_backup(store, argv[optind], &backup, &error);
    progress_end(&progress);
    (void)beck_store_close(store);
    if (result < 0)
        return tool_failed_error(&error);
    (void)printf("made a backup in %s\n", argv[optind]);
    return TOOL_OK;
}

const struct command backup_command = {.name = "backup",
                                       .summary = "copy a store while it is in use",
                                       .usage = usage,
                                       .options = long_options,
                                       .argument = TOOL_ARGUMENT_DIRECTORY,
                                       .run = run};
