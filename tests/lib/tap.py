# SPDX-License-Identifier: Apache-2.0
"""The Test Anything Protocol, as meson reads it: one line for each check, each with its name."""

import sys
import traceback

_count = 0
_failed = 0


def ok(condition, name, detail=''):
    """One check. What `detail` says is printed if it fails."""
    global _count, _failed
    _count += 1
    if not condition:
        _failed += 1
        for line in str(detail).splitlines():
            print('# ' + line)
    print(f"{'ok' if condition else 'not ok'} {_count} - {name}", flush=True)
    return bool(condition)


def equal(found, wanted, name):
    return ok(found == wanted, name, f'found  {found!r:.1000}\nwanted {wanted!r:.1000}')


def skip(name, reason):
    global _count
    _count += 1
    print(f'ok {_count} - {name} # SKIP {reason}', flush=True)


def skip_all(reason):
    print(f'1..0 # SKIP {reason}', flush=True)
    sys.exit(0)


def run(*tests):
    """Run functions one after the other; an exception fails the one that it comes from."""
    for test in tests:
        try:
            test()
        except Exception:  # a test that dies is a failed check, and the others still say something
            ok(False, test.__name__ + ' runs to its end', traceback.format_exc())
    print(f'1..{_count}', flush=True)
    sys.exit(1 if _failed else 0)
