#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# auto.offset.reset: where a new group begins
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t >/dev/null
seq 0 2 | beck produce t >/dev/null
(client consume "$B" early t -n 3 -X auto.offset.reset=earliest) >"$work/earliest"
is 'earliest: all' "$(cut -d ' ' -f 3 "$work/earliest" | tr '\n' ' ')" '0 1 2 '
beside client consume "$B" late t -X auto.offset.reset=latest >"$work/latest"
more() {
    beck produce t new >/dev/null
    sleep 0.3
    [ -s "$work/latest" ]
}
result "$(eventually more && echo yes)" 'latest: new ones come'
is 'and only those' "$(cut -d ' ' -f 3 "$work/latest" | sort -u)" new
(client consume "$B" none t -n 1 -X auto.offset.reset=error) >"$work/none" 2>"$work/error"
has 'none: an error' "$(cat "$work/error")" '_AUTO_OFFSET_RESET|no previously committed offset'

done_here
