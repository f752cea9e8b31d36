#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kafka's own command line tools, unmodified: each does its job on beckd."""

import json
import os
import re
import time

import apache_kafka
import maven
import tap
from programs import Beckd, Folder
from tap import equal, ok

REASON = maven.missing()
if REASON:
    tap.skip_all(REASON)

TOPICS = 'org.apache.kafka.tools.TopicCommand'
CONFIGS = 'kafka.admin.ConfigCommand'
GROUPS = 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand'
PRODUCER = 'org.apache.kafka.tools.ConsoleProducer'
CONSUMER = 'org.apache.kafka.tools.consumer.ConsoleConsumer'
LINES = [f'k{i}:value {i}' for i in range(100)]


class World:
    """What the tests share."""

    beckd = None
    folder = None


def tool(name, *arguments, **options):
    return apache_kafka.java(name, '--bootstrap-server', World.beckd.address, *arguments, **options)


def did(result, pattern, name):
    """It ended well, and what it printed has this."""
    return ok(result.code == 0 and re.search(pattern, result.out, re.MULTILINE), name, result)


def topics():
    did(tool(TOPICS, '--create', '--topic', 't', '--partitions', '2', '--config', 'retention.ms=777000000'),
        'Created topic t', 'TopicCommand --create')
    tool(TOPICS, '--create', '--topic', 'gone')
    did(tool(TOPICS, '--describe', '--topic', 't'),
        r'Topic: t\t.*PartitionCount: 2\tReplicationFactor: 1\tConfigs:.*retention.ms=777000000',
        'TopicCommand --describe')
    did(tool(TOPICS, '--alter', '--topic', 't', '--partitions', '3'), '', 'TopicCommand --alter')
    did(tool(TOPICS, '--delete', '--topic', 'gone'), '', 'TopicCommand --delete')
    equal(tool(TOPICS, '--list').out.split(), ['t'], 'TopicCommand --list')


def configs():
    where = ('--entity-type', 'topics', '--entity-name', 't')
    did(tool(CONFIGS, '--alter', *where, '--add-config', 'max.message.bytes=100000,retention.ms=888000000'),
        'Completed updating config for topic t', 'ConfigCommand --alter')
    did(tool(CONFIGS, '--describe', *where), r'max.message.bytes=100000 .*synonyms=\{DYNAMIC_TOPIC_CONFIG',
        'ConfigCommand --describe')
    tool(CONFIGS, '--alter', *where, '--delete-config', 'max.message.bytes')
    result = tool(CONFIGS, '--describe', *where, '--all')
    did(result, 'max.message.bytes=1048588 ', 'ConfigCommand --alter --delete-config')
    did(tool(CONFIGS, '--describe', '--entity-type', 'brokers', '--entity-name', '1', '--all'), 'num.partitions=1 ',
        'ConfigCommand --describe of the broker')


def quotas():
    """A client's quota is set, told, kept to and taken away."""
    where = ('--entity-type', 'clients', '--entity-name', 'slow')
    rate, size, count = 20000, 1000, 400
    did(tool(CONFIGS, '--alter', *where, '--add-config', f'producer_byte_rate={rate},request_percentage=500'),
        'Completed updating config for client slow', 'ConfigCommand --alter of a client')
    did(tool(CONFIGS, '--describe', '--entity-type', 'clients'),
        rf"client-id 'slow' are .*producer_byte_rate={rate}\.0", 'ConfigCommand --describe of clients')
    begin = time.monotonic()
    result = apache_kafka.java('org.apache.kafka.tools.ProducerPerformance', '--topic', 'throttled', '--num-records', str(count),
                        '--record-size', str(size), '--throughput', '-1', '--print-metrics', '--producer-props',
                        f'bootstrap.servers={World.beckd.address}', 'client.id=slow', 'batch.size=5000')
    seconds = time.monotonic() - begin
    waits = [float(wait) for wait in re.findall(r'produce-throttle-time-max.*: ([\d.]+)', result.out)]
    did(result, rf'^{count} records sent', 'ProducerPerformance of that client')
    ok(waits and max(waits) > 0, 'it is told to wait', result)
    ok(count * size <= rate * (seconds + 11) + 30000, 'it sends no more than its rate', seconds)
    did(tool(CONFIGS, '--alter', *where, '--delete-config', 'producer_byte_rate,request_percentage'), '',
        'ConfigCommand --delete-config of a client')
    ok('slow' not in tool(CONFIGS, '--describe', '--entity-type', 'clients').out, 'nothing is left of it')
    did(tool(CONFIGS, '--alter', '--entity-type', 'ips', '--entity-default', '--add-config',
             'connection_creation_rate=10000'), 'Completed updating default config for ip', '... of addresses')
    did(tool(CONFIGS, '--describe', '--entity-type', 'ips'), r'connection_creation_rate=10000\.0', 'they are told')


def lines():
    result = tool(PRODUCER, '--topic', 't', '--property', 'parse.key=true', '--property', 'key.separator=:',
                  '--compression-codec', 'lz4', stdin='\n'.join(LINES) + '\n')
    ok(result.code == 0, 'ConsoleProducer', result)
    result = tool(CONSUMER, '--topic', 't', '--from-beginning', '--max-messages', '100', '--group', 'g',
                  '--property', 'print.key=true', '--property', 'key.separator=:', '--timeout-ms', '60000')
    equal(sorted(result.out.split('\n')[:-1]), sorted(LINES), 'ConsoleConsumer in a group')


