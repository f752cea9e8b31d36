/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes append, read, wait, checkpoint, and make and delete topics on one store, while one
 * after the other is stopped with SIGSTOP for a while: at a random moment, or at a place (points.h)
 * where few were stopped so far, with locks held. All who work on other partitions than it does
 * must get on meanwhile, and LMDB's files must stay small. Checkpoints, and changes to topics, may
 * wait.
 *
 *     stop_test [--stops N] [--longest MS] [--seed N] [--minute]
 *
 * Stops last from a tenth of --longest to --longest. --minute stops each process for a minute, too.
 * Nothing depends on how fast the machine is: who does not get on is given END_SECONDS.
 */
#include "points.h"
#include "store_fixture.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PARTITIONS   4
#define WORKERS      12
#define WANTED_MS    100
#define END_SECONDS  30
#define RECORDS_MOST 400000 /* of one appender: what the test leaves on the disk is bounded */
#define GROWN_MOST   (96LL << 20)
#define NOBODYS      (-1)

struct shared {
    atomic_bool end;
    struct progress {
        _Atomic uint64_t done;
        char padding[56];
    } progress[WORKERS];
};

struct worker {
    const char *name;
    int32_t partition; /* NOBODYS: what it does may wait for others */
    int (*run)(struct worker *worker);
    pid_t pid;
    struct points *points;
    /* Its own, in its process. */
    struct beck_store *store;
    struct beck_partition *handle;
    uint64_t random;
    struct beck_error error;
};

struct supervisor {
    struct fixture fixture;
    struct worker workers[WORKERS];
    uint32_t count;
    uint64_t random;
    uint32_t longest_ms;
    uint32_t hits[PLACES];
    uint32_t stops;
};

static struct shared *shared;
static struct supervisor supervisor;

static bool goes_on(const struct worker *worker)
{
    (void)worker;
    return !atomic_load(&shared->end);
}

static void did(const struct worker *worker)
{
    atomic_fetch_add(&shared->progress[worker - supervisor.workers].done, 1);
}

/* ---- what they do -------------------------------------------------------------------------- */

static int append(struct worker *worker, enum beck_acks acks)
{
    static char value[2000];
    struct beck_append_result result;
    int r = 0;
    while (r == 0 && goes_on(worker)) {
        struct beck_record record = {.key_size = -1,
                                     .value = value,
                                     .value_size =
                                         (int32_t)random_below(&worker->random, sizeof(value))};
        r = beck_produce(worker->handle, &record, 1, acks, &result, &worker->error);
        did(worker);
        if (result.next_offset > RECORDS_MOST / 10)
            usleep(result.next_offset > RECORDS_MOST ? 10000 : 100);
    }
    return r;
}

static int append_leader(struct worker *worker)
{
    return append(worker, BECK_ACKS_LEADER);
}

static int append_all(struct worker *worker)
{
    return append(worker, BECK_ACKS_ALL);
}

static int read_records(struct worker *worker)
{
    struct beck_reader *reader = NULL;
    struct beck_record record;
    int r = beck_reader_new(worker->handle, BECK_READ_UNCOMMITTED, &reader, &worker->error);
    if (r == 0)
        r = beck_reader_seek(reader, 0, &worker->error);
    while (r >= 0 && goes_on(worker)) {
        r = beck_reader_next(reader, &record, &worker->error);
        if (r == 1)
            did(worker);
        else
            usleep(500);
    }
    beck_reader_free(reader);
    return r < 0 ? r : 0;
}

static int read_view(struct worker *worker)
{
    static char buffer[65536];
    struct beck_reader *reader = NULL;
    uint64_t position = 0;
    ssize_t n = beck_reader_new(worker->handle, BECK_READ_UNCOMMITTED, &reader, &worker->error);
    while (n >= 0 && goes_on(worker)) {
        n = beck_reader_view(reader, position, buffer, sizeof(buffer), &worker->error);
        if (n > 0) {
            position += (uint64_t)n;
            did(worker);
        } else {
            usleep(500);
        }
    }
    beck_reader_free(reader);
    return n < 0 ? (int)n : 0;
}

