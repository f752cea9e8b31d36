#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# unix tools: on a mounted partition, while it grows; what they say of its first part is what they say of a
# plain file
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t >/dev/null
seq -f 'line %g of the log' 1 20000 >"$work/plain"
beck produce t <"$work/plain" >/dev/null
size=$(stat -c %s "$work/plain")
grow() {
    local number
    for ((number = 0; ; number++)); do
        echo "more $number" >>"$M/t/0"
        sleep 0.002
    done
}
beside grow
log=$M/t/0
# the first part, through the tool
same() {
    local what=$1
    shift
    is "$what" "$("$@" "$log" 2>&1 | head -c "$size" | sha256sum)" "$(sha256sum <"$work/plain")"
}
same cat cat
same 'tail -n +1' tail -n +1
same less less -f
same sort sort --merge
is 'head' "$(head -n 3 "$log")" "$(head -n 3 "$work/plain")"
is grep "$(grep -c '7 of the log' "$log")" "$(grep -c '7 of the log' "$work/plain")"
has 'tail -n' "$(tail -n 1 "$log")" '^more [0-9]+$'
result "$([ "$(wc -l <"$log")" -gt 20000 ] && echo yes)" 'wc -l'
cp "$log" "$work/cp" && is cp "$(head -c "$size" "$work/cp" | sha256sum)" "$(sha256sum <"$work/plain")"
dd if="$log" of="$work/dd" bs=64k count=1 status=none
is dd "$(sha256sum <"$work/dd")" "$(head -c 65536 "$work/plain" | sha256sum)"
split -n l/3 "$log" "$work/split." && is split "$(cat "$work"/split.* | head -c "$size" | sha256sum)" \
    "$(sha256sum <"$work/plain")"
rsync "$log" "$work/rsync" && is rsync "$(head -c "$size" "$work/rsync" | sha256sum)" \
    "$(sha256sum <"$work/plain")"
tar -C "$M" -cf "$work/tar" t/0 2>/dev/null
is tar "$(tar -xOf "$work/tar" t/0 | head -c "$size" | sha256sum)" "$(sha256sum <"$work/plain")"
for option in -f -F; do
    beside tail -n 0 "$option" "$log" >"$work/tail$option"
    shown() {
        echo "for tail $option" >>"$log" # again and again: tail may not have begun yet
        grep -qx "for tail $option" "$work/tail$option"
    }
    result "$(eventually shown && echo yes)" "tail $option"
done

done_here
