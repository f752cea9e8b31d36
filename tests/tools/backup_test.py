#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beck backup where files can share blocks, on a file system of its own, and into the store by way of a
mount."""

import os
import shutil

import tap
from images import ROOT, as_root, file_system
from programs import Folder, beck, must, run, segments
from tap import equal, ok

IMAGE_BYTES = 320 << 20  # the least that mkfs.xfs takes; most of it are never written
MAKERS = (('mkfs.btrfs', '-q'), ('mkfs.xfs', '-q', '-m', 'reflink=1'))


def make(folder):
    store = os.path.join(folder, 'store')
    must(beck(store, 'store', 'create'))
    must(beck(store, 'topic', 'create', 't', '-c', 'segment.bytes=1048576'))
    must(beck(store, 'produce', 't', stdin=('x' * 999 + '\n') * 5000))
    return store


def shares(path):
    """Does it share blocks with another file?"""
    return 'shared' in must(run('filefrag', '-v', path, env=ROOT)).out


def cloned():
    with Folder() as folder, file_system(folder, IMAGE_BYTES, *MAKERS) as place:
        if place is None:
            tap.skip('files share blocks', 'no file system that can, and no right to mount one')
            return
        store = make(place)
        before = beck(store, 'consume', 't').out_bytes
        target = os.path.join(place, 'backup')
        must(beck(store, 'backup', target))
        found = segments(target)
        ok(len(found) > 3 and all(os.stat(path).st_nlink == 1 for path in found),
           'no segment is another name of the store\'s', found)
        ok(all(shares(path) for path in found), 'all of them share their blocks, the newest too')
        must(beck(store, 'produce', 't', 'later'))
        equal(beck(target, 'consume', 't').out_bytes, before, 'the backup has what was there')
        result = beck(target, 'verify')
        ok(result.code == 0 and ' 5000 records' in result.out, 'and is sound', result)
        must(beck(target, 'produce', 't', 'in the backup'))
        ok(beck(store, 'consume', 't').out_bytes == before + b'later\n' and
           beck(store, 'verify').code == 0, 'what is written to the backup is not in the store')
        must(beck(store, 'backup', '--copy', target + '-2'))
        ok(not any(shares(path) for path in segments(target + '-2')), '--copy shares nothing')


def into_the_store():
    with Folder() as folder:
        store = make(folder)
        mounted = os.path.join(folder, 'mounted')
        os.mkdir(mounted)
        places = [store, os.path.join(store, 'backup'), os.path.join(store, 'topics', '..', 'backup')]
        os.symlink(store, os.path.join(folder, 'link'))
        places.append(os.path.join(folder, 'link', 'backup'))
        is_mounted = as_root('mount', '--bind', os.path.dirname(segments(store)[0]), mounted)
        if is_mounted:
            places.append(os.path.join(mounted, 'backup'))
        else:
            tap.skip('by way of a mount', 'no right to mount')
        before = sorted(os.listdir(store))
        for place in places:
            result = beck(store, 'backup', place)
            ok(result.code == 1 and 'is in the store itself: make the backup elsewhere' in result.err,
               f'not to {os.path.relpath(place, folder)}', result)
        equal(sorted(os.listdir(store)), before, 'nothing is left there')
        ok(beck(store, 'repair').code == 0, 'nor anywhere')
        if is_mounted:
            as_root('umount', mounted)
        shutil.rmtree(mounted, ignore_errors=True)


tap.run(cloned, into_the_store)
