/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck verify: read everything and say what is damaged, one line each. A store is left to the
 * library, opened read-only, so that nothing is repaired by looking, and read by a thread for each
 * processor; before that its LMDB files are walked over in a child process, as damage in them may
 * crash who reads them. Where one is lost, the segments are checked without. A segment file is
 * walked by the format layer alone. Exit code 0: sound; 1: damaged; 2: it could not be checked.
 */
#include "database_walk.h"
#include "parse.h"
#include "progress.h"
#include "segment_file.h"
#include "signals.h"
#include "tool.h"
#include "utf8.h"
#include "verify_alone.h"
#include "verify_log_dir.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "beck verify [OPTION]... [TOPIC]\n"
    "       beck verify --log-dir DIR [OPTION]... [TOPIC]\n"
    "       beck verify [OPTION]... FILE.log...\n\n"
    "Read a store (or one of its topics, or segment files) and check every batch and record, the\n"
    "digests of segments, the order of offsets, the index and the records of topics against the\n"
    "segments. Each damage is one line on standard output, with its place. A name with a slash, "
    "or\n"
    "that ends in .log and is a file, is a file.\n\n"
    "      --log-dir DIR   check the log directory of a Kafka broker that is stopped\n"
    "  -p, --partition N   this partition of the topic alone\n"
    "      --json          damage and totals as JSON objects, one a line\n"
    "      --threads N     read with so many threads, 1 to 256 (default: one for each processor)\n"
    "      --limit SECONDS give up an LMDB file in which no step forward is made for so long\n"
    "                      (default: 60)\n\n"
    "Exit code 0: all is sound; 1: something is damaged; 2: it could not be checked.\n";

enum { COULD_NOT_CHECK = 2, THREADS_MAX = 256, LIMIT_MAX_S = 86400 };

struct verify {
    struct progress progress;
    const char *topic;
    const char *log_dir; /* NULL: a store, or files */
    int32_t partition;   /* -1: all */
    int64_t threads;
    int64_t limit_s;
    bool json;
    bool files; /* no store, but segment files */
};

/* ---- what is printed ---------------------------------------------------------------------- */

/* A JSON string; bytes that are no UTF-8 become the characters of these numbers. */
static void print_string(const char *text)
{
    bool is_utf8 = utf8_valid(text, strlen(text));

    (void)putchar('"');
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            (void)printf("\\%c", *at);
        else if (*at < 0x20 || (*at >= 0x80 && !is_utf8))
            (void)printf("\\u%04x", *at);
        else
            (void)putchar(*at);
    }
    (void)putchar('"');
}

static void print_damage_json(const struct beck_damage *found)
{
    (void)fputs("{\"file\":", stdout);
    print_string(found->file);
    if (found->topic[0] != '\0')
        (void)printf(",\"topic\":\"%s\",\"partition\":%d", found->topic, (int)found->partition);
    if (found->offset >= 0)
        (void)printf(",\"offset\":%lld", (long long)found->offset);
    if (found->byte >= 0)
        (void)printf(",\"byte\":%lld", (long long)found->byte);
    (void)fputs(",\"damage\":", stdout);
    print_string(found->what);
    (void)puts("}");
}

static void print_damage_text(const struct beck_damage *found)
{
    (void)printf("%s", found->file);
    if (found->topic[0] != '\0')
        (void)printf(" topic %s partition %d", found->topic, (int)found->partition);
    if (found->offset >= 0)
        (void)printf(" offset %lld", (long long)found->offset);
    if (found->byte >= 0)
        (void)printf(" byte %lld", (long long)found->byte);
    (void)printf(": %s\n", found->what);
}

static void print_damage(struct verify *verify, const struct beck_damage *found)
{
    progress_end(&verify->progress);
    if (verify->json)
        print_damage_json(found);
    else
        print_damage_text(found);
    (void)fflush(stdout);
}

