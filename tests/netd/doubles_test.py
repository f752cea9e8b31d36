# SPDX-License-Identifier: Apache-2.0
"""What stands in a request twice, and names of topics that only dots and underscores tell apart: refused as
Apache Kafka 4.1 refuses them."""

import struct

import raw
from daemon import Daemon
from raw import Raw, array, string
from tap import equal, run

ALTER_CONFIGS, CREATE_PARTITIONS, INCREMENTAL_ALTER_CONFIGS = 33, 37, 44
TOPIC = 2
UNKNOWN, COLLIDES, EXISTS, INVALID_REQUEST, UNKNOWN_ID = 3, 17, 36, 42, 100


def create(client, *names, validate=False):
    body = array([string(name) + struct.pack('>ih', 1, 1) + array([]) + array([]) for name in names])
    reader = client.call(raw.CREATE_TOPICS, 2, body + struct.pack('>ib', 30000, validate))
    reader.take('i')
    return [(reader.string(), reader.take('h'), reader.string())[:2] for _ in range(reader.take('i'))]


def topics():
    with Daemon() as daemon, Raw(daemon.port) as client:
        equal(create(client, 'a', 'b', 'a', 'a'), [('a', INVALID_REQUEST), ('b', 0)],
              'a topic that is to be made three times is not made, and its neighbour is')
        equal(list(client.metadata()['topics']), ['b'], 'the neighbour alone')
        create(client, 'a')
        body = array([string(name) + struct.pack('>ii', count, -1)
                      for name, count in (('a', 2), ('b', 2), ('a', 3))]) + struct.pack('>ib', 30000, 0)
        reader = client.call(CREATE_PARTITIONS, 0, body)
        reader.take('i')
        equal(reader.array(lambda: (reader.string(), reader.take('h'), reader.string())),
              [('a', INVALID_REQUEST, 'Duplicate topic name.'), ('b', 0, None)],
              'partitions are not added to a topic that is named twice')
        reader = client.call(raw.DELETE_TOPICS, 1, array([string(n) for n in ('a', 'b', 'a')])
                             + struct.pack('>i', 30000))
        reader.take('i')
        equal(reader.array(lambda: (reader.string(), reader.take('h'))), [('a', INVALID_REQUEST), ('b', 0)],
              'nor is it deleted')


def ids():
    one, other = b'1' * 16, b'2' * 16
    with Daemon() as daemon, Raw(daemon.port) as client:
        body = raw.compact_array([raw.compact_string(None) + topic + b'\0' for topic in (one, other, one)])
        reader = client.call(raw.DELETE_TOPICS, 6, body + struct.pack('>i', 30000) + b'\0', flexible=True)
        reader.take('i')

        def answer():
            reader.compact_string()
            found = reader.read(16), reader.take('h')
            reader.compact_string(), reader.tags()
            return found
        equal(reader.compact_array(answer), [(one, INVALID_REQUEST), (other, UNKNOWN_ID)],
              'an id that is to be deleted twice')
    with Daemon('--set', 'delete.topic.enable=false') as daemon, Raw(daemon.port) as client:
        equal(client.delete('a'), INVALID_REQUEST,
              'versions before 3 do not know the error that nothing may be deleted')


def alter(client, resources, api=ALTER_CONFIGS):
    """[(error, message), ...] of [(topic, [(name, value), ...]), ...]."""
    operation = struct.pack('>b', 0) if api == INCREMENTAL_ALTER_CONFIGS else b''
    body = array([struct.pack('>b', TOPIC) + string(topic)
                  + array([string(name) + operation + string(value) for name, value in entries])
                  for topic, entries in resources]) + struct.pack('>b', 0)
    reader = client.call(api, 0, body)
    reader.take('i')
    return [(error, message) for error, message, _, _ in reader.array(
        lambda: (reader.take('h'), reader.string(), reader.take('b'), reader.string()))]


def configs():
    with Daemon() as daemon, Raw(daemon.port) as client:
        create(client, 't', 'u')
        for api in (ALTER_CONFIGS, INCREMENTAL_ALTER_CONFIGS):
            one = [('retention.ms', '1000')]
            twice = (INVALID_REQUEST, 'Each resource must appear at most once.')
            equal(alter(client, [('t', one), ('u', one), ('t', one)], api), [twice, (0, None), twice],
                  f'API {api}: a topic that is to be altered twice')
            equal(alter(client, [('t', one + one)], api),
                  [(INVALID_REQUEST, 'Error due to duplicate config keys')], 'an entry that is set twice')
            equal(alter(client, [('t', [('retention.ms', None)])], api),
                  [(INVALID_REQUEST, 'Null value not supported for : retention.ms')], 'and one to null')


def names_alike():
    with Daemon() as daemon, Raw(daemon.port) as client:
        create(client, 'a.b', 'c_d')
        equal(create(client, 'a_b', 'c.d', 'a.b', 'a-b'),
              [('a_b', COLLIDES), ('c.d', COLLIDES), ('a.b', EXISTS), ('a-b', 0)],
              'names that only dots and underscores tell from those of topics')
        equal(create(client, 'a_b', validate=True), [('a_b', COLLIDES)], 'also where it is only asked')
        equal(client.metadata('a_b', 'c-d')['topics']['a_b'], (COLLIDES, []),
              'such a topic is not made for who looks for it')
        equal(list(client.metadata()['topics']), ['a-b', 'a.b', 'c-d', 'c_d'], 'none was made')
        equal(client.metadata('a_b', create=False)['topics']['a_b'], (UNKNOWN, []),
              'who may not make it is told that it is not there')


run(topics, ids, configs, names_alike)
