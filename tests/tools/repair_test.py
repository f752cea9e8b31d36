#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beck repair: what it says and does, its exit codes, and that whatever byte of an LMDB file is wrong, all
records are there again."""

import os
import random
import re
import shutil

import tap
from programs import Beckd, Folder, beck, must, segments
from tap import equal, ok

FLIPS = 40  # of each LMDB file


def flip(path, at, bit=0x10):
    with open(path, 'r+b') as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ bit]))


def by_size(store):
    """Its segment files, the smallest first."""
    return sorted(segments(store), key=os.path.getsize)


def make(folder):
    """A store with topic t, whose partition 1 has 100 records, and u."""
    store = os.path.join(folder, 'store')
    must(beck(store, 'store', 'create'))
    must(beck(store, 'topic', 'create', 't', '-p', '2', '--config', 'max.message.bytes=4242'))
    must(beck(store, 'topic', 'create', 'u'))
    for n in range(10):
        must(beck(store, 'produce', 't', '-p', '1', *(f'record {n}{i}' for i in range(10))))
    must(beck(store, 'produce', 'u', 'one', 'two'))
    return store


def contents(store):
    return beck(store, 'consume', 't').out, beck(store, 'consume', 'u').out


def snapshot(store):
    """Every file with its size and content."""
    files = {}
    for directory, _, names in os.walk(store):
        for name in names:
            path = os.path.join(directory, name)
            if not name.isdigit():  # FIFOs
                with open(path, 'rb') as file:
                    files[path] = file.read()
    return files


def sound():
    with Folder() as folder:
        store = make(folder)
        for arguments in ([], ['-x'], ['--execute', '--drop-damaged']):
            result = beck(store, 'repair', *arguments)
            ok(result.code == 0 and result.out == 'nothing to do\n',
               f'repair {" ".join(arguments)}: a sound store needs nothing', result)
        ok(not [name for name in os.listdir(store) if name.startswith('repair')],
           'and no folder is made')


def command_line():
    with Folder() as folder:
        result = beck(os.path.join(folder, 'none'), 'repair')
        ok(result.code == 2 and result.err.startswith('beck: '), 'no store is exit code 2', result)
        result = beck(folder, 'repair', '-x')
        ok(result.code == 2 and 'no store' in result.err and os.listdir(folder) == ['live'] or
           os.listdir(folder) == [], 'an empty folder is none', result)
        result = beck(folder, 'repair', '-n', '-x')
        ok(result.code == 2 and 'exclude each other' in result.err, 'looking and doing is misuse', result)
        result = beck(folder, 'repair', 'topic')
        ok(result.code == 2 and 'as a whole' in result.err, 'an argument is misuse', result)


def looking_changes_nothing():
    with Folder() as folder:
        store = make(folder)
        os.remove(os.path.join(store, 'index.mdb'))
        os.remove(os.path.join(store, 'meta.mdb'))
        flip(by_size(store)[-1], 300)
        with open(by_size(store)[0], 'ab') as file:
            file.write(b'torn')
        os.mkdir(os.path.join(store, 'topics', 'stray'))
        before = snapshot(store)
        for arguments in ([], ['--dry-run'], ['--drop-damaged']):
            result = beck(store, 'repair', *arguments)
            ok(result.code == 1 and 'to do (beck repair --execute)' in result.out,
               f'repair {" ".join(arguments)}: exit code 1 where there is something to do', result)
        ok(snapshot(store) == before, 'and nothing was changed by looking')
        for text in ('would rebuild meta.mdb: ', 'would rebuild index.mdb: ', 'would cut topics/',
                     'would drop topics/', 'would move topics/stray: '):
            ok(text in result.out, f'it says: {text}', result)


def doing():
    with Folder() as folder:
        store = make(folder)
        before = contents(store)
        os.remove(os.path.join(store, 'index.mdb'))
        os.remove(os.path.join(store, 'meta.mdb'))
        result = beck(store, 'repair', '--execute')
        ok(result.code == 0 and 'rebuilt meta.mdb: ' in result.out and
           'rebuilt index.mdb: ' in result.out and '2 done' in result.out,
           'both databases lost: rebuilt', result)
        equal(contents(store), before, 'all records are there')
        ok(beck(store, 'verify').code == 0, 'and verify finds nothing')
        ok('max.message.bytes=4242' in beck(store, 'topic', 'show', 't').out.replace(' ', '=') or
           '4242' in beck(store, 'topic', 'show', 't').out, 'settings are there')


def dropping():
    with Folder() as folder:
        store = make(folder)
        path = by_size(store)[-1]
        size = os.path.getsize(path)
        flip(path, size // 2)
        result = beck(store, 'repair', '-x')
        ok(result.code == 1 and re.search(r'^damaged topics/\S+ topic t partition 1 offset \d+ byte '
                                          r'\d+ bytes \d+: ', result.out, re.M) and
           '--drop-damaged' in result.out, 'damage in the middle is told of and stays', result)
        equal(os.path.getsize(path), size, 'the file is as it was')
        result = beck(store, 'repair', '-x', '--drop-damaged')
        side = re.search(r'what went is in (repair-\S+)$', result.out, re.M)
        ok(result.code == 0 and side, 'with --drop-damaged it goes', result)
        kept = [name for _, _, names in os.walk(os.path.join(store, side[1])) for name in names]
        ok(len(kept) == 1 and re.fullmatch(r'\d{20}\.log@\d+', kept[0]), 'and is kept', kept)
        equal(len(beck(store, 'consume', 't').out.splitlines()), 99, 'the other batches can be read')
        ok(beck(store, 'verify').code == 0 and beck(store, 'repair').code == 0,
           'nothing is damaged then')


def busy():
    with Folder() as folder:
        store = make(folder)
        with Beckd(store) as daemon:
            result = beck(store, 'repair')
            ok(result.code == 2 and f'beckd ({daemon.process.pid})' in result.err,
               'a store that is open is left alone, and who has it is named', result)


def flips(name):
    """Whatever byte is wrong: after the repair all is there, and nothing is to be done."""
    with Folder() as folder:
        store = make(folder)
        before = contents(store)
        copy = os.path.join(folder, 'copy')
        size = os.path.getsize(os.path.join(store, name))
        chance = random.Random(size)
        wrong = []
        for _ in range(FLIPS):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(store, copy, ignore=shutil.ignore_patterns('wake'))
            # The first two pages say where the others are; most of the rest is unused.
            at = chance.choice((chance.randrange(min(size, 8192)), chance.randrange(size)))
            bit = 1 << chance.randrange(8)
            flip(os.path.join(copy, name), at, bit)
            result = beck(copy, 'repair', '-x')
            again = beck(copy, 'repair')
            if result.code != 0 or again.code != 0 or contents(copy) != before:
                wrong.append(f'byte {at} bit {bit}: {result!r}\n{again!r}\n{beck(copy, "stat")!r}')
        ok(not wrong, f'{FLIPS} times one bit of {name}: all records are there after the repair',
           '\n'.join(wrong[:3]))


def pages(name):
    """The same with whole pages of it gone."""
    with Folder() as folder:
        store = make(folder)
        before = contents(store)
        copy = os.path.join(folder, 'copy')
        count = os.path.getsize(os.path.join(store, name)) // 4096
        wrong = []
        for page in range(count):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(store, copy, ignore=shutil.ignore_patterns('wake'))
            with open(os.path.join(copy, name), 'r+b') as file:
                file.seek(page * 4096)
                file.write(bytes(4096))
            result = beck(copy, 'repair', '-x')
            again = beck(copy, 'repair')
            if result.code != 0 or again.code != 0 or contents(copy) != before:
                wrong.append(f'page {page}: {result!r}\n{again!r}\n{beck(copy, "stat")!r}')
        ok(count > 0 and not wrong, f'each page of {name} zeroed: all records are there after the repair',
           '\n'.join(wrong[:3]))


def many_segments():
    """A log of several segments: each complete one is whole, with and without the index."""
    with Folder() as folder:
        store = os.path.join(folder, 'store')
        must(beck(store, 'store', 'create'))
        must(beck(store, 'topic', 'create', 't', '-c', 'segment.bytes=1048576'))
        for n in range(8):
            must(beck(store, 'produce', 't', stdin=f'{n} {"x" * 400_000}\n'))
        before = beck(store, 'consume', 't').out_bytes
        found = segments(store)
        ok(len(found) > 2, 'there are several segments', found)

        os.remove(os.path.join(store, 'index.mdb'))
        sizes = [os.path.getsize(path) for path in found]
        result = beck(store, 'repair', '--drop-damaged')
        ok(result.code == 1 and result.out.splitlines()[1:] == ['1 to do (beck repair --execute)'],
           'without the index, no segment is damaged', result)
        result = beck(store, 'repair', '-x')
        ok(result.code == 0 and ', ' not in result.out.splitlines()[-1], 'nor is one told of', result)
        equal([os.path.getsize(path) for path in found], sizes, 'nor touched')

        with open(found[1], 'ab') as file:
            file.write(b'behind')
        equal(beck(store, 'verify').code, 1, 'bytes behind a complete segment are damage')
        result = beck(store, 'repair')
        ok(result.code == 1 and re.search(r'^would cut topics/\S+ topic t partition 0 offset \d+ byte '
                                          f'{sizes[1]} bytes 6: ', result.out, re.M),
           'which repair would cut off', result)
        result = beck(store, 'repair', '-x')
        ok(result.code == 0 and os.path.getsize(found[1]) == sizes[1], 'and cuts off', result)
        side = re.search(r'what went is in (repair-\S+)$', result.out, re.M)[1]
        with open(os.path.join(store, side, os.path.relpath(found[1], store) + f'@{sizes[1]}'), 'rb') as file:
            equal(file.read(), b'behind', 'and keeps')
        ok(beck(store, 'verify').code == 0 and beck(store, 'repair').code == 0, 'all is sound then')
        equal(beck(store, 'consume', 't').out_bytes, before, 'all records are there')


def make_segments(folder):
    """A log of 40 records in four segments."""
    store = os.path.join(folder, 'store')
    must(beck(store, 'store', 'create'))
    must(beck(store, 'topic', 'create', 't', '-c', 'segment.bytes=1048576'))
    for n in range(40):
        must(beck(store, 'produce', 't', '--acks', '1', stdin=f'{n} {"x" * 95_000}\n'))
    return store


def renamed(path, by):
    base = int(os.path.basename(path)[:-4]) + by
    return os.path.join(os.path.dirname(path), f'{base:020}.log')


def wrong_names():
    """Whatever a segment's file was renamed to, it gets its name back, and a copy goes aside."""
    with Folder() as folder:
        original = make_segments(folder)
        before = beck(original, 'consume', 't').out_bytes
        last = len(segments(original)) - 1
        store = os.path.join(folder, 'copy')
        for index in (True, False):
            for act, word in ((os.rename, 'renamed'), (shutil.copy, 'moved aside')):
                for at, by in ((0, 5), (0, 3000), (1, 1), (1, -1), (1, 3000), (last, 1), (last, -1), (last, 3000)):
                    for flags in ([], ['--drop-damaged']):
                        what = f'{"" if index else "no index, "}{act.__name__} {at} by {by} {"".join(flags)}'
                        shutil.rmtree(store, ignore_errors=True)
                        shutil.copytree(original, store, ignore=shutil.ignore_patterns('wake'))
                        path = segments(store)[at]
                        act(path, renamed(path, by))
                        if not index:
                            os.remove(os.path.join(store, 'index.mdb'))
                        left = snapshot(store)
                        result = beck(store, 'repair', *flags)
                        if act is shutil.copy and by == 3000 and at == last and index:
                            continue  # it may have been begun after the checkpoint: recovery's
                        fine = result.code == 1 and result.out.count(word) == 1 and ' drop ' not in result.out
                        fine = fine and snapshot(store) == left
                        done = beck(store, 'repair', '-x', *flags)
                        fine = fine and done.code == 0 and done.out.count(word) == 1
                        fine = fine and beck(store, 'repair').out == 'nothing to do\n'
                        fine = fine and beck(store, 'verify').code == 0
                        ok(fine and beck(store, 'consume', 't').out_bytes == before, what,
                           f'{result!r}\n{done!r}\n{beck(store, "repair")!r}\n{beck(store, "verify")!r}')


