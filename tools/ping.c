/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck ping: how long a store, or a broker or cluster, takes to answer: to be opened or connected
 * to, to say what topics there are, and to hand a record from who writes it to who reads it.
 */
#include "ping.h"

#include "latency.h"
#include "parse.h"
#include "signals.h"

#include <stdio.h>

static const char usage[] =
    "beck ping [TOPIC] [-n COUNT] [-i MS] [-p PARTITION] [--json]\n"
    "       beck ping -b HOST:PORT [TOPIC] [OPTION...]\n\n"
    "How long it takes to connect, to ask for metadata, and where a TOPIC is named, for a record\n"
    "to be written to it with acks=all and read again.\n\n" TOOL_CLUSTER_USAGE
    "  -n, --count N         so many times; default: 10\n"
    "  -i, --interval MS     wait so long in between; default: 100\n"
    "  -p, --partition N     of the topic; default: 0\n"
    "      --json            print JSON objects\n";

enum { OPTION_JSON = TOOL_OPTION_FIRST };

enum { STEP_CONNECT, STEP_METADATA, STEP_RECORD, STEP_COUNT };

struct ping_options {
    const char *topic;
    int32_t partition; /* -1: none was given */
    int64_t count;
    int64_t interval_ms;
    enum row_form form;
};

static const char *const step_names[] = {"connect", "metadata", "record"};

static int take_step(struct ping *ping, int step)
{
    switch (step) {
    case STEP_CONNECT:
        return ping->ops->connect(ping);
    case STEP_METADATA:
        return ping->ops->metadata(ping);
    default:
        return ping->ops->record(ping);
    }
}

/* One line: what each step took. */
static int go_round(struct ping *ping, int64_t number, enum row_form form,
                    struct latency *latencies)
{
    static const char *const fields[] = {"connect-ms", "metadata-ms", "record-ms"};
    int64_t usec[STEP_COUNT];
    int steps = ping->topic != NULL ? STEP_COUNT : STEP_RECORD;
    struct row row;

    for (int step = 0; step < steps; step++) {
        int64_t begin = latency_now_usec();
        int code = take_step(ping, step);
        if (code != TOOL_OK)
            return code;
        usec[step] = latency_now_usec() - begin;
        latency_add(&latencies[step], usec[step], 1);
    }
    row_begin(&row, form, "ping");
    row_key_number(&row, "number", number);
    for (int step = 0; step < steps; step++)
        row_decimal(&row, fields[step], (double)usec[step] / 1000);
    row_end(&row);
    (void)fflush(stdout);
    return TOOL_OK;
}

static void print_summary(const struct latency *latencies, enum row_form form)
{
    struct row row;

    for (int step = 0; step < STEP_COUNT; step++) {
        if (latencies[step].count == 0)
            continue;
        row_begin(&row, form, step_names[step]);
        row_number(&row, "count", (int64_t)latencies[step].count);
        latency_row(&latencies[step], &row);
        row_end(&row);
    }
}

static int perform(const struct tool *tool, const struct ping_options *options)
{
    static struct latency latencies[STEP_COUNT];
    int32_t partition = options->partition < 0 ? 0 : options->partition;
    struct ping *ping = NULL;

    int code = tool->brokers != NULL ? ping_of_cluster(tool, options->topic, partition, &ping)
                                     : ping_of_store(tool, options->topic, partition, &ping);
    if (code != TOOL_OK)
        return code;
    for (int64_t i = 0; code == TOOL_OK && i < options->count && !signals_caught(); i++) {
        if (i > 0)
            (void)signals_poll(-1, 0, (int)options->interval_ms);
        if (!signals_caught())
            code = go_round(ping, i + 1, options->form, latencies);
    }
    ping->ops->close(ping);
    print_summary(latencies, options->form);
    return code;
}

static int take_option(struct tool *tool, struct ping_options *options, int option, char **argv)
{
    switch (option) {
    case 'n':
        if (parse_number(optarg, 1, INT64_MAX, &options->count))
            return -1;
        return tool_misused(tool, "'%s' is no count", optarg);
    case 'i':
        if (parse_number(optarg, 0, INT32_MAX, &options->interval_ms))
            return -1;
        return tool_misused(tool, "'%s' is no number of milliseconds", optarg);
    case 'p':
        return tool_take_partition(tool, &options->partition);
    case OPTION_JSON:
        options->form = ROW_JSON;
        return -1;
    default:
        return tool_common_option(tool, option, argv);
    }
}

static const struct option long_options[] = {
    {"count", required_argument, NULL, 'n'},
    {"interval", required_argument, NULL, 'i'},
    {"partition", required_argument, NULL, 'p'},
    {"json", no_argument, NULL, OPTION_JSON},
    TOOL_CLUSTER_OPTIONS,
    TOOL_LONG_OPTIONS,
};

static int run(struct tool *tool, int argc, char **argv)
{
    struct ping_options options = {
        .partition = -1, .count = 10, .interval_ms = 100, .form = ROW_TEXT};
    int option;

    while ((option = getopt_long(argc, argv, ":n:i:p:" TOOL_CLUSTER_SHORT, long_options, NULL)) !=
           -1) {
        int code = take_option(tool, &options, option, argv);
        if (code >= 0)
            return code;
    }
    if (argc - optind > 1)
        return tool_misused(tool, "one topic at a time");
    options.topic = argc > optind ? argv[optind] : NULL;
    return perform(tool, &options);
}

const struct command ping_command = {.name = "ping",
                                     .summary = "measure how long answers take",
                                     .usage = usage,
                                     .options = long_options,
                                     .argument = TOOL_ARGUMENT_TOPIC,
                                     .run = run};
