#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Count what a run of `meson test` did, by subtest where a test tells its subtests (TAP or cmocka).

Reads meson's testlog.json; shows the output's end of each test that failed; treats a skip that is not
on the list of allowed ones as a failure. Prints "passed failed skipped" to the file named last.

    tally.py TESTLOG ALLOWED-SKIPS COUNTS
"""

import fnmatch
import json
import re
import sys

TAIL_LINES = 60

TAP_RESULT = re.compile(r'^(not )?ok\b\s*(\d+)?\s*(?:- )?([^#]*)(#\s*(skip|todo)\S*\s*(.*))?$', re.I)
CMOCKA_OK = re.compile(r'^\[\s+OK \] (\S+)')
CMOCKA_FAILED = re.compile(r'^\[  FAILED  \] ([^\s:]+)$')
CMOCKA_SKIPPED = re.compile(r'^\[  SKIPPED \] (\S+)$')


class Count:
    def __init__(self):
        self.passed = set()
        self.failed = set()
        self.skipped = {}  # name: reason


def read_tap(lines, count):
    for index, line in enumerate(lines):
        match = TAP_RESULT.match(line)
        if not match:
            continue
        name = match.group(3).strip() or f'#{match.group(2) or index}'
        unique = name if name not in count.passed | count.failed else f'{name} ({index})'
        if match.group(5) and match.group(5).lower() == 'skip':
            count.skipped[name] = match.group(6)
        elif match.group(1) and not match.group(5):
            count.failed.add(unique)
        else:
            count.passed.add(unique)


def read_cmocka(lines, count):
    for line in lines:
        for pattern, names in ((CMOCKA_OK, count.passed), (CMOCKA_FAILED, count.failed)):
            match = pattern.match(line)
            if match:
                names.add(match.group(1))
        match = CMOCKA_SKIPPED.match(line)
        if match:
            count.skipped[match.group(1)] = ''


def count_test(test):
    """What one meson test did. A test that tells no subtests is one itself."""
    count = Count()
    out = (test.get('stdout') or '').splitlines()
    both = out + (test.get('stderr') or '').splitlines()
    if any(re.match(r'^1\.\.\d+', line) for line in out):
        read_tap(out, count)
    else:
        read_cmocka(both, count)
    result = test['result']
    if result == 'SKIP' and not count.passed and not count.skipped:
        count.skipped[''] = ' '.join(out[-1:])
    elif result not in ('OK', 'SKIP', 'EXPECTEDFAIL') and not count.failed:
        count.failed.add(f'({result.lower()}, exit code {test.get("returncode")})')
    elif not count.passed and not count.failed and not count.skipped:
        count.passed.add('')
    return count


def tap_details(lines):
    """Of a TAP output: each failed subtest with the comments before and behind it."""
    kept = set()
    for index, line in enumerate(lines):
        match = TAP_RESULT.match(line)
        if not match or not match.group(1) or match.group(5):
            continue
        kept.add(index)
        for step in (-1, 1):
            at = index + step
            while 0 <= at < len(lines) and lines[at].startswith('#') and abs(at - index) <= 20:
                kept.add(at)
                at += step
    return [lines[index] for index in sorted(kept)]


def show_failure(name, test, failed):
    print(f'\n--- FAILED: {name}')
    for subtest in sorted(failed):
        print(f'    {subtest}')
    for stream in ('stdout', 'stderr'):
        lines = (test.get(stream) or '').splitlines()
        if any(re.match(r'^1\.\.\d+', line) for line in lines):
            lines = tap_details(lines)
        if lines:
            print(f'    the end of its {stream}:')
        for line in lines[-TAIL_LINES:]:
            print(f'    | {line[:500]}')


def read_allowed(path):
    with open(path, encoding='utf-8') as file:
        rows = [line.split(' | ')[0].strip() for line in file if line.strip() and line[0] != '#']
    return rows


def main():
    log, allowed_path, counts_path = sys.argv[1:4]
    allowed = read_allowed(allowed_path)
    passed = failed = skipped = 0
    with open(log, encoding='utf-8') as file:
        tests = [json.loads(line) for line in file if line.strip()]
    for test in tests:
        name = test['name'].split(' / ', 1)[-1]
        count = count_test(test)
        for subtest, reason in sorted(count.skipped.items()):
            full = f'{name}: {subtest}' if subtest else name
            if any(fnmatch.fnmatch(full, row) for row in allowed):
                print(f'    skipped: {full} ({reason})')
                skipped += 1
            else:
                count.failed.add(f'{subtest}: skipped, and not on the list of allowed skips')
        passed += len(count.passed)
        failed += len(count.failed)
        if count.failed:
            show_failure(name, test, count.failed)
    with open(counts_path, 'w', encoding='utf-8') as file:
        file.write(f'{passed} {failed} {skipped}\n')


main()
