#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# delivery choice: with a kill in mid-run, received is <= or >= what was sent
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t >/dev/null
seq 1 20 | beck produce t >/dev/null
# Killed once in mid-run, and again until all is consumed.
received() {
    local options=("$@")
    (client consume "$B" "$group" t -n 7 --die-before-commit "${options[@]}" -X group.instance.id=a)
    (client consume "$B" "$group" t -n $((20 - $(committed))) "${options[@]}" -X group.instance.id=a)
}
committed() {
    beck group show "$group" | sed -n 's/.*committed \([0-9]*\).*/\1/p'
}
group=most
received --commit-before >"$work/most"
is 'at most once: nothing twice' "$(sort "$work/most" | uniq -d | lines)" 0
group=least
received >"$work/least"
is 'at least once: nothing is missing' "$(cut -d ' ' -f 3 "$work/least" | sort -nu | tr '\n' ' ')" \
    "$(seq 1 20 | tr '\n' ' ')"
is 'and one came twice' "$(sort "$work/least" | uniq -d | lines)" 1

done_here
