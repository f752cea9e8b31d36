/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power loss, again and again on one store: what was acknowledged after a sync is there, no offset
 * is used for two different records, and the leader epoch rises.
 *
 *     power_test [--cuts N] [--seed N]
 */
#include "power_io.h"
#include "store_fixture.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OFFERS ((uint32_t)1 << 18)

/* What the process before a cut gave out. An offset is told with its record's number. */
struct offers {
    _Atomic uint32_t count;
    struct offer {
        int64_t offset;
        uint64_t number;
    } offers[OFFERS];
    _Atomic uint64_t next_number;
    _Atomic uint32_t synced_count; /* of the offers, those that were synced: the first so many */
};

struct power {
    struct fixture fixture;
    struct power_notes *notes;
    struct offers *offers;
    uint64_t random;
    uint64_t lost;
};

__attribute__((noreturn, format(printf, 1, 2))) static void give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    (void)printf("\n");
    va_end(arguments);
    (void)fflush(stdout);
    _exit(1);
}

/* ---- before the cut ------------------------------------------------------------------------ */

static void append_one(struct power *power, struct beck_partition *partition, bool sync)
{
    static char value[4000];
    struct offers *offers = power->offers;
    uint64_t number = atomic_fetch_add(&offers->next_number, 1);
    struct beck_record record = {.key_size = -1, .value = value};
    struct beck_append_result result;
    struct beck_error error;
    uint32_t count = atomic_load(&offers->count);
    if (count == OFFERS)
        return;
    memcpy(value, &number, sizeof(number));
    record.value_size = 8 + (int32_t)random_below(&power->random, sizeof(value) - 8);
    must(beck_produce(partition, &record, 1, sync ? BECK_ACKS_ALL : BECK_ACKS_LEADER, &result,
                      &error),
         &error);
    offers->offers[count] = (struct offer){result.base_offset, number};
    atomic_store(&offers->count, count + 1);
    if (sync)
        atomic_store(&offers->synced_count, count + 1);
}

static void work(struct power *power)
{
    static struct fault_io fault;
    uint32_t next_ms;
    struct beck_error error;
    power_io_init(&fault, power->notes);
    struct beck_store *store = must_open_io(power->fixture.path, 0, &fault.io);
    struct beck_partition *partition = must_open_partition(store, "t", 0);
    uint32_t appends = random_below(&power->random, 600);
    uint32_t syncs_each = 1 + random_below(&power->random, 200);
    for (uint32_t i = 0; i < appends; i++) {
        append_one(power, partition, random_below(&power->random, syncs_each) == 0);
        if (random_below(&power->random, 150) == 0)
            must(beck_store_maintain(store, true, &next_ms, &error), &error);
    }
    (void)raise(SIGKILL);
}

/* ---- after it ------------------------------------------------------------------------------ */

/* Each record that is there was offered at its offset; each synced one is there. */
static void check(struct power *power)
{
    struct fixture *f = &power->fixture;
    struct offers *offers = power->offers;
    struct beck_reader *reader = NULL;
    struct beck_record record;
    uint32_t at = 0;
    uint32_t kept = 0;
    must(beck_reader_new(f->partition, BECK_READ_UNCOMMITTED, &reader, &f->error), &f->error);
    must(beck_reader_seek(reader, 0, &f->error), &f->error);
    while (must(beck_reader_next(reader, &record, &f->error), &f->error) == 1) {
        uint64_t number;
        memcpy(&number, record.value, sizeof(number));
        for (; at < offers->count && offers->offers[at].offset < record.offset; at++)
            if (at < offers->synced_count)
                give_up("offset %" PRId64 " was synced and is lost", offers->offers[at].offset);
        if (at == offers->count || offers->offers[at].offset != record.offset)
            give_up("offset %" PRId64 " was never given out", record.offset);
        if (offers->offers[at].number != number)
            give_up("offset %" PRId64 " was given to %" PRIu64 " and has %" PRIu64, record.offset,
                    offers->offers[at].number, number);
        offers->offers[kept++] = offers->offers[at++];
    }
    if (at < offers->synced_count)
        give_up("offset %" PRId64 " was synced and is lost", offers->offers[at].offset);
    beck_reader_free(reader);
    power->lost += offers->count - kept;
    /* What is there now was made durable; what was lost must not come again: see no_reuse(). */
    atomic_store(&offers->count, kept);
    atomic_store(&offers->synced_count, kept);
}

static void one_cut(struct power *power, int64_t *highest, int32_t *epoch)
{
    struct fixture *f = &power->fixture;
    int status;
    (void)random_next(&power->random);
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        work(power);
    }
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        give_up("the process before the cut failed");
    power_cut(power->notes, f->path, &power->random);
    for (uint32_t i = 0; i < power->offers->count; i++)
        if (power->offers->offers[i].offset > *highest)
            *highest = power->offers->offers[i].offset;

    f->store = must_open(f->path, 0);
    f->partition = must_open_partition(f->store, "t", 0);
    struct beck_partition_state now = must_state(f->partition);
    if (now.next_offset <= *highest)
        give_up("%" PRId64 " comes next, and %" PRId64 " was used before", now.next_offset,
                *highest);
    if (now.leader_epoch <= *epoch)
        give_up("the leader epoch stays at %d", now.leader_epoch);
    *epoch = now.leader_epoch;
    check(power);
    struct beck_damage damage;
    if (verify_count(f->store, &damage) != 0)
        give_up("%s byte %" PRId64 ": %s", damage.file, damage.byte, damage.what);
    fixture_close(f);
    power_all_synced(power->notes, f->path);
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"cuts", required_argument, NULL, 'n'}, {"seed", required_argument, NULL, 's'}, {0}};
    static struct power power;
    uint32_t cuts = 100;
    int64_t highest = -1;
    int32_t epoch = -1;
    int option;
    power.random = (uint64_t)time(NULL);
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == 'n')
            cuts = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 's')
            power.random = strtoull(optarg, NULL, 10);
        else
            return 2;
    }
    (void)printf("power_test --cuts %u --seed %" PRIu64 "\n", cuts, power.random);
    (void)fflush(stdout);
    fixture_begin(&power.fixture);
    power.notes = power_notes_new();
    void *memory = mmap(NULL, sizeof(struct offers), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!power.notes || memory == MAP_FAILED)
        return 2;
    power.offers = memory;
    struct beck_store *store = must_open(power.fixture.path, BECK_OPEN_CREATE);
    must_create_topic(store, "t", 1, "segment.bytes", "1048576");
    beck_store_close(store);
    for (uint32_t i = 0; i < cuts; i++)
        one_cut(&power, &highest, &epoch);
    (void)printf("%u cuts, %" PRIu64 " records offered, %" PRIu64 " of them lost\n", cuts,
                 atomic_load(&power.offers->next_number), power.lost);
    power_notes_free(power.notes);
    (void)munmap(memory, sizeof(struct offers));
    fixture_end(&power.fixture);
    return 0;
}
