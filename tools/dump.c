/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck dump: batches and records as they are in a partition, or in a bare segment file. A partition
 * is read through the library, up to its high watermark, with control batches and aborted records;
 * a file through the format layer alone. Damage is told with its place; the dump goes on behind it,
 * and the exit code says that there was some.
 */
#include "compression.h"
#include "output.h"
#include "parse.h"
#include "record.h"
#include "segment_file.h"
#include "signals.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "beck dump TOPIC [-p PARTITION] [-o OFFSET] [--batches | --records] [--json]\n"
    "       beck dump FILE.log [--batches | --records] [--json]\n\n"
    "Show batches and the records in them, as they are in a topic's partition or in a segment "
    "file\n"
    "(of beck or of Kafka). A name with a slash, or that ends in .log and is a file, is a file.\n\n"
    "  -p, --partition N    the partition; default: 0\n"
    "  -o, --offset OFFSET  begin with the batch that contains it\n"
    "      --batches        batches only\n"
    "      --records        records only\n"
    "      --json           batches as JSON objects too\n\n"
    "Exit code 1: something is damaged.\n";

enum { OPTION_BATCHES = TOOL_OPTION_FIRST, OPTION_RECORDS, OPTION_JSON };

enum {
    RANGE_BYTES = 4 << 20,
    PROBES_MAX = 1 << 20, /* offsets behind damage that are tried, until one can be read */
};

struct dump {
    const char *what; /* topic or file */
    int32_t partition;
    int64_t offset; /* -1: the beginning */
    bool batches;
    bool records;
    bool json;
    bool damaged;
    struct decompressor *decompressor;
    struct output output;
};

/* ---- printing ----------------------------------------------------------------------------- */

static void print_flags(struct dump *dump, uint16_t attributes)
{
    if (attributes & BATCH_LOG_APPEND_TIME)
        output_format(&dump->output, " log-append-time");
    if (attributes & BATCH_TRANSACTIONAL)
        output_format(&dump->output, " transactional");
    if (attributes & BATCH_CONTROL)
        output_format(&dump->output, " control");
}

static void print_batch_text(struct dump *dump, const struct batch_header *header,
                             uint64_t position, size_t size)
{
    output_format(
        &dump->output,
        "batch %lld..%lld position %llu size %zu magic %d crc %08x ok codec %s records %d "
        "timestamps %lld..%lld epoch %d",
        (long long)header->base_offset, (long long)batch_next_offset(header) - 1,
        (unsigned long long)position, size, (int)header->magic, header->crc,
        codec_name(header->attributes & BATCH_CODEC_MASK), (int)header->record_count,
        (long long)header->base_timestamp_ms, (long long)header->max_timestamp_ms,
        (int)header->leader_epoch);
    if (header->producer_id >= 0)
        output_format(&dump->output, " producer %lld:%d sequence %d",
                      (long long)header->producer_id, (int)header->producer_epoch,
                      (int)header->base_sequence);
    print_flags(dump, header->attributes);
    output_byte(&dump->output, '\n');
}

static void print_batch_json(struct dump *dump, const struct batch_header *header,
                             uint64_t position, size_t size)
{
    output_format(&dump->output,
                  "{\"baseOffset\":%lld,\"lastOffset\":%lld,\"position\":%llu,\"size\":%zu,"
                  "\"magic\":%d,\"crc\":%u,\"codec\":\"%s\",\"records\":%d,",
                  (long long)header->base_offset, (long long)batch_next_offset(header) - 1,
                  (unsigned long long)position, size, (int)header->magic, header->crc,
                  codec_name(header->attributes & BATCH_CODEC_MASK), (int)header->record_count);
    output_format(&dump->output,
                  "\"baseTimestamp\":%lld,\"maxTimestamp\":%lld,\"leaderEpoch\":%d,"
                  "\"producerId\":%lld,\"producerEpoch\":%d,\"baseSequence\":%d,",
                  (long long)header->base_timestamp_ms, (long long)header->max_timestamp_ms,
                  (int)header->leader_epoch, (long long)header->producer_id,
                  (int)header->producer_epoch, (int)header->base_sequence);
    output_format(&dump->output, "\"transactional\":%s,\"control\":%s}\n",
                  header->attributes & BATCH_TRANSACTIONAL ? "true" : "false",
                  header->attributes & BATCH_CONTROL ? "true" : "false");
}

static void print_damage(struct dump *dump, int64_t offset, int64_t position, const char *message)
{
    dump->damaged = true;
    if (dump->json)
        output_format(&dump->output, "{\"damage\":true,\"offset\":%lld,\"position\":%lld}\n",
                      (long long)offset, (long long)position);
    else
        output_format(&dump->output, "damage at offset %lld position %lld\n", (long long)offset,
                      (long long)position);
    output_flush(&dump->output);
    (void)tool_failed("%s", message);
}

