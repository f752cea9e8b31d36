# SPDX-License-Identifier: Apache-2.0
"""What administrators ask about topics and producers, by bytes: DescribeTopicPartitions in its pages,
DescribeProducers, what a client may do, leader epochs."""

import os
import struct

import raw
from daemon import Daemon
from raw import Raw, array, batch, compact_array, compact_string, string
from tap import equal, ok, run

TOPIC, GROUP, CLUSTER = 3576, 3400, 8096  # what Kafka 4.1 without an authorizer answers
UNKNOWN = -(1 << 31)


def describe_topics(client, *names, limit=2000, cursor=None):
    """[(error, name, [partition]), ...] and the next cursor."""
    body = compact_array([compact_string(name) + b'\0' for name in names]) + struct.pack('>i', limit)
    body += b'\xff' if cursor is None else b'\1' + compact_string(cursor[0]) + struct.pack('>i', cursor[1]) + b'\0'
    reader = client.call(75, 0, body + b'\0', flexible=True)
    reader.take('i')

    def part():
        error, number, leader, epoch = reader.take('hiii')
        lists = [reader.compact_array(lambda: reader.take('i')) for _ in range(5)]
        reader.tags()
        equal((error, leader, epoch, lists), (0, 1, 0, [[1], [1], [], [], []]), f'partition {number}')
        return number

    def topic():
        error, name = reader.take('h'), reader.compact_string()
        has_id = reader.read(16) != bytes(16)
        internal = reader.take('?')
        parts = reader.compact_array(part)
        operations = reader.take('i')
        reader.tags()
        equal((has_id, internal), (error == 0, False), 'it has an id where it is there')
        equal(operations, UNKNOWN if error == 42 else TOPIC, 'all may be done with it')
        return error, name, parts
    topics = reader.compact_array(topic)
    following = None
    if reader.take('b') >= 0:
        following = reader.compact_string(), reader.take('i')
        reader.tags()
    return topics, following


def topic_partitions():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=3)
        client.create('t2')
        t, t2 = (0, 't', [0, 1, 2]), (0, 't2', [0])
        equal(describe_topics(client), ([t, t2], None), 'all topics')
        equal(describe_topics(client, 't2', 'none', 'bad name!', 't', 't'),
              ([(17, 'bad name!', []), (3, 'none', []), t, t2], None), 'those that are named, in order, once')
        equal(describe_topics(client, 't', 't2', limit=2), ([(0, 't', [0, 1])], ('t', 2)),
              'an answer that is full has a cursor')
        equal(describe_topics(client, 't', 't2', limit=2, cursor=('t', 2)), ([(0, 't', [2]), t2], None),
              'where the next one begins')
        equal(describe_topics(client, limit=3), ([t], ('t2', 0)), 'it may be full at the end of a topic')
        equal(describe_topics(client, limit=3, cursor=('t2', 0)), ([t2], None), 'and go on with the next')
        equal(describe_topics(client, limit=0), ([(0, 't', [0])], ('t', 1)), 'one partition is in each')
        equal(describe_topics(client, cursor=('s', 0))[0], [t, t2], 'a topic that is gone is a cursor, too')
        equal(describe_topics(client, 't', 't2', cursor=('t', 5)), ([(0, 't', []), t2], None),
              'so is a partition that there is not')
        equal(describe_topics(client, 't2', cursor=('t', 2)), ([(42, 't2', [])], None),
              'but no topic that is not asked for: error 42')
        equal(describe_topics(client, cursor=('t', -1)), ([], None), 'nor a negative partition')
        equal(describe_topics(client, cursor=('s' * 249, 0))[0], [t, t2], 'a name may be as long as this')
        equal(describe_topics(client, cursor=('s' * 250, 0)), ([], None), 'and no longer')


def producers():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=2)

        def described(topic, *numbers):
            reader = client.call(61, 0, compact_array([
                compact_string(topic) + compact_array([struct.pack('>i', number) for number in numbers])
                + b'\0']) + b'\0', flexible=True)
            reader.take('i')

            def producer():
                pid, epoch, sequence, time, coordinator, transaction = reader.take('qiiqiq')
                reader.tags()
                ok(abs(time - raw.NOW_MS) < 600000, 'it appended just now', time)
                return pid, epoch, sequence, coordinator, transaction

            def part():
                found = reader.take('ih')
                reader.compact_string()
                active = reader.compact_array(producer)
                reader.tags()
                return *found, active

            def one():
                return reader.compact_string(), reader.compact_array(part), reader.tags()
            name, parts, _ = reader.compact_array(one)[0]
            equal(name, topic, 'the topic')
            return parts[0] if len(numbers) == 1 else parts
        equal(described('t', 0), (0, 0, []), 'no producers')
        client.produce('t', batch(b'a', b'b', producer=(7, 2, 0)))
        client.produce('t', batch(b'c', producer=(7, 2, 2)))
        equal(described('t', 0), (0, 0, [(7, 2, 2, -1, -1)]), 'a producer with its epoch and sequence')
        equal(described('t', 1), (1, 0, []), 'is not one of another partition')
        equal(described('t', 0, 0, 1, 0), [found := described('t', 0), found, (1, 0, []), found],
              'one that is named again is told again')
        equal(described('t', 2), (2, 3, []), 'no such partition: error 3')
        equal(described('none', 0), (0, 3, []), 'no such topic: error 3')