def wrong_kinds():
    """What stands where a folder or a segment has to be, and is none."""
    with Folder() as folder:
        store = make(folder)
        path = by_size(store)[-1]
        os.remove(path)
        os.mkdir(path)
        first = beck(store, 'repair', '--drop-damaged')
        ok(first.code == 1 and 'would move topics/' in first.out and 'the file is missing' in first.out,
           'a folder for a segment is told of', first)
        result = beck(store, 'repair', '-x', '--drop-damaged')
        ok(result.code == 0 and beck(store, 'verify').code == 0, 'and goes aside', result)
        equal(len(result.out.splitlines()), len(first.out.splitlines()), 'as was said')
        equal(beck(store, 'consume', 'u').out, 'one\ntwo\n', 'other topics are as they were')
    for there in (True, False):
        with Folder() as folder:
            store = make(folder)
            path = os.path.dirname(by_size(store)[-1])
            shutil.rmtree(path)
            if there:
                with open(path, 'w', encoding='ascii') as file:
                    file.write('no folder')
            first = beck(store, 'repair', '--drop-damaged')
            ok(first.code == 1 and ('would move topics/' in first.out) == there and
               'would make topics/' in first.out and 'the file is missing' in first.out,
               f'{"a file for" if there else "no"} folder of a partition: all is said', first)
            result = beck(store, 'repair', '-x', '--drop-damaged')
            ok(result.code == 0 and beck(store, 'verify').code == 0, 'and done', result)
            equal(len(result.out.splitlines()), len(first.out.splitlines()), 'as was said')


def strange_names():
    with Folder() as folder:
        store = make(folder)
        with open(os.path.join(store, 'topics', 'a\n\x1b[31mb'), 'w', encoding='ascii'):
            pass
        result = beck(store, 'repair')
        ok('would move topics/a\\x0A\\x1B[31mb: ' in result.out, 'a strange name stays on its line', result)


def main():
    many_segments()
    wrong_names()
    wrong_kinds()
    strange_names()
    sound()
    command_line()
    looking_changes_nothing()
    doing()
    dropping()
    busy()
    for name in ('meta.mdb', 'index.mdb'):
        flips(name)
        pages(name)


tap.run(main)
