# SPDX-License-Identifier: Apache-2.0
"""Client quotas, by bytes: setting, keeping and telling them, and what becomes of clients that do more. Rates are
only bounded from above, by what the time that really went by allows; on a slow machine that is more."""

import socket
import struct
import time

import raw
from daemon import Daemon
from raw import Raw, array, batch, compact_array, compact_string, string
from tap import equal, ok, run

PRODUCE, FETCH, REQUEST = 'producer_byte_rate', 'consumer_byte_rate', 'request_percentage'
MUTATION, CONNECTION = 'controller_mutation_rate', 'connection_creation_rate'
EXACT, DEFAULT, ANY = 0, 1, 2
WINDOWS = ('--set', 'quota.window.num=2', '--set', 'controller.quota.window.num=2')
SPAN = 2  # seconds in all windows


class Client(Raw):
    def __init__(self, port, client_id='me', address=None):
        super().__init__(port)
        if address:
            self.socket.close()
            self.socket = socket.create_connection(('127.0.0.1', port), raw.TIMEOUT, source_address=(address, 0))
        self.client_id = client_id

    def frame(self, api, version, correlation, body, flexible=False):
        data = (struct.pack('>hhi', api, version, correlation) + string(self.client_id)
                + (b'\0' if flexible else b'') + body)
        return struct.pack('>i', len(data)) + data

    def alter_all(self, *entries, validate=False):
        """[(error, message), ...]; see alter_quotas()."""
        found = self.alter_quotas(*entries, validate=validate)
        equal([entity for _, _, entity in found], [entity for entity, _ in entries], 'each entity is answered')
        return [(error, message) for error, message, _ in found]

    def alter(self, entity, values, **more):
        return self.alter_all((entity, values), **more)[0][0]

    def describe(self, *components, strict=False):
        """(error, {(entity, ...): {key: value}}), or the error and its message."""
        body = array([string(kind) + struct.pack('>b', match) + string(name)
                      for kind, match, name in components]) + struct.pack('>?', strict)
        reader = self.call(raw.DESCRIBE_CLIENT_QUOTAS, 0, body)
        _, error, message = reader.take('i'), reader.take('h'), reader.string()
        if error:
            return error, message
        return error, {tuple(reader.array(lambda: (reader.string(), reader.string()))):
                       dict(reader.array(lambda: (reader.string(), reader.take('d'))))
                       for _ in range(reader.take('i'))}

    def produce_bytes(self, size, acks=1):
        """The answer's error, and how long it says to wait."""
        version = 3
        reader = self.call(raw.PRODUCE, version, raw.produce_body('t', batch(b'x' * size), acks, version))
        return self.produce_answer(reader, version)[0][1], reader.take('i')

    def fetch_some(self, **more):
        """How long it says to wait, and the bytes of records."""
        reader = self.call(raw.FETCH, 7, raw.fetch_body('t', version=7, **more))
        wait = reader.take('i')
        reader.seek(reader.tell() - 4)
        answer = self.fetch_answer(reader, 7)
        equal(answer['error'], 0, 'a fetch has no error') if answer['error'] else None
        return wait, sum(part['size'] for part in answer['parts']), answer['session']

    def create_with(self, name, partitions, version):
        """(how long to wait, error)."""
        one = (compact_string(name) + struct.pack('>ih', partitions, 1) + compact_array([]) * 2 + b'\0')
        reader = self.call(raw.CREATE_TOPICS, version, compact_array([one]) + struct.pack('>ib', 5000, 0) + b'\0',
                           flexible=True)
        wait = reader.take('i')
        _, _ = reader.uvarint(), reader.compact_string()
        return wait, reader.take('h')


def user(name):
    return [('user', name)]


def client_id(name):
    return [('client-id', name)]


def address(name):
    return [('ip', name)]


