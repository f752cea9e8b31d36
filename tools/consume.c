/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck consume: records of a topic to standard output, as text lines or in the lossless JSON form.
 * Reads committed records only, unless told otherwise, so that it shows what `cat` on the mount
 * shows. Leaves the reading and merging of partitions to merge.c, what a record looks like to
 * consume_print.c, and groups to consume_member.c and consume_alone.c.
 */
#include "consume.h"

#include "parse.h"
#include "signals.h"
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "beck consume TOPIC [-p PARTITION] [-o FROM] [-n COUNT] [-f] [OPTION...]\n"
    "       beck consume TOPIC --log-dir DIR [OPTION...]\n"
    "       beck consume TOPIC -b HOST:PORT [OPTION...]\n\n"
    "Print a topic's records, from the beginning to what is the end now. Several partitions\n"
    "come merged by timestamp.\n\n"
    "      --log-dir DIR     read the log directory of a Kafka broker that is stopped, not a "
    "store\n" TOOL_CLUSTER_USAGE "  -p, --partition N     only this partition\n"
    "  -o, --offset FROM     beginning (default), end, an offset N, -N (the last N records of\n"
    "                        each partition) or @TIME: ms since the epoch, 2026-11-21T08:00:00\n"
    "                        (Z for UTC), or -90s, -15m, -2h, -7d\n"
    "      --to PLACE        end before offset N, or before the first record of @TIME or later\n"
    "      --last N          only the last N records of all partitions together\n"
    "  -n, --count N         stop after N records\n"
    "  -f, --follow          at the end, wait for more\n"
    "  -g, --group GROUP     go on where GROUP is, share the partitions with its members, and\n"
    "                        commit what was printed; -o says where to begin without an offset\n"
    "      --key TEXT, --header NAME[=TEXT], --key-regex RE, --header-regex NAME=RE\n"
    "                        only records with this key, or header\n"
    "      --format FORMAT   text (default): the value and a newline; json: one object a line\n"
    "      --print FIELDS    for text, fields in this order with tabs between: a list of\n"
    "                        partition,offset,timestamp,key,headers,value\n"
    "      --null TEXT       what text prints for a null key or value; default: nothing\n"
    "      --no-newline      for text, nothing behind a record\n"
    "      --isolation WHAT  committed (default) or uncommitted\n";

enum {
    OPTION_FORMAT = TOOL_OPTION_FIRST,
    OPTION_PRINT,
    OPTION_NULL,
    OPTION_NO_NEWLINE,
    OPTION_ISOLATION,
    OPTION_LOG_DIR,
    OPTION_TO,
    OPTION_LAST,
};

/* ---- the command line --------------------------------------------------------------------- */

static bool parse_fields(struct consume *consume, const char *list)
{
    static const char *const names[] = {"partition", "offset",  "timestamp",
                                        "key",       "headers", "value"};

    consume->field_count = 0;
    for (const char *at = list;; at++) {
        size_t length = strcspn(at, ",");
        unsigned name = 0;
        while (name <= FIELD_VALUE &&
               (strlen(names[name]) != length || strncmp(names[name], at, length) != 0))
            name++;
        if (name > FIELD_VALUE || consume->field_count == FIELDS_MAX)
            return false;
        consume->fields[consume->field_count++] = (enum field)name;
        at += length;
        if (*at == '\0')
            return true;
    }
}

static bool parse_start(const char *text, struct merge_start *start)
{
    if (strcmp(text, "beginning") == 0 || strcmp(text, "end") == 0) {
        start->from = text[0] == 'b' ? MERGE_BEGINNING : MERGE_END;
        return true;
    }
    if (text[0] == '@') {
        start->from = MERGE_TIMESTAMP;
        return parse_time_ms(text + 1, &start->number);
    }
    start->from = text[0] == '-' ? MERGE_LAST : MERGE_OFFSET;
    return parse_number(text + (text[0] == '-'), 0, INT64_MAX, &start->number);
}

static bool parse_end(const char *text, struct merge_end *end)
{
    end->to = text[0] == '@' ? MERGE_TO_TIMESTAMP : MERGE_TO_OFFSET;
    return text[0] == '@' ? parse_time_ms(text + 1, &end->number)
                          : parse_number(text, 0, INT64_MAX, &end->number);
}

static bool parse_choice(const char *text, const char *no, const char *yes, bool *ret_yes)
{
    *ret_yes = strcmp(text, yes) == 0;
    return *ret_yes || strcmp(text, no) == 0;
}

