#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A partition that grows at full speed, watched: by tail -f, by a kcat consumer, by beck consume -f, and
by eight readers that pread around its end and compare every byte."""

import mmap
import os
import subprocess
import time

import clients
import corpus
import tap
from programs import BECK, Beckd, Folder, Mount, beck, must, no_mount, wait_until
from tap import equal, ok

READERS = 8
AROUND_BYTES = 16384


class Setup:
    def __enter__(self):
        self.folder_object = Folder()
        self.folder = self.folder_object.__enter__()
        self.store = os.path.join(self.folder, 'store')
        self.daemon = Beckd(self.store).start()
        self.mount = Mount(self.store, os.path.join(self.folder, 'mnt')).start()
        must(beck(self.store, 'topic', 'create', 't'))
        wait_until(lambda: os.path.exists(self.mount.file('t')))
        return self

    def __exit__(self, *_):
        self.mount.end_mount()
        self.daemon.end()
        self.folder_object.__exit__()

    def path(self, name):
        return os.path.join(self.folder, name)


def watchers():
    data = corpus.without_empty_lines(corpus.text())
    with Setup() as setup:
        source = corpus.save(setup.path('input'), data)
        outputs = {'tail -f': ['tail', '-c', '+1', '-f', setup.mount.file('t')],
                   'kcat': [argument for argument in clients.kcat_read(setup.daemon.address, 't')
                            if argument != '-e'] + ['-u'],
                   'beck consume -f': [BECK, '--store', setup.store, 'consume', 't', '-f']}
        running = {}
        for name, command in outputs.items():
            with open(setup.path(name), 'wb') as file:
                running[name] = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        begun = time.monotonic()
        ok(clients.kcat_send(setup.daemon.address, 't', source).code == 0, 'a producer at full speed')
        print(f'# {len(data) / 1e6:.0f} MB in {time.monotonic() - begun:.1f} s')
        for name, process in running.items():
            wait_until(lambda n=name: os.path.getsize(setup.path(n)) >= len(data), 60)
            time.sleep(0.2)
            process.terminate()
            process.wait()
            with open(setup.path(name), 'rb') as file:
                found = file.read()
            ok(found == data, f'{name} ends with the same bytes',
               f'{len(found)} bytes, wanted {len(data)}; first difference at '
               f'{next((i for i, (a, b) in enumerate(zip(found, data)) if a != b), None)}')


def read_around_the_end(path, wanted, seed):
    """One reader, in a process of its own: until the file is whole. Its exit code is the verdict."""
    import random  # seeded in each reader by itself
    source = random.Random(seed)
    fd = os.open(path, os.O_RDONLY)
    reads = 0
    size = 0
    while size < len(wanted):
        size = os.fstat(fd).st_size
        if size > len(wanted):
            print(f'# a size of {size}, beyond what was sent', flush=True)
            os._exit(1)
        position = max(0, size - source.randrange(AROUND_BYTES))
        block = os.pread(fd, AROUND_BYTES, position)
        reads += 1
        if block != wanted[position:position + len(block)]:
            at = next(i for i, byte in enumerate(block) if byte != wanted[position + i])
            print(f'# a wrong byte {block[at]} at {position + at}, size was {size}', flush=True)
            os._exit(1)
        if len(block) < min(size - position, AROUND_BYTES):
            print(f'# {len(block)} bytes at {position}, where the size was {size}', flush=True)
            os._exit(1)
    os.write(1, f'# reader {seed}: {reads} reads\n'.encode())
    os._exit(0 if reads > 10 else 2)


def readers():
    data = corpus.without_empty_lines(corpus.text(150_000_000))
    with Setup() as setup:
        source = corpus.save(setup.path('input'), data)
        with open(source, 'rb') as file:
            wanted = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        children = []
        for number in range(READERS):
            child = os.fork()
            if child == 0:
                try:
                    read_around_the_end(setup.mount.file('t'), wanted, number)
                finally:
                    os._exit(3)
            children.append(child)
        # Three ways to write, so that the end moves in steps of different sizes.
        third = len(data) // 3
        cuts = [0, data.index(b'\n', third) + 1, data.index(b'\n', 2 * third) + 1, len(data)]
        part = corpus.save(setup.path('part'), data[cuts[0]:cuts[1]])
        ok(clients.kcat_send(setup.daemon.address, 't', part).code == 0, 'written by kcat')
        part = corpus.save(setup.path('part'), data[cuts[1]:cuts[2]])
        ok(subprocess.run(['bash', '-c', 'cat "$0" >> "$1"', part, setup.mount.file('t')],
                          check=False).returncode == 0, 'by cat >> on the mount')
        with subprocess.Popen([BECK, '--store', setup.store, 'produce', 't'], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL) as producer:
            for at in range(cuts[2], cuts[3], 100_000):
                producer.stdin.write(data[at:min(at + 100_000, cuts[3])])
            producer.stdin.close()
            equal(producer.wait(), 0, 'and by beck produce')
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        equal(codes, [0] * READERS, 'eight readers at the end never see a wrong byte')


why = no_mount()
if why:
    tap.skip_all(why)
tap.run(watchers, readers)
