#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# at least once: who dies before the offset is stored sees the record again
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t >/dev/null
seq 0 4 | beck produce t >/dev/null
(client consume "$B" g t -n 3 --die-before-commit -X group.instance.id=a) >"$work/first"
(client consume "$B" g t -n 3 -X group.instance.id=a) >"$work/second"
is 'the third was printed' "$(tail -n 1 "$work/first" | cut -d ' ' -f 3)" 2
is 'and comes again' "$(cut -d ' ' -f 3 "$work/second" | tr '\n' ' ')" '2 3 4 '

done_here
