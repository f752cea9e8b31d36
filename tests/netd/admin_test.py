# SPDX-License-Identifier: Apache-2.0
"""Administration with confluent-kafka (librdkafka) and by bytes: configurations, partitions, records,
disks, and what one broker has nothing to do for."""

import struct

import raw
import tap
from daemon import Daemon
from raw import Raw, array, batch, compact_array, string
from tap import equal, ok, run

try:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions
except ImportError as error:
    tap.skip_all(f'confluent-kafka: {error}')

PATIENCE = 20


def outcome(futures):
    """Results, or the codes of errors."""
    found = {}
    for key, future in futures.items():
        try:
            found[key] = future.result(PATIENCE)
        except KafkaException as error:
            found[key] = error.args[0].code()
    return found


def configs():
    with Daemon('--set', 'log.retention.hours=1') as daemon, Raw(daemon.port) as client:
        client.create('t', configs=[('cleanup.policy', 'compact')])
        admin = AdminClient({'bootstrap.servers': daemon.address})
        topic = ConfigResource('topic', 't')

        def described(resource, *names):
            found = outcome(admin.describe_configs([resource]))[resource]
            return {n: (found[n].value, found[n].source) for n in names} if isinstance(found, dict) else found
        equal(described(topic, 'cleanup.policy', 'retention.ms', 'max.message.bytes'),
              {'cleanup.policy': ('compact', 1), 'retention.ms': ('3600000', 3),
               'max.message.bytes': ('1048588', 5)}, 'each value says where it comes from')
        found = outcome(admin.describe_configs([topic]))[topic]
        ok(len(found) > 30 and 'segment.bytes' in found, 'all are there')
        equal({s.value for s in found['cleanup.policy'].synonyms.values()}, {'delete'},
              'with what it would be otherwise')
        equal(described(ConfigResource('topic', 'none')), 3, 'of a topic that there is not: error 3')
        altered = ConfigResource('topic', 't', set_config={'retention.ms': '5000'})
        equal(outcome(admin.alter_configs([altered])), {altered: None}, 'they are altered')
        equal(described(topic, 'cleanup.policy', 'retention.ms'),
              {'cleanup.policy': ('delete', 5), 'retention.ms': ('5000', 1)},
              'AlterConfigs resets what it does not name')
        wrong = ConfigResource('topic', 't', set_config={'retention.ms': 'soon'})
        equal(outcome(admin.alter_configs([wrong])), {wrong: 40}, 'a wrong value: error 40')
        broker = ConfigResource('broker', '1')
        equal(described(broker, 'num.partitions', 'log.retention.ms', 'inter.broker.protocol.version',
                        'delete.topic.enable'),
              {'num.partitions': ('1', 5), 'log.retention.ms': ('3600000', 2),
               'inter.broker.protocol.version': ('3.9-IV0', 4), 'delete.topic.enable': ('true', 5)},
              'the broker has a configuration, too')

        def incremental(kind, name, *changes):
            body = (array([struct.pack('>b', kind) + string(name) + array([
                string(n) + struct.pack('>b', op) + string(v) for n, op, v in changes])]) + b'\0')
            reader = client.call(44, 0, body)
            reader.take('i')
            return reader.array(lambda: (reader.take('h'), reader.string(), reader.take('b'),
                                         reader.string()))[0][0]
        equal(incremental(2, 't', ('cleanup.policy', 2, 'compact'), ('retention.ms', 1, None)), 0,
              'entries are changed one by one')
        equal(described(topic, 'cleanup.policy', 'retention.ms'),
              {'cleanup.policy': ('delete,compact', 1), 'retention.ms': ('3600000', 3)}, 'and those only')
        equal(incremental(4, '1', ('log.retention.ms', 0, '7000')), 0, 'defaults for topics, too')
        equal(described(topic, 'retention.ms'), {'retention.ms': ('7000', 3)}, 'and topics have them')
        equal(incremental(4, '1', ('num.network.threads', 0, '7')), 42, "the daemon's own: error 42")


def config_resources():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t')
        client.create('u')

        def listed(*types):
            body = compact_array([struct.pack('>b', one) for one in types]) + b'\0'
            reader = client.call(74, 1, body, flexible=True)
            equal(reader.take('ih'), (0, 0), f'listed: {types}')

            def resource():
                found = (reader.compact_string(), reader.take('b'))
                reader.tags()
                return found
            return reader.compact_array(resource)
        equal(listed(2), [('t', 2), ('u', 2)], 'topics')
        equal(listed(4), [('1', 4)], 'the broker')
        equal(listed(16), [], 'no metrics subscriptions')
        equal(listed(), [('t', 2), ('u', 2), ('1', 4), ('1', 8)], 'all that there are')
        reader = client.call(74, 0, b'\0', flexible=True)
        reader.take('ih')
        equal(reader.uvarint(), 1, 'version 0 knows only metrics subscriptions')


