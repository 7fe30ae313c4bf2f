# lib - what the farm tests share: the client's path as the first argument, a folder of their own, a micro pack, and checks.
# The pack's models are the random ones of the golden cases: pictures of noise, but every part of the road is real.
set -u
shotline=$(realpath "$1")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
golden=$here/../golden/goldens
work=$(mktemp -d /tmp/shotline-farm-XXXXXX)
export HOME=$work/home
unset XDG_STATE_HOME XDG_RUNTIME_DIR SHOTLINE_FARM
mkdir "$HOME"

# What a sanitizer said in a farm's logs; a farm's processes have no other way to tell.
sanitizers() {
    grep -hE -A 12 'ERROR: (Address|Leak)Sanitizer|runtime error:' "$work"/*/log/*.log \
        "$HOME"/.local/state/shotline/log/*.log 2>/dev/null
}

finish() {
    local status=$?
    if [ $status -eq 0 ] && sanitizers >&2; then
        echo "FAIL: a sanitizer complained" >&2
        status=1
    fi
    # The farms of a failed test are ended by their clients' death; the logs tell why it failed.
    [ -z "${client_pid:-}" ] || kill -9 "$client_pid" 2>/dev/null
    if [ $status -ne 0 ]; then
        for log in "$work"/*/log/*.log "$HOME"/.local/state/shotline/log/*.log; do
            [ -s "$log" ] && echo "--- ${log#"$work"/}" && tail -n 15 "$log"
        done >&2
    fi
    rm -rf "$work"
    exit $status
}
trap finish EXIT

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

micro_pack() {
    mkdir -p "$1"
    cp -r "$golden"/models/wan_vace/. "$1"
    cp -r "$golden"/models/qwen3_tied "$1"/planner
    cp "$here"/pack/shotline.json "$here"/pack/gates.json "$1"
    cp "$here"/pack/grammar.json "$1"/planner
}

# field FILE KEY: a text or number of a JSON file that has the key once, or the last of several.
field() {
    grep -oE "\"$2\": ?(\"[^\"]*\"|[0-9.]+)" "$1" | tail -n 1 | sed -E 's/^[^:]*: ?//; s/"//g'
}

# The four digests that say that two videos are the same.
digests() {
    local key
    for key in plan_digest latents_digest frames_digest video_digest; do
        [ "$(field "$1" $key | wc -c)" -eq 65 ] || fail "$1: no $key"
        echo "$key $(field "$1" $key)"
    done
}

same() {
    diff <(digests "$1") <(digests "$2") || fail "$1 and $2 are of different videos"
}

# ---- a farm whose processes the test starts itself, for this machine alone; they end with the test ----

own_farm() {
    micro_pack "$work/pack"
    build=$(dirname "$(dirname "$shotline")")
    export SHOTLINE_FARM=ipc://$work/run
    mkdir -m 700 "$work/run" "$work/state" "$work/state/log"
    log=$work/state/log/coordinator.log
    pids=()
    trap end_own_farm EXIT
}

end_own_farm() {
    local status=$?
    kill -CONT "${pids[@]}" 2>/dev/null
    kill -9 "${pids[@]}" 2>/dev/null
    (exit $status)
    finish
}

start() { # NAME COMMAND...: its process is $last then
    local name=$1
    shift
    "$@" >>"$work/state/log/$name.log" 2>&1 &
    last=$!
    pids+=("$last")
}

start_coordinator() { # OPTIONS...
    start coordinator "$build/coordinator/shotline-coordinator" --listen "$SHOTLINE_FARM" --state "$work/state" \
        --pack "$work/pack" "$@"
    coordinator=$last
}

start_worker() { # NAME OPTIONS...
    local name=$1
    shift
    start "$name" "$build/worker/shotline-worker" --farm "$SHOTLINE_FARM" --state "$work/$name" --name "$name" "$@"
    worker=$last
}
