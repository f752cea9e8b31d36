# SPDX-License-Identifier: Apache-2.0
"""Metadata, CreateTopics, DeleteTopics and InitProducerId."""

import struct

import raw
from daemon import Daemon
from raw import Raw, array, batch, string
from tap import equal, ok, run


def metadata():
    with Daemon() as daemon, Raw(daemon.port) as client:
        found = client.metadata()
        equal([b[:3] for b in found['brokers']], [(1, '127.0.0.1', daemon.port)],
              'one broker, where we found it')
        equal(found['controller'], 1, 'it is the controller')
        equal(len(found['cluster']), 22, 'the cluster has an id')
        equal(found['topics'], {}, 'there are no topics')
        equal(client.metadata('b', create=False)['topics']['b'], (3, []),
              'a topic that is missing, and may not be made')
        found = client.metadata('b', 'a/b', '.', '', 'c' * 250)['topics']
        equal(found['b'], (0, [(0, 0, 1, [[1], [1]])]), 'one that may be made, is')
        equal([found[n][0] for n in ('a/b', '.', '', 'c' * 250)], [17] * 4, 'illegal names')
        client.metadata('c', 'a')
        equal(list(client.metadata()['topics']), ['a', 'b', 'c'], 'all topics, sorted')
        reader = client.call(raw.METADATA, 0, array([]))
        reader.array(lambda: (reader.take('i'), reader.string(), reader.take('i')))
        equal(reader.take('i'), 3, 'version 0: an empty list is all topics')
        body = struct.pack('>i', 0)
        reader = client.call(raw.METADATA, 1, body)
        reader.array(lambda: (reader.take('i'), reader.string(), reader.take('i'), reader.string()))
        reader.take('i')
        equal(reader.take('i'), 0, 'version 1: an empty list is none')
    with Daemon('--set', 'auto.create.topics.enable=false', '--set', 'num.partitions=4') as daemon:
        with Raw(daemon.port) as client:
            equal(client.metadata('b')['topics']['b'], (3, []), 'auto.create.topics.enable=false')
            client.create('c', partitions=-1, replicas=-1)
            equal(len(client.metadata('c')['topics']['c'][1]), 4, 'num.partitions=4')
    for host in ('0.0.0.0', 'localhost'):
        with Daemon(listen=host + ':0') as daemon, Raw(daemon.port) as client:
            equal(client.metadata()['brokers'][0][1:3], ('127.0.0.1', daemon.port),
                  f'listening on {host}: the address that the client came to')


def create():
    with Daemon() as daemon, Raw(daemon.port) as client:
        equal(client.create('t', partitions=3), (0, None), 'a topic of three partitions')
        equal(len(client.metadata('t')['topics']['t'][1]), 3, 'is there')
        for name, code, more in (
                ('an existing topic', 36, {'topic': 't'}),
                ('an illegal name', 17, {'topic': 'a b'}),
                ('no partitions', 37, {'partitions': 0}),
                ('minus two partitions', 37, {'partitions': -2}),
                ('too many partitions', 37, {'partitions': 70000}),
                ('two thousand million partitions', 37, {'partitions': 0x7fffffff}),
                ('replication factor 3', 38, {'replicas': 3}),
                ('replication factor 0', 38, {'replicas': 0}),
                ('an unknown configuration', 40, {'configs': [('no.such', '1')]}),
                ('a wrong value', 40, {'configs': [('max.message.bytes', 'many')]}),
                ('an unknown broker', 39, {'partitions': -1, 'replicas': -1,
                                           'assignments': [(0, [2])]}),
                ('assignments and counts', 42, {'assignments': [(0, [1])]})):
            found = client.create(**{'topic': 'u', **more})
            ok(found[0] == code and found[1], f'{name}: error {code}, and why', found)
        equal(client.metadata('u', create=False)['topics']['u'][0], 3, 'none of these was made')
        equal(client.create('u', validate=True)[0], 0, 'validate_only: it would be right')
        equal(client.metadata('u', create=False)['topics']['u'][0], 3, 'and was not made')
        equal(client.create('u', partitions=-1, replicas=-1, assignments=[(0, [1]), (1, [1])])[0], 0,
              'assignments to the one broker')
        equal(len(client.metadata('u')['topics']['u'][1]), 2, 'are two partitions')
        equal(client.create('v', configs=[('max.message.bytes', '200')])[0], 0, 'a configuration')
        equal(client.produce('v', batch(bytes(300)))[0], 10, 'has its effect')


def delete():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t')
        client.create('other')
        client.produce('t', batch(b'x'))
        client.produce('other', batch(b'y'))
        equal(client.delete('t'), 0, 'a topic is deleted')
        equal(client.delete('t'), 3, 'again: error 3')
        equal(client.delete('a/b'), 3, 'an illegal name: error 3')
        equal(client.produce('t', batch(b'x'))[0], 3, 'it takes nothing')
        equal(client.fetch('t')['parts'][0]['error'], 3, 'and gives nothing')
        equal(list(client.metadata()['topics']), ['other'], 'it is not listed')
        equal(client.fetch('other')['parts'][0]['high'], 1, 'the others are untouched')
        client.create('t')
        equal(client.fetch('t')['parts'][0]['high'], 0, 'made again, it is empty')
        equal(client.produce('t', batch(b'x')), (0, 0), 'and begins at 0')


