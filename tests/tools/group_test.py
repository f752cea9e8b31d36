#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""beck group: consumer groups without a daemon."""

import re
import shutil
import subprocess
import time

import tap
from programs import Beckd, must, wait_until
from tap import ok
from tool_store import Store, fails, prints

DRY = 'nothing was changed: --execute does it\n'


BEGIN_MS = int(time.time() * 1000) - 3600000


def filled(store):
    """Topic t with 10 records in partition 0 and 4 in partition 1, a millisecond apart."""
    for number in range(14):
        must(store('produce', 't', '-p', '0' if number < 10 else '1', '--timestamp', BEGIN_MS + number,
                   f'v{number}'))


def committed(store, group='g'):
    """What group show has, as {(topic, partition): (committed, lag)}."""
    result = must(store('group', 'show', group))
    found = re.findall(r'^offset (\S+) (\d+) committed (\d+) end \d+ lag (\d+) ', result.out, re.M)
    return {(topic, int(partition)): (int(offset), int(lag))
            for topic, partition, offset, lag in found}


def reset_is_dry():
    with Store(t=2) as store:
        filled(store)
        prints(store('group', 'reset', 'g', 't', '-o', 'end'),
               'reset t 0 from none to 10\nreset t 1 from none to 4\n' + DRY,
               'group reset says what it would do')
        prints(store('group', 'list'), '', 'and does nothing')
        prints(store('group', 'reset', 'g', 't', '-o', 'end', '--execute'),
               'reset t 0 from none to 10\nreset t 1 from none to 4\n', 'group reset --execute')
        ok(committed(store) == {('t', 0): (10, 0), ('t', 1): (4, 0)}, 'does it', committed(store))


def reset_to():
    with Store(t=2) as store:
        filled(store)
        must(store('group', 'reset', 'g', 't', '-o', '3', '--execute'))
        ok(committed(store) == {('t', 0): (3, 7), ('t', 1): (3, 1)}, 'to an offset', committed(store))
        prints(store('group', 'reset', 'g', '-o', 'beginning'),
               'reset t 0 from 3 to 0\nreset t 1 from 3 to 0\n' + DRY,
               'to the beginning, of all that the group has')
        prints(store('group', 'reset', 'g', '-o', f'@{BEGIN_MS + 11}'),
               'reset t 0 from 3 to 10\nreset t 1 from 3 to 1\n' + DRY, 'to a time')
        prints(store('group', 'reset', 'g', '--shift', '2'),
               'reset t 0 from 3 to 5\nreset t 1 from 3 to 4\n' + DRY,
               'on by some, but not beyond the end')
        prints(store('group', 'reset', 'g', '--shift', '-5'),
               'reset t 0 from 3 to 0\nreset t 1 from 3 to 0\n' + DRY,
               'back by some, but not before the start')
        prints(store('group', 'reset', 'g', '-o', '1000'),
               'reset t 0 from 3 to 10\nreset t 1 from 3 to 4\n' + DRY,
               'an offset that is not there yet becomes the end')


def reset_some():
    with Store(t=3) as store:
        filled(store)
        must(store('group', 'reset', 'g', 't:0,2', '-o', 'end', '--execute'))
        ok(committed(store) == {('t', 0): (10, 0), ('t', 2): (0, 0)}, 'TOPIC:PARTITION,...',
           committed(store))
        prints(store('group', 'reset', 'g', 't:1', '--shift', '1', '--execute'),
               'reset t 1 from none to none: nothing to shift\n', 'what is not there is not shifted')
        fails(store('group', 'reset', 'g', 't:3', '-o', 'end'), 1, 'no partition 3',
              'a partition that is not there')
        fails(store('group', 'reset', 'g', 't:x', '-o', 'end'), 2, "'x'", 'no number')
        fails(store('group', 'reset', 'g', 'u', '-o', 'end'), 1, 'no topic u',
              'a topic that is not there')
        fails(store('group', 'reset', 'h', '-o', 'end'), 1, 'name a topic', 'a group without offsets')


