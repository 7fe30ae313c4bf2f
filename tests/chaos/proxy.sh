#!/usr/bin/env bash
# Workers and the client behind a bad network: messages are dropped, repeated, delayed and reordered on their way, and
# the same files come out: proxy.sh SHOTLINE PROXY [SEED [DROP REPEAT DELAY LATEST_MS [PACK]]]
proxy=$(realpath "$2")
seed=${3:-$((RANDOM * 32768 + RANDOM))}
fates=("${4:-0.05}" "${5:-0.05}" "${6:-0.2}" "${7:-800}")
. "$(dirname "$0")/lib.sh" "$1" "${8:-}"
echo "seed $seed: drop ${fates[0]}, repeat ${fates[1]}, delay ${fates[2]} by up to ${fates[3]} ms"
farm=ipc://$work/back farm_of_workers=ipc://$work/front
export SHOTLINE_FARM=$farm_of_workers
mkdir -m 700 "$work/back" "$work/front"
make_campaign "${CHAOS_VIDEOS:-2}"
render_undisturbed

begin=$SECONDS
start_coordinator
start proxy "$proxy" "$farm_of_workers" "$farm" "$seed" "${fates[@]}"
for ((i = 0; i < workers; i++)); do start_worker "worker-$i"; done
id=$("$shotline" submit "$work/campaign/c.cfg" --timeout 120) || fail "submit"
"$shotline" watch "$id" --timeout 120 2>"$work/watch.err" || fail "watch: $(cat "$work/watch.err")"
"$shotline" fetch "$id" -o "$work/out" --timeout 120 >/dev/null || fail "fetch"
compare_with_undisturbed "$work/out"
kill -TERM "${pid[proxy]}"
wait "${pid[proxy]}"
counts=$(tail -n 1 "$work/farm/log/proxy.log")
[[ $counts =~ dropped=[1-9] ]] && [[ $counts =~ repeated=[1-9] ]] && [[ $counts =~ delayed=[1-9] ]] ||
    fail "the network was a good one: $counts"
echo "$counts in $((SECONDS - begin)) s: manifests and files as undisturbed"