def newest_versions():
    """The versions that today's clients use: flexible, with topic ids."""
    with Daemon() as daemon, Raw(daemon.port) as client:
        config = raw.compact_string('max.message.bytes') + raw.compact_string('5000') + b'\0'
        topic = (raw.compact_string('t') + struct.pack('>ih', 2, 1) + raw.compact_array([])
                 + raw.compact_array([config]) + b'\0')
        reader = client.call(raw.CREATE_TOPICS, 7, raw.compact_array([topic])
                             + struct.pack('>ib', 30000, 0) + b'\0', flexible=True)
        reader.take('i')
        equal((reader.uvarint(), reader.compact_string()), (2, 't'), 'CreateTopics version 7')
        topic_id = reader.read(16)
        error, message, partitions, replicas = (reader.take('h'), reader.compact_string(),
                                                *reader.take('ih'))
        equal((error, message, partitions, replicas), (0, None, 2, 1), 'tells the counts')

        def entry():
            name, value = reader.compact_string(), reader.compact_string()
            flags = reader.take('bbb')
            reader.tags()
            return name, (value, flags)
        configs = dict(reader.compact_array(entry))
        equal(configs.get('max.message.bytes'), ('5000', (0, 1, 0)), 'and a configuration that was set')
        equal(configs.get('retention.ms', (0, 0))[1], (0, 5, 0), 'and one that was not')
        topic = (raw.compact_string('v') + struct.pack('>ih', 2, 1) + raw.compact_array([])
                 + raw.compact_array([config]) + b'\0')
        reader = client.call(raw.CREATE_TOPICS, 7, raw.compact_array([topic])
                             + struct.pack('>ib', 30000, 1) + b'\0', flexible=True)
        reader.take('i')
        reader.uvarint(), reader.compact_string(), reader.read(16), reader.take('h'), reader.compact_string()
        reader.take('ih')
        equal(dict(reader.compact_array(entry)), {'max.message.bytes': ('5000', (0, 1, 0))},
              'validate_only tells what was asked for, not null, which means that it may not be seen')

        body = raw.compact_array([topic_id + raw.compact_string('') + b'\0']) + bytes(3)
        reader = client.call(raw.METADATA, 12, body, flexible=True)
        reader.take('i')

        def broker():
            reader.take('i'), reader.compact_string(), reader.take('i'), reader.compact_string()
            reader.tags()
        reader.compact_array(broker)
        reader.compact_string(), reader.take('i'), reader.uvarint()
        equal((reader.take('h'), reader.compact_string()), (0, 't'),
              'Metadata version 12 by id, with an empty name, as Java sends it')

        data = batch(b'x')
        body = (raw.compact_string(None) + struct.pack('>hi', -1, 30000) + raw.compact_array([
            raw.compact_string('t') + raw.compact_array([
                struct.pack('>i', 1) + raw.uvarint(len(data) + 1) + data + b'\0']) + b'\0']) + b'\0')
        reader = client.call(raw.PRODUCE, 12, body, flexible=True)
        equal((reader.uvarint(), reader.compact_string(), reader.uvarint(), reader.take('ihq')),
              (2, 't', 2, (1, 0, 0)), 'Produce version 12')

        part = struct.pack('>iiq', 1, 0, -1) + b'\0'
        body = (struct.pack('>ib', -1, 0) + raw.compact_array([
            raw.compact_string('t') + raw.compact_array([part]) + b'\0']) + struct.pack('>i', 1000)
            + b'\0')
        reader = client.call(raw.LIST_OFFSETS, 10, body, flexible=True)
        reader.take('i')
        equal((reader.uvarint(), reader.compact_string(), reader.uvarint(), reader.take('ihqq')),
              (2, 't', 2, (1, 0, -1, 1)), 'ListOffsets version 10, with the leader epoch 0')

        body = raw.compact_string(None) + struct.pack('>iqh', 60000, -1, -1) + b'\0'
        reader = client.call(raw.INIT_PRODUCER_ID, 5, body, flexible=True)
        equal(reader.take('ih')[1], 0, 'InitProducerId version 5')

        def delete(name, some_id):
            one = raw.compact_string(name) + some_id + b'\0'
            answer = client.call(raw.DELETE_TOPICS, 6, raw.compact_array([one])
                                 + struct.pack('>i', 30000) + b'\0', flexible=True)
            answer.take('i')
            answer.uvarint()
            return answer.compact_string(), answer.read(16), answer.take('h')
        equal(delete(None, bytes(range(16)))[2], 100, 'DeleteTopics version 6: an unknown id')
        equal(delete(None, bytes(16))[2], 42, 'neither name nor id: error 42')
        equal(delete('t', topic_id)[2], 42, 'both: error 42, for they may be of two topics')
        equal(delete(None, topic_id), ('t', topic_id, 0), 'by its id')
        equal(delete('t', bytes(16))[2], 3, 'then it is gone')


def producer_ids():
    with Daemon() as daemon:
        seen = set()
        with Raw(daemon.port) as client:
            for _ in range(20):
                reader = client.call(raw.INIT_PRODUCER_ID, 0, string(None) + struct.pack('>i', 60000))
                _, error, producer, epoch = reader.take('ihqh')
                if (error, epoch) == (0, 0):
                    seen.add(producer)
            equal(len(seen), 20, 'twenty producer ids, all different, of epoch 0')
            reader = client.call(raw.INIT_PRODUCER_ID, 0, string('tx') + struct.pack('>i', 60000))
            equal(reader.take('ihqh')[1:], (35, -1, -1), 'a transactional id: not served')
        daemon.kill()
        daemon.start()
        with Raw(daemon.port) as client:
            reader = client.call(raw.INIT_PRODUCER_ID, 0, string(None) + struct.pack('>i', 60000))
            ok(reader.take('ihqh')[2] not in seen, 'after a crash none is given out again')


run(metadata, create, delete, newest_versions, producer_ids)
