# SPDX-License-Identifier: Apache-2.0
"""File systems of a test's own, in a file that is mounted by a loop device."""

import contextlib
import os
import subprocess

ROOT = {**os.environ, 'PATH': os.environ['PATH'] + ':/usr/sbin:/sbin'}


def as_root(*command):
    """Did it work?"""
    try:
        return subprocess.run(command, env=ROOT, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def file_system(folder, size, *makers):
    """Where one of so many bytes is mounted, made by the first of the commands that can; or None."""
    image = os.path.join(folder, 'image')
    place = os.path.join(folder, 'place')
    os.mkdir(place)
    with open(image, 'wb') as file:
        file.truncate(size)
    made = any(as_root(*maker, image) for maker in makers) and as_root('mount', '-o', 'loop', image, place)
    try:
        yield place if made else None
    finally:
        if made:
            as_root('umount', place)
