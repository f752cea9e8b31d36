#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beck verify: what it says of damaged stores, for people and for programs, and that no damage of an
LMDB file, whatever LMDB makes of it, crashes or hangs it."""

import fcntl
import json
import os
import pty
import random
import shutil
import struct
import subprocess
import time

import raw
import tap
from programs import BECK, Beckd, Folder, beck, must, segments, wait_until
from tap import equal, ok


def flip(path, at):
    with open(path, 'r+b') as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))


def make(folder, megabytes=0):
    """A store with topic t, of two partitions, and u."""
    store = os.path.join(folder, 'store')
    must(beck(store, 'store', 'create'))
    must(beck(store, 'topic', 'create', 't', '-p', '2', '--config', 'segment.bytes=1048576'))
    must(beck(store, 'topic', 'create', 'u'))
    must(beck(store, 'produce', 't', '-p', '0', *(f'record {n}' for n in range(100))))
    must(beck(store, 'produce', 'u', 'one', 'two'))
    if megabytes:
        must(beck(store, 'produce', 't', '-p', '1', stdin=('x' * 999 + '\n') * 1000 * megabytes))
    return store


def lines(result):
    return [json.loads(line) for line in result.out.splitlines()]


def sound_json():
    with Folder() as folder:
        store = make(folder)
        result = beck(store, 'verify', '--json')
        totals = lines(result)[-1]
        ok(result.code == 0 and len(lines(result)) == 1 and totals['records'] == 102 and
           totals['partitions'] == 3 and totals['damages'] == 0, 'one line of totals', result)


def damage_json():
    with Folder() as folder:
        store = make(folder)
        segment = max(segments(store), key=os.path.getsize)
        flip(segment, 40)
        result = beck(store, 'verify', '--json')
        damage = lines(result)[0]
        ok(result.code == 1 and damage['file'] == os.path.relpath(segment, store) and
           damage['topic'] == 't' and damage['partition'] == 0 and damage['offset'] == 0 and
           damage['byte'] == 0 and 'CRC' in damage['damage'], 'a damage and its place', result)
        equal(lines(result)[-1]['damages'], 1, 'the totals count it')
        result = beck(None, 'verify', '--json', segment)
        ok(result.code == 1 and lines(result)[0]['file'] == segment and
           lines(result)[-1]['damages'] == 1, 'of a file', result)


def parts():
    with Folder() as folder:
        store = make(folder)
        result = beck(store, 'verify', 't', '-p', '0')
        ok(result.code == 0 and result.out.startswith('verified 1 partitions, 1 segments') and
           ' 100 records' in result.out, 'one partition', result)
        equal(beck(store, 'verify', 't', '-p', '2').code, 2, 'one that there is not')
        equal(beck(store, 'verify', '-p', '0').code, 2, 'a partition of no topic')
        for bad in ('0', '257', 'x'):
            equal(beck(store, 'verify', '--threads', bad).code, 2, f'{bad} threads')
        equal(beck(store, 'verify', '--limit', '0').code, 2, 'no time at all')


def threads():
    with Folder() as folder:
        store = make(folder, 8)
        flip(max(segments(store), key=os.path.getsize), 5000)
        results = [beck(store, 'verify', '--threads', n) for n in (1, 3, 16)]
        ok(all(result.code == 1 for result in results), 'damage is found by any number of threads')
        ok(len({result.out for result in results}) == 1, 'and is the same', results)
        os.unlink(os.path.join(store, 'meta.mdb'))
        results = [beck(store, 'verify', '--threads', n) for n in (1, 3, 16)]
        ok(len({result.out for result in results}) == 1 and ': 2 damages' in results[0].out, 'without meta.mdb, too', results)


def log_dir():
    """Partitions as Kafka has them, of which threads take one after the other."""
    with Folder() as folder:
        store = make(folder, 3)
        logs = os.path.join(folder, 'logs')
        os.mkdir(logs)
        for topic in ('t', 'u'):
            must(beck(store, 'export', topic, '--to-segments', logs))
        results = [beck(None, 'verify', '--log-dir', logs, '--threads', n) for n in (1, 3, 16)]
        ok(len({result.out for result in results}) == 1 and results[0].code == 0 and
           results[0].out.startswith('verified 3 partitions, ') and ' 3102 records' in results[0].out,
           'a log directory, by any number of threads', results)
        path = os.path.join(logs, 'u-0', '00000000000000000000.log')
        flip(path, 40)
        result = beck(None, 'verify', '--log-dir', logs, '--json')
        rows = lines(result)
        ok(result.code == 1 and len(rows) == 2 and rows[0]['file'] == path and rows[0]['topic'] == 'u' and
           rows[0]['byte'] == 0 and rows[0]['damage'].startswith("the batch's CRC is "), 'its damage, and the place once', result)


def no_store():
    with Folder() as folder:
        result = beck(os.path.join(folder, 'nothing'), 'verify')
        ok(result.code == 2 and result.out == '', 'no store', result)


def lost_databases():
    for name in ('index.mdb', 'meta.mdb'):
        for how, text in ((os.unlink, 'it is missing'), (lambda path: os.truncate(path, 0), 'it is empty')):
            with Folder() as folder:
                store = make(folder)
                before = beck(store, 'consume', 't', '-p', '0').out
                how(os.path.join(store, name))
                result = beck(store, 'verify')
                ok(result.code == 1 and result.out.startswith(f'{name}: {text}\n') and
                   result.out.endswith(': 1 damage\n'), f'{name}: {text}: damage', result)
                result = beck(store, 'verify', '--json')
                ok(result.code == 1 and lines(result)[0] == {'file': name, 'damage': text} and
                   lines(result)[-1]['damages'] == 1, f'{name}: {text}: for programs', result)
                if name == 'meta.mdb':
                    for command in (['consume', 't'], ['produce', 't', 'x'], ['store', 'create']):
                        result = beck(store, *command)
                        ok(result.code == 1 and 'store create' not in result.err and
                           (text in result.err or command[0] == 'store'), f'{name}: {text}: {command[0]} makes no new one', result)
                must(beck(store, 'repair', '-x'))
                ok(beck(store, 'verify').code == 0 and beck(store, 'consume', 't', '-p', '0').out == before,
                   f'{name}: {text}: repaired, all is there')


def no_permission():
    with Folder() as folder:
        store = make(folder)
        segment = max(segments(store), key=os.path.getsize)
        os.chmod(segment, 0)
        user = {}
        if os.geteuid() == 0:
            os.chmod(folder, 0o755)
            user = {'user': 65534}
        try:
            result = beck(store, 'verify', **user)
        except PermissionError:
            return  # another user cannot run beck where it is
        ok(result.code == 2 and os.path.basename(segment) in result.err and result.out == '',
           'a segment that may not be read is not damaged: it could not be checked', result)
        os.unlink(os.path.join(store, 'meta.mdb'))
        result = beck(store, 'verify', **user)
        ok(result.code == 2 and os.path.basename(segment) in result.err and 'verified' not in result.out,
           'without meta.mdb, too', result)


def hang():
    with Folder() as folder:
        store = make(folder)
        with open(os.path.join(store, 'index.mdb-lock'), 'r+b') as file:
            fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)  # as LMDB has it for a moment: who opens it waits
            result = beck(store, 'verify', '--limit', '1')
            ok(result.code == 1 and result.out.startswith('index.mdb: reading it came to no end'),
               'a file whose reading hangs is damaged', result)
            result = beck(store, 'verify', '--limit', '1', '--json')
            ok(result.code == 1 and lines(result)[0]['file'] == 'index.mdb', 'for programs, too', result)


def flipped(name):
    """Whatever byte is another one: found, or of no matter, and never a crash or a hang."""
    with Folder() as folder:
        store = make(folder)
        path = os.path.join(store, name)
        whole = path + '.whole'
        shutil.copy(path, whole)
        with open(path, 'rb') as file:
            content = file.read()
        rng = random.Random(11)
        # LMDB's own structures are at the beginnings of pages; else where anything is at all.
        used = [at for at, byte in enumerate(content) if byte != 0]
        places = [page + rng.randrange(160) for page in range(0, len(content), 4096)][:40]
        places += [rng.choice(used) for _ in range(40)]
        found = 0
        bad = None
        for at in places:
            shutil.copy(whole, path)
            flip(path, at)
            result = beck(store, 'verify', '--limit', '5')
            found += result.code == 1
            if result.code not in (0, 1, 2) or result.code == 1 and ': ' not in result.out:
                bad = at, result
        ok(bad is None, f'{name}: no flipped byte crashes it', bad)
        ok(found > 0, f'{name}: and some are told ({found} of {len(places)})')


def flipped_meta():
    flipped('meta.mdb')


def flipped_index():
    flipped('index.mdb')


def with_other_value(path):
    """A segment's bytes with another value in its first batch, and the CRC that fits."""
    with open(path, 'rb') as file:
        content = bytearray(file.read())
    end = 12 + struct.unpack_from('>i', content, 8)[0]
    content[end - 100] ^= 1  # in the last record's value
    struct.pack_into('>I', content, 17, raw.crc32c(bytes(content[21:end])))
    return bytes(content)


