#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beck consume: ranges that end by themselves, the last records, filters and groups, of a store and by -b."""

import json
import signal
import struct
import subprocess
import time

import tap
from programs import BECK, Beckd, must, run, wait_until
from proxy import Proxy
from tap import equal, ok
from tool_store import Store, fails, prints

BASE = int(time.time() * 1000) - 3600000


class Both:
    """One store, read directly and by the beckd that serves it."""

    def __init__(self, **topics):
        self.store = Store(**topics)

    def __enter__(self):
        self.store.__enter__()
        self.daemon = Beckd(self.store.path, '--set', 'group.initial.rebalance.delay.ms=100').start()
        return self

    def __exit__(self, *_):
        self.daemon.end()
        self.store.__exit__()

    def by_broker(self, *command, **options):
        return run(BECK, *command, '-b', self.daemon.address, **options)

    def same(self, arguments, wanted, name):
        here = self.store('consume', *arguments)
        there = self.by_broker('consume', *arguments)
        ok(here.code == 0 and here.out == wanted, f'{name}, of a store', here)
        ok(there.code == 0 and there.out == wanted, f'{name}, by a broker', there)

    def wrong(self, arguments, text, name):
        fails(self.store('consume', *arguments), 2, text, name)


def put(store, topic, partition, *values, first=0, step=1, more=()):
    for i, value in enumerate(values):
        must(store('produce', topic, '-p', partition, '--timestamp', BASE + first + i * step, *more, value))


def ranges():
    with Both(t=1) as both:
        put(both.store, 't', 0, *'abcdefgh', step=10)
        both.same(['t', '-o', '2', '--to', '5'], 'c\nd\ne\n', 'offsets')
        both.same(['t', '-o', f'@{BASE + 15}', '--to', f'@{BASE + 40}'], 'c\nd\n', 'times')
        both.same(['t', '--to', '99'], 'a\nb\nc\nd\ne\nf\ng\nh\n', 'an end that is not there yet')
        both.same(['t', '--to', f'@{BASE + 99999}'], 'a\nb\nc\nd\ne\nf\ng\nh\n', 'a time to come')
        both.same(['t', '-o', '5', '--to', '3'], '', 'an end before the beginning')
        both.same(['t', '-o', '-2', '--to', '4'], 'c\nd\n', 'the last before an end')
        both.same(['t', '-o', '3', '--to', '7', '-n', '2'], 'd\ne\n', 'and so many')
        both.wrong(['t', '--to', 'x'], "'x'", 'no place to end')
        both.wrong(['t', '--to', '3', '-f'], 'choose one', 'an end and no end')


def last():
    with Both(t=3) as both:
        put(both.store, 't', 0, 'a0', 'a1', 'a2', 'a3', first=0, step=10)
        put(both.store, 't', 1, 'b0', first=35)
        put(both.store, 't', 2, 'c0', 'c1', 'c2', first=1, step=2)
        both.same(['t', '--last', '3'], 'a2\na3\nb0\n', 'the last of all partitions')
        both.same(['t', '--last', '1'], 'b0\n', 'the very last')
        both.same(['t', '--last', '0'], '', 'none')
        both.same(['t', '--last', '99'], 'a0\nc0\nc1\nc2\na1\na2\na3\nb0\n', 'more than there are')
        both.same(['t', '--last', '2', '-p', '2'], 'c1\nc2\n', 'of one partition')
        both.same(['t', '-o', '-1'], 'c2\na3\nb0\n', '-o has them of each partition')
        both.wrong(['t', '--last', '2', '-o', '1'], 'choose one', 'two places to begin')
        reader = subprocess.Popen([BECK, '--store', both.store.path, 'consume', 't', '--last', '1', '-f'],
                                  stdout=subprocess.PIPE, text=True)
        equal(reader.stdout.readline(), 'b0\n', 'the last one')
        put(both.store, 't', 0, 'next', first=50)
        equal(reader.stdout.readline(), 'next\n', 'and what follows')
        reader.send_signal(signal.SIGINT)
        reader.communicate(timeout=60)


