/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Print the records of a topic's partition 0 as JSON, one a line, and go on with those that come,
 * whoever appends them, until COUNT were printed.
 *
 *     cc follow.c -o follow $(pkg-config --cflags --libs libbeck)
 *     ./follow STORE TOPIC [COUNT]
 */
#include <beck.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>

/* A record as a line of JSON, in a buffer that grows. */
static void print_record(const struct beck_record *record)
{
    static char *buffer;
    static size_t room;
    ssize_t size = beck_record_json(record, NULL, 0, buffer, room);

    if (size > 0 && (size_t)size > room) {
        room = 2 * (size_t)size;
        buffer = realloc(buffer, room);
        if (!buffer)
            err(1, "a record of %zd bytes", size);
        size = beck_record_json(record, NULL, 0, buffer, room);
    }
    if (size < 0)
        errx(1, "the record at offset %lld is damaged", (long long)record->offset);
    (void)fwrite(buffer, 1, (size_t)size, stdout);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct beck_store *store = NULL;
    struct beck_partition *partition = NULL;
    struct beck_reader *reader = NULL;
    struct beck_record record;
    struct beck_partition_state state;
    struct beck_error error;

    if (argc < 3)
        errx(2, "usage: follow STORE TOPIC [COUNT]");
    long left = argc > 3 ? atol(argv[3]) : -1;
    if (beck_store_open(argv[1], 0, NULL, &store, &error) < 0 ||
        beck_partition_open(store, argv[2], 0, &partition, &error) < 0 ||
        beck_reader_new(partition, BECK_READ_COMMITTED, &reader, &error) < 0 ||
        beck_partition_state(partition, &state, &error) < 0 ||
        beck_reader_seek(reader, state.log_start_offset, &error) < 0)
        errx(1, "%s", error.message);
    /* The end is looked at before what is in front of it is read: then nothing comes in between. It
     * may be above the offset behind the last record, as where the last ones were compacted. */
    int64_t end = state.last_stable_offset;
    while (left != 0) {
        int r = beck_reader_next(reader, &record, &error);
        if (r == 1) {
            print_record(&record);
            left--;
        } else if (r == 0) {
            r = beck_partition_wait(partition, end, BECK_READ_COMMITTED, -1, &error);
            if (r == 1 && (r = beck_partition_state(partition, &state, &error)) == 0)
                end = state.last_stable_offset;
        }
        if (r < 0)
            errx(1, "%s", error.message);
    }
    beck_reader_free(reader);
    beck_partition_close(partition);
    beck_store_close(store);
    return 0;
}
