/* SPDX-License-Identifier: Apache-2.0
 *
 * beckd: serves a store to Kafka clients. Starts everything, says so in one line, reads its
 * configuration anew on SIGHUP, and ends cleanly on SIGTERM and SIGINT: with 0 when it ran, 1 when
 * it could not start, 2 when it was called wrongly.
 */
#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "beck.h"
#include "broker.h"
#include "listener.h"
#include "log.h"
#include "loops.h"
#include "options.h"
#include "service.h"

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

/* HOST:PORT of all listeners. */
static void listener_names(const struct broker *broker, char *to, size_t size)
{
    size_t n = 0;
    to[0] = '\0';
    for (size_t i = 0; i < broker->listener_count && n < size; i++)
        if (broker->listeners[i].endpoint)
            n += (size_t)snprintf(to + n, size - n, "%s%s", i > 0 ? " " : "",
                                  broker->listeners[i].name);
}

/* One line for each thing that the opening of the store found, and how many partitions were cut, or
 * miss what was synced. */
static void report_recovery(struct beck_store *store, int64_t since_ms, unsigned *ret_cut,
                            unsigned *ret_short)
{
    struct beck_recovery found;
    *ret_cut = *ret_short = 0;
    for (uint32_t i = 0; beck_store_recovery(store, i, &found, NULL) > 0; i++) {
        char what[64] = "damaged";
        if (found.time_ms < since_ms)
            continue;
        if (found.truncated_bytes > 0)
            snprintf(what, sizeof(what), "cut %llu bytes",
                     (unsigned long long)found.truncated_bytes);
        ++*(found.truncated_bytes > 0 ? ret_cut : ret_short);
        log_warning("recovery: %s/%d: %s at byte %llu of segment %lld, next offset %lld: %s",
                    found.topic, found.partition, what, (unsigned long long)found.position,
                    (long long)found.segment, (long long)found.next_offset, found.reason);
    }
}

static void report_start(const struct broker *broker, int64_t since_ms)
{
    struct beck_store_info info;
    struct beck_error error;
    if (beck_store_info(broker->store, &info, &error) < 0)
        return;
    unsigned cut;
    unsigned damaged;
    char recovery[96] = "nothing to do";
    report_recovery(broker->store, since_ms, &cut, &damaged);
    if (damaged > 0)
        snprintf(recovery, sizeof(recovery), "cut %u, found damage in %u partition%s, see above",
                 cut, damaged, damaged == 1 ? "" : "s");
    else if (cut > 0)
        snprintf(recovery, sizeof(recovery), "cut %u partition%s, see above", cut,
                 cut == 1 ? "" : "s");
    char names[1024];
    listener_names(broker, names, sizeof(names));
    log_started(beck_version(),
                "listening on %s, store %s (format %u, %u topic%s), acks=all %s; recovery: %s",
                names, broker->config->store_path, (unsigned)info.format_version,
                (unsigned)info.topic_count, info.topic_count == 1 ? "" : "s",
                info.flush_os ? "does not wait for the disk (flush.policy=os)"
                              : "waits for fdatasync",
                recovery);
}

static void report_ready(const struct broker *broker)
{
    char names[1024];
    char status[1100];
    listener_names(broker, names, sizeof(names));
    (void)snprintf(status, sizeof(status), "listening on %s", names);
    service_ready(status);
}

static void stop_event(evutil_socket_t number, short what, void *context)
{
    (void)number, (void)what;
    struct broker *broker = context;
    if (!broker->loops[0].stopping)
        service_stopping();
    listeners_close(broker);
    loops_stop(broker);
}

/* What the first loop handles. Until it does, they wait: a SIGHUP would end the daemon, and any of
 * the others leave a store that was not closed. */
static void hold_signals(bool hold)
{
    sigset_t handled;
    sigemptyset(&handled);
    sigaddset(&handled, SIGTERM);
    sigaddset(&handled, SIGINT);
    sigaddset(&handled, SIGHUP);
    pthread_sigmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &handled, NULL);
}

