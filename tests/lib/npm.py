# SPDX-License-Identifier: Apache-2.0
"""Programs for Node of tests, in tests/clients/node, with packages by npm. package-lock.json there says which versions,
and what is in them. What was fetched is kept below $BECK_CHECK_DIR."""

import fcntl
import os
import shutil

import maven
from programs import fetched

HERE = os.path.join(maven.ROOT, 'tests', 'clients', 'node')
LISTS = ('package.json', 'package-lock.json')
SECONDS = 600


def missing():
    return None if shutil.which('npm') else 'npm is not installed'


def _same(left, right):
    return os.path.exists(right) and open(left, 'rb').read() == open(right, 'rb').read()


def fetch():
    """A folder that has the packages in node_modules, and the programs."""
    home = os.path.join(maven.cache(), 'node')
    installed = os.path.join(home, 'installed.json')
    wanted = os.path.join(HERE, LISTS[1])
    os.makedirs(home, exist_ok=True)
    with open(os.path.join(home, 'lock'), 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in os.listdir(HERE):
            if name in LISTS or name.endswith(('.js', '.mjs')):
                shutil.copy(os.path.join(HERE, name), home)
        if not _same(wanted, installed):
            fetched('npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund', cwd=home, seconds=SECONDS)
            shutil.copy(wanted, installed)  # last: it says that all is there
    return home