def sealed_by_beckd():
    """Of a segment whose batches are all good, but are others, only the digest tells."""
    with Folder() as folder:
        store = make(folder, 3)
        first = next(path for path in segments(store) if os.path.getsize(path) > 1000000)
        other = with_other_value(first)

        def is_sealed():
            copy = os.path.join(folder, 'copy')
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(store, copy, ignore=shutil.ignore_patterns('wake'))
            os.mkdir(os.path.join(copy, 'wake'))
            with open(os.path.join(copy, os.path.relpath(first, store)), 'wb') as file:
                file.write(other)
            result = beck(copy, 'verify')
            return result.code == 1 and 'its digest is another one' in result.out

        def runs_and_seals():
            with Beckd(store):
                time.sleep(0.05)  # not to wait for it, but so that there are not many turns
            return is_sealed()

        ok(not is_sealed(), 'beck alone seals nothing')
        ok(wait_until(runs_and_seals), 'beckd seals complete segments')
        equal(beck(store, 'verify').code, 0, 'the store is sound')
        result = beck(os.path.join(folder, 'copy'), 'repair', '--execute')
        ok(result.code == 1 and 'is not what it was when it was sealed' in result.out, 'repair says so, too', result)
        flip(first, 15)
        result = beck(store, 'verify')
        ok(result.code == 1 and 'leader epoch 16, where it was 0' in result.out, 'a leader epoch that was changed', result)
        result = beck(store, 'repair', '--execute')
        ok(result.code == 0 and 'of another leader epoch than the history says' in result.out, 'is put right', result)
        equal(beck(store, 'verify').code, 0, 'and is sound again')


