#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beck ping and beck bench: what they write and print, of a store and by -b. Not how long it took."""

import json
import re
import signal
import subprocess

import tap
from programs import BECK, Beckd, must, run
from tap import equal, ok
from tool_store import Store, fails

LATENCY = r' min-ms [\d.]+ p50-ms [\d.]+ p99-ms [\d.]+ p99.9-ms [\d.]+ max-ms [\d.]+'


class Forms:
    """A store, and how to run beck on it: directly, and by its beckd."""

    def __init__(self, **topics):
        self.store = Store(**topics)

    def __enter__(self):
        self.store.__enter__()
        self.daemon = Beckd(self.store.path).start()
        return {'store': self.store,
                'broker': lambda *words, **options: run(BECK, *words, '-b', self.daemon.address, **options)}

    def __exit__(self, *_):
        self.daemon.end()
        self.store.__exit__()


def ping():
    with Forms(t=2) as forms:
        for name, call in forms.items():
            found = call('ping', '-n', '3', '-i', '1')
            ok(re.fullmatch(r'(ping \d connect-ms [\d.]+ metadata-ms [\d.]+\n){3}'
                            rf'connect count 3{LATENCY}\nmetadata count 3{LATENCY}\n', found.out),
               f'{name}: a line for each, and a summary', found)
            before = len(forms['store']('consume', 't', '-p', '1').out.splitlines())
            found = call('ping', 't', '-p', '1', '-n', '2', '-i', '0', '--json')
            lines = [json.loads(line) for line in found.out.splitlines()]
            equal([line['type'] for line in lines], ['ping', 'ping', 'connect', 'metadata', 'record'],
                  f'{name}: as JSON, with records')
            ok(all(line['record_ms'] > 0 for line in lines[:2]), f'{name}: each took some time', found)
            after = len(forms['store']('consume', 't', '-p', '1').out.splitlines())
            equal(after - before, 2, f'{name}: a record each')
            fails(call('ping', 'none', '-n', '1'), 1, 'no topic none', f'{name}: no such topic')
            fails(call('ping', 't', '-p', '7'), 1, 'no partition 7', f'{name}: no such partition')
        fails(forms['store']('ping', 't', '-n', '0'), 2, "'0'", 'no count')


def ping_is_stopped():
    with Store(t=1) as store:
        process = subprocess.Popen([BECK, '--store', store.path, 'ping', '-n', '1000', '-i', '60000'],
                                   stdout=subprocess.PIPE, text=True)
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[0]
        ok(first.startswith('ping 1 ') and 'connect count 1 ' in rest, 'a signal ends it with a summary', rest)


def bench():
    with Forms(t=2) as forms:
        for name, call in forms.items():
            before = len(forms['store']('consume', 't').out.splitlines())
            found = call('bench', 'produce', 't', '-n', '500', '-s', '100')
            ok(re.fullmatch(r'produce records 500 bytes 50000 seconds [\d.]+ records-per-second \d+ '
                            rf'mb-per-second [\d.]+ acks all synced [\w-]+{LATENCY}\n', found.out), f'{name}: produce', found)
            after = len(forms['store']('consume', 't').out.splitlines())
            equal(after - before, 500, f'{name}: the records are there')
            found = call('bench', 'consume', 't', '--json')
            line = json.loads(found.out)
            equal((line['records'], line['bytes']), (after, after * 100), f'{name}: consume')
            equal(json.loads(call('bench', 'consume', 't', '--json', '-n', '7').out)['records'], 7,
                  f'{name}: so many')
            found = call('bench', 'produce', 't', '-n', '20', '-s', '100', '--rate', '1000', '-p', '1', '--compression',
                         'lz4', '--acks', '1')
            ok(found.code == 0 and 'produce records 20 ' in found.out, f'{name}: at a rate', found)
            must(call('bench', 'produce', 't', '-n', '380', '-s', '100'))
        fails(forms['store']('bench'), 2, 'produce or consume', 'nothing to measure')
        fails(forms['store']('bench', 'frob', 't'), 2, 'none of', 'no such thing')
        fails(forms['store']('bench', 'produce'), 2, 'which topic', 'no topic')
        fails(forms['store']('bench', 'produce', 'none'), 1, 'no topic none', 'no such topic')
        fails(forms['store']('bench', 'produce', 't', '-p', '2', '-n', '1'), 1, 'no partition 2',
              'no such partition')


tap.run(ping, ping_is_stopped, bench)
