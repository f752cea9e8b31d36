// SPDX-License-Identifier: Apache-2.0
// kafkajs: produces, shares a group, administers.
'use strict';
const { Kafka, CompressionTypes, ConfigResourceTypes, Partitioners, logLevel } = require('kafkajs');
const { equal, ok, finish, becomes } = require('./checks.js');

const kafka = new Kafka({ clientId: 'me', brokers: [process.argv[2]], logLevel: logLevel.NOTHING });

async function read(topic, count, groupId) {
    const consumer = kafka.consumer({ groupId });
    const found = [];
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({ eachMessage: async ({ message }) => {
        found.push([Number(message.offset), String(message.key), String(message.value), String(message.headers.h)]);
    } });
    await becomes(() => found.length >= count);
    await consumer.disconnect();
    return found;
}

async function producers() {
    for (const [name, compression, idempotent] of [['none', CompressionTypes.None, false],
        ['gzip', CompressionTypes.GZIP, false], ['idempotent', CompressionTypes.GZIP, true]]) {
        const producer = kafka.producer({ idempotent, createPartitioner: Partitioners.DefaultPartitioner });
        await producer.connect();
        const messages = [];
        for (let i = 0; i < 300; i++)
            messages.push({ key: `k${i}`, value: `value ${i}`, headers: { h: `${i}` } });
        await producer.send({ topic: `made-${name}`, messages, compression });
        await producer.disconnect();
        equal(await read(`made-${name}`, 300, `read-${name}`),
            messages.map((one, i) => [i, one.key, one.value, one.headers.h]), `${name} is read as it was written`);
    }
}

async function administration() {
    const admin = kafka.admin();
    await admin.connect();
    ok(await admin.createTopics({ topics: [{ topic: 't', numPartitions: 2 }, { topic: 'gone' }] }), 'topics are created');
    ok(!await admin.createTopics({ topics: [{ topic: 't' }] }), 'not twice');
    await admin.createPartitions({ topicPartitions: [{ topic: 't', count: 6 }] });
    await admin.deleteTopics({ topics: ['gone'] });
    const metadata = await admin.fetchTopicMetadata({ topics: ['t'] });
    equal(metadata.topics[0].partitions.length, 6, 'partitions are added');
    ok(!(await admin.listTopics()).includes('gone'), 'topics are deleted');
    const resource = { type: ConfigResourceTypes.TOPIC, name: 't' };
    await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource,
        configEntries: [{ name: 'max.message.bytes', value: '5000' }] }] });
    const configs = await admin.describeConfigs({ resources: [{ ...resource, configNames: ['max.message.bytes'] }] });
    equal(configs.resources[0].configEntries[0].configValue, '5000', 'configurations are altered and described');
    equal((await admin.fetchTopicOffsets('made-none'))[0].high, '300', 'the end of a log');
    await admin.deleteTopicRecords({ topic: 'made-none', partitions: [{ partition: 0, offset: '10' }] });
    equal((await admin.fetchTopicOffsets('made-none'))[0].low, '10', 'records are deleted');
    equal((await admin.describeCluster()).brokers.length, 1, 'the cluster');
    const listed = (await admin.listGroups()).groups.map((one) => one.groupId).sort();
    equal(listed, ['read-gzip', 'read-idempotent', 'read-none'], 'groups are listed');
    equal((await admin.describeGroups(['read-gzip'])).groups[0].state, 'Empty', 'and described');
    equal((await admin.fetchOffsets({ groupId: 'read-gzip', topics: ['made-gzip'] }))[0].partitions[0].offset, '300',
        'with what was committed');
    await admin.deleteGroups(['read-gzip']);
    ok(true, 'and deleted');
    await admin.disconnect();
}

async function group() {
    const seen = new Set();
    const owners = new Set();
    const owned = [0, 0];
    const members = [];
    for (let n = 0; n < 2; n++) {
        const consumer = kafka.consumer({ groupId: 'g' });
        consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
            owned[n] = (payload.memberAssignment.t || []).length;
        });
        await consumer.connect();
        await consumer.subscribe({ topic: 't', fromBeginning: true });
        await consumer.run({ eachMessage: async ({ partition, message }) => {
            seen.add(`${partition}/${message.offset}`);
            owners.add(n);
        } });
        members.push(consumer);
    }
    ok(await becomes(() => owned[0] === 3 && owned[1] === 3), 'two share six partitions', owned);
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    const send = (count) => producer.send({ topic: 't',
        messages: Array.from({ length: count }, (_, i) => ({ value: `${i}`, partition: i % 6 })) });
    await send(120);
    ok(await becomes(() => seen.size === 120 && owners.size === 2), 'they see all records', seen.size);
    await members[1].disconnect();
    ok(await becomes(() => owned[0] === 6), 'one leaves', owned);
    await send(6);
    ok(await becomes(() => seen.size === 126), 'the other sees what comes', seen.size);
    await members[0].disconnect();
    await producer.disconnect();
}

async function main() {
    console.log('version', require('kafkajs/package.json').version);
    await producers();
    await administration();
    await group();
    finish();
}

main().catch((error) => {
    ok(false, 'the program', error.stack);
    finish();
});