def backup():
    with Folder() as folder:
        store = make(folder, 3)
        target = os.path.join(folder, 'backup')
        with Beckd(store):
            result = beck(store, 'backup', target)
        ok(result.code == 0 and target in result.out, 'a backup beside a running beckd', result)
        result = beck(target, 'verify')
        ok(result.code == 0 and ' 3102 records' in result.out, 'is a sound store', result)
        result = beck(store, 'backup', target)
        ok(result.code == 1 and 'is not empty' in result.err, 'not over another one', result)
        equal(beck(store, 'backup').code, 2, 'where?')
        result = beck(store, 'backup', '--copy', target + '-2')
        ok(result.code == 0 and all(os.stat(path).st_nlink == 1 for path in segments(target + '-2')),
           '--copy shares nothing', result)


def of_one(store):
    """The segments of t's partition 1."""
    return [path for path in segments(store) if os.path.basename(os.path.dirname(path)) == '1']


def copy_of(folder):
    return os.path.join(folder, 'copy')


def whole_epoch(path, epoch):
    """Give all batches of a segment a leader epoch, which no CRC covers."""
    with open(path, 'r+b') as file:
        at = 0
        while len(head := os.pread(file.fileno(), 12, at)) == 12:
            os.pwrite(file.fileno(), struct.pack('>i', epoch), at + 12)
            at += 12 + struct.unpack('>i', head[8:])[0]


def swap_topics(store):
    one, other = (os.path.join(store, 'topics', name, 'topic') for name in os.listdir(os.path.join(store, 'topics')))
    os.rename(one, one + '.x')
    os.rename(other, one)
    os.rename(one + '.x', other)


def bar(store):
    """What a terminal is shown while verify reads for more than half a second: it is held up so long at
    index.mdb, before anything else is read."""
    reader, terminal = pty.openpty()
    with open(os.path.join(store, 'index.mdb-lock'), 'r+b') as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)
        child = subprocess.Popen([BECK, '--store', store, 'verify'], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=terminal)
        children = f'/proc/{child.pid}/task/{child.pid}/children'

        def at_index():
            with open(children, encoding='ascii') as names:
                return any(held(int(name), file.name) for name in names.read().split())
        ok(wait_until(at_index), 'it waits in a process of its own')
        time.sleep(0.6)  # less than which it shows nothing
        fcntl.lockf(file, fcntl.LOCK_UN, 1, 0)
        out = child.communicate()[0].decode()
    os.close(terminal)
    shown = b''
    try:
        while more := os.read(reader, 65536):
            shown += more
    except OSError:
        pass  # the end
    os.close(reader)
    return out, shown.decode(), child.returncode


