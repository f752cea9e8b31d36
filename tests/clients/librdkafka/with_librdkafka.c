/* SPDX-License-Identifier: Apache-2.0
 *
 * librdkafka by its C interface, at the version that is installed: produces with all codecs,
 * consumes, commits, administers, and tells statistics. Prints its checks one by one:
 *
 *     with_librdkafka ADDRESS
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECORDS     300
#define PATIENCE_MS 60000
#define TEXT_SIZE   512

static const char *address;
static bool failed;
static int64_t base_ms; /* the first record's time */

__attribute__((format(printf, 2, 3))) static bool ok(bool condition, const char *name, ...)
{
    va_list arguments;
    va_start(arguments, name);
    fputs(condition ? "ok " : "not ok ", stdout);
    vprintf(name, arguments);
    va_end(arguments);
    puts("");
    fflush(stdout);
    failed |= !condition;
    return condition;
}

static _Noreturn void die(const char *what, const char *why)
{
    ok(false, "%s: %s", what, why);
    exit(1);
}

/* A client with these settings: names and values, and NULL. */
static rd_kafka_t *client(rd_kafka_type_t type, const char *const *settings,
                          int (*statistics)(rd_kafka_t *, char *, size_t, void *))
{
    char text[TEXT_SIZE];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", address, NULL, 0);
    for (; *settings; settings += 2) {
        if (rd_kafka_conf_set(conf, settings[0], settings[1], text, sizeof(text)))
            die(settings[0], text);
    }
    if (statistics)
        rd_kafka_conf_set_stats_cb(conf, statistics);
    rd_kafka_t *kafka = rd_kafka_new(type, conf, text, sizeof(text));
    if (!kafka)
        die("a client", text);
    return kafka;
}

/* ---- Producing and consuming ---- */

static bool telling; /* statistics that make sense have come */

static int statistics(rd_kafka_t *kafka, char *json, size_t size, void *context)
{
    (void)kafka, (void)size, (void)context;
    if (strstr(json, "\"state\":\"UP\"") && strstr(json, "\"txmsgs\":300") &&
        strstr(json, "\"topic\":\"gzip-0\""))
        telling = true;
    return 0;
}

static void produce(rd_kafka_t *kafka, const char *topic, int i)
{
    char key[32];
    char value[64];
    snprintf(key, sizeof(key), "k%d", i);
    snprintf(value, sizeof(value), "%s %d", topic, i);
    rd_kafka_resp_err_t error = rd_kafka_producev(
        kafka, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_KEY(key, strlen(key)),
        RD_KAFKA_V_VALUE(value, strlen(value)), RD_KAFKA_V_TIMESTAMP(base_ms + i * 1000),
        RD_KAFKA_V_HEADER("h", key, -1), RD_KAFKA_V_HEADER("null", NULL, -1),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (error)
        die(topic, rd_kafka_err2str(error));
}

/* Is it record i as produce() makes it? */
static bool same(const rd_kafka_message_t *message, const char *topic, int i)
{
    char key[32];
    char value[64];
    rd_kafka_headers_t *headers;
    const void *header;
    size_t size;
    snprintf(key, sizeof(key), "k%d", i);
    snprintf(value, sizeof(value), "%s %d", topic, i);
    return message->offset == i && message->key_len == strlen(key) &&
           memcmp(message->key, key, message->key_len) == 0 && message->len == strlen(value) &&
           memcmp(message->payload, value, message->len) == 0 &&
           rd_kafka_message_timestamp(message, NULL) == base_ms + i * 1000 &&
           !rd_kafka_message_headers(message, &headers) &&
           !rd_kafka_header_get_last(headers, "h", &header, &size) && size == strlen(key) &&
           memcmp(header, key, size) == 0 &&
           !rd_kafka_header_get_last(headers, "null", &header, &size) && !header;
}

static rd_kafka_topic_partition_list_t *place(const char *topic, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = offset;
    return list;
}

/* How many records come as they were produced, one after the other. Commits all of them. */
static int read_back(const char *topic, const char *group)
{
    const char *settings[] = {"group.id", group, "enable.auto.commit", "false", NULL};
    rd_kafka_t *kafka = client(RD_KAFKA_CONSUMER, settings, NULL);
    rd_kafka_topic_partition_list_t *list = place(topic, 0);
    int found = 0;
    rd_kafka_poll_set_consumer(kafka);
    rd_kafka_assign(kafka, list);
    while (found < RECORDS) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(kafka, PATIENCE_MS);
        bool right = message && !message->err && same(message, topic, found);
        if (message)
            rd_kafka_message_destroy(message);
        if (!right)
            break;
        found++;
    }
    list->elems[0].offset = found;
    if (rd_kafka_commit(kafka, list, 0))
        found = -1;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_close(kafka);
    rd_kafka_destroy(kafka);
    return found;
}

