/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of processes. An entry is written by its owner only; a reader may see one half written,
 * which is the owner's name or time at worst. What a process waits for is read from the masks of
 * the slots, and who has a mutex from the mutex itself: it holds the owner's thread id.
 */
#include "process.h"

#include "check.h"
#include "cleanup.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- what the system says of a process ------------------------------------------------------ */

/* Read a small file of /proc as text. */
static bool read_text(const char *path, char *to, size_t size)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, to, size - 1);
    if (n <= 0)
        return false;
    to[n] = '\0';
    return true;
}

/* Our name as the kernel has it, and the time of our start; what cannot be found out stays as it
 * is. The name stands in brackets and may have some itself: the last one ends it. */
static void read_self(char name[LIVE_PROCESS_NAME_BYTES], int64_t *started_ms)
{
    char text[1024];
    struct timespec boot;
    unsigned long long ticks = 0;
    char *begin;
    char *end;
    if (!read_text("/proc/self/stat", text, sizeof(text)) || !(begin = strchr(text, '(')) ||
        !(end = strrchr(text, ')')))
        return;
    *end = '\0';
    (void)snprintf(name, LIVE_PROCESS_NAME_BYTES, "%s", begin + 1);
    /* Field 22; the state behind the name is field 3. */
    char *field = end + 2;
    for (int i = 3; field && i < 22; i++) {
        field = strchr(field, ' ');
        field = field ? field + 1 : NULL;
    }
    if (!field || sscanf(field, "%llu", &ticks) != 1 || clock_gettime(CLOCK_BOOTTIME, &boot) < 0)
        return;
    int64_t up_ms = (int64_t)boot.tv_sec * 1000 + boot.tv_nsec / 1000000;
    *started_ms = store_now_ms() - up_ms + (int64_t)ticks * 1000 / sysconf(_SC_CLK_TCK);
}

/* The process that a thread belongs to; 0: there is no such thread. */
static pid_t process_of_thread(pid_t thread)
{
    char path[40];
    char text[2048];
    int process = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)thread);
    const char *line = read_text(path, text, sizeof(text)) ? strstr(text, "\nTgid:") : NULL;
    return line && sscanf(line, "\nTgid: %d", &process) == 1 ? process : 0;
}

/* The thread that has a mutex; 0: nobody. */
static pid_t mutex_owner(const pthread_mutex_t *mutex)
{
    /* A robust mutex of glibc is a robust futex of the kernel's, which needs the owner in it. */
    const uint32_t owner_mask = 0x3fffffff;
    return (pid_t)((uint32_t)__atomic_load_n(&mutex->__data.__lock, __ATOMIC_RELAXED) & owner_mask);
}

/* ---- our entry ------------------------------------------------------------------------------ */

static struct live_process *own_entry(struct beck_store *store)
{
    return store->process < 0 ? NULL : &live_store(&store->live)->processes[store->process];
}

void process_enter(struct beck_store *store)
{
    for (int i = 0; i < LIVE_PROCESSES; i++) {
        if (store->io->lock(store->io, store->live_fd, LIVE_LOCK_PROCESS + (uint64_t)i,
                            IO_LOCK_EXCLUSIVE, false) < 0)
            continue;
        struct live_process *entry = &live_store(&store->live)->processes[i];
        memset(entry, 0, sizeof(*entry));
        atomic_store(&entry->doorbell, -1);
        entry->opened_ms = store_now_ms();
        read_self(entry->name, &entry->started_ms);
        atomic_store(&entry->pid, getpid());
        store->process = i;
        store->waiter.told = &entry->doorbell;
        return;
    }
}

void process_leave(struct beck_store *store)
{
    struct live_process *entry = own_entry(store);
    if (entry)
        atomic_store(&entry->pid, 0);
}

void process_set_role(struct beck_store *store, enum live_role role, bool has)
{
    struct live_process *entry = own_entry(store);
    if (entry && has)
        atomic_fetch_or(&entry->roles, (uint32_t)role);
    else if (entry)
        atomic_fetch_and(&entry->roles, ~(uint32_t)role);
}

/* ---- everybody's ---------------------------------------------------------------------------- */

