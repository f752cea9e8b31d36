#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beck(1) beside a running beckd and a mount: all see the same records."""

import os
import signal
import subprocess

import tap
from programs import BECK, PATIENCE, Beckd, Folder, Mount, beck, line_after, must, no_mount, run, wait_until
from tap import equal, ok


def kcat(daemon, *arguments, **options):
    return run('kcat', '-b', daemon.address, *arguments, **options)


class Setup:
    def __enter__(self):
        self.folder = Folder()
        base = self.folder.__enter__()
        self.store = os.path.join(base, 'store')
        self.daemon = Beckd(self.store).start()
        return self.store, self.daemon

    def __exit__(self, *_):
        self.daemon.end()
        self.folder.__exit__()


def made_by_beckd():
    with Setup() as (store, daemon):
        equal(beck(store, 'topic', 'list').out, '', 'beckd makes the store, beck opens it')
        ok(f'broker-pid {daemon.process.pid}\n' in beck(store, 'stat').out, 'stat names the beckd')
        ok(beck(store, 'store', 'create').code == 1, 'store create: there is one')
        must(beck(store, 'topic', 'create', 't', '-p', '3'))
        listed = kcat(daemon, '-L', '-t', 't')
        ok('topic "t" with 3 partitions' in listed.out, 'a topic of beck is there for clients', listed)
        must(kcat(daemon, '-P', '-t', 'other', stdin='x\n'))
        ok('other\n' in beck(store, 'topic', 'list').out, 'a topic of a client is there for beck')


def both_ways():
    with Setup() as (store, daemon):
        must(beck(store, 'topic', 'create', 't'))
        must(kcat(daemon, '-P', '-t', 't', '-k', 'key', '-H', 'h=v', stdin='from a client\n'))
        equal(beck(store, 'consume', 't', '--print', 'key,headers,value').out,
              'key\th=v\tfrom a client\n', 'what a client sends, beck prints')
        equal(beck(store, 'produce', 't', '-k', 'k2', 'from beck').out, 'partition 0 offset 1\n',
              'beck appends behind it')
        got = kcat(daemon, '-C', '-t', 't', '-o', '1', '-e', '-q', '-f', '%k %s\n')
        equal(got.out, 'k2 from beck\n', 'what beck appends, a client reads')
        for codec in ('gzip', 'snappy', 'lz4', 'zstd'):
            must(kcat(daemon, '-P', '-t', 't', '-z', codec, stdin=f'{codec} from a client\n'))
            must(beck(store, 'produce', 't', '--compression', codec, f'{codec} from beck'))
        lines = [f'{codec} from {who}' for codec in ('gzip', 'snappy', 'lz4', 'zstd')
                 for who in ('a client', 'beck')]
        equal(beck(store, 'consume', 't', '-o', '2').out.splitlines(), lines, 'every codec, read by beck')
        got = kcat(daemon, '-C', '-t', 't', '-o', '2', '-e', '-q')
        equal(got.out.splitlines(), lines, 'every codec, read by a client')
        ok(beck(store, 'verify').code == 0, 'verify beside beckd')
        equal(beck(store, 'dump', 't', '--batches').out.count('batch '), 10, 'dump beside beckd')


def following():
    with Setup() as (store, daemon):
        must(beck(store, 'topic', 'create', 't'))
        follower = subprocess.Popen([BECK, '--store', store, 'consume', 't', '-f'],
                                    stdout=subprocess.PIPE)
        must(kcat(daemon, '-P', '-t', 't', stdin='one\n'))
        equal(follower.stdout.readline(), b'one\n', 'consume -f prints what a client sends')
        must(kcat(daemon, '-P', '-t', 't', stdin='two\n'))
        equal(follower.stdout.readline(), b'two\n', 'and the next')
        follower.send_signal(signal.SIGINT)
        follower.wait(PATIENCE)
        follower.stdout.close()
        client = subprocess.Popen(['kcat', '-b', daemon.address, '-C', '-t', 't', '-o', 'end', '-q',
                                   '-u'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        equal(line_after(client, lambda: must(beck(store, 'produce', 't', 'three'))), b'three\n', 'a client that waits gets what beck appends')
        client.kill()
        client.wait()
        client.stdout.close()


def together():
    """Four beck and two clients at once: all is there once, each one's own in order."""
    with Setup() as (store, daemon):
        must(beck(store, 'topic', 'create', 't'))
        writers = []
        for number in range(6):
            command = [BECK, '--store', store, 'produce', 't'] if number < 4 else \
                ['kcat', '-b', daemon.address, '-P', '-t', 't']
            writers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL))
        for step in range(20):
            for number, writer in enumerate(writers):
                writer.stdin.write(b''.join(b'%d %d\n' % (number, step * 500 + n) for n in range(500)))
                writer.stdin.flush()
        codes = []
        for writer in writers:
            writer.stdin.close()
            codes.append(writer.wait(60))
        equal(codes, [0] * 6, 'six writers at once')
        lines = [line.split() for line in beck(store, 'consume', 't').out.splitlines()]
        equal(len(lines), 60_000, 'all records are there')
        ok(all([int(n) for who, n in lines if who == str(number)] == list(range(10_000))
               for number in range(6)), 'each writer\'s own in order')
        ok(beck(store, 'verify').code == 0, 'verify finds nothing')


def after_a_kill():
    with Setup() as (store, daemon):
        must(kcat(daemon, '-P', '-t', 't', stdin=''.join(f'{n}\n' for n in range(1000))))
        daemon.end(kill=True)
        equal(beck(store, 'consume', 't').out, ''.join(f'{n}\n' for n in range(1000)),
              'beckd killed: beck has every acknowledged record')
        ok('broker-pid none\n' in beck(store, 'stat').out, 'and sees that there is no beckd')
        must(beck(store, 'produce', 't', 'between'))
        daemon.start()
        got = kcat(daemon, '-C', '-t', 't', '-o', '-1', '-e', '-q')
        equal(got.out, 'between\n', 'started again: clients go on')


def with_mount():
    why = no_mount()
    if why:
        ok(True, f'beside a mount # SKIP {why}')
        return
    with Setup() as (store, _):
        with Mount(store, os.path.join(os.path.dirname(store), 'mnt')) as mount:
            must(beck(store, 'topic', 'create', 't'))
            must(beck(store, 'produce', 't', 'from beck'))
            ok(wait_until(lambda: os.path.exists(mount.file('t'))), 'a topic of beck is a folder')
            with open(mount.file('t'), 'ab') as file:
                file.write(b'from the mount\n')
            equal(beck(store, 'consume', 't').out, 'from beck\nfrom the mount\n', 'what is written there')
            with open(mount.file('t'), 'rb') as file:
                equal(file.read(), b'from beck\nfrom the mount\n', 'the file has the same')


tap.run(made_by_beckd, both_ways, following, together, after_a_kill, with_mount)
