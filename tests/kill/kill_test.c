/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes append, read, trim, compact, maintain, and make and delete topics on one store while a
 * supervisor kills one after the other with SIGKILL, at random times, and starts it again; now and
 * then it kills all at once, and opens the store alone. At the end, and then, the store is held
 * against the ledger.
 *
 *     kill_test [--kills N] [--seed N] [--writers N] [--pause MS] [--gap MS] [--keep]
 *
 * Every other kill falls when the time has come, at most twice --pause after the one before; the
 * others at the place (points.h) where fewest fell so far. At the end it is told how many fell
 * where. Where N is 500 or more, none of the places that matter may be without: as long as one is,
 * up to 200 more are killed, there if anybody comes to it.
 *
 * --gap is how long writers wait at most from batch to batch: the less they write, the more can be
 * killed in a time.
 *
 * What comes out differs from run to run, as time does: the seed determines only whom and when.
 */
#include "ledger.h"
#include "points.h"
#include "store_fixture.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILL_ALL_EACH 40
#define END_SECONDS   30
#define MANY_KILLS    500
#define WANTED_MS     100  /* how long to wait for a process to come to a place */
#define EMPTY_MS      1000 /* and to one where nobody was killed */
#define MORE_KILLS    200  /* until somebody was */

static const struct beck_store_options store_options = {.map_bytes = KILL_MAP_BYTES};

struct worker {
    void (*run)(struct ledger *ledger, uint32_t index, unsigned seed);
    const char *name;
    uint32_t index;
    pid_t pid;
    struct points *points;
};

struct supervisor {
    struct ledger *ledger;
    struct worker workers[LEDGER_WRITERS + LEDGER_READERS + LEDGER_MAKERS + LEDGER_GROUPS +
                          KEYED_WRITERS + 7];
    uint32_t count;
    uint32_t kills;
    uint32_t pause_usec;
    uint64_t random;
    uint32_t hits[PLACES];
};

static void start(struct supervisor *supervisor, struct worker *worker)
{
    unsigned seed = (unsigned)random_next(&supervisor->random);
    points_reset(worker->points);
    worker->pid = fork();
    if (worker->pid < 0)
        fault(supervisor->ledger, "fork: %s", strerror(errno));
    if (worker->pid != 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    points_begin(worker->points);
    worker->run(supervisor->ledger, worker->index, seed);
    _exit(atomic_load(&supervisor->ledger->failures) > 0);
}

static void add(struct supervisor *supervisor, const char *name, uint32_t count,
                void (*run)(struct ledger *ledger, uint32_t index, unsigned seed))
{
    for (uint32_t i = 0; i < count; i++)
        supervisor->workers[supervisor->count++] =
            (struct worker){.run = run, .name = name, .index = i, .points = points_new()};
}

static void ended(struct supervisor *supervisor, struct worker *worker, int status)
{
    worker->pid = 0;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        uint32_t place = atomic_load(&worker->points->place);
        if (place != NOWHERE)
            supervisor->hits[place]++;
        supervisor->kills++;
    } else if (WIFSIGNALED(status)) {
        fault(supervisor->ledger, "%s %u died of signal %d", worker->name, worker->index,
              WTERMSIG(status));
    } else if (WEXITSTATUS(status) != 0) {
        fault(supervisor->ledger, "%s %u failed", worker->name, worker->index);
    }
}

/* Has anybody ended: at a place where he was asked to, or though he should not? */
static void look_for_dead(struct supervisor *supervisor)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct worker *worker = supervisor->workers;
        while (worker->pid != pid)
            worker++;
        if (WIFSIGNALED(status) && atomic_load(&worker->points->signaled) == NOWHERE)
            fault(supervisor->ledger, "%s %u was killed by somebody else", worker->name,
                  worker->index);
        ended(supervisor, worker, status);
    }
}

static void kill_one(struct supervisor *supervisor, struct worker *worker)
{
    int status = 0;
    if (worker->pid <= 0)
        return;
    if (random_below(&supervisor->random, 8) == 0) { /* stopped, it hinders nobody for long */
        (void)kill(worker->pid, SIGSTOP);
        usleep(random_below(&supervisor->random, 30000));
    }
    (void)kill(worker->pid, SIGKILL);
    if (waitpid(worker->pid, &status, 0) != worker->pid)
        fault(supervisor->ledger, "waitpid: %s", strerror(errno));
    ended(supervisor, worker, status);
}

/* ---- places -------------------------------------------------------------------------------- */

/* The place where fewest were killed of those that somebody has come to before, and who. */
static struct worker *rarest_place(struct supervisor *supervisor, uint32_t *ret_place)
{
    uint32_t first = random_below(&supervisor->random, PLACES * supervisor->count);
    struct worker *rarest = NULL;
    uint64_t fewest = UINT64_MAX;
    for (uint32_t i = 0; i < PLACES * supervisor->count; i++) {
        uint32_t k = (first + i) % (PLACES * supervisor->count);
        uint32_t place = k % PLACES;
        struct worker *worker = &supervisor->workers[k / PLACES];
        uint64_t hits = 2ULL * supervisor->hits[place] + !place_is_needed(place);
        if (worker->pid > 0 && atomic_load(&worker->points->visits[place]) > 0 && hits < fewest) {
            fewest = hits;
            rarest = worker;
            *ret_place = place;
        }
    }
    return rarest;
}

