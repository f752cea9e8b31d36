/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck verify: read everything and say what is damaged, one line each. A store is left to the
 * library, opened read-only, so that nothing is repaired by looking; a segment file is walked by
 * the format layer alone. Exit code 0: sound; 1: damaged; 2: it could not be checked.
 */
#include "parse.h"
#include "progress.h"
#include "segment_file.h"
#include "signals.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "beck verify [TOPIC]\n"
    "       beck verify FILE.log...\n\n"
    "Read a store (or one of its topics, or segment files) and check every batch and record, the\n"
    "order of offsets, and the index against the segments. Each damage is one line on standard\n"
    "output, with its place. A name with a slash, or that ends in .log and is a file, is a "
    "file.\n\n"
    "Exit code 0: all is sound; 1: something is damaged; 2: it could not be checked.\n";

enum { COULD_NOT_CHECK = 2 };

struct verify {
    struct progress progress;
};

static void print_damage(struct verify *verify, const struct beck_damage *found)
{
    progress_end(&verify->progress);
    (void)printf("%s", found->file);
    if (found->topic[0] != '\0')
        (void)printf(" topic %s partition %d", found->topic, (int)found->partition);
    if (found->offset >= 0)
        (void)printf(" offset %lld", (long long)found->offset);
    if (found->byte >= 0)
        (void)printf(" byte %lld", (long long)found->byte);
    (void)printf(": %s\n", found->what);
    (void)fflush(stdout);
}

static int on_damage(void *context, const struct beck_damage *found)
{
    print_damage(context, found);
    return signals_caught() ? 1 : 0;
}

static int on_progress(void *context, uint64_t done_bytes, uint64_t all_bytes)
{
    struct verify *verify = context;

    progress_show(&verify->progress, done_bytes, all_bytes);
    return signals_caught() ? 1 : 0;
}

static void print_totals(const struct beck_verify_totals *totals, int damages)
{
    (void)printf("%llu segments, %llu batches, %llu records, %llu bytes: ",
                 (unsigned long long)totals->segments, (unsigned long long)totals->batches,
                 (unsigned long long)totals->records, (unsigned long long)totals->bytes);
    if (damages == 0)
        (void)puts("no damage");
    else
        (void)printf("%d damage%s\n", damages, damages == 1 ? "" : "s");
}

/* ---- a store ------------------------------------------------------------------------------ */

static int verify_open_store(struct verify *verify, struct beck_store *store, const char *topic)
{
    struct beck_verify_totals totals = {0};
    struct beck_topic found;
    struct beck_error error;

    if (topic != NULL && tool_find_topic(store, topic, &found) != TOOL_OK)
        return COULD_NOT_CHECK;
    int damages = beck_store_verify(store, topic, on_damage, on_progress, verify, &totals, &error);
    progress_end(&verify->progress);
    if (damages < 0) {
        (void)tool_failed_error(&error);
        return COULD_NOT_CHECK;
    }
    if (signals_caught()) {
        (void)tool_failed("stopped before the end");
        return COULD_NOT_CHECK;
    }
    (void)printf("verified %llu partitions, ", (unsigned long long)totals.partitions);
    print_totals(&totals, damages);
    return damages == 0 ? TOOL_OK : TOOL_FAILED;
}

static int verify_store(struct tool *tool, struct verify *verify, const char *topic)
{
    struct beck_store *store = NULL;

    if (tool_open(tool, TOOL_LOOK, &store) != TOOL_OK)
        return COULD_NOT_CHECK;
    int code = verify_open_store(verify, store, topic);
    (void)beck_store_close(store);
    return code;
}

/* ---- segment files ------------------------------------------------------------------------ */

/* A segment's name is its first offset, as 20 digits; -1 where the file is named otherwise. */
static int64_t offset_of_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;

    if (strspn(name, "0123456789") != 20 || strcmp(name + 20, ".log") != 0)
        return -1;
    return (int64_t)strtoll(name, NULL, 10);
}

static void file_damage(struct verify *verify, const char *path, int64_t offset, uint64_t byte,
                        const char *what)
{
    struct beck_damage damage = {.partition = -1, .offset = offset, .byte = (int64_t)byte};

    (void)snprintf(damage.file, sizeof(damage.file), "%s", path);
    (void)snprintf(damage.what, sizeof(damage.what), "%.*s", (int)sizeof(damage.what) - 1, what);
    print_damage(verify, &damage);
}

/* Walk one file. Returns the damages found, or -1. */
static int walk_file(struct verify *verify, const char *path, struct segment_file *file,
                     struct beck_verify_totals *totals)
{
    struct segment_step step;
    struct beck_error error;
    int64_t first = offset_of_name(path);
    int damages = 0;
    int result;

    while ((result = segment_file_next(file, &step, &error)) != 0) {
        progress_show(&verify->progress, step.position, segment_file_bytes(file));
        if (signals_caught())
            return tool_failed("stopped before the end") * -1;
        if (result == -EBADMSG) {
            file_damage(verify, path, error.offset, step.position, error.message);
            damages++;
            continue;
        }
        if (result < 0)
            return tool_failed("%s: %s", path, error.message) * -1;
        if (step.position == 0 && step.summary.header.base_offset < first) {
            file_damage(verify, path, step.summary.header.base_offset, 0,
                        "the first batch is older than the file's name says");
            damages++;
        }
        totals->batches++;
        totals->records += (uint64_t)step.summary.header.record_count;
    }
    return damages;
}

static int verify_files(struct verify *verify, char **paths, int count)
{
    struct beck_verify_totals totals = {0};
    struct segment_file *file = NULL;
    int damages = 0;
    bool unchecked = false;

    for (int i = 0; i < count && !signals_caught(); i++) {
        int result = segment_file_open(paths[i], &file);
        if (result < 0) {
            (void)tool_failed("cannot open %s: %s", paths[i], strerror(-result));
            unchecked = true;
            continue;
        }
        totals.segments++;
        totals.bytes += segment_file_bytes(file);
        result = walk_file(verify, paths[i], file, &totals);
        unchecked = unchecked || result < 0;
        damages += result > 0 ? result : 0;
        file = segment_file_close(file);
    }
    progress_end(&verify->progress);
    if (unchecked)
        return COULD_NOT_CHECK;
    (void)printf("verified ");
    print_totals(&totals, damages);
    return damages == 0 ? TOOL_OK : TOOL_FAILED;
}

static int run(struct tool *tool, int argc, char **argv)
{
    static const struct option options[] = {TOOL_LONG_OPTIONS};
    struct verify verify;
    int option;

    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        int code = tool_common_option(tool, option, argv);
        if (code >= 0)
            return code;
    }
    argc -= optind;
    argv += optind;
    progress_begin(&verify.progress, "verifying");
    if (argc > 0 && tool_is_segment_file(argv[0]))
        return verify_files(&verify, argv, argc);
    if (argc > 1)
        return tool_misused(tool, "one topic at a time");
    return verify_store(tool, &verify, argc == 1 ? argv[0] : NULL);
}

const struct command verify_command = {.name = "verify",
                                       .summary =
                                           "check a store, a topic or segment files for damage",
                                       .usage = usage,
                                       .run = run};