static bool is_alive(const struct live *live, int index, int own)
{
    return atomic_load(&live_store(live)->processes[index].pid) != 0 &&
           (index == own ||
            live->io->lock_is_held(live->io, live->fd, LIVE_LOCK_PROCESS + (uint64_t)index) == 1);
}

/* What the owner of a doorbell wants to hear of. */
static void count_armed(const struct live *live, int doorbell, struct beck_process *process)
{
    const struct live_store *shared = live_store(live);
    uint64_t bit = doorbell < 0 || doorbell >= 64 ? 0 : 1ULL << doorbell;
    uint32_t slots = atomic_load(&shared->slots);
    process->has_doorbell = bit != 0;
    process->waits_for_topics = atomic_load(&shared->armed) & bit;
    for (uint32_t i = 1; bit && i < slots; i++)
        if (atomic_load_explicit(&live_slot(live, i)->armed, memory_order_relaxed) & bit)
            process->waits_for_partitions++;
}

int process_next(struct beck_store *store, uint32_t *position, struct beck_process *ret_process)
{
    const struct live *live = &store->live;
    if (store->is_private)
        return 0;
    pid_t maintainer = process_of_thread(mutex_owner(&live_store(live)->maintenance));
    for (; *position < LIVE_PROCESSES; (*position)++) {
        const struct live_process *entry = &live_store(live)->processes[*position];
        if (!is_alive(live, (int)*position, store->process))
            continue;
        uint32_t roles = atomic_load(&entry->roles);
        struct beck_process process = {
            .pid = atomic_load(&entry->pid),
            .started_ms = entry->started_ms,
            .opened_ms = entry->opened_ms,
            .is_broker = roles & LIVE_ROLE_BROKER,
            .is_cleaner = roles & LIVE_ROLE_CLEANER,
        };
        process.is_maintaining = process.pid == maintainer;
        (void)snprintf(process.name, sizeof(process.name), "%.*s", LIVE_PROCESS_NAME_BYTES - 1,
                       entry->name);
        count_armed(live, atomic_load(&entry->doorbell), &process);
        (*position)++;
        *ret_process = process;
        return 1;
    }
    return 0;
}

/* Which lock stands at a position: of slot 0 there is one, of the others two. */
static const pthread_mutex_t *lock_at(const struct live *live, uint32_t position,
                                      enum beck_lock_kind *ret_kind)
{
    const struct live_slot *slot = live_slot(live, (position + 1) / 2);
    if (position == 0) {
        *ret_kind = BECK_LOCK_MAINTENANCE;
        return &live_store(live)->maintenance;
    }
    *ret_kind = position % 2 ? BECK_LOCK_APPEND : BECK_LOCK_SYNC;
    return position % 2 ? &slot->append_mutex : &slot->sync_mutex;
}

int process_lock_next(struct beck_store *store, uint32_t *position, struct beck_lock *ret_lock)
{
    const struct live *live = &store->live;
    uint32_t slots = atomic_load(&live_store(live)->slots);
    if (store->is_private)
        return 0;
    while (*position < 2 * slots - 1) {
        struct beck_lock lock = {.partition = -1};
        const struct live_slot *slot = live_slot(live, (*position + 1) / 2);
        /* Until somebody has a slot its locks are not there. */
        if (*position > 0 && atomic_load(&slot->topic_number) == 0) {
            (*position)++;
            continue;
        }
        lock.thread = mutex_owner(lock_at(live, (*position)++, &lock.kind));
        if (lock.thread == 0)
            continue;
        lock.pid = process_of_thread(lock.thread);
        if (lock.kind != BECK_LOCK_MAINTENANCE) {
            lock.partition = (int32_t)atomic_load(&slot->partition);
            live_slot_topic_id(slot, lock.topic_id);
        }
        *ret_lock = lock;
        return 1;
    }
    return 0;
}

void process_names(const struct live *live, int own, char *to, size_t size)
{
    size_t used = 0;
    to[0] = '\0';
    for (int i = 0; i < LIVE_PROCESSES && used < size; i++) {
        const struct live_process *entry = &live_store(live)->processes[i];
        if (is_alive(live, i, own))
            used += (size_t)snprintf(to + used, size - used, "%s%.*s (%d)", used ? ", " : "",
                                     LIVE_PROCESS_NAME_BYTES - 1, entry->name,
                                     (int)atomic_load(&entry->pid));
    }
}
