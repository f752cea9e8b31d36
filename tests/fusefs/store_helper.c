/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the mount need done to a store from outside the mount, as another process
 * would:
 *
 *     create DIR                              make a store
 *     topic DIR TOPIC COUNT [CONFIG=VALUE]    make a topic of COUNT partitions
 *     topics DIR PREFIX COUNT                 make COUNT topics, PREFIX0 and so on
 *     delete DIR TOPIC                        delete it
 *     trim DIR TOPIC PARTITION OFFSET         remove the records below the offset
 *     produce DIR TOPIC PARTITION VALUE...    append records; the VALUE @null is a null value
 *     fill DIR TOPIC PARTITION BYTES LINE     append about BYTES of lines of LINE bytes, newline
 * included pending DIR TOPIC PARTITION VALUE       append with acks=all, print "pending", wait for
 * a line on stdin, then sync records DIR TOPIC PARTITION             print each record as its size,
 * a tab, its value and a newline batches DIR TOPIC PARTITION             print how many batches
 * there are
 */
#include "beck.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct beck_error error;

/* Sanitizers have no room for the default. */
static const struct beck_store_options options_small = {.map_bytes = 1ULL << 30};

static void check(int64_t result)
{
    if (result < 0)
        errx(1, "%s (%d)", error.message, (int)result);
}

static struct beck_partition *open_partition(struct beck_store *store, char **arguments)
{
    struct beck_partition *partition;
    check(beck_partition_open(store, arguments[0], atoi(arguments[1]), &partition, &error));
    return partition;
}

static void make_topic(struct beck_store *store, char **arguments)
{
    struct beck_config config = {0};
    struct beck_topic_options options = {.partition_count = (uint32_t)atoi(arguments[1])};
    struct beck_topic topic;
    if (arguments[2] != NULL) {
        config.name = strsep(&arguments[2], "=");
        config.value = arguments[2];
        options.configs = &config;
        options.config_count = 1;
    }
    check(beck_topic_create(store, arguments[0], &options, &topic, &error));
}

static void make_topics(struct beck_store *store, char **arguments)
{
    struct beck_topic topic;
    for (int i = 0; i < atoi(arguments[1]); i++) {
        char name[BECK_TOPIC_NAME_BYTES + 1];
        (void)snprintf(name, sizeof(name), "%s%d", arguments[0], i);
        check(beck_topic_create(store, name, NULL, &topic, &error));
    }
}

static struct beck_record record_of(const char *value)
{
    bool null = strcmp(value, "@null") == 0;
    return (struct beck_record){
        .key_size = -1, .value = value, .value_size = null ? -1 : (int32_t)strlen(value)};
}

static void produce(struct beck_store *store, char **arguments)
{
    struct beck_partition *partition = open_partition(store, arguments);
    struct beck_append_result result;
    for (char **value = arguments + 2; *value != NULL; value++) {
        struct beck_record record = record_of(*value);
        check(beck_produce(partition, &record, 1, BECK_ACKS_LEADER, &result, &error));
    }
    beck_partition_close(partition);
}

static void fill(struct beck_store *store, char **arguments)
{
    struct beck_partition *partition = open_partition(store, arguments);
    int64_t bytes = atoll(arguments[2]);
    size_t line = (size_t)atoi(arguments[3]);
    size_t per_batch = 900000 / (line + 20) + 1;
    struct beck_record *records = calloc(per_batch, sizeof(*records));
    char *value = malloc(line);
    if (records == NULL || value == NULL)
        errx(1, "no memory");
    memset(value, 'v', line);
    for (size_t i = 0; i < per_batch; i++)
        records[i] =
            (struct beck_record){.key_size = -1, .value = value, .value_size = (int32_t)(line - 1)};
    struct beck_append_result result;
    for (; bytes > 0; bytes -= (int64_t)(per_batch * line))
        check(beck_produce(partition, records, per_batch, BECK_ACKS_LEADER, &result, &error));
    free(records);
    free(value);
    beck_partition_close(partition);
}

static void pending(struct beck_store *store, char **arguments)
{
    struct beck_partition *partition = open_partition(store, arguments);
    struct beck_batch_builder *builder;
    struct beck_record record = record_of(arguments[2]);
    const void *batch;
    size_t size;
    struct beck_append_result result;
    check(
        beck_batch_builder_new(BECK_COMPRESSION_NONE, BECK_BATCH_BYTES_DEFAULT, &builder, &error));
    check(beck_batch_builder_add(builder, &record));
    check(beck_batch_builder_finish(builder, &batch, &size, &error));
    check(beck_append(partition, batch, size, BECK_ACKS_ALL, &result, &error));
    beck_batch_builder_free(builder);
    (void)puts("pending");
    (void)fflush(stdout);
    (void)getchar();
    check(beck_sync(partition, result.next_offset, &error));
    beck_partition_close(partition);
}

static void records(struct beck_store *store, char **arguments)
{
    struct beck_partition *partition = open_partition(store, arguments);
    struct beck_reader *reader;
    struct beck_record record;
    int more;
    check(beck_reader_new(partition, BECK_READ_COMMITTED, &reader, &error));
    while ((more = beck_reader_next(reader, &record, &error)) > 0) {
        printf("%d\t", (int)record.value_size);
        if (record.value_size > 0)
            (void)fwrite(record.value, 1, (size_t)record.value_size, stdout);
        (void)putchar('\n');
    }
    check(more);
    beck_reader_free(reader);
    beck_partition_close(partition);
}

static void batches(struct beck_store *store, char **arguments)
{
    struct beck_partition *partition = open_partition(store, arguments);
    static unsigned char buffer[BECK_BATCH_BYTES_DEFAULT];
    struct beck_partition_state state;
    int64_t offset = 0;
    int count = 0;
    check(beck_partition_state(partition, &state, &error));
    for (; offset < state.next_offset; count++) {
        check(beck_read(partition, offset, buffer, sizeof(buffer), BECK_READ_UNCOMMITTED, &error));
        uint32_t last_delta = (uint32_t)buffer[23] << 24 | (uint32_t)buffer[24] << 16 |
                              (uint32_t)buffer[25] << 8 | (uint32_t)buffer[26];
        offset += (int64_t)last_delta + 1;
    }
    printf("%d\n", count);
    beck_partition_close(partition);
}

static void delete (struct beck_store *store, char **arguments)
{
    check(beck_topic_delete(store, arguments[0], &error));
}

static void trim(struct beck_store *store, char **arguments)
{
    struct beck_partition *partition = open_partition(store, arguments);
    int64_t log_start;
    check(beck_trim(partition, atoll(arguments[2]), &log_start, &error));
    beck_partition_close(partition);
}

static const struct command {
    const char *name;
    int arguments;
    void (*run)(struct beck_store *store, char **arguments);
} commands[] = {
    {"topic", 2, make_topic}, {"topics", 2, make_topics}, {"delete", 1, delete},
    {"produce", 3, produce},  {"fill", 4, fill},          {"pending", 3, pending},
    {"records", 2, records},  {"batches", 2, batches},    {"trim", 3, trim},
};

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "create") == 0) {
        check(beck_store_create(argv[2], &options_small, &error));
        return 0;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (argc < commands[i].arguments + 3 || strcmp(argv[1], commands[i].name) != 0)
            continue;
        struct beck_store *store;
        check(beck_store_open(argv[2], 0, &options_small, &store, &error));
        commands[i].run(store, argv + 3);
        beck_store_close(store);
        return 0;
    }
    errx(2, "no such command, or too few arguments: see the head of store_helper.c");
}
