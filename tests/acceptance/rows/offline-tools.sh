#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# offline tools: a stopped store is dumped, verified, repaired, backed up; clients/logdir does the same with
# a Kafka broker's log directory
# shellcheck source=tests/acceptance/setting.sh
source "$(dirname "$0")/../setting.sh"

beck topic create t >/dev/null
seq 1 100 | kcat -P -b "$B" -t t -z zstd
umount "$M" && wait "$beckfs_pid"
stop_beckd
is 'dump shows the records' "$(beck dump t --records | lines)" 100
has 'verify finds it whole' "$(beck verify)" "^verified .*: no damage"
works 'backup' beck backup "$work/copy"
rm "$BECK_STORE/index.mdb" "$BECK_STORE/meta.mdb"
refused 'without meta.mdb it does not open' 'meta\.mdb' beck consume t
has 'repair says what it would do' "$(beck repair 2>&1)" 'meta\.mdb'
refused 'and does nothing yet' 'meta\.mdb' beck consume t
works 'with -x it does it' beck repair -x
is 'all is there again' "$(beck consume t)" "$(seq 1 100)"
is 'and in the backup' "$(beck --store "$work/copy" consume t)" "$(seq 1 100)"
segment=$(echo "$BECK_STORE"/topics/*/0/*.log)
is 'a segment file alone can be dumped' "$(beck dump "$segment" --records | lines)" 100
mkdir "$work/segments"
works 'exported as segments' beck export t --to-segments "$work/segments"
beck topic create u >/dev/null
works 'and imported' beck import u "$work"/segments/t-0/*.log
is 'they are the same' "$(beck consume u)" "$(seq 1 100)"

done_here
