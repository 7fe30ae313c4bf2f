#!/usr/bin/env bash
# Workers in a network namespace of their own, joined over tcp:// with keys; the link between them and the farm goes
# down and up again while a campaign renders, longer than a lease and shorter: partition.sh SHOTLINE [CUTS [SEED [PACK]]]
# Needs root and ip(8); skipped (77) where a namespace cannot be made.
cuts=${2:-2}
seed=${3:-$((RANDOM * 32768 + RANDOM))}
space=shotline-$$
outside=sl-$$-a inside=sl-$$-b
net=10.$((64 + $$ % 64)).$(($$ / 64 % 256))
drop_space() {
    ip link del "$outside" 2>/dev/null
    ip netns del "$space" 2>/dev/null
}
make_space() {
    command -v ip >/dev/null && [ "$(id -u)" -eq 0 ] && ip netns add "$space" &&
        ip link add "$outside" type veth peer name "$inside" && ip link set "$inside" netns "$space" &&
        ip addr add "$net.1/30" dev "$outside" && ip link set "$outside" up &&
        ip netns exec "$space" ip addr add "$net.2/30" dev "$inside" && ip netns exec "$space" ip link set "$inside" up &&
        ip netns exec "$space" ip link set lo up
}
if ! make_space 2>/tmp/$space.err; then
    echo "skipped: no network namespace here (root and iproute2 are needed): $(tail -n 1 /tmp/$space.err)"
    rm -f "/tmp/$space.err"
    drop_space
    exit 77
fi
rm -f "/tmp/$space.err"
. "$(dirname "$0")/lib.sh" "$1" "${4:-}"
trap 'status=$?; drop_space; (exit $status); end_all' EXIT
RANDOM=$seed
echo "seed $seed: $cuts cuts"
# Three ports in a row that nobody listens on now.
while :; do
    port=$((20000 + RANDOM % 12000))
    for p in $port $((port + 1)) $((port + 2)); do
        (exec 3<>"/dev/tcp/$net.1/$p") 2>/dev/null && continue 2
    done
    break
done
farm=tcp://$net.1:$port
export SHOTLINE_FARM=$farm
make_campaign "${CHAOS_VIDEOS:-2}"
render_undisturbed

mkdir -p "$HOME/.local/state" && mkdir -m 700 "$work/farm/state" &&
    ln -s "$work/farm/state" "$HOME/.local/state/shotline" # where our key is looked for
start_coordinator
for ((i = 0; i < 300; i++)); do
    "$shotline" status --timeout 1 >/dev/null 2>&1 && break
    kill -0 "${pid[coordinator]}" 2>/dev/null || fail "no coordinator: $(tail -n 2 "$work/farm/log/coordinator.log")"
done
for ((i = 0; i < workers; i++)); do
    line=$("$shotline" invite worker --name "worker-$i" 2>"$work/invite.err") || fail "invite: $(cat "$work/invite.err")"
    start "worker-$i" ip netns exec "$space" "$build/worker/shotline-worker" --join "${line##* }" \
        --state "$work/farm/worker-$i" --name "worker-$i"
done
id=$("$shotline" submit "$work/campaign/c.cfg" --timeout 120) || fail "submit"

begin=$SECONDS cut=0
while [ $cut -lt "$cuts" ] && [ "$(campaign_state)" != "done" ]; do
    before=$(tasks_done)
    for ((i = 0; i < 600; i++)); do
        now=$(tasks_done)
        [ "${now:-0}" -gt "${before:-0}" ] && break
        sleep 0.1
    done
    seconds=$((cut % 2 ? 2 + RANDOM % 5 : 17 + RANDOM % 6)) # a lease is 15 s
    ip link set "$outside" down
    sleep $seconds
    ip link set "$outside" up
    cut=$((cut + 1))
    echo "the link was down for $seconds s after $(tasks_done) tasks"
done
"$shotline" watch "$id" --timeout 120 2>"$work/watch.err" || fail "watch: $(cat "$work/watch.err")"
"$shotline" fetch "$id" -o "$work/out" --timeout 120 >/dev/null || fail "fetch"
compare_with_undisturbed "$work/out"
[ $cut -gt 0 ] || fail "the campaign was over before the first cut"
lost=$("$shotline" log -n 2000 | grep -c 'worker.lost')
[ "$lost" -gt 0 ] || fail "no worker was ever given up"
echo "$cut cuts, $lost times a worker was given up, $((SECONDS - begin)) s: manifests and files as undisturbed"
