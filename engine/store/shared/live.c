/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared slots: mapping and growing their file, publishing and reading what they hold. Knows
 * nothing of topics; who may call what under which lock is said in live.h.
 */
#include "live.h"

#include "check.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each append takes the checksum of a tail: code made for its very size saves it 4 ns. */
#define XXH_INLINE_ALL
#include <xxhash.h>

/* What is read without a lock is copied in words of 8 bytes, each of them whole. */
static void words_load(void *to, const void *from, size_t bytes)
{
    uint64_t *words = to;
    const uint64_t *shared = from;
    for (size_t i = 0; i < bytes / sizeof(*words); i++)
        words[i] = __atomic_load_n(&shared[i], __ATOMIC_RELAXED);
}

static void words_store(void *to, const void *from, size_t bytes)
{
    uint64_t *shared = to;
    const uint64_t *words = from;
    for (size_t i = 0; i < bytes / sizeof(*words); i++)
        __atomic_store_n(&shared[i], words[i], __ATOMIC_RELAXED);
}

#define LIVE_MAP_BYTES ((size_t)LIVE_SLOTS_MAX * LIVE_SLOT_BYTES)

int live_map(struct live *live, const struct io *io, int fd, bool writable)
{
    void *address;
    int r = io->map(io, fd, LIVE_MAP_BYTES, writable, &address);
    if (r < 0)
        return r;
    *live = (struct live){
        .io = io, .fd = fd, .address = address, .bytes = LIVE_MAP_BYTES, .writable = writable};
    return 0;
}

int live_map_private(struct live *live, const struct io *io, uint32_t slots)
{
    size_t bytes = (size_t)slots * LIVE_SLOT_BYTES;
    void *address = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED)
        return -errno;
    *live = (struct live){.io = io, .fd = -1, .address = address, .bytes = bytes, .writable = true};
    return 0;
}

void live_unmap(struct live *live)
{
    if (live->address)
        (void)munmap(live->address, live->bytes);
    *live = (struct live){.fd = -1};
}

static int read_boot_id(uint8_t to[16])
{
    char text[64] = {0};
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return -ENODEV;
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(text, (size_t)n));
    memcpy(to, canonical.digest, 16);
    return 0;
}

static uint64_t pid_namespace_inode(void)
{
    struct stat info;
    return stat("/proc/self/ns/pid", &info) < 0 ? 0 : info.st_ino;
}

