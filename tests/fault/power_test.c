/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power loss at any call of the engine or of LMDB. A run opens a store on a simulated disk
 * (disk.h), appends, syncs, rolls, checkpoints, trims, retains, compacts, makes and deletes topics
 * and closes it, while each call is noted. Then power is cut again and again in that run, at calls
 * of its past, and each disk that this leaves is opened: what was promised before the call is
 * there, nothing is there that was not sent, no offset is used for two records, the leader epoch
 * rises, and verification finds no damage; where index.mdb is lost with the power, no offset is
 * used for two records, and the epoch rises. One of these disks is where the next run begins: so
 * that power also fails in a recovery.
 *
 *     power_test [--cuts N] [--seed N]
 *
 * The same numbers do the same again.
 */
#include "power.h"

#include "check.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CUTS_A_RUN   20
#define RUNS_A_STORE 12

static uint32_t cut_at; /* for who has to say where it failed */
static uint64_t cuts_done;

void power_fail(const struct power *power, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, "\nafter %" PRIu64 " cuts of %s, run %u, cut in call %u; kept: %s, %s\n",
                  cuts_done, power->replay, power->runs, cut_at, power->fixture.folder,
                  power->cut_path);
    va_end(arguments);
    disk_unwatch();
    if (power->disk && getenv("POWER_TEST_CALLS"))
        disk_print(power->disk, cut_at);
    _exit(1);
}

/* ---- the check's own closing
 * --------------------------------------------------------------------- */

int __real_meta_copy_make(struct beck_store *store, struct beck_error *error);
int __wrap_meta_copy_make(struct beck_store *store, struct beck_error *error);

static bool is_checking;

/* What a check leaves is thrown away: a copy of meta.mdb took a third of its time. */
int __wrap_meta_copy_make(struct beck_store *store, struct beck_error *error)
{
    return is_checking ? 0 : __real_meta_copy_make(store, error);
}

/* ---- where to cut -------------------------------------------------------------------------- */

/* Any call; or, every other time, one at the point that was hit least so far. */
static uint32_t choose_call(struct power *power)
{
    uint32_t count = disk_calls(power->disk);
    uint32_t at = random_below(&power->random, count + 1);
    if (at == count || random_below(&power->random, 2))
        return at;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t next = (at + i) % count;
        if (power->hits[disk_point(power->disk, next)] < power->hits[disk_point(power->disk, at)])
            at = next;
    }
    return at;
}

/* The slots' file may have come through, as it was at the end: it is of another boot. */
static void leave_live(struct power *power)
{
    char from[PATH_MAX];
    char to[PATH_MAX + 8];
    size_t size;
    store_file(&power->fixture, "live", from);
    (void)snprintf(to, sizeof(to), "%s/live", power->cut_path);
    if (access(from, F_OK) < 0 || random_below(&power->random, 4) > 0)
        return;
    char *bytes = file_read(from, &size);
    file_write(to, bytes, size);
    free(bytes);
}

/* index.mdb, which can be made again, may be lost with what was not synced. */
static void lose_index(struct power *power)
{
    char path[PATH_MAX + 16];
    power->index_is_lost = random_below(&power->random, 8) == 0;
    (void)snprintf(path, sizeof(path), "%s/index.mdb", power->cut_path);
    if (power->index_is_lost)
        (void)unlink(path);
}

static struct disk *one_cut(struct power *power)
{
    uint32_t at = cut_at = choose_call(power);
    struct disk *disk = disk_cut(power->disk, at, &power->random);
    if (at < disk_calls(power->disk))
        power->hits[disk_point(power->disk, at)]++;
    disk_put(disk, power->cut_path);
    leave_live(power);
    lose_index(power);
    calls.boot = power->boot + 1;
    is_checking = true;
    power_check(power, power->cut_path, at);
    is_checking = false;
    folder_remove(power->cut_path);
    cuts_done++;
    return disk;
}

