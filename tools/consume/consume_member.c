/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beck consume --group, at a broker or cluster: a member of a consumer group, by librdkafka. What
 * it prints is committed once it was written out: each second, before partitions are given up, and
 * at the end. So who is killed may print some records again when it goes on, but leaves none out.
 */
#include "consume.h"

#include "cluster.h"
#include "cluster_record.h"
#include "parse.h"
#include "signals.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum {
    POLL_MS = 100,
    COMMIT_MS = 1000,
    AGAIN_MS = 100,
};

struct member {
    struct consume *consume;
    const struct tool *tool;
    rd_kafka_t *client;
    struct headers headers;
    /* What it was given; `err` says of each whether its end was come to. NULL: nothing yet. */
    rd_kafka_topic_partition_list_t *assigned;
    int64_t committed_ms;
    int64_t heard_ms; /* when something came, or it was given partitions */
    int64_t gone_ms;
    bool is_dirty; /* records were printed and not committed */
    int64_t printed;
};

/* ---- commits ------------------------------------------------------------------------------ */

/* The group went on without this member, which is told so next, and joins again: what it could not
 * commit is read again, by itself or another. */
static bool was_left_behind(rd_kafka_resp_err_t wrong)
{
    return wrong == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION ||
           wrong == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
           wrong == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS;
}

/* What librdkafka overcomes by itself is none of ours: brokers that go and come, and a coordinator
 * that moves, which it gives three tries only where it commits. */
static bool passes_over(rd_kafka_resp_err_t wrong)
{
    return wrong == RD_KAFKA_RESP_ERR__TRANSPORT || wrong == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
           wrong == RD_KAFKA_RESP_ERR__RESOLVE || wrong == RD_KAFKA_RESP_ERR__TIMED_OUT ||
           wrong == RD_KAFKA_RESP_ERR__WAIT_COORD || wrong == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT ||
           wrong == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS ||
           wrong == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
           wrong == RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
}

/* The last commit is worth some patience, also where a signal ends it: a second signal kills. */
static rd_kafka_resp_err_t commit_at_last(const struct member *member)
{
    const struct timespec rest = {.tv_nsec = AGAIN_MS * 1000000L};
    int64_t since_ms = parse_now_ms();
    rd_kafka_resp_err_t wrong;

    while (passes_over(wrong = rd_kafka_commit(member->client, NULL, 0)) &&
           parse_now_ms() - since_ms < CLUSTER_PATIENCE_MS)
        (void)nanosleep(&rest, NULL);
    return wrong;
}

/* Write out what was printed, and commit the offsets behind it. */
static int commit(struct member *member, bool is_last)
{
    if (!member->is_dirty)
        return TOOL_OK;
    output_flush(&member->consume->output);
    if (output_failed(&member->consume->output))
        return TOOL_OK; /* which output_finish() says */
    rd_kafka_resp_err_t wrong =
        is_last ? commit_at_last(member) : rd_kafka_commit(member->client, NULL, 0);
    member->committed_ms = parse_now_ms();
    if (!is_last && passes_over(wrong))
        return TOOL_OK; /* with the next ones */
    member->is_dirty = false;
    if (wrong && wrong != RD_KAFKA_RESP_ERR__NO_OFFSET && (is_last || !was_left_behind(wrong)))
        return tool_failed("group %s: cannot commit: %s", member->consume->group,
                           cluster_why(wrong));
    return TOOL_OK;
}

/* ---- partitions --------------------------------------------------------------------------- */

static void forget(struct member *member, const rd_kafka_topic_partition_list_t *partitions)
{
    for (int i = 0; i < partitions->cnt; i++)
        (void)rd_kafka_topic_partition_list_del(member->assigned, partitions->elems[i].topic,
                                                partitions->elems[i].partition);
}

static void give(struct member *member, rd_kafka_topic_partition_list_t *partitions)
{
    if (strcmp(rd_kafka_rebalance_protocol(member->client), "COOPERATIVE") == 0)
        rd_kafka_error_destroy(rd_kafka_incremental_assign(member->client, partitions));
    else
        (void)rd_kafka_assign(member->client, partitions);
    member->heard_ms = parse_now_ms();
    if (member->assigned == NULL)
        member->assigned = rd_kafka_topic_partition_list_new(partitions->cnt);
    for (int i = 0; i < partitions->cnt; i++)
        rd_kafka_topic_partition_list_add(member->assigned, partitions->elems[i].topic,
                                          partitions->elems[i].partition);
}

static void take(struct member *member, rd_kafka_topic_partition_list_t *partitions)
{
    if (!rd_kafka_assignment_lost(member->client))
        (void)commit(member, false); /* where that fails, the next one reads these records again */
    member->is_dirty = false;
    if (strcmp(rd_kafka_rebalance_protocol(member->client), "COOPERATIVE") == 0)
        rd_kafka_error_destroy(rd_kafka_incremental_unassign(member->client, partitions));
    else
        (void)rd_kafka_assign(member->client, NULL);
    if (member->assigned != NULL)
        forget(member, partitions);
}