def holes():
    """Offsets that control records or compaction left out count for nothing."""
    with Both(t=1) as both:
        lines = ''.join(json.dumps({'offset': offset, 'timestamp': BASE + offset, 'value': str(offset)}) + '\n'
                        for offset in (0, 1, 2, 50, 51, 200))
        must(both.store('import', 't', stdin=lines))
        both.same(['t', '-o', '-3'], '50\n51\n200\n', 'the last three')
        both.same(['t', '--last', '4'], '2\n50\n51\n200\n', 'the last four of all')
        both.same(['t', '--to', '100'], '0\n1\n2\n50\n51\n', 'up to an offset in a hole')


def filters():
    with Both(t=1) as both:
        put(both.store, 't', 0, 'one', more=('-k', 'alice', '-H', 'kind=a', '-H', 'null'))
        put(both.store, 't', 0, 'two', more=('-k', 'bob', '-H', 'kind=b'))
        put(both.store, 't', 0, 'three', more=('-H', 'kind=a', '-H', 'kind=c'))
        put(both.store, 't', 0, 'four', more=('-k', 'alice'))
        both.same(['t', '--key', 'alice'], 'one\nfour\n', 'by key')
        both.same(['t', '--key-regex', '^[ab]'], 'one\ntwo\nfour\n', 'by an expression for the key')
        both.same(['t', '--header', 'kind=a'], 'one\nthree\n', 'by header')
        both.same(['t', '--header', 'null'], 'one\n', 'that has a header')
        both.same(['t', '--header-regex', 'kind=b|c'], 'two\nthree\n', 'by an expression for a header')
        both.same(['t', '--header', 'kind=a', '--header', 'kind=c'], 'three\n', 'all have to hold')
        both.same(['t', '--key', 'alice', '-n', '1'], 'one\n', '-n counts what is printed')
        both.wrong(['t', '--key-regex', '('], 'no regular expression', 'no expression')
        both.wrong(['t', '--key', 'a', '--key', 'b'], 'one key', 'two keys')


def group_alone():
    """Of a store that nobody serves."""
    with Store(t=2) as store:
        put(store, 't', 0, 'a', 'b', first=0)
        put(store, 't', 1, 'c', 'd', first=10)
        equal(store('consume', 't', '--group', 'g', '-n', '3').out, 'a\nb\nc\n', 'as many as wanted')
        equal(store('consume', 't', '--group', 'g').out, 'd\n', 'then the rest')
        equal(store('consume', 't', '--group', 'g').out, '', 'then nothing')
        put(store, 't', 0, 'e', first=20)
        equal(store('consume', 't', '--group', 'g').out, 'e\n', 'then what came')
        equal(store('consume', 't', '--group', 'h', '-o', 'end').out, '', 'a new group may begin at the end')
        equal(store('group', 'list').out, 'g\n', 'and has committed nothing')
        with Beckd(store.path):
            put(store, 't', 0, 'f', first=30)
            equal(store('consume', 't', '--group', 'g').out, 'f\n', 'goes on at a beckd')
        equal(store('consume', 't', '--group', 'g').out, '', 'which has committed')
        fails(store('consume', 't', '--group', 'g', '-p', '1'), 2, 'no -p', 'a group has all partitions')
        fails(store('consume', 't', '--group', 'g', '-o', '3'), 2, 'beginning or the end', 'or begins anywhere')
        fails(store('consume', 'none', '--group', 'g'), 1, 'no topic none', 'no such topic')


def group_of_a_broker():
    with Both(t=2) as both:
        put(both.store, 't', 0, 'a', 'b', first=0)
        put(both.store, 't', 1, 'c', 'd', first=10)
        first = both.by_broker('consume', 't', '--group', 'g', '-n', '3', '--format', 'json')
        values = [json.loads(line)['value'] for line in first.out.splitlines()]
        ok(first.code == 0 and len(values) == 3, 'as many as wanted', first)
        second = both.by_broker('consume', 't', '--group', 'g')
        equal(sorted(values + second.out.split()), ['a', 'b', 'c', 'd'], 'then the rest, nothing twice')
        equal(both.by_broker('consume', 't', '--group', 'g').out, '', 'then nothing')
        shown = both.store('group', 'show', 'g')
        ok(shown.out.count('committed 2 end 2 lag 0') == 2, 'all is committed', shown)
        equal(both.by_broker('consume', 't', '--group', 'h', '-o', 'end').out, '', 'may begin at the end')
        fails(both.by_broker('consume', 'none', '--group', 'g'), 1, 'no topic none', 'no such topic')


