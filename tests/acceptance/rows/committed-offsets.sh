#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# committed offsets: a group goes on where it was, over a restart
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t >/dev/null
seq 0 9 | beck produce t >/dev/null
(client consume "$B" g t -n 3) >"$work/first"
is 'process 0 to 2, commit' "$(cut -d ' ' -f 2 "$work/first" | tr '\n' ' ')" '0 1 2 '
has 'beck group show says 3' "$(beck group show g)" 'committed 3( |$)'
stop_beckd -9
start_beckd
(client consume "$B" g t -n 1) >"$work/second"
is 'a restart resumes at 3' "$(cut -d ' ' -f 2 "$work/second")" 3

done_here