/* A place that matters where nobody was killed yet; NOWHERE: there is none. */
static uint32_t empty_place(const struct supervisor *supervisor)
{
    for (uint32_t i = 0; i < PLACES; i++)
        if (place_is_needed(i) && supervisor->hits[i] == 0)
            return i;
    return NOWHERE;
}

/* Wait for somebody to come to the place where he was asked to die. */
static bool wait_for_dead(struct supervisor *supervisor, uint32_t ms)
{
    uint32_t kills = supervisor->kills;
    for (uint32_t i = 0; i < 2 * ms && supervisor->kills == kills; i++) {
        usleep(500);
        look_for_dead(supervisor);
    }
    return supervisor->kills > kills;
}

/* Who does not come to his place soon is still asked to die there, and another one is killed: what
 * takes long is never come to by those who are killed before. */
static void kill_next(struct supervisor *supervisor)
{
    uint32_t place = NOWHERE;
    struct worker *worker = NULL;
    if (supervisor->kills % 2)
        worker = rarest_place(supervisor, &place);
    if (worker) {
        points_want(worker->points, place, SIGKILL);
        if (wait_for_dead(supervisor, WANTED_MS))
            return;
    }
    kill_one(supervisor,
             &supervisor->workers[random_below(&supervisor->random, supervisor->count)]);
}

/* Whoever comes to the place first is to die there, and has time. */
static void kill_there(struct supervisor *supervisor, uint32_t place)
{
    for (uint32_t i = 0; i < supervisor->count; i++)
        points_want(supervisor->workers[i].points, place, SIGKILL);
    if (!wait_for_dead(supervisor, EMPTY_MS))
        kill_one(supervisor,
                 &supervisor->workers[random_below(&supervisor->random, supervisor->count)]);
    for (uint32_t i = 0; i < supervisor->count; i++)
        atomic_store(&supervisor->workers[i].points->wanted, NOWHERE);
}

static void kill_all(struct supervisor *supervisor)
{
    for (uint32_t i = 0; i < supervisor->count; i++)
        if (supervisor->workers[i].pid > 0)
            (void)kill(supervisor->workers[i].pid, SIGSTOP);
    for (uint32_t i = 0; i < supervisor->count; i++)
        kill_one(supervisor, &supervisor->workers[i]);
}

/* ---- from begin to end --------------------------------------------------------------------- */

/* Is there more to do than the kills that were asked for? */
static bool is_incomplete(const struct supervisor *supervisor, uint32_t kills)
{
    return kills >= MANY_KILLS && supervisor->kills < kills + MORE_KILLS &&
           empty_place(supervisor) != NOWHERE;
}

static void run(struct supervisor *supervisor, uint32_t kills)
{
    uint32_t all_at = KILL_ALL_EACH;
    while ((supervisor->kills < kills || is_incomplete(supervisor, kills)) &&
           atomic_load(&supervisor->ledger->failures) == 0) {
        for (uint32_t i = 0; i < supervisor->count; i++)
            if (supervisor->workers[i].pid <= 0)
                start(supervisor, &supervisor->workers[i]);
        usleep(random_below(&supervisor->random, 2 * supervisor->pause_usec));
        look_for_dead(supervisor);
        if (supervisor->kills >= all_at) {
            kill_all(supervisor);
            (void)check_store(supervisor->ledger);
            all_at = supervisor->kills + KILL_ALL_EACH;
        } else if (supervisor->kills >= kills) {
            kill_there(supervisor, empty_place(supervisor));
        } else {
            kill_next(supervisor);
        }
    }
}

/* Let all come to their ends by themselves. */
static void end(struct supervisor *supervisor)
{
    time_t limit = time(NULL) + END_SECONDS;
    uint32_t left = 1;
    atomic_store(&supervisor->ledger->stop, true);
    while (left > 0 && time(NULL) < limit) {
        usleep(10000);
        look_for_dead(supervisor);
        left = 0;
        for (uint32_t i = 0; i < supervisor->count; i++)
            left += supervisor->workers[i].pid > 0;
    }
    for (uint32_t i = 0; i < supervisor->count; i++) {
        struct worker *worker = &supervisor->workers[i];
        if (worker->pid <= 0)
            continue;
        fault(supervisor->ledger, "%s %u (process %d) hangs", worker->name, worker->index,
              worker->pid);
        if (getenv("KILL_TEST_PAUSE"))
            (void)pause();
        kill_one(supervisor, worker);
    }
}

