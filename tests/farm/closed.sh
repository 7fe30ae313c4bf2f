#!/usr/bin/env bash
# A farm on tcp:// is closed: whoever has no key, a revoked one, an invite that was used or has expired, or a role that
# does not allow it is refused, hears why, and is logged once; so is who sends what is too large, malformed or not what
# its digest says, or opens too many connections. The farm goes on, remembers all of it after a kill, and renders for those who may.
. "$(dirname "$0")/lib.sh" "$1"
hostile=$(realpath "$2")
micro_pack "$work/pack"
build=$(dirname "$(dirname "$shotline")")
# Three ports in a row that nobody listens on now.
while :; do
    port=$((20000 + RANDOM % 12000))
    for p in $port $((port + 1)) $((port + 2)); do
        (exec 3<>/dev/tcp/127.0.0.1/$p) 2>/dev/null && continue 2
    done
    break
done
farm=tcp://127.0.0.1:$port
state=$HOME/.local/state/shotline
log=$work/state/log/coordinator.log
mkdir -p "$work/state/log"
pids=()
stop_all() {
    local status=$?
    kill -9 "${pids[@]}" 2>/dev/null
    (exit $status)
    finish
}
trap stop_all EXIT

start_coordinator() {
    "$build/coordinator/shotline-coordinator" --listen "$farm" --pack "$work/pack" "$@" >>"$log" 2>&1 &
    coordinator=$!
    pids+=($coordinator)
    for _ in {1..200}; do
        "$shotline" status --timeout 0.5 >/dev/null 2>&1 && return
        kill -0 $coordinator 2>/dev/null || return 1
        sleep 0.05
    done
    fail "the coordinator does not answer: $(tail -n 3 "$log")"
}
# refused "WORDS" COMMAND...: fails with one line that holds the words.
refused() {
    local words=$1
    shift
    "$@" >"$work/stdout" 2>"$work/stderr" && fail "$*: succeeded: $(cat "$work/stdout")"
    [ "$(wc -l <"$work/stderr")" -eq 1 ] && grep -qF -- "$words" "$work/stderr" ||
        fail "$*: expected one line with \"$words\", found: $(cat "$work/stderr")"
}
# answers "TEXT" CREDENTIAL CASE: what a hostile peer is told.
answers() {
    diff <(printf '%s' "$1") <("$hostile" "$2" "$3" | head -c -1) || fail "hostile $3: other answers than expected"
}
# logged N "WORDS": so often, and the farm still answers.
logged() {
    [ "$(grep -cF -- "$2" "$log")" -eq "$1" ] || fail "\"$2\": logged $(grep -cF -- "$2" "$log") times, expected $1"
    "$shotline" status >/dev/null || fail "the farm does not answer after \"$2\""
}
# as WHO COMMAND...: a user with a state folder of its own.
as() {
    local home=$work/$1
    mkdir -p "$home"
    HOME=$home "${@:2}"
}
credential() {
    echo "$work/$1/.local/state/shotline/farms/127.0.0.1:$port.json"
}
# member ROLE NAME: invites and joins.
member() {
    local line
    line=$("$shotline" invite "$1" --name "$2" 2>/dev/null) || fail "invite $1"
    as "$2" "$shotline" join "${line##* }" 2>/dev/null || fail "join as $2"
}

# Keys are made at the first start, for their owner alone, and the one who starts the farm may administrate it.
start_coordinator || fail "no coordinator: $(cat "$log")"
[ "$(stat -c %a "$state/keys" "$state"/keys/* | tr '\n' ' ')" = "700 600 600 " ] || fail "the keys are not private"
"$shotline" keys | grep -qE '^operator +operator +member' || fail "keys: $("$shotline" keys)"

# Without a key.
refused "there is no key for this farm" as stranger "$shotline" status --farm "$farm"
exec 9<>/dev/tcp/127.0.0.1/$((port + 1))
{ printf '\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL' && head -c 48 /dev/zero; } >&9
timeout 10 cat <&9 >/dev/null # until the farm hangs up
exec 9>&-
logged 1 'conversation=clients times=1 reason="it has no keys"'
sed "s/\"secret\": \"...../\"secret\": \"AAAAA/" "$state/keys/operator.json" >"$work/forged.json"
chmod 600 "$work/forged.json"
refused "does not accept our key" "$shotline" status --key "$work/forged.json" --timeout 20
logged 1 'conversation=door key='