/* ---- from run to run ----------------------------------------------------------------------- */

static void log_free(struct log *log)
{
    free(log->offers);
    free(log->promises);
    *log = (struct log){0};
}

/* What was found after the cut is what the next run begins with. */
static void settle_log(struct power *power, struct log *log, uint32_t at)
{
    for (uint32_t i = 0; i < log->offer_count; i++)
        if (log->offers[i].when <= at && log->offers[i].offset > log->used_before)
            log->used_before = log->offers[i].offset;
    int64_t kept = 0;
    for (uint32_t i = 0; i < log->promise_count; i++)
        if (log->promises[i].when <= at && log->promises[i].offset > kept)
            kept = log->promises[i].offset;
    /* Which of the commits that were under way came through, each check finds out. */
    while (log->commit_count > 0 && log->commits[log->commit_count - 1].begin > at)
        log->commit_count--;
    for (uint32_t i = 0; i < log->commit_count; i++) {
        log->commits[i].end = log->commits[i].end <= at ? 0 : NEVER;
        log->commits[i].begin = 0;
    }
    while (log->trim_count > 0 && log->trims[log->trim_count - 1].begin > at)
        log->trim_count--;
    for (uint32_t i = 0; i < log->trim_count; i++) {
        log->trims[i].end = log->trims[i].end <= at ? 0 : NEVER;
        log->trims[i].begin = 0;
    }
    log->idempotent.size = 0;
    power->lost += log->offer_count - log->found;
    log->offer_count = log->found;
    for (uint32_t i = 0; i < log->offer_count; i++)
        log->offers[i].when = 0;
    log->promise_count = 0;
    if (kept > 0)
        log->promises[log->promise_count++] = (struct log_promise){kept, 0};
}

static void settle(struct power *power, uint32_t at)
{
    for (uint32_t i = 0; i < POWER_TOPICS; i++) {
        struct topic *topic = &power->topics[i];
        bool there = topic->name[0] && topic->logs[0].found != NEVER;
        for (uint32_t p = 0; p < POWER_PARTITIONS; p++) {
            if (there)
                settle_log(power, &topic->logs[p], at);
            else
                log_free(&topic->logs[p]);
        }
        if (!there)
            topic->name[0] = '\0';
        topic->create_begin = topic->create_end = 0;
        topic->delete_begin = topic->delete_end = NEVER;
    }
    for (uint32_t i = 0; i < ELEMENTS(power->producer_when); i++)
        power->producer_when[i] = power->producer_when[i] <= at ? 0 : NEVER;
    power->made_when = power->made_when <= at ? 0 : NEVER;
}

static void forget_store(struct power *power)
{
    for (uint32_t i = 0; i < POWER_TOPICS; i++) {
        for (uint32_t p = 0; p < POWER_PARTITIONS; p++)
            log_free(&power->topics[i].logs[p]);
        power->topics[i].name[0] = '\0';
    }
    disk_free(power->disk);
    power->disk = disk_new();
    power->made_when = NEVER;
    power->producer_count = 0;
}

static void one_run(struct power *power, uint64_t cuts)
{
    struct disk *next = NULL;
    if (power->runs % RUNS_A_STORE == 0)
        forget_store(power);
    disk_put(power->disk, power->fixture.path);
    power_work(power);
    for (uint32_t i = 0; i < CUTS_A_RUN && cuts_done < cuts; i++) {
        disk_free(next);
        next = one_cut(power);
    }
    settle(power, cut_at);
    disk_free(power->disk);
    power->disk = next;
    folder_remove(power->fixture.path);
    power->runs++;
}

