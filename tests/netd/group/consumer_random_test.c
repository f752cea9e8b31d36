/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of the new consumer protocol that come, go, hesitate and change their minds at random, on
 * a disk that fails, with a coordinator that dies: no partition ever has two of them, and when they
 * are left in peace, each has one.
 */
#include "consumer_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS 4
#define ROUNDS  60
#define STEPS   400

struct client {
    struct member member;
    char id[4];
    bool is_in;
    char holds[256]; /* what it works on: follows what it was told when it gets round to it */
};

struct party {
    struct world world;
    struct client clients[MEMBERS];
    unsigned seed;
};

static bool waits(const struct client *client)
{
    return client->member.sent != client->member.answers;
}

/* What clients do when they are told. */
static void look_at_answer(struct client *client)
{
    int16_t error = client->member.error;
    if (waits(client) || !client->is_in)
        return;
    if (error == KAFKA_FENCED_MEMBER_EPOCH || error == KAFKA_UNKNOWN_MEMBER_ID ||
        error == KAFKA_GROUP_ID_NOT_FOUND) {
        client->is_in = false;
        client->holds[0] = client->member.has[0] = '\0';
    }
}

static void take_over(struct client *client)
{
    if (!waits(client) && client->is_in)
        memcpy(client->holds, client->member.has, sizeof(client->holds));
}

static void join(struct client *client)
{
    static const char *const topics[] = {"t", "u", "tu", "tu", ""};
    client->holds[0] = client->member.has[0] = '\0';
    client->member.topics = topics[random() % 5];
    client->is_in = true;
    member_join(&client->member);
}

static void act(struct client *client)
{
    look_at_answer(client);
    if (waits(client))
        return;
    long dice = random() % 20;
    if (!client->is_in || dice == 0) {
        join(client);
    } else if (dice == 1) {
        client->holds[0] = client->member.has[0] = '\0';
        client->is_in = false;
        member_leave(&client->member, CONSUMER_EPOCH_LEAVE);
    } else if (client->member.error != KAFKA_NONE) {
        member_tell_all(&client->member, client->holds);
    } else if (dice < 6) {
        member_beat(&client->member);
    } else {
        if (dice < 16)
            take_over(client);
        member_beat_owning(&client->member, client->holds);
    }
}

static void disturb(struct party *party)
{
    long dice = random() % 100;
    if (dice < 60)
        world_saved(&party->world, 0);
    else if (dice < 64)
        world_saved(&party->world, -EIO);
    else if (dice < 66)
        world_topic(&party->world, "u", (uint32_t)(1 + random() % 5));
    else if (dice < 69 && party->world.kept.data)
        world_restart(&party->world);
}

static void check_nobody_shares(struct party *party)
{
    struct topic_partition list[MEMBERS][64];
    struct partition_set sets[MEMBERS];
    for (int a = 0; a < MEMBERS; a++) {
        look_at_answer(&party->clients[a]);
        sets[a] = set_of(party->clients[a].holds, list[a]);
        for (int b = 0; b < a; b++)
            if (partition_set_meet(&sets[a], &sets[b]))
                fail_msg("seed %u: %s and %s are two members'", party->seed,
                         party->clients[a].holds, party->clients[b].holds);
    }
}

/* Nobody goes any more, and everybody does what he is told. */
static void come_to_rest(struct party *party)
{
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < MEMBERS; i++) {
            struct client *client = &party->clients[i];
            world_settle(&party->world);
            look_at_answer(client);
            if (client->is_in) {
                take_over(client);
                member_tell_all(&client->member, client->holds);
            } else {
                join(client);
            }
            world_settle(&party->world);
            check_nobody_shares(party);
        }
    }
    assert_string_equal(group_state_name(world_group(&party->world)), "Stable");
}

static void check_all_have_one(struct party *party)
{
    struct topic_partition list[64];
    for (unsigned t = 0; t < party->world.topic_count; t++) {
        const struct group_topic *topic = &party->world.topics[t];
        uint32_t held = 0;
        bool wanted = false;
        for (int i = 0; i < MEMBERS; i++) {
            struct partition_set set = set_of(party->clients[i].holds, list);
            wanted |= strchr(party->clients[i].member.topics, topic->name[0]) != NULL;
            for (uint32_t p = 0; p < set.count; p++)
                held += set.list[p].topic.bytes[0] == (uint8_t)topic->name[0];
        }
        assert_int_equal(held, wanted ? topic->partition_count : 0);
    }
}

static void no_partition_has_two_members(void **state)
{
    static struct party party;
    (void)state;
    for (unsigned seed = 1; seed <= ROUNDS; seed++) {
        srandom(seed);
        party = (struct party){.seed = seed};
        world_begin(&party.world, 0);
        world_topic(&party.world, "t", 5);
        world_topic(&party.world, "u", 3);
        for (int i = 0; i < MEMBERS; i++) {
            (void)snprintf(party.clients[i].id, sizeof(party.clients[i].id), "m%d", i);
            party.clients[i].member = member_new(&party.world, party.clients[i].id, "t");
        }
        for (int step = 0; step < STEPS; step++) {
            act(&party.clients[random() % MEMBERS]);
            disturb(&party);
            check_nobody_shares(&party);
        }
        come_to_rest(&party);
        check_all_have_one(&party);
        world_end(&party.world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_partition_has_two_members)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