static void print_totals(const struct verify *verify, const struct beck_verify_totals *totals,
                         int damages)
{
    unsigned long long partitions = totals->partitions;
    unsigned long long segments = totals->segments;
    unsigned long long batches = totals->batches;
    unsigned long long records = totals->records;
    unsigned long long bytes = totals->bytes;

    if (verify->json) {
        (void)printf("{\"partitions\":%llu,\"segments\":%llu,\"batches\":%llu,\"records\":%llu,"
                     "\"bytes\":%llu,\"damages\":%d}\n",
                     partitions, segments, batches, records, bytes, damages);
        return;
    }
    (void)printf("verified ");
    if (!verify->files)
        (void)printf("%llu partitions, ", partitions);
    (void)printf("%llu segments, %llu batches, %llu records, %llu bytes: ", segments, batches,
                 records, bytes);
    if (damages == 0)
        (void)puts("no damage");
    else
        (void)printf("%d damage%s\n", damages, damages == 1 ? "" : "s");
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

/* ---- a store ------------------------------------------------------------------------------ */

/* What threads share: beck_verify_run(), or one of those that are without a store. */
struct reading {
    int (*run)(void *work, struct beck_error *error);
    void *work;
    pthread_t thread;
    int result;
    struct beck_error error;
};

static void *reading_main(void *argument)
{
    struct reading *reading = argument;

    reading->result = reading->run(reading->work, &reading->error);
    return NULL;
}

static int run_store(void *work, struct beck_error *error)
{
    return beck_verify_run(work, error);
}

static int run_alone(void *work, struct beck_error *error)
{
    return verify_alone_run(work, error);
}

static int run_log_dir(void *work, struct beck_error *error)
{
    return verify_log_dir_run(work, error);
}

/* Share the work among threads; with fewer than wanted where there can be no more. */
static int read_all(struct verify *verify, int (*run)(void *work, struct beck_error *error),
                    void *work)
{
    struct reading readings[THREADS_MAX] = {{.run = run, .work = work}};
    int count = 1;
    int failed = -1;

    while (count < verify->threads) {
        readings[count] = (struct reading){.run = run, .work = work};
        if (pthread_create(&readings[count].thread, NULL, reading_main, &readings[count]) != 0)
            break;
        count++;
    }
    (void)reading_main(&readings[0]);
    for (int i = 1; i < count; i++)
        (void)pthread_join(readings[i].thread, NULL);
    for (int i = 0; i < count; i++)
        if (readings[i].result < 0)
            failed = i;
    progress_end(&verify->progress);
    if (failed < 0 && !signals_caught())
        return TOOL_OK;
    (void)(failed < 0 ? tool_failed("stopped before the end")
                      : tool_failed_error(&readings[failed].error));
    return COULD_NOT_CHECK;
}

static int verify_open_store(struct verify *verify, struct beck_store *store)
{
    struct beck_verify_totals totals;
    struct beck_verify *work = NULL;
    struct beck_topic found;
    struct beck_error error;
    struct beck_verify_options options = {.topic = verify->topic,
                                          .one_partition = verify->partition >= 0,
                                          .partition = verify->partition,
                                          .damage = on_damage,
                                          .progress = on_progress,
                                          .context = verify};

    if (verify->topic != NULL && tool_find_topic(store, verify->topic, &found) != TOOL_OK)
        return COULD_NOT_CHECK;
    if (beck_verify_new(store, &options, &work, &error) < 0) {
        (void)tool_failed_error(&error);
        return COULD_NOT_CHECK;
    }
    int code = read_all(verify, run_store, work);
    int damages = beck_verify_result(work, &totals);
    work = beck_verify_free(work);
    if (code != TOOL_OK)
        return code;
    print_totals(verify, &totals, damages);
    return damages == 0 ? TOOL_OK : TOOL_FAILED;
}

/* Returns the files that are damaged, or -1. */
static int walk_databases(struct tool *tool, struct verify *verify)
{
    static const char *const files[] = {"meta.mdb", "index.mdb"};
    int damages = 0;

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct beck_damage damage = {.partition = -1, .offset = -1, .byte = -1};
        struct beck_error error;
        int result = database_walk(tool->store_path, files[i], (int)verify->limit_s, &error);

        if (result < 0)
            return tool_failed("no process to read %s in: %s", files[i], strerror(-result)) * -1;
        if (result > 0)
            continue;
        (void)snprintf(damage.file, sizeof(damage.file), "%s", files[i]);
        size_t length = strlen(files[i]);
        bool has_name =
            strncmp(error.message, files[i], length) == 0 && error.message[length] == ':';
        (void)snprintf(damage.what, sizeof(damage.what), "%.*s", (int)sizeof(damage.what) - 1,
                       error.message + (has_name ? length + 2 : 0));
        print_damage(verify, &damage);
        damages++;
    }
    return damages;
}

/* A database is damaged: check what can be without it. */
static int verify_rest(struct tool *tool, struct verify *verify, int damages)
{
    const struct verify_alone what = {.store = tool->store_path,
                                      .topic = verify->topic,
                                      .partition = verify->partition,
                                      .damage = on_damage,
                                      .progress = on_progress,
                                      .context = verify};
    struct verify_alone_work *work = NULL;
    struct beck_verify_totals totals;
    struct beck_error error;

    if (verify_alone_new(&what, &work, &error) < 0) {
        (void)tool_failed_error(&error);
        return COULD_NOT_CHECK;
    }
    int code = read_all(verify, run_alone, work);
    damages += verify_alone_result(work, &totals);
    work = verify_alone_free(work);
    if (code != TOOL_OK)
        return code;
    print_totals(verify, &totals, damages);
    (void)tool_failed("only segments were checked, each by itself: digests, the index and the "
                      "records of topics and groups need a sound meta.mdb and index.mdb; \"beck "
                      "repair\" makes these anew");
    return TOOL_FAILED;
}