# Key files that others can read.
chmod 644 "$work/forged.json"
refused "others can use it" "$shotline" status --key "$work/forged.json"

# Roles.
member viewer vera
member submitter sam
member operator olga
as vera "$shotline" status >/dev/null || fail "a viewer cannot see"
refused "this role does not allow it" as vera "$shotline" submit --plan "$here/plan.json" --name v
refused "this role does not allow it" as vera "$shotline" invite viewer
refused "this role does not allow it" as sam "$shotline" revoke olga
answers "hello: this role does not allow it" "$(credential sam)" work
answers $'put: this role does not allow it\nput: this role does not allow it\nput: this role does not allow it' \
    "$(credential vera)" wrong_digest
logged 1 'name="vera" reason="this role does not allow it"'
logged 1 'name="sam" reason="this role does not allow it"'

# An invite is good once, for its role, in its time.
line=$("$shotline" invite worker --name gpu 2>/dev/null)
used=${line##* }
refused "this line is for a worker" as gpu "$shotline" join "${line##* }"
refused "is cut off" as gpu "$shotline" join "${used%?}"
"$build/worker/shotline-worker" --join "$used" --join-only --state "$work/worker" 2>"$work/join.log" ||
    fail "a worker cannot join: $(cat "$work/join.log")"
refused "the invite was used already" "$build/worker/shotline-worker" --join "$used" --join-only --state "$work/thief"
refused "the invite was used already" "$build/worker/shotline-worker" --join "$used" --join-only --state "$work/thief"
logged 1 'reason="the invite was used already"'
line=$("$shotline" invite viewer --expires 1s 2>/dev/null)
sleep 1.2
refused "it has expired" as late "$shotline" join "${line##* }"
logged 1 'reason="the invite has expired"'
line=$("$shotline" invite viewer --name nobody 2>/dev/null)
"$shotline" revoke nobody 2>/dev/null || fail "revoke an invite"
refused "was revoked" as late "$shotline" join "${line##* }"

# What is too large, malformed, or not what it says.
answers $'oversized: the message is too large\nhuge: nothing' "$work/worker/farm.json" oversized
logged 1 'reason="the message is too large"'
answers $'put: bad digest\nput: bad digest\nput: bad digest' "$(credential sam)" wrong_digest
logged 1 'reason="the blob is not what its digest says"'
member viewer mallory
answers $'after a little: a status\nafter a lot: nothing' "$(credential mallory)" malformed
logged 1 'reason="malformed"'
logged 1 'reason="too much that was malformed"'

# Revoked while connected: the next message is refused.
touch "$work/hold"
"$hostile" "$(credential olga)" hold >"$work/hold" &
pids+=($!)
until grep -q '^first: a status' "$work/hold"; do
    kill -0 "${pids[-1]}" 2>/dev/null || fail "hold: $(cat "$work/hold")"
    sleep 0.05
done
"$shotline" revoke olga 2>/dev/null || fail "revoke olga"
wait "${pids[-1]}"
diff <(printf 'first: a status\nthen: the key is revoked\nstill: the key is revoked\n') "$work/hold" ||
    fail "a revoked operator hears something else"
logged 1 'name="olga" reason="the key is revoked"'
refused "does not accept our key" as olga "$shotline" keys --timeout 20

# All of it outlives a kill, and so do the keys.
kill -9 "$coordinator"
{ wait "$coordinator"; } 2>/dev/null
start_coordinator || fail "no coordinator after the kill: $(tail -n 3 "$log")"
refused "does not accept our key" as olga "$shotline" status --timeout 20
refused "the invite was used already" "$build/worker/shotline-worker" --join "$used" --join-only --state "$work/thief"

# And it renders: a worker that joined (the same line again changes nothing), a submitter, a viewer who fetches.
"$build/worker/shotline-worker" --join "$used" --state "$work/worker" >>"$work/state/log/worker.log" 2>&1 &
worker=$!
pids+=($worker)
id=$(as sam "$shotline" submit --plan "$here/plan.json" --name v --seed 7 --timeout 60) || fail "submit"
as vera "$shotline" watch "$id" --timeout 60 2>"$work/watch.err" || fail "watch: $(cat "$work/watch.err")"
as vera "$shotline" fetch "$id" -o "$work/out" >/dev/null || fail "fetch"
[ -s "$work/out/v.mp4" ] || fail "fetch left $(ls "$work/out")"
"$shotline" workers | grep -q " gpu " || fail "the worker does not bear the name of its key: $("$shotline" workers)"

# Only whoever has submitted a campaign, or an operator, cancels it.
second=$("$shotline" submit --plan "$here/plan.json" --name w --seed 8) || fail "second submit"
refused "only an operator" as sam "$shotline" cancel "$second"
third=$(as sam "$shotline" submit --plan "$here/plan.json" --name x --seed 9) || fail "third submit"
as sam "$shotline" cancel "$third" || fail "sam cannot cancel what is sam's"

# A revoked worker loses its lease at once, and ends. It is stopped in the middle of one, which cannot end meanwhile.
until kill -STOP $worker && sleep 0.3 && "$shotline" workers --json | grep -q '"running":"[a-z]'; do
    kill -CONT $worker 2>/dev/null || fail "the worker ended: $(tail -n 1 "$work/state/log/worker.log")"
    sleep 0.1
done
"$shotline" revoke gpu 2>"$work/revoked" || fail "revoke the worker"
kill -CONT $worker
grep -q '^gpu is shut out; 1 leases' "$work/revoked" || fail "revoke said: $(cat "$work/revoked")"
wait $worker && fail "a revoked worker went on"
grep -q "the key is revoked" "$work/state/log/worker.log" || fail "the worker says: $(tail -n 2 "$work/state/log/worker.log")"
"$shotline" workers --json | grep -q '"running":"[a-z]' && fail "a revoked worker still holds a lease"
line=$("$shotline" invite worker --name gpu 2>/dev/null) || fail "the name of a revoked worker is not free"
"$build/worker/shotline-worker" --join "${line##* }" --join-only --state "$work/worker" 2>"$work/join.log" ||
    fail "a new line does not bring a revoked worker back: $(cat "$work/join.log")"
"$shotline" keys | grep -qE '^gpu +worker +member' || fail "keys: $("$shotline" keys)"
"$shotline" cancel "$second" || fail "an operator cannot cancel"

# Four connections of one address: the others are hung up on, until those close.
kill -9 "$coordinator"
{ wait "$coordinator"; } 2>/dev/null
start_coordinator --connections 4 || fail "no coordinator with few connections: $(tail -n 3 "$log")"
open=() closed=0
for _ in {1..9}; do
    exec {fd}<>/dev/tcp/127.0.0.1/$((port + 1))
    timeout 3 cat <&$fd >/dev/null &
    open+=($!)
    exec {fd}>&-
done
for pid in "${open[@]}"; do
    wait "$pid" && closed=$((closed + 1))
done
[ $closed -eq 5 ] || fail "$closed of 9 connections were closed, expected 5"
logged 1 "its address has too many connections open"

# Keys that others can read stop the coordinator.
kill -9 "$coordinator"
{ wait "$coordinator"; } 2>/dev/null
chmod 640 "$state/keys/farm.key"
start_coordinator && fail "a coordinator started with a key that others can read"
tail -n 1 "$log" | grep -q "farm.key: it holds a secret and others can use it" || fail "it said: $(tail -n 1 "$log")"
chmod 600 "$state/keys/farm.key"
chmod 755 "$state/keys"
start_coordinator && fail "a coordinator started with a folder of keys that others can enter"
echo "refused: no key, a forged, revoked or misread one, used, expired and void invites, wrong roles, large, malformed and wrong messages"
