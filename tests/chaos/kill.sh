#!/usr/bin/env bash
# Kills workers and the coordinator at random moments while a campaign renders, starts them again, and compares what
# comes out with the same campaign undisturbed: kill.sh SHOTLINE [KILLS [SEED [PACK]]]
# A campaign that ends before the kills are used up is rendered again by a farm that knows nothing.
kills=${2:-6}
seed=${3:-$((RANDOM * 32768 + RANDOM))}
. "$(dirname "$0")/lib.sh" "$1" "${4:-}"
RANDOM=$seed
echo "seed $seed: $kills kills"
export SHOTLINE_FARM=ipc://$work/run
mkdir -m 700 "$work/run"
make_campaign "${CHAOS_VIDEOS:-3}"
render_undisturbed

declare -A killed=([coordinator]=0 [worker]=0)
begin=$SECONDS

# One kill at a random moment after the next task was committed: the work goes on however often it is hit.
kill_one() {
    local before now victim i
    before=$(tasks_done)
    for ((i = 0; i < 200; i++)); do
        now=$(tasks_done)
        [ "${now:-0}" -gt "${before:-0}" ] && break
        case $(campaign_state) in
        done) return ;;
        failed | cancelled) fail "the campaign failed: $("$shotline" status "$id")" ;;
        esac
        sleep 0.05
    done
    sleep "0.$((RANDOM % 8))$((RANDOM % 10))"
    if [ $((RANDOM % 4)) -eq 0 ]; then
        victim=coordinator
    else
        victim=worker-$((RANDOM % workers))
    fi
    [ -n "${pid[$victim]:-}" ] || return
    kill_hard "$victim"
    killed[${victim%-*}]=$((killed[${victim%-*}] + 1))
    total=$((total + 1))
    [ $((RANDOM % 2)) -eq 0 ] || sleep "0.$((RANDOM % 10))"
    if [ $victim = coordinator ]; then start_coordinator; else start_worker "$victim"; fi
}

total=0 rounds=0
while [ $total -lt "$kills" ]; do
    rounds=$((rounds + 1))
    rm -rf "$work/farm/state" "$work"/farm/worker-*
    start_coordinator
    for ((i = 0; i < workers; i++)); do start_worker "worker-$i"; done
    id=$("$shotline" submit "$work/campaign/c.cfg" --timeout 120) || fail "submit"
    while [ $total -lt "$kills" ] && [ "$(campaign_state)" != "done" ]; do kill_one; done
    "$shotline" watch "$id" --timeout 120 2>"$work/watch.err" || fail "round $rounds: $(cat "$work/watch.err")"
    rm -rf "$work/out"
    "$shotline" fetch "$id" -o "$work/out" --timeout 120 >/dev/null || fail "fetch"
    compare_with_undisturbed "$work/out"
    echo "round $rounds: $total kills so far, $((SECONDS - begin)) s; manifests and files as undisturbed"
    for name in "${!pid[@]}"; do kill_hard "$name"; done
    for ((i = 0; i < 50; i++)); do # the lock of the folder goes with the process
        "$shotline" fsck "$work/farm/state" >"$work/fsck" 2>&1 && break
        grep -q "stop the farm first" "$work/fsck" || fail "fsck after round $rounds: $(cat "$work/fsck")"
        sleep 0.1
    done
done
echo "$total kills (${killed[worker]} of workers, ${killed[coordinator]} of the coordinator) in $rounds renders," \
    "$((SECONDS - begin)) s: every campaign ended, manifests and files as undisturbed, fsck clean"
