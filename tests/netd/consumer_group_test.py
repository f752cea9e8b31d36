# SPDX-License-Identifier: Apache-2.0
"""The new consumer protocol by bytes: heartbeats, looking at such groups, offsets, and kill -9."""

import struct

from daemon import Daemon
from raw import Raw, array, compact_array, compact_string, string, uvarint
from tap import equal, ok, run

OFFSET_COMMIT, OFFSET_FETCH, DESCRIBE_GROUPS, LIST_GROUPS, DELETE_GROUPS = 8, 9, 15, 16, 42
OFFSET_DELETE, CONSUMER_GROUP_HEARTBEAT, CONSUMER_GROUP_DESCRIBE = 47, 68, 69
GROUP_ID_NOT_FOUND, UNKNOWN_MEMBER, NON_EMPTY, SUBSCRIBED = 69, 25, 68, 86
FENCED_EPOCH, UNSUPPORTED_ASSIGNOR, STALE_EPOCH, INVALID_REGEX = 110, 112, 113, 128
INVALID_REQUEST, UNSUPPORTED_VERSION = 42, 35


def int32(value):
    return struct.pack('>i', value)


def nullable_array(items):
    return uvarint(0) if items is None else compact_array(items)


def partitions_of(owned):
    return nullable_array(None if owned is None else [
        topic + compact_array([int32(p) for p in parts]) + b'\0' for topic, parts in owned])


def heartbeat(client, epoch, *, member='m', group='g', topics=None, regex=None, assignor=None,
              owned=None, timeout=-1, instance=None, version=1):
    body = (compact_string(group) + compact_string(member) + int32(epoch) + compact_string(instance)
            + compact_string(None) + int32(timeout)
            + nullable_array(None if topics is None else [compact_string(t) for t in topics])
            + (compact_string(regex) if version >= 1 else b'')
            + compact_string(assignor) + partitions_of(owned) + b'\0')
    reader = client.call(CONSUMER_GROUP_HEARTBEAT, version, body, flexible=True)
    reader.take('i')
    found = {'error': reader.take('h'), 'message': reader.compact_string(),
             'member': reader.compact_string(), 'epoch': reader.take('i'), 'interval': reader.take('i')}

    def topic():
        one = reader.read(16), reader.compact_array(lambda: reader.take('i'))
        reader.tags()
        return one
    found['assignment'] = None
    if reader.take('b') == 1:
        found['assignment'] = reader.compact_array(topic)
    return found


def join(client, **more):
    return heartbeat(client, 0, **{'topics': ['t'], 'owned': [], 'timeout': 60000, **more})


def describe(client, group='g'):
    body = compact_array([compact_string(group)]) + b'\0' + b'\0'
    reader = client.call(CONSUMER_GROUP_DESCRIBE, 1, body, flexible=True)
    reader.take('i')

    def assignment():
        def topic():
            reader.read(16)
            one = reader.compact_string(), reader.compact_array(lambda: reader.take('i'))
            reader.tags()
            return one
        found = reader.compact_array(topic)
        reader.tags()
        return found

    def member():
        one = {'id': reader.compact_string(), 'instance': reader.compact_string(),
               'rack': reader.compact_string(), 'epoch': reader.take('i'),
               'client': reader.compact_string(), 'host': reader.compact_string(),
               'topics': reader.compact_array(reader.compact_string),
               'regex': reader.compact_string(), 'has': assignment(), 'target': assignment(),
               'type': reader.take('b')}
        reader.tags()
        return one

    def one_group():
        one = {'error': reader.take('h'), 'message': reader.compact_string(),
               'id': reader.compact_string(), 'state': reader.compact_string(),
               'epoch': reader.take('i'), 'assignment_epoch': reader.take('i'),
               'assignor': reader.compact_string(), 'members': reader.compact_array(member)}
        reader.take('i')
        reader.tags()
        return one
    return reader.compact_array(one_group)[0]


def commit(client, epoch, member='m', version=9):
    part = struct.pack('>iqi', 0, 7, -1)
    if version >= 8:
        topic = compact_string('t') + compact_array([part + compact_string('') + b'\0']) + b'\0'
        body = (compact_string('g') + int32(epoch) + compact_string(member) + compact_string(None)
                + compact_array([topic]) + b'\0')
        reader = client.call(OFFSET_COMMIT, version, body, flexible=True)
        reader.take('i')
        reader.uvarint(), reader.compact_string(), reader.uvarint()
    else:
        body = (string('g') + int32(epoch) + string(member) + string(None)
                + array([string('t') + array([part + string('')])]))
        reader = client.call(OFFSET_COMMIT, version, body)
        reader.take('i'), reader.take('i'), reader.string(), reader.take('i')
    return reader.take('ih')[1]


