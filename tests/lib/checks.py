# SPDX-License-Identifier: Apache-2.0
"""Checks that a program of another language makes: of each line "ok NAME" or "not ok NAME: WHY" that it
prints, a check of the test that runs it. Other lines are what it tells about itself."""

import re

from programs import run
from tap import ok

SECONDS = 240  # of one program, on a slow machine


def relay(name, command, wanted=1, seconds=SECONDS, **options):
    """Run a program that makes at least `wanted` checks, and ends with exit code 0."""
    result = run(*command, seconds=seconds, **options)
    made = 0
    for line in result.out.splitlines():
        match = re.match(r'(not )?ok (.*)', line)
        if match:
            made += 1
            what, _, why = match[2].partition(': ')
            ok(not match[1], f'{name}: {what}', why)
        elif line.startswith('version '):
            print(f'# {name}: {line}', flush=True)
    ok(result.code == 0 and made >= wanted, f'{name} runs to its end', result)
    return result
