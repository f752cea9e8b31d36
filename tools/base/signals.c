/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals as signals.h promises them: the handler stores a number and nothing else. No SA_RESTART,
 * so that a read from a terminal or a write to a full pipe ends.
 */
#include "signals.h"

#include <signal.h>
#include <time.h>

static volatile sig_atomic_t caught_signal;

static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};

enum { STOP_SIGNALS = sizeof(stop_signals) / sizeof(stop_signals[0]) };

static void note_signal(int number)
{
    caught_signal = number;
}

void signals_install(void)
{
    for (int i = 0; i < STOP_SIGNALS; i++) {
        struct sigaction before;
        struct sigaction action = {.sa_handler = note_signal};
        /* A write that fails notes SIGPIPE again; only the impatient's second signal is to kill. */
        action.sa_flags = stop_signals[i] == SIGPIPE ? 0 : (int)SA_RESETHAND;
        (void)sigemptyset(&action.sa_mask);
        /* nohup(1) and shells' background jobs ignore some on purpose. */
        if (sigaction(stop_signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            (void)sigaction(stop_signals[i], &action, NULL);
    }
}

bool signals_caught(void)
{
    return caught_signal != 0;
}

int signals_poll(int fd, short events, int timeout_ms)
{
    sigset_t stop;
    sigset_t before;
    struct pollfd poll_fd = {.fd = fd, .events = events};
    struct timespec timeout = {.tv_sec = timeout_ms / 1000,
                               .tv_nsec = (long)(timeout_ms % 1000) * 1000000};

    (void)sigemptyset(&stop);
    for (int i = 0; i < STOP_SIGNALS; i++)
        (void)sigaddset(&stop, stop_signals[i]);
    (void)sigprocmask(SIG_BLOCK, &stop, &before);
    int result = 0;
    if (!signals_caught())
        result = ppoll(&poll_fd, 1, timeout_ms < 0 ? NULL : &timeout, &before);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return result < 0 ? 0 : result;
}

void signals_obey(void)
{
    int number = caught_signal;

    if (number == 0)
        return;
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}
