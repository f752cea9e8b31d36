# SPDX-License-Identifier: Apache-2.0
"""Checks of a program that another Python runs: "ok NAME" or "not ok NAME: WHY"."""

import sys
import time
import traceback

_failed = 0
SECONDS = 60


def ok(condition, name, detail=''):
    global _failed
    if condition:
        print(f'ok {name}', flush=True)
    else:
        _failed += 1
        print(f'not ok {name}: {str(detail)[:1000]!r}', flush=True)


def equal(found, wanted, name):
    ok(found == wanted, name, f'found {found!r}, wanted {wanted!r}')


def becomes(step, condition):
    """Do something again and again, until it had the effect."""
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            return False
        step()
    return True


def run(*parts):
    for part in parts:
        try:
            part()
        except Exception:  # the others still say something
            ok(False, part.__name__, traceback.format_exc()[-900:])
    sys.exit(1 if _failed else 0)
