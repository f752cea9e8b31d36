# SPDX-License-Identifier: Apache-2.0
"""What a consumer of many partitions costs while few of them get records: it has a fetch session of all, and is
told of each record as soon as it is there.

    flowing.py BECKD [PARTITIONS [RECORDS/S [SECONDS]]]

Prints the daemon's share of a processor with the producer alone, then with the consumer. A measurement, no test.
"""

import random
import sys
import threading
import time

import raw
from daemon import Daemon
from raw import Raw, batch

VERSION = 7


class Producer(threading.Thread):
    """One record at a time, each to some partition, at an even pace."""

    def __init__(self, port, partitions, rate):
        super().__init__(daemon=True)
        self.port, self.partitions, self.rate = port, partitions, rate
        self.ends = False

    def run(self):
        numbers = random.Random(1)
        record = batch(b'x')
        with Raw(self.port) as client:
            due = time.monotonic()
            while not self.ends:
                client.produce('t', record, acks=1, partition=numbers.randrange(self.partitions))
                due += 1 / self.rate
                time.sleep(max(0, due - time.monotonic()))


class Consumer(threading.Thread):
    def __init__(self, port, partitions):
        super().__init__(daemon=True)
        self.port = port
        self.offsets = [0] * partitions
        self.records = self.answers = 0
        self.ends = False

    def fetch(self, client, session, named):
        parts = [(one, self.offsets[one], 1 << 20) for one in named]
        answer = client.fetch('t', version=VERSION, session=session, parts=parts, max_wait=500, max_bytes=50 << 20)
        got = [part for part in answer['parts'] if part['records']]
        for part in got:
            before = self.offsets[part['partition']]
            self.offsets[part['partition']] = part['high']
            self.records += part['high'] - before
        self.answers += 1
        return answer['session'], [part['partition'] for part in got]

    def run(self):
        with Raw(self.port) as client:
            session, got = self.fetch(client, (0, 0), range(len(self.offsets)))
            epoch = 1
            while not self.ends:
                _, got = self.fetch(client, (session, epoch), got)
                epoch += 1


def measure(partitions=1000, rate=1000, seconds=5):
    with Daemon() as daemon:
        with Raw(daemon.port) as client:
            client.create('t', partitions=partitions)
        producer = Producer(daemon.port, partitions, rate)
        producer.start()
        consumer = Consumer(daemon.port, partitions)
        for who in ('the producer alone', 'and the consumer'):
            time.sleep(2)
            records, answers = consumer.records, consumer.answers
            used, begin = daemon.cpu_seconds(), time.monotonic()
            time.sleep(seconds)
            past = time.monotonic() - begin
            print(f'{partitions} partitions, {rate} records/s: {who}: '
                  f'{100 * (daemon.cpu_seconds() - used) / past:.1f} % of a processor, '
                  f'{(consumer.answers - answers) / past:.0f} answers/s with '
                  f'{(consumer.records - records) / past:.0f} records/s')
            if not consumer.is_alive():
                consumer.start()
        consumer.ends = producer.ends = True
        consumer.join()
        producer.join()


measure(*(int(argument) for argument in sys.argv[2:]))
