/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck group: list, show, delete consumer groups, with no daemon needed; resetting is
 * group_reset.c. How far a group is behind is told in records, and in the age of the first record
 * that it has not read.
 */
#include "group.h"

#include "parse.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "beck group list [-l]\n"
    "       beck group show GROUP\n"
    "       beck group reset GROUP [TOPIC[:PARTITION,...]]... -o WHERE [--execute]\n"
    "       beck group delete GROUP...\n\n"
    "Consumer groups and the offsets that they committed.\n\n"
    "  -l, --long          how many offsets, and whether there are members, too\n"
    "  -o, --offset WHERE  beginning, end, an offset N, or @TIME: ms since the epoch,\n"
    "                      2026-11-21T08:00:00 (Z for UTC), or -90s, -15m, -2h, -7d\n"
    "      --shift N       on by N records; back where N is negative\n"
    "      --execute       do it; without it, only what would be done is printed\n\n"
    "Without a TOPIC, reset takes the partitions that the group has offsets for.\n";

enum { OPTION_SHIFT = TOOL_OPTION_FIRST, OPTION_EXECUTE, OPTION_DRY_RUN };

struct group_options {
    bool is_long;
    struct group_reset reset;
};

/* ---- what the parts share ----------------------------------------------------------------- */

const char *group_name_text(const char *id, size_t size)
{
    static char text[GROUP_NAME_TEXT];
    static const char digits[] = "0123456789abcdef";
    char *to = text;

    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)id[i];
        if (byte >= ' ' && byte != 0x7f && byte != '\\') {
            *to++ = (char)byte;
            continue;
        }
        *to++ = '\\';
        *to++ = 'x';
        *to++ = digits[byte >> 4];
        *to++ = digits[byte & 15];
    }
    *to = '\0';
    return text;
}

