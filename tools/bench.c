/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck bench: how many records a topic takes and gives in a second, and how long it takes until one
 * is acknowledged; of a store, or of a broker or cluster. It writes and reads as produce and
 * consume do.
 */
#include "admin.h"
#include "input.h"
#include "latency.h"
#include "merge.h"
#include "parse.h"
#include "sender.h"
#include "signals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "beck bench produce TOPIC [-n COUNT] [-s BYTES] [--rate N] [OPTION...]\n"
    "       beck bench consume TOPIC [-n COUNT] [-p PARTITION] [--json]\n\n"
    "How many records a second, and how long until one is acknowledged. produce fills the TOPIC\n"
    "with records; consume reads those that are there.\n\n" TOOL_CLUSTER_USAGE
    "  -n, --count N         so many records; default: 100000, or all that there are\n"
    "  -s, --size BYTES      the value of each; default: 1024\n"
    "  -p, --partition N     only this partition; default: all, in turns\n"
    "      --rate N          so many a second; default: as many as it takes\n"
    "      --batch BYTES     of a store: wait for the disk each time that so much was written;\n"
    "                        default: 1048576\n"
    "      --compression C   none (default), gzip, snappy, lz4 or zstd\n"
    "      --acks WHAT       all (default): wait until it survives power loss; 1: do not wait\n"
    "      --json            print a JSON object\n";

enum {
    OPTION_RATE = TOOL_OPTION_FIRST,
    OPTION_BATCH,
    OPTION_COMPRESSION,
    OPTION_ACKS,
    OPTION_JSON,
};

enum { COUNT_DEFAULT = 100000 };

struct bench {
    const struct tool *tool;
    const char *topic;
    int64_t count; /* 0: not said */
    int64_t size_bytes;
    int64_t rate; /* 0: as many as it takes */
    int64_t batch_bytes;
    int32_t partition; /* -1: all */
    struct sender_options options;
    enum row_form form;
    uint64_t records;
    uint64_t bytes;
    int64_t begin_usec;
    struct latency latency;
};

/* Do the records survive the loss of power? Of a cluster, that is its own matter. */
static const char *synced_text(const struct bench *bench, const struct sender *sender)
{
    if (bench->tool->brokers != NULL)
        return bench->options.acks == BECK_ACKS_ALL ? "as-the-cluster-does" : "no";
    return sender->synced ? "yes" : "no";
}

/* `sender`: of produce. */
static void print_result(const struct bench *bench, const struct sender *sender, const char *kind,
                         int64_t end_usec)
{
    double seconds = (double)(end_usec - bench->begin_usec) / 1e6;
    struct row row;

    if (seconds <= 0)
        seconds = 1e-6;
    row_begin(&row, bench->form, kind);
    row_number(&row, "records", (int64_t)bench->records);
    row_number(&row, "bytes", (int64_t)bench->bytes);
    row_decimal(&row, "seconds", seconds);
    row_number(&row, "records-per-second", (int64_t)((double)bench->records / seconds));
    row_decimal(&row, "mb-per-second", (double)bench->bytes / seconds / 1e6);
    if (sender != NULL) {
        row_text(&row, "acks", bench->options.acks == BECK_ACKS_ALL ? "all" : "1");
        row_text(&row, "synced", synced_text(bench, sender));
    }
    if (bench->latency.count > 0)
        latency_row(&bench->latency, &row);
    row_end(&row);
}

/* ---- produce ------------------------------------------------------------------------------ */

/* Something that compresses as text does, by half or so. */
static void fill(char *value, size_t size)
{
    uint32_t state = 1;

    for (size_t i = 0; i < size; i++) {
        state = state * 1664525 + 1013904223;
        value[i] = (char)('a' + (state >> 24) % 16);
    }
}

