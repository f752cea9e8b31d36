# SPDX-License-Identifier: Apache-2.0
"""Java programs of tests: compiled against libraries that maven.py fetched, and the command that runs
them."""

import glob
import os
import shutil

import maven
from programs import must, run

JAVA = ['java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx512m']


def missing():
    """What has to be installed before this can work; None where it is all there."""
    return maven.missing() or (None if shutil.which('javac') else 'javac is not installed')


def compiled(jars, sources, to):
    """Compile the Java files of a folder, or those that are listed, into the folder `to`."""
    files = glob.glob(os.path.join(sources, '*.java')) if isinstance(sources, str) else sources
    must(run('javac', '-nowarn', '-d', to, '-cp', jars, *files, seconds=300))
    return [*JAVA, '-cp', f'{to}:{jars}']