static void print_record(struct dump *dump, const struct beck_record *record)
{
    if (dump->batches && !dump->json)
        output_write(&dump->output, "  ", 2);
    ssize_t size = beck_record_json(record, NULL, 0, NULL, 0);
    char *room = size > 0 ? output_room(&dump->output, (size_t)size) : NULL;
    if (room == NULL)
        return;
    (void)beck_record_json(record, NULL, 0, room, (size_t)size);
    output_used(&dump->output, (size_t)size);
}

/* A batch that was checked. */
static void print_batch(struct dump *dump, const uint8_t *batch, const struct batch_header *header,
                        uint64_t position)
{
    struct record_iterator iterator;
    struct beck_record record;
    const void *records;
    size_t records_size;
    size_t size = batch_bytes(header);

    if (dump->batches && dump->json)
        print_batch_json(dump, header, position, size);
    else if (dump->batches)
        print_batch_text(dump, header, position, size);
    if (!dump->records)
        return;
    int result = decompress(dump->decompressor, header->attributes & BATCH_CODEC_MASK,
                            batch + BATCH_HEADER_BYTES, size - BATCH_HEADER_BYTES,
                            BECK_BATCH_BYTES_LIMIT, &records, &records_size);
    if (result == 0) {
        record_iterator_init(&iterator, header, records, records_size);
        while ((result = record_next(&iterator, &record)) > 0)
            print_record(dump, &record);
    }
    if (result < 0)
        print_damage(dump, header->base_offset, (int64_t)position, strerror(-result));
}

/* ---- a segment file ----------------------------------------------------------------------- */

static int dump_file(struct dump *dump)
{
    struct segment_file *file = NULL;
    struct segment_step step;
    struct beck_error error;
    char message[sizeof(error.message) + 512];

    int result = segment_file_open(dump->what, &file);
    if (result < 0)
        return tool_failed("cannot open %s: %s", dump->what, strerror(-result));
    while (!signals_caught() && !output_failed(&dump->output)) {
        result = segment_file_next(file, &step, &error);
        if (result == -EBADMSG) {
            (void)snprintf(message, sizeof(message),
                           "%s offset %lld byte %llu: %s (%zu bytes were "
                           "passed over)",
                           dump->what, (long long)error.offset, (unsigned long long)step.position,
                           error.message, step.size);
            print_damage(dump, error.offset, (int64_t)step.position, message);
            continue;
        }
        if (result <= 0)
            break;
        if (batch_next_offset(&step.summary.header) > dump->offset)
            print_batch(dump, step.batch, &step.summary.header, step.position);
    }
    (void)segment_file_close(file);
    return result < 0 && result != -EBADMSG ? tool_failed_error(&error) : TOOL_OK;
}

/* ---- a partition -------------------------------------------------------------------------- */

static int read_range(const struct beck_range *range, uint8_t **buffer, size_t *capacity)
{
    if (range->size > *capacity) {
        uint8_t *larger = realloc(*buffer, range->size);
        if (larger == NULL)
            return -ENOMEM;
        *buffer = larger;
        *capacity = range->size;
    }
    for (size_t done = 0; done < range->size;) {
        ssize_t got =
            pread(range->fd, *buffer + done, range->size - done, (off_t)(range->position + done));
        if (got == 0)
            return -ENODATA;
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0)
            done += (size_t)got;
    }
    return 0;
}

static int print_range(struct dump *dump, const uint8_t *batches, const struct beck_range *range)
{
    struct batch_header header;
    struct beck_error error;

    for (size_t at = 0; at < range->size; at += batch_bytes(&header)) {
        int result = batch_header_read(batches + at, range->size - at, &header, &error);
        if (result < 0 || batch_bytes(&header) > range->size - at)
            return tool_failed("byte %llu: the range does not end with a batch",
                               (unsigned long long)(range->position + at));
        if (batch_next_offset(&header) > dump->offset)
            print_batch(dump, batches + at, &header, range->position + at);
    }
    return TOOL_OK;
}

/* The first offset behind `offset` from which can be read on; the end where there is none. */
static int64_t probe_behind(struct beck_partition *partition, int64_t offset, int64_t end)
{
    struct beck_range range;
    struct beck_error error;

    for (int probes = 0; probes < PROBES_MAX && ++offset < end; probes++) {
        if (beck_read_range(partition, offset, 1, BECK_READ_UNCOMMITTED, &range, &error) == 0) {
            beck_range_release(&range);
            return offset;
        }
    }
    return end;
}

