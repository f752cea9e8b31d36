/* SPDX-License-Identifier: Apache-2.0
 *
 * A file that is not as it should be ends the program: a test without its vectors must not pass.
 */
#include "vectors.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *memory)
{
    if (!memory)
        err(1, "test vectors");
    return memory;
}

static void parse_hex(const char *path, const char *hex, struct vector *ret)
{
    if (strcmp(hex, "-") == 0)
        hex = "";
    ret->size = strlen(hex) / 2;
    ret->bytes = must(malloc(ret->size ? ret->size : 1));
    for (size_t i = 0; i < ret->size; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            errx(1, "%s: not hexadecimal: %.20s", path, hex + 2 * i);
        ret->bytes[i] = (uint8_t)byte;
    }
}

static void parse_line(const char *path, char *line, struct vectors *vectors)
{
    char *rest = line;
    char *name = strsep(&rest, " \n");
    char *second = strsep(&rest, " \n");
    char *third = strsep(&rest, " \n");
    if (!second || !*second)
        errx(1, "%s: a line of one word: %s", path, name);
    vectors->list = must(realloc(vectors->list, (vectors->count + 1) * sizeof(*vectors->list)));
    struct vector *vector = &vectors->list[vectors->count++];
    *vector = (struct vector){.name = must(strdup(name))};
    if (third && *third)
        vector->version = (int16_t)atoi(second);
    parse_hex(path, third && *third ? third : second, vector);
}

struct vectors vectors_load(const char *path)
{
    struct vectors vectors = {0};
    FILE *file = must(fopen(path, "re"));
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, file) > 0) {
        if (line[0] != '#' && line[0] != '\n')
            parse_line(path, line, &vectors);
    }
    free(line);
    fclose(file);
    if (vectors.count == 0)
        errx(1, "%s: no vectors", path);
    return vectors;
}

void vectors_free(struct vectors *vectors)
{
    for (size_t i = 0; i < vectors->count; i++) {
        free(vectors->list[i].name);
        free(vectors->list[i].bytes);
    }
    free(vectors->list);
    *vectors = (struct vectors){0};
}
