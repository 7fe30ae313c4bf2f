#!/usr/bin/env bash
# Workers that leave, are killed or stopped in the middle of a shot, and a coordinator that is killed meanwhile: what was denoised is
# gone on with from its last saved state, nothing is counted as lost that was handed over, and the bytes are those of an undisturbed farm.
. "$(dirname "$0")/lib.sh" "$1"
own_farm

# Until the farm has one more saved state than now: a worker is in the middle of denoising.
until_saved() {
    local seen
    seen=$(grep -c task.checkpoint "$log")
    until [ "$(grep -c task.checkpoint "$log")" -gt "$seen" ]; do
        "$shotline" status "$id" --json | grep -qE '"state": ?"(done|failed)"' && fail "the campaign ended too early: $1"
        kill -0 "$worker" 2>/dev/null || fail "the worker ended: $1"
        kill -0 "$coordinator" 2>/dev/null || fail "the coordinator ended: $1: $(tail -n 1 "$log")"
        sleep 0.02
    done
}

start_coordinator --checkpoint-ms 1
start_worker one
id=$("$shotline" submit --plan "$here/plan.json" --name v --size 64x64 --seed 7 --timeout 60) || fail "submit"

# SIGTERM: the running task is handed over with its state, at nobody's cost.
until_saved "before the first worker left"
kill -TERM "$worker"
wait "$worker"
code=$?
[ $code -eq 0 ] || fail "a drained worker ended with $code: $(tail -n 2 "$work/state/log/one.log")"
grep -q "worker.bye" "$log" || fail "the drained worker said no goodbye"
grep -q "task.lost\|task.expired" "$log" && fail "what was handed over counts as lost: $(grep -m1 'task.lost\|task.expired' "$log")"

# kill -9, of the worker and then of the coordinator.
start_worker two
until_saved "before the second worker was killed"
kill -9 "$worker"
start_worker three
until_saved "before the coordinator was killed"
kill -9 "$coordinator" # the next one waits until it is gone
start_coordinator --checkpoint-ms 1

# A second SIGTERM ends at once, whatever the worker waits for: here the farm does not answer.
until_saved "before the third worker was told twice"
kill -STOP "$coordinator"
kill -TERM "$worker"
sleep 0.5
kill -0 "$worker" 2>/dev/null || fail "the worker did not wait for the farm"
kill -TERM "$worker"
wait "$worker"
code=$?
[ $code -eq 1 ] || fail "a worker that was told twice ended with $code"
kill -CONT "$coordinator"

start_worker four
"$shotline" watch "$id" --timeout 120 2>"$work/watch.err" || fail "watch: $(cat "$work/watch.err")"
"$shotline" fetch "$id" -o "$work/out" >/dev/null || fail "fetch"
resumed=$(grep -c 'task.lease.* from_step=[1-9]' "$log")
[ "$resumed" -ge 1 ] || fail "no attempt went on from a saved state: $(grep task.lease "$log")"

# An operator's word.
"$shotline" workers --drain nobody 2>"$work/drain.err" && fail "a worker that is not there was drained"
[ "$(wc -l <"$work/drain.err")" -eq 1 ] || fail "drain of nobody said: $(cat "$work/drain.err")"
"$shotline" workers --drain four 2>"$work/drain.err" || fail "workers --drain: $(cat "$work/drain.err")"
grep -q "^four was told" "$work/drain.err" || fail "workers --drain said: $(cat "$work/drain.err")"
wait "$worker"
code=$?
[ $code -eq 0 ] || fail "a worker that was drained from afar ended with $code"
kill -TERM "$coordinator"

# Undisturbed, by a farm of its own that keeps nothing of the first.
unset SHOTLINE_FARM
"$shotline" render --pack "$work/pack" --plan "$here/plan.json" --name v --size 64x64 --seed 7 -o "$work/alone" \
    --state "$work/alone-state" --workers 1 >/dev/null 2>"$work/alone.err" || fail "render: $(cat "$work/alone.err")"
same "$work/out/v.manifest.json" "$work/alone/v.manifest.json"
cmp "$work/out/v.mp4" "$work/alone/v.mp4" || fail "the disturbed and the undisturbed file differ"
echo "drained, killed and told twice; $resumed attempts went on from a saved state; the same bytes as undisturbed"
