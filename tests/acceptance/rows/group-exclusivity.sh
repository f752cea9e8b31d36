#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# group exclusivity: the members of a group share the records, each group has all
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t -p 3 >/dev/null
beside client consume "$B" g t >"$work/one"
beside client consume "$B" g t >"$work/two"
seq 1 1000 | beck produce t >/dev/null
all_there() {
    [ "$(cat "$@" | lines)" -ge 1000 ]
}
result "$(eventually all_there "$work/one" "$work/two" && echo yes)" 'two members get 1,000 together'
sleep 0.5
is 'no more' "$(cat "$work/one" "$work/two" | lines)" 1000
is 'with no overlap' "$(cut -d ' ' -f 3 "$work/one" "$work/two" | sort -nu | lines)" 1000
beside client consume "$B" other t >"$work/other"
result "$(eventually all_there "$work/other" && echo yes)" 'a second group also gets 1,000'

done_here