static void codec(const char *name, bool idempotent)
{
    const char *settings[] = {"compression.type",
                              name,
                              "enable.idempotence",
                              idempotent ? "true" : "false",
                              "linger.ms",
                              "5",
                              "statistics.interval.ms",
                              "100",
                              NULL};
    char topic[32];
    snprintf(topic, sizeof(topic), "%s-%d", name, idempotent);
    rd_kafka_t *kafka = client(RD_KAFKA_PRODUCER, settings, statistics);
    for (int i = 0; i < RECORDS; i++)
        produce(kafka, topic, i);
    int left = rd_kafka_flush(kafka, PATIENCE_MS);
    for (int i = 0; i < 100 && !telling && strcmp(topic, "gzip-0") == 0; i++)
        rd_kafka_poll(kafka, 100);
    rd_kafka_destroy(kafka);
    int found = read_back(topic, "readers");
    ok(left == 0 && found == RECORDS, "%s, idempotent %d, is read as it was written: %d of %d",
       name, idempotent, found, RECORDS);
}

static void offsets(rd_kafka_t *kafka)
{
    int64_t low = -1;
    int64_t high = -1;
    rd_kafka_query_watermark_offsets(kafka, "none-0", 0, &low, &high, PATIENCE_MS);
    ok(low == 0 && high == RECORDS, "the ends of a log");
    rd_kafka_topic_partition_list_t *list = place("none-0", base_ms + 123456);
    rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(kafka, list, PATIENCE_MS);
    ok(!error && list->elems[0].offset == 124, "the offset of a time");
    rd_kafka_topic_partition_list_destroy(list);
}

/* ---- Administration ---- */

static rd_kafka_queue_t *answers;

/* The next answer; its error as a whole ends the program. */
static rd_kafka_event_t *answer(const char *what)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(answers, PATIENCE_MS);
    if (!event || rd_kafka_event_error(event))
        die(what, event ? rd_kafka_event_error_string(event) : "no answer");
    return event;
}

/* The error of the first topic of an answer about topics. */
static rd_kafka_resp_err_t topic_error(rd_kafka_event_t *event)
{
    size_t count;
    const rd_kafka_topic_result_t **topics =
        rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT
            ? rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)
        : rd_kafka_event_type(event) == RD_KAFKA_EVENT_DELETETOPICS_RESULT
            ? rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count)
            : rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event),
                                                      &count);
    rd_kafka_resp_err_t error = rd_kafka_topic_result_error(topics[0]);
    rd_kafka_event_destroy(event);
    return error;
}

static rd_kafka_resp_err_t create(rd_kafka_t *kafka, const char *name)
{
    char text[TEXT_SIZE];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, 2, 1, text, sizeof(text));
    rd_kafka_NewTopic_set_config(topic, "retention.ms", "777000");
    rd_kafka_CreateTopics(kafka, &topic, 1, NULL, answers);
    rd_kafka_NewTopic_destroy(topic);
    return topic_error(answer("CreateTopics"));
}

