/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is to know that a partition rang. The store's descriptor is the process's only one: the first
 * loop polls it, takes the numbers of the partitions that rang, and each is told to those that
 * listen to it: loops, for what is watched there (wake.h), and fetch sessions, which belong to none
 * and may be asleep: they find later what rang. So a ring costs as much as there are ears for that
 * partition, however many other partitions somebody waits for.
 *
 * Any thread; what is shared is under one lock, held for a few steps. Nothing is missed: who
 * listens arms the partition, then looks at it; whatever happens to it from then on rings, and is
 * in the descriptor before its appender goes on.
 */
#ifndef BECK_NETD_BELLS_H
#define BECK_NETD_BELLS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "settings.h"

/* Loops in one process. */
#define BELLS_MAX CONFIG_LOOPS_MAX
/* For bells_take(): nobody, so that all loops are rung. */
#define BELLS_NO_LOOP SIZE_MAX

struct beck_store;
struct hearer;

/* Listens to one partition; zeroed it does not. */
struct ear {
    LIST_ENTRY(ear) by_number;
    TAILQ_ENTRY(ear) link; /* in hearer->rung, if `rung` */
    struct hearer *hearer; /* NULL: it does not listen */
    uint32_t number;       /* beck_partition_bell() */
    bool rung;
    atomic_bool closed; /* set by who has it, without the lock: rings are not for it */
};

LIST_HEAD(ear_list, ear);
TAILQ_HEAD(rung_list, ear);

/* Somebody with ears. */
struct hearer {
    struct rung_list rung;    /* ears */
    struct bell *bell;        /* of the loop to wake; NULL: none, it looks on its own */
    TAILQ_ENTRY(hearer) link; /* in bell->hearers, if `queued` */
    bool queued;
    void (*told)(struct hearer *hearer); /* called by that loop */
};

struct bells {
    struct beck_store *store;
    size_t count;
    bool polling;             /* the store has no descriptor: nobody rings */
    int store_fd;             /* that the first loop polls */
    pthread_mutex_t mutex;    /* for all ears and hearers, and what follows */
    struct ear_list *numbers; /* ears, by number */
    struct bell {
        int fd;                       /* eventfd; -1: none */
        TAILQ_HEAD(, hearer) hearers; /* with ears that rang */
        bool wakes;                   /* the first of them came, and the loop has yet to be woken */
    } list[BELLS_MAX];
};

/* One bell for each of `count` loops. 0 or a negative errno; bells_done() comes in any case. */
int bells_init(struct bells *bells, size_t count, struct beck_store *store);
/* Nobody may listen any more. */
void bells_done(struct bells *bells);

void hearer_init(struct hearer *hearer, void (*told)(struct hearer *hearer));

/* From now on, until bells_forget(), the ear listens to the partition of that number. */
void bells_listen(struct bells *bells, struct ear *ear, struct hearer *hearer, uint32_t number);
/* Takes one that does not listen, too. */
void bells_forget(struct bells *bells, struct ear *ear);

/* Tells everybody what rang until now. Loops that have to know are woken, but for number `self`,
 * which goes on with bells_next(). */
void bells_take(struct bells *bells, size_t self);

/* The next hearer that rang of loop number `index`; NULL: none. */
struct hearer *bells_next(struct bells *bells, size_t index);
/* Takes up to `room` of its ears that rang. */
size_t bells_heard(struct bells *bells, struct hearer *hearer, struct ear **ret_ears, size_t room);

/* Have the loop number `index` told when one of the hearer's ears rings. False: one has. */
bool bells_wait(struct bells *bells, struct hearer *hearer, size_t index);
void bells_wait_no_more(struct bells *bells, struct hearer *hearer);

#endif
