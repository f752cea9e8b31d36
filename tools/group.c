/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck group: list, show, delete consumer groups, of a store with no daemon needed, or of a broker
 * or cluster; resetting is group_reset.c. How far a group is behind is told in records, and in the
 * age of the first record that it has not read.
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
    "       beck group delete-offsets GROUP [TOPIC[:PARTITION,...]]...\n"
    "       beck group delete GROUP...\n\n"
    "Consumer groups and the offsets that they committed.\n\n" TOOL_CLUSTER_USAGE
    "  -l, --long          how many offsets, and whether there are members, too\n"
    "  -o, --offset WHERE  beginning, end, an offset N, or @TIME: ms since the epoch,\n"
    "                      2026-11-21T08:00:00 (Z for UTC), or -90s, -15m, -2h, -7d\n"
    "      --shift N       on by N records; back where N is negative\n"
    "      --execute       do it; without it, only what would be done is printed\n"
    "      --force         of a store: also while the group has members, which go on from there\n"
    "      --dry-run       only print it, which is the default\n\n"
    "Without a TOPIC, reset and delete-offsets take the partitions that the group has offsets "
    "for.\n";

enum { OPTION_SHIFT = TOOL_OPTION_FIRST, OPTION_EXECUTE, OPTION_DRY_RUN, OPTION_FORCE };

struct group_options {
    bool is_long;
    bool is_dry; /* said so, which is the default, too */
    struct group_reset reset;
};

