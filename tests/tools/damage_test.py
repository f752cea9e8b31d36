#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reading on behind damage: beck dump and beck export --skip-damaged of a store lose what is damaged, and
nothing else, also where whole segments are missing or a base offset, which no checksum covers, is wrong."""

import json
import os
import shutil

import programs
import tap
from programs import Folder, beck, must
from tap import equal, ok

RECORDS = 40  # of each partition, in batches of one
VALUE = 'x' * 60_000  # an entry of the index for each batch, and some batches in a segment
HEADER = 61


def make(folder, value=VALUE):
    store = os.path.join(folder, 'store')
    must(beck(store, 'store', 'create'))
    must(beck(store, 'topic', 'create', 't', '-p', '2', '-c', 'segment.bytes=1048576'))
    for partition in ('0', '1'):
        for n in range(RECORDS):
            must(beck(store, 'produce', 't', '-p', partition, '--acks', '1', stdin=f'{n} {value}\n'))
    return store


def segments(store, partition=0):
    return [path for path in programs.segments(store)
            if os.path.basename(os.path.dirname(path)) == str(partition)]


def batches(path):
    """(position, base offset) of each."""
    with open(path, 'rb') as file:
        data = file.read()
    at = 0
    while at < len(data):
        yield at, int.from_bytes(data[at:at + 8], 'big')
        at += 12 + int.from_bytes(data[at + 8:at + 12], 'big')


def put(path, at, data):
    with open(path, 'r+b') as file:
        file.seek(at)
        file.write(data)


def copy_of(store):
    copy = store + '-copy'
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(store, copy, ignore=shutil.ignore_patterns('wake'))
    os.mkdir(os.path.join(copy, 'wake'))
    return copy


def offsets(result):
    """Those of partition 0 and of partition 1; the values have to be theirs."""
    found = ([], [])
    for line in result.out.splitlines():
        record = json.loads(line)
        if 'damage' in record:
            continue
        assert record['value'].split()[0] == str(record['offset']), record['offset']
        found[record['partition']].append(record['offset'])
    return found


def check(store, missing, what):
    """Both commands have all but these records of partition 0, and say so."""
    wanted = ([n for n in range(RECORDS) if n not in missing], list(range(RECORDS)))
    result = beck(store, 'dump', 't', '--records', '--json')
    ok(result.code == 1 and 'topic t partition 0 ' in result.err, f'{what}: dump says so', result.err)
    equal(offsets(result), wanted, f'{what}: dump goes on')
    result = beck(store, 'export', 't', '--skip-damaged')
    ok(result.code == 1 and 'topic t partition 0 ' in result.err, f'{what}: export says so', result.err)
    equal(offsets(result), wanted, f'{what}: export goes on')


def missing_segments():
    with Folder() as folder:
        store = make(folder)
        places = segments(store)
        bases = [int(os.path.basename(path)[:-4]) for path in places] + [RECORDS]
        ok(len(places) > 2, 'there are several segments')
        for which in ([0], [1], [0, 1], [len(places) - 1], range(len(places))):
            copy = copy_of(store)
            for at in which:
                os.unlink(segments(copy)[0 if which == [0, 1] else -1 if len(which) > 2 else at])
            gone = {n for at in which for n in range(bases[at], bases[at + 1])}
            check(copy, gone, f'segment {", ".join(map(str, which))} missing')


def wrong_base_offsets():
    with Folder() as folder:
        for size in (60_000, 100):  # with many entries of the index, and with few
            store = make(folder, 'x' * size)
            path = segments(store)[0]
            for position, base in list(batches(path))[0:8:3]:
                for wrong in (base ^ 1 << 40, base ^ 1 << 62, base + 2, base + 8):
                    copy = copy_of(store)
                    put(segments(copy)[0], position, wrong.to_bytes(8, 'big'))
                    check(copy, {base}, f'values of {size} bytes, base offset {base} made {wrong}')
            shutil.rmtree(store)


def several_places():
    with Folder() as folder:
        store = make(folder, 'x' * 100)
        found = list(batches(segments(store)[0]))
        for which in ([0, 1, 2], [0, 5, 39], [39], [3, 4, 20, 21, 30]):
            copy = copy_of(store)
            for n in which:
                put(segments(copy)[0], found[n][0] + HEADER + 20, b'\0')
            check(copy, set(which), f'batches {which} damaged')


tap.run(missing_segments, wrong_base_offsets, several_places)
