/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beckfs: mount a store. This file is the program around the mount: help, the way into the
 * background, the exit status. The parent of a daemon waits until the mount is up, so that who
 * started beckfs can use it at once, and fails when the mount does.
 */
#include "mount.h"
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char help[] =
    "usage: beckfs STORE MOUNTPOINT [-f] [-d] [-o OPTION,...]\n"
    "Mount the store in the directory STORE: topics are directories, partitions are files\n"
    "to which lines are appended.\n"
    "\n"
    "  -f              stay in the foreground, messages to stderr\n"
    "  -d              the same, and print each request\n"
    "  -o ro           mount read-only\n"
    "  -o allow_other  let other users in, as owners and modes allow\n"
    "  -o rmdir_nonempty\n"
    "                  let rmdir delete topics that hold records\n"
    "  -o ...          any option of mount.fuse3(8)\n"
    "  -h, --help      print this\n"
    "  -V, --version   print the version\n"
    "\n"
    "fusermount3 -u MOUNTPOINT unmounts it. See beckfs(8).\n";

/* Wait for the mount to be up in the child, or for the child's end. Returns the exit status. */
static int wait_for_child(pid_t child, int ready_fd)
{
    char byte;
    ssize_t bytes;
    do
        bytes = read(ready_fd, &byte, 1);
    while (bytes < 0 && errno == EINTR);
    if (bytes == 1)
        return EXIT_SUCCESS;
    int status;
    if (waitpid(child, &status, 0) != child)
        return EXIT_FAILURE;
    if (WIFSIGNALED(status))
        fprintf(stderr, "beckfs: killed by signal %d before the mount was up\n", WTERMSIG(status));
    return EXIT_FAILURE; /* the child said why */
}

/* Everything happens in the child: a store's handles do not cross fork(2). */
static int serve_in_background(struct options *options)
{
    int ends[2];
    if (pipe(ends) < 0) {
        fprintf(stderr, "beckfs: no pipe: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    pid_t child = fork();
    if (child < 0) {
        fprintf(stderr, "beckfs: no process for the background: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    if (child > 0) {
        close(ends[1]);
        return wait_for_child(child, ends[0]);
    }
    close(ends[0]);
    (void)setsid();
    if (chdir("/") < 0)
        fprintf(stderr, "beckfs: the working directory stays in use: %s\n", strerror(errno));
    return mount_serve(options, ends[1]) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct options options;
    int status = EXIT_FAILURE;
    int result = options_parse(argc, argv, &options);
    if (result == 0 && options.help) {
        (void)fputs(help, stdout);
        status = EXIT_SUCCESS;
    } else if (result == 0 && options.version) {
        printf("beckfs %s\n", beck_version());
        status = EXIT_SUCCESS;
    } else if (result == 0 && options_check(&options) == 0) {
        if (options.foreground || options.debug)
            status = mount_serve(&options, -1) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        else
            status = serve_in_background(&options);
    }
    options_done(&options);
    return status;
}
