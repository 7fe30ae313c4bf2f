# lib - what the chaos tests share: a farm of real processes that can be killed one by one, a campaign, and the same
# campaign undisturbed. Usage: . lib.sh SHOTLINE [PACK]; without a pack a micro pack is made of the golden models.
. "$(dirname "${BASH_SOURCE[0]}")/../farm/lib.sh" "$1"
build=$(dirname "$(dirname "$shotline")")
pack=${2:-}
declare -A pid=()
workers=${CHAOS_WORKERS:-3}

end_all() {
    local status=$?
    for name in "${!pid[@]}"; do
        kill -9 "${pid[$name]}" 2>/dev/null && wait "${pid[$name]}" 2>/dev/null
    done
    (exit $status)
    finish
}
trap end_all EXIT

# Several videos, so that there is always something under way; $1: how many.
make_campaign() {
    local i
    mkdir -p "$work/campaign" "$work/farm/log"
    cp "$here/../farm/plan.json" "$work/campaign/plan.json"
    {
        echo 'name = "chaos"; output = { width = 64; height = 64; }; videos = ('
        for ((i = 1; i <= $1; i++)); do
            echo "$([ $i -eq 1 ] || echo ,) { name = \"v$i\"; plan = \"plan.json\"; seed = $i; }"
        done
        echo ');'
    } >"$work/campaign/c.cfg"
    if [ -z "$pack" ]; then
        pack=$work/pack
        micro_pack "$pack"
        # Few steps: a fault should meet many kinds of work, not long ones.
        sed -i 's/"steps": 40/"steps": 4/; s/"handoff_step": 10/"handoff_step": 2/' "$pack/shotline.json"
    fi
}

# start NAME COMMAND...: in the background, its words into the log.
start() {
    local name=$1
    shift
    "$@" >>"$work/farm/log/$name.log" 2>&1 &
    pid[$name]=$!
}
start_coordinator() {
    start coordinator "$build/coordinator/shotline-coordinator" --listen "${farm:-ipc://$work/run}" \
        --state "$work/farm/state" --pack "$pack"
}
start_worker() {
    start "$1" "$build/worker/shotline-worker" --farm "${farm_of_workers:-${farm:-ipc://$work/run}}" \
        --state "$work/farm/$1" --name "$1"
}
# The shell says nothing of it, and nobody waits.
kill_hard() {
    disown "${pid[$1]}" 2>/dev/null
    kill -9 "${pid[$1]}" 2>/dev/null
    unset "pid[$1]"
}

# The same campaign with nobody in its way.
render_undisturbed() {
    "$shotline" render "$work/campaign/c.cfg" --pack "$pack" -o "$work/undisturbed" --state "$work/calm" --workers 2 \
        >/dev/null 2>"$work/undisturbed.err" || fail "undisturbed: $(tail -n 3 "$work/undisturbed.err")"
}

compare_with_undisturbed() {
    local file
    for file in "$work"/undisturbed/*; do
        cmp "$file" "$1/$(basename "$file")" || fail "$(basename "$file") is another one than undisturbed"
    done
    [ "$(ls "$work/undisturbed" | wc -l)" -eq "$(ls "$1" | wc -l)" ] || fail "other files: $(ls "$1")"
}

campaign_state() {
    "$shotline" status --json --timeout 10 2>/dev/null | grep "\"campaign\":$id," | sed -nE 's/.*"state":"([a-z]+)".*/\1/p'
}
tasks_done() {
    "$shotline" status --json --timeout 10 2>/dev/null | grep "\"campaign\":$id," |
        sed -nE 's/.*"tasks_done":([0-9]+).*/\1/p'
}
