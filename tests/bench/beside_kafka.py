#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beckd beside Apache Kafka, in one run, in turn, with fresh data:

    tests/bench/beside_kafka.py BUILD [--rounds 5] [--directory DIR] [--scale 1.0]

Both run all the time; each is warmed up first, Kafka long enough for its Java to be compiled. In each round
one after the other makes a topic for each measurement, is produced to and consumed from by librdkafka, and
drops it. Between measurements all is synced, so that nobody pays for what another wrote. Kafka never syncs
by itself; beckd's acks=all is on disk, and dd(1) with a sync of as many bytes stands beside it. Printed are
medians, their ratio, and what is aimed at. DIR should be on the disk of interest; --scale makes all shorter
or longer. At scale 1 a round takes about a minute on 4 cores.
"""

import argparse
import functools
import os
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SECONDS = 300
LARGE, SMALL = 1024, 100  # bytes of a record's value
LARGE_COUNT, SMALL_COUNT = 1_000_000, 5_000_000
RATES = (1_000, 20_000)
LATENCY_SECONDS = 5
WARM_UP_SECONDS = 15


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('build')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--directory', default=tempfile.gettempdir())
    parser.add_argument('--scale', type=float, default=1.0)
    return parser.parse_args()


OPTIONS = arguments()
BUILD = os.path.abspath(OPTIONS.build)
os.environ['BECKD'] = os.path.join(BUILD, 'netd', 'beckd')
sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'netd'))

from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402
from apache_kafka import Tuned, class_path  # noqa: E402
from programs import Beckd, must, run  # noqa: E402


def answers(port):
    """Does something at this port answer ApiVersions?"""
    request = struct.pack('>hhih5s', 18, 0, 1, 5, b'bench')
    try:
        with socket.create_connection(('127.0.0.1', port), 1) as connection:
            connection.settimeout(5)
            connection.sendall(struct.pack('>i', len(request)) + request)
            return len(connection.recv(4)) == 4
    except OSError:
        return False


class Subject:
    """One of the two, and what was measured of it."""

    def __init__(self, name, broker):
        self.name = name
        self.broker = broker
        self.found = {}
        self.topics = 0

    @property
    def pid(self):
        return self.broker.process.pid

    def rss(self):
        with open(f'/proc/{self.pid}/status', encoding='ascii') as file:
            return int(re.search(r'VmRSS:\s*(\d+)', file.read())[1]) / 1000

    def note(self, what, value):
        self.found.setdefault(what, []).append(value)

    def median(self, what):
        return statistics.median(self.found[what])

    def topic(self):
        self.topics += 1
        name = f'bench-{self.topics}'
        self.admin.create_topics([NewTopic(name, 1, 1)])[name].result(60)
        return name

    def drop(self, name):
        self.admin.delete_topics([name])[name].result(60)
        os.sync()

    @functools.cached_property
    def admin(self):
        return AdminClient({'bootstrap.servers': self.broker.address})

    def client(self, *command):
        """Rate in records, in MB, the broker's CPU seconds for a GB."""
        result = must(run(os.path.join(BUILD, 'tests', 'bench', 'bench_clients'), *command, seconds=SECONDS))
        found = re.search(r'(\d+) records/s +([\d.]+) MB/s +CPU s/GB: daemon ([\d.]+)', result.out)
        return [float(part) for part in found.groups()]

    def produce(self, topic, count, size, acks):
        return self.client('produce', self.broker.address, topic, self.pid, count, size, acks)

    def consume(self, topic, count):
        return self.client('consume', self.broker.address, topic, self.pid, count)

    def latency(self, rate, seconds):
        topic = self.topic()
        result = must(run(os.path.join(BUILD, 'tests', 'bench', 'bench_latency'), self.broker.address, topic,
                          rate, seconds, 200, 'all', seconds=SECONDS))
        for name, value in re.findall(r'(\S+) ([\d.]+)', result.out):
            self.note(f'{name} at {rate}/s', float(value))
        self.drop(topic)

    def warm_up(self, seconds):
        end = time.monotonic() + seconds
        while True:
            topic = self.topic()
            for size in (LARGE, SMALL):
                self.produce(topic, 200_000, size, 'all')
            self.consume(topic, 400_000)
            self.drop(topic)
            if time.monotonic() > end:
                return

    def throughput(self, size, count, label):
        for acks in ('all', '1'):
            topic = self.topic()
            records, megabytes, cpu = self.produce(topic, count, size, acks)
            self.note(f'produce {label} acks={acks}', records)
            self.note(f'produce {label} acks={acks} MB/s', megabytes)
            self.note(f'produce {label} acks={acks} CPU', cpu)
            if acks == 'all':
                os.sync()
                records, _, cpu = self.consume(topic, count)
                self.note(f'consume {label}', records)
                self.note(f'consume {label} CPU', cpu)
            self.drop(topic)

    def round(self):
        self.throughput(LARGE, int(LARGE_COUNT * OPTIONS.scale), '1 KiB')
        self.throughput(SMALL, int(SMALL_COUNT * OPTIONS.scale), '100 B')
        for rate in RATES:
            self.latency(rate, max(2, int(LATENCY_SECONDS * OPTIONS.scale)))


def start(subject, begin):
    """How long from nothing to the first answer, and how large it is then."""
    broker = subject.broker
    before = time.monotonic()
    begin()
    while not answers(broker.port):
        time.sleep(0.005)
    subject.note('start, s', time.monotonic() - before)
    time.sleep(1)
    subject.note('RSS idle, MB', subject.rss())


