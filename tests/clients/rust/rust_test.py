#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A client for Rust, unmodified: rskafka. Cargo.toml says which, and crates.lock which versions of all that it
needs, and what is in them: Cargo's own lock file, but for where each comes from. That is wherever Cargo fetches
from here, and it is asked for that. After a change of Cargo.toml: cargo generate-lockfile, and

    grep -v '^source = ' Cargo.lock > crates.lock
"""

import fcntl
import os
import re
import shutil

import maven
import tap
from checks import relay
from programs import Beckd, Folder, fetched, run

HERE = os.path.dirname(os.path.abspath(__file__))
NEEDED = (1, 85)  # by rskafka 0.6
SECONDS = 900


def cargo(*arguments):
    return fetched('cargo', *arguments, cwd=home(), seconds=SECONDS)


def home():
    return os.path.join(maven.cache(), 'rust')


def missing():
    """Which Rust is needed, where there is none, or one that is too old."""
    wanted = '.'.join(str(part) for part in NEEDED)
    if not shutil.which('cargo'):
        return f'cargo is not installed: {wanted} is needed'
    found = re.search(r'(\d+)\.(\d+)', run('cargo', '--version').out)
    if found and (int(found[1]), int(found[2])) >= NEEDED:
        return None
    return f'cargo is {found[0] if found else "of no version"}, and {wanted} is needed for rskafka 0.6.0'


def lock(listed):
    """The list, with the place that Cargo fetches from."""
    cargo('generate-lockfile', '--quiet')
    with open(os.path.join(home(), 'Cargo.lock'), encoding='utf-8') as file:
        source = re.search(r'^source = .*$', file.read(), re.MULTILINE)[0]
    with open(os.path.join(home(), 'Cargo.lock'), 'w', encoding='utf-8') as file:
        file.write(re.sub(r'^(?=checksum = )', source + '\n', listed, flags=re.MULTILINE))


def built():
    """The program, from what is listed and nothing else."""
    os.makedirs(os.path.join(home(), 'src'), exist_ok=True)
    with open(os.path.join(home(), 'lock'), 'w', encoding='ascii') as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for name in ('Cargo.toml', os.path.join('src', 'main.rs')):
            shutil.copy(os.path.join(HERE, name), os.path.join(home(), name))
        with open(os.path.join(HERE, 'crates.lock'), encoding='utf-8') as file:
            listed = file.read()
        kept = os.path.join(home(), 'crates.lock')
        if not os.path.exists(kept) or open(kept, encoding='utf-8').read() != listed:
            lock(listed)
            shutil.copy(os.path.join(HERE, 'crates.lock'), kept)
        cargo('build', '--quiet', '--locked')
    return os.path.join(home(), 'target', 'debug', 'beck-tests')


def rskafka():
    program = built()
    with open(os.path.join(HERE, 'Cargo.toml'), encoding='ascii') as file:
        print('# rskafka: version', re.search(r'rskafka = "=(.*)"', file.read())[1], flush=True)
    with Folder() as folder, Beckd(os.path.join(folder, 'store')) as beckd:
        relay('rskafka', [program, beckd.address], 22)


reason = missing()
if reason:
    tap.skip_all(reason)
tap.run(rskafka)
