#!/usr/bin/env bash
# The same plan gives the same bytes with one worker, and with three of which one is killed while it denoises; a second
# render comes from the cache; `verify --local` makes all of it again; a changed shot is rendered alone.
. "$(dirname "$0")/lib.sh" "$1"
micro_pack "$work/pack"
cp "$here/plan.json" "$work/plan.json"
render=("$shotline" render --pack "$work/pack" --name v --size 64x64 --seed 7 --json)

# render_plan NAME STATE WORKERS: leaves NAME/v.mp4, NAME/v.manifest.json and NAME.json.
render_plan() {
    "${render[@]}" --plan "$work/plan.json" -o "$work/$1" --state "$work/$2" --workers "$3" >"$work/$1.json" ||
        fail "render $1"
    [ -s "$work/$1/v.mp4" ] || fail "render $1 left no video"
    sanitizers >&2 && fail "render $1: a sanitizer complained"
    grep '"event":"campaign"' "$work/$1.json" >"$work/$1.campaign" || fail "render $1 told no summary"
}
tasks_made() {
    echo $(($(field "$work/$1.campaign" tasks) - $(field "$work/$1.campaign" tasks_cached)))
}

render_plan one state-one 1
[ "$(tasks_made one)" -gt 0 ] || fail "the first render made nothing"
render_plan again state-one 1
[ "$(tasks_made again)" -eq 0 ] || fail "the second render made $(tasks_made again) tasks again"
same "$work/one/v.manifest.json" "$work/again/v.manifest.json"

# Three workers, of which one is killed while it denoises: its lease is taken back, and another tries.
"${render[@]}" --plan "$work/plan.json" -o "$work/killed" --state "$HOME/.local/state/shotline" --workers 3 \
    >"$work/killed.json" 2>"$work/killed.err" &
client_pid=$!
victim=
while kill -0 $client_pid 2>/dev/null; do
    victim=$("$shotline" workers --json --timeout 1 2>/dev/null |
        sed -nE 's/.*"name":"(worker-[0-9])".*"running":"denoise.*/\1/p' | head -n 1)
    [ -n "$victim" ] && kill -9 "$(pgrep -P $client_pid -f -- "--name $victim")" && break
    sleep 0.05
done
[ -n "$victim" ] || fail "no worker was seen in the middle of a denoise task"
wait $client_pid || fail "render with a killed worker: $(cat "$work/killed.err")"
client_pid=
grep -q "local_farm.restart process=$victim signal=9" "$work/killed.err" || fail "the kill was not noticed"
same "$work/one/v.manifest.json" "$work/killed/v.manifest.json"
cmp "$work/one/v.mp4" "$work/killed/v.mp4" || fail "the files of one worker and of three differ"
[ "$(grep -c '"ranges": 2' "$work/one/v.manifest.json")" -eq 2 ] || fail "expected two shots of two ranges each"

# A farm that has nothing makes every task of the manifest again.
"$shotline" verify --local --pack "$work/pack" --workers 1 "$work/one/v.manifest.json" >"$work/verified" 2>"$work/verify.err" ||
    fail "verify --local: $(tail -n 3 "$work/verify.err") $(cat "$work/verified")"
grep -qE "^([0-9]+) tasks made again: \1 the same, 0 different" "$work/verified" || fail "verify said: $(cat "$work/verified")"

# Another action in shot 2: its text, anchor, ranges and decode, and the stitch; nothing of shot 1.
sed -i 's/"action": "jumping"/"action": "standing"/' "$work/plan.json"
render_plan changed state-one 1
made=$(tasks_made changed)
[ "$made" -ge 4 ] && [ "$made" -le 6 ] || fail "a changed shot took $made tasks, expected its own 4 to 6"
[ "$(field "$work/changed/v.manifest.json" video_digest)" != "$(field "$work/one/v.manifest.json" video_digest)" ] ||
    fail "the changed shot does not show"
echo "same bytes with one worker, and with three of which one was killed; cached again; a changed shot took $made tasks"
