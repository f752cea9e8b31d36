/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a configuration file, in the form of Java's properties as far as Kafka's own files go: a
 * line is NAME=VALUE with white space around either, a comment begins with # or !, a backslash at a
 * line's end continues it.
 */
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPACE " \t\r\n\f"

/* Cut white space off the end. */
static void trim_end(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && strchr(SPACE, text[length - 1]))
        text[--length] = '\0';
}

static int set_line(struct broker_config *config, char *line, struct beck_error *error)
{
    line += strspn(line, SPACE);
    trim_end(line);
    if (line[0] == '\0' || line[0] == '#' || line[0] == '!')
        return 0;
    char *equals = strpbrk(line, "=:");
    if (!equals) {
        error->code = -EINVAL;
        (void)snprintf(error->message, sizeof(error->message), "'%.64s' is not NAME=VALUE", line);
        return -EINVAL;
    }
    *equals = '\0';
    trim_end(line);
    const char *value = equals + 1;
    value += strspn(value, SPACE);
    return settings_set(config, line, value, error);
}

/* Take the next line to `*line`, with those that continue it. Returns false at the end. */
static bool next_line(FILE *file, char **line, size_t *room, unsigned *number)
{
    char *more = NULL;
    size_t more_room = 0;
    ssize_t length = getline(line, room, file);
    bool there = length >= 0;
    while (length >= 0) {
        (*number)++;
        size_t end = strcspn(*line, "\n");
        if (end == 0 || (*line)[end - 1] != '\\' || (length = getline(&more, &more_room, file)) < 0)
            break;
        const char *rest = more + strspn(more, SPACE);
        char *joined = realloc(*line, end + strlen(rest) + 1);
        if (!joined)
            break;
        strcpy(joined + end - 1, rest);
        *line = joined;
        *room = end + strlen(rest) + 1;
    }
    free(more);
    return there;
}

int settings_read(struct broker_config *config, const char *path, struct beck_error *error)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    unsigned number = 0;
    int result = file ? 0 : -errno;
    if (!file) {
        error->code = result;
        (void)snprintf(error->message, sizeof(error->message), "%s: %s", path, strerror(-result));
        return result;
    }
    while (result == 0 && next_line(file, &line, &room, &number)) {
        struct beck_error inner = {.message = ""};
        result = set_line(config, line, &inner);
        if (result < 0) {
            error->code = result;
            (void)snprintf(error->message, sizeof(error->message), "%s:%u: %.380s", path, number,
                           inner.message);
        }
    }
    free(line);
    (void)fclose(file);
    return result;
}
