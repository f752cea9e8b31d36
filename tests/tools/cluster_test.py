#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beck(1) with -b: the same commands on a broker as on a store, with the same output."""

import os
import signal
import subprocess
import threading
import time

import tap
from programs import BECK, PATIENCE, Beckd, Folder, beck, must, run, wait_until
from tap import equal, ok


class Setup:
    def __enter__(self):
        self.folder = Folder()
        base = self.folder.__enter__()
        self.store = os.path.join(base, 'store')
        self.daemon = Beckd(self.store).start()
        return self.store, self.daemon.address

    def __exit__(self, *_):
        self.daemon.end()
        self.folder.__exit__()


def at(address, command, *arguments, **options):
    return run(BECK, command, '-b', address, *arguments, **options)


RECORDS = ('{"timestamp":1763719200123,"key":"k","value":"v","headers":[["name","value"],["name",null]]}\n'
           '{"key":null,"value":null}\n'
           '{"key":"","value":""}\n'
           '{"key":{"base64":"/wD+"},"value":{"base64":"AAEC/w=="},"headers":[["h",{"base64":"gIE="}]]}\n'
           '{"value":"gr\\u00fc\\u00dfe"}\n')


def the_same():
    with Setup() as (store, address):
        must(beck(store, 'topic', 'create', 't', '-c', 'retention.ms=-1'))
        sent = at(address, 'produce', 't', '--json', stdin=RECORDS)
        equal(sent.out, '5 records to t, partition 0 offsets 0..4\n', 'records go to a broker')
        of_store = beck(store, 'consume', 't', '--format', 'json').out
        equal(len(of_store.splitlines()), 5, 'and are there')
        equal(at(address, 'consume', 't', '--format', 'json').out, of_store, 'they come back the same')
        must(beck(store, 'topic', 'create', 'copy', '-c', 'retention.ms=-1'))
        must(at(address, 'produce', 'copy', '--json', stdin=of_store))
        equal(at(address, 'consume', 'copy', '--format', 'json').out, of_store, 'and lossless again')
        for choice in (['-o', '2'], ['-o', '-2'], ['-o', 'end'], ['-n', '1'], ['-o', '@1763719200124'],
                       ['--print', 'partition,offset,key,headers,value', '--null', 'NULL']):
            equal(at(address, 'consume', 't', *choice).out, beck(store, 'consume', 't', *choice).out,
                  f'the same by {" ".join(choice)}')


def partitions():
    with Setup() as (store, address):
        must(beck(store, 'topic', 'create', 't', '-p', '3'))
        for i in range(20):
            here = must(beck(store, 'produce', 't', '-k', f'key {i}', 'v')).out.split()[1]
            there = must(at(address, 'produce', 't', '-k', f'key {i}', 'v')).out.split()[1]
            if here != there:
                ok(False, f'key {i} goes to partition {here} here and {there} there')
        ok(True, 'keys go to the same partitions')
        equal(must(at(address, 'produce', 't', '-p', '2', 'last')).out.split()[1], '2', '-p names one')
        equal(at(address, 'consume', 't', '-p', '2', '-o', '-1').out, 'last\n', 'and is read alone')
        must(beck(store, 'topic', 'create', 'spread', '-p', '3'))
        sent = must(at(address, 'produce', 'spread', stdin='line\n' * 300)).out
        equal(sent.count(' records to spread, partition '), 3, 'lines without a key go to all partitions')
        lines = sorted(at(address, 'consume', 't').out.splitlines())
        equal(lines, sorted(beck(store, 'consume', 't').out.splitlines()), 'all partitions, as one')


def from_files():
    """Files as they are, and lines that say where they belong."""
    with Setup() as (store, address):
        must(beck(store, 'topic', 'create', 't', '-p', '3', '-c', 'retention.ms=-1'))
        path = os.path.join(os.path.dirname(store), 'file')
        content = bytes(range(256)) * 100
        with open(path, 'wb') as file:
            file.write(content)
        equal(must(at(address, 'produce', 't', '-p', '1', '-F', path)).out, 'partition 1 offset 0\n', 'a file')
        ok(beck(store, 'consume', 't', '-p', '1', '--no-newline').out_bytes == content, 'byte for byte')
        ok(at(address, 'consume', 't', '-p', '1', '--no-newline').out_bytes == content, 'and back')
        lines = ''.join(f'{{"topic":"t","partition":{number % 3},"offset":77,"timestamp":{1763719200000 + number},'
                        f'"value":"v{number}"}}\n' for number in range(9))
        must(at(address, 'produce', 't', '--json', stdin=lines))
        for number in range(3):
            equal(at(address, 'consume', 't', '-p', number, '-o', '-3').out,
                  f'v{number}\nv{number + 3}\nv{number + 6}\n', f'lines for partition {number}')