static void make_store(struct ledger *ledger)
{
    struct beck_config small = {.name = "segment.bytes", .value = "1048576"};
    struct beck_topic_options topic = {
        .partition_count = LEDGER_PARTITIONS, .configs = &small, .config_count = 1};
    struct beck_store *store = NULL;
    struct beck_error error;
    static const struct beck_config keyed[] = {{"segment.bytes", "1048576"},
                                               {"cleanup.policy", "compact"},
                                               {"min.cleanable.dirty.ratio", "0"}};
    static const struct beck_config trimmed[] = {{"segment.bytes", "1048576"},
                                                 {"retention.bytes", "4000000"}};
    const struct beck_topic_options keyed_topic = {.configs = keyed, .config_count = 3};
    const struct beck_topic_options trimmed_topic = {.configs = trimmed, .config_count = 2};
    if (beck_store_open(ledger->path, BECK_OPEN_CREATE, &store_options, &store, &error) < 0 ||
        beck_topic_create(store, KEYED_TOPIC, &keyed_topic, NULL, &error) < 0 ||
        beck_topic_create(store, TRIMMED_TOPIC, &trimmed_topic, NULL, &error) < 0 ||
        beck_topic_create(store, KILL_TOPIC, &topic, NULL, &error) < 0)
        fault(ledger, "%s", error.message);
    beck_store_close(store);
}

/* How many fell where. Returns the number of places where one should have, as many were asked for.
 */
static unsigned print_hits(const struct supervisor *supervisor, uint32_t kills)
{
    unsigned missing = 0;
    char name[80];
    for (uint32_t i = 0; i < PLACES; i++) {
        bool missed = place_is_needed(i) && supervisor->hits[i] == 0;
        if (supervisor->hits[i] > 0 || missed)
            (void)printf("%7u kills %s\n", supervisor->hits[i], place_name(i, name));
        missing += missed;
    }
    return kills >= MANY_KILLS ? missing : 0;
}

static uint64_t acknowledged(const struct ledger *ledger)
{
    uint64_t sum = 0;
    for (uint32_t w = 0; w < LEDGER_WRITERS; w++)
        for (uint32_t p = 0; p < LEDGER_PARTITIONS; p++)
            sum += atomic_load(&ledger->writers[w].count[p]);
    return sum;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {{"kills", required_argument, NULL, 'k'},
                                                 {"seed", required_argument, NULL, 's'},
                                                 {"writers", required_argument, NULL, 'w'},
                                                 {"pause", required_argument, NULL, 'p'},
                                                 {"gap", required_argument, NULL, 'g'},
                                                 {"keep", no_argument, NULL, 'K'},
                                                 {0}};
    struct fixture fixture;
    struct supervisor supervisor = {.random = (uint64_t)time(NULL), .pause_usec = 30000};
    uint32_t kills = 100;
    uint32_t writers = 4;
    uint32_t gap_usec = 0;
    bool keep = false;
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == 'k')
            kills = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 's')
            supervisor.random = strtoull(optarg, NULL, 10);
        else if (option == 'w')
            writers = (uint32_t)strtoul(optarg, NULL, 10) % (LEDGER_WRITERS - LEDGER_RESENDERS + 1);
        else if (option == 'p')
            supervisor.pause_usec = (uint32_t)strtoul(optarg, NULL, 10) * 1000;
        else if (option == 'g')
            gap_usec = (uint32_t)strtoul(optarg, NULL, 10) * 1000;
        else if (option == 'K')
            keep = true;
        else
            return 2;
    }
    (void)printf("kill_test --kills %u --writers %u --seed %llu\n", kills, writers,
                 (unsigned long long)supervisor.random);
    (void)fflush(stdout);
    fixture_begin(&fixture);
    void *shared = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    supervisor.ledger = shared;
    supervisor.ledger->gap_usec = gap_usec;
    (void)snprintf(supervisor.ledger->path, sizeof(supervisor.ledger->path), "%s", fixture.path);
    make_store(supervisor.ledger);
    add(&supervisor, "writer", writers, run_writer);
    add(&supervisor, "producer with an id", LEDGER_RESENDERS, run_producer);
    add(&supervisor, "group", LEDGER_GROUPS, run_group);
    add(&supervisor, "reader", LEDGER_READERS, run_reader);
    add(&supervisor, "maker", LEDGER_MAKERS, run_maker);
    add(&supervisor, "maintainer", 1, run_maintainer);
    add(&supervisor, "writer of keys", KEYED_WRITERS, run_keyed_writer);
    add(&supervisor, "reader of keys", 1, run_keyed_reader);
    add(&supervisor, "cleaner", 2, run_cleaner);
    add(&supervisor, "writer of what is trimmed", 1, run_trimmed_writer);
    add(&supervisor, "reader of what is trimmed", 1, run_trimmed_reader);
    add(&supervisor, "trimmer", 1, run_trimmer);
    run(&supervisor, kills);
    end(&supervisor);
    unsigned failures = check_store(supervisor.ledger);
    unsigned missing = print_hits(&supervisor, kills);
    (void)printf("%u kills, %llu batches acknowledged, %u faults\n", supervisor.kills,
                 (unsigned long long)acknowledged(supervisor.ledger), failures);
    if (keep || failures > 0)
        (void)printf("the store is kept: %s\n", fixture.path);
    else
        fixture_end(&fixture);
    return failures + missing > 0;
}