static void topics(rd_kafka_t *kafka)
{
    char text[TEXT_SIZE];
    const struct rd_kafka_metadata *metadata;
    ok(!create(kafka, "t") && !create(kafka, "gone"), "CreateTopics");
    ok(create(kafka, "t") == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, "CreateTopics, again");
    rd_kafka_NewPartitions_t *more = rd_kafka_NewPartitions_new("t", 6, text, sizeof(text));
    rd_kafka_CreatePartitions(kafka, &more, 1, NULL, answers);
    rd_kafka_NewPartitions_destroy(more);
    ok(!topic_error(answer("CreatePartitions")), "CreatePartitions");
    rd_kafka_DeleteTopic_t *gone = rd_kafka_DeleteTopic_new("gone");
    rd_kafka_DeleteTopics(kafka, &gone, 1, NULL, answers);
    rd_kafka_DeleteTopic_destroy(gone);
    ok(!topic_error(answer("DeleteTopics")), "DeleteTopics");
    if (rd_kafka_metadata(kafka, 1, NULL, &metadata, PATIENCE_MS))
        die("metadata", "none");
    bool right = metadata->broker_cnt == 1;
    bool seen = false;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        right &= strcmp(metadata->topics[i].topic, "gone") != 0;
        seen |=
            strcmp(metadata->topics[i].topic, "t") == 0 && metadata->topics[i].partition_cnt == 6;
    }
    ok(right && seen, "topics and their partitions are listed");
    rd_kafka_metadata_destroy(metadata);
}

/* The value of an entry of topic t. */
static bool is_configured(rd_kafka_t *kafka, const char *name, const char *wanted)
{
    size_t count;
    bool found = false;
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, "t");
    rd_kafka_DescribeConfigs(kafka, &resource, 1, NULL, answers);
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_event_t *event = answer("DescribeConfigs");
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &count);
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resources[0], &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
            found = strcmp(rd_kafka_ConfigEntry_value(entries[i]), wanted) == 0;
    }
    rd_kafka_event_destroy(event);
    return found;
}

static void configurations(rd_kafka_t *kafka)
{
    ok(is_configured(kafka, "retention.ms", "777000"), "DescribeConfigs");
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, "t");
    rd_kafka_ConfigResource_set_config(resource, "max.message.bytes", "5000");
    rd_kafka_AlterConfigs(kafka, &resource, 1, NULL, answers);
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_event_destroy(answer("AlterConfigs"));
    ok(is_configured(kafka, "max.message.bytes", "5000"), "AlterConfigs");
    ok(is_configured(kafka, "retention.ms", "604800000"), "what it does not name is as by default");
}

static void records(rd_kafka_t *kafka)
{
    int64_t low = -1;
    int64_t high = -1;
    rd_kafka_topic_partition_list_t *list = place("lz4-0", 10);
    rd_kafka_DeleteRecords_t *deleted = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(kafka, &deleted, 1, NULL, answers);
    rd_kafka_DeleteRecords_destroy(deleted);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_event_destroy(answer("DeleteRecords"));
    rd_kafka_query_watermark_offsets(kafka, "lz4-0", 0, &low, &high, PATIENCE_MS);
    ok(low == 10 && high == RECORDS, "DeleteRecords");
}

/* ---- Groups ---- */

/* What group `readers` has committed for none-0; RD_KAFKA_OFFSET_INVALID: nothing. */
static int64_t committed(rd_kafka_t *kafka)
{
    size_t count;
    int64_t offset = RD_KAFKA_OFFSET_INVALID;
    rd_kafka_ListConsumerGroupOffsets_t *asked =
        rd_kafka_ListConsumerGroupOffsets_new("readers", NULL);
    rd_kafka_ListConsumerGroupOffsets(kafka, &asked, 1, NULL, answers);
    rd_kafka_ListConsumerGroupOffsets_destroy(asked);
    rd_kafka_event_t *event = answer("ListConsumerGroupOffsets");
    const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
    const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(groups[0]);
    for (int i = 0; i < list->cnt; i++) {
        if (strcmp(list->elems[i].topic, "none-0") == 0)
            offset = list->elems[i].offset;
    }
    rd_kafka_event_destroy(event);
    return offset;
}