def following():
    with Setup() as (store, address):
        must(beck(store, 'topic', 'create', 't'))
        must(beck(store, 'produce', 't', 'before'))
        reader = subprocess.Popen([BECK, 'consume', '-b', address, 't', '-f'], stdout=subprocess.PIPE,
                                  text=True)
        equal(reader.stdout.readline(), 'before\n', 'it prints what there is')
        must(beck(store, 'produce', 't', 'after'))
        equal(reader.stdout.readline(), 'after\n', 'and what comes')
        reader.send_signal(signal.SIGINT)
        reader.wait(20)
        ok(True, 'until it is stopped')
        reader.stdout.close()


def following_what_flows():
    """Records that come all the time are shown as they come, not once there is a large piece of them."""
    with Setup() as (store, address):
        must(beck(store, 'topic', 'create', 't'))
        reader = subprocess.Popen([BECK, 'consume', '-b', address, 't', '-f'], stdout=subprocess.PIPE, text=True)
        found = []
        watcher = threading.Thread(target=lambda: found.extend(iter(reader.stdout.readline, '')))
        watcher.start()
        writer = subprocess.Popen([BECK, '--store', store, 'produce', 't'], stdin=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL, text=True)
        sent = 0
        give_up = time.monotonic() + PATIENCE
        while len(found) < 100 and time.monotonic() < give_up:
            writer.stdin.write(f'{sent}\n')
            writer.stdin.flush()
            sent += 1
            time.sleep(0.002)
        ok(len(found) >= 100, 'what flows is shown while it flows', f'{len(found)} of {sent} records')
        writer.stdin.close()
        writer.wait(PATIENCE)
        ok(wait_until(lambda: len(found) == sent), 'and in the end all of it', f'{len(found)} of {sent}')
        reader.send_signal(signal.SIGINT)
        reader.wait(PATIENCE)
        watcher.join()
        reader.stdout.close()


def stopped():
    """Who is stopped does not wait for a broker that does not answer."""
    setup = Setup()
    with setup as (store, address):
        must(beck(store, 'topic', 'create', 't'))
        writer = subprocess.Popen([BECK, 'produce', '-b', address, 't'], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        writer.stdin.write('before\n')
        writer.stdin.flush()
        ok(wait_until(lambda: beck(store, 'consume', 't').out == 'before\n'), 'a record is sent')
        setup.daemon.process.send_signal(signal.SIGSTOP)
        try:
            writer.stdin.write('lost\n')
            writer.stdin.flush()
            writer.send_signal(signal.SIGTERM)
            out, err = writer.communicate(timeout=40)
        finally:
            setup.daemon.process.send_signal(signal.SIGCONT)
        equal(writer.returncode, -signal.SIGTERM, 'it ends by the signal')
        ok('0..0' in out and err.count('\n') <= 1, 'after it said what was acknowledged', (out, err))


def errors():
    with Setup() as (store, address):
        must(beck(store, 'topic', 'create', 't', '-c', 'max.message.bytes=1000'))
        for what, arguments, code, text in (
                ('no such topic', ['consume', 'none'], 1, 'there is no topic none (make it with: beck topic create none)'),
                ('none to produce to, which is not made', ['produce', 'none', 'x'], 1,
                 'there is no topic none (make it with: beck topic create none)'),
                ('as before', ['topic', 'show', 'none'], 1, 'there is no topic none'),
                ('no such partition', ['consume', 't', '-p', '7'], 1, 'has no partition 7'),
                ('an offset out of range', ['consume', 't', '-o', '5'], 1, 'out of range'),
                ('no such partition to produce to', ['produce', 't', '-p', '7', 'x'], 1, 'has no partition 7'),
                ('a record that is too large', ['produce', 't', 'x' * 2000], 1, 'Message size too large'),
                ('no such setting', ['consume', 't', '-X', 'nonsense=1'], 1, 'nonsense'),
                ('no setting', ['consume', 't', '-X', 'nonsense'], 2, 'NAME=VALUE')):
            found = at(address, *arguments)
            ok(found.code == code and text in found.err and found.out == '', what, found)
        begin = time.monotonic()
        found = run(BECK, 'consume', '-b', '127.0.0.1:1', 't')
        ok(found.code == 1 and '127.0.0.1:1' in found.err and 'no broker answers' in found.err, 'nobody there', found)
        found = run(BECK, 'topic', 'list', '-b', '')
        ok(found.code == 2 and 'which brokers?' in found.err, 'no address', found)
        ok(time.monotonic() - begin < 60, 'it does not wait for ever')


tap.run(the_same, partitions, from_files, following, following_what_flows, stopped, errors)
