#!/usr/bin/env bash
# A farm whose only worker has too little device memory for the usual profile: the coordinator turns tasks lean, the film
# is made, and a worker with enough memory makes the same bytes as usual.
. "$(dirname "$0")/lib.sh" "$1"
own_farm
start_coordinator
start_worker small --device-bytes 1700000

id=$("$shotline" submit --plan "$here/plan.json" --name v --seed 7 --timeout 60) || fail "submit"
"$shotline" watch "$id" --timeout 60 2>"$work/watch.err" || fail "watch: $(cat "$work/watch.err")"
"$shotline" fetch "$id" -o "$work/out" >"$work/fetched" || fail "fetch"
failed=$(grep -c 'task.failed.* failure=memory ' "$log") lean=$(grep -c 'task.lease.* profile=lean' "$log")
[ "$failed" -ge 1 ] && [ "$lean" -gt "$failed" ] || fail "$failed tasks ran out of memory, $lean attempts were lean"
task=$(sed -nE 's/.*task\.failed task=([0-9]+) .* failure=memory .*/\1/p' "$log" | head -n 1)
"$shotline" explain "t$task" >"$work/explained" || fail "explain t$task"
grep -q '^  memory lean' "$work/explained" && grep -q 'usual profile, device of 1 MiB: ' "$work/explained" ||
    fail "explain said: $(cat "$work/explained")"

kill -9 "$worker"
start_worker large
"$shotline" verify "$work/out/v.manifest.json" --timeout 60 >"$work/verified" 2>&1 || fail "verify: $(cat "$work/verified")"
echo "$failed tasks ran out of memory, $lean lean attempts; a usual worker makes the same: $(tail -n 1 "$work/verified")"
