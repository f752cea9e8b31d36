/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line; see options.h. What can be known to be wrong before anything is opened is said
 * here, in a sentence of our own: libfuse's and fusermount3's own words come late and say less.
 */
#include "options.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FUSE_DEVICE "/dev/fuse"

enum option_key {
    KEY_READ_ONLY,
};

/* As FUSE_OPT_KEY, whose offset clang takes for a mistake. */
#define KEYED(text, key)                                                                           \
    {                                                                                              \
        text, UINT_MAX, key                                                                        \
    }
#define OPTION(text, field)                                                                        \
    {                                                                                              \
        text, offsetof(struct options, field), 1                                                   \
    }

static const struct fuse_opt option_table[] = {
    OPTION("-f", foreground),
    OPTION("-d", debug),
    OPTION("debug", debug),
    OPTION("-h", help),
    OPTION("--help", help),
    OPTION("-V", version),
    OPTION("--version", version),
    OPTION("rmdir_nonempty", rmdir_nonempty),
    OPTION("allow_other", allow_other),
    {"map_mib=%u", offsetof(struct options, map_mib), 0},
    KEYED("ro", KEY_READ_ONLY),
    /* What stands in fstab for mount(8) and systemd. */
    KEYED("defaults", FUSE_OPT_KEY_DISCARD),
    KEYED("auto", FUSE_OPT_KEY_DISCARD),
    KEYED("noauto", FUSE_OPT_KEY_DISCARD),
    KEYED("user", FUSE_OPT_KEY_DISCARD),
    KEYED("user=", FUSE_OPT_KEY_DISCARD),
    KEYED("nouser", FUSE_OPT_KEY_DISCARD),
    KEYED("users", FUSE_OPT_KEY_DISCARD),
    KEYED("owner", FUSE_OPT_KEY_DISCARD),
    KEYED("group", FUSE_OPT_KEY_DISCARD),
    KEYED("nofail", FUSE_OPT_KEY_DISCARD),
    KEYED("_netdev", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_END,
};

static int option_one(void *data, const char *argument, int key, struct fuse_args *out)
{
    (void)out;
    struct options *options = data;
    if (key == KEY_READ_ONLY) {
        options->read_only = true;
        return 1; /* the kernel is told, too */
    }
    if (key == FUSE_OPT_KEY_OPT && strncmp(argument, "x-", 2) == 0)
        return 0;
    if (key != FUSE_OPT_KEY_NONOPT)
        return 1;
    char **where = options->store == NULL ? &options->store : &options->mountpoint;
    if (*where != NULL) {
        fprintf(stderr, "beckfs: there is one argument too many, %s (see beckfs --help)\n",
                argument);
        return -1;
    }
    *where = strdup(argument);
    return *where != NULL ? 0 : -1;
}

int options_parse(int argc, char **argv, struct options *ret_options)
{
    *ret_options = (struct options){.fuse = FUSE_ARGS_INIT(argc, argv)};
    if (fuse_opt_parse(&ret_options->fuse, ret_options, option_table, option_one) < 0)
        return -EINVAL;
    if (ret_options->help || ret_options->version)
        return 0;
    if (ret_options->mountpoint == NULL) {
        fprintf(stderr, "beckfs: give a store and a mount point (see beckfs --help)\n");
        return -EINVAL;
    }
    return 0;
}

void options_done(struct options *options)
{
    free(options->store);
    free(options->mountpoint);
    fuse_opt_free_args(&options->fuse);
}

/* Replace a path by its absolute form: a daemon leaves the working directory. */
static int make_absolute(char **path, const char *what)
{
    char *absolute = realpath(*path, NULL);
    if (absolute == NULL) {
        int code = errno;
        if (code == ENOTCONN)
            fprintf(
                stderr,
                "beckfs: %s %s is a mount whose program died: unmount it first (fusermount3 -u)\n",
                what, *path);
        else
            fprintf(stderr, "beckfs: %s %s cannot be used: %s\n", what, *path, strerror(code));
        return -code;
    }
    free(*path);
    *path = absolute;
    return 0;
}

static int check_directory(const char *path, const char *what)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    fprintf(stderr, "beckfs: %s %s is not a directory\n", what, path);
    return -ENOTDIR;
}

/* Is `path` the directory `above`, or below it? Both absolute. */
static bool is_within(const char *path, const char *above)
{
    size_t bytes = strlen(above);
    if (strcmp(above, "/") == 0)
        return true;
    return strncmp(path, above, bytes) == 0 && (path[bytes] == '\0' || path[bytes] == '/');
}

static int check_places(struct options *options)
{
    int result = make_absolute(&options->store, "the store");
    if (result == 0)
        result = check_directory(options->store, "the store");
    if (result == 0)
        result = make_absolute(&options->mountpoint, "the mount point");
    if (result == 0)
        result = check_directory(options->mountpoint, "the mount point");
    if (result == 0 && is_within(options->store, options->mountpoint)) {
        fprintf(stderr, "beckfs: the mount point %s would hide the store %s: mount elsewhere\n",
                options->mountpoint, options->store);
        result = -EINVAL;
    }
    return result;
}

static int check_device(void)
{
    if (access(FUSE_DEVICE, F_OK) < 0) {
        fprintf(stderr,
                "beckfs: " FUSE_DEVICE " is missing: load the kernel's fuse module, or give the "
                "container that device\n");
        return -ENODEV;
    }
    if (access(FUSE_DEVICE, R_OK | W_OK) < 0) {
        fprintf(stderr, "beckfs: " FUSE_DEVICE " may not be opened by this user: %s\n",
                strerror(errno));
        return -EACCES;
    }
    return 0;
}

/* Who unmounts if this process dies: fusermount3, where it is installed. */
static bool fusermount_installed(void)
{
    static const char *const places[] = {"/usr/bin/fusermount3", "/bin/fusermount3",
                                         "/usr/local/bin/fusermount3"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (access(places[i], X_OK) == 0)
            return true;
    return false;
}

static int add_mount_options(struct options *options)
{
    char *text = NULL;
    size_t name_bytes = strlen("fsname=") + strlen(options->store) + 1;
    char *name = malloc(name_bytes);
    int result = name == NULL ? -1 : 0;
    if (result == 0) {
        (void)snprintf(name, name_bytes, "fsname=%s", options->store);
        result = fuse_opt_add_opt_escaped(&text, name);
    }
    if (result == 0)
        result = fuse_opt_add_opt(&text, "subtype=beckfs,default_permissions");
    if (result == 0 && options->allow_other)
        result = fuse_opt_add_opt(&text, "allow_other");
    if (result == 0 && fusermount_installed())
        result = fuse_opt_add_opt(&text, "auto_unmount");
    if (result == 0 && options->debug)
        result = fuse_opt_add_arg(&options->fuse, "-d");
    if (result == 0)
        result = fuse_opt_add_arg(&options->fuse, "-o");
    if (result == 0)
        result = fuse_opt_add_arg(&options->fuse, text);
    free(name);
    free(text);
    if (result < 0)
        fprintf(stderr, "beckfs: there is no memory for the options\n");
    return result < 0 ? -ENOMEM : 0;
}

int options_check(struct options *options)
{
    int result = check_places(options);
    if (result == 0)
        result = check_device();
    if (result == 0)
        result = add_mount_options(options);
    return result;
}
