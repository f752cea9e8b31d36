# SPDX-License-Identifier: Apache-2.0
"""Go programs of tests, in tests/clients/go, with libraries by Go's own means. go.mod and go.sum there say which
versions, and what is in them. What was fetched is kept below $BECK_CHECK_DIR."""

import os
import re
import shutil
import subprocess

import maven
from programs import fetched

HERE = os.path.join(maven.ROOT, 'tests', 'clients', 'go')
SECONDS = 600


def environment():
    return {**os.environ, 'GOFLAGS': '-mod=readonly', 'GOTOOLCHAIN': 'local',
            'GOMODCACHE': os.path.join(maven.cache(), 'go', 'modules'),
            'GOCACHE': os.path.join(maven.cache(), 'go', 'built')}


def missing():
    """Which Go is needed, where there is none, or one that is too old."""
    with open(os.path.join(HERE, 'go.mod'), encoding='ascii') as file:
        wanted = re.search(r'^go (\S+)', file.read(), re.MULTILINE)[1]
    if not shutil.which('go'):
        return f'go is not installed: {wanted} is needed'
    found = subprocess.run(['go', 'env', 'GOVERSION'], env=environment(), stdout=subprocess.PIPE, text=True,
                           cwd='/', check=False).stdout.strip().removeprefix('go')

    def numbers(version):
        return [int(part) for part in re.findall(r'\d+', version)[:2]]
    return None if numbers(found) >= numbers(wanted) else f'go is {found}, and {wanted} is needed'


def build(folder, *names):
    """Put programs into a folder."""
    fetched('go', 'build', '-o', folder, *(f'./{name}' for name in names), cwd=HERE, env=environment(),
            seconds=SECONDS)