def start_kafka(broker):
    """Its process; start() would wait for more than its first answer."""
    broker.format()

    def begin():
        broker.launch(['sh', '-c', 'exec "$@" >&2', 'sh', *broker.java, '-cp', class_path(), 'kafka.Kafka',
                       broker.configuration])
    return begin


def ceiling(size, count):
    """How fast the client is when it produces to its own mock."""
    result = must(run(os.path.join(BUILD, 'tests', 'bench', 'bench_clients'), 'produce', 'mock', 't', os.getpid(),
                      count, size, '1', seconds=SECONDS))
    return int(re.search(r'(\d+) records/s', result.out)[1])


def dd(directory, size):
    path = os.path.join(directory, 'dd')
    done = subprocess.run(['dd', 'if=/dev/zero', f'of={path}', 'bs=1M', f'count={max(1, size >> 20)}',
                           'conv=fdatasync'], stderr=subprocess.PIPE, text=True, check=True,
                          env={**os.environ, 'LC_ALL': 'C'})
    os.unlink(path)
    os.sync()
    seconds = float(re.search(r', ([\d.e-]+) s,', done.stderr)[1])
    return (max(1, size >> 20) << 20) / 1e6 / seconds


def touch_memory(directory):
    """A virtual machine pays for a page of memory when it is used first; have that behind us."""
    path = os.path.join(directory, 'touched')
    with open(path, 'wb') as file:
        for _ in range(int(4096 * min(1.0, OPTIONS.scale))):
            file.write(bytes(1 << 20))
    os.unlink(path)


def line(what, left, right, aim='', form='{:,.0f}'):
    ratio = f'{left / right:.2f}' if right else ''
    print(f'{what:<52} {form.format(left):>12} {form.format(right) if right else "":>12} {ratio:>7}  {aim}')


def aims(beck, kafka, disk):
    """What acks=all has to reach: Kafka, which does not sync, or the disk."""
    wanted = min(kafka.median('produce 1 KiB acks=all MB/s'), 0.9 * disk)
    found = beck.median('produce 1 KiB acks=all MB/s')
    return f'{found:,.0f} MB/s; the lower of Kafka and 0.9 dd is {wanted:,.0f}: ratio {found / wanted:.2f}'


def table(beck, kafka, disk):
    print(f'{"medians of " + str(OPTIONS.rounds):<52} {"beckd":>12} {"Kafka 4.1":>12} {"ratio":>7}  aim')
    for label in ('1 KiB', '100 B'):
        for acks, aim in (('all', ''), ('1', '2')):
            what = f'produce {label} acks={acks}'
            line(what + ', records/s', beck.median(what), kafka.median(what),
                 aims(beck, kafka, disk) if (label, acks) == ('1 KiB', 'all') else aim)
            line('  broker CPU s/GB', beck.median(what + ' CPU'), kafka.median(what + ' CPU'), '0.33', '{:.2f}')
        line(f'consume {label}, records/s', beck.median('consume ' + label), kafka.median('consume ' + label))
        line('  broker CPU s/GB', beck.median(f'consume {label} CPU'), kafka.median(f'consume {label} CPU'),
             'sendfile + 15 %: 0.38 s', '{:.2f}')
    for rate in RATES:
        for part in ('p50', 'p99', 'p99.9', 'worst'):
            aim = {'p99': 'under 1 ms', 'worst': 'under 5 ms'}.get(part, '') if rate == RATES[0] else ''
            what = f'{part} at {rate}/s'
            line(f'end to end {rate:,}/s, {part}, ms', beck.median(what), kafka.median(what), aim, '{:.3f}')
    for what in ('RSS idle, MB', 'RSS loaded, MB'):
        line(what, beck.median(what), kafka.median(what), form='{:,.1f}')
    line('start, s', beck.median('start, s'), kafka.median('start, s'), form='{:.3f}')
    line('dd conv=fdatasync, MB/s', disk, None)
    for size, count in ((LARGE, LARGE_COUNT), (SMALL, SMALL_COUNT)):
        what = f'the client into its own mock, {size} B, records/s'
        line(what, statistics.median(ceiling(size, int(count * OPTIONS.scale)) for _ in range(3)), None)


def main():
    with tempfile.TemporaryDirectory(prefix='beck-bench-', dir=OPTIONS.directory) as folder:
        touch_memory(folder)
        beck = Subject('beckd', Beckd(os.path.join(folder, 'store')))
        kafka = Subject('Kafka', Tuned(folder, log_segment_delete_delay_ms=500))
        disk = []
        try:
            start(beck, beck.broker.start)
            start(kafka, start_kafka(kafka.broker))
            beck.warm_up(min(3, WARM_UP_SECONDS * OPTIONS.scale))
            kafka.warm_up(WARM_UP_SECONDS * OPTIONS.scale)
            for number in range(OPTIONS.rounds):
                for subject in (beck, kafka) if number % 2 == 0 else (kafka, beck):
                    subject.round()
                disk.append(dd(folder, int(LARGE * LARGE_COUNT * OPTIONS.scale)))
                print(f'round {number + 1} of {OPTIONS.rounds} is done', file=sys.stderr, flush=True)
            for subject in (beck, kafka):
                subject.note('RSS loaded, MB', subject.rss())
        finally:
            for subject in (beck, kafka):
                subject.__dict__.pop('admin', None)  # it would complain when the broker goes
                subject.broker.end()
        table(beck, kafka, statistics.median(disk))


main()