static void rebalance(rd_kafka_t *client, rd_kafka_resp_err_t what,
                      rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct member *member = opaque;

    (void)client;
    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        give(member, partitions);
    else
        take(member, partitions);
}

static void set_at_end(struct member *member, const rd_kafka_message_t *message, bool at_end)
{
    if (member->assigned == NULL)
        return;
    rd_kafka_topic_partition_t *found = rd_kafka_topic_partition_list_find(
        member->assigned, rd_kafka_topic_name(message->rkt), message->partition);
    if (found != NULL)
        found->err = at_end ? RD_KAFKA_RESP_ERR__PARTITION_EOF : RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Has it read everything that is its to read? Also where others have it all. */
static bool at_end(const struct member *member)
{
    if (member->assigned == NULL)
        return false;
    for (int i = 0; i < member->assigned->cnt; i++) {
        if (!member->assigned->elems[i].err)
            return false;
    }
    return true;
}

/* ---- records ------------------------------------------------------------------------------ */

static int take_record(struct member *member, const rd_kafka_message_t *message)
{
    struct beck_record record;

    int result = cluster_record(message, &member->headers, &record);
    if (result == 0)
        result = consume_print(member->consume, &record, message->partition);
    if (result < 0)
        return tool_failed("partition %d offset %lld: %s", (int)message->partition,
                           (long long)message->offset, strerror(-result));
    member->printed += result;
    member->is_dirty = true;
    set_at_end(member, message, false);
    (void)rd_kafka_offset_store(message->rkt, message->partition, message->offset);
    return TOOL_OK;
}

static int take_message(struct member *member, const rd_kafka_message_t *message)
{
    if (!message->err || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        member->heard_ms = parse_now_ms();
    if (!message->err)
        return take_record(member, message);
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        set_at_end(member, message, true);
        return TOOL_OK;
    }
    if (passes_over(message->err))
        return TOOL_OK;
    return tool_failed("group %s: %s", member->consume->group, rd_kafka_message_errstr(message));
}

/* Nothing comes of what is its to read, and not even that there is nothing. */
static int check_gone(const struct member *member)
{
    if (member->consume->follow || member->assigned == NULL || at_end(member) ||
        parse_now_ms() - member->heard_ms < member->gone_ms)
        return TOOL_OK;
    return tool_failed("group %s: no broker gave anything of topic %s for %d s",
                       member->consume->group, member->consume->topic,
                       (int)(member->gone_ms / 1000));
}

static int read_records(struct member *member)
{
    const struct consume *consume = member->consume;
    int code = TOOL_OK;

    while (code == TOOL_OK && !signals_caught() && !output_failed(&consume->output) &&
           member->printed < consume->count && (consume->follow || !at_end(member))) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(member->client, POLL_MS);
        if (message != NULL) {
            code = take_message(member, message);
            rd_kafka_message_destroy(message);
        } else {
            code = check_gone(member);
        }
        if (message == NULL || parse_now_ms() - member->committed_ms >= COMMIT_MS) {
            int committed = commit(member, false);
            code = code != TOOL_OK ? code : committed;
        }
    }
    int committed = commit(member, true);
    return code != TOOL_OK ? code : committed;
}

/* ---- joining ------------------------------------------------------------------------------ */

static int join(struct member *member)
{
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(topics, member->consume->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t wrong = rd_kafka_subscribe(member->client, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return wrong ? tool_failed("group %s: %s", member->consume->group, cluster_why(wrong))
                 : TOOL_OK;
}

int consume_as_member(const struct tool *tool, struct consume *consume)
{
    struct member member = {.consume = consume,
                            .tool = tool,
                            .committed_ms = parse_now_ms(),
                            .gone_ms = cluster_gone_ms(tool, "socket.timeout.ms")};
    const struct cluster_calls calls = {.rebalance = rebalance, .opaque = &member};
    const struct cluster_setting settings[] = {
        {"group.id", consume->group},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"enable.partition.eof", "true"},
        {"auto.offset.reset", consume->start.from == MERGE_END ? "latest" : "earliest"},
        {"isolation.level",
         consume->isolation == BECK_READ_COMMITTED ? "read_committed" : "read_uncommitted"},
        {NULL, NULL},
    };
    struct beck_error error;
    uint32_t count = 0;

    if (cluster_client_new(tool, RD_KAFKA_CONSUMER, settings, &calls, &member.client, &error) < 0)
        return tool_failed_error(&error);
    (void)rd_kafka_poll_set_consumer(member.client);
    int code = cluster_find_topic(tool, member.client, consume->topic, &count);
    consume->several = count > 1;
    if (code == TOOL_OK)
        code = join(&member);
    if (code == TOOL_OK)
        code = read_records(&member);
    (void)rd_kafka_consumer_close(member.client); /* leaves the group */
    if (member.assigned != NULL)
        rd_kafka_topic_partition_list_destroy(member.assigned);
    rd_kafka_destroy(member.client);
    headers_done(&member.headers);
    return output_finish(&consume->output, code);
}
