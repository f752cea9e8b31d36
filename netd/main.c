/* SPDX-License-Identifier: Apache-2.0
 *
 * beckd: serves a store to Kafka clients. Starts everything, says so in one line, and ends cleanly
 * on SIGTERM and SIGINT: with 0 when it ran, 1 when it could not start, 2 when it was called
 * wrongly.
 */
#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "beck.h"
#include "broker.h"
#include "listener.h"
#include "log.h"
#include "loops.h"
#include "options.h"

struct daemon {
    struct broker broker;
    struct listener listener;
};

/* Large buffers go back to the system when they are freed, and threads share one heap: an idle
 * daemon is small again. */
static void tune_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    mallopt(M_ARENA_MAX, 1);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int64_t date_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One line for each cut that the opening of the store had to make, and how many there were. */
static unsigned report_cuts(struct beck_store *store, int64_t since_ms)
{
    struct beck_recovery cut;
    unsigned count = 0;
    for (uint32_t i = 0; beck_store_recovery(store, i, &cut, NULL) > 0; i++) {
        if (cut.time_ms < since_ms)
            continue;
        count++;
        log_line(
            "recovery: %s/%d: cut %llu bytes at byte %llu of segment %lld, next offset %lld: %s",
            cut.topic, cut.partition, (unsigned long long)cut.truncated_bytes,
            (unsigned long long)cut.position, (long long)cut.segment, (long long)cut.next_offset,
            cut.reason);
    }
    return count;
}

static void report_start(const struct daemon *daemon, int64_t since_ms)
{
    struct beck_store_info info;
    struct beck_error error;
    if (beck_store_info(daemon->broker.store, &info, &error) < 0)
        return;
    unsigned cuts = report_cuts(daemon->broker.store, since_ms);
    char recovery[64] = "nothing to do";
    if (cuts > 0)
        snprintf(recovery, sizeof(recovery), "cut %u partition%s, see above", cuts,
                 cuts == 1 ? "" : "s");
    fprintf(
        stderr,
        "beckd %s: listening on %s, store %s (format %u, %u topic%s), acks=all %s; recovery: %s\n",
        beck_version(), daemon->listener.name, daemon->broker.config->store_path,
        (unsigned)info.format_version, (unsigned)info.topic_count, info.topic_count == 1 ? "" : "s",
        info.flush_os ? "does not wait for the disk (flush.policy=os)" : "waits for fdatasync",
        recovery);
}

static void signal_event(evutil_socket_t number, short what, void *context)
{
    (void)number, (void)what;
    struct daemon *daemon = context;
    listener_close(&daemon->listener);
    loops_stop(&daemon->broker);
}

/* Threads that are started while they are blocked never see the signals that the loop handles. */
static void block_signals(sigset_t *ret_before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, ret_before);
}

/* Let all loops end. */
static void end(struct daemon *daemon)
{
    listener_close(&daemon->listener);
    loops_stop(&daemon->broker);
    loops_run(&daemon->broker);
}

/* The line that says so comes when the signals are handled: who reads it may send one. */
static int run(struct daemon *daemon, int64_t since_ms)
{
    struct event_base *base = daemon->broker.loops[0].base;
    struct event *terminate = evsignal_new(base, SIGTERM, signal_event, daemon);
    struct event *interrupt = evsignal_new(base, SIGINT, signal_event, daemon);
    int result = -ENOMEM;
    if (terminate && interrupt && event_add(terminate, NULL) == 0 &&
        event_add(interrupt, NULL) == 0) {
        report_start(daemon, since_ms);
        loops_run(&daemon->broker);
        listener_close(&daemon->listener);
        result = 0;
    } else {
        end(daemon);
    }
    if (terminate)
        event_free(terminate);
    if (interrupt)
        event_free(interrupt);
    return result;
}

static int serve(struct daemon *daemon, const struct broker_config *config,
                 struct beck_error *error)
{
    sigset_t before;
    int64_t since_ms = date_ms();
    block_signals(&before);
    int result = broker_start(&daemon->broker, config, error);
    if (result == 0) {
        result = loops_start(&daemon->broker, error);
        if (result < 0)
            broker_stop(&daemon->broker);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result < 0)
        return result;
    result = listener_open(&daemon->listener, &daemon->broker.loops[0], error);
    if (result >= 0)
        result = run(daemon, since_ms);
    else
        end(daemon);
    loops_done(&daemon->broker);
    broker_stop(&daemon->broker);
    return result;
}

int main(int argc, char **argv)
{
    struct broker_config config;
    switch (options_parse(argc, argv, &config)) {
    case OPTIONS_DONE:
        return fflush(stdout) == 0 ? 0 : 1;
    case OPTIONS_WRONG:
        return 2;
    case OPTIONS_RUN:
        break;
    }
    tune_memory();
    raise_descriptor_limit();
    signal(SIGPIPE, SIG_IGN);
    struct daemon daemon;
    struct beck_error error = {.message = ""};
    int result = serve(&daemon, &config, &error);
    if (result < 0) {
        log_line("%s", error.message[0] ? error.message : strerror(-result));
        return 1;
    }
    return 0;
}
