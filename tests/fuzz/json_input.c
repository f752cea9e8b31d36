/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the reading of records as JSON lines. A line that is taken must be the same record when it
 * is written as JSON and read again.
 */
#include "json_input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static char *json_of(const struct beck_record *record, int32_t partition, size_t *ret_size)
{
    ssize_t size = beck_record_json(record, "topic", partition, NULL, 0);
    must(size > 0);
    char *json = malloc((size_t)size);
    must(json != NULL);
    must(beck_record_json(record, "topic", partition, json, (size_t)size) == size);
    *ret_size = (size_t)size;
    return json;
}

static void try_again(const struct beck_record *record)
{
    struct headers headers = {0};
    struct beck_record read;
    const char *wrong = NULL;
    int32_t partition;
    size_t size;
    size_t size_again;
    char *json = json_of(record, 0, &size);
    char *line = malloc(size);
    must(line != NULL);
    memcpy(line, json, size);
    must(json_input_record(line, size - 1, &headers, &read, &partition, &wrong) == 0);
    must(partition == 0);
    char *json_again = json_of(&read, 0, &size_again);
    must(size_again == size && memcmp(json_again, json, size) == 0);
    headers_done(&headers);
    free(json_again);
    free(line);
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct headers headers = {0};
    struct beck_record record;
    const char *wrong = NULL;
    int32_t partition;
    char *line = malloc(size > 0 ? size : 1); /* ends where the input does */
    must(line != NULL);
    if (size > 0)
        memcpy(line, data, size);
    int r = json_input_record(line, size, &headers, &record, &partition, &wrong);
    must(r == 0 || (r == -EINVAL && wrong != NULL));
    if (r == 0 && record.offset < 0)
        record.offset = 0;
    if (r == 0 && record.timestamp_ms == JSON_INPUT_NO_TIME)
        record.timestamp_ms = -1;
    if (r == 0)
        try_again(&record);
    headers_done(&headers);
    free(line);
    return 0;
}