def operations():
    """Without an authorizer a client may do all, and is told so where it asks."""
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t')

        def metadata(cluster, topic):
            reader = client.call(raw.METADATA, 8, array([string('t')]) + struct.pack('>???', False, cluster, topic))
            return struct.unpack('>ii', reader.read()[-8:])
        equal(metadata(True, True), (TOPIC, CLUSTER), 'Metadata, asked for both')
        equal(metadata(False, False), (UNKNOWN, UNKNOWN), 'asked for neither')

        def cluster(asked):
            reader = client.call(60, 0, struct.pack('>?', asked) + b'\0', flexible=True)
            return struct.unpack('>i', reader.read()[-5:-1])[0]
        equal((cluster(True), cluster(False)), (CLUSTER, UNKNOWN), 'DescribeCluster')

        def group(asked):
            reader = client.call(15, 3, array([string('g')]) + struct.pack('>?', asked))
            return struct.unpack('>i', reader.read()[-4:])[0]
        equal((group(True), group(False)), (GROUP, UNKNOWN), 'DescribeGroups')


def leader_epochs():
    """Metadata and Fetch speak of the same epoch, also after it rose."""
    def epoch(client):
        reader = client.call(raw.METADATA, 7, array([string('t')]) + b'\0')
        data = reader.read()
        return struct.unpack('>i', data[-4 * 6:][:4])[0]  # before three lists of 1, 1 and 0 brokers

    with Daemon() as daemon:
        with Raw(daemon.port) as client:
            client.create('t')
            client.produce('t', batch(b'x'))
            equal(epoch(client), 0, 'the first leader epoch is told')
            equal(client.fetch('t', version=9, epoch=0)['parts'][0]['error'], 0, 'and good for a fetch')
        daemon.kill()
        os.unlink(daemon.store + '/live')  # so nobody can know what was lost
        daemon.start()
        with Raw(daemon.port) as client:
            equal(epoch(client), 1, 'after a loss of power there is a new one')
            equal(client.fetch('t', version=9, epoch=0)['parts'][0]['error'], 74, 'the old one is fenced')
            equal(client.fetch('t', version=9, epoch=1)['parts'][0]['error'], 0, 'with the new one it goes on')


def sources():
    """Where a new topic's configurations come from."""
    with Daemon('--set', 'log.retention.ms=7000', '--set', 'broker.rack=south') as daemon, Raw(daemon.port) as client:
        one = (compact_string('t') + struct.pack('>ih', 1, 1) + compact_array([])
               + compact_array([compact_string('segment.ms') + compact_string('9000') + b'\0']) + b'\0')
        reader = client.call(raw.CREATE_TOPICS, 5, compact_array([one]) + struct.pack('>i', 5000) + b'\0\0',
                             flexible=True)
        reader.take('i')

        def topic():
            head = (reader.compact_string(), reader.take('h'), reader.compact_string(), reader.take('ih'))
            return head[:2], {name: (value, source) for name, value, _, source in reader.compact_array(
                lambda: (reader.compact_string(), reader.compact_string(), *reader.take('?b?'), reader.tags())[:4])}
        created, configs = reader.compact_array(topic)[0]
        equal(created, ('t', 0), 'a topic is made')
        equal({name: configs[name] for name in ('segment.ms', 'retention.ms', 'cleanup.policy')},
              {'segment.ms': ('9000', 1), 'retention.ms': ('7000', 3), 'cleanup.policy': ('delete', 5)},
              'each configuration says whether it is its own, of all topics, or nobody has set it')
        equal(client.metadata('t')['brokers'][0][3], 'south', 'the broker tells its rack')
        reader = client.call(60, 0, b'\0\0', flexible=True)
        ok(b'\x06south' in reader.read(), 'also where the cluster is described')


def all_configs():
    """Some clients ask for all entries with null, some with an empty list."""
    def names(client, kind, name, keys):
        reader = client.call(32, 1, array([kind + string(name) + keys]) + b'\0')
        reader.take('i')

        def config():
            found = (reader.string(), reader.string(), *reader.take('?b?'))[0]
            reader.array(lambda: (reader.string(), reader.string(), reader.take('b')))
            return found
        return reader.array(lambda: (reader.take('h'), reader.string(), reader.take('b'), reader.string(),
                                     reader.array(config)))[0][4]
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t')
        for kind, name in ((b'\2', 't'), (b'\4', '1')):
            every = names(client, kind, name, struct.pack('>i', -1))
            ok(len(every) > 30, f'all entries of {name}', every)
            equal(names(client, kind, name, array([])), every, 'a list of no names is all, too')
        equal(names(client, b'\2', 't', array([string('retention.ms')])), ['retention.ms'], 'one by its name')


