/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child writes a byte into a pipe now and then, and its result at the end. No byte for too
 * long: it hangs, and is killed. The pipe's end without a result: it died.
 */
#include "database_walk.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEP = '.', END = '!' }; /* what the child writes; behind END comes the struct beck_error */

static void tell_step(void *context)
{
    static const char step = STEP;
    int pipe = *(int *)context;

    if (write(pipe, &step, 1) < 0 && errno == EPIPE)
        _exit(0); /* nobody listens any more */
}

static _Noreturn void child(const char *store_path, const char *file, int pipe)
{
    static const int deaths[] = {SIGSEGV, SIGBUS, SIGABRT, SIGINT, SIGTERM, SIGHUP};
    static const struct rlimit no_core;
    struct beck_error error = {.code = 0};
    static const char end = END;
    FILE *quiet = freopen("/dev/null", "w", stderr); /* LMDB's assertions print */

    (void)quiet;
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++)
        (void)signal(deaths[i], SIG_DFL);
    int result = beck_database_walk(store_path, file, tell_step, &pipe, &error);
    error.code = result;
    if (write(pipe, &end, 1) != 1 || write(pipe, &error, sizeof(error)) != (ssize_t)sizeof(error))
        _exit(1);
    _exit(0);
}

/* Read the child's result. False: there is none; `ret_hung` says why. */
static bool read_result(int pipe, int limit_s, struct beck_error *ret_error, bool *ret_hung)
{
    char bytes[4096 + sizeof(*ret_error)];
    size_t have = 0; /* of the result, END first */

    *ret_hung = false;
    for (;;) {
        struct pollfd poll_pipe = {.fd = pipe, .events = POLLIN};
        int ready = poll(&poll_pipe, 1, limit_s * 1000);
        if (ready < 0 && errno == EINTR)
            continue;
        *ret_hung = ready == 0;
        if (ready <= 0)
            return false;
        ssize_t got = read(pipe, bytes + have, sizeof(bytes) - have);
        if (got <= 0)
            return false;
        char *end = have > 0 ? bytes : memchr(bytes, END, (size_t)got);
        if (end == NULL)
            continue;
        have += (size_t)got - (size_t)(end - bytes);
        memmove(bytes, end, have);
        if (have >= 1 + sizeof(*ret_error)) {
            memcpy(ret_error, bytes + 1, sizeof(*ret_error));
            return true;
        }
    }
}

int database_walk(const char *store_path, const char *file, int limit_s,
                  struct beck_error *ret_error)
{
    int ends[2];
    int status = 0;
    bool hung;

    if (pipe(ends) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        (void)close(ends[0]);
        child(store_path, file, ends[1]);
    }
    (void)close(ends[1]);
    bool told = read_result(ends[0], limit_s, ret_error, &hung);
    (void)close(ends[0]);
    if (!told)
        (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (told)
        return ret_error->code != -EBADMSG;
    *ret_error = (struct beck_error){.code = -EBADMSG, .partition = -1, .offset = -1, .byte = -1};
    if (hung)
        (void)snprintf(ret_error->message, sizeof(ret_error->message),
                       "reading it came to no end: no step within %d s", limit_s);
    else
        (void)snprintf(ret_error->message, sizeof(ret_error->message),
                       "reading it crashed LMDB (%s)",
                       WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "an exit");
    return 0;
}
