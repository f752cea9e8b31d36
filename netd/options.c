/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line; see options.h. What it sets is checked by config.c. A file is read first,
 * whatever the order, so that what is said by hand wins.
 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "beck.h"

static void help(void)
{
    printf(
        "usage: beckd --store DIR [--listen HOST:PORT] [--config FILE] [--set NAME=VALUE]...\n"
        "             [--log-format text|json]\n"
        "       beckd --check-config | --dump-config [--config FILE] [--set NAME=VALUE]...\n"
        "\n"
        "Serves the store in DIR to Kafka clients; makes it where DIR is missing or empty.\n"
        "\n"
        "  --store DIR          the store; the same as --set log.dirs=DIR\n"
        "  --listen HOST:PORT   where to listen; port 0: any free one (127.0.0.1:9092); the same\n"
        "                       as --set listeners=PLAINTEXT://HOST:PORT\n"
        "  --config FILE        read the configuration from a file, NAME=VALUE a line\n"
        "  --set NAME=VALUE     set one entry of it\n"
        "  --log-format FORMAT  text, or json: an object a line (text)\n"
        "  --check-config       say whether all that is right, and exit\n"
        "  --dump-config        print all entries, with what they mean, as such a file\n"
        "  --help               this text\n"
        "  --version            the version\n"
        "\n"
        "beckd(8) and beckd.conf(5) have more.\n");
}

static bool complain(const struct beck_error *error)
{
    log_error("%s", error->message);
    return false;
}

static bool set(struct broker_config *config, const char *text)
{
    struct beck_error error = {.message = ""};
    char name[128];
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : 0;
    if (length == 0 || length >= sizeof(name)) {
        log_error("--set takes NAME=VALUE, not '%s'", text);
        return false;
    }
    memcpy(name, text, length);
    name[length] = '\0';
    return settings_set(config, name, equals + 1, &error) == 0 || complain(&error);
}

static bool listen_on(struct broker_config *config, const char *text)
{
    struct beck_error error = {.message = ""};
    struct endpoint endpoint;
    char value[512];
    if (settings_endpoint_parse(text, &endpoint) < 0 || endpoint.host[0] == '\0') {
        log_error("--listen takes HOST:PORT, as 127.0.0.1:9092 or [::1]:9092, not '%s'", text);
        return false;
    }
    (void)snprintf(value, sizeof(value), "PLAINTEXT://%s", text);
    return settings_set(config, "listeners", value, &error) == 0 || complain(&error);
}

static bool set_log_format(const char *text, enum log_format *ret_format)
{
    if (strcmp(text, "text") != 0 && strcmp(text, "json") != 0) {
        log_error("--log-format takes text or json, not '%s'", text);
        return false;
    }
    *ret_format = strcmp(text, "json") == 0 ? LOG_JSON : LOG_TEXT;
    return true;
}

static bool read_file(struct broker_config *config, const char *path)
{
    struct beck_error error = {.message = ""};
    return settings_read(config, path, &error) == 0 || complain(&error);
}

enum { OPTION_CHECK = 1, OPTION_DUMP, OPTION_LOG_FORMAT };

static const struct option options[] = {
    {"store", required_argument, NULL, 's'},
    {"listen", required_argument, NULL, 'l'},
    {"config", required_argument, NULL, 'c'},
    {"set", required_argument, NULL, 'o'},
    {"check-config", no_argument, NULL, OPTION_CHECK},
    {"dump-config", no_argument, NULL, OPTION_DUMP},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
    {NULL, 0, NULL, 0},
};

/* The files that are named, before anything else. */
static bool read_files(int argc, char **argv, struct broker_config *config)
{
    int option;
    optind = 0; /* this may not be the first time */
    opterr = 0;
    bool good = true;
    while (good && (option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (option == 'c')
            good = read_file(config, optarg);
    optind = 0;
    opterr = 1;
    return good;
}

static enum options_outcome finish(int argc, char **argv, const struct broker_config *config,
                                   int asked)
{
    if (optind < argc) {
        log_error("'%s' is not understood; see beckd --help", argv[optind]);
        return OPTIONS_WRONG;
    }
    if (asked == OPTION_DUMP)
        settings_dump(config);
    if (asked)
        return OPTIONS_DONE;
    if (config->store_path[0] == '\0') {
        log_error("--store DIR is missing; see beckd --help");
        return OPTIONS_WRONG;
    }
    if (config->listeners.count == 0) {
        log_error("there are no listeners");
        return OPTIONS_WRONG;
    }
    return OPTIONS_RUN;
}

enum options_outcome options_parse(int argc, char **argv, struct broker_config *ret_config,
                                   enum log_format *ret_log_format)
{
    struct beck_error error = {.message = ""};
    int asked = 0;
    int option;
    bool good = true;
    settings_init(ret_config);
    *ret_log_format = LOG_TEXT;
    if (!read_files(argc, argv, ret_config))
        return OPTIONS_WRONG;
    while (good && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            good = settings_set(ret_config, "log.dirs", optarg, &error) == 0 || complain(&error);
            break;
        case 'l':
            good = listen_on(ret_config, optarg);
            break;
        case 'o':
            good = set(ret_config, optarg);
            break;
        case 'c':
            break;
        case OPTION_LOG_FORMAT:
            good = set_log_format(optarg, ret_log_format);
            break;
        case OPTION_CHECK:
        case OPTION_DUMP:
            asked = option;
            break;
        case 'h':
            help();
            return OPTIONS_DONE;
        case 'v':
            printf("beckd %s\n", beck_version());
            return OPTIONS_DONE;
        default:
            return OPTIONS_WRONG; /* getopt said why */
        }
    }
    return good ? finish(argc, argv, ret_config, asked) : OPTIONS_WRONG;
}