def group_configs():
    """Of a group: kept with it, and used for its members of the new protocol."""
    interval, session = 'consumer.heartbeat.interval.ms', 'consumer.session.timeout.ms'

    def answer(client, name, *changes, validate=False):
        reader = client.call(44, 0, array([b'\x20' + string(name) + array([
            string(n) + struct.pack('>b', op) + string(v) for n, op, v in changes])]) + struct.pack('>?', validate))
        reader.take('i')
        return reader.array(lambda: (reader.take('h'), reader.string(), reader.take('b'), reader.string()))[0]

    def alter(client, name, *changes, validate=False):
        return answer(client, name, *changes, validate=validate)[0]

    def describe(client, name):
        reader = client.call(32, 1, array([b'\x20' + string(name) + struct.pack('>i', -1)]) + b'\1')
        reader.take('i')

        def config():
            found = (reader.string(), reader.string(), *reader.take('?b?'))
            reader.array(lambda: (reader.string(), reader.string(), reader.take('b')))
            return found
        error, _, _, _, configs = reader.array(lambda: (
            reader.take('h'), reader.string(), reader.take('b'), reader.string(), reader.array(config)))[0]
        return error, {name: (value, source) for name, value, _, source, _ in configs}

    def beat(client, group):
        body = (compact_string(group) + compact_string('m') + struct.pack('>i', 0) + compact_string(None) * 2
                + struct.pack('>i', 5000) + compact_array([compact_string('t')]) + compact_string(None)
                + compact_array([]) + b'\0')
        reader = client.call(68, 0, body, flexible=True)
        reader.take('i')
        error, _, _ = reader.take('h'), reader.compact_string(), reader.compact_string()
        return error, reader.take('ii')[1]
    with Daemon() as daemon:
        with Raw(daemon.port) as client:
            client.create('t')
            equal(describe(client, 'g'), (0, {interval: ('5000', 5), session: ('45000', 5)}), 'the defaults')
            equal(alter(client, 'g', (interval, 0, '6000'), validate=True), 0, 'what would be right')
            equal(describe(client, 'g')[1][interval], ('5000', 5), 'is not set')
            equal(alter(client, 'g', (interval, 0, '7000'), (session, 0, '50000')), 0, 'it is set')
            equal(describe(client, 'g')[1], {interval: ('7000', 8), session: ('50000', 8)}, 'and told')
            equal(beat(client, 'g'), (0, 7000), 'members of the group are to beat so')
            equal(beat(client, 'other'), (0, 5000), 'others are not')
            for changes, error in ((((interval, 0, '60000'),), 40), (((session, 0, '5'),), 40),
                                   (((session, 0, 'soon'),), 40), ((('bogus', 0, '1'),), 40),
                                   (((session, 2, '50000'),), 40)):
                equal(alter(client, 'g', *changes), error, f'{changes}: error 40')
            equal(alter(client, '', (session, 0, '50000')), 42, 'no group: error 42')
            equal(describe(client, '')[0], 42, 'of which nothing is told')
            reader = client.call(74, 1, compact_array([b'\x20']) + b'\0', flexible=True)
            reader.take('ih')
            equal(reader.compact_array(lambda: (reader.compact_string(), reader.take('b'), reader.tags())[:2]),
                  [('g', 32)], 'groups that have something are listed')
        daemon.kill()
        daemon.start()
        with Raw(daemon.port) as client:
            equal(describe(client, 'g')[1], {interval: ('7000', 8), session: ('50000', 8)}, 'after a kill it is there')
            equal(alter(client, 'g', (interval, 1, None)), 0, 'it is taken back')
            equal(describe(client, 'g')[1], {interval: ('5000', 5), session: ('50000', 8)}, 'by itself')
            body = array([b'\x20' + string('g') + array([string(interval) + string('8000')])]) + b'\0'
            reader = client.call(33, 0, body)
            equal(reader.take('iih')[2], 0, 'AlterConfigs')
            equal(describe(client, 'g')[1], {interval: ('8000', 8), session: ('45000', 5)}, 'sets all anew')
            equal(beat(client, 'g'), (0, 8000), 'and is heard of at the next beat')
    with Daemon('--set', 'group.consumer.min.session.timeout.ms=6000') as daemon, Raw(daemon.port) as client:
        equal(alter(client, 'g', (session, 0, '8000')), 0, 'above the interval that holds by default')
        for number in '8000', '9000':
            equal(answer(client, 'g', (interval, 0, number))[:2], (40, f'{session} must be greater than {interval}'),
                  f'no interval of {number} beside that')
        equal(alter(client, 'g', (interval, 0, '7999')), 0, 'but one below')
        equal(alter(client, 'g', (interval, 0, '9000'), (session, 0, '9001')), 0, 'both are looked at together')


run(group_configs, sources, all_configs, topic_partitions, producers, operations, leader_epochs)
