# SPDX-License-Identifier: Apache-2.0
"""Python packages for tests, by pip, in an environment of their own.

    python = venv_of.fetch('confluent', 'requirements.txt')    # the interpreter that has them

The file names each package, its version, and digests of what may come (see pip(1), --require-hashes).
What was fetched is kept below $BECK_CHECK_DIR, and made anew where the file has changed.
"""

import fcntl
import os
import shutil
import sys

import maven
from programs import fetched, must, run

SECONDS = 600  # for a slow network


def fetch(name, requirements):
    home = os.path.join(maven.cache(), 'python', name)
    done = os.path.join(home, 'requirements.txt')
    with open(requirements, encoding='ascii') as file:
        wanted = file.read()
    os.makedirs(os.path.dirname(home), exist_ok=True)
    with open(home + '.lock', 'w', encoding='ascii') as lock:  # several tests may begin at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(done) or open(done, encoding='ascii').read() != wanted:
            shutil.rmtree(home, ignore_errors=True)
            must(run(sys.executable, '-m', 'venv', home, seconds=SECONDS))
            fetched(os.path.join(home, 'bin', 'pip'), 'install', '--quiet', '--only-binary', ':all:',
                    '--require-hashes', '-r', requirements, seconds=SECONDS)
            shutil.copy(requirements, done)  # last: it says that all is there
    return os.path.join(home, 'bin', 'python')