def kept():
    with Daemon() as daemon:
        with Client(daemon.port) as client:
            equal(client.describe(), (0, {}), 'at first there are none')
            equal(client.alter(client_id('c'), {PRODUCE: 1e6}, validate=True), 0, 'what would be right')
            equal(client.describe(), (0, {}), 'is not set')
            both = [('user', 'u'), ('client-id', None)]
            equal(client.alter_all((client_id('c'), {PRODUCE: 1e6, REQUEST: 0.5}), (both, {FETCH: 2e6}),
                                   (user(None), {MUTATION: 1.5}), (address('127.0.0.9'), {CONNECTION: 7}),
                                   (client_id('bad'), {'bogus': 1}), (client_id('good'), {PRODUCE: 1e9})),
                  [(0, None)] * 4 + [(42, 'Invalid configuration key bogus'), (0, None)], 'several at once, one wrong')
            equal(client.alter(client_id('c'), {REQUEST: None, FETCH: 5e6}), 0, 'one is changed')
            equal(client.alter(client_id('good'), {PRODUCE: None, 'bogus': None}), 0, 'one is taken away')
            equal(client.alter(client_id('none'), {PRODUCE: None}), 0, 'and one that there is not')
            wanted = {(('client-id', 'c'),): {PRODUCE: 1e6, FETCH: 5e6}, tuple(both): {FETCH: 2e6},
                      (('user', None),): {MUTATION: 1.5}, (('ip', '127.0.0.9'),): {CONNECTION: 7}}
            equal(client.describe(), (0, wanted), 'they are told')
        daemon.kill()
        daemon.start()
        with Client(daemon.port) as client:
            equal(client.describe(), (0, wanted), 'after a kill they are there')


def refused():
    with Daemon() as daemon, Client(daemon.port) as client:
        for entity, values, why in (
                (user('u'), {PRODUCE: 0}, 'Quota producer_byte_rate must be greater than 0'),
                (user('u'), {REQUEST: -1}, 'Quota request_percentage must be greater than 0'),
                (user('u'), {PRODUCE: 0.5}, 'producer_byte_rate cannot be a fractional value.'),
                (user('u'), {FETCH: 1e19}, 'Proposed value for consumer_byte_rate is too large for a LONG.'),
                (address('::1'), {CONNECTION: 2 ** 31},
                 'Proposed value for connection_creation_rate is too large for an INT.'),
                (user('u'), {MUTATION: float('nan')}, 'Quota controller_mutation_rate must be a number'),
                (user('u'), {CONNECTION: 5}, 'Invalid configuration key connection_creation_rate'),
                (address('::1'), {PRODUCE: 5}, 'Invalid configuration key producer_byte_rate'),
                (address('localhost'), {CONNECTION: 5},
                 'localhost is not a valid IP address (names are not looked up)'),
                (user(''), {PRODUCE: 5}, 'Empty user not supported'),
                (client_id('x' * 256), {PRODUCE: 5}, 'The name of a client-id has at most 255 bytes here'),
                ([], {PRODUCE: 5}, 'Invalid empty client quota entity'),
                ([('bogus', 'x')], {PRODUCE: 5}, 'Unhandled client quota entity type: bogus'),
                ([('user', 'u'), ('ip', '::1')], {PRODUCE: 5},
                 'Invalid quota entity combination, IP entity should not be combined with User or ClientId'),
                (user('u'), [(PRODUCE, 5), (PRODUCE, 6)], 'Duplicate quota key producer_byte_rate')):
            equal(client.alter_all((entity, values))[0], (42, why), why)
        equal(client.alter_all((user('u'), {PRODUCE: 5}), (user('u'), {PRODUCE: 6})),
              [(0, None), (42, 'Ignoring duplicate entity')], 'of two for the same the first counts')
        equal(client.describe(), (0, {(('user', 'u'),): {PRODUCE: 5}}), 'and nothing else was set')


