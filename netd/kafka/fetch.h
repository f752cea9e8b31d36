/* SPDX-License-Identifier: Apache-2.0
 *
 * What the loop calls for fetches that wait.
 */
#ifndef BECK_NETD_KAFKA_FETCH_H
#define BECK_NETD_KAFKA_FETCH_H

struct hearer;
struct loop;

/* Looks at the waiting fetches whose partitions moved, and answers those that have enough. */
void fetch_look_again(struct loop *loop);

/* A partition of a session rang, and a fetch waits with it. */
void fetch_session_rang(struct hearer *hearer);

#endif
