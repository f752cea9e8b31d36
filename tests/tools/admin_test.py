#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beck topic, config and group: the same on a store and, with -b, on the broker that serves one like it.

Each scenario is a list of commands that is run twice: on a store that nobody serves, and by -b on another
store's beckd. What they print has to be the same, but for what only one of the two can know.
"""

import re
import signal
import struct
import subprocess
import time

import tap
from programs import BECK, Beckd, must, run, wait_until
from proxy import Proxy
from raw import Raw, compact_array, compact_string
from tap import equal, ok
from tool_store import Store, fails, prints

NOW_MS = int(time.time() * 1000)

# What only a store knows, and what only a broker does.
OF_ONE = (r'^(id|created|owner) .*\n', r' next \d.*$', r' leader \d.*$', r' at \d{4}-\S+( epoch \d+)?',
          r' since \d{4}-\S+', r'\t\d+ bytes$', r'^protocol .*\n')


def common(text):
    for pattern in OF_ONE:
        text = re.sub(pattern, '', text, flags=re.M)
    return re.sub(r'lag-ms \d+', 'lag-ms N', text)


class Both:
    """A store of its own, and the broker of another one."""

    def __enter__(self):
        self.store = Store().__enter__()
        self.served = Store().__enter__()
        self.daemon = Beckd(self.served.path).start()
        return self

    def __exit__(self, *_):
        self.daemon.end()
        self.served.__exit__()
        self.store.__exit__()

    def by_broker(self, *command, **options):
        return run(BECK, *command, '-b', self.daemon.address, **options)

    def __call__(self, *command, **options):
        """Run it on both; what they print in common."""
        here = self.store(*command, **options)
        there = self.by_broker(*command, **options)
        name = ' '.join(str(part) for part in command)
        if here.code != there.code or common(here.out) != common(there.out):
            ok(False, f'{name}: the same on both', f'store: {here!r}\nbroker: {there!r}')
        else:
            ok(True, f'{name}: the same on both')
        return there

    def refused(self, *command):
        """Fails on both, with a message."""
        result = self(*command)
        ok(result.code != 0 and result.err.startswith('beck: ') and result.err.count('\n') == 1,
           f'{" ".join(command)}: one sentence says why', result)
        return result


def topics():
    with Both() as both:
        both('topic', 'list')
        both('topic', 'create', 't', '-p', '3', '-c', 'retention.ms=-1', '-c', 'segment.bytes=1048576')
        both('topic', 'create', 'a')
        both.refused('topic', 'create', 't')
        both.refused('topic', 'create', 'b', '-c', 'retention.ms=soon')
        equal(both('topic', 'list').out, 'a\nt\n', 'in order')
        both('produce', 't', '-p', '1', 'x', 'y')
        equal(both('topic', 'list', '-l').out, 'a\t1 partitions\t0 records\nt\t3 partitions\t2 records\n',
              'with figures')
        shown = both('topic', 'show', 't').out
        ok('setting retention.ms=-1\n' in shown and 'partition t 1 start 0 end 2 stable 2' in shown,
           'settings and partitions', shown)
        both('topic', 'add-partitions', 't', '-p', '5', '-n')
        both('topic', 'add-partitions', 't', '-p', '4')
        both.refused('topic', 'add-partitions', 't', '-p', '4')
        both('topic', 'delete-records', 't', '-p', '1', '--before', '1')
        both.refused('topic', 'delete-records', 't', '-p', '1', '--before', '77')
        both('topic', 'delete-records', 't', '-p', '1', '--before', 'end')
        both.refused('topic', 'delete-records', 't', '-p', '7', '--before', 'end')
        both.refused('topic', 'show', 'none')
        both('topic', 'delete', 'a', 'none')
        equal(both('topic', 'list').out, 't\n', 'is gone')
        fails(both.store('topic', 'create', 'r', '-r', '3'), 1, 'one replica', 'a store has no replicas')


def configs():
    with Both() as both:
        both('topic', 'create', 't', '-c', 'retention.ms=1000')
        both('config', 'list', '-t', 't')
        both('config', 'set', '-t', 't', 'segment.ms=5000', 'cleanup.policy=compact')
        equal(both('config', 'list', '-t', 't').out,
              'cleanup.policy=compact (topic)\nretention.ms=1000 (topic)\nsegment.ms=5000 (topic)\n',
              'what was set before stays')
        both('config', 'get', '-t', 't', 'segment.ms', 'max.message.bytes')
        both('config', 'set', '-t', 't', 'segment.ms=6000', '-n')
        both('config', 'get', '-t', 't', 'segment.ms')
        both('config', 'reset', '-t', 't', 'segment.ms', 'cleanup.policy')
        equal(both('config', 'list', '-t', 't').out, 'retention.ms=1000 (topic)\n', 'reset')
        both.refused('config', 'set', '-t', 't', 'retention.ms=x')
        both.refused('config', 'set', '-t', 't', 'retention.mss=5')
        both.refused('config', 'reset', '-t', 't', 'retention.mss')
        both.refused('config', 'get', '-t', 't', 'nothing')
        both.refused('config', 'list', '-t', 'none')
        both('config', 'list', '-a', '-t', 't')
        described = both.by_broker('config', 'describe', '-t', 't', 'retention.ms')
        equal(described.out, 'retention.ms default=604800000\n', 'defaults are known to the broker')


def of_the_broker():
    with Both() as both:
        listed = both.by_broker('config', 'list')
        ok('node.id=1 (file)\n' in listed.out, 'its own settings', listed)
        prints(both.by_broker('config', 'set', 'log.retention.ms=5000'), 'set log.retention.ms=5000\n',
               'are changed')
        prints(both.by_broker('config', 'get', 'log.retention.ms'), '5000\n', 'and read')
        prints(both.served('config', 'get', 'retention.ms'), '5000\n', 'the store has it')
        must(both.served('config', 'set', 'compression.gzip.level=3'))
        prints(both.by_broker('config', 'set', 'log.segment.bytes=2000000'), 'set log.segment.bytes=2000000\n',
               'a second one is changed')
        prints(both.served('config', 'list'), 'compression.gzip.level=3 (store)\nretention.ms=5000 (store)\n'
               'segment.bytes=2000000 (store)\n', 'and the others stay')
        prints(both.by_broker('config', 'reset', 'log.segment.bytes'), 'reset log.segment.bytes\n', 'it is reset')
        prints(both.served('config', 'get', 'retention.ms'), '5000\n', 'and the first stays')
        prints(both.by_broker('config', 'list', '--node', '1'), both.by_broker('config', 'list').out,
               'a broker by its number')
        prints(both.by_broker('config', 'reset', 'log.retention.ms'), 'reset log.retention.ms\n', 'reset')


def filled(both):
    both('topic', 'create', 't', '-p', '2', '-c', 'retention.ms=-1')
    for partition, count in ((0, 10), (1, 4)):
        for number in range(count):
            both('produce', 't', '-p', partition, '--timestamp', NOW_MS - 3600000 + number, f'v{number}')


def groups():
    with Both() as both:
        filled(both)
        both('group', 'list')
        both('group', 'reset', 'g', 't', '-o', '3')
        equal(both('group', 'list').out, '', 'a dry run changes nothing')
        both('group', 'reset', 'g', 't', '-o', '3', '--execute')
        both('group', 'reset', 'h', 't:0', '-o', 'end', '--execute')
        equal(both('group', 'list', '-l').out, 'g\t2 offsets\tempty\nh\t1 offsets\tempty\n', 'list')
        shown = both('group', 'show', 'g').out
        ages = [int(age) for age in re.findall(r'lag 7 lag-ms (\d+)|lag 1 lag-ms (\d+)', shown)[0] if age]
        ok(3600000 - 1000 < ages[0] < 7200000, 'how old the first unread record is', shown)
        ok('lag 0 lag-ms 0' in both('group', 'show', 'h').out, 'and nothing where all is read')
        for how in (['-o', 'beginning'], ['-o', 'end'], ['-o', f'@{NOW_MS - 3600000 + 6}'], ['--shift', '2'],
                    ['--shift', '-99'], ['-o', '99']):
            both('group', 'reset', 'g', *how, '--dry-run')
        both('group', 'reset', 'g', 't:1', '--shift', '1', '--execute')
        both('group', 'show', 'g')
        both.refused('group', 'reset', 'g', 't:9', '-o', 'end')
        both.refused('group', 'reset', 'none', '-o', 'end')
        both('group', 'delete-offsets', 'g', 't:0')
        both('group', 'show', 'g')
        both.refused('group', 'show', 'none')
        both('group', 'delete', 'g')
        both('group', 'delete', 'g')
        both.refused('group', 'delete-offsets', 'g', 't')
        equal(both('group', 'list').out, 'h\n', 'one is left')


def trimmed():
    """The first record that is left counts, not the one that was there at the offset."""
    with Both() as both:
        filled(both)
        both('group', 'reset', 'g', 't', '-o', '1', '--execute')
        both('topic', 'delete-records', 't', '-p', '0', '--before', '6')
        ok('committed 1 end 10 lag 4 ' in both('group', 'show', 'g').out, 'lag behind a log start')


class Member:
    """A member of a group, by librdkafka."""

    def __init__(self, address, group, topic):
        self.process = subprocess.Popen(
            [BECK, 'consume', '-b', address, '--group', group, topic, '-f'], stdout=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def live_members():
    """The store's form asks the beckd, through broker.sock."""
    with Store(t=2) as store, Beckd(store.path, '--set', 'group.initial.rebalance.delay.ms=100') as daemon:
        must(store('produce', 't', 'v', 'w'))
        with Member(daemon.address, 'g', 't'):
            ok(wait_until(lambda: store('group', 'show', 'g').out.count(' t:') == 2),
               'group show lists members and their partitions', store('group', 'show', 'g'))
            ok(wait_until(lambda: store('group', 'show', 'g').out.count(' lag 0 ') == 2), 'it commits')
            here = store('group', 'show', 'g')
            there = run(BECK, 'group', 'show', '-b', daemon.address, 'g')
            equal(common(here.out), common(there.out), 'the same by the broker')
            for form in (lambda *c: store(*c), lambda *c: run(BECK, *c, '-b', daemon.address)):
                fails(form('group', 'reset', 'g', 't', '-o', 'end', '--execute'), 1, 'has members',
                      'a reset is refused')
                fails(form('group', 'delete', 'g'), 1, 'has members', 'so is deleting it')
                fails(form('group', 'delete-offsets', 'g', 't'), 1, 'has members', 'and its offsets')
                ok(form('group', 'reset', 'g', 't', '-o', 'end').code == 0, 'a dry run is not')
        ok(wait_until(lambda: store('group', 'list', '-l').out.endswith('\tempty\n')), 'it left')
        ok(store('group', 'reset', 'g', 't', '-o', '0', '--execute').code == 0, 'then it can be done')
        shown = run(BECK, 'group', 'show', '-b', daemon.address, 'g')
        ok(shown.out.count('committed 0 ') == 2, 'and the broker knows', shown)


