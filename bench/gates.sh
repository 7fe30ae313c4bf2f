#!/usr/bin/env bash
# gates.sh BUILD calibrate|try [PACK] - renders 60 shots over the embedded pack's vocabulary with a private farm, one take each, and
# calibrates the pack's gates on them (writes PACK/gates.json) or tries those that it has: how many of the shots each gate rejects, and
# which gate catches which defect. Both render shots of their own. WORK: where the render goes [a folder that is removed].
set -eu
[ $# -ge 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
build=$(realpath "$1")
what=$2
pack=$(realpath "${3:-$(dirname "$0")/../packs/tiny}")
case $what in
calibrate) RANDOM=1 ;;
try) RANDOM=2 ;;
*) echo "gates.sh: \"$what\": expected calibrate or try" >&2; exit 2 ;;
esac
if [ -z "${WORK:-}" ]; then
    WORK=$(mktemp -d /tmp/shotline-gates-XXXXXX)
    trap 'rm -rf "$WORK"' EXIT
fi
mkdir -p "$WORK"

# pick VALUE...: one of them.
pick() {
    shift $((RANDOM % $#))
    picked=$1
}

shot() {
    local place light size camera
    pick beach forest desert snow; place=$picked
    pick day night; light=$picked
    pick wide medium; size=$picked
    pick static static "pan left" "pan right" "zoom in"; camera=$picked
    pick 1.0 1.5 2.0 2.0 2.5 3.0 3.0 4.0
    printf '{"scene":%s,"place":"%s","light":"%s","size":"%s","angle":"eye level","camera":"%s",' "$1" "$place" "$light" "$size" "$camera"
    printf '"actors":[{"cast":"A","enters":1,"action":"%s"}],"duration":%s,"transition":"cut","match":0}' "$2" "$picked"
}

{
    echo 'name = "gates"; takes = 1;'
    echo 'videos = ('
    for video in $(seq 20); do
        pick red yellow green blue purple; colour=$picked
        if [ $((video % 5)) -eq 0 ]; then
            pick cup bottle; kind=product; phrase="a $colour $picked"
        else
            pick round square tall; body=$picked
            pick "" " with a crown" " with a top hat"; kind=character; phrase="a $colour $body monster$picked"
        fi
        {
            printf '{"cast":[{"id":"A","kind":"%s","phrase":"%s"}],"shots":[' "$kind" "$phrase"
            for number in 1 2 3; do
                pick standing "walking left" "walking right" waving
                [ $kind = character ] || picked="on display"
                [ $number = 1 ] || printf ','
                shot $number "$picked"
            done
            printf ']}\n'
        } >"$WORK/plan$video.json"
        [ "$video" = 1 ] || printf ','
        printf '{ name = "v%02d"; plan = "plan%d.json"; seed = %d; }\n' "$video" "$video" $((1000 + RANDOM))
    done
    echo ');'
} >"$WORK/gates.cfg"

"$build/client/shotline" render "$WORK/gates.cfg" --pack "$pack" --state "$WORK/state" -o "$WORK/out"
if [ "$what" = calibrate ]; then
    "$build/bench/gates" --state "$WORK/state" --calibrate "$pack/gates.json" "$WORK"/out/*.manifest.json
else
    "$build/bench/gates" --state "$WORK/state" --pack "$pack" "$WORK"/out/*.manifest.json
fi
