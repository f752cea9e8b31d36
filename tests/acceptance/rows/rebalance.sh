#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# rebalance: the partitions of a member that is killed go to the other, and nothing is lost
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t -p 2 >/dev/null
beside client consume "$B" g t >"$work/one"
victim=$last
beside client consume "$B" g t >"$work/two"
both_work() {
    beck produce t -p 0 before >/dev/null
    beck produce t -p 1 before >/dev/null
    sleep 0.2
    [ -s "$work/one" ] && [ -s "$work/two" ] &&
        [ "$(tail -n 1 "$work/one" | cut -d ' ' -f 1)" != "$(tail -n 1 "$work/two" | cut -d ' ' -f 1)" ]
}
result "$(eventually both_work && echo yes)" 'each member has a partition'
end -9 "$victim"
had=$(lines <"$work/two")
seq 1 100 | beck produce t >/dev/null
has_all() {
    [ "$(cat "$work/one" "$work/two" | cut -d ' ' -f 1,2 | sort -u | lines)" -eq "$(beck consume t | lines)" ]
}
result "$(eventually has_all && echo yes)" 'the other one takes over, and nothing is lost'
is 'of both partitions' "$(tail -n +$((had + 1)) "$work/two" | cut -d ' ' -f 1 | sort -u | tr '\n' ' ')" '0 1 '

done_here
