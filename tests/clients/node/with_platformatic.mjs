// SPDX-License-Identifier: Apache-2.0
// @platformatic/kafka: produces with all codecs, shares groups of both protocols, administers.
import { readFileSync } from 'node:fs';
import zlib from 'node:zlib';
import { Admin, Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka';
import checks from './checks.js';

const { equal, ok, finish, becomes } = checks;
const common = { clientId: 'me', bootstrapBrokers: [process.argv[2]] };
const TOPIC = 2; // the type of a resource
const SET = 0;

function consumer(groupId, more = {}) {
    return new Consumer({ ...common, groupId, deserializers: stringDeserializers, maxWaitTime: 200,
        ...more });
}

async function consume(from, topic, seen) {
    const stream = await from.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest', autocommit: 100 });
    stream.on('data', seen);
    stream.on('error', (error) => ok(false, 'a stream', error.stack));
    return stream;
}

async function read(topic, count) {
    const found = [];
    const from = consumer(`read-${topic}`);
    const stream = await consume(from, topic, (one) => {
        found.push([Number(one.offset), one.key, one.value, one.headers.get('h')]);
    });
    await becomes(() => found.length >= count);
    await stream.close();
    await from.close(true);
    return found;
}

async function producers() {
    const zstd = zlib.zstdCompressSync ? [['zstd', false]] : []; // Node has it from 22.15 on
    for (const [compression, idempotent] of [['none', false], ['gzip', false], ['snappy', false], ['lz4', false],
        ['gzip', true], ...zstd]) {
        const topic = `made-${compression}-${idempotent}`;
        const producer = new Producer({ ...common, serializers: stringSerializers, autocreateTopics: true });
        const messages = Array.from({ length: 300 }, (_, i) =>
            ({ topic, partition: 0, key: `k${i}`, value: `value ${i}`, headers: { h: `${i}` } }));
        for (let i = 0; i < 300; i += 100)
            await producer.send({ messages: messages.slice(i, i + 100), compression, idempotent, acks: -1 });
        await producer.close();
        equal(await read(topic, 300), messages.map((one, i) => [i, one.key, one.value, one.headers.h]),
            `${compression}, idempotent ${idempotent}, is read as it was written`);
    }
}

async function configurations(admin) {
    await admin.incrementalAlterConfigs({ resources: [{ resourceType: TOPIC, resourceName: 't',
        configs: [{ name: 'max.message.bytes', configOperation: SET, value: '5000' }] }] });
    const [described] = await admin.describeConfigs({ resources: [{ resourceType: TOPIC, resourceName: 't',
        configurationKeys: ['max.message.bytes'] }] });
    equal(described.configs[0].value, '5000', 'configurations are altered and described');
}

async function administration() {
    const admin = new Admin(common);
    const [made] = await admin.createTopics({ topics: ['t'], partitions: 2, replicas: 1,
        configs: [{ name: 'retention.ms', value: '777000' }] });
    equal(made.name, 't', 'topics are created');
    await admin.createTopics({ topics: ['gone'], partitions: 1, replicas: 1 });
    await admin.createPartitions({ topics: [{ name: 't', count: 6, assignments: null }] });
    await admin.deleteTopics({ topics: ['gone'] });
    const listed = await admin.listTopics();
    ok(listed.includes('t') && !listed.includes('gone'), 'topics are deleted and listed', listed);
    const metadata = await admin.metadata({ topics: ['t'], forceUpdate: true });
    equal(metadata.topics.get('t').partitionsCount, 6, 'partitions are added');
    await configurations(admin);
    const topic = 'made-gzip-false';
    const [trimmed] = await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 10n }] }] });
    equal(String(trimmed.partitions[0].lowWatermark), '10', 'records are deleted');
    const [ends] = await admin.listOffsets({ topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1n }] }] });
    equal(String(ends.partitions[0].offset), '300', 'the end of a log');
    const [directories] = await admin.describeLogDirs({ topics: [{ name: topic, partitions: [0] }] });
    ok(directories.results[0].topics[0].partitions[0].partitionSize > 0, 'log directories');
    await groups(admin);
    await admin.close();
}

async function groups(admin) {
    const group = 'read-made-none-false';
    ok((await admin.listGroups()).has(group), 'groups are listed');
    equal((await admin.describeGroups({ groups: [group] })).get(group).state, 'EMPTY', 'and described');
    const [offsets] = await admin.listConsumerGroupOffsets({ groups: [group] });
    equal(String(offsets.topics[0].partitions[0].committedOffset), '300', 'with what was committed');
    await admin.alterConsumerGroupOffsets({ groupId: group, topics: [{ name: 'made-none-false',
        partitionOffsets: [{ partition: 0, offset: 7n }] }] });
    const [moved] = await admin.listConsumerGroupOffsets({ groups: [group] });
    equal(String(moved.topics[0].partitions[0].committedOffset), '7', 'and moved');
    await admin.deleteGroups({ groups: [group] });
    ok(!(await admin.listGroups()).has(group), 'and deleted');
}

const share = (member) => (member.assignments || []).reduce((sum, one) => sum + one.partitions.length, 0);

async function send(producer, count) {
    await producer.send({ messages: Array.from({ length: count }, (_, i) =>
        ({ topic: 't', partition: i % 6, value: `${i}` })), acks: -1 });
}

async function group(name, seen, more) {
    const before = seen.size;
    const members = [consumer(name, more), consumer(name, more)];
    const streams = [];
    for (const member of members)
        streams.push(await consume(member, 't', (one) => seen.add(`${name} ${one.partition}/${one.offset}`)));
    ok(await becomes(() => members.every((one) => share(one) === 3)), `${name}, two share six partitions`,
        members.map(share));
    const producer = new Producer({ ...common, serializers: stringSerializers });
    await send(producer, 120);
    ok(await becomes(() => seen.size - before >= 120), `${name}, they see all records`, seen.size - before);
    await streams[1].close();
    await members[1].close(true);
    ok(await becomes(() => share(members[0]) === 6), `${name}, one leaves`, share(members[0]));
    const between = seen.size;
    await send(producer, 6);
    ok(await becomes(() => seen.size >= between + 6), `${name}, the other sees what comes`, seen.size - between);
    await streams[0].close();
    await members[0].close(true);
    await producer.close();
}

async function main() {
    const own = new URL('./node_modules/@platformatic/kafka/package.json', import.meta.url);
    console.log('version', JSON.parse(readFileSync(own)).version);
    await producers();
    await administration();
    const quick = { sessionTimeout: 6000, heartbeatInterval: 500, rebalanceTimeout: 6000 };
    await group('classic', new Set(), quick);
    await group('new', new Set(), { groupProtocol: 'consumer' });
    finish();
}

main().catch((error) => {
    ok(false, 'the program', [error.stack.slice(0, 300), ...(error.errors || [])]);
    finish();
});