/* A group's name, or other bytes of a client's, as they are printed. Valid until the next call. */
static const char *name_text(const char *id, size_t size)
{
    static char text[4 * BECK_GROUP_ID_BYTES + 1];
    static const char digits[] = "0123456789abcdef";
    char *to = text;

    if (size > BECK_GROUP_ID_BYTES) /* no more fit into Kafka's strings, but a broker may say so */
        size = BECK_GROUP_ID_BYTES;
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

/* ---- list --------------------------------------------------------------------------------- */

static int print_long(struct admin *admin, const struct admin_group *group)
{
    struct admin_offsets offsets;
    struct beck_error error;

    int result = admin_group_offsets(admin, group->name, &offsets, &error);
    if (result >= 0)
        (void)printf("\t%zu offsets\t%s", offsets.count,
                     group->members == ADMIN_MEMBERS_SOME ? "members" : "empty");
    admin_offsets_done(&offsets);
    return result < 0 ? tool_failed_error(&error) : TOOL_OK;
}

static int list(struct tool *tool, struct admin *admin, const void *context, char **names,
                int count)
{
    const struct group_options *options = context;
    struct admin_groups groups;
    struct beck_error error;

    (void)names;
    if (count > 0)
        return tool_misused(tool, "list takes no names (see: beck group show)");
    int code = admin_list_groups(admin, &groups, &error) < 0 ? tool_failed_error(&error) : TOOL_OK;
    for (size_t i = 0; i < groups.count; i++) {
        const struct admin_group *group = &groups.items[i];
        (void)printf("%s", name_text(group->name, group->name_size));
        if (options->is_long && print_long(admin, group) != TOOL_OK)
            code = TOOL_FAILED;
        (void)putchar('\n');
    }
    admin_groups_done(&groups);
    return code;
}

/* ---- show --------------------------------------------------------------------------------- */

static void print_offset(const struct admin_offset *offset)
{
    char time[TABLE_TIME_TEXT];
    int64_t from = offset->offset > offset->start ? offset->offset : offset->start;
    int64_t age_ms = offset->record_ms >= 0 ? parse_now_ms() - offset->record_ms : 0;

    (void)printf("offset %s %d committed %" PRId64, offset->topic, (int)offset->partition,
                 offset->offset);
    if (offset->end >= 0)
        (void)printf(" end %" PRId64 " lag %" PRId64 " lag-ms %" PRId64, offset->end,
                     from < offset->end ? offset->end - from : 0, age_ms > 0 ? age_ms : 0);
    if (offset->metadata_size > 0)
        (void)printf(" metadata %s", name_text(offset->metadata, offset->metadata_size));
    if (offset->commit_ms >= 0)
        (void)printf(" at %s", table_time_text(offset->commit_ms, time));
    if (offset->leader_epoch >= 0)
        (void)printf(" epoch %d", (int)offset->leader_epoch);
    if (offset->expire_ms >= 0)
        (void)printf(" expires %s", table_time_text(offset->expire_ms, time));
    (void)putchar('\n');
}

static int show_offsets(struct admin *admin, const char *group)
{
    struct admin_offsets offsets;
    struct beck_error error;
    int code = TOOL_OK;

    if (admin_group_offsets(admin, group, &offsets, &error) < 0)
        code = tool_failed_error(&error); /* and show those that could be read */
    if (admin_look(admin, &offsets, true, &error) < 0)
        code = tool_failed_error(&error); /* ... at, too */
    for (size_t i = 0; i < offsets.count; i++)
        print_offset(&offsets.items[i]);
    admin_offsets_done(&offsets);
    return code;
}

static void print_member(const struct admin_member *member)
{
    (void)printf("member %s client %s host %s", name_text(member->id, strlen(member->id)),
                 member->client, member->host);
    for (size_t i = 0; i < member->partitions.count; i++)
        (void)printf(" %s:%d", member->partitions.items[i].topic,
                     (int)member->partitions.items[i].partition);
    (void)putchar('\n');
}

static int show_members(struct admin *admin, const struct admin_group *group)
{
    char time[TABLE_TIME_TEXT];
    struct admin_member *members = NULL;
    struct beck_error error;
    size_t count = 0;

    if (group->protocol[0] != '\0')
        (void)printf("protocol %s\n", group->protocol);
    (void)printf("members %s", group->members == ADMIN_MEMBERS_SOME ? "yes" : "none");
    if (group->empty_since_ms >= 0)
        (void)printf(" since %s", table_time_text(group->empty_since_ms, time));
    (void)putchar('\n');
    if (group->members == ADMIN_MEMBERS_NONE)
        return TOOL_OK;
    int result = admin_group_members(admin, group->name, &members, &count, &error);
    if (result < 0)
        return tool_failed_error(&error);
    if (result == 0)
        (void)printf("(who they are is not known: %s)\n", error.message);
    for (size_t i = 0; i < count; i++)
        print_member(&members[i]);
    admin_members_free(members, count);
    return TOOL_OK;
}

static int show(struct tool *tool, struct admin *admin, const void *context, char **names,
                int count)
{
    struct admin_group group = {0};
    struct beck_error error;

    (void)context;
    if (count != 1)
        return tool_misused(tool, count == 0 ? "which group?" : "one group at a time");
    int result = admin_group_find(admin, names[0], &group, &error);
    if (result < 0)
        return tool_failed_error(&error);
    if (result == 0)
        return tool_failed("there is no group %s", names[0]);
    (void)printf("group %s\n", name_text(group.name, group.name_size));
    int code = show_members(admin, &group);
    int offsets = show_offsets(admin, group.name);
    free(group.name);
    return code != TOOL_OK ? code : offsets;
}

/* ---- delete ------------------------------------------------------------------------------- */

static int find_group(struct admin *admin, const char *name)
{
    struct admin_group group = {0};
    struct beck_error error;

    int result = admin_group_find(admin, name, &group, &error);
    free(group.name);
    if (result < 0)
        return tool_failed_error(&error);
    return result == 0 ? tool_failed("there is no group %s", name) : TOOL_OK;
}

static int delete_offsets(struct tool *tool, struct admin *admin, const void *context, char **names,
                          int count)
{
    struct admin_offsets offsets;
    struct beck_error error;

    (void)context;
    if (count == 0)
        return tool_misused(tool, "which group?");
    int code = find_group(admin, names[0]);
    if (code == TOOL_OK)
        code = group_choose(tool, admin, names[0], names + 1, count - 1, &offsets);
    if (code != TOOL_OK)
        return code;
    int result = admin_forget(admin, names[0], &offsets, &error);
    if (result < 0)
        code = group_failed(names[0], result, &error);
    for (size_t i = 0; result >= 0 && i < offsets.count; i++)
        (void)printf("deleted offset %s %d\n", offsets.items[i].topic,
                     (int)offsets.items[i].partition);
    admin_offsets_done(&offsets);
    return code;
}

static int delete (struct tool *tool, struct admin *admin, const void *context, char **names,
                   int count)
{
    struct beck_error error;
    int code = TOOL_OK;

    (void)context;
    if (count == 0)
        return tool_misused(tool, "which group?");
    for (int i = 0; i < count; i++) {
        int result = admin_group_delete(admin, names[i], &error);
        if (result >= 0)
            (void)printf("deleted group %s\n", names[i]);
        else if (result == -ENOENT)
            code = tool_failed("there is no group %s", names[i]);
        else
            code = group_failed(names[i], result, &error);
    }
    return code;
}

static int reset(struct tool *tool, struct admin *admin, const void *context, char **names,
                 int count)
{
    const struct group_options *options = context;
    return group_reset(tool, admin, &options->reset, names, count);
}

/* ---- the command line --------------------------------------------------------------------- */

static const struct admin_action actions[] = {
    {"list", TOOL_READ, list},      {"show", TOOL_READ, show},
    {"reset", TOOL_WRITE, reset},   {"delete-offsets", TOOL_WRITE, delete_offsets},
    {"delete", TOOL_WRITE, delete}, {NULL, TOOL_READ, NULL},
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
        options->is_dry |= option == OPTION_DRY_RUN;
        reset->execute |= option == OPTION_EXECUTE;
        return options->is_dry && reset->execute
                   ? tool_misused(tool, "--execute and --dry-run: one of the two")
                   : -1;
    case OPTION_FORCE:
        reset->force = true;
        return -1;
    default:
        return tool_common_option(tool, option, argv);
    }
}

static const struct option long_options[] = {
    {"long", no_argument, NULL, 'l'},
    {"offset", required_argument, NULL, 'o'},
    {"shift", required_argument, NULL, OPTION_SHIFT},
    {"execute", no_argument, NULL, OPTION_EXECUTE},
    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
    {"force", no_argument, NULL, OPTION_FORCE},
    TOOL_CLUSTER_OPTIONS,
    TOOL_LONG_OPTIONS,
};

static int run(struct tool *tool, int argc, char **argv)
{
    struct group_options options = {.is_long = false};
    int option;

    while ((option = getopt_long(argc, argv, ":lo:" TOOL_CLUSTER_SHORT, long_options, NULL)) !=
           -1) {
        int code = take_option(tool, &options, option, argv);
        if (code >= 0)
            return code;
    }
    return admin_perform(tool, actions, "groups", &options, argc - optind, argv + optind);
}

const struct command group_command = {.name = "group",
                                      .summary = "list, show, reset or delete consumer groups",
                                      .usage = usage,
                                      .options = long_options,
                                      .actions = actions,
                                      .argument = TOOL_ARGUMENT_GROUP,
                                      .run = run};
