#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# How fast a store is verified, beside what reading its files takes, from the page cache and from the
# disk (which needs root, to empty the cache):
#
#     tests/bench/verify.sh BUILD-DIRECTORY [DIRECTORY [GIGABYTES]]
#
# Makes a store of GIGABYTES (4) of records of 1 KB in segments of 256 MiB. DIRECTORY is where; it
# should be on the disk of interest.
set -euo pipefail

beck=$1/tools/beck
directory=$(mktemp -d "${2:-${TMPDIR:-/tmp}}/beck-bench-XXXXXX")
gigabytes=${3:-4}
trap 'rm -rf "$directory"' EXIT

seconds() {
    local begin=$EPOCHREALTIME
    "$@" >/dev/null
    awk -v b="$begin" -v e="$EPOCHREALTIME" 'BEGIN { printf "%.2f", e - b }'
}

read_all() {
    find "$directory/store" -name '*.log' -exec cat {} +
}

drop() {
    sync
    echo 3 2>/dev/null >/proc/sys/vm/drop_caches
}

# compare NAME COMMAND...: three times each, in turn; the best.
compare() {
    local cat=999 verify=999 now
    for _ in 1 2 3; do
        "$2"
        now=$(seconds read_all)
        cat=$(printf '%s\n%s\n' "$cat" "$now" | sort -g | head -1)
        "$2"
        now=$(seconds "$beck" --store "$directory/store" verify)
        verify=$(printf '%s\n%s\n' "$verify" "$now" | sort -g | head -1)
    done
    awk -v name="$1" -v c="$cat" -v v="$verify" \
        'BEGIN { printf "%s: cat %.2f s, verify %.2f s: %.2f of its speed\n", name, c, v, c / v }'
}

"$beck" --store "$directory/store" store create
"$beck" --store "$directory/store" topic create t --config segment.bytes=268435456
line=$(head -c 749 /dev/urandom | base64 -w 0)
(yes "$line" || true) | head -n $((gigabytes * 1000000)) |
    "$beck" --store "$directory/store" produce t
du -sh "$directory/store" | cut -f 1
nproc | sed 's/$/ processors/'

compare 'from the page cache' true
if drop; then
    compare 'from the disk' drop
else
    echo 'from the disk: not measured, the page cache cannot be emptied by this user'
fi
