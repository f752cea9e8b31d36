/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all subcommands share: the table that the dispatcher looks a command up in, the store that
 * was named on the command line, and the one way in which things are said to go wrong. A function
 * that fails has said so on stderr, in one sentence, and returns the exit code.
 */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include "beck.h"

#include <getopt.h>
#include <stdbool.h>

enum tool_exit {
    TOOL_OK = 0,
    TOOL_FAILED = 1, /* it could not be done, or damage was found */
    TOOL_USAGE = 2,  /* the command line is wrong */
};

/* Settings from the command line, SETTING=VALUE each. They point into its arguments. */
enum { TOOL_CONFIGS_MAX = 64 };

struct tool_configs {
    struct beck_config configs[TOOL_CONFIGS_MAX];
    size_t count;
};

struct tool {
    const char *store_path;              /* from --store or BECK_STORE; NULL: neither */
    const char *brokers;                 /* from -b: instead of a store; NULL: it is a store */
    bool by_socket;                      /* reach the beckd that serves the store, by broker.sock */
    const char *node;                    /* from --node: that broker of the cluster */
    struct tool_configs client_settings; /* from -X */
    const struct command *command;
};

/* What a command's arguments are, behind its action where it has actions: for completion. */
enum tool_argument {
    TOOL_ARGUMENT_NONE,
    TOOL_ARGUMENT_TOPIC,
    TOOL_ARGUMENT_TOPIC_OR_FILE,
    TOOL_ARGUMENT_GROUP, /* and then topics */
    TOOL_ARGUMENT_SETTING,
    TOOL_ARGUMENT_DIRECTORY,
};

struct admin_action;

struct command {
    const char *name;
    const char *summary; /* for the list of commands; NULL: not in it */
    const char *usage;   /* all that --help prints, below the first line's "usage: " */
    const struct option *options;
    const struct admin_action *actions; /* the last has a NULL name; NULL: there are none */
    enum tool_argument argument;
    int unwritten; /* the exit code where its output cannot be written; 0: TOOL_FAILED */
    int (*run)(struct tool *tool, int argc, char **argv);
};

extern const struct command store_command;
extern const struct command topic_command;
extern const struct command config_command;
extern const struct command group_command;
extern const struct command produce_command;
extern const struct command consume_command;
extern const struct command dump_command;
extern const struct command export_command;
extern const struct command import_command;
extern const struct command backup_command;
extern const struct command verify_command;
extern const struct command repair_command;
extern const struct command stat_command;
extern const struct command ping_command;
extern const struct command bench_command;
extern const struct command complete_command;

/* Look a command up; NULL: there is no such. */
const struct command *tool_command(const char *name);
/* The next one in the table; begin with NULL. NULL: there are no more. */
const struct command *tool_command_next(const struct command *after);

/* Long options that every subcommand takes, and their values. */
enum tool_option {
    TOOL_OPTION_STORE = 1000,
    TOOL_OPTION_HELP,
    TOOL_OPTION_FIRST, /* a command's own long options begin here */
};

/* clang-format off */
#define TOOL_LONG_OPTIONS                                                                          \
    {"store", required_argument, NULL, TOOL_OPTION_STORE},                                         \
    {"help", no_argument, NULL, TOOL_OPTION_HELP},                                                 \
    {NULL, 0, NULL, 0}
/* clang-format on */

/* What getopt_long() answered and the command does not know itself: --store is taken (returns -1:
 * go on), --help is printed (TOOL_OK: stop), all else is misuse (TOOL_USAGE: stop). */
int tool_common_option(struct tool *tool, int option, char **argv);

/* Take the value of --compression, or of --acks. Returns -1 to go on, else the exit code. */
int tool_take_compression(const struct tool *tool, enum beck_compression *compression);
int tool_take_acks(const struct tool *tool, enum beck_acks *acks);

/* Take the value of --partition, for one that is -1 where none was given. Returns the same. */
int tool_take_partition(const struct tool *tool, int32_t *partition);

/* Say "beck: ..." on stderr. Returns TOOL_FAILED. */
int tool_failed(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Say what the library said. */
int tool_failed_error(const struct beck_error *error);

/* Say what is wrong with the command line, and where to read on. Returns TOOL_USAGE. */
int tool_misused(const struct tool *tool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Take one apart, where it stands. Returns -1 to go on, else the exit code. */
int tool_take_config(const struct tool *tool, char *text, struct tool_configs *configs);

/* Options of commands that also work on a broker or cluster: to be put before TOOL_LONG_OPTIONS,
 * and into the string of short ones. Their short forms are answered by tool_common_option(), too.
 */
/* clang-format off */
#define TOOL_CLUSTER_OPTIONS                                                                       \
    {"brokers", required_argument, NULL, 'b'},                                                     \
    {"client", required_argument, NULL, 'X'}
/* clang-format on */
#define TOOL_CLUSTER_SHORT "b:X:"
#define TOOL_CLUSTER_USAGE                                                                         \
    "  -b, --brokers LIST    a Kafka broker or cluster, HOST:PORT,... instead of a store\n"        \
    "  -X, --client S=VALUE  a setting of its client, as librdkafka calls it\n"

enum tool_access {
    TOOL_READ,  /* read and write where it may, so that waiting needs no polling; else read-only */
    TOOL_WRITE, /* it is of no use otherwise */
    TOOL_LOOK,  /* change nothing, whatever state the store is in */
};

/* Open the store that was named. Never makes one. */
int tool_open(const struct tool *tool, enum tool_access access, struct beck_store **ret_store);

/* Look up a topic. */
int tool_find_topic(struct beck_store *store, const char *name, struct beck_topic *ret_topic);

/* Open one partition; says which ones there are where there is no such. */
int tool_open_partition(struct beck_store *store, const struct beck_topic *topic, int32_t number,
                        struct beck_partition **ret_partition);

/* Is this argument a segment file, and not the name of a topic? A slash is in it, or it ends in
 * .log and such a file is there. */
bool tool_is_segment_file(const char *argument);

#endif
