#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# topic delete: gone from list, mount and disk; the others untouched; readers get a clear error
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create gone >/dev/null
beck topic create stays >/dev/null
beck produce gone one two >/dev/null
beck produce stays three >/dev/null
folders() {
    find "$BECK_STORE/topics" -mindepth 1 -maxdepth 1 | lines
}
before=$(folders)
beside beck consume gone -f >"$work/read" 2>"$work/error"
reader=$last
eventually grep -q two "$work/read"

works 'a topic is deleted while it is read' beck topic delete gone
wait "$reader"
has 'its reader gets a clear error' "$(cat "$work/error")" 'deleted'
is 'it is not in the list' "$(beck topic list)" 'stays'
is 'nor in the mount' "$(ls "$M")" 'stays'
is 'nor on the disk' "$(folders)" $((before - 1))
refused 'nobody consumes it' 'no topic|not exist|does not' beck consume gone
is 'the other one is untouched' "$(cat "$M/stays/0")" 'three'
works 'the name is free again' beck topic create gone
is 'and begins anew' "$(cat "$M/gone/0")" ''

done_here
