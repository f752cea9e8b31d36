#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# benchmark: one command prints records/s, MB/s, latency percentiles, and says what was synced
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t >/dev/null
for where in '' "-b $B"; do
    # shellcheck disable=SC2086 # none or two words
    said=$(beck bench produce t -n 2000 $where)
    has "producing ${where:-to the store}: records a second" "$said" 'records-per-second [0-9]+'
    has 'megabytes a second' "$said" 'mb-per-second [0-9.]+'
    has 'latency percentiles' "$said" 'p50-ms [0-9.]+ p99-ms [0-9.]+'
    has 'and what was synced' "$said" 'acks all synced (yes|as-the-cluster-does)'
    # shellcheck disable=SC2086
    has 'consuming' "$(beck bench consume t $where)" 'records-per-second [0-9]+'
done
is 'the records are there' "$(lines <"$M/t/0")" 4000

done_here
