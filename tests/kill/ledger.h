/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the processes of the kill test know of each other, in memory that they share and that no
 * kill takes away. A writer notes what it is about to send before it sends it, and what was
 * acknowledged after: so whatever a kill interrupts was sent, and need not have been acknowledged.
 */
#ifndef TESTS_KILL_LEDGER_H
#define TESTS_KILL_LEDGER_H

#include "beck.h"

#include <stdatomic.h>

#define LEDGER_WRITERS    10
#define LEDGER_PARTITIONS 4
#define LEDGER_READERS    4
#define LEDGER_MAKERS     2
#define LEDGER_GROUPS     2
#define LEDGER_RESENDERS  2                   /* the last ones of the writers */
#define LEDGER_BATCH      20000               /* bytes */
#define LEDGER_ACKS       ((uint32_t)1 << 18) /* of one writer in one partition */
#define MAKER_RECORDS     3

#define KEYED_WRITERS 2
#define KEYED_KEYS    100

#define KILL_TOPIC     "t"
#define KEYED_TOPIC    "keyed"   /* compacted */
#define TRIMMED_TOPIC  "trimmed" /* and with a retention by size */
#define KILL_MAP_BYTES ((uint64_t)64 << 20)

/* One batch that was acknowledged. */
struct acknowledged {
    uint32_t sequence;
    int64_t base_offset;
};

/* The batch that a producer with an id has sent last. Who takes over from one that was killed sends
 * it again: it must be in the log once. */
struct pending {
    atomic_uint size; /* 0: it was acknowledged */
    uint32_t records;
    int32_t base_sequence; /* of the producer's, of this or else of the next batch */
    uint8_t bytes[LEDGER_BATCH];
};

struct writer_ledger {
    _Atomic uint32_t
        sent[LEDGER_PARTITIONS]; /* sequence of the newest batch; may be there or not */
    _Atomic uint32_t count[LEDGER_PARTITIONS]; /* of acknowledged ones */
    struct acknowledged acknowledged[LEDGER_PARTITIONS][LEDGER_ACKS];
    struct pending pending[LEDGER_PARTITIONS];
};

/* Offsets that a group has committed. */
struct group_ledger {
    _Atomic int64_t sent[LEDGER_PARTITIONS]; /* may be there or not */
    _Atomic int64_t acknowledged[LEDGER_PARTITIONS];
};

/* What a reader has seen, in two copies of which the low bit of `turn` says the valid one. */
struct reader_ledger {
    atomic_uint turn;
    struct seen {
        int64_t next_offset; /* all before it was seen */
        uint64_t digest;     /* of all of it */
    } seen[2];
};

/* Who writes records with keys. */
struct keyed_writer {
    _Atomic uint32_t sent;            /* records */
    _Atomic int64_t ends[KEYED_KEYS]; /* the offset behind each key's last acknowledged record */
};

struct trimmed_ledger {
    _Atomic uint32_t sent;             /* records */
    _Atomic int64_t ends[LEDGER_ACKS]; /* the offset behind each; 0: it was not acknowledged */
    _Atomic int64_t start;             /* where the log was trimmed to */
};

enum maker_phase {
    MAKER_NONE,
    MAKER_CREATING,
    MAKER_CREATED, /* must be there */
    MAKER_FILLED,  /* with its records */
    MAKER_DELETING,
    MAKER_DELETED, /* must not be there */
};

struct maker_ledger {
    atomic_uint phase;
    atomic_uint number; /* in the topic's name */
};

struct ledger {
    char path[128];    /* of the store */
    uint32_t gap_usec; /* the most that writers wait from batch to batch */
    atomic_bool stop;
    atomic_uint failures;
    struct writer_ledger writers[LEDGER_WRITERS];
    struct reader_ledger readers[LEDGER_READERS];
    struct maker_ledger makers[LEDGER_MAKERS];
    struct group_ledger groups[LEDGER_GROUPS];
    struct keyed_writer keyed_writers[KEYED_WRITERS];
    struct trimmed_ledger trimmed;
};

/* What a record's value begins with. */
struct stamp {
    uint32_t writer;
    uint32_t sequence; /* of the batch, from 1 */
    uint32_t index;    /* in the batch */
    uint32_t count;    /* of the batch */
};

/* Who is killed while he alone opens the store may leave nothing that shows that no record was
 * lost: then the log goes on far behind. */
static inline bool is_jump(int64_t due, int64_t offset)
{
    return offset - due >= (int64_t)1 << 25;
}

uint64_t digest_add(uint64_t digest, int64_t offset, const struct stamp *stamp);

/* The processes' programs. They return when they are told to stop; what fails is told on stderr and
 * counted. */
void run_writer(struct ledger *ledger, uint32_t index, unsigned seed);
void run_reader(struct ledger *ledger, uint32_t index, unsigned seed);
void run_maker(struct ledger *ledger, uint32_t index, unsigned seed);
void run_producer(struct ledger *ledger, uint32_t index, unsigned seed);
void run_group(struct ledger *ledger, uint32_t index, unsigned seed);
void run_maintainer(struct ledger *ledger, uint32_t index, unsigned seed);
void run_keyed_writer(struct ledger *ledger, uint32_t index, unsigned seed);
void run_keyed_reader(struct ledger *ledger, uint32_t index, unsigned seed);
void run_cleaner(struct ledger *ledger, uint32_t index, unsigned seed);
void run_trimmed_writer(struct ledger *ledger, uint32_t index, unsigned seed);
void run_trimmed_reader(struct ledger *ledger, uint32_t index, unsigned seed);
void run_trimmer(struct ledger *ledger, uint32_t index, unsigned seed);

/* Hold the store against the ledger; nobody else has it open. Returns the number of faults. */
unsigned check_store(struct ledger *ledger);
void check_keyed(struct ledger *ledger, struct beck_store *store);
void check_trimmed(struct ledger *ledger, struct beck_store *store);

__attribute__((format(printf, 2, 3))) void fault(struct ledger *ledger, const char *format, ...);

#endif