def join_new_group(client):
    """As a member of a group of the new protocol: a heartbeat with epoch 0."""
    body = (compact_string('g') + compact_string('m') + struct.pack('>i', 0) + compact_string(None) * 2
            + struct.pack('>i', 60000) + compact_array([compact_string('t')]) + compact_string(None)
            + compact_string(None) + compact_array([]) + b'\0')
    client.call(68, 1, body, flexible=True)


def new_protocol():
    """Members that this client's library cannot ask about: not an empty group."""
    with Store(t=2) as store, Beckd(store.path) as daemon:
        must(store('produce', 't', '-p', '0', 'v', 'w'))
        must(store('group', 'reset', 'g', 't:0', '-o', '1', '--execute'))
        client = Raw(daemon.port)
        join_new_group(client)
        for form in (lambda *c: store(*c), lambda *c: run(BECK, *c, '-b', daemon.address)):
            equal(form('group', 'list', '-l').out, 'g\t1 offsets\tmembers\n', 'it has members')
            shown = form('group', 'show', 'g')
            ok(shown.code == 0 and 'members yes\n' in shown.out and ' lag 1 ' in shown.out and
               ('\n(who they are is not known: librdkafka 2.' in shown.out or
                '\nmember m client ' in shown.out and ' t:0 t:1\n' in shown.out),
               'group show says so, and who they are or that it cannot know', shown)
            fails(form('group', 'delete', 'g'), 1, 'has members', 'deleting it is refused')
        client.close()