def fetch(client, epoch, member='m'):
    topic = compact_string('t') + compact_array([int32(0)]) + b'\0'
    group = (compact_string('g') + compact_string(member) + int32(epoch) + compact_array([topic]) + b'\0')
    reader = client.call(OFFSET_FETCH, 9, compact_array([group]) + b'\0' + b'\0', flexible=True)
    reader.take('i'), reader.uvarint()
    reader.compact_string()

    def part():
        _, offset, _ = reader.take('iqi')
        reader.compact_string()
        error = reader.take('h')
        reader.tags()
        return offset, error

    def one_topic():
        reader.compact_string()
        parts = reader.compact_array(part)
        reader.tags()
        return parts
    return reader.compact_array(one_topic), reader.take('h')


def list_groups(client, types=()):
    body = compact_array([]) + compact_array([compact_string(t) for t in types]) + b'\0'
    reader = client.call(LIST_GROUPS, 5, body, flexible=True)
    reader.take('i'), reader.take('h')

    def group():
        one = tuple(reader.compact_string() for _ in range(4))
        reader.tags()
        return one
    return reader.compact_array(group)


def heartbeats():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=2)
        found = join(client)
        equal((found['error'], found['member'], found['epoch'], found['interval']), (0, 'm', 1, 5000),
              'a member joins')
        topic = found['assignment'][0][0]
        equal(found['assignment'], [(topic, [0, 1])], 'and is told all partitions')
        equal(heartbeat(client, 1)['assignment'], None, 'it is not told again')
        found = heartbeat(client, 1, topics=['t'], timeout=60000, owned=[(topic, [0, 1])])
        equal(found['assignment'], [(topic, [0, 1])], 'unless it tells everything itself')
        found = join(client, member='', version=0)
        equal((found['error'], found['epoch'], len(found['member']), found['assignment']),
              (0, 2, 36, []), 'another one, of version 0, gets an id and, for now, no partitions')
        second = found['member']
        found = heartbeat(client, 1)
        equal((found['epoch'], found['assignment']), (1, [(topic, [0])]),
              'the first has to let go of one')
        found = heartbeat(client, 1, owned=[(topic, [0])])
        equal((found['epoch'], found['assignment']), (2, None), 'it did')
        equal(heartbeat(client, 2, member=second, version=0)['assignment'], [(topic, [1])],
              'so that the other one has it')
        equal(heartbeat(client, -1)['epoch'], -1, 'it leaves')
        found = heartbeat(client, 2, member=second, version=0)
        equal((found['epoch'], found['assignment']), (3, [(topic, [0, 1])]), 'and the other has all')


def refusals():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t')
        equal(heartbeat(client, 1)['error'], GROUP_ID_NOT_FOUND, 'there is no such group')
        equal(join(client, member='')['error'], INVALID_REQUEST, 'version 1 needs an id')
        equal(join(client, group='')['error'], INVALID_REQUEST, 'no group')
        equal(join(client, topics=None)['error'], INVALID_REQUEST, 'no subscription')
        equal(join(client, timeout=-1)['error'], INVALID_REQUEST, 'no rebalance timeout')
        equal(join(client, owned=None)['error'], INVALID_REQUEST, 'partitions not said')
        equal(join(client, assignor='best')['error'], UNSUPPORTED_ASSIGNOR, 'an unknown assignor')
        equal(join(client, topics=None, regex='(')['error'], INVALID_REGEX, 'a wrong pattern')
        equal(join(client)['error'], 0, 'one that is right')
        equal(heartbeat(client, 2)['error'], FENCED_EPOCH, 'a later epoch')
        equal(heartbeat(client, 1, member='n')['error'], UNKNOWN_MEMBER, 'an unknown member')