def filters():
    names = {'c': client_id('c'), '-c': client_id(None), 'u': user('u'), '-u': user(None), 'i': address('::1'),
             'uc': [('user', 'u'), ('client-id', 'c')], 'u-c': [('user', 'u'), ('client-id', None)]}
    with Daemon() as daemon, Client(daemon.port) as client:
        client.alter_all(*((entity, {CONNECTION if name == 'i' else PRODUCE: 5}) for name, entity in names.items()))

        def found(*components, strict=False):
            error, those = client.describe(*components, strict=strict)
            return those if error else {name for name, entity in names.items() if tuple(entity) in those}
        equal(found(), set(names), 'no filter: all')
        equal(found(strict=True), set(), 'strictly, none')
        equal(found(('user', EXACT, 'u')), {'u', 'uc', 'u-c'}, 'a user')
        equal(found(('user', EXACT, 'u'), strict=True), {'u'}, 'him alone')
        equal(found(('user', DEFAULT, None)), {'-u'}, 'the default')
        equal(found(('client-id', ANY, None)), {'c', '-c', 'uc', 'u-c'}, 'any client id')
        equal(found(('client-id', ANY, None), strict=True), {'c', '-c'}, 'alone')
        equal(found(('user', ANY, None), ('client-id', DEFAULT, None), strict=True), {'u-c'}, 'both')
        equal(found(('ip', ANY, None)), {'i'}, 'addresses')
        for components, error in (([('bogus', EXACT, 'x')], (35, 'Unsupported entity type bogus')),
                                  ([('', EXACT, 'x')], (42, 'Invalid empty entity type.')),
                                  ([('user', 3, None)], (42, 'Unknown match type 3'))):
            equal(client.describe(*components), error, f'{components}: {error}')
        for components in ([('user', EXACT, None)], [('user', DEFAULT, 'x')], [('user', ANY, 'x')],
                           [('user', ANY, None), ('user', EXACT, 'x')], [('user', ANY, None), ('ip', ANY, None)]):
            equal(client.describe(*components)[0], 42, f'{components}: error 42')


def until_throttled(call, count):
    """The answers, of which the first is how long to wait. More than `count` of them where the machine is so slow that
    they are within the rate."""
    answers = []
    while len(answers) < 10 * count and max((answer[0] for answer in answers), default=0) == 0:
        answers += [call() for _ in range(count)]
    return answers


def producing():
    """A client is told to wait, and kept to its rate whether it waits or not."""
    rate, size = 40000, 10000
    with Daemon(*WINDOWS) as daemon, Client(daemon.port) as client, Client(daemon.port, 'other') as other:
        client.create('t')
        client.alter(client_id('me'), {PRODUCE: rate})
        begin = time.monotonic()
        answers = until_throttled(lambda: client.produce_bytes(size)[::-1], 12)
        seconds = time.monotonic() - begin
        equal({error for _, error in answers}, {0}, 'all is taken')
        ok(max(wait for wait, _ in answers) > 0, 'some answers say to wait', answers)
        ok(len(answers) * size <= rate * (seconds + SPAN) + 2 * size, 'no more came than the rate', seconds)
        equal({other.produce_bytes(size)[1] for _ in range(12)}, {0}, 'others are not throttled')
        begin = time.monotonic()
        body = raw.produce_body('t', batch(b'x' * size), -1, 3)
        for _ in range(12):
            client.send(raw.PRODUCE, 3, body)
        client.socket.shutdown(socket.SHUT_WR)
        waits = [client.produce_answer(reader, 3) and reader.take('i') for _, reader in
                 (client.receive() for _ in range(12))]
        seconds = time.monotonic() - begin
        ok(max(waits) > 0, 'also one that sends without waiting for answers, and then no more, has all of them', waits)
        ok(12 * size <= rate * (seconds + SPAN) + 2 * size, 'and no more is taken than the rate', seconds)
        ok(client.closed(), 'and is closed then')
        equal(other.alter(client_id('me'), {PRODUCE: None}), 0, 'without the quota')
        with Client(daemon.port) as again:
            equal({again.produce_bytes(size)[1] for _ in range(12)}, {0}, 'nobody waits')


def without_acks():
    rate, size = 40000, 20000
    with Daemon(*WINDOWS) as daemon, Client(daemon.port) as client:
        client.create('t')
        client.alter(client_id('me'), {PRODUCE: rate})
        begin = time.monotonic()
        for _ in range(10):
            client.send(raw.PRODUCE, 3, raw.produce_body('t', batch(b'x' * size), 0, 3))
        equal(client.list_offsets('t', -1)['offset'], 10, 'with acks=0 all is taken')
        seconds = time.monotonic() - begin
        ok(10 * size <= rate * (seconds + SPAN) + 2 * size, 'but no more than the rate', seconds)


