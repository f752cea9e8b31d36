/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck consume: records of a topic to standard output, as text lines or in the lossless JSON form.
 * Reads committed records only, unless told otherwise, so that it shows what `cat` on the mount
 * shows. Leaves the reading and merging of partitions to merge.c, and the JSON form to the library.
 */
#include "merge.h"
#include "output.h"
#include "parse.h"
#include "signals.h"
#include "tool.h"

#include <errno.h>
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
    "  -n, --count N         stop after N records\n"
    "  -f, --follow          at the end, wait for more\n"
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
};

enum field {
    FIELD_PARTITION,
    FIELD_OFFSET,
    FIELD_TIMESTAMP,
    FIELD_KEY,
    FIELD_HEADERS,
    FIELD_VALUE
};

enum { FIELDS_MAX = 12 };

struct consume {
    const char *topic;
    const char *log_dir; /* NULL: the store */
    int32_t partition;   /* -1: all */
    struct merge_start start;
    int64_t count;
    bool follow;
    bool json;
    bool newline;
    enum beck_isolation isolation;
    const char *null_text;
    size_t null_size;
    enum field fields[FIELDS_MAX];
    unsigned field_count;
    bool value_only; /* the common case */
    bool several;    /* partitions: JSON names topic and partition */
    struct output output;
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

static bool parse_choice(const char *text, const char *no, const char *yes, bool *ret_yes)
{
    *ret_yes = strcmp(text, yes) == 0;
    return *ret_yes || strcmp(text, no) == 0;
}

/* One of this command's own options. Returns -1 to go on, else the exit code. */
static int take_option(struct tool *tool, struct consume *consume, int option, char **argv)
{
    int64_t number;
    bool chosen;

    switch (option) {
    case 'p':
        if (!parse_number(optarg, 0, INT32_MAX, &number))
            return tool_misused(tool, "'%s' is no partition number", optarg);
        consume->partition = (int32_t)number;
        return -1;
    case 'o':
        if (parse_start(optarg, &consume->start))
            return -1;
        return tool_misused(tool, "'%s' is no offset: beginning, end, N, -N or @TIME", optarg);
    case 'n':
        if (parse_number(optarg, 0, INT64_MAX, &consume->count))
            return -1;
        return tool_misused(tool, "'%s' is no count", optarg);
    case 'f':
        consume->follow = true;
        return -1;
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
    case OPTION_LOG_DIR:
        consume->log_dir = optarg;
        return -1;
    default:
        return tool_common_option(tool, option, argv);
    }
}

static int parse_command_line(struct tool *tool, struct consume *consume, int argc, char **argv)
{
    static const struct option options[] = {
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
        TOOL_CLUSTER_OPTIONS,
        TOOL_LONG_OPTIONS,
    };
    int option;

    while ((option = getopt_long(argc, argv, ":p:o:n:f" TOOL_CLUSTER_SHORT, options, NULL)) != -1) {
        int code = take_option(tool, consume, option, argv);
        if (code >= 0)
            return code;
    }
    if (argc - optind != 1)
        return tool_misused(tool, argc == optind ? "which topic?" : "one topic at a time");
    if (consume->follow && consume->log_dir != NULL)
        return tool_misused(tool, "there is nothing to follow in --log-dir: its broker is stopped");
    consume->topic = argv[optind];
    consume->null_size = strlen(consume->null_text);
    consume->value_only = consume->field_count == 1 && consume->fields[0] == FIELD_VALUE;
    return -1;
}

/* ---- printing ----------------------------------------------------------------------------- */

static void print_bytes(struct consume *consume, const void *data, int32_t size)
{
    if (size >= 0)
        output_write(&consume->output, data, (size_t)size);
    else
        output_write(&consume->output, consume->null_text, consume->null_size);
}

/* name=value,name=value; a null value without the "=". */
static int print_headers(struct consume *consume, const struct beck_record *record)
{
    struct beck_header header;
    size_t position = 0;
    int result;

    for (int i = 0; (result = beck_header_next(record, &position, &header)) > 0; i++) {
        if (i > 0)
            output_byte(&consume->output, ',');
        output_write(&consume->output, header.name, (size_t)header.name_size);
        if (header.value_size < 0)
            continue;
        output_byte(&consume->output, '=');
        output_write(&consume->output, header.value, (size_t)header.value_size);
    }
    return result;
}

static int print_field(struct consume *consume, enum field field, const struct beck_record *record,
                       int32_t partition)
{
    switch (field) {
    case FIELD_PARTITION:
        output_number(&consume->output, partition);
        return 0;
    case FIELD_OFFSET:
        output_number(&consume->output, record->offset);
        return 0;
    case FIELD_TIMESTAMP:
        output_number(&consume->output, record->timestamp_ms);
        return 0;
    case FIELD_KEY:
        print_bytes(consume, record->key, record->key_size);
        return 0;
    case FIELD_HEADERS:
        return print_headers(consume, record);
    case FIELD_VALUE:
        print_bytes(consume, record->value, record->value_size);
        return 0;
    }
    return 0;
}

static int print_json(struct consume *consume, const struct beck_record *record, int32_t partition)
{
    struct output *output = &consume->output;
    const char *topic = consume->several ? consume->topic : NULL;
    size_t free_bytes = output->capacity - output->used;

    ssize_t size =
        beck_record_json(record, topic, partition, output->buffer + output->used, free_bytes);
    if (size > 0 && (size_t)size > free_bytes) {
        char *room = output_room(output, (size_t)size);
        if (room == NULL)
            return -ENOMEM;
        size = beck_record_json(record, topic, partition, room, (size_t)size);
    }
    if (size > 0)
        output_used(output, (size_t)size);
    return size < 0 ? (int)size : 0;
}

static int print_record(struct consume *consume, const struct beck_record *record,
                        int32_t partition)
{
    int result = 0;

    if (consume->json)
        return print_json(consume, record, partition);
    if (consume->value_only) {
        print_bytes(consume, record->value, record->value_size);
    } else {
        for (unsigned i = 0; i < consume->field_count && result >= 0; i++) {
            if (i > 0)
                output_byte(&consume->output, '\t');
            result = print_field(consume, consume->fields[i], record, partition);
        }
    }
    if (consume->newline)
        output_byte(&consume->output, '\n');
    return result;
}

/* ---- the run ------------------------------------------------------------------------------ */

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
        result = print_record(consume, &record, partition);
        if (result < 0)
            return tool_failed("partition %d offset %lld: %s", (int)partition,
                               (long long)record.offset, strerror(-result));
        done++;
    }
    return TOOL_OK;
}

