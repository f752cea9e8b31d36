/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck export: what is committed in a topic, to elsewhere: as JSON lines on standard output, as
 * segment files, or into the log directory of a Kafka broker, which takes it over.
 */
#include "copy.h"
#include "input.h"
#include "kafka_writer.h"
#include "output.h"
#include "parse.h"
#include "signals.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "beck export TOPIC [-p PARTITION] [OPTION...]\n"
    "       beck export TOPIC --to-segments DIR [OPTION...]\n"
    "       beck export TOPIC --to-log-dir DIR [OPTION...]\n\n"
    "Write a topic's committed records with their offsets: as JSON lines to standard output, one\n"
    "partition after the other; as segment files of Kafka's format into new directories\n"
    "DIR/TOPIC-N; or into the log directory DIR of a Kafka broker that is stopped and has a topic\n"
    "of this name without records, so that it has them when it starts.\n\n"
    "      --log-dir DIR      of the topic in the log directory of a Kafka broker, not of a store\n"
    "  -p, --partition N      only this partition\n"
    "      --to-segments DIR  segment files\n"
    "      --to-log-dir DIR   into a Kafka broker's log directory\n"
    "      --as NAME          under this topic's name\n"
    "      --skip-damaged     say what is damaged and go on behind it; exit code 1 in the end\n";

enum {
    OPTION_LOG_DIR = TOOL_OPTION_FIRST,
    OPTION_TO_SEGMENTS,
    OPTION_TO_LOG_DIR,
    OPTION_AS,
    OPTION_SKIP_DAMAGED,
};

struct export
{
    const char *topic;
    const char *as;
    const char *log_dir;
    const char *to; /* a directory; NULL: JSON lines */
    bool into_broker;
    int32_t partition; /* -1: all */
    bool skip_damaged;
    bool damaged;
    struct output output;
    struct source_records records;
};

/* ---- JSON lines --------------------------------------------------------------------------- */

static int print_batch(struct export *export, const struct batch_header *header,
                       const uint8_t *batch, int32_t number)
{
    struct beck_record record;
    ssize_t size = 0;

    int result = source_records_begin(&export->records, header, batch);
    while (result >= 0 && (result = record_next(&export->records.iterator, &record)) > 0) {
        size = beck_record_json(&record, export->as, number, NULL, 0);
        char *room = size > 0 ? output_room(&export->output, (size_t)size) : NULL;
        if (room == NULL)
            return tool_failed("offset %lld: %s", (long long)record.offset,
                               size < 0 ? "its headers are damaged" : "not enough memory");
        (void)beck_record_json(&record, export->as, number, room, (size_t)size);
        output_used(&export->output, (size_t)size);
    }
    return result < 0
               ? tool_failed("offset %lld: %s", (long long)header->base_offset, strerror(-result))
               : TOOL_OK;
}

static int print_batches(struct export *export, struct copy *copy, int32_t number)
{
    struct batch_header header;
    uint8_t *batch;
    int result = 0;
    int code = TOOL_OK;

    while (code == TOOL_OK && !output_failed(&export->output) &&
           (result = copy_next(copy, &header, &batch)) > 0)
        code = print_batch(export, &header, batch, number);
    return result < 0 ? -result : code;
}

/* ---- segments ----------------------------------------------------------------------------- */

static void print_written(const struct export *export, const struct copy *copy, int32_t number,
                          unsigned long long records)
{
    (void)printf("%llu record%s to %s/%s-%d", records, records == 1 ? "" : "s", export->to,
                 export->as, (int)number);
    if (copy->bounds.stable > copy->bounds.start)
        (void)printf(", offsets %lld..%lld", (long long)copy->bounds.start,
                     (long long)copy->bounds.stable - 1);
    (void)putchar('\n');
}

static int write_batches(struct export *export, struct copy *copy, int32_t number)
{
    struct kafka_writer *writer = NULL;
    struct batch_header header;
    unsigned long long records = 0;
    uint8_t *batch;
    int result = 0;

    int code = kafka_writer_new(export->to, export->as, number, export->into_broker,
                                copy->bounds.start, &writer);
    while (code == TOOL_OK && (result = copy_next(copy, &header, &batch)) > 0) {
        records += (unsigned long long)header.record_count;
        code = kafka_writer_put(writer, &header, batch);
    }
    if (result < 0)
        code = -result;
    if (code == TOOL_OK)
        code = kafka_writer_finish(writer, copy->bounds.stable);
    (void)kafka_writer_free(writer);
    if (code == TOOL_OK)
        print_written(export, copy, number, records);
    return code;
}