static int verify_store(struct tool *tool, struct verify *verify)
{
    struct beck_store *store = NULL;
    int damages = tool->store_path != NULL ? walk_databases(tool, verify) : 0;

    if (damages < 0)
        return COULD_NOT_CHECK;
    if (damages > 0)
        return verify_rest(tool, verify, damages);
    if (tool_open(tool, TOOL_LOOK, &store) != TOOL_OK)
        return COULD_NOT_CHECK;
    int code = verify_open_store(verify, store);
    (void)beck_store_close(store);
    return code;
}

/* ---- a Kafka log directory ---------------------------------------------------------------- */

static int verify_kafka(struct verify *verify)
{
    struct verify_log_dir what = {.path = verify->log_dir,
                                  .topic = verify->topic,
                                  .partition = verify->partition,
                                  .damage = on_damage,
                                  .progress = on_progress,
                                  .context = verify};
    struct verify_log_dir_work *work = NULL;
    struct beck_verify_totals totals;
    struct beck_error error;

    if (verify_log_dir_new(&what, &work, &error) < 0) {
        (void)tool_failed_error(&error);
        return COULD_NOT_CHECK;
    }
    int code = read_all(verify, run_log_dir, work);
    int damages = verify_log_dir_result(work, &totals);
    work = verify_log_dir_free(work);
    if (code != TOOL_OK)
        return code;
    print_totals(verify, &totals, damages);
    return damages == 0 ? TOOL_OK : TOOL_FAILED;
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
    print_totals(verify, &totals, damages);
    return damages == 0 ? TOOL_OK : TOOL_FAILED;
}

/* ---- the command line --------------------------------------------------------------------- */

enum { OPTION_JSON = TOOL_OPTION_FIRST, OPTION_THREADS, OPTION_LIMIT, OPTION_LOG_DIR };

/* Returns -1: go on; else the exit code. */
static int take_option(struct tool *tool, struct verify *verify, int option, char **argv)
{
    switch (option) {
    case 'p':
        return tool_take_partition(tool, &verify->partition);
    case OPTION_LOG_DIR:
        verify->log_dir = optarg;
        return -1;
    case OPTION_JSON:
        verify->json = true;
        return -1;
    case OPTION_THREADS:
        if (parse_number(optarg, 1, THREADS_MAX, &verify->threads))
            return -1;
        return tool_misused(tool, "'%s' is no number of threads: 1 to %d", optarg, THREADS_MAX);
    case OPTION_LIMIT:
        if (parse_number(optarg, 1, LIMIT_MAX_S, &verify->limit_s))
            return -1;
        return tool_misused(tool, "'%s' is no number of seconds: 1 to %d", optarg, LIMIT_MAX_S);
    default:
        return tool_common_option(tool, option, argv);
    }
}

static const struct option long_options[] = {{"partition", required_argument, NULL, 'p'},
                                             {"json", no_argument, NULL, OPTION_JSON},
                                             {"log-dir", required_argument, NULL, OPTION_LOG_DIR},
                                             {"threads", required_argument, NULL, OPTION_THREADS},
                                             {"limit", required_argument, NULL, OPTION_LIMIT},
                                             TOOL_LONG_OPTIONS};

static int run(struct tool *tool, int argc, char **argv)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct verify verify = {.partition = -1, .limit_s = DATABASE_WALK_LIMIT_S};
    int option;

    verify.threads = processors < 1 ? 1 : processors > THREADS_MAX ? THREADS_MAX : processors;
    while ((option = getopt_long(argc, argv, ":p:", long_options, NULL)) != -1) {
        int code = take_option(tool, &verify, option, argv);
        if (code >= 0)
            return code;
    }
    argc -= optind;
    argv += optind;
    progress_begin(&verify.progress, "verifying");
    verify.files = argc > 0 && verify.log_dir == NULL && tool_is_segment_file(argv[0]);
    if (verify.files && verify.partition >= 0)
        return tool_misused(tool, "a file has no partitions");
    if (verify.files)
        return verify_files(&verify, argv, argc);
    if (argc > 1)
        return tool_misused(tool, "one topic at a time");
    if (argc == 0 && verify.partition >= 0)
        return tool_misused(tool, "which topic's partition?");
    verify.topic = argc == 1 ? argv[0] : NULL;
    return verify.log_dir != NULL ? verify_kafka(&verify) : verify_store(tool, &verify);
}

const struct command verify_command = {.name = "verify",
                                       .summary =
                                           "check a store, a topic or segment files for damage",
                                       .usage = usage,
                                       .options = long_options,
                                       .argument = TOOL_ARGUMENT_TOPIC_OR_FILE,
                                       .unwritten = COULD_NOT_CHECK,
                                       .run = run};
