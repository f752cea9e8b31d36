#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 in mid-write, again and again: beckd, beckfs, or both at once.

Three writers go on all the time, each into a partition of its own and all three into a shared one: a
librdkafka producer (acks=all, retries=0), a shell's way of appending through the mount (open, write,
close), and beck produce. Nobody sends a record twice. In the end, and after every kill: every record that
was acknowledged is there, each writer's own are in order, nothing is there that was not sent, and nothing
is there twice.
"""

import os
import random
import subprocess
import threading
import time

import clients
import corpus
import tap
from programs import BECK, Beckd, Folder, Mount, beck, must, no_mount
from tap import equal, ok

ROUNDS = 9
SHARED = 3
PADDING = 200


class Writer(threading.Thread):
    """Sends "name number padding" with rising numbers, to two partitions in turn."""

    def __init__(self, name, partition):
        super().__init__(daemon=True)
        self.name = name
        self.partition = partition
        self.sent = 0
        self.acknowledged = {partition: [], SHARED: []}
        self.stopping = False
        self.errors = 0

    def record(self):
        number = self.sent
        self.sent += 1
        return number, f'{self.name} {number} '.encode() + b'x' * PADDING

    def next_partition(self, number):
        return SHARED if number % 4 == 0 else self.partition


class ClientWriter(Writer):
    def __init__(self, partition, address):
        super().__init__('client', partition)
        self.address = address

    def delivered(self, number, partition, error):
        if error:
            self.errors += 1
        else:
            self.acknowledged[partition].append(number)

    def run(self):
        client = clients.producer(self.address, message_timeout_ms=3000, linger_ms=1,
                                  reconnect_backoff_max_ms=200)
        while not self.stopping:
            number, record = self.record()
            partition = self.next_partition(number)
            try:
                client.produce('t', record, partition=partition, on_delivery=lambda error, _, n=number,
                               p=partition: self.delivered(n, p, error))
            except BufferError:
                client.poll(0.01)
            client.poll(0)
            if number % 1000 == 0:
                time.sleep(0.005)
        client.flush(10)


class MountWriter(Writer):
    def __init__(self, partition, mount):
        super().__init__('mount', partition)
        self.mount = mount

    def run(self):
        while not self.stopping:
            number, record = self.record()
            partition = self.next_partition(number)
            try:
                fd = os.open(self.mount.file('t', partition), os.O_WRONLY | os.O_APPEND)
                try:
                    written = os.write(fd, record + b'\n')
                finally:
                    os.close(fd)
                if written == len(record) + 1:
                    self.acknowledged[partition].append(number)
            except OSError:
                self.errors += 1
                time.sleep(0.02)


class BeckWriter(Writer):
    def __init__(self, partition, store):
        super().__init__('beck', partition)
        self.store = store

    def run(self):
        while not self.stopping:
            number, record = self.record()
            partition = self.next_partition(number)
            if beck(self.store, 'produce', 't', '-p', partition, record.decode()).code == 0:
                self.acknowledged[partition].append(number)
            else:
                self.errors += 1


def read_partition(store, partition):
    """(writer, number) of each record, in the log's order; a record that nobody sent is itself."""
    found = []
    for line in must(beck(store, 'consume', 't', '-p', partition)).out_bytes.split(b'\n')[:-1]:
        name, _, rest = line.partition(b' ')
        number, _, padding = rest.partition(b' ')
        good = number.isdigit() and padding == b'x' * PADDING
        found.append((name.decode(errors='replace'), int(number)) if good else (line, -1))
    return found