/* Threads that are started while they are blocked never see the signals that the loop handles. */
static void block_signals(sigset_t *ret_before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, ret_before);
}

/* Let all loops end. */
static void end(struct broker *broker)
{
    listeners_close(broker);
    loops_stop(broker);
    loops_run(broker);
}

/* What the daemon was started with, for reading it anew. */
struct start {
    struct broker *broker;
    int argc;
    char **argv;
    struct service_sockets sockets; /* until the listeners have them */
};

/* SIGHUP: take over what may change while the daemon runs. */
static void reload_event(evutil_socket_t number, short what, void *context)
{
    (void)number, (void)what;
    const struct start *start = context;
    struct broker_config *config = malloc(sizeof(*config)); /* stays: others look at the old one */
    enum log_format log_format; /* stays as it was: lines of one kind are easier to read */
    service_reloading();
    if (!config || options_parse(start->argc, start->argv, config, &log_format) != OPTIONS_RUN) {
        log_warning("the configuration could not be read anew; it stays as it was");
        free(config);
        report_ready(start->broker);
        return;
    }
    char names[512];
    settings_keep(config, start->broker->config, names, sizeof(names));
    start->broker->config = config;
    if (names[0])
        log_warning("the configuration was read anew; a restart is needed for %s", names);
    else
        log_info("the configuration was read anew");
    report_ready(start->broker);
}

/* The line that says so comes when the signals are handled: who reads it may send one. */
static int run(struct start *start, int64_t since_ms)
{
    struct broker *broker = start->broker;
    struct event_base *base = broker->loops[0].base;
    struct event *events[] = {
        evsignal_new(base, SIGTERM, stop_event, broker),
        evsignal_new(base, SIGINT, stop_event, broker),
        evsignal_new(base, SIGHUP, reload_event, start),
    };
    size_t count = sizeof(events) / sizeof(events[0]);
    int result = 0;
    for (size_t i = 0; i < count; i++)
        if (!events[i] || event_add(events[i], NULL) < 0)
            result = -ENOMEM;
    if (result == 0) {
        hold_signals(false);
        report_start(broker, since_ms);
        report_ready(broker);
        loops_run(broker);
        listeners_close(broker);
    } else {
        end(broker);
    }
    for (size_t i = 0; i < count; i++)
        if (events[i])
            event_free(events[i]);
    return result;
}

static int serve(struct start *start, const struct broker_config *config, struct beck_error *error)
{
    struct broker *broker = start->broker;
    sigset_t before;
    int64_t since_ms = date_ms();
    block_signals(&before);
    int result = broker_start(broker, config, error);
    if (result == 0) {
        result = loops_start(broker, error);
        if (result < 0)
            broker_stop(broker);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result < 0)
        return result;
    result = listeners_open(broker, &start->sockets, error);
    if (result >= 0)
        result = run(start, since_ms);
    else
        end(broker);
    loops_done(broker);
    broker_stop(broker);
    return result;
}

int main(int argc, char **argv)
{
    static struct broker broker;
    static struct broker_config config;
    enum log_format log_format;
    hold_signals(true);
    log_setup(LOG_TEXT); /* for what is wrong with the arguments */
    switch (options_parse(argc, argv, &config, &log_format)) {
    case OPTIONS_DONE:
        return fflush(stdout) == 0 ? 0 : 1;
    case OPTIONS_WRONG:
        return 2;
    case OPTIONS_RUN:
        break;
    }
    log_setup(log_format);
    tune_memory();
    raise_descriptor_limit();
    signal(SIGPIPE, SIG_IGN);
    struct start start = {.broker = &broker, .argc = argc, .argv = argv};
    struct beck_error error = {.message = ""};
    int result = service_sockets_take(&start.sockets, &error);
    if (result == 0)
        result = serve(&start, &config, &error);
    if (result < 0) {
        log_error("%s", error.message[0] ? error.message : strerror(-result));
        return 1;
    }
    return 0;
}
