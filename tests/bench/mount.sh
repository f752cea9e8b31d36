#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# How fast is the mount? Each figure is the median of five runs, beside the same done to a plain file of
# the same file system in the same run, and the ratio of the two: absolute figures differ from machine to
# machine. Data is in the page cache for both.
#
#     tests/bench/mount.sh BECKFS STORE_HELPER [DIRECTORY [MEBIBYTES]]
#
# STORE_HELPER is tests/fusefs' helper program. DIRECTORY (default /tmp) gets about 4 times MEBIBYTES
# (default 1024) of data, which is removed at the end.
set -euo pipefail

beckfs=${1:?usage: mount.sh BECKFS STORE_HELPER [DIRECTORY [MEBIBYTES]]}
helper=${2:?usage: mount.sh BECKFS STORE_HELPER [DIRECTORY [MEBIBYTES]]}
dir=$(mktemp -d "${3:-/tmp}/beckfs-bench-XXXXXX")
bytes=$((${4:-1024} * 1048576))
runs=5
lines=20000
mnt=$dir/mnt

finish() {
    fusermount3 -uzq "$mnt" || true
    rm -rf "$dir"
}
trap finish EXIT

# Nanoseconds that a command takes.
clock() {
    local start end
    start=$(date +%s%N)
    "$@" > /dev/null
    end=$(date +%s%N)
    echo $((end - start))
}

# The median of five numbers.
median() {
    printf '%s\n' "$@" | sort -n | sed -n "$(((runs + 1) / 2))p"
}

# measure FUNCTION ARGUMENT: the median time, after one run to warm up.
measure() {
    local times=() i
    "$@" > /dev/null
    for ((i = 0; i < runs; i++)); do
        times+=("$(clock "$@")")
    done
    median "${times[@]}"
}

# report WHAT AMOUNT UNIT MOUNT_NS FILE_NS: amount per second of both.
report() {
    awk -v what="$1" -v amount="$2" -v unit="$3" -v ours="$4" -v file="$5" 'BEGIN {
        printf "%-34s %10.2f %s   plain file %10.2f %s   ratio %.2f\n", what,
            amount / ours, unit, amount / file, unit, file / ours }'
}

read_all() {
    cat "$1"
}

append_all() {
    cat "$source" >> "$1"
}

echo_lines() {
    local i
    for ((i = 0; i < lines; i++)); do
        echo "a line of some twenty bytes" >> "$1"
    done
}

stat_many() {
    local i
    for ((i = 0; i < lines; i++)); do
        [[ -s $1 ]]
    done
}

mkdir "$mnt"
"$helper" create "$dir/store"
"$helper" topic "$dir/store" 1024B 1
"$helper" topic "$dir/store" 100B 1
"$helper" topic "$dir/store" echoed 1
"$helper" topic "$dir/store" idle 100
"$helper" fill "$dir/store" 1024B 0 "$bytes" 1024
"$helper" fill "$dir/store" 100B 0 "$bytes" 100
"$beckfs" "$dir/store" "$mnt"

for topic in 1024B 100B; do
    cat "$mnt/$topic/0" > "$dir/plain"
    size=$(stat -c %s "$dir/plain")
    ours=$(measure read_all "$mnt/$topic/0")
    file=$(measure read_all "$dir/plain")
    report "cat, records of $topic" "$size" GB/s "$ours" "$file"
done

echo_ours=$(measure echo_lines "$mnt/echoed/0")
echo_file=$(measure echo_lines "$dir/echoed")
report "echo >> in one shell" "$((lines * 1000000))" k/s "$echo_ours" "$echo_file"

stat_ours=$(measure stat_many "$mnt/1024B/0")
stat_file=$(measure stat_many "$dir/plain")
report "stat" "$((lines * 1000000))" k/s "$stat_ours" "$stat_file"

source=$dir/source
cat "$mnt/1024B/0" > "$source"
size=$(stat -c %s "$source")
rm "$dir/plain"
times_ours=()
times_file=()
for ((i = 0; i < runs; i++)); do
    mkdir "$mnt/appended$i"
    times_ours+=("$(clock append_all "$mnt/appended$i/0")")
    "$helper" delete "$dir/store" "appended$i"
    times_file+=("$(clock append_all "$dir/appended")")
    rm "$dir/appended"
done
report "cat >>, KiB lines" "$size" GB/s "$(median "${times_ours[@]}")" "$(median "${times_file[@]}")"

fusermount3 -u "$mnt"
sleep 1
"$beckfs" "$dir/store" "$mnt"
ls -l "$mnt/idle" > /dev/null
pid=$(pgrep -nf "^[^ ]*beckfs $dir/store")
echo "resident, idle, 100 partitions: $(awk '/VmRSS/ { print $2 }' "/proc/$pid/status") KiB"
