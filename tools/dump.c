/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck dump: batches and records as they are stored, with control batches and aborted records: of a
 * topic in a store or in a Kafka broker's log directory, or of a bare segment file. Damage is told
 * with its place; the dump goes on behind it, and the exit code says that there was some.
 */
#include "dump_print.h"
#include "filter.h"
#include "input.h"
#include "parse.h"
#include "signals.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "beck dump TOPIC [-p PARTITION] [OPTION...]\n"
    "       beck dump TOPIC --log-dir DIR [-p PARTITION] [OPTION...]\n"
    "       beck dump FILE.log [OPTION...]\n\n"
    "Show batches and the records in them as they are stored, in a topic's partitions or in a\n"
    "segment file (of beck or of Kafka). A name with a slash, or that ends in .log and is a file,\n"
    "is a file.\n\n"
    "      --log-dir DIR          in the log directory of a Kafka broker that is stopped\n"
    "  -p, --partition N          only this partition\n"
    "      --from PLACE           begin with the record that has this offset N, or the first of a\n"
    "                             time: @MS, 2026-11-21T08:00:00Z, @-2h\n"
    "  -o, --offset N             the same as --from N\n"
    "      --to PLACE             end before the record there\n"
    "      --key TEXT             records with this key only, and the batches that have some\n"
    "      --key-regex RE         the same, by a POSIX extended regular expression\n"
    "      --header NAME[=TEXT]   records with this header only; may be given more than once\n"
    "      --header-regex NAME=RE the same, its value by an expression\n"
    "      --batches              batches only\n"
    "      --records              records only\n"
    "      --json                 batches as JSON objects too\n\n"
    "Exit code 1: something is damaged.\n";

enum {
    OPTION_BATCHES = TOOL_OPTION_FIRST,
    OPTION_RECORDS,
    OPTION_JSON,
    OPTION_LOG_DIR,
    OPTION_FROM,
    OPTION_TO,
};

struct dump {
    char *what; /* topic or file */
    const char *log_dir;
    int32_t partition; /* -1: all */
    struct filter_place from;
    struct filter_place to;
    struct filter filter;
    int64_t first; /* of the partition at hand: the first record that is shown, */
    int64_t end;   /* and the one behind the last */
    bool batches;
    bool records;
    bool damaged;
    struct source_records batch_records;
    struct dump_print print;
};

/* ---- a batch ------------------------------------------------------------------------------ */

static void tell_damage(struct dump *dump, const struct source_damage *damage, const char *message)
{
    dump->damaged = true;
    dump_print_damage(&dump->print, damage);
    if (damage->skipped > 0)
        (void)tool_failed("%s (%llu bytes were passed over)", message,
                          (unsigned long long)damage->skipped);
    else
        (void)tool_failed("%s", message);
}

static void print_records(struct dump *dump, const struct source_batch *batch)
{
    struct source_damage damage = {.offset = batch->header.base_offset,
                                   .position = (int64_t)batch->position};
    bool said = !dump->batches || filter_is_empty(&dump->filter);
    struct beck_record record;

    int result = source_records_begin(&dump->batch_records, &batch->header, batch->bytes);
    while (result >= 0 && (result = record_next(&dump->batch_records.iterator, &record)) > 0) {
        if (record.offset < dump->first || record.offset >= dump->end ||
            !filter_passes(&dump->filter, &record))
            continue;
        if (!said)
            dump_print_batch(&dump->print, batch);
        said = true;
        dump_print_record(&dump->print, batch, &record);
    }
    if (result < 0)
        tell_damage(dump, &damage, strerror(-result));
}

static void print_batch(struct dump *dump, const struct source_batch *batch)
{
    if (dump->batches && filter_is_empty(&dump->filter))
        dump_print_batch(&dump->print, batch);
    if (dump->records)
        print_records(dump, batch);
}

/* ---- a partition -------------------------------------------------------------------------- */

