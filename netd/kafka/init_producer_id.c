/* SPDX-License-Identifier: Apache-2.0
 *
 * InitProducerId: ids for idempotent producers. Transactions are not served: a transactional id is
 * answered with an error that no client tries again.
 */
#include "kafka/errors.h"
#include "kafka/handlers.h"
#include "log.h"
#include "loop.h"

/* On a worker: each thousandth id is a commit to disk. */
static void new_id(struct request *request)
{
    struct kafka_init_producer_id_response *response = request->response;
    struct beck_error error;
    int64_t id;
    int result = beck_producer_id_new(request->loop->broker->store, &id, &error);
    response->error_code = kafka_error_of(result);
    if (result >= 0)
        response->producer_id = id;
    else
        log_error("no producer id: %s", error.message);
}

void init_producer_id_handle(struct request *request)
{
    const struct kafka_init_producer_id_request *body = request->body;
    struct kafka_init_producer_id_response *response = request->response;
    if (!body->transactional_id.data) {
        request_submit(request, new_id);
        return;
    }
    response->error_code = KAFKA_UNSUPPORTED_VERSION;
    response->producer_epoch = -1;
    log_peer(&request->loop->log_limit, request->connection->peer,
             "asked for transactions, which are not served yet");
    request_ready(request);
}