int group_find(struct beck_store *store, const char *name, struct beck_group *ret_group,
               bool *ret_found)
{
    struct beck_error error;
    int result = beck_group_get(store, name, strlen(name), ret_group, NULL, 0, &error);

    *ret_found = result == 1;
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

int group_refuse_live(struct beck_store *store, const struct beck_group *group)
{
    struct beck_store_info info;
    struct beck_error error;

    if (beck_store_info(store, &info, &error) < 0)
        return tool_failed_error(&error);
    if (info.broker_pid == 0 || !group->has_record || group->empty_since_ms >= 0)
        return TOOL_OK;
    return tool_failed("group %s has members at the beckd that runs, process %d: stop them first",
                       group_name_text(group->id, group->id_size), (int)info.broker_pid);
}

/* ---- list --------------------------------------------------------------------------------- */

static int count_offsets(struct beck_store *store, const struct beck_group *group,
                         struct beck_offset *offset, uint64_t *ret_count)
{
    struct beck_error error;
    int result;

    *ret_count = 0;
    memset(offset, 0, sizeof(*offset));
    while ((result = beck_offset_next(store, group->id, group->id_size, offset, &error)) > 0)
        ++*ret_count;
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

static const char *members_text(const struct beck_group *group)
{
    return !group->has_record ? "unknown" : group->empty_since_ms < 0 ? "members" : "empty";
}

/* The buffers are large, and the caller's. */
static int list_into(struct beck_store *store, bool is_long, struct beck_group *group,
                     struct beck_offset *offset)
{
    struct beck_error error;
    uint64_t count;
    int result;
    int code = TOOL_OK;

    while ((result = beck_group_next(store, group, &error)) != 0) {
        if (result < 0) {
            code = tool_failed_error(&error);
            if (result != -EBADMSG)
                return code;
            continue;
        }
        (void)printf("%s", group_name_text(group->id, group->id_size));
        if (is_long && count_offsets(store, group, offset, &count) == TOOL_OK)
            (void)printf("\t%" PRIu64 " offsets\t%s", count, members_text(group));
        (void)putchar('\n');
    }
    return code;
}

static int list(struct tool *tool, struct beck_store *store, const struct group_options *options,
                char **names, int count)
{
    (void)names;
    if (count > 0)
        return tool_misused(tool, "list takes no names (see: beck group show)");
    struct beck_group *group = calloc(1, sizeof(*group));
    struct beck_offset *offset = calloc(1, sizeof(*offset));
    int code = group == NULL || offset == NULL ? tool_failed("out of memory")
                                               : list_into(store, options->is_long, group, offset);
    free(group);
    free(offset);
    return code;
}

/* ---- show --------------------------------------------------------------------------------- */

/* The age of the record at an offset, or of the next one there is; 0 where there is none. */
static int age_ms(struct beck_partition *partition, int64_t offset, int64_t *ret_age_ms)
{
    struct beck_reader *reader = NULL;
    struct beck_record record;
    struct beck_error error;
    int result = beck_reader_new(partition, BECK_READ_COMMITTED, &reader, &error);

    if (result == 0)
        result = beck_reader_seek(reader, offset, &error);
    if (result == 0)
        result = beck_reader_next(reader, &record, &error);
    if (result == 1) {
        int64_t age = parse_now_ms() - record.timestamp_ms;
        *ret_age_ms = age > 0 ? age : 0;
    }
    (void)beck_reader_free(reader);
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

static void print_offset(const struct beck_offset *offset, int64_t end, int64_t lag, int64_t lag_ms)
{
    char time[TABLE_TIME_TEXT];

    (void)printf("offset %s %d committed %" PRId64 " end %" PRId64 " lag %" PRId64
                 " lag-ms %" PRId64 " at %s",
                 offset->topic, (int)offset->partition, offset->offset, end, lag, lag_ms,
                 table_time_text(offset->commit_ms, time));
    if (offset->leader_epoch >= 0)
        (void)printf(" epoch %d", (int)offset->leader_epoch);
    if (offset->expire_ms >= 0)
        (void)printf(" expires %s", table_time_text(offset->expire_ms, time));
    if (offset->metadata_size > 0)
        (void)printf(" metadata %s", group_name_text(offset->metadata, offset->metadata_size));
    (void)putchar('\n');
}

static int show_offset(struct beck_store *store, const struct beck_offset *offset)
{
    struct beck_partition *partition = NULL;
    struct beck_partition_state state;
    struct beck_error error;
    int64_t lag_ms = 0;
    int code = TOOL_OK;

    if (beck_partition_open(store, offset->topic, offset->partition, &partition, &error) < 0)
        return tool_failed_error(&error);
    if (beck_partition_state(partition, &state, &error) < 0)
        code = tool_failed_error(&error);
    if (code == TOOL_OK) {
        int64_t from =
            offset->offset > state.log_start_offset ? offset->offset : state.log_start_offset;
        int64_t lag = from < state.high_watermark ? state.high_watermark - from : 0;
        if (lag > 0)
            code = age_ms(partition, from, &lag_ms);
        if (code == TOOL_OK)
            print_offset(offset, state.high_watermark, lag, lag_ms);
    }
    (void)beck_partition_close(partition);
    return code;
}

static int show_offsets(struct beck_store *store, const struct beck_group *group)
{
    struct beck_offset *offset = calloc(1, sizeof(*offset));
    struct beck_error error;
    int result;
    int code = TOOL_OK;

    if (offset == NULL)
        return tool_failed("out of memory");
    while ((result = beck_offset_next(store, group->id, group->id_size, offset, &error)) != 0) {
        int one = result > 0 ? show_offset(store, offset) : tool_failed_error(&error);
        if (one != TOOL_OK)
            code = one;
        if (result < 0 && result != -EBADMSG)
            break;
    }
    free(offset);
    return code;
}

static int show(struct tool *tool, struct beck_store *store, const struct group_options *options,
                char **names, int count)
{
    char time[TABLE_TIME_TEXT];
    bool found = false;

    (void)options;
    if (count != 1)
        return tool_misused(tool, count == 0 ? "which group?" : "one group at a time");
    struct beck_group *group = calloc(1, sizeof(*group));
    int code =
        group == NULL ? tool_failed("out of memory") : group_find(store, names[0], group, &found);
    if (code == TOOL_OK && !found)
        code = tool_failed("there is no group %s", names[0]);
    if (code == TOOL_OK) {
        (void)printf("group %s\n", group_name_text(group->id, group->id_size));
        if (group->has_record && group->empty_since_ms < 0)
            (void)printf("protocol %s\nmembers yes\n", group->protocol_type);
        else if (group->has_record)
            (void)printf("protocol %s\nmembers none since %s\n", group->protocol_type,
                         table_time_text(group->empty_since_ms, time));
        code = show_offsets(store, group);
    }
    free(group);
    return code;
}

/* ---- delete ------------------------------------------------------------------------------- */

static int delete_one(struct beck_store *store, const char *name, struct beck_group *group)
{
    struct beck_error error;
    bool found;

    int code = group_find(store, name, group, &found);
    if (code == TOOL_OK && !found)
        code = tool_failed("there is no group %s", name);
    if (code == TOOL_OK)
        code = group_refuse_live(store, group);
    if (code != TOOL_OK)
        return code;
    if (beck_group_delete(store, name, strlen(name), &error) < 0)
        return tool_failed_error(&error);
    (void)printf("deleted group %s\n", name);
    return TOOL_OK;
}

static int delete (struct tool *tool, struct beck_store *store, const struct group_options *options,
                   char **names, int count)
{
    int code = TOOL_OK;

    (void)options;
    if (count == 0)
        return tool_misused(tool, "which group?");
    struct beck_group *group = calloc(1, sizeof(*group));
    if (group == NULL)
        return tool_failed("out of memory");
    for (int i = 0; i < count; i++) {
        if (delete_one(store, names[i], group) != TOOL_OK)
            code = TOOL_FAILED;
    }
    free(group);
    return code;
}

static int reset(struct tool *tool, struct beck_store *store, const struct group_options *options,
                 char **names, int count)
{
    return group_reset(tool, store, &options->reset, names, count);
}

/* ---- the command line --------------------------------------------------------------------- */

struct action {
    const char *name;
    enum tool_access access;
    int (*run)(struct tool *tool, struct beck_store *store, const struct group_options *options,
               char **names, int count);
};

static const struct action actions[] = {
    {"list", TOOL_READ, list},
    {"show", TOOL_READ, show},
    {"reset", TOOL_WRITE, reset},
    {"delete", TOOL_WRITE, delete},
};

static bool parse_target(const char *text, struct group_reset *reset)
{
    if (strcmp(text, "beginning") == 0 || strcmp(text, "end") == 0) {
        reset->target = text[0] == 'b' ? GROUP_TO_BEGINNING : GROUP_TO_END;
        return true;
    }
    reset->target = text[0] == '@' ? GROUP_TO_TIME : GROUP_TO_OFFSET;
    return text[0] == '@' ? parse_time_ms(text + 1, &reset->number)
                          : parse_number(text, 0, INT64_MAX, &reset->number);
}

static int take_option(struct tool *tool, struct group_options *options, int option, char **argv)
{
    struct group_reset *reset = &options->reset;

    switch (option) {
    case 'l':
        options->is_long = true;
        return -1;
    case 'o':
    case OPTION_SHIFT:
        if (reset->target != GROUP_TO_NOWHERE)
            return tool_misused(tool, "one place to go to: -o or --shift, once");
        if (option == 'o' && !parse_target(optarg, reset))
            return tool_misused(tool, "'%s' is no offset: beginning, end, N or @TIME", optarg);
        if (option == 'o')
            return -1;
        reset->target = GROUP_BY_SHIFT;
        if (!parse_number(optarg, -INT64_MAX, INT64_MAX, &reset->number))
            return tool_misused(tool, "'%s' is no number of records", optarg);
        return -1;
    case OPTION_EXECUTE:
    case OPTION_DRY_RUN:
        reset->execute = option == OPTION_EXECUTE;
        return -1;
    default:
        return tool_common_option(tool, option, argv);
    }
}

static int perform(struct tool *tool, const struct group_options *options, int argc, char **argv)
{
    struct beck_store *store = NULL;

    if (argc < 1)
        return tool_misused(tool, "what about groups? list, show, reset or delete");
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(actions[i].name, argv[0]) != 0)
            continue;
        int code = tool_open(tool, actions[i].access, &store);
        if (code == TOOL_OK)
            code = actions[i].run(tool, store, options, argv + 1, argc - 1);
        (void)beck_store_close(store);
        return code;
    }
    return tool_misused(tool, "'%s' is none of list, show, reset and delete", argv[0]);
}

static int run(struct tool *tool, int argc, char **argv)
{
    static const struct option long_options[] = {
        {"long", no_argument, NULL, 'l'},
        {"offset", required_argument, NULL, 'o'},
        {"shift", required_argument, NULL, OPTION_SHIFT},
        {"execute", no_argument, NULL, OPTION_EXECUTE},
        {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
        TOOL_LONG_OPTIONS,
    };
    struct group_options options = {.is_long = false};
    int option;

    while ((option = getopt_long(argc, argv, ":lo:", long_options, NULL)) != -1) {
        int code = take_option(tool, &options, option, argv);
        if (code >= 0)
            return code;
    }
    return perform(tool, &options, argc - optind, argv + optind);
}

const struct command group_command = {.name = "group",
                                      .summary = "list, show, reset or delete consumer groups",
                                      .usage = usage,
                                      .run = run};