/* Waits at the end, and looks up times on the way. */
static int wait_for_records(struct worker *worker)
{
    struct beck_partition_state state;
    int64_t offset;
    int64_t timestamp_ms;
    int r = 0;
    while (r >= 0 && goes_on(worker)) {
        r = beck_partition_state(worker->handle, &state, &worker->error);
        if (r == 0)
            r = beck_partition_wait(worker->handle, state.high_watermark, BECK_READ_UNCOMMITTED,
                                    200, &worker->error);
        if (r == 1)
            did(worker);
        if (r >= 0 && random_below(&worker->random, 50) == 0)
            r = beck_offset_for_time(worker->handle, state.last_append_ms, BECK_READ_UNCOMMITTED,
                                     &offset, &timestamp_ms, &worker->error);
    }
    return r < 0 ? r : 0;
}

static int maintain(struct worker *worker)
{
    uint32_t next_ms;
    int r = 0;
    while (r == 0 && goes_on(worker)) {
        r = beck_store_maintain(worker->store, random_below(&worker->random, 4) == 0, &next_ms,
                                &worker->error);
        if (r == 0 && random_below(&worker->random, 10) == 0)
            r = beck_store_clean(worker->store, NULL, NULL, &next_ms, &worker->error);
        did(worker);
        usleep(random_below(&worker->random, 5000));
    }
    return r;
}

static int make_topics(struct worker *worker)
{
    struct beck_topic_options options = {.partition_count = 2};
    int r = 0;
    for (unsigned i = 0; r == 0 && goes_on(worker); i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "made-%u", i);
        r = beck_topic_create(worker->store, name, &options, NULL, &worker->error);
        if (r == 0)
            r = beck_topic_delete(worker->store, name, &worker->error);
        did(worker);
        usleep(random_below(&worker->random, 5000));
    }
    return r;
}

/* Opens and closes the store, while others have it open. */
static int come_and_go(struct worker *worker)
{
    int r = 0;
    while (r == 0 && goes_on(worker)) {
        beck_partition_close(worker->handle);
        beck_store_close(worker->store);
        worker->handle = NULL;
        worker->store = NULL;
        usleep(random_below(&worker->random, 5000));
        r = beck_store_open(supervisor.fixture.path, 0, &fixture_options, &worker->store,
                            &worker->error);
        did(worker);
    }
    return r;
}

/* ---- their processes ----------------------------------------------------------------------- */

static void work(struct worker *worker)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    points_begin(worker->points);
    int r = beck_store_open(supervisor.fixture.path, 0, &fixture_options, &worker->store,
                            &worker->error);
    if (r == 0 && worker->partition != NOBODYS)
        r = beck_partition_open(worker->store, "t", worker->partition, &worker->handle,
                                &worker->error);
    if (r == 0)
        r = worker->run(worker);
    if (r < 0)
        (void)fprintf(stderr, "%s: %s\n", worker->name, worker->error.message);
    beck_partition_close(worker->handle);
    beck_store_close(worker->store);
    _exit(r < 0);
}

static void add(const char *name, int32_t partition, int (*run)(struct worker *worker))
{
    struct worker *worker = &supervisor.workers[supervisor.count++];
    *worker = (struct worker){.name = name,
                              .partition = partition,
                              .run = run,
                              .points = points_new(),
                              .random = random_next(&supervisor.random)};
}

__attribute__((noreturn, format(printf, 1, 2))) static void give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    if (getenv("STOP_TEST_PAUSE"))
        (void)pause();
    exit(1);
}

/* ---- stopping ------------------------------------------------------------------------------ */

static uint32_t rarest_place(const struct worker *worker)
{
    uint32_t first = random_below(&supervisor.random, PLACES);
    uint32_t rarest = NOWHERE;
    for (uint32_t i = 0; i < PLACES; i++) {
        uint32_t place = (first + i) % PLACES;
        if (atomic_load(&worker->points->visits[place]) > 0 &&
            (rarest == NOWHERE || supervisor.hits[place] < supervisor.hits[rarest]))
            rarest = place;
    }
    return rarest;
}

