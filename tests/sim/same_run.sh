#!/usr/bin/env bash
# same_run FARM_SIM - a seed names a run: twice the same, event by event, and another seed another one.
set -u
run() { "$1" -s "$2" -t 200 2>/dev/null | sed -E 's/ in [0-9.]+ s,/,/'; }
first=$(run "$1" 7)
[ "$first" = "$(run "$1" 7)" ] || { echo "seed 7 gave two different runs"; exit 1; }
[ "$first" != "$(run "$1" 8)" ] || { echo "seeds 7 and 8 gave the same run"; exit 1; }
grep -q 'trace [0-9a-f]' <<<"$first" || { echo "no trace: $first"; exit 1; }
echo "$first"