def forced():
    """A reset under live members: they go on from where it was set to."""
    with Store(t=2) as store, Beckd(store.path, '--set', 'group.initial.rebalance.delay.ms=100') as daemon:
        for value in range(6):
            must(store('produce', 't', '-p', value % 2, f'v{value}'))
        path = store.beside('out')
        with open(path, 'wb') as out:
            member = subprocess.Popen([BECK, 'consume', '-b', daemon.address, '--group', 'g', 't', '-f'], stdout=out)
        read = lambda: open(path, encoding='utf-8').read().split()
        try:
            ok(wait_until(lambda: len(read()) == 6), 'all is read')
            ok(wait_until(lambda: store('group', 'show', 'g').out.count(' lag 0 ') == 2), 'and committed')
            fails(run(BECK, 'group', 'reset', '-b', daemon.address, 'g', 't', '-o', '1', '--execute', '--force'), 1,
                  'not by -b', 'a broker is not asked to')
            prints(store('group', 'reset', 'g', 't', '-o', '1', '--execute', '--force'),
                   'reset t 0 from 3 to 1\nreset t 1 from 3 to 1\n', 'a reset by force')
            ok(wait_until(lambda: len(read()) == 10), 'the member reads on from there', read())
            equal(sorted(read()[6:]), ['v2', 'v3', 'v4', 'v5'], 'just these')
            ok(member.poll() is None, 'and goes on')
        finally:
            member.send_signal(signal.SIGTERM)
            member.wait(60)
        prints(store('group', 'reset', 'h', 't', '-o', '1', '--execute', '--force'),
               'reset t 0 from none to 1\nreset t 1 from none to 1\n', 'without members it changes nothing')


