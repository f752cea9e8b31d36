/* SPDX-License-Identifier: Apache-2.0 */
#include "spread.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int spread_jobs = 1;

bool spread_mine(struct spread *spread)
{
    return spread->next++ % spread_jobs == spread->job;
}

void spread_check(bool condition, const char *file, int64_t byte, const char *what)
{
    if (condition)
        return;
    (void)fprintf(stderr, "%s: byte %" PRId64 ": %s\n", file, byte, what);
    _exit(1);
}

static pid_t spread_one(struct spread *spread, void (*work)(struct spread *spread),
                        const char *store)
{
    (void)snprintf(spread->fixture.path, sizeof(spread->fixture.path), "%s/job-%d",
                   spread->fixture.folder, spread->job);
    folder_copy(store, spread->fixture.path);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    work(spread);
    (void)fflush(NULL);
    _exit(0);
}

void spread_work(struct fixture *fixture, void (*work)(struct spread *spread), void *counts,
                 size_t counts_size)
{
    void *shared =
        mmap(NULL, counts_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int failed = 0;
    int status;
    assert_ptr_not_equal(shared, MAP_FAILED);
    assert_null(fixture->store);
    (void)fflush(NULL);
    for (int i = 0; i < spread_jobs; i++) {
        struct spread spread = {.fixture = *fixture, .counts = shared, .job = i};
        if (spread_one(&spread, work, fixture->path) < 0)
            fail_msg("fork: %s", strerror(errno));
    }
    for (int i = 0; i < spread_jobs; i++)
        if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            failed++;
    memcpy(counts, shared, counts_size);
    (void)munmap(shared, counts_size);
    if (failed > 0)
        fail_msg("%d of %d processes failed", failed, spread_jobs);
}
