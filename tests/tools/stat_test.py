#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beck stat: who has the store open, what is pending, and the same as JSON."""

import json
import os
import re
import subprocess

import tap
from programs import BECK, Beckd, Folder, beck, must, wait_until
from tap import ok


def make(folder):
    store = os.path.join(folder, 'store')
    must(beck(store, 'store', 'create'))
    must(beck(store, 'topic', 'create', 't'))
    must(beck(store, 'produce', 't', 'one', 'two'))
    return store


def rows(result):
    return [json.loads(line) for line in result.out.splitlines()]


def of_type(result, kind):
    return [row for row in rows(result) if row['type'] == kind]


def nobody():
    with Folder() as folder:
        store = make(folder)
        result = beck(store, 'stat', '--processes')
        ok(result.code == 0 and '\nprocess' not in result.out and '\nlock' not in result.out,
           'nobody has the store open, beck stat itself not counted', result)


def broker():
    with Folder() as folder:
        store = make(folder)
        with Beckd(store) as daemon:
            pid = daemon.process.pid
            result = beck(store, 'stat', '-p')
            ok(re.search(rf'^process {pid} beckd started \S+Z opened \S+Z waits-for-partitions \d+.* '
                         r'broker', result.out, re.M), 'the broker is named', result)
            result = beck(store, 'stat', '-p', '--json')
            found = of_type(result, 'process')
            ok(len(found) == 1 and found[0]['pid'] == pid and found[0]['name'] == 'beckd' and
               found[0]['broker'] is True and found[0]['started'] <= found[0]['opened'],
               'in JSON, too', result)
            ok(of_type(result, 'store')[0]['broker_pid'] == pid, 'and with the store')


def waiting():
    with Folder() as folder:
        store = make(folder)
        with Folder() as other:
            out = os.path.join(other, 'out')
            with open(out, 'wb') as file:
                with subprocess.Popen([BECK, '--store', store, 'consume', 't', '-f'], stdout=file,
                                      stderr=subprocess.DEVNULL) as process:
                    try:
                        seen = []

                        def waits():
                            seen[:] = [row for row in of_type(beck(store, 'stat', '-p', '--json'),
                                                              'process')
                                       if row['pid'] == process.pid]
                            return seen and seen[0]['waits_for_partitions'] == 1
                        ok(wait_until(waits), 'who follows a topic waits for its partition', seen)
                        ok(seen and seen[0]['doorbell'] and not seen[0]['broker'],
                           'with a doorbell, and no role', seen)
                    finally:
                        process.terminate()


def figures():
    with Folder() as folder:
        store = make(folder)
        result = beck(store, 'stat', '--json')
        partition = of_type(result, 'partition')
        ok(len(partition) == 1 and partition[0]['topic'] == 't' and partition[0]['partition'] == 0 and
           partition[0]['end'] == 2 and partition[0]['unsynced_bytes'] == 0 and
           partition[0]['uncheckpointed_bytes'] == 0 and partition[0]['failed'] is False,
           'a partition as JSON', result)
        topic = of_type(result, 'topic')
        ok(len(topic) == 1 and topic[0]['topic'] == 't' and topic[0]['records'] == 2,
           'a topic as JSON', result)
        text = beck(store, 'stat')
        ok(re.search(r'^partition t 0 start 0 end 2 .* unsynced-bytes 0 uncheckpointed-bytes 0$',
                     text.out, re.M), 'a partition as text', text)
        ok(re.search(r'^topic t partitions 1 records 2 ', text.out, re.M), 'a topic as text', text)


def recovered():
    with Folder() as folder:
        store = make(folder)
        for directory, _, names in os.walk(os.path.join(store, 'topics')):
            for name in names:
                if name.endswith('.log'):
                    with open(os.path.join(directory, name), 'ab') as file:
                        file.write(b'torn')
        result = beck(store, 'stat', '--json')
        found = of_type(result, 'recovered')
        ok(len(found) == 1 and found[0]['cut_bytes'] == 4 and found[0]['topic'] == 't',
           'what recovery cut, as JSON', result)


def main():
    nobody()
    broker()
    waiting()
    figures()
    recovered()


tap.run(main)
