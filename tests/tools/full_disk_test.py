#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beck(1) where btrfs is full. It writes each change elsewhere, for which there is no room: memory that is
mapped from a file must not be there, or who writes to it dies of SIGBUS."""

import contextlib
import os

import tap
from images import file_system
from programs import Folder, beck, must
from tap import equal, ok

IMAGE_BYTES = 128 << 20


def fill(place):
    """Leave no room, of which a file system only knows once it is written."""
    with contextlib.suppress(OSError), open(os.path.join(place, 'fill'), 'wb', buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1 << 9):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b'x' * size)
            os.fsync(file.fileno())


def full_btrfs():
    with Folder() as folder, file_system(folder, IMAGE_BYTES, ('mkfs.btrfs', '-q')) as place:
        if place is None:
            tap.skip('a full btrfs', 'no right to mount one')
            return
        store = os.path.join(place, 'store')
        must(beck(store, 'store', 'create'))
        must(beck(store, 'topic', 'create', 't'))
        must(beck(store, 'produce', 't', 'a', 'b', 'c'))
        os.sync()
        fill(place)
        result = beck(store, 'produce', 't', stdin='x' * 1000000 + '\n')
        ok(result.code == 1 and 'No space left on device' in result.err, 'full: produce says so', result)
        result = beck(store, 'verify')
        ok(result.code == 0 and ' 3 records' in result.out, 'full: what is there is sound', result)
        os.remove(os.path.join(place, 'fill'))
        os.sync()
        ok(beck(store, 'produce', 't', 'd').code == 0, 'with room again it goes on')
        equal(must(beck(store, 'consume', 't')).out, 'a\nb\nc\nd\n', 'all that was acknowledged is there')
        result = beck(store, 'verify')
        ok(result.code == 0, 'and sound', result)


tap.run(full_btrfs)
