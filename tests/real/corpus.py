# SPDX-License-Identifier: Apache-2.0
"""Real text and random records, as files.

The text is what every Debian machine has: the package index that `apt-get update` left behind, decompressed
by apt itself, or where there is none, dpkg's own list of what is installed. It has empty lines, lines of
some kilobytes, and UTF-8. The binary records are of 1 KiB each, random but the same in each run, and
without a newline in them, so that they can be lines too.
"""

import glob
import hashlib
import os
import random
import subprocess

TEXT_BYTES = 50_000_000
BINARY_RECORDS = 10_000
BINARY_RECORD_BYTES = 1024


def _package_index():
    """The largest package index, or dpkg's status: text that ends with a newline."""
    lists = glob.glob('/var/lib/apt/lists/*_Packages*')
    if lists:
        done = subprocess.run(['/usr/lib/apt/apt-helper', 'cat-file', max(lists, key=os.path.getsize)],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if done.returncode == 0 and done.stdout:
            return done.stdout
    with open('/var/lib/dpkg/status', 'rb') as file:
        return file.read()


def text(size=TEXT_BYTES):
    """Whole lines of about that many bytes, repeating the text where it is shorter."""
    once = _package_index()
    if not once.endswith(b'\n'):
        once += b'\n'
    whole = once * -(-size // len(once))
    return whole[:whole.index(b'\n', size - 1) + 1]


def without_empty_lines(data):
    return b''.join(line + b'\n' for line in data.split(b'\n') if line)


def binary(records=BINARY_RECORDS):
    source = random.Random(4711)
    return b''.join(source.randbytes(BINARY_RECORD_BYTES).replace(b'\n', b'\0') + b'\n'
                    for _ in range(records))


def save(path, data):
    with open(path, 'wb') as file:
        file.write(data)
    return path


def digest(data):
    return hashlib.sha256(data).hexdigest()


def digest_of_command(command, **options):
    """The sha256 of what a command prints, and its exit code. (A failed one is None and its stderr.)"""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        found = hashlib.sha256()
        while block := process.stdout.read(1 << 20):
            found.update(block)
        err = process.stderr.read().decode(errors='replace')
        if process.wait() != 0:
            return f'exit code {process.returncode}: {err[-500:]}'
    return found.hexdigest()