static int dump_batches(struct dump *dump, struct source_partition *partition)
{
    struct source_batch batch;
    struct source_damage damage;
    struct beck_error error;

    while (!signals_caught() && !output_failed(&dump->print.output)) {
        int result = source_next_batch(partition, &batch, &damage, &error);
        if (result == -EBADMSG) {
            tell_damage(dump, &damage, error.message);
            continue;
        }
        if (result < 0)
            return tool_failed_error(&error);
        if (result == 0 || batch.header.base_offset >= dump->end)
            break;
        if (batch_next_offset(&batch.header) > dump->first)
            print_batch(dump, &batch);
    }
    return TOOL_OK;
}

/* The offset of a place; `none` where there is no record at that time or later. */
static int find_place(struct dump *dump, struct source_partition *partition,
                      const struct filter_place *place, int64_t none, int64_t *ret_offset)
{
    struct source_damage damage = {.offset = -1, .position = -1};
    struct beck_error error;

    *ret_offset = place->number;
    if (place->by == FILTER_OFFSET)
        return TOOL_OK;
    int result = source_offset_for_time(partition, place->number, ret_offset, &error);
    if (result == 0)
        *ret_offset = none;
    if (result != -EBADMSG)
        return result < 0 ? tool_failed_error(&error) : TOOL_OK;
    tell_damage(dump, &damage, error.message);
    return tool_failed("what is damaged hides the place of a time: give an offset");
}

static int dump_open_partition(struct dump *dump, struct source_partition *partition)
{
    struct source_bounds bounds;
    struct beck_error error;

    if (source_bounds(partition, &bounds, &error) < 0)
        return tool_failed_error(&error);
    int64_t from = bounds.start;
    int64_t to = bounds.end;
    int code = TOOL_OK;
    if (dump->from.by != FILTER_NOWHERE)
        code = find_place(dump, partition, &dump->from, bounds.end, &from);
    if (code == TOOL_OK && dump->to.by != FILTER_NOWHERE)
        code = find_place(dump, partition, &dump->to, bounds.end, &to);
    else if (!partition->source->grows) /* what is damaged behind the end is told, too */
        to = INT64_MAX;
    if (code != TOOL_OK)
        return code;
    if (from < bounds.start || from > bounds.end)
        return tool_failed("offset %lld is out of range: partition %d has %lld up to %lld",
                           (long long)from, (int)partition->number, (long long)bounds.start,
                           (long long)bounds.end);
    if (source_seek(partition, from, &error) < 0)
        return tool_failed_error(&error);
    dump->first = from;
    dump->end = to;
    return dump_batches(dump, partition);
}

static int dump_partition(struct dump *dump, const struct input *input,
                          const struct source_topic *topic, int32_t number)
{
    struct source_partition *partition = NULL;

    dump->print.partition = number;
    int code = input_open_partition(input, topic, number, BECK_READ_UNCOMMITTED, &partition);
    if (code == TOOL_OK)
        code = dump_open_partition(dump, partition);
    (void)source_partition_close(partition);
    return code;
}

static int dump_topic(struct dump *dump, const struct input *input)
{
    struct source_topic topic;
    int32_t number = -1;

    int code = input_find_topic(input, dump->what, &topic);
    if (code != TOOL_OK || dump->partition >= 0)
        return code != TOOL_OK ? code : dump_partition(dump, input, &topic, dump->partition);
    if (topic.partition_count > 1)
        dump->print.topic = topic.name;
    /* What is wrong with one partition is no reason not to look at the next. */
    while (!signals_caught() && !output_failed(&dump->print.output) &&
           (number = source_partition_next(input->source, &topic, number)) >= 0)
        if (dump_partition(dump, input, &topic, number) != TOOL_OK)
            code = TOOL_FAILED;
    return code;
}