/* How records are printed. Returns -1 to go on, else the exit code. */
static int take_output_option(struct tool *tool, struct consume *consume, int option, char **argv)
{
    bool chosen;

    switch (option) {
    case OPTION_FORMAT:
        if (parse_choice(optarg, "text", "json", &consume->json))
            return -1;
        return tool_misused(tool, "'%s' is no format: text or json", optarg);
    case OPTION_PRINT:
        if (parse_fields(consume, optarg))
            return -1;
        return tool_misused(tool, "'%s' is no list of fields", optarg);
    case OPTION_NULL:
        consume->null_text = optarg;
        return -1;
    case OPTION_NO_NEWLINE:
        consume->newline = false;
        return -1;
    case OPTION_ISOLATION:
        if (!parse_choice(optarg, "uncommitted", "committed", &chosen))
            return tool_misused(tool, "'%s' is no isolation: committed or uncommitted", optarg);
        consume->isolation = chosen ? BECK_READ_COMMITTED : BECK_READ_UNCOMMITTED;
        return -1;
    default:
        return tool_common_option(tool, option, argv);
    }
}

/* One of this command's own options. Returns -1 to go on, else the exit code. */
static int take_option(struct tool *tool, struct consume *consume, int option, char **argv)
{
    switch (option) {
    case 'p':
        return tool_take_partition(tool, &consume->partition);
    case 'o':
        if (parse_start(optarg, &consume->start))
            return -1;
        return tool_misused(tool, "'%s' is no offset: beginning, end, N, -N or @TIME", optarg);
    case OPTION_TO:
        if (parse_end(optarg, &consume->end))
            return -1;
        return tool_misused(tool, "'%s' is no place to end: N or @TIME", optarg);
    case OPTION_LAST:
        if (parse_number(optarg, 0, INT64_MAX, &consume->last))
            return -1;
        return tool_misused(tool, "'%s' is no count", optarg);
    case 'g':
        consume->group = optarg;
        return -1;
    case FILTER_OPTION_KEY:
    case FILTER_OPTION_KEY_REGEX:
    case FILTER_OPTION_HEADER:
    case FILTER_OPTION_HEADER_REGEX:
        return filter_take_option(tool, &consume->filter, option);
    case 'n':
        if (parse_number(optarg, 0, INT64_MAX, &consume->count))
            return -1;
        return tool_misused(tool, "'%s' is no count", optarg);
    case 'f':
        consume->follow = true;
        return -1;
    case OPTION_LOG_DIR:
        consume->log_dir = optarg;
        return -1;
    default:
        return take_output_option(tool, consume, option, argv);
    }
}

/* Options that exclude each other. */
static int check(const struct tool *tool, const struct consume *consume)
{
    bool has_end = consume->end.to != MERGE_TO_END;

    if (consume->follow && consume->log_dir != NULL)
        return tool_misused(tool, "there is nothing to follow in --log-dir: its broker is stopped");
    if (consume->follow && has_end)
        return tool_misused(tool, "--to ends and --follow does not: choose one");
    if (consume->last >= 0 && consume->start.from != MERGE_BEGINNING)
        return tool_misused(tool, "-o and --last are two places to begin: choose one");
    if (consume->group == NULL)
        return -1;
    if (consume->log_dir != NULL || consume->partition >= 0 || consume->last >= 0 || has_end)
        return tool_misused(tool,
                            "a group says what is read: no -p, --to, --last or --log-dir with it");
    if (consume->start.from != MERGE_BEGINNING && consume->start.from != MERGE_END)
        return tool_misused(tool, "a group begins at the beginning or the end: -o says which");
    return -1;
}

static const struct option long_options[] = {
    {"partition", required_argument, NULL, 'p'},
    {"offset", required_argument, NULL, 'o'},
    {"count", required_argument, NULL, 'n'},
    {"follow", no_argument, NULL, 'f'},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"print", required_argument, NULL, OPTION_PRINT},
    {"null", required_argument, NULL, OPTION_NULL},
    {"no-newline", no_argument, NULL, OPTION_NO_NEWLINE},
    {"isolation", required_argument, NULL, OPTION_ISOLATION},
    {"log-dir", required_argument, NULL, OPTION_LOG_DIR},
    {"to", required_argument, NULL, OPTION_TO},
    {"last", required_argument, NULL, OPTION_LAST},
    {"group", required_argument, NULL, 'g'},
    FILTER_LONG_OPTIONS,
    TOOL_CLUSTER_OPTIONS,
    TOOL_LONG_OPTIONS,
};