class Member:
    """A member that follows; what it printed is in a file."""

    def __init__(self, both, group, name):
        self.path = both.store.beside(name)
        with open(self.path, 'wb') as out:
            self.process = subprocess.Popen(
                [BECK, 'consume', '-b', both.daemon.address, 't', '--group', group, '-f', '-X',
                 'session.timeout.ms=6000'], stdout=out)

    def lines(self):
        with open(self.path, encoding='utf-8') as file:
            return file.read().split()

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(60)


def members_share():
    with Both(t=4) as both:
        members = [Member(both, 'g', 'm1'), Member(both, 'g', 'm2')]
        shown = lambda: both.store('group', 'show', 'g').out
        shared = lambda: [line.count(' t:') for line in shown().splitlines() if line.startswith('member ')]
        ok(wait_until(lambda: shared() == [2, 2]), 'each has two of four partitions', shown())
        for number in range(40):
            must(both.store('produce', 't', '-p', number % 4, f'v{number}'))
        wanted = sorted(f'v{number}' for number in range(40))
        ok(wait_until(lambda: sorted(members[0].lines() + members[1].lines()) == wanted),
           'each record goes to one of them')
        ok(len(members[0].lines()) == 20, 'half of them to each')
        members[1].end(signal.SIGKILL)
        ok(wait_until(lambda: shared() == [4]), 'who is killed loses its partitions to the other', shown())
        for number in range(40, 60):
            must(both.store('produce', 't', '-p', number % 4, f'v{number}'))
        wanted = {f'v{number}' for number in range(60)}
        ok(wait_until(lambda: set(members[0].lines() + members[1].lines()) == wanted), 'nothing is left out')
        ok(wait_until(lambda: shown().count(' lag 0 ') == 4), 'and committed while it follows', shown())
        members[0].end()
        equal(members[0].process.returncode, -signal.SIGTERM, 'a signal ends it')
        ok(wait_until(lambda: 'members none' in shown()), 'it leaves the group', shown())


def killed_goes_on():
    """kill -9: some may be printed again, none is left out."""
    with Both(t=1) as both:
        put(both.store, 't', 0, *[f'v{number}' for number in range(50)])
        member = Member(both, 'g', 'm')
        ok(wait_until(lambda: len(member.lines()) == 50), 'it reads')
        member.end(signal.SIGKILL)
        put(both.store, 't', 0, 'after', first=100)
        again = both.by_broker('consume', 't', '--group', 'g')
        read = member.lines() + again.out.split()
        ok(set(read) == {f'v{number}' for number in range(50)} | {'after'}, 'the next one goes on', again)


class Loading(Proxy):
    """A coordinator that has just come to be one: some commits are refused."""

    api = 8  # OffsetCommit
    LOAD_IN_PROGRESS = 14

    def __init__(self, daemon, refusals):
        self.refusals = refusals
        super().__init__(daemon)

    def _change(self, body):
        if self.refusals == 0:
            return body
        self.refusals -= 1
        return body[:-2] + struct.pack('>h', self.LOAD_IN_PROGRESS)  # what it ends with, up to version 7


def coordinator_loads():
    with Both(t=1) as both:
        put(both.store, 't', 0, 'a', 'b')
        proxy = Loading(both.daemon, 8)
        prints(run(BECK, 'consume', '-b', proxy.address, 't', '--group', 'g'), 'a\nb\n', 'a coordinator that loads')
        equal((proxy.refusals, both.by_broker('consume', 't', '--group', 'g').out), (0, ''), 'it was waited for')
        proxy.close()
        proxy = Loading(both.daemon, 8)
        reader = subprocess.Popen([BECK, 'consume', '-b', proxy.address, 't', '--group', 'h', '-f'],
                                  stdout=subprocess.PIPE, text=True)
        equal([reader.stdout.readline(), reader.stdout.readline()], ['a\n', 'b\n'], 'one that follows')
        ok(wait_until(lambda: proxy.refusals == 0 and ' lag 0 ' in both.store('group', 'show', 'h').out),
           'commits when it can')
        put(both.store, 't', 0, 'c', first=10)
        equal(reader.stdout.readline(), 'c\n', 'and goes on')
        reader.send_signal(signal.SIGTERM)
        reader.communicate(timeout=60)
        equal(reader.returncode, -signal.SIGTERM, 'until it is stopped')
        proxy.close()


tap.run(ranges, last, holes, filters, group_alone, group_of_a_broker, members_share, killed_goes_on,
        coordinator_loads)
