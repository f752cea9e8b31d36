/* SPDX-License-Identifier: Apache-2.0
 *
 * What members of type "consumer" want, as far as the coordinator has to know: their metadata begin
 * with a version and the topics' names. Other types' payloads stay closed.
 */
#include "group/consumer.h"

static bool member_is_subscribed(const struct group_member *member, struct kafka_string topic)
{
    struct kafka_bytes metadata = group_member_metadata(member);
    struct kafka_reader reader;
    kafka_reader_init(&reader, metadata.data, metadata.length);
    (void)kafka_read_int16(&reader);
    int32_t count = kafka_read_int32(&reader);
    for (int32_t i = 0; i < count && !reader.error; i++)
        if (kafka_string_equal(kafka_read_string(&reader, false), topic))
            return true;
    return false;
}

/* By name or by pattern, as of when the topics were looked at last. */
static bool consumers_subscribe(const struct consumer_group *consumer, struct kafka_string topic)
{
    const struct consumer_member *member;
    for (uint32_t i = 0; i < consumer->topics.count; i++)
        if (kafka_string_equal(kafka_string_of(consumer->topics.list[i].name), topic))
            return true;
    TAILQ_FOREACH(member, &consumer->members, link)
    for (uint32_t i = 0; i < member->subscription.names_count; i++)
        if (kafka_string_equal(member->subscription.names[i], topic))
            return true;
    return false;
}

bool group_is_subscribed(const struct group *group, struct kafka_string topic)
{
    const struct group_member *member;
    if (group->consumer)
        return group->consumer->member_count > 0 && consumers_subscribe(group->consumer, topic);
    if (!kafka_string_equal(group->protocol_type, kafka_string_of("consumer")))
        return false;
    TAILQ_FOREACH(member, &group->members, link)
    if (member_is_subscribed(member, topic))
        return true;
    return false;
}