static int take_option(struct tool *tool, struct dump *dump, int option, char **argv)
{
    switch (option) {
    case 'p':
        return tool_take_partition(tool, &dump->partition);
    case 'o':
        dump->from.by = FILTER_OFFSET;
        if (!parse_number(optarg, 0, INT64_MAX, &dump->from.number))
            return tool_misused(tool, "'%s' is no offset", optarg);
        return -1;
    case OPTION_FROM:
    case OPTION_TO:
        if (!filter_parse_place(optarg, option == OPTION_FROM ? &dump->from : &dump->to))
            return tool_misused(tool, "'%s' is no place: an offset, @MS or a date", optarg);
        return -1;
    case OPTION_BATCHES:
        dump->records = false;
        return -1;
    case OPTION_RECORDS:
        dump->batches = false;
        return -1;
    case OPTION_JSON:
        dump->print.json = true;
        return -1;
    case OPTION_LOG_DIR:
        dump->log_dir = optarg;
        return -1;
    case FILTER_OPTION_KEY:
    case FILTER_OPTION_KEY_REGEX:
    case FILTER_OPTION_HEADER:
    case FILTER_OPTION_HEADER_REGEX:
        return filter_take_option(tool, &dump->filter, option);
    default:
        return tool_common_option(tool, option, argv);
    }
}

static const struct option long_options[] = {
    {"partition", required_argument, NULL, 'p'},
    {"offset", required_argument, NULL, 'o'},
    {"from", required_argument, NULL, OPTION_FROM},
    {"to", required_argument, NULL, OPTION_TO},
    FILTER_LONG_OPTIONS,
    {"batches", no_argument, NULL, OPTION_BATCHES},
    {"records", no_argument, NULL, OPTION_RECORDS},
    {"json", no_argument, NULL, OPTION_JSON},
    {"log-dir", required_argument, NULL, OPTION_LOG_DIR},
    TOOL_LONG_OPTIONS,
};

static int parse_command_line(struct tool *tool, struct dump *dump, int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, ":p:o:", long_options, NULL)) != -1) {
        int code = take_option(tool, dump, option, argv);
        if (code >= 0)
            return code;
    }
    if (!dump->batches && !dump->records)
        return tool_misused(tool, "--batches and --records exclude each other");
    if (!dump->records && !filter_is_empty(&dump->filter))
        return tool_misused(tool, "--batches shows no records that could have a key or header");
    if (argc - optind != 1)
        return tool_misused(tool, argc == optind ? "which topic or file?" : "one at a time");
    dump->what = argv[optind];
    if (dump->partition >= 0 && dump->log_dir == NULL && tool_is_segment_file(dump->what))
        return tool_misused(tool, "a file has no partitions");
    dump->print.indent = dump->batches;
    return -1;
}

static int dump_input(struct tool *tool, struct dump *dump)
{
    struct input input = {0};

    int code = dump->log_dir == NULL && tool_is_segment_file(dump->what)
                   ? input_open_files(&dump->what, 1, &input)
                   : input_open(tool, dump->log_dir, &input);
    if (code == TOOL_OK)
        code = dump_topic(dump, &input);
    input_done(&input);
    return code;
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct dump dump = {.partition = -1, .batches = true, .records = true};

    int code = parse_command_line(tool, &dump, argc, argv);
    if (code < 0) {
        if (output_init(&dump.print.output, STDOUT_FILENO) < 0) {
            code = tool_failed("not enough memory");
        } else {
            code = output_finish(&dump.print.output, dump_input(tool, &dump));
            output_done(&dump.print.output);
        }
    }
    source_records_done(&dump.batch_records);
    filter_done(&dump.filter);
    return code == TOOL_OK && dump.damaged ? TOOL_FAILED : code;
}

const struct command dump_command = {.name = "dump",
                                     .summary = "show batches and records as they are stored",
                                     .usage = usage,
                                     .options = long_options,
                                     .argument = TOOL_ARGUMENT_TOPIC_OR_FILE,
                                     .run = run};
