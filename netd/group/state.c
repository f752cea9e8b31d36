/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups to records and back; see state.h. What is kept of a group in the middle of a rebalance is
 * that it has members, who will join again: its generation ended.
 */
#include "group/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/messages.h"
#include "group/classic.h"
#include "group/coordinator.h"

#define STATE_KIND_CLASSIC  1
#define STATE_KIND_CONSUMER 2
#define STATE_VERSION       1
/* What decoding one may take: members, protocols. */
#define STATE_ARENA_BYTES ((size_t)64 << 20)

static int encode_member(struct kafka_arena *arena, const struct group_member *member,
                         struct kafka_classic_group_state_member *to)
{
    to->id = member->id;
    to->instance_id = member->instance_id;
    to->client_id = member->client_id;
    to->client_host = member->client_host;
    to->session_timeout_ms = member->session_timeout_ms;
    to->rebalance_timeout_ms = member->rebalance_timeout_ms;
    to->assignment = member->assignment;
    to->protocols = kafka_classic_group_state_protocol_array(arena, member->protocols_count);
    if (!to->protocols)
        return -ENOMEM;
    to->protocols_count = member->protocols_count;
    for (uint32_t i = 0; i < member->protocols_count; i++) {
        to->protocols[i].name = member->protocols[i].name;
        to->protocols[i].metadata = member->protocols[i].metadata;
    }
    return 0;
}

static int fill_state(struct kafka_arena *arena, const struct group *group,
                      struct kafka_classic_group_state *state)
{
    const struct group_member *member;
    int result = 0;
    kafka_classic_group_state_init(state);
    state->generation = group->generation;
    const struct group_config config = group_config_to_keep(group);
    state->session_timeout_ms = config.session_timeout_ms;
    state->heartbeat_interval_ms = config.heartbeat_interval_ms;
    state->protocol_type = group->protocol_type;
    state->protocol_name = group->protocol_name;
    if (group->leader)
        state->leader_id = group->leader->id;
    state->members = kafka_classic_group_state_member_array(arena, group->member_count);
    if (!state->members)
        return -ENOMEM;
    TAILQ_FOREACH(member, &group->members, link)
    if (result == 0 && !member->is_new) /* who was in no generation has nothing to keep */
        result = encode_member(arena, member, &state->members[state->members_count++]);
    return result;
}

static int classic_state_encode(const struct group *group, struct kafka_arena *arena,
                                struct kafka_writer *writer)
{
    struct kafka_classic_group_state state;
    int result = fill_state(arena, group, &state);
    return result < 0 ? result : kafka_classic_group_state_encode(writer, STATE_VERSION, &state);
}

int group_state_encode(const struct group *group, struct kafka_bytes *ret_state)
{
    struct kafka_arena arena;
    struct kafka_writer writer;
    kafka_arena_init(&arena, STATE_ARENA_BYTES);
    kafka_writer_init(&writer);
    kafka_write_int16(&writer, group->consumer ? STATE_KIND_CONSUMER : STATE_KIND_CLASSIC);
    kafka_write_int16(&writer, STATE_VERSION);
    int result = group->consumer ? consumer_state_encode(group, &arena, &writer, STATE_VERSION)
                                 : classic_state_encode(group, &arena, &writer);
    kafka_arena_done(&arena);
    if (result == 0 && writer.size > UINT32_MAX)
        result = -EMSGSIZE;
    if (result < 0) {
        kafka_writer_done(&writer);
        return result;
    }
    *ret_state = (struct kafka_bytes){.data = writer.data, .length = (uint32_t)writer.size};
    return 0;
}

/* ---- decoding ---- */

static int decode_member(struct group *group, struct kafka_arena *arena,
                         const struct kafka_classic_group_state_member *from)
{
    struct group_protocol *protocols =
        kafka_arena_alloc(arena, from->protocols_count, sizeof(*protocols));
    if (!protocols)
        return -ENOMEM;
    for (uint32_t i = 0; i < from->protocols_count; i++) {
        protocols[i].name = from->protocols[i].name;
        protocols[i].metadata = from->protocols[i].metadata;
    }
    const struct group_join join = {
        .instance_id = from->instance_id,
        .client_id = from->client_id,
        .client_host = from->client_host,
        .protocols = protocols,
        .protocols_count = from->protocols_count,
        .session_timeout_ms = from->session_timeout_ms,
        .rebalance_timeout_ms = from->rebalance_timeout_ms,
    };
    if (from->id.length == 0 || from->session_timeout_ms <= 0 || group_find(group, from->id))
        return -EBADMSG;
    struct group_member *member = group_member_new(group, from->id, &join);
    if (!member)
        return -ENOMEM;
    int result = bytes_copy(from->assignment, &member->assignment);
    if (result == 0)
        result = group_add(group, member);
    if (result == 0) {
        member->has_synced = true;
        group->coordinator->member_count++;
        result = coordinator_reserve(group->coordinator, group->coordinator->group_count,
                                     group->coordinator->member_count);
        if (result == 0)
            classic_watch(member);
    } else {
        group_member_free(member);
    }
    return result;
}

static int take_state(struct group *group, struct kafka_arena *arena,
                      const struct kafka_classic_group_state *state)
{
    int result = text_copy(state->protocol_type, &group->protocol_type);
    if (result == 0)
        result = text_copy(state->protocol_name, &group->protocol_name);
    for (uint32_t i = 0; result == 0 && i < state->members_count; i++)
        result = decode_member(group, arena, &state->members[i]);
    group->generation = state->generation;
    group->config = (struct group_config){state->session_timeout_ms, state->heartbeat_interval_ms};
    if (result == 0 && state->members_count > 0) {
        group->state = GROUP_STABLE;
        group->empty_since_ms = 0;
        group->leader = group_find(group, state->leader_id);
        if (!group->leader || !group->protocol_name.data)
            result = -EBADMSG;
    }
    return result;
}

static int classic_state_decode(struct group *group, struct kafka_arena *arena,
                                struct kafka_reader *reader, int16_t version)
{
    struct kafka_classic_group_state decoded;
    int result = kafka_classic_group_state_decode(reader, version, arena, &decoded);
    return result < 0 ? result : take_state(group, arena, &decoded);
}

int group_state_decode(struct group *group, struct kafka_bytes state)
{
    struct kafka_reader reader;
    struct kafka_arena arena;
    kafka_reader_init(&reader, state.data, state.length);
    int16_t kind = kafka_read_int16(&reader);
    int16_t version = kafka_read_int16(&reader);
    if (reader.error)
        return -EBADMSG;
    if ((kind != STATE_KIND_CLASSIC && kind != STATE_KIND_CONSUMER) || version > STATE_VERSION)
        return -EPROTONOSUPPORT;
    if (version < 1)
        return -EBADMSG;
    kafka_arena_init(&arena, STATE_ARENA_BYTES);
    int result = kind == STATE_KIND_CONSUMER
                     ? consumer_state_decode(group, &arena, &reader, version)
                     : classic_state_decode(group, &arena, &reader, version);
    kafka_arena_done(&arena);
    return result;
}
