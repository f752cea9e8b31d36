/* SPDX-License-Identifier: Apache-2.0
 *
 * Charging requests; see throttle.h.
 */
#include "throttle.h"

#include <string.h>

#include "clock.h"
#include "connection.h"
#include "loop.h"

#define PERCENT_OF_NSEC (100.0 / 1e9) /* of a second */

static struct quotas *quotas_of(const struct request *request)
{
    return &request->loop->broker->quotas;
}

static void wait_at_least(struct request *request, int32_t wait_ms)
{
    if (wait_ms > request->throttle_ms)
        request->throttle_ms = wait_ms;
}

void throttle_handle(struct request *request, void (*handle)(struct request *request), size_t size)
{
    struct quotas *quotas = quotas_of(request);
    request->client =
        quotas_client_take(quotas, request->client_id.data, request->client_id.length);
    if (!request->client) {
        handle(request);
        return;
    }
    if (request->api->key == KAFKA_API_PRODUCE) {
        wait_at_least(request, quotas_charge(quotas, request->client, BECK_QUOTA_PRODUCER_BYTE_RATE,
                                             (double)size));
        connection_throttle(request->connection, request->throttle_ms);
    }
    int64_t begin_nsec = clock_nsec();
    handle(request);
    request->loop_nsec += clock_nsec() - begin_nsec;
}

void throttle_work(struct request *request)
{
    int64_t begin_nsec = clock_nsec();
    request->work_run(request);
    request->worker_nsec += clock_nsec() - begin_nsec;
}

/* Where the message has it; which versions tell it, the codec knows. */
static void tell(struct request *request)
{
    int32_t at = request->api->throttle_time_at;
    if (at >= 0 && request->response)
        memcpy((char *)request->response + at, &request->throttle_ms, sizeof(int32_t));
}

void throttle_answer(struct request *request)
{
    struct quotas *quotas = quotas_of(request);
    double percent = (double)(request->loop_nsec + request->worker_nsec) * PERCENT_OF_NSEC;
    if (request->record_bytes > 0)
        wait_at_least(request, quotas_charge(quotas, request->client, BECK_QUOTA_CONSUMER_BYTE_RATE,
                                             (double)request->record_bytes));
    if (!request->silent)
        wait_at_least(request, quotas_charge(quotas, request->client, BECK_QUOTA_REQUEST_PERCENTAGE,
                                             percent));
    if (request->throttle_ms == 0)
        return;
    tell(request);
    connection_throttle(request->connection, request->throttle_ms);
}

void throttle_forget(struct request *request)
{
    quotas_client_give(quotas_of(request), request->client);
    request->client = NULL;
}

bool throttle_fetch(struct request *request, size_t *most_bytes)
{
    double most;
    int32_t wait_ms =
        quotas_wait_ms(quotas_of(request), request->client, BECK_QUOTA_CONSUMER_BYTE_RATE, &most);
    wait_at_least(request, wait_ms);
    if (most < (double)*most_bytes)
        *most_bytes = (size_t)most;
    return wait_ms > 0;
}

bool throttle_mutation(struct request *request, size_t partitions, bool is_strict)
{
    if (!request->client)
        return true;
    int32_t wait_ms =
        quotas_mutate(quotas_of(request), request->client, (uint32_t)partitions, is_strict);
    wait_at_least(request, wait_ms);
    return wait_ms == 0 || !is_strict;
}