def misuse():
    with Store(t=1) as store:
        fails(store('group'), 2, 'list, show', 'group alone')
        fails(store('group', 'frob'), 2, 'none of', 'an unknown action')
        fails(store('group', 'reset', '-o', 'end'), 2, 'which group', 'reset of nothing')
        fails(store('group', 'reset', 'g'), 2, 'where to', 'reset to nowhere')
        fails(store('group', 'reset', 'g', '-o', 'end', '--dry-run', '--execute'), 2, 'one of the two',
              'a dry run that is done')
        fails(store('group', 'reset', 'g', '-o', 'end', '--shift', '1'), 2, 'once', 'reset to two places')
        fails(store('group', 'reset', 'g', '-o', 'middle'), 2, 'middle', 'reset to no place')
        fails(store('group', 'reset', 'g', '--shift', 'x'), 2, "'x'", 'a shift by no number')
        fails(store('group', 'show'), 2, 'which group', 'show of nothing')
        fails(store('group', 'show', 'g'), 1, 'no group g', 'show of a group that is not there')
        fails(store('group', 'delete'), 2, 'which group', 'delete of nothing')


def list_and_show():
    with Store(t=2) as store:
        filled(store)
        must(store('group', 'reset', 'g', 't:0', '-o', '4', '--execute'))
        prints(store('group', 'list'), 'g\n', 'group list')
        prints(store('group', 'list', '-l'), 'g\t1 offsets\tempty\n', 'group list -l')
        shown = store('group', 'show', 'g')
        lines = shown.out.splitlines()
        ok(shown.code == 0 and lines[:2] == ['group g', 'members none'] and len(lines) == 3, 'group show', shown)
        match = re.match(r'offset t 0 committed 4 end 10 lag 6 lag-ms (\d+) at 20\S+Z$', lines[2])
        ok(match and 3600000 - 10 < int(match[1]) < 7200000, 'lag in records, and the age of the first unread one',
           shown)
        must(store('group', 'reset', 'g', 't:0', '-o', 'end', '--execute'))
        ok(' lag 0 lag-ms 0 ' in store('group', 'show', 'g').out, 'no lag at the end')


def delete():
    with Store(t=1) as store:
        for group in ('g', 'h', 'i'):
            must(store('group', 'reset', group, 't', '-o', 'end', '--execute'))
        prints(store('group', 'delete', 'g', 'i'), 'deleted group g\ndeleted group i\n', 'group delete')
        prints(store('group', 'list'), 'h\n', 'leaves the others')
        fails(store('group', 'delete', 'g'), 1, 'no group g', 'delete of a group that is not there')
        must(store('topic', 'delete', 't'))
        prints(store('group', 'list'), '', 'a group goes with the last topic that it read')


def odd_names():
    with Store(t=1) as store:
        must(store('group', 'reset', 'a\nb \\', 't', '-o', 'end', '--execute'))
        prints(store('group', 'list'), 'a\\x0ab \\x5c\n', 'a name that does not print')
        ok(store('verify').code == 0, 'verify knows groups')


def live_members():
    """A group whose members a broker looks after is left alone."""
    kcat = shutil.which('kcat') or shutil.which('kafkacat')
    if not kcat:
        ok(True, 'beside members # SKIP there is no kcat')
        return
    with Store(t=1) as store, Beckd(store.path) as daemon:
        must(store('produce', 't', 'v'))
        member = subprocess.Popen([kcat, '-b', daemon.address, '-G', 'g', '-q', 't'],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            ok(wait_until(lambda: '\tmembers\n' in store('group', 'list', '-l').out),
               'group list -l shows that there are members')
            reset = ('group', 'reset', 'g', 't', '-o', 'end')
            fails(store(*reset, '--execute'), 1, 'has members', 'reset --execute is refused')
            fails(store('group', 'delete', 'g'), 1, 'has members', 'so is delete')
            ok(store(*reset).code == 0, 'but not a dry run')
        finally:
            member.terminate()
            member.wait(60)
        ok(wait_until(lambda: '\tempty\n' in store('group', 'list', '-l').out),
           'when the last one has left, the group is empty')
        ok(store(*reset, '--execute').code == 0, 'and can be reset')


tap.run(reset_is_dry, reset_to, reset_some, misuse, list_and_show, delete, odd_names, live_members)
