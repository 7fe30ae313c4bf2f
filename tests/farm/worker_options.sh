#!/usr/bin/env bash
# What a worker is told wrongly: one line that names it, and nothing begun.
set -u
worker=$(realpath "$1")
work=$(mktemp -d /tmp/shotline-worker-XXXXXX)
trap 'rm -rf "$work"' EXIT

# refused CODE "WORDS" ARGUMENTS...
refused() {
    local code=$1 words=$2 status
    shift 2
    timeout 60 "$worker" "$@" >"$work/stdout" 2>"$work/stderr"
    status=$?
    if [ $status -ne "$code" ] || [ "$(wc -l <"$work/stderr")" -ne 1 ] || ! grep -qF -- "$words" "$work/stderr"; then
        echo "FAIL: $*: exit code $status, expected $code and one line with \"$words\", found: $(cat "$work/stderr")" >&2
        exit 1
    fi
    echo "refused: $(sed "s#$work#DIR#g" "$work/stderr")"
}
farm=ipc://$work/run

refused 2 "--farm: expected the address of a farm"
refused 2 '"nonsense"' --farm nonsense --state "$work/s"
refused 2 "--colour" --farm "$farm" --colour red
refused 2 "--cache-bytes" --farm "$farm" --cache-bytes 12x
refused 1 "file" --farm "$farm" --state /dev/null/file
mkdir "$work/s"
exec 9>"$work/s/lock"
flock 9
refused 2 "another worker uses this folder" --farm "$farm" --state "$work/s"
exec 9>&-
refused 1 "--pack: $work/no-pack" --farm "$farm" --state "$work/s" --pack "$work/no-pack"
refused 2 "no-such-device" --farm "$farm" --state "$work/s" --device no-such-device
"$worker" --version | grep -qx 'shotline-worker [0-9.]*' || { echo "FAIL: --version" >&2; exit 1; }