class Moved(Proxy):
    """To it, a broker that coordinates no group any more, until somebody asks once more who does."""

    api = 8  # OffsetCommit
    FIND, NOT_COORDINATOR = 10, 16

    def __init__(self, daemon):
        self.asked = 0
        super().__init__(daemon)

    def _see(self, api, body):
        self.asked += api == self.FIND and b'\0\1g' in body

    def _change(self, body):
        if self.asked > 1:
            return body
        return body[:-2] + struct.pack('>h', self.NOT_COORDINATOR)  # what it ends with, up to version 7


def moved_coordinator():
    with Store(t=1) as store, Beckd(store.path) as daemon:
        must(store('produce', 't', 'v', 'w'))
        proxy = Moved(daemon)
        prints(run(BECK, 'group', 'reset', '-b', proxy.address, 'g', 't', '-o', '1', '--execute'),
               'reset t 0 from none to 1\n', 'a group whose coordinator moved: it is asked for again')
        proxy.close()


def nobody_there():
    begin = time.monotonic()
    for command in (['topic', 'list'], ['config', 'list'], ['group', 'list']):
        found = run(BECK, *command, '-b', '127.0.0.1:1')
        ok(found.code == 1 and '127.0.0.1:1' in found.err, f'{command[0]}: nobody there', found)
    ok(time.monotonic() - begin < 120, 'it does not wait for ever')


tap.run(topics, configs, of_the_broker, groups, trimmed, live_members, new_protocol, forced, moved_coordinator,
        nobody_there)