def examine(store, writers, acknowledged, when):
    """Compare the log with what the writers know."""
    lost, twice, unordered, strange = [], [], [], []
    for partition in range(SHARED + 1):
        found = read_partition(store, partition)
        for writer in writers:
            numbers = [number for name, number in found if name == writer.name]
            there = set(numbers)
            lost += [(writer.name, n) for n in acknowledged[writer.name].get(partition, ())
                     if n not in there]
            if len(there) != len(numbers):
                twice.append((writer.name, partition))
            if sorted(numbers) != numbers:
                unordered.append((writer.name, partition))
            strange += [n for n in there if n >= writer.sent or writer.next_partition(n) != partition]
        names = {writer.name for writer in writers}
        strange += [name for name, number in found if name not in names]
    ok(not lost, f'{when}: every acknowledged record is there', f'{len(lost)} lost: {lost[:5]}')
    ok(not unordered, f'{when}: in order', unordered)
    ok(not strange, f'{when}: nothing that was not sent', strange[:5])
    ok(not twice, f'{when}: nothing twice', twice)


def known(writers):
    """What is acknowledged now."""
    return {writer.name: {partition: list(numbers)
                          for partition, numbers in writer.acknowledged.items()}
            for writer in writers}


def kills():
    source = random.Random(1)
    why = no_mount()
    if why:
        ok(True, f'kills of the mount # SKIP {why}')
    with Folder() as folder:
        store = os.path.join(folder, 'store')
        daemon = Beckd(store).start()
        mount = Mount(store, os.path.join(folder, 'mnt'))
        must(beck(store, 'topic', 'create', 't', '-p', SHARED + 1))
        writers = [ClientWriter(0, daemon.address), BeckWriter(2, store)]
        if not why:
            mount.start()
            writers.append(MountWriter(1, mount))
        for writer in writers:
            writer.start()
        for number in range(ROUNDS):
            time.sleep(source.uniform(0.5, 1.5))
            what = ('beckd', 'beckfs', 'both')[number % 3] if not why else 'beckd'
            if what != 'beckfs':
                daemon.process.kill()
            if what != 'beckd':
                mount.process.kill()
            if what != 'beckfs':
                daemon.end()
            if what != 'beckd':
                mount.end_mount()
            time.sleep(source.uniform(0, 0.3))
            before = known(writers)
            if what != 'beckfs':
                daemon.start()
            if what != 'beckd':
                mount.start()
            examine(store, writers, before, f'kill {number + 1}, {what}')
        for writer in writers:
            writer.stopping = True
        for writer in writers:
            writer.join(30)
            count = sum(len(numbers) for numbers in writer.acknowledged.values())
            print(f'# {writer.name}: {writer.sent} sent, {count} acknowledged, {writer.errors} errors')
            ok(count > 100, f'{writer.name}: it wrote')
        examine(store, writers, known(writers), 'in the end')
        ok(beck(store, 'verify').code == 0, 'verify finds no damage')
        mount.end_mount()
        daemon.end()


def all_at_once():
    """Every process of the store is killed while real text goes in; whoever opens it next recovers."""
    data = corpus.without_empty_lines(corpus.text())
    lines = data.split(b'\n')[:-1]
    with Folder() as folder:
        store = os.path.join(folder, 'store')
        source = corpus.save(os.path.join(folder, 'input'), data)
        daemon = Beckd(store).start()
        must(beck(store, 'topic', 'create', 't'))
        for number in range(4):
            with open(source, 'rb') as file:
                producer = subprocess.Popen([BECK, '--store', store, 'produce', 't'], stdin=file,
                                            stdout=subprocess.DEVNULL)
            time.sleep(0.02 * (number + 1))
            producer.kill()
            daemon.process.kill()
            producer.wait()
            daemon.end()
            daemon.start()
        daemon.end()
        got = must(beck(store, 'consume', 't')).out_bytes.split(b'\n')[:-1]
        # Each of the four runs left a beginning of the text, cut between two records.
        at = 0
        for line in got:
            if at == len(lines) or line != lines[at]:
                at = 0
            if line != lines[at]:
                ok(False, 'the log is beginnings of the text', line)
                return
            at += 1
        ok(0 < len(got) < 4 * len(lines), f'the log is beginnings of the text ({len(got)} records)')
        equal(beck(store, 'verify').code, 0, 'and verify finds no damage')


tap.run(kills, all_at_once)
