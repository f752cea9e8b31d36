#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# append-only files: what the shell appends is a record, and nothing takes it back
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t >/dev/null
echo hi >>"$M/t/0"
is 'echo >> is a record' "$(beck consume t -p 0 -o 0)" 'hi'
refused 'it cannot be overwritten' 'not permitted' bash -c "echo no > '$M/t/0'"
refused 'nor truncated' 'not permitted' truncate -s 0 "$M/t/0"
refused 'nor removed' 'not permitted' rm -f "$M/t/0"
is 'and it is there still' "$(cat "$M/t/0")" 'hi'

done_here