static int robust_mutex_init(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;
    int r = pthread_mutexattr_init(&attributes);
    if (r != 0)
        return -r;
    CHECK(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
    memset(mutex, 0, sizeof(*mutex));
    r = pthread_mutex_init(mutex, &attributes);
    (void)pthread_mutexattr_destroy(&attributes);
    return -r;
}

/* Have a file of at least the first slots, empty but for what is of this boot. */
static int live_format_file(struct live *live, uint32_t *ret_slots, struct stat *ret_info)
{
    const struct io *io = live->io;
    uint64_t least = (uint64_t)LIVE_GROW_SLOTS * LIVE_SLOT_BYTES;
    int r = live_is_of_this_boot(live) ? 0 : io->truncate(io, live->fd, 0);
    if (r == 0)
        io_write_in_place(live->fd);
    if (r == 0)
        r = io->stat(io, live->fd, ret_info);
    if (r == 0 && (uint64_t)ret_info->st_size > least)
        least = (uint64_t)ret_info->st_size;
    if (r == 0)
        r = io->allocate(io, live->fd, least);
    *ret_slots = (uint32_t)(least / LIVE_SLOT_BYTES);
    return r;
}

int live_format(struct live *live, struct beck_error *error)
{
    struct live_store *store = live_store(live);
    struct stat info = {0};
    uint32_t slots = (uint32_t)(live->bytes / LIVE_SLOT_BYTES);
    bool is_good = live_is_of_this_boot(live);
    /* So that processes that come one after the other take turns, too. */
    uint64_t round_robin = is_good ? atomic_load(&store->round_robin) : 0;
    int r = live->fd >= 0 ? live_format_file(live, &slots, &info) : 0;
    if (r < 0)
        return report_errno(error, r, "live: cannot make room for the slots");
    struct live_store fresh = {
        .version = LIVE_VERSION,
        .slot_bytes = LIVE_SLOT_BYTES,
        .device = info.st_dev,
        .inode = info.st_ino,
        .pid_namespace = pid_namespace_inode(),
        .generation = 1,
        .round_robin = round_robin,
        .slots = slots,
    };
    /* What the slots prove they prove until each is made anew: what says so is there all the time,
     * whoever is killed when. */
    if (is_good) {
        fresh.magic = LIVE_MAGIC;
        memcpy(fresh.boot_id, live->boot_id, sizeof(fresh.boot_id));
    }
    memcpy(store, &fresh, sizeof(fresh));
    r = robust_mutex_init(&store->maintenance);
    if (r < 0)
        return report_errno(error, r, "live: cannot be set up");
    store->magic = LIVE_MAGIC;
    return 0;
}

int live_vouch(struct live *live)
{
    return read_boot_id(live_store(live)->boot_id);
}

int live_verify(const struct live *live, struct beck_error *error)
{
    const struct live_store *store = live_store(live);
    struct stat info;
    int r = live->io->stat(live->io, live->fd, &info);
    if (r < 0)
        return report_errno(error, r, "live: cannot be read");
    if (info.st_size < LIVE_SLOT_BYTES || store->magic != LIVE_MAGIC)
        return report(error, -EBADMSG, "live: is not what another process has written");
    if (store->version != LIVE_VERSION || store->slot_bytes != LIVE_SLOT_BYTES)
        return report(error, -EPROTONOSUPPORT,
                      "live: another beck of version %u has the store open; close it first",
                      store->version);
    if (store->pid_namespace != pid_namespace_inode())
        return report(error, -ENODEV,
                      "the store is open in another pid namespace, which cannot share its locks");
    if ((uint64_t)info.st_size < (uint64_t)atomic_load(&store->slots) * LIVE_SLOT_BYTES)
        return report(error, -EBADMSG, "live: is shorter than its slots");
    return 0;
}

bool live_is_of_this_boot(struct live *live)
{
    const struct live_store *store = live_store(live);
    struct stat info;
    if (!live->has_boot_id)
        live->has_boot_id = read_boot_id(live->boot_id) == 0;
    return live->fd >= 0 && live->io->stat(live->io, live->fd, &info) == 0 &&
           info.st_size >= LIVE_SLOT_BYTES && store->magic == LIVE_MAGIC &&
           store->version == LIVE_VERSION && store->slot_bytes == LIVE_SLOT_BYTES &&
           store->device == info.st_dev && store->inode == info.st_ino &&
           (uint64_t)info.st_size >= (uint64_t)atomic_load(&store->slots) * LIVE_SLOT_BYTES &&
           live->has_boot_id && memcmp(live->boot_id, store->boot_id, sizeof(live->boot_id)) == 0;
}

int live_grow(struct live *live, uint32_t slot)
{
    struct live_store *store = live_store(live);
    uint32_t slots = atomic_load(&store->slots);
    if (slot < slots)
        return 0;
    if (slot >= LIVE_SLOTS_MAX)
        return -EMSGSIZE;
    uint32_t wanted = (slot / LIVE_GROW_SLOTS + 1) * LIVE_GROW_SLOTS;
    if (wanted > LIVE_SLOTS_MAX)
        wanted = LIVE_SLOTS_MAX;
    int r = live->io->allocate(live->io, live->fd, (uint64_t)wanted * LIVE_SLOT_BYTES);
    if (r < 0)
        return r;
    atomic_store(&store->slots, wanted);
    return 0;
}

static void ring_write_begin(struct live_slot *slot);
static void ring_write_end(struct live_slot *slot);

static void slot_fill(struct live_slot *slot, const struct beck_topic *topic, uint32_t partition,
                      const struct live_tail *tail)
{
    struct live_tail copy = *tail;
    slot->topic_number = topic->number;
    slot->partition = partition;
    uint64_t id[2];
    memcpy(id, topic->id, sizeof(id));
    words_store(slot->topic_id, id, sizeof(id));
    atomic_store(&slot->synced_offset, tail->end.offset);
    /* Of an empty segment the file may not be there, or not in a synced directory. */
    atomic_store(&slot->synced_segment, tail->end.segment - (tail->end.position == 0));
    atomic_store(&slot->checkpoint_offset, tail->end.offset);
    atomic_store(&slot->reserved_offset, tail->end.offset); /* who knows of more says so */
    atomic_store(&slot->log_start_offset, tail->log_start.offset);
    live_tail_publish(slot, &copy);
}

void live_slot_topic_id(const struct live_slot *slot, uint8_t ret_id[16])
{
    uint64_t id[2];
    words_load(id, slot->topic_id, sizeof(id));
    memcpy(ret_id, id, sizeof(id));
}

/* The slot is all zero, but for its flags. */
static int slot_begin(struct live_slot *slot, const struct beck_topic *topic, uint32_t partition,
                      const struct live_tail *tail)
{
    int r = robust_mutex_init(&slot->append_mutex);
    if (r == 0)
        r = robust_mutex_init(&slot->sync_mutex);
    if (r < 0)
        return r;
    slot_fill(slot, topic, partition, tail);
    return 0;
}

int live_slot_init(struct live_slot *slot, const struct beck_topic *topic, uint32_t partition,
                   const struct live_tail *tail, unsigned flags)
{
    enum { BEHIND_FLAGS = offsetof(struct live_slot, flags) + sizeof(slot->flags) };
    atomic_store(&slot->flags, flags);
    memset(slot, 0, offsetof(struct live_slot, flags));
    memset((char *)slot + BEHIND_FLAGS, 0, LIVE_SLOT_BYTES - BEHIND_FLAGS);
    return slot_begin(slot, topic, partition, tail);
}

int live_slot_take(struct live_slot *slot, const struct beck_topic *topic, uint32_t partition,
                   const struct live_tail *tail)
{
    if (slot->topic_number == 0)
        return slot_begin(slot, topic, partition, tail);
    (void)live_lock(&slot->sync_mutex);
    (void)live_lock(&slot->append_mutex);
    atomic_store(&slot->dirty_ms, 0);
    atomic_store(&slot->dirty_bytes, 0);
    atomic_store(&slot->unsynced_bytes, 0);
    atomic_store(&slot->rolled_begin, atomic_load(&slot->rolled_end));
    ring_write_begin(slot);
    slot->ring_count = 0;
    ring_write_end(slot);
    slot_fill(slot, topic, partition, tail);
    atomic_store(&slot->flags, 0);
    live_unlock(&slot->append_mutex);
    live_unlock(&slot->sync_mutex);
    return 0;
}

int live_lock(pthread_mutex_t *mutex)
{
    int r = pthread_mutex_lock(mutex);
    if (LIKELY(r == 0))
        return 0;
    CHECK(r == EOWNERDEAD);
    CHECK(pthread_mutex_consistent(mutex) == 0);
    return 1;
}

int live_trylock(pthread_mutex_t *mutex)
{
    int r = pthread_mutex_trylock(mutex);
    if (r == EBUSY)
        return -EBUSY;
    if (r == 0)
        return 0;
    CHECK(r == EOWNERDEAD);
    CHECK(pthread_mutex_consistent(mutex) == 0);
    return 1;
}

void live_unlock(pthread_mutex_t *mutex)
{
    CHECK(pthread_mutex_unlock(mutex) == 0);
}

/* ---- the tail ----------------------------------------------------------------------------- */

static uint64_t tail_checksum(const struct live_tail *tail)
{
    return XXH3_64bits(tail, offsetof(struct live_tail, checksum));
}

int live_tail_read(const struct live_slot *slot, struct live_tail *ret_tail)
{
    uint32_t generation = atomic_load_explicit(&slot->generation, memory_order_acquire);
    for (;;) {
        words_load(ret_tail, &slot->tails[generation & 1], sizeof(*ret_tail));
        if (LIKELY(tail_checksum(ret_tail) == ret_tail->checksum))
            return 0;
        /* The copy was overwritten while we read it, which takes two publications. */
        atomic_thread_fence(memory_order_acquire);
        uint32_t now = atomic_load_explicit(&slot->generation, memory_order_acquire);
        if (now == generation)
            return -EBADMSG;
        generation = now;
    }
}

struct live_tail live_tail_empty(int64_t now_ms)
{
    return (struct live_tail){
        .max_timestamp_ms = INT64_MIN,
        .segments_generation = 1,
        .view_generation = (uint64_t)now_ms,
        .append_ms = now_ms,
    };
}

void live_tail_publish(struct live_slot *slot, struct live_tail *tail)
{
    uint32_t generation = atomic_load_explicit(&slot->generation, memory_order_relaxed) + 1;
    tail->checksum = tail_checksum(tail);
    /* Who meets a word of this copy is to see that the generation moved to the other one before. */
    atomic_thread_fence(memory_order_release);
    words_store(&slot->tails[generation & 1], tail, sizeof(*tail));
    atomic_store_explicit(&slot->generation, generation, memory_order_release);
}

/* ---- the ring of newest index entries ------------------------------------------------------ */

static void ring_write_begin(struct live_slot *slot)
{
    /* A writer that died here left it odd; |1 makes it odd in any case. */
    uint32_t version = atomic_load_explicit(&slot->ring_version, memory_order_relaxed);
    atomic_store_explicit(&slot->ring_version, (version + 1) | 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void ring_write_end(struct live_slot *slot)
{
    uint32_t version = atomic_load_explicit(&slot->ring_version, memory_order_relaxed);
    atomic_store_explicit(&slot->ring_version, version + 1, memory_order_release);
}

void live_ring_add(struct live_slot *slot, const struct index_entry *entry)
{
    ring_write_begin(slot);
    if (slot->ring_count >= LIVE_RING_ENTRIES) {
        for (uint32_t i = 1; i < LIVE_RING_ENTRIES / 2; i++)
            words_store(&slot->ring[i], &slot->ring[2 * i], sizeof(slot->ring[i]));
        slot->ring_count = LIVE_RING_ENTRIES / 2;
    }
    words_store(&slot->ring[slot->ring_count], entry, sizeof(*entry));
    slot->ring_count++;
    ring_write_end(slot);
}

/* Let the first `count` entries go. */
static void ring_drop(struct live_slot *slot, uint32_t count)
{
    if (count == 0)
        return;
    ring_write_begin(slot);
    slot->ring_count -= count;
    for (uint32_t i = 0; i < slot->ring_count; i++)
        words_store(&slot->ring[i], &slot->ring[i + count], sizeof(slot->ring[i]));
    ring_write_end(slot);
}

void live_ring_trim(struct live_slot *slot, int64_t offset)
{
    uint32_t keep = 0;
    while (keep + 1 < slot->ring_count && slot->ring[keep + 1].offset <= offset)
        keep++;
    ring_drop(slot, keep);
}

void live_ring_forget(struct live_slot *slot, int64_t offset)
{
    uint32_t count = 0;
    while (count < slot->ring_count && slot->ring[count].offset < offset)
        count++;
    ring_drop(slot, count);
}

uint32_t live_ring_read(const struct live_slot *slot, struct index_entry to[LIVE_RING_ENTRIES])
{
    enum { TRIES = 8 };
    for (int i = 0; i < TRIES; i++) {
        uint32_t version = atomic_load_explicit(&slot->ring_version, memory_order_acquire);
        if (version & 1)
            continue;
        uint32_t count = slot->ring_count;
        if (count > LIVE_RING_ENTRIES)
            continue;
        words_load(to, slot->ring, count * sizeof(to[0]));
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&slot->ring_version, memory_order_relaxed) == version)
            return count;
    }
    return 0;
}

/* ---- rolled segments ----------------------------------------------------------------------- */

static uint64_t rolled_checksum(const struct live_rolled *rolled)
{
    return XXH3_64bits(rolled, offsetof(struct live_rolled, checksum));
}

bool live_rolled_has_room(const struct live_slot *slot)
{
    return atomic_load(&slot->rolled_end) - atomic_load(&slot->rolled_begin) < LIVE_ROLLED_MAX;
}

void live_rolled_add(struct live_slot *slot, struct live_rolled *rolled)
{
    uint32_t end = atomic_load(&slot->rolled_end);
    rolled->checksum = rolled_checksum(rolled);
    words_store(&slot->rolled[end % LIVE_ROLLED_MAX], rolled, sizeof(*rolled));
    atomic_store(&slot->rolled_end, end + 1);
}

void live_rolled_forget(struct live_slot *slot, int64_t offset)
{
    uint32_t begin = atomic_load(&slot->rolled_begin);
    uint32_t end = atomic_load(&slot->rolled_end);
    while (begin != end && slot->rolled[begin % LIVE_ROLLED_MAX].base_offset < offset)
        begin++;
    atomic_store(&slot->rolled_begin, begin);
}

void live_slot_mend(struct live_slot *slot)
{
    const struct live_tail *tail = live_tail_locked(slot);
    uint32_t end = atomic_load(&slot->rolled_end);
    bool torn = atomic_load(&slot->ring_version) & 1;
    /* Noted as rolled, but the tail that says so was not published: it goes on as it was. */
    if (end != atomic_load(&slot->rolled_begin) &&
        slot->rolled[(end - 1) % LIVE_ROLLED_MAX].base_offset >= tail->end.segment)
        atomic_store(&slot->rolled_end, end - 1);
    /* An entry for a batch that was not published; or a ring that was being moved. */
    ring_write_begin(slot);
    if (torn)
        slot->ring_count = 0;
    while (slot->ring_count > 0 && slot->ring[slot->ring_count - 1].offset >= tail->end.offset)
        slot->ring_count--;
    ring_write_end(slot);
}

uint32_t live_rolled_read(const struct live_slot *slot, struct live_rolled to[LIVE_ROLLED_MAX])
{
    /* A torn entry is one that is being taken out; an entry that stays torn is passed over. */
    enum { TRIES = 1000 };
    uint32_t count = 0;
    bool good = false;
    for (int tries = 0; !good && tries < TRIES; tries++) {
        /* begin first: entries only go once they are in the catalogue, which is read after this. */
        uint32_t begin = atomic_load(&slot->rolled_begin);
        uint32_t end = atomic_load(&slot->rolled_end);
        count = 0;
        good = end - begin <= LIVE_ROLLED_MAX;
        for (uint32_t i = begin; good && i != end; i++) {
            words_load(&to[count], &slot->rolled[i % LIVE_ROLLED_MAX], sizeof(to[0]));
            good = rolled_checksum(&to[count]) == to[count].checksum;
            count++;
        }
        good = good && atomic_load(&slot->rolled_begin) == begin;
    }
    return good ? count : count > 0 ? count - 1 : 0;
}
