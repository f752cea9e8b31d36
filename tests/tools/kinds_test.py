#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What has a segment's name and is no file (a folder, a FIFO, a socket, a link to a device or to nothing):
no command waits for it, verify and repair say so, and the other partitions are as they were. The same for the
store's own files."""

import os
import shutil
import socket

import tap
from programs import Folder, beck, must, run, segments
from tap import equal, ok

PATIENCE = 20


def fifo(path):
    os.mkfifo(path)


def link_to_device(path):
    os.symlink('/dev/zero', path)


def link_to_nothing(path):
    os.symlink('nothing', path)


def link_to_itself(path):
    os.symlink(os.path.basename(path), path)


def link_to_fifo(path):
    os.mkfifo(os.path.join(os.path.dirname(path), '..', '..', '..', 'fifo'))
    os.symlink('../../../fifo', path)


def unix_socket(path):
    here = os.open('.', os.O_RDONLY)
    os.chdir(os.path.dirname(path))  # a socket's path has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.basename(path))
    os.fchdir(here)
    os.close(here)


KINDS = (os.mkdir, fifo, unix_socket, link_to_device, link_to_nothing, link_to_itself, link_to_fifo)


def make(folder):
    store = os.path.join(folder, 'store')
    must(beck(store, 'store', 'create'))
    must(beck(store, 'topic', 'create', 't', '-c', 'segment.bytes=1048576'))
    must(beck(store, 'topic', 'create', 'u'))
    for n in range(6):
        must(beck(store, 'produce', 't', stdin=f'{n} {"x" * 400_000}\n'))
    must(beck(store, 'produce', 'u', 'one', 'two'))
    return store


def segments_of(store):
    directory = os.path.dirname(max(segments(store), key=os.path.getsize))
    return sorted(path for path in segments(store) if os.path.dirname(path) == directory)


def of_store(kind, at, index):
    name = kind.__name__
    where = f'{name}, segment {at}{"" if index else ", no index"}: '
    with Folder() as folder:
        store = make(folder)
        path = segments_of(store)[at]
        os.rename(path, os.path.join(folder, 'kept'))
        kind(path)
        if not index:
            os.unlink(os.path.join(store, 'index.mdb'))
        for command in (['verify'], ['repair'], ['dump', 't', '--batches'], ['consume', 't'], ['stat'],
                        ['export', 't'], ['backup', os.path.join(folder, 'backup')]):
            # A store without its index is made whole by whoever opens it for writing.
            copy = os.path.join(folder, 'copy')
            shutil.rmtree(copy, ignore_errors=True)
            must(run('cp', '-a', store, copy))
            result = beck(copy, *command, seconds=PATIENCE)
            if command[0] == 'verify':
                ok(result.code == 1 and (os.path.basename(path) if index else 'index.mdb') in result.out,
                   where + 'verify says which', result)
            else:
                ok(result.code in ((1,) if command[0] == 'repair' else (0, 1, 2)), f'{where}{command[0]} does not wait', result)
        result = beck(store, 'repair', '-x', '--drop-damaged', seconds=PATIENCE)
        ok(result.code == 0 and 'moved topics/' in result.out, where + 'repair moves it aside', result)
        ok(beck(store, 'verify').code == 0 and beck(store, 'repair').out == 'nothing to do\n',
           where + 'all is sound then')
        equal(beck(store, 'consume', 'u').out, 'one\ntwo\n', where + 'another topic is as it was')


def store_kinds():
    for kind in KINDS:
        of_store(kind, 1, True)
    for kind in (fifo, link_to_nothing):
        of_store(kind, 0, True)
        of_store(kind, 1, False)
        of_store(kind, -1, True)


def kafka_kinds():
    """The same in a Kafka broker's log directory, and for its small files."""
    with Folder() as folder:
        store = make(folder)
        logs = os.path.join(folder, 'logs')
        shutil.copytree(os.path.dirname(segments_of(store)[0]), os.path.join(logs, 't-0'))
        names = [os.path.basename(path) for path in segments_of(store)]
        places = [os.path.join('t-0', names[1]), os.path.join('t-0', names[1][:-3] + 'index'),
                  os.path.join('t-0', 'partition.metadata'), 'recovery-point-offset-checkpoint',
                  'log-start-offset-checkpoint', 'meta.properties', '.lock']
        for place in places:
            for kind in (fifo, os.mkdir, link_to_device, link_to_nothing):
                copy = os.path.join(folder, 'copy')
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(logs, copy)
                path = os.path.join(copy, place)
                if os.path.exists(path):
                    os.unlink(path)
                kind(path)
                results = [beck(None, *command, '--log-dir', copy, seconds=PATIENCE)
                           for command in (['verify'], ['dump', 't', '--batches'], ['consume', 't'], ['stat'])]
                ok(all(result.code in (0, 1, 2) for result in results) and
                   (not place.endswith('.log') or all(result.code != 0 for result in results[:3])),
                   f'{place}: {kind.__name__}', results)


def named_files():
    with Folder() as folder:
        for kind in (os.mkdir, fifo):
            path = os.path.join(folder, f'{kind.__name__}.log')
            kind(path)
            for command in ('dump', 'verify'):
                result = beck(None, command, path, seconds=PATIENCE)
                ok(result.code in (1, 2) and result.out == '' and path in result.err,
                   f'{command} of a {kind.__name__}', result)
        path = segments_of(make(folder))[0]
        for command in ('dump', 'verify'):
            result = beck(None, command, path, '-p', '0')
            ok(result.code == 2 and 'a file has no partitions' in result.err, f'{command} of a partition of a file', result)


def of_file(kind, name):
    """In the place of one of the store's own files."""
    is_database = name.endswith('.mdb')
    where = f'{kind.__name__} as {name}: '
    with Folder() as folder:
        store = make(folder)
        path = os.path.join(store, name)
        os.unlink(path)
        kind(path)
        for command in (['topic', 'list'], ['consume', 't'], ['produce', 't', 'x'], ['stat'],
                        ['backup', os.path.join(folder, 'backup')]):
            result = beck(store, *command, seconds=PATIENCE)
            ok(result.code == 1 and f'/store: {name}: it is no regular file' in result.err,
               f'{where}{command[0]} says so at once', result)
        result = beck(store, 'verify', seconds=PATIENCE)
        ok(result.code == (1 if is_database else 2) and f'{name}: it is no regular file' in result.out + result.err,
           where + 'verify, too', result)
        if is_database:
            result = beck(store, 'repair', '-x', seconds=PATIENCE)
            ok(result.code == 0 and f'rebuilt {name}: it is no regular file' in result.out,
               where + 'repair moves it aside', result)
        else:
            shutil.rmtree(path) if kind is os.mkdir else os.unlink(path)
        ok(beck(store, 'verify').code == 0 and beck(store, 'consume', 'u').out == 'one\ntwo\n',
           where + 'all is there then')


def store_files():
    for name in ('meta.mdb', 'index.mdb', 'meta.mdb-lock', 'index.mdb-lock', 'live'):
        for kind in (fifo, os.mkdir, link_to_device):
            of_file(kind, name)


tap.run(store_kinds, kafka_kinds, named_files, store_files)
