/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck import: records from elsewhere into a store, with the offsets that they had there: from JSON
 * lines, segment files, or the log directory of a Kafka broker. Batches of the latter two are taken
 * as they are compressed.
 */
#include "copy.h"
#include "input.h"
#include "json_input.h"
#include "kafka_metadata.h"
#include "lines.h"
#include "log_batch.h"
#include "parse.h"
#include "signals.h"
#include "store_writer.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "beck import TOPIC [FILE...] [OPTION...]\n"
    "       beck import [TOPIC...] --log-dir DIR [--as NAME] [OPTION...]\n\n"
    "Append records that are elsewhere, with the offsets that they have there: from JSON lines as\n"
    "export writes them (from standard input, or of FILEs), from segment files (FILE.log), or "
    "from\n"
    "the log directory of a Kafka broker that is stopped (there, without a TOPIC: all but Kafka's\n"
    "own). Of the latter two, what is committed is taken. A topic that is missing is made, except\n"
    "from JSON lines, with the settings that it has in a log directory. It keeps its records for\n"
    "ever (retention.ms=-1) unless these or -c say otherwise.\n\n"
    "      --log-dir DIR      from the log directory of a Kafka broker\n"
    "      --as NAME          into a topic of this name\n"
    "  -p, --partition N      only this partition; files: into this one, by default 0\n"
    "  -c, --config S=VALUE   a setting for topics that are made\n"
    "      --new-offsets      append behind what is there, with new offsets\n"
    "      --skip-damaged     say what is damaged and go on behind it; exit code 1 in the end\n"
    "      --compression C    JSON lines: none (default), gzip, snappy, lz4, zstd\n";

enum {
    OPTION_LOG_DIR = TOOL_OPTION_FIRST,
    OPTION_AS,
    OPTION_NEW_OFFSETS,
    OPTION_SKIP_DAMAGED,
    OPTION_COMPRESSION,
};

/* A line may be as large as a batch may be, with all that JSON makes of it. */
enum { LINE_BYTES_MAX = 4 * (BECK_BATCH_BYTES_LIMIT / 3) + (1 << 20) };

struct import {
    const char *log_dir;
    const char *as;
    int32_t partition; /* -1: all */
    bool new_offsets;
    bool skip_damaged;
    bool damaged;
    enum beck_compression compression;
    struct tool_configs configs;
    struct kafka_metadata metadata; /* of the log directory */
};

/* ---- batches ------------------------------------------------------------------------------ */

static int import_partition(struct import *import, const struct input *input,
                            const struct source_topic *topic, int32_t number,
                            struct store_writer *writer, int32_t to)
{
    struct source_partition *partition = NULL;
    struct copy copy = {0};
    struct batch_header header;
    uint8_t *batch;
    int result = 0;

    int code = input_open_partition(input, topic, number, BECK_READ_COMMITTED, &partition);
    if (code == TOOL_OK)
        code = copy_begin(&copy, partition, topic->name, import->skip_damaged);
    if (code == TOOL_OK)
        code = store_writer_start_at(writer, to, copy.bounds.start);
    while (code == TOOL_OK && (result = copy_next(&copy, &header, &batch)) > 0)
        code = store_writer_put(writer, to, &header, batch);
    if (result < 0)
        code = -result;
    if (code == TOOL_OK)
        code = store_writer_end_at(writer, to, copy.bounds.stable);
    import->damaged = import->damaged || copy.damaged;
    copy_done(&copy);
    (void)source_partition_close(partition);
    return code;
}

static int import_partitions(struct import *import, const struct input *input,
                             const struct source_topic *topic, struct store_writer *writer)
{
    int32_t number = -1;
    int code = TOOL_OK;

    if (import->partition >= 0)
        return import_partition(import, input, topic, import->partition, writer, import->partition);
    while (code == TOOL_OK && (number = source_partition_next(input->source, topic, number)) >= 0)
        code = import_partition(import, input, topic, number, writer, number);
    return code;
}

/* End what was begun: also what came before a failure is kept, and told. */
static int finish(struct store_writer *writer, int code)
{
    int synced = store_writer_sync(writer);

    store_writer_print(writer, synced == TOOL_OK);
    return code != TOOL_OK ? code : synced;
}