static int parse_command_line(struct tool *tool, struct consume *consume, int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, ":p:o:n:fg:" TOOL_CLUSTER_SHORT, long_options,
                                 NULL)) != -1) {
        int code = take_option(tool, consume, option, argv);
        if (code >= 0)
            return code;
    }
    if (argc - optind != 1)
        return tool_misused(tool, argc == optind ? "which topic?" : "one topic at a time");
    consume->topic = argv[optind];
    consume->null_size = strlen(consume->null_text);
    consume->value_only = consume->field_count == 1 && consume->fields[0] == FIELD_VALUE;
    return check(tool, consume);
}

/* ---- the run ------------------------------------------------------------------------------ */

/* Pass over all but the last records of all partitions together. */
static int skip_to_last(struct consume *consume, struct merge *merge)
{
    struct beck_record record;
    int32_t partition;
    uint64_t counted = merge_counted(merge);
    uint64_t wanted = (uint64_t)consume->last;
    int result = 1;

    for (; result > 0 && counted > wanted && !signals_caught(); counted--)
        result = merge_next(merge, &record, &partition);
    return result < 0 ? -result : TOOL_OK;
}

static int copy_records(struct consume *consume, struct merge *merge)
{
    struct beck_record record;
    int32_t partition;

    for (int64_t done = 0; done < consume->count;) {
        if (signals_caught() || output_failed(&consume->output))
            return TOOL_OK;
        int result = merge_next(merge, &record, &partition);
        if (result == 0 && consume->follow) {
            output_flush(&consume->output);
            result = merge_wait(merge);
            if (result == 0)
                continue;
        }
        if (result <= 0)
            return -result;
        result = consume_print(consume, &record, partition);
        if (result < 0)
            return tool_failed("partition %d offset %lld: %s", (int)partition,
                               (long long)record.offset, strerror(-result));
        done += result;
    }
    return TOOL_OK;
}

static void show_before_wait(void *context)
{
    struct consume *consume = context;
    output_flush(&consume->output);
}

static int consume_topic(struct consume *consume, const struct input *input)
{
    struct merge *merge = NULL;
    struct source_topic topic;

    int code = input_find_topic(input, consume->topic, &topic);
    if (code != TOOL_OK)
        return code;
    consume->several = consume->partition < 0 && topic.partition_count > 1;
    input->source->before_wait = show_before_wait;
    input->source->before_wait_context = consume;
    code = merge_new(input, &topic, consume->partition, consume->isolation, &merge);
    if (code == TOOL_OK)
        code = merge_seek(merge, &consume->start, consume->follow ? NULL : &consume->end);
    if (code == TOOL_OK && consume->last >= 0)
        code = skip_to_last(consume, merge);
    if (code == TOOL_OK)
        code = copy_records(consume, merge);
    (void)merge_free(merge);
    return output_finish(&consume->output, code);
}

/* As a group: with -b, and where a beckd serves the store, as one of its members. */
static int run_group(struct tool *tool, struct consume *consume)
{
    struct input input = {0};
    struct beck_store_info info;
    struct beck_error error;

    if (tool->brokers != NULL)
        return consume_as_member(tool, consume);
    int code = input_open(tool, NULL, &input);
    if (code == TOOL_OK && beck_store_info(input.store, &info, &error) < 0)
        code = tool_failed_error(&error);
    if (code == TOOL_OK && info.broker_pid == 0)
        code = consume_alone(consume, &input);
    input_done(&input);
    if (code != TOOL_OK || info.broker_pid == 0)
        return code;
    tool->by_socket = true;
    return consume_as_member(tool, consume);
}

static int run_plain(struct tool *tool, struct consume *consume)
{
    struct input input = {0};

    int code = input_open(tool, consume->log_dir, &input);
    if (code == TOOL_OK)
        code = consume_topic(consume, &input);
    input_done(&input);
    return code;
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct consume consume = {
        .partition = -1,
        .start.from = MERGE_BEGINNING,
        .last = -1,
        .count = INT64_MAX,
        .newline = true,
        .isolation = BECK_READ_COMMITTED,
        .null_text = "",
        .fields = {FIELD_VALUE},
        .field_count = 1,
    };

    int code = parse_command_line(tool, &consume, argc, argv);
    if (code < 0 && output_init(&consume.output, STDOUT_FILENO) < 0)
        code = tool_failed("not enough memory");
    if (code < 0) {
        if (consume.last >= 0)
            consume.start = (struct merge_start){.from = MERGE_LAST, .number = consume.last};
        code = consume.group != NULL ? run_group(tool, &consume) : run_plain(tool, &consume);
        output_done(&consume.output);
    }
    filter_done(&consume.filter);
    return code;
}

const struct command consume_command = {.name = "consume",
                                        .summary = "print a topic's records",
                                        .usage = usage,
                                        .options = long_options,
                                        .argument = TOOL_ARGUMENT_TOPIC,
                                        .run = run};