/* Has the process stopped? Anything else that became of it ends the test. */
static bool has_stopped(const struct worker *worker)
{
    int status;
    pid_t pid = waitpid(worker->pid, &status, WUNTRACED | WNOHANG);
    if (pid == worker->pid && !WIFSTOPPED(status))
        give_up("%s ended with status %#x", worker->name, (unsigned)status);
    return pid == worker->pid;
}

static void stop(const struct worker *worker)
{
    bool stopped = false;
    if (supervisor.stops % 2) {
        points_want(worker->points, rarest_place(worker), SIGSTOP);
        for (int i = 0; !stopped && i < 2 * WANTED_MS; i++) {
            usleep(500);
            stopped = has_stopped(worker);
        }
        atomic_store(&worker->points->wanted, NOWHERE);
    }
    if (!stopped)
        (void)kill(worker->pid, SIGSTOP);
    while (!stopped) {
        usleep(200);
        stopped = has_stopped(worker);
    }
    uint32_t place = atomic_load(&worker->points->place);
    if (place != NOWHERE)
        supervisor.hits[place]++;
}

/* Who has done nothing since `before`, though he need not wait; NULL: nobody. Who belongs to no
 * partition was perhaps stopped with the lock of one: then all of that one may wait. */
static const struct worker *who_waits(const struct worker *stopped, const uint64_t before[WORKERS])
{
    int32_t partition = stopped->partition;
    for (uint32_t i = 0; i < supervisor.count; i++) {
        const struct worker *worker = &supervisor.workers[i];
        if (worker == stopped || worker->partition == NOBODYS || worker->partition == partition ||
            atomic_load(&shared->progress[i].done) != before[i])
            continue;
        if (partition != NOBODYS)
            return worker;
        partition = worker->partition;
    }
    return NULL;
}

static void see_progress(const struct worker *stopped, const uint64_t before[WORKERS])
{
    const struct worker *waits;
    char name[80] = "";
    for (int tries = 0; (waits = who_waits(stopped, before)); tries++) {
        uint32_t place = atomic_load(&stopped->points->place);
        if (tries == END_SECONDS * 1000)
            give_up("%s (%d) does not get on while %s (%d) is stopped %s", waits->name, waits->pid,
                    stopped->name, stopped->pid, place == NOWHERE ? "" : place_name(place, name));
        usleep(1000);
    }
}

static int64_t size_of(const char *name)
{
    char path[PATH_MAX];
    store_file(&supervisor.fixture, name, path);
    return file_size(path);
}

static void stop_one(const struct worker *worker, uint32_t ms)
{
    uint64_t before[WORKERS];
    int64_t bytes = size_of("index.mdb") + size_of("meta.mdb");
    stop(worker);
    for (uint32_t i = 0; i < supervisor.count; i++)
        before[i] = atomic_load(&shared->progress[i].done);
    for (uint32_t waited = 0; waited < ms; waited += 100)
        usleep((ms - waited < 100 ? ms - waited : 100) * 1000);
    see_progress(worker, before);
    bytes = size_of("index.mdb") + size_of("meta.mdb") - bytes;
    if (bytes > GROWN_MOST)
        give_up("LMDB's files grew by %" PRId64 " bytes while %s was stopped", bytes, worker->name);
    (void)kill(worker->pid, SIGCONT);
    supervisor.stops++;
}

/* ---- from begin to end --------------------------------------------------------------------- */