def groups():
    equal(tool(GROUPS, '--list').out.split(), ['g'], 'ConsumerGroupCommand --list')
    result = tool(GROUPS, '--describe', '--group', 'g')
    rows = re.findall(r'^g\s+t\s+\d\s+(\d+)\s+(\d+)\s+0\s', result.out, re.MULTILINE)
    ok(sum(int(row[0]) for row in rows) == 100 and len(rows) > 1, 'ConsumerGroupCommand --describe', result)
    did(tool(GROUPS, '--describe', '--group', 'g', '--state'), r'^g\s.*Empty\s+0', '... --state')
    did(tool(GROUPS, '--reset-offsets', '--group', 'g', '--topic', 't', '--to-earliest', '--execute'),
        r'^g\s+t\s+0\s+0', '... --reset-offsets --to-earliest')
    did(tool(GROUPS, '--delete-offsets', '--group', 'g', '--topic', 't'), 'Request succeeded', '... --delete-offsets')
    did(tool(GROUPS, '--delete', '--group', 'g'), 'was successful', '... --delete')
    did(tool('org.apache.kafka.tools.GroupsCommand', '--list'), '', 'GroupsCommand --list')


def records():
    result = tool('org.apache.kafka.tools.GetOffsetShell', '--topic', 't')
    found = re.findall(r'^t:(\d):(\d+)$', result.out, re.MULTILINE)
    ok(len(found) == 3 and sum(int(end) for _, end in found) == 100, 'GetOffsetShell', result)
    partition = max(found, key=lambda row: int(row[1]))[0]
    path = os.path.join(World.folder, 'deletions.json')
    with open(path, 'w', encoding='ascii') as file:
        json.dump({'version': 1, 'partitions': [{'topic': 't', 'partition': int(partition), 'offset': 5}]}, file)
    did(tool('org.apache.kafka.tools.DeleteRecordsCommand', '--offset-json-file', path),
        rf'partition: t-{partition}\tlow_watermark: 5', 'DeleteRecordsCommand')
    did(tool('org.apache.kafka.tools.GetOffsetShell', '--topic-partitions', f't:{partition}', '--time', '-2'),
        rf'^t:{partition}:5$', 'GetOffsetShell --time -2')
    did(tool('org.apache.kafka.tools.LogDirsCommand', '--describe', '--topic-list', 't'),
        r'"partition":"t-0","size":\d+', 'LogDirsCommand')


def cluster():
    did(apache_kafka.java('org.apache.kafka.tools.ClusterTool', 'cluster-id', '--bootstrap-server', World.beckd.address),
        r'Cluster ID: \S+', 'ClusterTool cluster-id')
    did(tool('org.apache.kafka.tools.BrokerApiVersionsCommand'), r'Produce\(0\): 0 to 12 \[usable: 12\]',
        'BrokerApiVersionsCommand')
    result = tool('org.apache.kafka.tools.LeaderElectionCommand', '--election-type', 'preferred',
                  '--all-topic-partitions')
    ok(result.code == 0, 'LeaderElectionCommand', result)


def throughput():
    server = f'bootstrap.servers={World.beckd.address}'
    did(apache_kafka.java('org.apache.kafka.tools.ProducerPerformance', '--topic', 'perf', '--num-records', '20000',
                   '--record-size', '500', '--throughput', '-1', '--producer-props', server),
        r'^20000 records sent', 'ProducerPerformance')
    did(tool('org.apache.kafka.tools.ConsumerPerformance', '--topic', 'perf', '--messages', '20000',
             '--timeout', '60000'), r', 20000, ', 'ConsumerPerformance')


def verifiable():
    result = tool('org.apache.kafka.tools.VerifiableProducer', '--topic', 'v', '--max-messages', '500')
    rows = [json.loads(line) for line in result.out.splitlines() if line.startswith('{')]
    sent = [row for row in rows if row['name'] == 'producer_send_success']
    equal([row['offset'] for row in sent], list(range(500)), 'VerifiableProducer')
    result = tool('org.apache.kafka.tools.VerifiableConsumer', '--topic', 'v', '--group-id', 'v', '--max-messages',
                  '500', '--reset-policy', 'earliest', '--verbose')
    rows = [json.loads(line) for line in result.out.splitlines() if line.startswith('{')]
    equal([row['value'] for row in rows if row['name'] == 'record_data'], [str(i) for i in range(500)],
          'VerifiableConsumer')
    ok([row for row in rows if row['name'] == 'offsets_committed' and row['success']], '... commits', result)


def main():
    print("# Kafka's tools: version", apache_kafka.version(), flush=True)
    with Folder() as folder:
        World.folder = folder
        with Beckd(os.path.join(folder, 'store'), '--set', 'group.initial.rebalance.delay.ms=0') as World.beckd:
            tap.run(topics, configs, quotas, lines, groups, records, cluster, throughput, verifiable)


main()
