/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck: the dispatcher. Takes the options before the command, looks the command up, and sees to
 * what is the same for all at the end: output that could not be written is an error, and a signal
 * that asked to stop is obeyed once the store has been closed. Knows nothing of what the commands
 * do.
 */
#include "signals.h"
#include "tool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command *const commands[] = {
    &store_command,   &topic_command,   &config_command, &group_command,
    &produce_command, &consume_command, &dump_command,   &verify_command,
    &repair_command,  &stat_command,    &export_command, &import_command,
    &backup_command,  &ping_command,    &bench_command,  &complete_command,
};

enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

const struct command *tool_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

const struct command *tool_command_next(const struct command *after)
{
    size_t next = 0;

    while (after != NULL && next < COMMAND_COUNT && commands[next++] != after) {
    }
    return next < COMMAND_COUNT ? commands[next] : NULL;
}

static void print_overview(FILE *to)
{
    (void)fputs("usage: beck [--store DIR] COMMAND [ARGUMENT...]\n\n"
                "Work with a beck store, whether a beckd serves it or not. DIR is the store's\n"
                "directory; without --store it is taken from BECK_STORE. With -b HOST:PORT, many\n"
                "commands work on a Kafka broker or cluster instead.\n\n",
                to);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (commands[i]->summary != NULL)
            (void)fprintf(to, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    }
    (void)fputs("  help      say how a command is used\n\n"
                "See also: beck COMMAND --help, beck(1).\n",
                to);
}

static int help(struct tool *tool, int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stdout);
        return TOOL_OK;
    }
    const struct command *command = tool_command(argv[1]);
    if (command == NULL)
        return tool_misused(tool, "there is no command '%s'", argv[1]);
    (void)printf("usage: %s", command->usage);
    return TOOL_OK;
}

static int dispatch(struct tool *tool, int argc, char **argv)
{
    if (argc < 1) {
        print_overview(stderr);
        return TOOL_USAGE;
    }
    if (strcmp(argv[0], "help") == 0)
        return help(tool, argc, argv);
    tool->command = tool_command(argv[0]);
    if (tool->command == NULL)
        return tool_misused(tool, "there is no command '%s'", argv[0]);
    optind = 0; /* getopt starts anew, on another vector */
    return tool->command->run(tool, argc, argv);
}

/* Options before the command. Returns -1 to go on, else the exit code. */
static int global_options(struct tool *tool, int argc, char **argv)
{
    static const struct option options[] = {
        {"store", required_argument, NULL, TOOL_OPTION_STORE},
        {"help", no_argument, NULL, TOOL_OPTION_HELP},
        {"version", no_argument, NULL, TOOL_OPTION_FIRST},
        {NULL, 0, NULL, 0},
    };

    opterr = 0;
    for (;;) {
        switch (getopt_long(argc, argv, "+:", options, NULL)) {
        case -1:
            return -1;
        case TOOL_OPTION_STORE:
            tool->store_path = optarg;
            break;
        case TOOL_OPTION_HELP:
            print_overview(stdout);
            return TOOL_OK;
        case TOOL_OPTION_FIRST:
            (void)printf("beck %s\n", beck_version());
            return TOOL_OK;
        case ':':
            return tool_misused(tool, "option %s needs a value", argv[optind - 1]);
        default:
            return tool_misused(tool, "there is no option %s before the command", argv[optind - 1]);
        }
    }
}

int main(int argc, char **argv)
{
    struct tool tool = {.store_path = getenv("BECK_STORE")};

    if (tool.store_path != NULL && tool.store_path[0] == '\0')
        tool.store_path = NULL;
    signals_install();
    int code = global_options(&tool, argc, argv);
    if (code < 0)
        code = dispatch(&tool, argc - optind, argv + optind);
    bool lost = fflush(stdout) != 0 || ferror(stdout) != 0;
    signals_obey();
    if (!lost)
        return code;
    code = tool_failed("cannot write to standard output: %s", strerror(errno));
    return tool.command != NULL && tool.command->unwritten != 0 ? tool.command->unwritten : code;
}