static int dump_ranges(struct dump *dump, struct beck_partition *partition, int64_t offset,
                       int64_t end)
{
    struct beck_range range;
    struct beck_error error;
    uint8_t *buffer = NULL;
    size_t capacity = 0;
    int code = TOOL_OK;

    while (code == TOOL_OK && offset < end && !signals_caught() && !output_failed(&dump->output)) {
        int result =
            beck_read_range(partition, offset, RANGE_BYTES, BECK_READ_UNCOMMITTED, &range, &error);
        if (result == -EBADMSG) {
            print_damage(dump, offset, error.byte, error.message);
            offset = probe_behind(partition, offset, end);
            continue;
        }
        if (result < 0) {
            code = tool_failed_error(&error);
            break;
        }
        result = read_range(&range, &buffer, &capacity);
        if (result < 0)
            code = tool_failed("cannot read a segment: %s", strerror(-result));
        else if (range.size > 0)
            code = print_range(dump, buffer, &range);
        offset = range.size > 0 ? range.next_offset : end;
        beck_range_release(&range);
    }
    free(buffer);
    return code;
}

static int dump_partition(struct dump *dump, struct beck_store *store)
{
    struct beck_partition *partition = NULL;
    struct beck_partition_state state;
    struct beck_error error;
    struct beck_topic topic;

    int code = tool_find_topic(store, dump->what, &topic);
    if (code == TOOL_OK)
        code = tool_open_partition(store, &topic, dump->partition, &partition);
    if (code != TOOL_OK)
        return code;
    if (beck_partition_state(partition, &state, &error) < 0)
        code = tool_failed_error(&error);
    else if (dump->offset >= 0 &&
             (dump->offset < state.log_start_offset || dump->offset > state.high_watermark))
        code = tool_failed("offset %lld is out of range: partition %d has %lld up to %lld",
                           (long long)dump->offset, (int)dump->partition,
                           (long long)state.log_start_offset, (long long)state.high_watermark);
    else
        code =
            dump_ranges(dump, partition, dump->offset >= 0 ? dump->offset : state.log_start_offset,
                        state.high_watermark);
    (void)beck_partition_close(partition);
    return code;
}

/* ---- the run ------------------------------------------------------------------------------ */

static int dump_topic(struct tool *tool, struct dump *dump)
{
    struct beck_store *store = NULL;

    int code = tool_open(tool, TOOL_READ, &store);
    if (code == TOOL_OK)
        code = dump_partition(dump, store);
    (void)beck_store_close(store);
    return code;
}

static int take_option(struct tool *tool, struct dump *dump, int option, char **argv)
{
    int64_t number;

    switch (option) {
    case 'p':
        if (!parse_number(optarg, 0, INT32_MAX, &number))
            return tool_misused(tool, "'%s' is no partition number", optarg);
        dump->partition = (int32_t)number;
        return -1;
    case 'o':
        if (!parse_number(optarg, 0, INT64_MAX, &dump->offset))
            return tool_misused(tool, "'%s' is no offset", optarg);
        return -1;
    case OPTION_BATCHES:
        dump->records = false;
        return -1;
    case OPTION_RECORDS:
        dump->batches = false;
        return -1;
    case OPTION_JSON:
        dump->json = true;
        return -1;
    default:
        return tool_common_option(tool, option, argv);
    }
}

static int parse_command_line(struct tool *tool, struct dump *dump, int argc, char **argv)
{
    static const struct option options[] = {
        {"partition", required_argument, NULL, 'p'},
        {"offset", required_argument, NULL, 'o'},
        {"batches", no_argument, NULL, OPTION_BATCHES},
        {"records", no_argument, NULL, OPTION_RECORDS},
        {"json", no_argument, NULL, OPTION_JSON},
        TOOL_LONG_OPTIONS,
    };
    int option;

    while ((option = getopt_long(argc, argv, ":p:o:", options, NULL)) != -1) {
        int code = take_option(tool, dump, option, argv);
        if (code >= 0)
            return code;
    }
    if (!dump->batches && !dump->records)
        return tool_misused(tool, "--batches and --records exclude each other");
    if (argc - optind != 1)
        return tool_misused(tool, argc == optind ? "which topic or file?" : "one at a time");
    dump->what = argv[optind];
    return -1;
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct dump dump = {.offset = -1, .batches = true, .records = true};

    int code = parse_command_line(tool, &dump, argc, argv);
    if (code >= 0)
        return code;
    if (output_init(&dump.output, STDOUT_FILENO) < 0)
        return tool_failed("not enough memory");
    if (decompressor_new(&dump.decompressor) < 0)
        code = tool_failed("not enough memory");
    else
        code = tool_is_segment_file(dump.what) ? dump_file(&dump) : dump_topic(tool, &dump);
    code = output_finish(&dump.output, code);
    (void)decompressor_free(dump.decompressor);
    output_done(&dump.output);
    return code == TOOL_OK && dump.damaged ? TOOL_FAILED : code;
}

const struct command dump_command = {.name = "dump",
                                     .summary = "show batches and records as they are stored",
                                     .usage = usage,
                                     .run = run};
