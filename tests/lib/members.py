# SPDX-License-Identifier: Apache-2.0
"""Groups whose members are processes of their own, so that one of them can be killed.

A member is a program that prints, a line each:

    assigned 0 2 5          which partitions of the topic it has from now on
    record 2/17             partition and offset of a record that it got

kcat, which has words of its own, is understood too: kcat() says how it is run.
"""

import re
import subprocess
import threading

from programs import MORTAL, PATIENCE, wait_until
from tap import equal, ok

PARTITIONS = 6
RECORDS = 600
SECONDS = PATIENCE * 3


def kcat(address, group, topic, *settings):
    """The command of a member that is kcat; it takes settings of librdkafka."""
    options = [part for setting in ('session.timeout.ms=6000', 'auto.offset.reset=earliest',
                                    'topic.metadata.refresh.interval.ms=1000', *settings)
               for part in ('-X', setting)]
    return ['kcat', '-b', address, *options, '-u', '-f', 'record %p/%o\n', '-G', group, topic]


class Member:
    def __init__(self, command):
        self.partitions = frozenset()
        self.records = []
        self.said = []
        self.process = subprocess.Popen([*MORTAL, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors='replace')
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            if line.startswith('record '):
                self.records.append(line.split()[1])
            elif line.startswith('assigned'):
                self.partitions = frozenset(int(part) for part in line.split()[1:])
            else:
                self.said.append(line.rstrip())
                self._kcat(line)

    def _kcat(self, line):
        if ' rebalanced' not in line:
            return
        named = frozenset(int(part) for part in re.findall(r'\[(\d+)\]', line))
        self.partitions = self.partitions - named if 'revoke' in line else self.partitions | named

    def end(self, kill=False):
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join(PATIENCE)


def have(members, shares):
    """Has each its share, and have they all partitions together?"""
    return wait_until(lambda: sorted(len(m.partitions) for m in members) == shares and
                      frozenset().union(*(m.partitions for m in members)) == frozenset(range(PARTITIONS)), SECONDS)


def kill_one_of_three(name, start, produce):
    """Three members that start() starts share a topic of six partitions, and one of them is killed. produce(count)
    brings `count` records, evenly to all partitions."""
    members = [start(), start(), start()]
    every = list(members)

    def seen():
        return {record for member in every for record in member.records}

    def detail():
        return '\n'.join(f'{len(m.records)} records, {sorted(m.partitions)}: {m.said[-6:]}' for m in every)
    try:
        before = len(seen())
        ok(have(members, [2, 2, 2]), f'{name}: three members share six partitions', detail())
        produce(RECORDS)
        ok(wait_until(lambda: len(seen()) >= before + RECORDS, SECONDS), f'{name}: they get all records', detail())
        equal(sum(len(m.records) for m in every), len(seen()), f'{name}: each once')
        members.pop(0).end(kill=True)
        ok(have(members, [3, 3]), f'{name}: one is killed, and the others have three each', detail())
        between = len(seen())
        produce(RECORDS)
        ok(wait_until(lambda: len(seen()) >= between + RECORDS, SECONDS), f'{name}: they get all that comes', detail())
    finally:
        for member in members:
            member.end()
