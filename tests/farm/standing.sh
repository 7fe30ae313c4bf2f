#!/usr/bin/env bash
# A farm that is already there, its worker under the Vulkan validation layer: submit, status, workers, watch, fetch,
# cancel, explain, verify, log and fsck; a coordinator that is killed and comes back goes on with the work; a fetch that meets a full disk leaves nothing.
. "$(dirname "$0")/lib.sh" "$1"
own_farm
start_coordinator
start_worker one --validate

id=$("$shotline" submit --plan "$here/plan.json" --name v --seed 7 --timeout 60) || fail "submit"
[ "$id" -ge 1 ] || fail "submit printed \"$id\""
"$shotline" status | grep -qE "^$id +v " || fail "status does not list campaign $id"

# Killed with work running: what was accepted is on disk, and the worker goes on.
until "$shotline" workers --json | grep -q '"running":"[a-z]'; do
    "$shotline" status "$id" --json | grep -q '"state":"done"' && break
    kill -0 "$worker" 2>/dev/null || fail "the worker ended: $(tail -n 1 "$work/state/log/one.log")"
    sleep 0.1
done
"$shotline" workers | grep -q " one " || fail "workers does not list the worker"
kill -9 "$coordinator"
start_coordinator
"$shotline" watch "$id" --timeout 60 2>"$work/watch.err" || fail "watch: $(cat "$work/watch.err")"
grep -q '^v: done' "$work/watch.err" || fail "watch did not tell the end: $(cat "$work/watch.err")"

(trap '' XFSZ && ulimit -f 1 && "$shotline" fetch "$id" -o "$work/full" >/dev/null 2>"$work/full.err") &&
    fail "a fetch to a full disk succeeded"
[ -z "$(ls -A "$work/full")" ] || fail "a failed fetch left $(ls -A "$work/full")"
[ "$(wc -l <"$work/full.err")" -eq 1 ] || fail "a failed fetch said: $(cat "$work/full.err")"
"$shotline" fetch "$id" -o "$work/out" >"$work/fetched" || fail "fetch"
[ -s "$work/out/v.mp4" ] && [ -s "$work/out/v.manifest.json" ] || fail "fetch left $(ls "$work/out")"
[ "$(field "$work/out/v.manifest.json" video_digest)" ] || fail "the manifest has no video digest"

second=$("$shotline" submit --plan "$here/plan.json" --name w --seed 8) || fail "second submit"
"$shotline" cancel "$second" || fail "cancel"
"$shotline" watch "$second" 2>"$work/watch.err" && fail "a cancelled campaign was watched to success"
"$shotline" status "$second" | grep -qE "^w +cancelled" || fail "status after cancel: $("$shotline" status "$second")"
# Why tasks are where they are: the reason as a word for programs, and what is next for people.
"$shotline" explain "$id" | grep -qE '^v: done, ([0-9]+) of \1 tasks done$' || fail "explain: $("$shotline" explain "$id")"
task=$("$shotline" explain "$id/v" --all --json | sed -nE 's/.*"task":([0-9]+),"what":"stitch".*"reason":"done".*/\1/p')
"$shotline" explain "t$task" >"$work/explained" || fail "explain t$task"
grep -q "^task t$task: stitch of video v, campaign $id" "$work/explained" &&
    grep -q "^  next   Nothing: its result is stored" "$work/explained" || fail "explain said: $(cat "$work/explained")"
"$shotline" explain t999999 2>"$work/explain.err" && fail "an unknown task was explained"
grep -q "task 999999 is not known here" "$work/explain.err" || fail "explain said: $(cat "$work/explain.err")"
"$shotline" explain "$second" | grep -q "cancelled" || fail "explain of the cancelled: $("$shotline" explain "$second")"

# Tasks are made again and compared; a digest that no task makes is found.
"$shotline" verify "$work/out/v.manifest.json" --sample 4 --seed 5 >"$work/verified" 2>"$work/verify.err" ||
    fail "verify: $(cat "$work/verify.err" "$work/verified")"
grep -q "^4 tasks made again: 4 the same, 0 different" "$work/verified" || fail "verify said: $(cat "$work/verified")"
frames=$(grep -A 1 '"frames": {' "$work/out/v.manifest.json" | sed -nE 's/.*"digest": "([0-9a-f]{64})".*/\1/p' | head -n 1)
sed "s/$frames/$(printf '%064d' 0)/" "$work/out/v.manifest.json" >"$work/planted.json"
"$shotline" verify "$work/planted.json" >"$work/verified" 2>"$work/verify.err" && fail "a planted digest was verified"
grep -q "made $frames, the manifest says 00000" "$work/verified" &&
    grep -q "1 of [0-9]* tasks were made differently" "$work/verify.err" ||
    fail "verify of a planted digest said: $(cat "$work/verified" "$work/verify.err")"

# What has happened, also before the coordinator was killed: to all, to a campaign, to the worker.
"$shotline" log >"$work/log" || fail "log"
[ "$(grep -c coordinator.ready "$work/log")" -eq 2 ] || fail "log does not tell of both starts: $(cat "$work/log")"
"$shotline" log one | grep -q 'worker.hello .*name="one"' || fail "log of the worker: $("$shotline" log one)"
"$shotline" log "$id/v" --json | grep -q '"name":"video.done"' || fail "log of the video: $("$shotline" log "$id/v")"
"$shotline" log "$id" -n 2000 | grep -q campaign.cancelled && fail "the log of one campaign tells of another"
"$shotline" log "$second" | grep -q campaign.cancelled || fail "log of the second: $("$shotline" log "$second")"
"$shotline" cancel 999 2>"$work/cancel.err" && fail "an unknown campaign was cancelled"
[ "$(wc -l <"$work/cancel.err")" -eq 1 ] || fail "cancel of an unknown campaign said: $(cat "$work/cancel.err")"
# The folder of a running farm is not looked at; of a stopped one it is, and a spoilt blob is found and mended.
"$shotline" fsck "$work/state" 2>"$work/fsck.err" && fail "fsck looked at a running farm"
grep -q "stop the farm first" "$work/fsck.err" || fail "fsck of a running farm said: $(cat "$work/fsck.err")"
kill -TERM "$coordinator" && wait "$coordinator"
"$shotline" fsck "$work/state" >"$work/fsck" || fail "fsck: $(cat "$work/fsck")"
grep -q "2 finished videos" "$work/fsck" || fail "fsck looked at: $(cat "$work/fsck")"
blob=$(find "$work/state/blobs" -type f -size +1k -path '*/??/*' | sort | head -n 1)
printf x >>"$blob"
"$shotline" fsck "$work/state" >"$work/fsck" && fail "fsck did not see that $blob was spoilt"
grep -q "^blob.damaged  *$(basename "$blob")" "$work/fsck" || fail "fsck said: $(cat "$work/fsck")"
"$shotline" fsck --repair "$work/state" >"$work/fsck"
[ ! -e "$blob" ] && [ -e "$work/state/damaged/$(basename "$blob")" ] || fail "fsck --repair: $(cat "$work/fsck")"

grep -q "gpu.validation" "$work/state/log/one.log" &&
    fail "the validation layer found: $(grep -m1 gpu.validation "$work/state/log/one.log")"
echo "submit, status, workers, watch, fetch, cancel, explain, verify, log, fsck; the coordinator was killed once"