static void offsets_of_group(rd_kafka_t *kafka)
{
    ok(committed(kafka) == RECORDS, "ListConsumerGroupOffsets");
    rd_kafka_topic_partition_list_t *list = place("none-0", 7);
    rd_kafka_AlterConsumerGroupOffsets_t *moved =
        rd_kafka_AlterConsumerGroupOffsets_new("readers", list);
    rd_kafka_AlterConsumerGroupOffsets(kafka, &moved, 1, NULL, answers);
    rd_kafka_AlterConsumerGroupOffsets_destroy(moved);
    rd_kafka_event_destroy(answer("AlterConsumerGroupOffsets"));
    ok(committed(kafka) == 7, "AlterConsumerGroupOffsets");
    rd_kafka_DeleteConsumerGroupOffsets_t *dropped =
        rd_kafka_DeleteConsumerGroupOffsets_new("readers", list);
    rd_kafka_DeleteConsumerGroupOffsets(kafka, &dropped, 1, NULL, answers);
    rd_kafka_DeleteConsumerGroupOffsets_destroy(dropped);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_event_destroy(answer("DeleteConsumerGroupOffsets"));
    ok(committed(kafka) == RD_KAFKA_OFFSET_INVALID, "DeleteConsumerGroupOffsets");
}

static size_t group_count(rd_kafka_t *kafka)
{
    size_t count;
    rd_kafka_ListConsumerGroups(kafka, NULL, answers);
    rd_kafka_event_t *event = answer("ListConsumerGroups");
    (void)rd_kafka_ListConsumerGroups_result_valid(rd_kafka_event_ListConsumerGroups_result(event),
                                                   &count);
    rd_kafka_event_destroy(event);
    return count;
}

static void groups(rd_kafka_t *kafka)
{
    size_t count;
    const char *name = "readers";
    ok(group_count(kafka) == 1, "ListConsumerGroups");
    rd_kafka_DescribeConsumerGroups(kafka, &name, 1, NULL, answers);
    rd_kafka_event_t *event = answer("DescribeConsumerGroups");
    const rd_kafka_ConsumerGroupDescription_t **described =
        rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(event), &count);
    ok(rd_kafka_ConsumerGroupDescription_state(described[0]) == RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY,
       "DescribeConsumerGroups");
    rd_kafka_event_destroy(event);
    offsets_of_group(kafka);
    rd_kafka_DeleteGroup_t *deleted = rd_kafka_DeleteGroup_new(name);
    rd_kafka_DeleteGroups(kafka, &deleted, 1, NULL, answers);
    rd_kafka_DeleteGroup_destroy(deleted);
    rd_kafka_event_destroy(answer("DeleteGroups"));
    ok(group_count(kafka) == 0, "DeleteGroups");
}

int main(int argc, char **argv)
{
    static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    const char *settings[] = {NULL};
    if (argc != 2)
        die("usage", "with_librdkafka ADDRESS");
    address = argv[1];
    base_ms = ((int64_t)time(NULL) - 3600) * 1000;
    printf("version %s\n", rd_kafka_version_str());
    for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++) {
        codec(codecs[i], false);
        codec(codecs[i], true);
    }
    ok(telling, "statistics");
    rd_kafka_t *kafka = client(RD_KAFKA_PRODUCER, settings, NULL);
    answers = rd_kafka_queue_new(kafka);
    offsets(kafka);
    topics(kafka);
    configurations(kafka);
    records(kafka);
    groups(kafka);
    rd_kafka_queue_destroy(answers);
    rd_kafka_destroy(kafka);
    return failed;
}
