/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck repair: what it would take to put a store right, and doing it. The library finds and does;
 * this prints. Exit code 0: nothing to do, or all done; 1: there is something to do; 2: it could
 * not be done.
 */
#include "signals.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>

static const char usage[] =
    "beck repair [--dry-run | --execute] [--drop-damaged]\n\n"
    "Say what is lost, damaged or stray in a store that nobody has open, a line each, and what "
    "would\n"
    "be done about it. Nothing is changed without --execute; what is cut off or replaced then is\n"
    "kept in the folder repair-<time> in the store.\n\n"
    "  -n, --dry-run       only say it (the default)\n"
    "  -x, --execute       do it\n"
    "      --drop-damaged  cut damaged batches out of segments, too, and forget segments whose\n"
    "                      files are gone, so that what is behind them can be read\n\n"
    "Exit code 0: nothing to do, or all is done; 1: there is something to do; 2: it could not be\n"
    "done.\n";

enum { OPTION_DROP_DAMAGED = TOOL_OPTION_FIRST };
enum { SOMETHING_TO_DO = 1, COULD_NOT = 2 };

/* What a line begins with: as it would be, and as it was done. */
static const char *word_of(const struct beck_repair_step *step)
{
    static const char *const words[][2] = {
        [BECK_REPAIR_REBUILD] = {"would rebuild", "rebuilt"},
        [BECK_REPAIR_CUT] = {"would cut", "cut"},
        [BECK_REPAIR_DROP] = {"would drop", "dropped"},
        [BECK_REPAIR_MOVE] = {"would move", "moved"},
        [BECK_REPAIR_MAKE] = {"would make", "made"},
        [BECK_REPAIR_LEAVE] = {"damaged", "damaged"},
    };
    return words[step->kind][step->done];
}

/* Whatever bytes a stray file's name has, it stays on its line. */
static void print_file(const char *file)
{
    for (const unsigned char *at = (const unsigned char *)file; *at != '\0'; at++)
        if (*at < ' ' || *at == 0x7f)
            (void)printf("\\x%02X", *at);
        else
            (void)putchar(*at);
}

static int print_step(void *context, const struct beck_repair_step *step)
{
    (void)context;
    (void)printf("%s ", word_of(step));
    print_file(step->file);
    if (step->topic[0] != '\0')
        (void)printf(" topic %s", step->topic);
    if (step->partition >= 0)
        (void)printf(" partition %d", (int)step->partition);
    if (step->offset >= 0)
        (void)printf(" offset %lld", (long long)step->offset);
    if (step->byte >= 0)
        (void)printf(" byte %lld", (long long)step->byte);
    if (step->bytes > 0)
        (void)printf(" bytes %lld", (long long)step->bytes);
    (void)printf(": %s\n", step->what);
    (void)fflush(stdout);
    return signals_caught() ? 1 : 0;
}

static void print_totals(const struct beck_repair_totals *totals)
{
    if (totals->done > 0)
        (void)printf("%u done", totals->done);
    else if (totals->to_do > 0)
        (void)printf("%u to do (beck repair --execute)", totals->to_do);
    else
        (void)printf("nothing to do");
    if (totals->left > 0)
        (void)printf(", %u damaged and left as they are (--drop-damaged)", totals->left);
    if (totals->side[0] != '\0')
        (void)printf(", what went is in %s", totals->side);
    (void)putchar('\n');
}

static int repair(const struct tool *tool, unsigned flags)
{
    struct beck_repair_totals totals;
    struct beck_error error;

    if (tool->store_path == NULL) {
        (void)tool_misused(tool, "which store? Name it with --store DIR, or in BECK_STORE");
        return COULD_NOT;
    }
    int result =
        beck_store_repair(tool->store_path, flags, NULL, print_step, NULL, &totals, &error);
    if (result < 0) {
        (void)tool_failed_error(&error);
        return COULD_NOT;
    }
    print_totals(&totals);
    return result == 0 ? TOOL_OK : SOMETHING_TO_DO;
}

static const struct option long_options[] = {
    {"dry-run", no_argument, NULL, 'n'},
    {"execute", no_argument, NULL, 'x'},
    {"drop-damaged", no_argument, NULL, OPTION_DROP_DAMAGED},
    TOOL_LONG_OPTIONS,
};

static int run(struct tool *tool, int argc, char **argv)
{
    unsigned flags = 0;
    bool dry_run = false;
    int option;

    while ((option = getopt_long(argc, argv, ":nx", long_options, NULL)) != -1) {
        if (option == 'n') {
            dry_run = true;
        } else if (option == 'x') {
            flags |= BECK_REPAIR_EXECUTE;
        } else if (option == OPTION_DROP_DAMAGED) {
            flags |= BECK_REPAIR_DROP_DAMAGED;
        } else {
            int code = tool_common_option(tool, option, argv);
            if (code >= 0)
                return code;
        }
    }
    if (dry_run && (flags & BECK_REPAIR_EXECUTE) != 0)
        return tool_misused(tool, "--dry-run and --execute exclude each other");
    if (optind < argc)
        return tool_misused(tool, "a store is repaired as a whole");
    return repair(tool, flags);
}

const struct command repair_command = {.name = "repair",
                                       .summary = "put right what is lost or damaged in a store",
                                       .usage = usage,
                                       .options = long_options,
                                       .argument = TOOL_ARGUMENT_NONE,
                                       .unwritten = COULD_NOT,
                                       .run = run};
