#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beck -b on Apache Kafka: the same commands as on beckd, with the same answers."""

import json
import time

import maven
import tap
from apache_kafka import Kafka
from both import Both
from programs import BECK, run
from tap import equal, ok

REASON = maven.missing()
if REASON:
    tap.skip_all(REASON)

NOW_MS = int(time.time() * 1000)

RECORDS = ''.join(json.dumps(record) + '\n' for record in (
    {'timestamp': NOW_MS - 3600000, 'key': 'k', 'value': 'v', 'headers': [['name', 'value'], ['name', None]]},
    {'timestamp': NOW_MS - 3599000, 'key': None, 'value': None},
    {'timestamp': NOW_MS - 3598000, 'key': '', 'value': '', 'partition': 1},
    {'timestamp': NOW_MS - 3597000, 'key': {'base64': '/wD+'}, 'value': {'base64': 'AAEC/w=='},
     'headers': [['h', {'base64': 'gIE='}]], 'partition': 2}))


def all_of_it():
    with Both(Kafka) as both:
        topics(both)
        configs(both)
        records(both)
        groups(both)
        figures(both)


def topics(both):
    both('topic', 'list')
    both('topic', 'create', 't', '-p', '3', '-c', 'retention.ms=-1')
    both('topic', 'create', 't', code=1)
    both('topic', 'create', 'r', '-r', '3', code=1)
    both('topic', 'create', 'wrong', '-c', 'retention.mss=1', code=1)
    equal(both('topic', 'list', '-l'), 't\t3 partitions\t0 records\n', 'a topic')
    both('topic', 'show', 't')
    both('topic', 'add-partitions', 't', '-p', '4', '-n')
    both('topic', 'add-partitions', 't', '-p', '4')
    both('topic', 'add-partitions', 't', '-p', '2', code=1)


def configs(both):
    both('config', 'list', '-t', 't')
    both('config', 'set', '-t', 't', 'segment.ms=600000', 'min.insync.replicas=1')
    both('config', 'get', '-t', 't', 'segment.ms', 'retention.ms', 'max.message.bytes')
    both('config', 'set', '-t', 't', 'segment.ms=5', '-n')
    both('config', 'reset', '-t', 't', 'min.insync.replicas', 'segment.ms')
    equal(both('config', 'list', '-t', 't'), 'retention.ms=-1 (topic)\n', 'what was set before stays')
    both('config', 'set', '-t', 't', 'retention.ms=x', code=1)
    both('config', 'set', '-t', 'none', 'retention.ms=1', code=1)
    both('config', 'describe', '-t', 't', 'segment.bytes', 'cleanup.policy')


def records(both):
    both('produce', 't', '--json', '-K', '=', stdin=RECORDS, code=2)
    both('produce', 't', '--json', '-p', '0', stdin=RECORDS)
    both('produce', 't', '-k', 'alice', 'a', 'b')
    both('produce', 't', '-p', '3', '-H', 'kind=a', '--timestamp', NOW_MS - 1000, 'c', 'd')
    both('consume', 't', '-p', '0', '--format', 'json')
    both('consume', 't', '-p', '0', '-o', '1', '--to', '3', '--format', 'json')
    both('consume', 't', '-p', '0', '-o', f'@{NOW_MS - 3598500}', '--to', f'@{NOW_MS - 3597500}',
         '--print', 'offset,key,headers')
    both('consume', 't', '-p', '3', '--last', '1')
    both('consume', 't', '--header', 'kind=a')
    both('consume', 't', '--key', 'alice')
    both('topic', 'delete-records', 't', '-p', '0', '--before', '2')
    both('topic', 'show', 't')


def groups(both):
    both('group', 'reset', 'g', 't', '-o', '1')
    both('group', 'reset', 'g', 't', '-o', '1', '--execute')
    both('group', 'list', '-l')
    both('group', 'show', 'g')
    both('group', 'reset', 'g', '-o', f'@{NOW_MS - 3597500}')
    both('group', 'reset', 'g', '--shift', '1', '--execute')
    both('consume', 't', '-g', 'g', '-n', '1', '--print', 'value')
    both('consume', 't', '-g', 'g', '--key', 'nobody')
    both('group', 'show', 'g')
    both('group', 'delete-offsets', 'g', 't:0')
    both('group', 'delete', 'g')
    both('group', 'delete', 'g', code=1)


def figures(both):
    for program in (both.daemon, both.kafka):
        found = run(BECK, 'ping', '-b', program.address, 't', '-n', '2', '-i', '0')
        ok(found.code == 0 and 'record count 2 ' in found.out, 'ping', found)
        found = run(BECK, 'bench', 'produce', '-b', program.address, 't', '-n', '1000')
        ok(found.code == 0 and 'produce records 1000 ' in found.out, 'bench produce', found)
    both('topic', 'delete', 't')
    listed = run(BECK, 'config', 'list', '-b', both.kafka.address).out
    ok('node.id=1 (file)\n' in listed, "the broker's own configuration", listed)


tap.run(all_of_it)