def fetching():
    rate, size = 40000, 10000
    with Daemon(*WINDOWS) as daemon, Client(daemon.port) as client, Client(daemon.port, 'other') as other:
        client.create('t')
        other.produce('t', batch(b'x' * size))
        client.alter(client_id('me'), {FETCH: rate})
        begin = time.monotonic()
        answers = until_throttled(client.fetch_some, 14)
        seconds = time.monotonic() - begin
        total = sum(found for _, found, _ in answers)
        ok(max(wait for wait, _, _ in answers) > 0, 'some answers say to wait', answers)
        ok(total >= size, 'records come', answers)
        ok(total <= rate * (seconds + SPAN) + 2 * size, 'no more than the rate', (total, seconds))
        equal({other.fetch_some()[0] for _ in range(8)}, {0}, 'others are not throttled')


def fetch_sessions():
    """Who is throttled begins no session, and one that he has goes on."""
    with Daemon(*WINDOWS, '--set', 'max.incremental.fetch.session.cache.slots=1') as daemon, \
            Client(daemon.port) as client, Client(daemon.port, 'other') as other:
        client.create('t')
        other.produce('t', batch(b'x' * 1000))
        wait, found, session = client.fetch_some(session=(0, 0))
        ok(wait == 0 and found > 1000 and session > 0, 'a session begins', (wait, found, session))
        other.alter(client_id('me'), {FETCH: 500})
        wait, found, _ = client.fetch_some()
        ok(found > 1000 and wait > 0, 'a fetch may have one batch, whatever the quota', (wait, found))
        equal(client.fetch_some(session=(0, 0), max_wait=0)[1:], (0, 0), 'behind it there is neither batch nor session')
        other.alter(client_id('me'), {FETCH: None})
        equal(client.fetch_some(session=(session, 1), parts=[])[2], session, 'the first session goes on')


def big_batches():
    """What is larger than all windows may have is sent, and waited for: it would never be sent else."""
    with Daemon(*WINDOWS) as daemon, Client(daemon.port) as client, Client(daemon.port, 'other') as other:
        client.create('t')
        other.produce('t', batch(b'x' * 100000))
        other.alter(client_id('me'), {FETCH: 10})
        wait, found, _ = client.fetch_some()
        ok(found > 100000 and wait > 1000000, 'once', (wait, found))
        ok(daemon.stop() == 0 and 'closed: the daemon ends' not in daemon.log(), 'the daemon ends while a client waits',
           daemon.log())


def shared():
    """What counts for a user counts for all of his clients together."""
    with Daemon(*WINDOWS, '--set', 'quota.window.size.seconds=60') as daemon, Client(daemon.port, 'a') as first, \
            Client(daemon.port, None) as second, Client(daemon.port, 'c') as third:
        first.create('t')
        first.alter(user(None), {PRODUCE: 100})
        first.alter([('user', 'ANONYMOUS'), ('client-id', 'c')], {PRODUCE: 1e9})
        ok(first.produce_bytes(30000)[1] > 0, 'one is throttled')
        ok(second.produce_bytes(100)[1] > 0, 'for what he did, so is another, who has no name')
        equal(third.produce_bytes(100000)[1], 0, 'but one who has a quota by his name')
        third.alter(user('ANONYMOUS'), {PRODUCE: 1e9})
        equal(Client(daemon.port, 'd').produce_bytes(30000)[1], 0, 'the quota of the user himself comes before that')
        third.alter(user('ANONYMOUS'), {PRODUCE: None})
        third.alter(user(None), {PRODUCE: None})
        third.alter(client_id(None), {PRODUCE: 10})
        ok(Client(daemon.port, 'e').produce_bytes(3000)[1] > 0, 'client ids have a default')
        equal(Client(daemon.port, '').produce_bytes(3000)[1], 0, 'which none is not one of, as with Kafka')


def requests():
    with Daemon() as daemon, Client(daemon.port) as client, Client(daemon.port, 'other') as other:
        other.create('t')
        other.alter(client_id('me'), {REQUEST: 1e-6})
        reader = client.call(raw.METADATA, 4, array([string('t')]) + b'\0')
        wait = reader.take('i')
        ok(0 < wait <= 1000, 'time on requests is limited, for a window at most', wait)
        reader = client.call(raw.LIST_OFFSETS, 4, struct.pack('>ib', -1, 0) + array([]))
        ok(0 < reader.take('i') <= 1000, 'of all kinds')
        equal(other.call(raw.METADATA, 4, array([string('t')]) + b'\0').take('i'), 0, 'others are not throttled')


