#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Real text and random records in by every door, and the same bytes out by every door.

In: kcat, librdkafka from Python, `cat >>` on the mount, beck produce. Out: cat on the mount, kcat, beck
consume. kcat passes over empty lines, so it is given the text without them.
"""

import os
import subprocess
import time

import clients
import corpus
import tap
from programs import BECK, Beckd, Folder, Mount, beck, must, no_mount
from tap import equal, ok


class Doors:
    def __init__(self, folder, store, daemon, mount):
        self.folder = folder
        self.store = store
        self.daemon = daemon
        self.mount = mount
        self.bytes_in = 0

    def by_kcat(self, topic, path, data):
        return clients.kcat_send(self.daemon.address, topic, path).code == 0

    def by_librdkafka(self, topic, path, data):
        return clients.send_lines(self.daemon.address, topic, data) == []

    def by_mount(self, topic, path, data):
        return subprocess.run(['bash', '-c', 'cat "$0" >> "$1"', path, self.mount.file(topic)],
                              check=False).returncode == 0

    def by_beck(self, topic, path, data):
        with open(path, 'rb') as file:
            return subprocess.run([BECK, '--store', self.store, 'produce', topic], stdin=file,
                                  stdout=subprocess.DEVNULL, check=False).returncode == 0

    def check_out(self, topic, wanted, what):
        ways = {'kcat': clients.kcat_read(self.daemon.address, topic),
                'beck consume': [BECK, '--store', self.store, 'consume', topic]}
        if self.mount:
            ways['cat on the mount'] = ['cat', self.mount.file(topic)]
        for name, command in ways.items():
            begun = time.monotonic()
            equal(corpus.digest_of_command(command), wanted, f'{what}: {name} gives the same bytes')
            print(f'# {time.monotonic() - begun:.1f} s')

    def check(self, way, name, data, times=1):
        """Send data so many times by one way, and read it by all."""
        topic = name.replace(' ', '-')
        path = corpus.save(os.path.join(self.folder, 'input'), data)
        must(beck(self.store, 'topic', 'create', topic))
        begun = time.monotonic()
        sent = all(way(topic, path, data) for _ in range(times))
        seconds = time.monotonic() - begun
        self.bytes_in += len(data) * times
        print(f'# {name}: {len(data) * times / 1e6:.0f} MB in {seconds:.1f} s')
        ok(sent, f'{name}: all was taken')
        self.check_out(topic, corpus.digest(data * times), name)
        must(beck(self.store, 'topic', 'delete', topic))


def everything(doors):
    text = corpus.text()
    binary = corpus.binary()
    doors.check(doors.by_kcat, 'text by kcat', corpus.without_empty_lines(text), 2)
    doors.check(doors.by_librdkafka, 'text by librdkafka', text)
    doors.check(doors.by_beck, 'text by beck', text, 2)
    doors.check(doors.by_kcat, 'binary by kcat', binary)
    doors.check(doors.by_librdkafka, 'binary by librdkafka', binary)
    doors.check(doors.by_beck, 'binary by beck', binary)
    if doors.mount:
        doors.check(doors.by_mount, 'text by mount', text, 2)
        doors.check(doors.by_mount, 'binary by mount', binary)
    ok(doors.bytes_in >= 200_000_000, 'that was at least 200 MB', f'{doors.bytes_in} bytes')


def doors_test():
    why = no_mount()
    if why:
        ok(True, f'by the mount # SKIP {why}')
    with Folder() as folder:
        store = os.path.join(folder, 'store')
        with Beckd(store) as daemon:
            if why:
                everything(Doors(folder, store, daemon, None))
                return
            with Mount(store, os.path.join(folder, 'mnt')) as mount:
                everything(Doors(folder, store, daemon, mount))


tap.run(doors_test)