/* Wait until the next record is due. A store acknowledges before that what it was given. */
static int pace(const struct bench *bench, struct sender *sender)
{
    if (bench->rate == 0)
        return TOOL_OK;
    int64_t due_usec =
        bench->begin_usec + (int64_t)((double)bench->records * 1e6 / (double)bench->rate);
    if (latency_now_usec() >= due_usec)
        return TOOL_OK;
    int code = bench->tool->brokers == NULL ? sender_sync(sender) : TOOL_OK;
    int64_t left_usec = due_usec - latency_now_usec();
    struct timespec rest = {.tv_sec = left_usec / 1000000, .tv_nsec = left_usec % 1000000 * 1000};
    if (code == TOOL_OK && left_usec > 0)
        (void)nanosleep(&rest, NULL);
    return code;
}

/* A store acknowledges when it is asked to; a cluster's client does all the time. */
static int acknowledge(const struct bench *bench, struct sender *sender, int64_t *unsynced_bytes)
{
    *unsynced_bytes += bench->size_bytes;
    if (bench->tool->brokers != NULL || *unsynced_bytes < bench->batch_bytes)
        return TOOL_OK;
    *unsynced_bytes = 0;
    return sender_sync(sender);
}

static int send_all(struct bench *bench, struct sender *sender, const char *value)
{
    struct beck_record record = {
        .key_size = -1, .value = value, .value_size = (int32_t)bench->size_bytes};
    int64_t count = bench->count > 0 ? bench->count : COUNT_DEFAULT;
    int64_t unsynced_bytes = 0;
    int code = TOOL_OK;

    while (code == TOOL_OK && bench->records < (uint64_t)count && !signals_caught()) {
        const struct sender_origin origin = {.what = "record", .number = bench->records + 1};
        code = pace(bench, sender);
        if (code == TOOL_OK)
            code = sender_add(sender, bench->partition, &record, &origin, NULL);
        if (code != TOOL_OK)
            break;
        bench->records++;
        bench->bytes += (uint64_t)bench->size_bytes;
        code = acknowledge(bench, sender, &unsynced_bytes);
    }
    int synced = sender_sync(sender);
    return code != TOOL_OK ? code : synced;
}

static int run_sender(struct bench *bench, struct sender *sender)
{
    if (bench->partition >= 0 && (uint32_t)bench->partition >= sender->partition_count)
        return tool_failed("topic %s has no partition %d: it has 0 to %u", bench->topic,
                           (int)bench->partition, sender->partition_count - 1);
    char *value = malloc((size_t)bench->size_bytes + 1);
    if (value == NULL)
        return tool_failed("not enough memory");
    fill(value, (size_t)bench->size_bytes);
    sender->latency = &bench->latency;
    bench->begin_usec = latency_now_usec();
    int code = send_all(bench, sender, value);
    int64_t end_usec = latency_now_usec();
    free(value);
    if (code == TOOL_OK)
        print_result(bench, sender, "produce", end_usec);
    return code;
}

static int bench_produce(struct bench *bench)
{
    struct beck_store *store = NULL;
    struct sender *sender = NULL;

    int code = sender_open(bench->tool, bench->topic, &bench->options, &store, &sender);
    if (code == TOOL_OK)
        code = run_sender(bench, sender);
    (void)sender_free(sender);
    (void)beck_store_close(store);
    return code;
}

/* ---- consume ------------------------------------------------------------------------------ */

static int read_all(struct bench *bench, struct merge *merge)
{
    struct beck_record record;
    int32_t partition;
    int result = 1;

    while ((bench->count == 0 || bench->records < (uint64_t)bench->count) && !signals_caught()) {
        result = merge_next(merge, &record, &partition);
        if (result <= 0)
            break;
        bench->records++;
        bench->bytes += (uint64_t)(record.value_size > 0 ? record.value_size : 0) +
                        (uint64_t)(record.key_size > 0 ? record.key_size : 0);
    }
    return result < 0 ? -result : TOOL_OK;
}

