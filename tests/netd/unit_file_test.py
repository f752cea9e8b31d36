# SPDX-License-Identifier: Apache-2.0
"""The unit file that is installed: what systemd says of it, and that it sets beckd free of what it does
not need.

    unit_file_test.py BECKD UNIT-FILE
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

from tap import equal, ok, run, skip_all

BECKD, UNIT = (os.path.abspath(path) for path in sys.argv[1:3])
# By systemd's own measure, of 10: what is below is 'OK'.
EXPOSURE = 3.5


def analyze(*arguments):
    done = subprocess.run(['systemd-analyze', *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, env={**os.environ, 'SYSTEMD_COLORS': '0'})
    return done.returncode, done.stdout


def unit_file():
    with open(UNIT, encoding='utf-8') as file:
        text = file.read()
    ok('@' not in re.sub(r'SystemCallFilter=@system-service', '', text), 'all places are filled in', text)
    command = re.search(r'^ExecStart=(\S+)', text, re.M)[1]
    equal(os.path.basename(command), 'beckd', 'it starts beckd')
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, 'beckd.service')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text.replace(command, BECKD))  # as if it were installed
        code, output = analyze('verify', '--man=no', path)
        ok(code == 0 and not output, 'systemd-analyze verify has nothing to say', output)
        code, output = analyze('security', '--offline=yes', f'--threshold={int(EXPOSURE * 10)}', path)
        ok(code == 0, 'systemd-analyze security: little is exposed', output[-2000:])


if not shutil.which('systemd-analyze'):
    skip_all('there is no systemd-analyze')
run(unit_file)