def looking():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t', partitions=2)
        join(client, topics=None, regex='t+')
        found = describe(client)
        equal((found['error'], found['state'], found['epoch'], found['assignment_epoch'],
               found['assignor']), (0, 'Stable', 1, 1, 'uniform'), 'ConsumerGroupDescribe tells of it')
        equal([(m['id'], m['epoch'], m['client'], m['topics'], m['regex'], m['has'], m['type'])
               for m in found['members']],
              [('m', 1, 'raw', [], 't+', [('t', [0, 1])], 1)], 'and of its member')
        found = describe(client, 'h')
        equal((found['error'], found['message']), (GROUP_ID_NOT_FOUND, 'Group h not found.'),
              'not of one that there is not')
        equal(list_groups(client), [('g', 'consumer', 'Stable', 'consumer')], 'ListGroups lists it')
        equal(list_groups(client, ['classic']), [], 'not among classic ones')
        reader = client.call(DESCRIBE_GROUPS, 6, compact_array([compact_string('g')]) + b'\0\0',
                             flexible=True)
        reader.take('i'), reader.uvarint()
        equal((reader.take('h'), reader.compact_string()),
              (GROUP_ID_NOT_FOUND, 'Group g is not a classic group.'), 'DescribeGroups does not know it')
        reader = client.call(DELETE_GROUPS, 1, array([string('g')]))
        reader.take('i')
        equal(reader.array(lambda: (reader.string(), reader.take('h'))), [('g', NON_EMPTY)],
              'it cannot be deleted with a member')
        reader = client.call(OFFSET_DELETE, 0, string('g') + array([string('t') + array([int32(0)])]))
        error = reader.take('h')
        reader.take('i')
        equal((error, reader.array(lambda: (reader.string(), reader.array(lambda: reader.take('ih'))))),
              (0, [('t', [(0, SUBSCRIBED)])]), 'nor offsets of a topic that it subscribes')
        heartbeat(client, -1)
        reader = client.call(DELETE_GROUPS, 1, array([string('g')]))
        reader.take('i')
        equal(reader.array(lambda: (reader.string(), reader.take('h'))), [('g', 0)],
              'without one it can')
        equal(describe(client)['error'], GROUP_ID_NOT_FOUND, 'and is gone')


def offsets():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t')
        join(client)
        equal(commit(client, 1), 0, 'a member commits with its epoch')
        equal(commit(client, 0), STALE_EPOCH, 'not with another one')
        equal(commit(client, 1, 'n'), UNKNOWN_MEMBER, 'and nobody else does')
        equal(commit(client, 1, version=7), UNSUPPORTED_VERSION, 'nor in words without epochs')
        equal(fetch(client, 1), ([[(7, 0)]], 0), 'a member sees what was committed')
        equal(fetch(client, 0)[1], STALE_EPOCH, 'not with another epoch')
        equal(fetch(client, 1, 'n')[1], UNKNOWN_MEMBER, 'nor does who is none')
        equal(fetch(client, -1, None), ([[(7, 0)]], 0), 'but whoever claims nothing does')


def killed():
    with Daemon() as daemon:
        with Raw(daemon.port) as client:
            client.create('t', partitions=2)
            topic = join(client)['assignment'][0][0]
            join(client, member='n')
            heartbeat(client, 1)
        daemon.kill()
        daemon.start()
        with Raw(daemon.port) as client:
            found = describe(client)
            equal([(m['id'], m['epoch'], m['has'], m['target']) for m in found['members']],
                  [('m', 1, [('t', [0])], [('t', [0])]), ('n', 2, [], [('t', [1])])],
                  'after kill -9 members are where they were told to be')
            equal(heartbeat(client, 2, member='n')['assignment'], None,
                  'what was not let go is not given on')
            equal(heartbeat(client, 1, owned=[(topic, [0])])['epoch'], 2, 'it is let go')
            equal(heartbeat(client, 2, member='n')['assignment'], [(topic, [1])], 'and given on')


def too_much():
    with Daemon() as daemon, Raw(daemon.port) as client:
        client.create('t')
        equal(join(client, topics=['x%d' % i for i in range(10001)])['error'], INVALID_REQUEST,
              'no member names more than 10000 topics')
        equal(join(client)['error'], 0, 'a member')
        owned = [(b'\1' * 16, list(range(65537)))]
        equal(heartbeat(client, 1, owned=owned)['error'], INVALID_REQUEST,
              'nor does it have more partitions than a store')
        ok(heartbeat(client, 1)['error'] == 0, 'the group goes on')


run(heartbeats, refusals, looking, offsets, killed, too_much)