def partitions():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t')
        admin = AdminClient({'bootstrap.servers': daemon.address})
        equal(outcome(admin.create_partitions([NewPartitions('t', 3)])), {'t': None}, 'partitions are added')
        equal(len(client.metadata()['topics']['t'][1]), 3, 'and there')
        client.produce('t', batch(b'x'), partition=2)
        equal(client.fetch('t', partition=2)['parts'][0]['high'], 1, 'for records')
        equal(outcome(admin.create_partitions([NewPartitions('t', 2)])), {'t': 37}, 'fewer: error 37')
        equal(outcome(admin.create_partitions([NewPartitions('none', 2)])), {'none': 3}, 'no topic: error 3')
        for i in range(10):
            client.produce('t', batch(b'%d' % i))

        def delete_records(topic, partition, offset):
            body = (array([string(topic) + array([struct.pack('>iq', partition, offset)])])
                    + struct.pack('>i', 1000))
            reader = client.call(21, 1, body)
            reader.take('i')
            topics = reader.array(lambda: (reader.string(), reader.array(lambda: reader.take('iqh'))))
            return topics[0][1][0][1:]
        equal(delete_records('t', 0, 4), (4, 0), 'records are deleted')
        equal(client.list_offsets('t', -2)['offset'], 4, 'the log begins behind them')
        equal(client.fetch('t', offset=3)['parts'][0]['error'], 1, 'and has them no more')
        equal(delete_records('t', 0, 11), (-1, 1), 'beyond the end: error 1')
        equal(delete_records('t', 0, -1), (10, 0), 'all that there are')
        equal(delete_records('none', 0, 1)[1], 3, 'no topic: error 3')

        def epoch_end(topic, current, epoch):
            body = struct.pack('>i', -1) + array([string(topic) + array([
                struct.pack('>iii', 0, current, epoch)])])
            reader = client.call(23, 3, body)
            reader.take('i')
            topics = reader.array(lambda: (reader.string(), reader.array(lambda: reader.take('hiiq'))))
            return topics[0][1][0]
        equal(epoch_end('t', -1, 0), (0, 0, 0, 10), 'where the leader epoch ends')
        equal(epoch_end('t', 9, 0)[0], 75, 'a leader epoch that is not known: error 75')
        equal(epoch_end('t', -1, 5), (0, 0, -1, -1), 'one that never was: nothing')


def cluster():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=2)
        client.produce('t', batch(bytes(5000)))
        reader = client.call(35, 1, struct.pack('>i', -1))
        reader.take('i')
        error, path, topics = reader.array(lambda: (
            reader.take('h'), reader.string(), reader.array(lambda: (
                reader.string(), reader.array(lambda: reader.take('iqqb'))))))[0]
        equal((error, path), (0, daemon.store), 'the disk is the store')
        sizes = {part: size for part, size, _, _ in topics[0][1]}
        ok(sizes[0] > 5000 and sizes[1] == 0, 'with what partitions take', sizes)
        reader = client.call(29, 1, struct.pack('>b', 1) + string(None) + struct.pack('>b', 1) + string(None)
                             + string(None) + struct.pack('>bb', 1, 1))
        reader.take('i')
        equal(reader.take('h'), 54, 'ACLs: there is no authorizer')
        reader = client.call(43, 0, array([string('t') + array([struct.pack('>i', p) for p in (0, 9)])])
                             + struct.pack('>i', 1000))
        reader.take('i')
        results = reader.array(lambda: (reader.string(), reader.array(lambda: (
            reader.take('i'), reader.take('h'), reader.string()))))
        equal([code for _, code, _ in results[0][1]], [84, 3], 'no leader has to be elected')


def too_much():
    """More text than a request may take in memory is refused wherever it runs out."""
    with Daemon() as daemon, Raw(daemon.port) as other:
        other.create('t')
        for kind, name, entry in ((2, 't', 'retention.ms'), (4, '1', 'log.retention.ms')):
            for count in (1050, 1100):
                with Raw(daemon.port) as client:
                    client.send(33, 0, array([struct.pack('>b', kind) + string(name) + array(
                        [string(entry) + string('1' * 32000)] * count)]) + b'\0')
                    ok(client.closed(), f'{count} long values: the connection ends')
        ok(other.metadata()['brokers'], 'others are served')
        equal(daemon.stop(), 0, 'it ends well')


run(configs, config_resources, partitions, cluster, too_much)