def mutations():
    with Daemon(*WINDOWS) as daemon, Client(daemon.port) as client, Client(daemon.port, 'other') as other:
        other.alter(client_id('me'), {MUTATION: 0.01})
        equal(client.create_with('a', 5, 6), (0, 0), 'while something is left topics are made')
        wait, error = client.create_with('b', 1, 6)
        ok(error == 89 and wait > 100000, 'then it is refused', (wait, error))
        ok('b' not in other.metadata('b', create=False)['topics'] or
           other.metadata('b', create=False)['topics']['b'][0] == 3, 'and not done')
    with Daemon(*WINDOWS) as daemon, Client(daemon.port) as client, Client(daemon.port, 'other') as other:
        other.create('a', partitions=3)
        other.alter(client_id('me'), {MUTATION: 0.01})
        wait, error = client.create_with('b', 5, 5)
        ok(error == 0 and wait > 100000, 'older clients are let, and wait then', (wait, error))
        with Client(daemon.port) as again:
            body = compact_array([compact_string('a') + struct.pack('>i', 4) + b'\0' + b'\0']) + struct.pack('>ib', 5, 0)
            reader = again.call(37, 3, body + b'\0', flexible=True)
            ok(reader.take('i') > 100000, 'partitions count, too')
            reader.uvarint(), reader.compact_string()
            equal(reader.take('h'), 89, 'error 89')
        with Client(daemon.port) as again:
            reader = again.call(raw.DELETE_TOPICS, 5, compact_array([compact_string('a')]) + struct.pack('>i', 5000)
                                + b'\0', flexible=True)
            ok(reader.take('i') > 100000, 'and what is deleted')
            reader.uvarint(), reader.compact_string()
            equal(reader.take('h'), 89, 'error 89')
        with Client(daemon.port) as again:
            equal(again.metadata('made')['topics']['made'][0], 3, 'no topic is made by asking for it')
        equal(other.metadata('made')['topics']['made'][0], 0, 'but for others')


def connections():
    """Who connects too often is closed, after a while; other addresses are not."""
    with Daemon() as daemon, Client(daemon.port) as client:
        client.alter(address('127.0.0.2'), {CONNECTION: 1})

        def served(source):
            with Client(daemon.port, address=source) as one:
                try:
                    one.metadata('t', create=False)
                    return True
                except (EOFError, ConnectionError):
                    return False
        begin = time.monotonic()
        count = sum(served('127.0.0.2') for _ in range(16))
        seconds = time.monotonic() - begin
        ok(10 <= count <= 12 + seconds, 'as many as eleven windows may have are served', (count, seconds))
        if seconds < 4:
            ok(count < 16, 'and no more', (count, seconds))
        equal([served('127.0.0.3') for _ in range(16)], [True] * 16, 'from elsewhere, all')
        client.alter(address(None), {CONNECTION: 1000})
        equal([served('127.0.0.3') for _ in range(16)], [True] * 16, 'a default that allows them does')
        client.alter(address('127.0.0.2'), {CONNECTION: None})
        ok(served('127.0.0.2'), 'the default counts for who has no other')


def settings():
    with Daemon('--set', 'quota.window.num=3', '--set', 'quota.window.size.seconds=7') as daemon, \
            Client(daemon.port) as client:
        reader = client.call(32, 1, array([b'\x04' + string('1') + array([string(name) for name in (
            'quota.window.num', 'quota.window.size.seconds', 'controller.quota.window.num')])]) + b'\0')
        reader.take('i')
        found = []

        def config():
            found.append((reader.string(), reader.string()))
            reader.take('?b?')
            reader.array(lambda: (reader.string(), reader.string(), reader.take('b')))
        reader.array(lambda: (reader.take('h'), reader.string(), reader.take('b'), reader.string(),
                              reader.array(config)))
        equal(sorted(found), [('controller.quota.window.num', '11'), ('quota.window.num', '3'),
                              ('quota.window.size.seconds', '7')], 'the windows are told')


run(kept, refused, filters, producing, without_acks, fetching, fetch_sessions, big_batches, shared, requests,
    mutations, connections, settings)