static void begin(void)
{
    void *memory =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    shared = memory;
    fixture_begin(&supervisor.fixture);
    struct beck_store *store = must_open(supervisor.fixture.path, BECK_OPEN_CREATE);
    must_create_topic(store, "t", PARTITIONS, "segment.bytes", "1048576");
    beck_store_close(store);
    add("appender with acks=1", 0, append_leader);
    add("reader", 0, read_records);
    add("appender with acks=all", 1, append_all);
    add("reader of the view", 1, read_view);
    add("another appender with acks=1", 2, append_leader);
    add("who waits", 2, wait_for_records);
    add("third appender with acks=1", 3, append_leader);
    add("another appender with acks=all", 3, append_all);
    add("maintainer", NOBODYS, maintain);
    add("another maintainer", NOBODYS, maintain);
    add("maker of topics", NOBODYS, make_topics);
    add("who comes and goes", NOBODYS, come_and_go);
    for (uint32_t i = 0; i < supervisor.count; i++) {
        struct worker *worker = &supervisor.workers[i];
        worker->pid = fork();
        if (worker->pid == 0)
            work(worker);
        if (worker->pid < 0)
            give_up("fork: %s", strerror(errno));
    }
    /* Whoever is opening the store has its gate, and all that come wait for him. */
    for (uint32_t i = 0; i < supervisor.count; i++)
        while (atomic_load(&shared->progress[i].done) == 0) {
            (void)has_stopped(&supervisor.workers[i]); /* has it ended? */
            usleep(1000);
        }
}

static void end(void)
{
    struct beck_damage damage;
    atomic_store(&shared->end, true);
    for (uint32_t i = 0; i < supervisor.count; i++) {
        const struct worker *worker = &supervisor.workers[i];
        int status = 0;
        pid_t pid = 0;
        for (int tries = 0; pid == 0 && tries < END_SECONDS * 1000; tries++) {
            usleep(1000);
            pid = waitpid(worker->pid, &status, WNOHANG);
        }
        if (pid != worker->pid || status != 0)
            give_up("%s %s", worker->name, pid == 0 ? "hangs" : "failed");
    }
    supervisor.fixture.store = must_open(supervisor.fixture.path, 0);
    if (verify_count(supervisor.fixture.store, &damage) != 0)
        give_up("%s byte %" PRId64 ": %s", damage.file, damage.byte, damage.what);
}

static void print(void)
{
    char name[80];
    for (uint32_t i = 0; i < PLACES; i++)
        if (supervisor.hits[i] > 0)
            (void)printf("%7u stops %s\n", supervisor.hits[i], place_name(i, name));
    for (uint32_t i = 0; i < supervisor.count; i++)
        (void)printf("%9" PRIu64 " steps of %s\n", atomic_load(&shared->progress[i].done),
                     supervisor.workers[i].name);
    (void)printf("index.mdb has %" PRId64 " bytes, meta.mdb %" PRId64 "\n", size_of("index.mdb"),
                 size_of("meta.mdb"));
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {{"stops", required_argument, NULL, 'n'},
                                                 {"longest", required_argument, NULL, 'l'},
                                                 {"seed", required_argument, NULL, 's'},
                                                 {"minute", no_argument, NULL, 'm'},
                                                 {0}};
    uint32_t stops = 40;
    bool minute = false;
    int option;
    supervisor.random = (uint64_t)time(NULL);
    supervisor.longest_ms = 100;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == 'n')
            stops = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 'l')
            supervisor.longest_ms = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 's')
            supervisor.random = strtoull(optarg, NULL, 10);
        else if (option == 'm')
            minute = true;
        else
            return 2;
    }
    (void)printf("stop_test --stops %u --longest %u --seed %" PRIu64 "\n", stops,
                 supervisor.longest_ms, supervisor.random);
    (void)fflush(stdout);
    begin();
    for (uint32_t i = 0; minute && i < supervisor.count; i++)
        stop_one(&supervisor.workers[i], 60000);
    while (supervisor.stops < stops) {
        uint32_t ms = supervisor.longest_ms / 10 +
                      random_below(&supervisor.random, supervisor.longest_ms * 9 / 10 + 1);
        stop_one(&supervisor.workers[random_below(&supervisor.random, supervisor.count)], ms);
    }
    end();
    print();
    (void)printf("%u stops\n", supervisor.stops);
    fixture_end(&supervisor.fixture);
    return 0;
}
