/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck produce: records into a topic. Arguments and files are a record each, and tell the partition
 * and offset of each; standard input (produce_lines.c) tells a summary. With acks=all, the default,
 * nothing is told before it survives power loss.
 */
#include "produce.h"

#include "parse.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "beck produce TOPIC [-p PARTITION] [-k KEY] [OPTION...] [VALUE...]\n"
    "       beck produce TOPIC -b HOST:PORT [OPTION...] [VALUE...]\n\n"
    "Append a record for each VALUE, and print the partition and offset of each. Without a\n"
    "VALUE, each line of standard input is a record, and a summary is "
    "printed.\n\n" TOOL_CLUSTER_USAGE
    "  -p, --partition N       into this partition; without it the key decides, as it does for\n"
    "                          Kafka's Java producer, and without a key they take turns\n"
    "  -k, --key KEY           the key of all records\n"
    "  -K, --key-separator S   a line is KEY S VALUE; a line without S has the key of -k, if any\n"
    "  -H, --header NAME=VALUE a header for all records; NAME alone: its value is null\n"
    "  -F, --file FILE         the whole FILE is one record, whatever is in it (- is standard "
    "input)\n"
    "      --null              one record whose value is null\n"
    "      --json              each line is an object as `beck consume --format json` prints it\n"
    "      --timestamp TIME    ms since the epoch, or 2026-11-21T08:00:00; default: now\n"
    "      --compression C     none (default), gzip, snappy, lz4 or zstd\n"
    "      --acks WHAT         all (default): wait until it survives power loss; 1: do not wait\n\n"
    "A VALUE that begins with - stands behind --.\n";

enum {
    OPTION_NULL = TOOL_OPTION_FIRST,
    OPTION_JSON,
    OPTION_TIMESTAMP,
    OPTION_COMPRESSION,
    OPTION_ACKS,
};

/* ---- the command line --------------------------------------------------------------------- */

static int take_header(struct tool *tool, struct produce *produce, const char *text)
{
    size_t name_size = strcspn(text, "=");
    const char *value = text[name_size] == '=' ? text + name_size + 1 : NULL;

    if (name_size == 0)
        return tool_misused(tool, "'%s' is no header: NAME=VALUE", text);
    if (headers_add(&produce->headers, text, (int32_t)name_size, value,
                    value != NULL ? (int32_t)strlen(value) : -1) < 0)
        return tool_failed("not enough memory");
    return -1;
}

/* Options with values of their own kinds. Returns -1 to go on, else the exit code. */
static int take_value_option(struct tool *tool, struct produce *produce, int option, char **argv)
{
    switch (option) {
    case 'p':
        return tool_take_partition(tool, &produce->partition);
    case OPTION_TIMESTAMP:
        if (parse_time_ms(optarg, &produce->timestamp_ms))
            return -1;
        return tool_misused(tool, "'%s' is no time", optarg);
    case OPTION_COMPRESSION:
        return tool_take_compression(tool, &produce->options.compression);
    case OPTION_ACKS:
        return tool_take_acks(tool, &produce->options.acks);
    default:
        return tool_common_option(tool, option, argv);
    }
}

static int take_option(struct tool *tool, struct produce *produce, int option, char **argv)
{
    switch (option) {
    case 'k':
        produce->key = optarg;
        return -1;
    case 'K':
        if (optarg[0] == '\0')
            return tool_misused(tool, "the key separator is empty");
        produce->key_separator = optarg;
        return -1;
    case 'H':
        return take_header(tool, produce, optarg);
    case 'F':
        produce->files[produce->file_count++] = optarg;
        return -1;
    case OPTION_NULL:
        produce->null_value = true;
        return -1;
    case OPTION_JSON:
        produce->json = true;
        return -1;
    default:
        return take_value_option(tool, produce, option, argv);
    }
}

/* Which of the ways to name records was used? More than one is misuse. */
static int check_sources(const struct tool *tool, const struct produce *produce)
{
    int sources = produce->null_value + (produce->file_count > 0) + (produce->value_count > 0);
    bool per_line = produce->json || produce->key_separator != NULL;

    if (sources > 1)
        return tool_misused(tool, "a VALUE, --file and --null are three ways: choose one");
    if (sources > 0 && per_line)
        return tool_misused(tool, "--json and --key-separator are for lines of standard input");
    if (produce->json && (produce->key != NULL || produce->key_separator != NULL ||
                          produce->headers.count > 0 || produce->timestamp_ms != 0))
        return tool_misused(tool, "with --json, keys, headers and timestamps stand in the lines");
    return -1;
}

static const struct option long_options[] = {
    {"partition", required_argument, NULL, 'p'},
    {"key", required_argument, NULL, 'k'},
    {"key-separator", required_argument, NULL, 'K'},
    {"header", required_argument, NULL, 'H'},
    {"file", required_argument, NULL, 'F'},
    {"null", no_argument, NULL, OPTION_NULL},
    {"json", no_argument, NULL, OPTION_JSON},
    {"timestamp", required_argument, NULL, OPTION_TIMESTAMP},
    {"compression", required_argument, NULL, OPTION_COMPRESSION},
    {"acks", required_argument, NULL, OPTION_ACKS},
    TOOL_CLUSTER_OPTIONS,
    TOOL_LONG_OPTIONS,
};

static int parse_command_line(struct tool *tool, struct produce *produce, int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, ":p:k:K:H:F:" TOOL_CLUSTER_SHORT, long_options,
                                 NULL)) != -1) {
        int code = take_option(tool, produce, option, argv);
        if (code >= 0)
            return code;
    }
    if (optind == argc)
        return tool_misused(tool, "which topic?");
    produce->topic = argv[optind];
    produce->values = argv + optind + 1;
    produce->value_count = argc - optind - 1;
    return check_sources(tool, produce);
}

