#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beck config, beck topic add-partitions and delete-records: what operators change while all goes on."""

import tap
from programs import Beckd, beck, must
from tap import equal, ok
from tool_store import Store, fails, prints


def set_and_get():
    with Store(t=1) as store:
        prints(store('config', 'set', '-t', 't', 'retention.ms=1000', 'segment.ms=5000'),
               'set retention.ms=1000\nset segment.ms=5000\n', 'config set of a topic')
        prints(store('config', 'get', '-t', 't', 'retention.ms', 'segment.bytes'),
               '1000\n1073741824\n', 'config get')
        prints(store('config', 'get', 'retention.ms'), '604800000\n',
               'the store has what it had')
        prints(store('config', 'set', 'retention.bytes=77'), 'set retention.bytes=77\n',
               'config set of the store')
        prints(store('config', 'list', '-t', 't'),
               'retention.bytes=77 (store)\nretention.ms=1000 (topic)\nsegment.ms=5000 (topic)\n',
               'config list says who said so')
        prints(store('config', 'reset', '-t', 't', 'retention.ms', 'segment.ms'),
               'reset retention.ms\nreset segment.ms\n', 'config reset')
        prints(store('config', 'list', '-t', 't'), 'retention.bytes=77 (store)\n',
               'what was reset is not listed')
        everything = store('config', 'list', '-t', 't', '-a')
        ok('max.message.bytes=1048588 (default)\n' in everything.out and everything.code == 0,
           'config list -a lists defaults', everything)


def of_the_store():
    with Store(t=1) as store:
        prints(store('config', 'list'), '', 'nothing is set in a new store')
        must(store('config', 'set', 'offsets.retention.minutes=5'))
        prints(store('config', 'list'), 'offsets.retention.minutes=5 (store)\n',
               'a setting of the store itself')
        fails(store('config', 'set', '-t', 't', 'offsets.retention.minutes=5'), 1, 'of the store',
              'a topic has none of it')
        must(store('config', 'set', 'flush.policy=os'))
        ok('flush os\n' in store('stat').out, 'stat shows what was set')


def dry_run():
    with Store(t=1) as store:
        prints(store('config', 'set', '-t', 't', '-n', 'retention.ms=1000'),
               'set retention.ms=1000 (dry run)\n', 'config set --dry-run')
        prints(store('config', 'list', '-t', 't'), '', 'changes nothing')
        fails(store('config', 'set', '-t', 't', '--dry-run', 'retention.ms=x'), 1, 'retention.ms',
              'but checks')


def refused():
    with Store(t=1) as store:
        fails(store('config', 'set', '-t', 't', 'retention.ms=5', 'retentoin.bytes=5'), 1,
              'did you mean retention.bytes?', 'an unknown name')
        prints(store('config', 'list', '-t', 't'), '', 'all or nothing')
        fails(store('config', 'set', '-t', 'u', 'retention.ms=5'), 1, 'there is no topic u',
              'an unknown topic')
        fails(store('config', 'get', 'nothing'), 1, 'no configuration nothing', 'get of an unknown name')
        fails(store('config', 'set', 'nothing'), 2, 'NAME=VALUE', 'a setting without a value')
        for action in ('get', 'set', 'reset'):
            ok(store('config', action).code == 2, f'config {action} of nothing')
        fails(store('config'), 2, 'list, get', 'config alone')
        fails(store('config', 'frob'), 2, 'none of', 'config of an unknown action')


def describe():
    with Store(t=1) as store:
        one = store('config', 'describe', 'cleanup.policy')
        ok(one.code == 0 and one.out.startswith('cleanup.policy list default=delete\n    '),
           'config describe NAME', one)
        everything = store('config', 'describe')
        ok('offsets.retention.minutes int default=10080\n' in everything.out,
           'config describe has all', everything)
        ok('offsets.retention.minutes' not in store('config', 'describe', '-t', 't').out,
           'config describe -t has those of topics')


def add_partitions():
    with Store(t=1) as store:
        prints(store('topic', 'add-partitions', 't', '-p', '3', '-n'),
               'topic t would have 3 partitions\n', 'add-partitions --dry-run')
        fails(store('produce', 't', '-p', '2', 'x'), 1, 'partition 2', 'adds none')
        prints(store('topic', 'add-partitions', 't', '-p', '3'), 'topic t has 3 partitions\n',
               'add-partitions')
        prints(store('produce', 't', '-p', '2', 'x'), 'partition 2 offset 0\n',
               'a new partition takes records')
        fails(store('topic', 'add-partitions', 't', '-p', '3'), 1, '3 are not more',
              'add-partitions to what it has')
        fails(store('topic', 'add-partitions', 't'), 2, '-p COUNT', 'add-partitions without a number')
        fails(store('topic', 'add-partitions', 'u', '-p', '3'), 1, 'there is no topic u',
              'add-partitions to a topic that is not there')
        fails(store('topic', 'add-partitions'), 2, 'which topic', 'add-partitions to nothing')


def delete_records():
    with Store(t=2) as store:
        must(store('produce', 't', '-p', '1', 'a', 'b', 'c'))
        prints(store('topic', 'delete-records', 't', '-p', '1', '--before', '2'),
               'topic t partition 1 begins at offset 2\n', 'delete-records')
        prints(store('consume', 't'), 'c\n', 'what is before is gone')
        prints(store('topic', 'delete-records', 't', '-p', '1', '--before', '1'),
               'topic t partition 1 begins at offset 2\n', 'and does not come back')
        fails(store('topic', 'delete-records', 't', '-p', '1', '--before', '4'), 1, '4',
              'delete-records beyond the end')
        prints(store('topic', 'delete-records', 't', '-p', '1', '--before', 'end'),
               'topic t partition 1 begins at offset 3\n', 'delete-records of all')
        prints(store('consume', 't'), '', 'nothing is left')
        fails(store('topic', 'delete-records', 't', '--before', '1'), 2, '-p PARTITION',
              'delete-records of no partition')
        fails(store('topic', 'delete-records', 't', '-p', '1'), 2, '--before',
              'delete-records without an offset')
        fails(store('topic', 'delete-records', 't', '-p', '1', '--before', 'x'), 2, "'x'",
              'delete-records before no offset')
        fails(store('topic', 'delete-records', 't', '-p', '2', '--before', '1'), 1, 'no partition 2',
              'delete-records of a partition that is not there')


def beside_a_broker():
    """What is changed beside beckd it acts by."""
    with Store(t=1) as store, Beckd(store.path) as daemon:
        must(store('topic', 'add-partitions', 't', '-p', '2'))
        must(store('config', 'set', '-t', 't', 'max.message.bytes=100'))
        ok(daemon.alive(), 'beckd goes on')
        equal(beck(store.path, 'consume', 't', '-p', '1').out, '', 'and the partition is there')


tap.run(set_and_get, of_the_store, dry_run, refused, describe, add_partitions, delete_records,
        beside_a_broker)
