#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""librdkafka as the system has it (2.0.2 on Debian 12): by its C interface, and kcat, which is made with it."""

import os
import re
import sys

import tap
from checks import relay
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from members import PARTITIONS, Member, kcat, kill_one_of_three
from programs import Beckd, Folder, must, run

CODECS = ('none', 'gzip', 'snappy', 'lz4', 'zstd')


def served(folder):
    return Beckd(os.path.join(folder, 'store'), '--set', 'group.initial.rebalance.delay.ms=200')


def by_c():
    with Folder() as folder, served(folder) as beckd:
        relay('librdkafka', [sys.argv[1], beckd.address], 28)


def by_kcat():
    print('# kcat: version', re.search(r'Version ([\d.]+)', run('kcat', '-V').out)[1], flush=True)
    with Folder() as folder, served(folder) as beckd:
        lines = ''.join(f'key {i}:value {i}\n' for i in range(1000))
        for codec in CODECS:
            must(run('kcat', '-b', beckd.address, '-P', '-t', codec, '-z', codec, '-K:', '-H', 'h=1', stdin=lines))
            found = must(run('kcat', '-b', beckd.address, '-C', '-t', codec, '-o', 'beginning', '-e', '-q',
                             '-f', '%k:%s\n'))
            tap.equal(found.out, lines, f'kcat, {codec}, is read as it was written')
        listed = must(run('kcat', '-b', beckd.address, '-L'))
        tap.ok(all(f'topic "{codec}" with 1 partitions' in listed.out for codec in CODECS), 'kcat lists topics', listed)


def groups():
    with Folder() as folder, served(folder) as beckd:
        admin = AdminClient({'bootstrap.servers': beckd.address})
        admin.create_topics([NewTopic('t', PARTITIONS, 1)])['t'].result(60)
        client = Producer({'bootstrap.servers': beckd.address})

        def produce(count):
            for i in range(count):
                client.produce('t', b'%d' % i, partition=i % PARTITIONS)
            client.flush(60)
        produce(6)
        for strategy in ('range', 'roundrobin', 'cooperative-sticky'):
            kill_one_of_three(f'kcat, {strategy}', lambda strategy=strategy: Member(kcat(
                beckd.address, strategy, 't', f'partition.assignment.strategy={strategy}')), produce)


tap.run(by_c, by_kcat, groups)
