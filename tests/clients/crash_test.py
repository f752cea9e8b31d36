#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon is killed each two seconds for a minute, under five producers and a group of three, in five languages.
None of them is started again. What was acknowledged, the group gets; and what a producer that numbers its records
sent again after a kill is in the log once."""

import collections
import os
import subprocess
import sys
import threading
import time

import apache_kafka
import golang
import javac
import npm
import tap
import venv_of
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from programs import MORTAL, PATIENCE, Beckd, Folder, wait_until
from tap import equal, ok

HERE = os.path.dirname(os.path.abspath(__file__))
JAVA = [os.path.join(HERE, 'java', 'Going.java')]
KILLS, BETWEEN = 30, 2.0
PARTITIONS = 3
SECONDS = PATIENCE * 4
IDEMPOTENT = ('java', 'go', 'python')


class Client:
    """A program that goes on, and what it has told."""

    def __init__(self, name, command):
        self.name = name
        self.told = collections.defaultdict(list)
        self.lines = []
        self.process = subprocess.Popen([*MORTAL, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors='replace')
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            words = line.split()
            if words and words[0] in ('acked', 'failed', 'done'):
                self.told[words[0]].append(words[-1] if words[0] == 'acked' else line)
            elif words and words[0] == 'record':
                self.told['record'].append(words[2])
            else:
                self.lines = (self.lines + [line.rstrip()])[-20:]

    def goes(self):
        return self.process.poll() is None

    def finish(self):
        """Let a producer bring what it has, and end."""
        self.process.stdin.close()
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            pass
        return self.end()

    def end(self):
        if self.goes():
            self.process.kill()
        code = self.process.wait()
        self.reader.join(PATIENCE)
        return code


def commands(folder, address):
    """The producers, and the members of the group. Where Go is too old, others stand in."""
    python = venv_of.fetch('confluent-kafka', os.path.join(HERE, 'python', 'confluent-kafka.txt'))
    java = [*javac.compiled(apache_kafka.class_path(), JAVA, os.path.join(folder, 'classes')), 'Going']
    producers = {
        'java': [*java, 'produce', address, 't', 'java'],
        'python': [python, '-E', os.path.join(HERE, 'python', 'produce_on.py'), address, 't', 'python'],
        'c': [sys.argv[1], address, 't', 'c'],
        'node': ['node', os.path.join(npm.fetch(), 'produce_on.js'), address, 't', 'node'],
    }
    member = [python, '-E', os.path.join(HERE, 'python', 'member.py'), address, 'g', 't',
              'partition.assignment.strategy=range']
    members = {'java': [*java, 'consume', address, 't', 'g'], 'python': member}
    if golang.missing():
        print(f'# {golang.missing()}: C and Python stand in')
        producers['c-too'] = [sys.argv[1], address, 't', 'c-too']
        members['python-too'] = member
    else:
        golang.build(folder, 'going')
        producers['go'] = [os.path.join(folder, 'going'), 'produce', address, 't', 'go']
        members['go'] = [os.path.join(folder, 'going'), 'consume', address, 't', 'g']
    return producers, members


def make_topic(address):
    admin = AdminClient({'bootstrap.servers': address})
    admin.create_topics([NewTopic('t', PARTITIONS, 1)])['t'].result(60)


def begin(listed):
    return [Client(name, command) for name, command in listed.items()]


def kill_again_and_again(beckd):
    for _ in range(KILLS):
        time.sleep(BETWEEN)
        beckd.end(kill=True)
        beckd.start()


def values_of_log(address):
    """How often each value is in the log."""
    reader = Consumer({'bootstrap.servers': address, 'group.id': 'log', 'enable.auto.commit': False})
    found = collections.Counter()
    for partition in range(PARTITIONS):
        end = reader.get_watermark_offsets(TopicPartition('t', partition), 60)[1]
        reader.assign([TopicPartition('t', partition, 0)])
        at = 0
        while at < end:
            got = reader.consume(10000, 2)
            found.update(one.value().decode() for one in got)
            at = reader.position([TopicPartition('t', partition)])[0].offset
    reader.close()
    return found


def judge(beckd, producers, members):
    acked = {value for producer in producers for value in producer.told['acked']}

    def missing():
        return acked - {value for member in members for value in member.told['record']}
    for producer in producers:
        told = producer.told
        print(f'# {producer.name}: {len(told["acked"])} acknowledged, {len(told["failed"])} not: {told["failed"][:2]}')
        ok(len(told['acked']) > KILLS, f'{producer.name} gets records acknowledged', producer.lines)
    ok(wait_until(lambda: not missing(), SECONDS), 'the group gets all that was acknowledged',
       f'{len(missing())} of {len(acked)} are missing: {sorted(missing())[:20]}')
    for member in members:
        ok(member.goes(), f'{member.name}: the member still goes', member.lines)
        ok(member.told['record'], f'{member.name}: it got records', member.lines)
    found = values_of_log(beckd.address)
    equal(sorted(acked - set(found))[:20], [], 'the log has all that was acknowledged')
    again = [value for value, count in found.items() if count > 1 and value.split('-')[0] in IDEMPOTENT]
    equal(again[:20], [], 'and what idempotent producers sent, once')


def crashes():
    with Folder() as folder, Beckd(os.path.join(folder, 'store'), '--set', 'group.initial.rebalance.delay.ms=200') \
            as beckd:
        make_topic(beckd.address)
        listed = commands(folder, beckd.address)
        producers, members = begin(listed[0]), begin(listed[1])
        try:
            ok(wait_until(lambda: all(one.told['acked'] for one in producers) and
                          any(one.told['record'] for one in members), SECONDS), 'all have begun',
               [one.lines for one in producers + members])
            kill_again_and_again(beckd)
            for producer in producers:
                ok(producer.goes(), f'{producer.name}: the producer still goes', producer.lines)
            for producer in producers:
                equal((producer.finish(), len(producer.told['done'])), (0, 1), f'{producer.name} ends in order')
            judge(beckd, producers, members)
        finally:
            for client in producers + members:
                client.end()


REASON = javac.missing() or npm.missing()
if REASON:
    tap.skip_all(REASON)
tap.run(crashes)