static int consume_topic(struct consume *consume, const struct input *input)
{
    struct merge *merge = NULL;
    struct source_topic topic;

    int code = input_find_topic(input, consume->topic, &topic);
    if (code != TOOL_OK)
        return code;
    consume->several = consume->partition < 0 && topic.partition_count > 1;
    code = merge_new(input, &topic, consume->partition, consume->isolation, &merge);
    if (code == TOOL_OK)
        code = merge_seek(merge, &consume->start, consume->follow);
    if (code == TOOL_OK)
        code = copy_records(consume, merge);
    (void)merge_free(merge);
    return output_finish(&consume->output, code);
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct input input = {0};
    struct consume consume = {
        .partition = -1,
        .start.from = MERGE_BEGINNING,
        .count = INT64_MAX,
        .newline = true,
        .isolation = BECK_READ_COMMITTED,
        .null_text = "",
        .fields = {FIELD_VALUE},
        .field_count = 1,
    };

    int code = parse_command_line(tool, &consume, argc, argv);
    if (code >= 0)
        return code;
    if (output_init(&consume.output, STDOUT_FILENO) < 0)
        return tool_failed("not enough memory");
    code = input_open(tool, consume.log_dir, &input);
    if (code == TOOL_OK)
        code = consume_topic(&consume, &input);
    input_done(&input);
    output_done(&consume.output);
    return code;
}

const struct command consume_command = {
    .name = "consume", .summary = "print a topic's records", .usage = usage, .run = run};