/* ---- records ------------------------------------------------------------------------------ */

struct beck_record produce_record(const struct produce *produce, const void *value, size_t size)
{
    struct beck_record record = {
        .key = produce->key,
        .key_size = produce->key != NULL ? (int32_t)strlen(produce->key) : -1,
        .value = value,
        .value_size = value != NULL ? (int32_t)size : -1,
        .timestamp_ms = produce->timestamp_ms,
    };

    headers_give(&produce->headers, &record);
    return record;
}

struct place {
    int32_t partition;
    int64_t offset;
};

/* Send one record in a batch of its own, so that its offset is known. */
static int send_one(const struct produce *produce, struct sender *sender, const void *value,
                    size_t size, const struct sender_origin *origin, struct place *ret_place)
{
    struct beck_record record = produce_record(produce, value, size);

    int code = sender_add(sender, produce->partition, &record, origin, &ret_place->partition);
    if (code == TOOL_OK)
        code = sender_flush(sender);
    if (code == TOOL_OK)
        ret_place->offset = sender_lane(sender, ret_place->partition)->last_offset;
    return code;
}

/* Read a whole file of at most `limit` bytes; what is above it is left, and makes it too large. */
static int read_file(int fd, const char *name, size_t limit, char **ret_data, size_t *ret_size)
{
    char *data = malloc(limit + 1);
    size_t size = 0;

    if (data == NULL)
        return tool_failed("not enough memory for %s", name);
    while (size <= limit) {
        ssize_t got = read(fd, data + size, limit + 1 - size);
        if (got == 0)
            break;
        if (got < 0) {
            free(data);
            return tool_failed("cannot read %s: %s", name, strerror(errno));
        }
        size += (size_t)got;
    }
    *ret_data = data;
    *ret_size = size;
    return TOOL_OK;
}

static int send_file(const struct produce *produce, struct sender *sender, const char *name,
                     struct place *ret_place)
{
    struct sender_origin origin = {.what = name};
    char *data = NULL;
    size_t size = 0;
    bool standard = strcmp(name, "-") == 0;

    int fd = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return tool_failed("cannot open %s: %s", name, strerror(errno));
    int code = read_file(fd, name, sender->value_limit, &data, &size);
    if (!standard)
        (void)close(fd);
    if (code == TOOL_OK && size > sender->value_limit)
        code = tool_failed("%s: it is larger than the %zu bytes that the topic takes", name,
                           sender->value_limit);
    if (code == TOOL_OK)
        code = send_one(produce, sender, data, size, &origin, ret_place);
    free(data);
    return code;
}

static int send_each(const struct produce *produce, struct sender *sender, struct place *places,
                     int *ret_done)
{
    int count = produce->null_value ? 1 : produce->file_count + produce->value_count;
    int code = TOOL_OK;

    *ret_done = 0;
    for (int i = 0; i < count; i++) {
        struct sender_origin origin = {.what = "value", .number = (uint64_t)i + 1};
        if (produce->null_value)
            code = send_one(produce, sender, NULL, 0, &origin, &places[i]);
        else if (produce->file_count > 0)
            code = send_file(produce, sender, produce->files[i], &places[i]);
        else
            code = send_one(produce, sender, produce->values[i], strlen(produce->values[i]),
                            &origin, &places[i]);
        if (code != TOOL_OK)
            return code;
        *ret_done = i + 1;
    }
    return code;
}

/* Send what the command line names, and tell where each record went. */
static int produce_arguments(const struct produce *produce, struct sender *sender)
{
    int count = 1 + produce->file_count + produce->value_count;
    int done;

    struct place *places = calloc((size_t)count, sizeof(*places));
    if (places == NULL)
        return tool_failed("not enough memory");
    int code = send_each(produce, sender, places, &done);
    int synced = sender_sync(sender);
    for (int i = 0; synced == TOOL_OK && i < done; i++)
        (void)printf("partition %d offset %lld\n", (int)places[i].partition,
                     (long long)places[i].offset);
    free(places);
    return code != TOOL_OK ? code : synced;
}

/* ---- the run ------------------------------------------------------------------------------ */

static int send_all(const struct produce *produce, struct sender *sender)
{
    if (produce->partition >= 0 && (uint32_t)produce->partition >= sender->partition_count)
        return tool_failed("topic %s has no partition %d: it has 0 to %u", sender->topic,
                           (int)produce->partition, sender->partition_count - 1);
    bool lines = !produce->null_value && produce->file_count == 0 && produce->value_count == 0;
    return lines ? produce_lines(produce, sender) : produce_arguments(produce, sender);
}

static int produce_to(const struct tool *tool, const struct produce *produce)
{
    struct beck_store *store = NULL;
    struct sender *sender = NULL;

    int code = sender_open(tool, produce->topic, &produce->options, &store, &sender);
    if (code == TOOL_OK)
        code = send_all(produce, sender);
    (void)sender_free(sender);
    (void)beck_store_close(store);
    return code;
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct produce produce = {.partition = -1, .options.acks = BECK_ACKS_ALL};

    produce.files = calloc((size_t)argc, sizeof(*produce.files));
    if (produce.files == NULL)
        return tool_failed("not enough memory");
    int code = parse_command_line(tool, &produce, argc, argv);
    if (code < 0)
        code = produce_to(tool, &produce);
    headers_done(&produce.headers);
    free(produce.files);
    return code;
}

const struct command produce_command = {.name = "produce",
                                        .summary = "append records to a topic",
                                        .usage = usage,
                                        .options = long_options,
                                        .argument = TOOL_ARGUMENT_TOPIC,
                                        .run = run};