def held(pid, path):
    """Has a process opened that file?"""
    folder = f'/proc/{pid}/fd'
    try:
        return any(os.path.realpath(os.path.join(folder, name)) == os.path.realpath(path) for name in os.listdir(folder))
    except OSError:
        return False


def progress():
    with Folder() as folder:
        store = make(folder, 12)
        out, shown, code = bar(store)
        ok(code == 0 and '\rverifying: ' in shown and ' of 12 MB, ' in shown and '\r\x1b[K' in shown and
           out.startswith('verified '), 'a terminal sees how far it has come', (out, shown))
        os.unlink(os.path.join(store, 'meta.mdb'))
        out, shown, code = bar(store)
        ok(code == 1 and '\rverifying: ' in shown and ' of 12 MB, ' in shown, 'without meta.mdb, too', (out, shown))


def without_databases():
    """What can be checked without meta.mdb or index.mdb is."""
    with Folder() as folder:
        store = make(folder, 3)
        for name in ('meta.mdb', 'index.mdb'):
            def lost(how, change, name=name):
                copy = copy_of(folder)
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(store, copy, ignore=shutil.ignore_patterns('wake'))
                change(copy)
                os.unlink(os.path.join(copy, name))
                result = beck(copy, 'verify', '--json')
                rows = lines(result)
                ok(result.code == 1 and rows[0] == {'file': name, 'damage': 'it is missing'} and
                   rows[-1]['damages'] == len(rows) - 1 and result.err.count('digests') == 1, f'no {name}, {how}', result)
                return rows[1:-1], rows[-1]

            rows, totals = lost('the rest sound', lambda copy: None)
            ok(rows == [] and totals['partitions'] == 3 and totals['records'] == 3102, 'all segments are read', totals)
            rows, _ = lost('a batch damaged', lambda copy: flip(of_one(copy)[0], 100))
            ok(len(rows) == 1 and rows[0]['topic'] == 't' and rows[0]['partition'] == 1 and rows[0]['byte'] == 0 and
               rows[0]['file'].endswith('.log'), 'its place is told', rows)
            rows, _ = lost('a segment twice', lambda copy: shutil.copy(of_one(copy)[0], of_one(copy)[1]))
            ok(any('older than the file' in row['damage'] for row in rows), 'offsets that come again are told of', rows)
            rows, _ = lost('a partition gone', lambda copy: shutil.rmtree(os.path.dirname(of_one(copy)[0])))
            ok([row['damage'] for row in rows] == ["the partition's folder is missing"], 'that it is gone is told', rows)
            def older(copy):
                with open(of_one(copy)[0], 'r+b') as file:
                    file.seek(12)
                    file.write(struct.pack('>i', 7))
            rows, _ = lost('an epoch changed', older)
            ok(len(rows) == 1 and rows[0]['damage'] == 'leader epoch 0 comes after 7' and rows[0]['partition'] == 1,
               'leader epochs that fall are told of', rows)
            rows, _ = lost("a segment's last epoch changed", lambda copy: whole_epoch(of_one(copy)[0], 7))
            ok(len(rows) == 1 and rows[0]['damage'] == 'leader epoch 0 comes after 7' and
               rows[0]['file'] == os.path.relpath(of_one(copy_of(folder))[1], copy_of(folder)),
               'from one segment to the next, too', rows)
            rows, _ = lost("another topic's file", swap_topics)
            ok(len(rows) >= 2 and all('which topic' in row['damage'] for row in rows), 'a file "topic" of another one', rows)
            rows, totals = lost('the end torn', lambda copy: os.truncate(
                of_one(copy)[-1], os.path.getsize(of_one(copy)[-1]) - 5))
            ok(rows == [], 'what may be of an append that did not end is no damage', rows)
        copy = copy_of(folder)
        result = beck(copy, 'verify', 'nothing')
        ok(result.code == 2 and 'is of such a topic' in result.err, 'a topic that there is not', result)
        equal(beck(copy, 'verify', 't', '-p', '2').code, 2, 'a partition that there is not')
        result = beck(copy, 'verify', 'u')
        ok(result.code == 1 and 'index.mdb: it is missing\nverified 1 partitions, 1 segments, 2 batches, 2 records' in
           result.out, 'a topic alone, as text', result)


tap.run(without_databases, progress, sound_json, damage_json, parts, threads, log_dir, no_store, lost_databases, no_permission, hang, flipped_meta,
        flipped_index, sealed_by_beckd, backup)