/* Is this setting among those that were given? */
static bool is_set(const struct tool_configs *configs, const char *name)
{
    for (size_t i = 0; i < configs->count; i++) {
        if (strcmp(configs->configs[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Add what the topic has in Kafka and was not given. What is not known here, or cannot be had, is
 * told and left out. */
static void add_settings(const struct import *import, struct beck_store *store, const char *from,
                         const char *name, struct tool_configs *configs)
{
    struct beck_error error;
    struct beck_topic topic;
    size_t at = 0;
    const char *setting;
    const char *value;

    while (kafka_metadata_next(&import->metadata, from, &at, &setting, &value) > 0) {
        struct beck_config config = {.name = setting, .value = value};
        struct beck_topic_options options = {
            .partition_count = 1, .configs = &config, .config_count = 1, .validate_only = true};
        if (is_set(configs, setting))
            continue;
        if (configs->count == TOOL_CONFIGS_MAX)
            (void)tool_failed("topic %s: %s=%s is one too many, and left out", name, setting,
                              value);
        else if (beck_topic_create(store, name, &options, &topic, &error) < 0)
            (void)tool_failed("topic %s: %s=%s is left out: %s", name, setting, value,
                              error.message);
        else
            configs->configs[configs->count++] = config;
    }
}

/* Look the topic up, and make it where it is missing: `from` is its name in a log directory, if it
 * is from there. Unless told otherwise, it keeps everything: old records would else be gone as soon
 * as they are there. */
static int have_topic(const struct import *import, struct beck_store *store, const char *from,
                      const char *name, uint32_t partition_count, struct beck_topic *ret_topic)
{
    struct tool_configs configs = import->configs;
    struct beck_error error;

    int result = beck_topic_find(store, name, ret_topic, &error);
    if (result != -ENOENT)
        return result < 0 ? tool_failed_error(&error) : TOOL_OK;
    if (from != NULL)
        add_settings(import, store, from, name, &configs);
    if (!is_set(&configs, "retention.ms") && configs.count < TOOL_CONFIGS_MAX)
        configs.configs[configs.count++] =
            (struct beck_config){.name = "retention.ms", .value = "-1"};
    struct beck_topic_options options = {.partition_count = partition_count,
                                         .configs = configs.configs,
                                         .config_count = configs.count};
    result = beck_topic_create(store, name, &options, ret_topic, &error);
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

static int import_topic(struct import *import, struct beck_store *store, const struct input *input,
                        const struct source_topic *topic)
{
    const char *name = import->as != NULL ? import->as : topic->name;
    struct store_writer writer = {0};
    struct beck_topic into;
    uint32_t count = 1;

    for (int32_t at = -1; (at = source_partition_next(input->source, topic, at)) >= 0;)
        count = (uint32_t)at + 1;
    int code = have_topic(import, store, topic->name, name, count, &into);
    if (code == TOOL_OK)
        code = store_writer_init(&writer, store, &into, !import->new_offsets);
    if (code == TOOL_OK)
        code = finish(&writer, import_partitions(import, input, topic, &writer));
    store_writer_done(&writer);
    return code;
}

/* All topics but those in which Kafka keeps what is its own. */
static int import_all(struct import *import, struct beck_store *store, const struct input *input)
{
    struct source_topic topic = {0};
    struct beck_error error;
    int code = TOOL_OK;
    int result;

    while (code == TOOL_OK &&
           (result = source_topic_next(input->source, topic.name, &topic, &error)) != 0) {
        if (result < 0)
            return tool_failed_error(&error);
        if (strncmp(topic.name, "__", 2) != 0)
            code = import_topic(import, store, input, &topic);
    }
    return code;
}

/* Settings are worth less than records: where they cannot be read, these are taken all the same. */
static void load_settings(struct import *import)
{
    struct kafka_dir dir;
    struct beck_error error;

    if (kafka_dir_open(import->log_dir, &dir, &error) < 0)
        return; /* which opening it as a source tells */
    if (kafka_metadata_load(&dir, &import->metadata, &error) < 0)
        (void)tool_failed("%s: the settings of topics may be incomplete", error.message);
    kafka_dir_done(&dir);
}

static int import_log_dir(struct tool *tool, struct import *import, struct beck_store *store,
                          char **names, int count)
{
    struct input input = {0};
    struct source_topic topic;

    int code = input_open(tool, import->log_dir, &input);
    if (code == TOOL_OK)
        load_settings(import);
    if (code == TOOL_OK && count == 0)
        code = import_all(import, store, &input);
    for (int i = 0; code == TOOL_OK && i < count; i++) {
        code = input_find_topic(&input, names[i], &topic);
        if (code == TOOL_OK)
            code = import_topic(import, store, &input, &topic);
    }
    input_done(&input);
    kafka_metadata_done(&import->metadata);
    return code;
}

/* ---- files -------------------------------------------------------------------------------- */

static int import_segments(struct import *import, char *const *paths, int count,
                           struct store_writer *writer)
{
    struct input input = {0};
    struct source_topic topic;

    int code = input_open_files(paths, count, &input);
    if (code == TOOL_OK)
        code = input_find_topic(&input, paths[0], &topic);
    if (code == TOOL_OK)
        code = import_partition(import, &input, &topic, 0, writer,
                                import->partition >= 0 ? import->partition : 0);
    input_done(&input);
    return code;
}

static bool is_segment(const char *path)
{
    size_t length = strlen(path);

    return length > 4 && strcmp(path + length - 4, ".log") == 0;
}

/* ---- JSON lines --------------------------------------------------------------------------- */

/* The batch that is being built for a partition; only one at a time is, as lines come sorted. */
struct pending {
    struct log_batch batch;
    int32_t partition;
    int64_t next_offset; /* behind the records that it has */
};

static int flush_pending(struct pending *pending, struct store_writer *writer)
{
    struct batch_header header;
    const uint8_t *bytes;
    size_t size;

    if (log_batch_is_empty(&pending->batch))
        return TOOL_OK;
    int result = log_batch_finish(&pending->batch, &bytes, &size);
    if (result == 0)
        result = batch_header_read(bytes, size, &header, NULL);
    if (result < 0)
        return tool_failed("a batch cannot be built: %s", strerror(-result));
    return store_writer_put(writer, pending->partition, &header, pending->batch.buffer);
}

/* Which partition a line goes to. */
static int32_t choose_partition(const struct import *import, const struct store_writer *writer,
                                const struct beck_record *record, int32_t named)
{
    if (import->partition >= 0)
        return import->partition;
    if (named >= 0)
        return named;
    return (int32_t)beck_partition_for_key(writer->store, record->key, record->key_size,
                                           writer->topic.partition_count);
}

static int add_record(const struct import *import, struct pending *pending,
                      struct store_writer *writer, struct beck_record *record, int32_t partition,
                      uint64_t line)
{
    int code = TOOL_OK;

    if (partition != pending->partition) {
        code = flush_pending(pending, writer);
        pending->partition = partition;
        if (code == TOOL_OK)
            code = store_writer_next_offset(writer, partition, &pending->next_offset);
    }
    if (code != TOOL_OK)
        return code;
    if (import->new_offsets || record->offset < 0)
        record->offset = pending->next_offset;
    if (record->timestamp_ms == JSON_INPUT_NO_TIME)
        record->timestamp_ms = parse_now_ms();
    int result = log_batch_add(&pending->batch, record);
    if (result == -EMSGSIZE && !log_batch_is_empty(&pending->batch)) {
        code = flush_pending(pending, writer);
        if (code != TOOL_OK)
            return code;
        result = log_batch_add(&pending->batch, record);
    }
    if (result == -EINVAL)
        return tool_failed("line %llu: offset %lld comes behind %lld: offsets have to rise",
                           (unsigned long long)line, (long long)record->offset,
                           (long long)pending->next_offset - 1);
    if (result < 0)
        return tool_failed("line %llu: %s", (unsigned long long)line, strerror(-result));
    pending->next_offset = record->offset + 1;
    return TOOL_OK;
}

static int import_lines(struct import *import, struct lines *lines, struct pending *pending,
                        struct store_writer *writer)
{
    struct headers headers = {0};
    struct beck_record record;
    const char *wrong;
    int32_t partition;
    char *line;
    size_t size;
    int code = TOOL_OK;
    int result;

    while (code == TOOL_OK && (result = lines_next(lines, &line, &size)) != 0) {
        if (result < 0) {
            code = tool_failed("cannot read line %llu: %s", (unsigned long long)lines->number + 1,
                               strerror(-result));
            break;
        }
        result = json_input_record(line, size, &headers, &record, &partition, &wrong);
        if (result < 0)
            code = tool_failed("line %llu: %s", (unsigned long long)lines->number,
                               result == -ENOMEM ? "not enough memory" : wrong);
        else
            code = add_record(import, pending, writer, &record,
                              choose_partition(import, writer, &record, partition), lines->number);
    }
    headers_done(&headers);
    return code;
}

static int import_json(struct import *import, const char *path, struct store_writer *writer)
{
    struct pending pending = {.partition = -1};
    struct lines lines;
    bool is_stdin = strcmp(path, "-") == 0;

    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return tool_failed("cannot open %s: %s", path, strerror(errno));
    int code = TOOL_OK;
    if (log_batch_init(&pending.batch, import->compression) < 0 ||
        lines_init(&lines, fd, LINE_BYTES_MAX) < 0) {
        code = tool_failed("not enough memory");
    } else {
        code = import_lines(import, &lines, &pending, writer);
        int flushed = flush_pending(&pending, writer);
        code = code != TOOL_OK ? code : flushed;
        lines_done(&lines);
    }
    log_batch_done(&pending.batch);
    if (!is_stdin)
        (void)close(fd);
    return code;
}

static int import_files(struct import *import, struct beck_store *store, const char *topic,
                        char **paths, int count)
{
    static char stdin_path[] = "-";
    static char *stdin_paths[] = {stdin_path};
    uint32_t partitions = import->partition >= 0 ? (uint32_t)import->partition + 1 : 1;
    struct store_writer writer = {0};
    struct beck_topic into;

    if (count == 0) {
        paths = stdin_paths;
        count = 1;
    }
    bool segments = is_segment(paths[0]);
    for (int i = 1; i < count; i++) {
        if (is_segment(paths[i]) != segments)
            return tool_failed("segment files or JSON lines, not both at once");
    }
    int code = segments ? have_topic(import, store, NULL, topic, partitions, &into)
                        : tool_find_topic(store, topic, &into);
    if (code != TOOL_OK)
        return code;
    code = store_writer_init(&writer, store, &into, !import->new_offsets);
    if (code == TOOL_OK && segments)
        code = import_segments(import, paths, count, &writer);
    for (int i = 0; code == TOOL_OK && !segments && i < count && !signals_caught(); i++)
        code = import_json(import, paths[i], &writer);
    if (writer.lanes != NULL)
        code = finish(&writer, code);
    store_writer_done(&writer);
    return code;
}

/* ---- the command line --------------------------------------------------------------------- */

static int take_option(struct tool *tool, struct import *import, int option, char **argv)
{
    switch (option) {
    case 'p':
        return tool_take_partition(tool, &import->partition);
    case 'c':
        return tool_take_config(tool, optarg, &import->configs);
    case OPTION_LOG_DIR:
        import->log_dir = optarg;
        return -1;
    case OPTION_AS:
        import->as = optarg;
        return -1;
    case OPTION_NEW_OFFSETS:
        import->new_offsets = true;
        return -1;
    case OPTION_SKIP_DAMAGED:
        import->skip_damaged = true;
        return -1;
    case OPTION_COMPRESSION:
        return tool_take_compression(tool, &import->compression);
    default:
        return tool_common_option(tool, option, argv);
    }
}

static int run_import(struct tool *tool, struct import *import, int argc, char **argv)
{
    struct beck_store *store = NULL;

    int code = tool_open(tool, TOOL_WRITE, &store);
    if (code == TOOL_OK && import->log_dir != NULL)
        code = import_log_dir(tool, import, store, argv, argc);
    else if (code == TOOL_OK)
        code = import_files(import, store, argv[0], argv + 1, argc - 1);
    (void)beck_store_close(store);
    return code == TOOL_OK && import->damaged ? TOOL_FAILED : code;
}

static const struct option long_options[] = {
    {"log-dir", required_argument, NULL, OPTION_LOG_DIR},
    {"as", required_argument, NULL, OPTION_AS},
    {"partition", required_argument, NULL, 'p'},
    {"config", required_argument, NULL, 'c'},
    {"new-offsets", no_argument, NULL, OPTION_NEW_OFFSETS},
    {"skip-damaged", no_argument, NULL, OPTION_SKIP_DAMAGED},
    {"compression", required_argument, NULL, OPTION_COMPRESSION},
    TOOL_LONG_OPTIONS,
};

static int run(struct tool *tool, int argc, char **argv)
{
    struct import import = {.partition = -1};
    int option;

    while ((option = getopt_long(argc, argv, ":p:c:", long_options, NULL)) != -1) {
        int code = take_option(tool, &import, option, argv);
        if (code >= 0)
            return code;
    }
    argc -= optind;
    argv += optind;
    if (import.log_dir == NULL && argc == 0)
        return tool_misused(tool, "into which topic?");
    if (import.as != NULL && (import.log_dir == NULL || argc != 1))
        return tool_misused(tool, "--as is for one topic of --log-dir");
    return run_import(tool, &import, argc, argv);
}

const struct command import_command = {.name = "import",
                                       .summary = "take records in from elsewhere, offsets and all",
                                       .usage = usage,
                                       .options = long_options,
                                       .argument = TOOL_ARGUMENT_TOPIC_OR_FILE,
                                       .run = run};
