# SPDX-License-Identifier: Apache-2.0
"""Java libraries for tests, by Maven, from wherever it is set up to fetch from.

    jars = maven.fetch('kafka', FOLDER)     # a class path: 'FOLDER-IN-THE-CACHE/*'

FOLDER has a pom.xml, which names the libraries and their versions, and jars.sha512, in the form of
sha512sum(1), which names every file that may come and what is in it: another file, or another content, is
an error. To make that list after a change of pom.xml, run this file with FOLDER, and read what it says:

    /usr/bin/python3 tests/lib/maven.py tests/clients/kafka

What was fetched is kept below $BECK_CHECK_DIR (./check's, build-check/ where it is not set).
"""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile

from programs import fetched

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies'
SECONDS = 900  # for a slow network


def cache():
    path = os.environ.get('BECK_CHECK_DIR') or os.path.join(ROOT, 'build-check')
    os.makedirs(path, exist_ok=True)
    return os.path.abspath(path)


def missing():
    """What has to be installed before this can work; None where it is all there."""
    for program in ('java', 'mvn'):
        if not shutil.which(program):
            return f'{program} is not installed'
    return None


def digests(folder):
    found = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        with open(os.path.join(folder, name), 'rb') as file:
            found[name] = hashlib.sha512(file.read()).hexdigest()
    return found


def listed(folder):
    with open(os.path.join(folder, 'jars.sha512'), encoding='ascii') as file:
        return {line.split()[1]: line.split()[0] for line in file if line.strip()}


def _download(folder, to):
    """All that the pom names, and what that needs at run time, into one folder."""
    fetched('mvn', '-B', '-q', '-f', os.path.join(folder, 'pom.xml'), PLUGIN, '-DincludeScope=runtime',
            f'-DoutputDirectory={to}', f'-Dmaven.repo.local={os.path.join(cache(), "maven")}', seconds=SECONDS)


def fetch(name, folder):
    """Have the libraries of `folder` in the cache under `name`; returns their class path."""
    wanted = listed(folder)
    home = os.path.join(cache(), 'java', name)
    os.makedirs(os.path.dirname(home), exist_ok=True)
    with open(home + '.lock', 'w', encoding='ascii') as lock:  # several tests may begin at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if digests(home) != wanted:
            shutil.rmtree(home, ignore_errors=True)
            _download(folder, home)
            found = digests(home)
            if found != wanted:
                odd = sorted(set(found.items()) ^ set(wanted.items()))
                shutil.rmtree(home)
                raise RuntimeError(f'not what {folder}/jars.sha512 lists: {odd}')
    return os.path.join(home, '*')


def main():
    folder = sys.argv[1]
    with tempfile.TemporaryDirectory() as to:
        _download(folder, to)
        with open(os.path.join(folder, 'jars.sha512'), 'w', encoding='ascii') as file:
            for name, digest in digests(to).items():
                file.write(f'{digest}  {name}\n')


if __name__ == '__main__':
    main()