static int bench_consume(struct bench *bench)
{
    const struct merge_start start = {.from = MERGE_BEGINNING};
    const struct merge_end end = {.to = MERGE_TO_END};
    struct input input = {0};
    struct merge *merge = NULL;
    struct source_topic topic;

    int code = input_open(bench->tool, NULL, &input);
    if (code == TOOL_OK)
        code = input_find_topic(&input, bench->topic, &topic);
    if (code == TOOL_OK)
        code = merge_new(&input, &topic, bench->partition, BECK_READ_COMMITTED, &merge);
    bench->begin_usec = latency_now_usec();
    if (code == TOOL_OK)
        code = merge_seek(merge, &start, &end);
    if (code == TOOL_OK)
        code = read_all(bench, merge);
    int64_t end_usec = latency_now_usec();
    (void)merge_free(merge);
    input_done(&input);
    if (code == TOOL_OK)
        print_result(bench, NULL, "consume", end_usec);
    return code;
}

/* ---- the command line --------------------------------------------------------------------- */

static const struct admin_action actions[] = {
    {"produce", TOOL_WRITE, NULL}, {"consume", TOOL_READ, NULL}, {NULL, TOOL_READ, NULL}};

/* A number for an option. Returns -1 to go on, else the exit code. */
static int take_number(const struct tool *tool, int64_t lowest, int64_t highest,
                       int64_t *ret_number)
{
    if (parse_number(optarg, lowest, highest, ret_number))
        return -1;
    return tool_misused(tool, "'%s' is no number from %lld to %lld", optarg, (long long)lowest,
                        (long long)highest);
}

static int take_option(struct tool *tool, struct bench *bench, int option, char **argv)
{
    int64_t number = bench->partition;
    int code = -1;

    switch (option) {
    case 'n':
        return take_number(tool, 1, INT64_MAX, &bench->count);
    case 's':
        return take_number(tool, 0, 1 << 30, &bench->size_bytes);
    case 'p':
        code = take_number(tool, 0, INT32_MAX, &number);
        bench->partition = (int32_t)number;
        return code;
    case OPTION_RATE:
        return take_number(tool, 1, 1000000000, &bench->rate);
    case OPTION_BATCH:
        return take_number(tool, 1, 1 << 30, &bench->batch_bytes);
    case OPTION_COMPRESSION:
        return tool_take_compression(tool, &bench->options.compression);
    case OPTION_ACKS:
        return tool_take_acks(tool, &bench->options.acks);
    case OPTION_JSON:
        bench->form = ROW_JSON;
        return -1;
    default:
        return tool_common_option(tool, option, argv);
    }
}

static const struct option long_options[] = {
    {"count", required_argument, NULL, 'n'},
    {"size", required_argument, NULL, 's'},
    {"partition", required_argument, NULL, 'p'},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"batch", required_argument, NULL, OPTION_BATCH},
    {"compression", required_argument, NULL, OPTION_COMPRESSION},
    {"acks", required_argument, NULL, OPTION_ACKS},
    {"json", no_argument, NULL, OPTION_JSON},
    TOOL_CLUSTER_OPTIONS,
    TOOL_LONG_OPTIONS,
};

static int run(struct tool *tool, int argc, char **argv)
{
    struct bench bench = {
        .tool = tool,
        .size_bytes = 1024,
        .batch_bytes = 1 << 20,
        .partition = -1,
        .options.acks = BECK_ACKS_ALL,
    };
    int option;

    while ((option = getopt_long(argc, argv, ":n:s:p:" TOOL_CLUSTER_SHORT, long_options, NULL)) !=
           -1) {
        int code = take_option(tool, &bench, option, argv);
        if (code >= 0)
            return code;
    }
    argc -= optind;
    argv += optind;
    if (argc < 1)
        return tool_misused(tool, "what is to be measured? produce or consume");
    bool produces = strcmp(argv[0], actions[0].name) == 0;
    if (!produces && strcmp(argv[0], actions[1].name) != 0)
        return tool_misused(tool, "'%s' is none of produce and consume", argv[0]);
    if (argc != 2)
        return tool_misused(tool, argc < 2 ? "which topic?" : "one topic at a time");
    bench.topic = argv[1];
    return produces ? bench_produce(&bench) : bench_consume(&bench);
}

const struct command bench_command = {.name = "bench",
                                      .summary = "measure what a topic takes and gives",
                                      .usage = usage,
                                      .options = long_options,
                                      .actions = actions,
                                      .argument = TOOL_ARGUMENT_TOPIC,
                                      .run = run};