/* ---- the run ------------------------------------------------------------------------------ */

static int export_partition(struct export *export, const struct input *input,
                            const struct source_topic *topic, int32_t number)
{
    struct source_partition *partition = NULL;
    struct copy copy = {0};

    int code = input_open_partition(input, topic, number, BECK_READ_COMMITTED, &partition);
    if (code == TOOL_OK)
        code = copy_begin(&copy, partition, topic->name, export->skip_damaged);
    if (code == TOOL_OK)
        code = export->to != NULL ? write_batches(export, &copy, number)
                                  : print_batches(export, &copy, number);
    export->damaged = export->damaged || copy.damaged;
    copy_done(&copy);
    (void)source_partition_close(partition);
    return code;
}

static int export_topic(struct export *export, const struct input *input)
{
    struct source_topic topic;
    int32_t number = -1;

    int code = input_find_topic(input, export->topic, &topic);
    if (code == TOOL_OK && export->partition >= 0)
        return export_partition(export, input, &topic, export->partition);
    while (code == TOOL_OK && !output_failed(&export->output) &&
           (number = source_partition_next(input->source, &topic, number)) >= 0)
        code = export_partition(export, input, &topic, number);
    return code;
}

static int take_option(struct tool *tool, struct export *export, int option, char **argv)
{
    switch (option) {
    case 'p':
        return tool_take_partition(tool, &export->partition);
    case OPTION_LOG_DIR:
        export->log_dir = optarg;
        return -1;
    case OPTION_TO_SEGMENTS:
    case OPTION_TO_LOG_DIR:
        if (export->to != NULL)
            return tool_misused(tool, "--to-segments and --to-log-dir exclude each other");
        export->to = optarg;
        export->into_broker = option == OPTION_TO_LOG_DIR;
        return -1;
    case OPTION_AS:
        if (!beck_topic_name_valid(optarg))
            return tool_misused(tool, "'%s' cannot be a topic's name", optarg);
        export->as = optarg;
        return -1;
    case OPTION_SKIP_DAMAGED:
        export->skip_damaged = true;
        return -1;
    default:
        return tool_common_option(tool, option, argv);
    }
}

static const struct option long_options[] = {
    {"log-dir", required_argument, NULL, OPTION_LOG_DIR},
    {"partition", required_argument, NULL, 'p'},
    {"to-segments", required_argument, NULL, OPTION_TO_SEGMENTS},
    {"to-log-dir", required_argument, NULL, OPTION_TO_LOG_DIR},
    {"as", required_argument, NULL, OPTION_AS},
    {"skip-damaged", no_argument, NULL, OPTION_SKIP_DAMAGED},
    TOOL_LONG_OPTIONS,
};

static int parse_command_line(struct tool *tool, struct export *export, int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, ":p:", long_options, NULL)) != -1) {
        int code = take_option(tool, export, option, argv);
        if (code >= 0)
            return code;
    }
    if (argc - optind != 1)
        return tool_misused(tool, argc == optind ? "which topic?" : "one topic at a time");
    export->topic = argv[optind];
    if (export->as == NULL)
        export->as = export->topic;
    return -1;
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct export export = {.partition = -1};
    struct input input = {0};

    int code = parse_command_line(tool, &export, argc, argv);
    if (code >= 0)
        return code;
    if (output_init(&export.output, STDOUT_FILENO) < 0)
        return tool_failed("not enough memory");
    code = input_open(tool, export.log_dir, &input);
    if (code == TOOL_OK)
        code = export_topic(&export, &input);
    code = output_finish(&export.output, code);
    input_done(&input);
    source_records_done(&export.records);
    output_done(&export.output);
    return code == TOOL_OK && export.damaged ? TOOL_FAILED : code;
}

const struct command export_command = {.name = "export",
                                       .summary = "write a topic elsewhere, offsets and all",
                                       .usage = usage,
                                       .options = long_options,
                                       .argument = TOOL_ARGUMENT_TOPIC,
                                       .run = run};