/* Where cuts fell. Each of these points must have been hit where there were many. */
static bool print_hits(const struct power *power)
{
    static const uint32_t must_hit[] = {
        CALL_CREATE * CALL_FILES + FILE_META,
        CALL_CREATE * CALL_FILES + FILE_INDEX,
        CALL_CREATE * CALL_FILES + FILE_SEGMENT,
        CALL_CREATE * CALL_FILES + FILE_TOPIC,
        CALL_CREATE * CALL_FILES + FILE_CLEANED,
        CALL_WRITE * CALL_FILES + FILE_META,
        CALL_WRITE * CALL_FILES + FILE_INDEX,
        CALL_WRITE * CALL_FILES + FILE_SEGMENT,
        CALL_WRITE * CALL_FILES + FILE_TOPIC,
        CALL_WRITE * CALL_FILES + FILE_CLEANED,
        CALL_WRITE_THROUGH * CALL_FILES + FILE_META,
        CALL_WRITE_THROUGH * CALL_FILES + FILE_INDEX,
        CALL_TRUNCATE * CALL_FILES + FILE_SEGMENT,
        CALL_SYNC * CALL_FILES + FILE_META,
        CALL_SYNC * CALL_FILES + FILE_INDEX,
        CALL_SYNC * CALL_FILES + FILE_SEGMENT,
        CALL_SYNC * CALL_FILES + FILE_TOPIC,
        CALL_SYNC * CALL_FILES + FILE_CLEANED,
        CALL_RENAME * CALL_FILES + FILE_CLEANED,
        CALL_SYNC * CALL_FILES + FOLDER_PARTITION,
        CALL_SYNC * CALL_FILES + FOLDER_TOPIC,
        CALL_SYNC * CALL_FILES + FOLDER_TOPICS,
        CALL_SYNC * CALL_FILES + FOLDER_STORE,
        CALL_MAKE_FOLDER * CALL_FILES + FOLDER_TOPIC,
        CALL_MAKE_FOLDER * CALL_FILES + FOLDER_PARTITION,
        CALL_REMOVE * CALL_FILES + FILE_SEGMENT,
        CALL_REMOVE * CALL_FILES + FOLDER_PARTITION,
        CALL_REMOVE * CALL_FILES + FOLDER_TOPIC,
    };
    bool good = true;
    char name[64];
    for (uint32_t i = 0; i < CALL_POINTS; i++)
        if (power->hits[i] > 0)
            (void)printf("%8" PRIu64 " cuts: %s\n", power->hits[i], call_point_name(i, name));
    for (size_t i = 0; cuts_done >= 2000 && i < sizeof(must_hit) / sizeof(must_hit[0]); i++) {
        if (power->hits[must_hit[i]] == 0) {
            (void)printf("no cut: %s\n", call_point_name(must_hit[i], name));
            good = false;
        }
    }
    return good;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"cuts", required_argument, NULL, 'n'}, {"seed", required_argument, NULL, 's'}, {0}};
    static struct power power;
    char replay[80];
    uint64_t cuts = 100;
    int option;
    power.random = (uint64_t)time(NULL);
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == 'n')
            cuts = strtoull(optarg, NULL, 10);
        else if (option == 's')
            power.random = strtoull(optarg, NULL, 10);
        else
            return 2;
    }
    (void)snprintf(replay, sizeof(replay), "power_test --cuts %" PRIu64 " --seed %" PRIu64, cuts,
                   power.random);
    (void)printf("%s\n", replay);
    (void)fflush(stdout);
    power.replay = replay;
    use_memory_disk();
    calls.skip_syncs = true;
    fixture_begin(&power.fixture);
    store_file(&power.fixture, "../cut", power.cut_path);
    while (cuts_done < cuts)
        one_run(&power, cuts);
    bool good = print_hits(&power);
    (void)printf("%" PRIu64 " cuts in %u runs, %" PRIu64 " records offered, %" PRIu64
                 " of them lost\n",
                 cuts_done, power.runs, power.offered, power.lost);
    forget_store(&power);
    disk_free(power.disk);
    fixture_end(&power.fixture);
    return good ? 0 : 1;
}
