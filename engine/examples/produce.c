/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Append each line of standard input to a topic, which is made where it is missing, and say so only
 * when the records survive the loss of power.
 *
 *     cc produce.c -o produce $(pkg-config --cflags --libs libbeck)
 *     ./produce STORE TOPIC <lines
 */
#include <beck.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Append the lines, many to a batch; returns the offset behind the last. */
static int64_t append_lines(struct beck_partition *partition, struct beck_batch_builder *builder)
{
    struct beck_append_result result = {.next_offset = 0};
    struct beck_error error;
    char *line = NULL;
    size_t room = 0;
    const void *batch;
    size_t size;
    ssize_t n = 0;

    while (n >= 0) {
        n = getline(&line, &room, stdin);
        size_t length = n > 0 && line[n - 1] == '\n' ? (size_t)n - 1 : (size_t)(n > 0 ? n : 0);
        struct beck_record record = {.key_size = -1, .value = line, .value_size = (int32_t)length};
        int r = n < 0 ? -EMSGSIZE : beck_batch_builder_add(builder, &record);
        if (r == -EMSGSIZE && beck_batch_builder_count(builder) > 0) { /* it is full, or the end */
            if (beck_batch_builder_finish(builder, &batch, &size, &error) < 0 ||
                beck_append(partition, batch, size, BECK_ACKS_ALL, &result, &error) < 0)
                errx(1, "%s", error.message);
            beck_batch_builder_reset(builder);
            r = n < 0 ? 0 : beck_batch_builder_add(builder, &record);
        }
        if (r < 0 && n >= 0)
            errx(1, "a line of %zu bytes cannot be appended: %s", length, strerror(-r));
    }
    free(line);
    return result.next_offset;
}

int main(int argc, char **argv)
{
    struct beck_store *store = NULL;
    struct beck_partition *partition = NULL;
    struct beck_batch_builder *builder = NULL;
    struct beck_topic topic;
    struct beck_error error;

    if (argc != 3)
        errx(2, "usage: produce STORE TOPIC");
    if (beck_store_open(argv[1], BECK_OPEN_CREATE, NULL, &store, &error) < 0)
        errx(1, "%s", error.message);
    int r = beck_topic_create(store, argv[2], NULL, &topic, &error);
    if (r < 0 && r != -EEXIST)
        errx(1, "%s", error.message);
    if (beck_partition_open(store, argv[2], 0, &partition, &error) < 0 ||
        beck_batch_builder_new(BECK_COMPRESSION_LZ4, 512 * 1024, &builder, &error) < 0)
        errx(1, "%s", error.message);
    int64_t end = append_lines(partition, builder);
    if (beck_sync(partition, end, &error) < 0)
        errx(1, "%s", error.message);
    printf("synced up to offset %lld\n", (long long)end);
    beck_batch_builder_free(builder);
    beck_partition_close(partition);
    beck_store_close(store);
    return 0;
}
