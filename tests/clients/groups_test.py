#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Groups of Kafka's own Java consumer, of both protocols and mixed: members that come, go and die, and a
daemon that is killed under them."""

import json
import os
import re
import subprocess
import threading

import maven
import tap
from apache_kafka import JAVA, START_SECONDS, class_path, java
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from programs import MORTAL, Beckd, Folder, wait_until
from tap import equal, ok

REASON = maven.missing()
if REASON:
    tap.skip_all(REASON)

PARTITIONS = 6
OPTIONS = ('--set', 'group.consumer.min.heartbeat.interval.ms=200',
           '--set', 'group.consumer.heartbeat.interval.ms=200',
           '--set', 'group.consumer.min.session.timeout.ms=6000',
           '--set', 'group.consumer.session.timeout.ms=6000',
           '--set', 'group.initial.rebalance.delay.ms=200')


class Member:
    """A consumer in a process of its own, which tells what happens to it line by line."""

    def __init__(self, daemon, protocol, *options):
        self.partitions = set()
        self.consumed = 0
        self.process = subprocess.Popen(
            [*MORTAL, *JAVA, '-cp', class_path(), 'org.apache.kafka.tools.VerifiableConsumer',
             '--bootstrap-server', daemon.address, '--topic', 't', '--group-id', 'g',
             '--group-protocol', protocol, *options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            if not line.startswith('{'):
                continue
            event = json.loads(line)
            named = {p['partition'] for p in event.get('partitions', ()) if isinstance(p, dict)}
            if event['name'] == 'partitions_assigned':
                self.partitions |= named
            elif event['name'] == 'partitions_revoked':
                self.partitions -= named
            elif event['name'] == 'records_consumed':
                self.consumed += event['count']

    def end(self, kill=False):
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        self.process.wait(START_SECONDS)
        self.reader.join(START_SECONDS)


def have(members, shares):
    """Has each its share, and have they all partitions together?"""
    return wait_until(lambda: sorted(len(m.partitions) for m in members) == shares
                      and set().union(*(m.partitions for m in members)) == set(range(PARTITIONS)),
                      START_SECONDS)


def produce(daemon, count):
    producer = Producer({'bootstrap.servers': daemon.address})
    for i in range(count):
        producer.produce('t', b'%d' % i, partition=i % PARTITIONS)
    if producer.flush(START_SECONDS) != 0:
        raise RuntimeError('records are not produced')


def consumed(members, count):
    return wait_until(lambda: sum(m.consumed for m in members) >= count, START_SECONDS)


def begin(daemon):
    admin = AdminClient({'bootstrap.servers': daemon.address})
    admin.create_topics([NewTopic('t', PARTITIONS, 1)])['t'].result(START_SECONDS)


def groups_of(daemon, *options):
    """What Kafka's tool prints of groups, as words of each line but the head."""
    done = java('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
                '--bootstrap-server', daemon.address, *options)
    lines = [line.split() for line in done.out.splitlines()
             if line.strip() and not re.match(r'(SLF4J|GROUP|Consumer group)', line)]
    return lines or repr(done)


def restart(daemon):
    daemon.end(kill=True)
    daemon.start()


def new_protocol():
    with Folder() as folder, Beckd(os.path.join(folder, 'store'), *OPTIONS) as daemon:
        begin(daemon)
        members = [Member(daemon, 'consumer') for _ in range(3)]
        ok(have(members, [2, 2, 2]), 'three members have two partitions each',
           [m.partitions for m in members])
        produce(daemon, 600)
        ok(consumed(members, 600), 'they get all records', [m.consumed for m in members])
        equal(sum(m.consumed for m in members), 600, 'each once')
        members.pop().end(kill=True)
        ok(have(members, [3, 3]), 'one is killed: the others have three each',
           [m.partitions for m in members])
        before = sum(m.consumed for m in members)
        restart(daemon)
        produce(daemon, 600)
        ok(consumed(members, before + 600), 'the daemon is killed and started: they go on',
           [m.consumed for m in members])
        equal(sorted(len(m.partitions) for m in members), [3, 3], 'with what they had')
        members.append(Member(daemon, 'consumer', '--group-remote-assignor', 'range'))
        ok(have(members, [2, 2, 2]), 'one comes: two each again', [m.partitions for m in members])
        equal(groups_of(daemon, '--list', '--type'), [['g', 'Consumer']],
              "Kafka's tool sees a group of the new protocol")
        rows = groups_of(daemon, '--describe', '--group', 'g', '--members')
        equal(sorted(row[-1] for row in rows), ['2', '2', '2'], 'and what its members have')
        for member in members:
            member.end()
        equal(groups_of(daemon, '--list', '--state'), [['g', 'Empty']],
              'it stays when all have left')


def both_protocols():
    with Folder() as folder, Beckd(os.path.join(folder, 'store'), *OPTIONS) as daemon:
        begin(daemon)
        strategy = ('--assignment-strategy',
                    'org.apache.kafka.clients.consumer.CooperativeStickyAssignor')
        members = [Member(daemon, 'classic', *strategy) for _ in range(2)]
        ok(have(members, [3, 3]), 'two classic members', [m.partitions for m in members])
        members.append(Member(daemon, 'consumer'))
        ok(have(members, [2, 2, 2]), 'a new one among them', [m.partitions for m in members])
        produce(daemon, 600)
        ok(consumed(members, 600), 'they get all records', [m.consumed for m in members])
        equal(sum(m.consumed for m in members), 600, 'each once')
        restart(daemon)
        produce(daemon, 600)
        ok(consumed(members, 1200), 'the daemon is killed and started: they go on',
           [m.consumed for m in members])
        members.pop(0).end()
        ok(have(members, [3, 3]), 'a classic one leaves', [m.partitions for m in members])
        members.append(Member(daemon, 'classic', *strategy))
        ok(have(members, [2, 2, 2]), 'a classic one comes', [m.partitions for m in members])
        members.pop(1).end()
        ok(have(members, [3, 3]), 'the last new one leaves: two classic ones again',
           [m.partitions for m in members])
        for member in members:
            member.end()


def static_members_change_over():
    """One after the other is started anew with the other protocol. It does not say that it goes."""
    with Folder() as folder, Beckd(os.path.join(folder, 'store'), *OPTIONS) as daemon:
        begin(daemon)
        members = [Member(daemon, 'classic', '--group-instance-id', one) for one in 'ab']
        ok(have(members, [3, 3]), 'two static members of the classic protocol',
           [m.partitions for m in members])
        for protocol in ('consumer', 'classic'):
            for at, one in enumerate('ab'):
                members[at].end()
                members[at] = Member(daemon, protocol, '--group-instance-id', one)
                ok(have(members, [3, 3]), f'{one} comes back with the protocol {protocol}',
                   [m.partitions for m in members])
        produce(daemon, 600)
        ok(consumed(members, 600), 'and they go on', [m.consumed for m in members])
        for one in members:
            one.end()


tap.run(new_protocol, both_protocols, static_members_change_over)
