/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors, usage and opening, as tool.h promises them. Messages say what to do where that is known:
 * the library cannot know which option was forgotten, this can.
 */
#include "tool.h"

#include "parse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list arguments)
{
    (void)fflush(stdout);
    (void)fputs("beck: ", stderr);
    (void)vfprintf(stderr, format, arguments);
}

int tool_failed(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    return TOOL_FAILED;
}

int tool_failed_error(const struct beck_error *error)
{
    return tool_failed("%s", error->message);
}

int tool_misused(const struct tool *tool, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    if (tool->command != NULL)
        (void)fprintf(stderr, " (see: beck %s --help)\n", tool->command->name);
    else
        (void)fputs(" (see: beck help)\n", stderr);
    return TOOL_USAGE;
}

int tool_common_option(struct tool *tool, int option, char **argv)
{
    switch (option) {
    case TOOL_OPTION_STORE:
        tool->store_path = optarg;
        return -1;
    case 'b':
        tool->brokers = optarg;
        return optarg[0] != '\0' ? -1 : tool_misused(tool, "which brokers? -b HOST:PORT");
    case 'X':
        return tool_take_config(tool, optarg, &tool->client_settings);
    case TOOL_OPTION_HELP:
        (void)printf("usage: %s", tool->command->usage);
        return TOOL_OK;
    case ':':
        return tool_misused(tool, "option %s needs a value", argv[optind - 1]);
    default:
        if (optopt > 0 && optopt < TOOL_OPTION_STORE)
            return tool_misused(tool, "there is no option -%c", optopt);
        return tool_misused(tool, "there is no option %s, or it takes no value", argv[optind - 1]);
    }
}

int tool_take_compression(const struct tool *tool, enum beck_compression *compression)
{
    if (parse_compression(optarg, compression))
        return -1;
    return tool_misused(tool, "'%s' is no compression: none, gzip, snappy, lz4 or zstd", optarg);
}

int tool_take_acks(const struct tool *tool, enum beck_acks *acks)
{
    if (strcmp(optarg, "all") != 0 && strcmp(optarg, "1") != 0)
        return tool_misused(tool, "'%s' is no acks: all or 1", optarg);
    *acks = optarg[0] == '1' ? BECK_ACKS_LEADER : BECK_ACKS_ALL;
    return -1;
}

int tool_take_partition(const struct tool *tool, int32_t *partition)
{
    int64_t number;

    if (*partition >= 0)
        return tool_misused(tool, "-p is given more than once: it is one partition, or all");
    if (!parse_number(optarg, 0, INT32_MAX, &number))
        return tool_misused(tool, "'%s' is no partition number", optarg);
    *partition = (int32_t)number;
    return -1;
}

int tool_take_config(const struct tool *tool, char *text, struct tool_configs *configs)
{
    char *equals = strchr(text, '=');

    if (equals == NULL || equals == text)
        return tool_misused(tool, "'%s' is no setting: NAME=VALUE", text);
    if (configs->count == TOOL_CONFIGS_MAX)
        return tool_misused(tool, "more than %d settings", TOOL_CONFIGS_MAX);
    *equals = '\0';
    configs->configs[configs->count++] = (struct beck_config){.name = text, .value = equals + 1};
    return -1;
}

int tool_open(const struct tool *tool, enum tool_access access, struct beck_store **ret_store)
{
    struct beck_error error;

    if (tool->store_path == NULL)
        return tool_misused(tool, "which store? Name it with --store DIR, or in BECK_STORE");
    unsigned flags = access == TOOL_LOOK ? BECK_OPEN_READ_ONLY : 0;
    int result = beck_store_open(tool->store_path, flags, NULL, ret_store, &error);
    if (access == TOOL_READ &&
        (result == -EACCES || result == -EROFS || result == -EPERM || result == -EPROTONOSUPPORT))
        result = beck_store_open(tool->store_path, BECK_OPEN_READ_ONLY, NULL, ret_store, &error);
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

int tool_find_topic(struct beck_store *store, const char *name, struct beck_topic *ret_topic)
{
    struct beck_error error;

    if (!beck_topic_name_valid(name))
        return tool_failed("'%s' cannot be a topic: a name has 1 to %d of [a-zA-Z0-9._-]", name,
                           BECK_TOPIC_NAME_BYTES);
    int result = beck_topic_find(store, name, ret_topic, &error);
    if (result == -ENOENT)
        return tool_failed("there is no topic %s (make it with: beck topic create %s)", name, name);
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

int tool_open_partition(struct beck_store *store, const struct beck_topic *topic, int32_t number,
                        struct beck_partition **ret_partition)
{
    struct beck_error error;

    if (number < 0 || (uint32_t)number >= topic->partition_count)
        return tool_failed("topic %s has no partition %d: it has 0 to %u", topic->name, (int)number,
                           topic->partition_count - 1);
    if (beck_partition_open(store, topic->name, number, ret_partition, &error) < 0)
        return tool_failed_error(&error);
    return TOOL_OK;
}

bool tool_is_segment_file(const char *argument)
{
    struct stat status;

    if (strchr(argument, '/') != NULL)
        return true;
    size_t length = strlen(argument);
    return length > 4 && strcmp(argument + length - 4, ".log") == 0 &&
           stat(argument, &status) == 0 && S_ISREG(status.st_mode);
}
