/* SPDX-License-Identifier: Apache-2.0
 *
 * Another process on a daemon's store, for the tests:
 *
 *     other_process append STORE TOPIC PARTITION ACKS VALUE...    prints the base offset
 *     other_process flood STORE TOPIC PARTITION COUNT             appends so many, one by one
 *     other_process trim STORE TOPIC PARTITION OFFSET             removes the records below it
 *     other_process wait STORE TOPIC PARTITION OFFSET             prints "waiting", then "there"
 * when the offset can be read
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "beck.h"

#define WAIT_MS 60000

static int append(struct beck_partition *partition, int acks, char **values, size_t count)
{
    struct beck_record *records = calloc(count, sizeof(*records));
    struct beck_append_result result;
    struct beck_error error;
    if (!records)
        err(1, "records");
    for (size_t i = 0; i < count; i++)
        records[i] = (struct beck_record){
            .key_size = -1, .value = values[i], .value_size = (int32_t)strlen(values[i])};
    if (beck_produce(partition, records, count, (enum beck_acks)acks, &result, &error) < 0)
        errx(1, "%s", error.message);
    printf("%lld\n", (long long)result.base_offset);
    free(records);
    return 0;
}

static int flood(struct beck_partition *partition, int count)
{
    char value[] = "flood";
    char *values[] = {value};
    for (int i = 0; i < count; i++)
        append(partition, BECK_ACKS_LEADER, values, 1);
    return 0;
}

static int wait_for(struct beck_partition *partition, int64_t offset)
{
    struct beck_error error;
    printf("waiting\n");
    fflush(stdout);
    int result = beck_partition_wait(partition, offset, BECK_READ_UNCOMMITTED, WAIT_MS, &error);
    if (result < 0)
        errx(1, "%s", error.message);
    printf("%s\n", result > 0 ? "there" : "late");
    return 0;
}

static int trim(struct beck_partition *partition, int64_t offset)
{
    struct beck_error error;
    int64_t log_start;
    if (beck_trim(partition, offset, &log_start, &error) < 0)
        errx(1, "%s", error.message);
    return 0;
}

int main(int argc, char **argv)
{
    struct beck_store *store = NULL;
    struct beck_partition *partition = NULL;
    struct beck_error error;
    const char *bytes = getenv("BECK_TEST_MAP_BYTES"); /* where there is little address space */
    const struct beck_store_options options = {.map_bytes = bytes ? strtoull(bytes, NULL, 10) : 0};
    if (argc < 6)
        errx(2,
             "usage: other_process append|flood|trim|wait STORE TOPIC PARTITION NUMBER [VALUE...]");
    if (beck_store_open(argv[2], 0, &options, &store, &error) < 0 ||
        beck_partition_open(store, argv[3], atoi(argv[4]), &partition, &error) < 0)
        errx(1, "%s", error.message);
    int code;
    if (strcmp(argv[1], "append") == 0)
        code = append(partition, atoi(argv[5]), argv + 6, (size_t)(argc - 6));
    else if (strcmp(argv[1], "flood") == 0)
        code = flood(partition, atoi(argv[5]));
    else if (strcmp(argv[1], "trim") == 0)
        code = trim(partition, atoll(argv[5]));
    else
        code = wait_for(partition, atoll(argv[5]));
    beck_partition_close(partition);
    beck_store_close(store);
    return code;
}
