#!/usr/bin/env bash
# gates.sh BUILD calibrate|try [PACK] - renders 60 shots over the embedded pack's vocabulary with a private farm, one take each, and
# calibrates the pack's gates on them (writes PACK/gates.json) or tries those that it has: how many of the shots each gate rejects, and
# which gate catches which defect. Both render shots of their own. WORK: where the render goes [a folder that is removed]; what was
# rendered there with this pack is not rendered again. VIDEOS: of three shots each [20]. SEED: other shots [1 to calibrate, 2 to try].
set -eu
[ $# -ge 2 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
here=$(realpath "$(dirname "$0")")
build=$(realpath "$1")
what=$2
pack=$(realpath "${3:-$here/../packs/tiny}")
case $what in
calibrate) RANDOM=${SEED:-1} ;;
try) RANDOM=${SEED:-2} ;;
*) echo "gates.sh: \"$what\": expected calibrate or try" >&2; exit 2 ;;
esac
videos=${VIDEOS:-20}
shots=$((3 * videos))
if [ -z "${WORK:-}" ]; then
    WORK=$(mktemp -d /tmp/shotline-gates-XXXXXX)
    trap 'rm -rf "$WORK"' EXIT
fi
mkdir -p "$WORK"
cp "$here"/references/*.png "$WORK"

# deck NAME COUNT VALUE...: NAME becomes a list of COUNT, each value equally often, shuffled.
deck() {
    local -n to=$1
    local count=$2 i other swap
    shift 2
    to=()
    for ((i = 0; i < count; i++)); do
        to[i]=${*:i % $# + 1:1}
    done
    for ((i = count - 1; i > 0; i--)); do
        other=$((RANDOM % (i + 1)))
        swap=${to[i]}
        to[i]=${to[other]}
        to[other]=$swap
    done
}
place=() light=() size=() camera=() action=() seconds=() colour=() body=() hat=() product=()
deck place "$shots" beach forest desert snow
deck light "$shots" day night
deck size "$shots" wide medium
deck camera "$shots" static "pan left" "pan right" "zoom in"
deck action "$shots" standing "walking left" "walking right" jumping waving
deck seconds "$shots" 1.0 1.0 1.5 1.5 2.0 2.0 2.0 2.5 3.0 4.0
deck colour "$videos" red yellow green blue purple
deck body "$videos" round square tall
deck hat "$videos" "" " with a crown" " with a top hat"
deck product "$videos" cup bottle

# Members whose looks an image gives, two-coloured: KIND PHRASE, in the order of references/.
references=(red_round blue_square green_tall purple_round red_cup yellow_bottle)
kinds=(character character character character product product)
phrases=("a red round monster with a crown" "a blue square monster" "a green tall monster with a top hat" "a purple round monster"
    "a red cup" "a yellow bottle")

# member VIDEO: every third has an image, every fifth is a product.
member() {
    local r=$(($1 / 3 % ${#references[@]}))
    if [ $(($1 % 3)) -eq 0 ]; then
        id=${references[r]} kind=${kinds[r]} phrase=${phrases[r]}
    elif [ $(($1 % 5)) -eq 4 ]; then
        id=A kind=product phrase="a ${colour[$1]} ${product[$1]}"
    else
        id=A kind=character phrase="a ${colour[$1]} ${body[$1]} monster${hat[$1]}"
    fi
}

# shot NUMBER: of all, from 0.
shot() {
    local does=${action[$1]}
    [ "$kind" = character ] || does="on display"
    printf '{"scene":%d,"place":"%s","light":"%s","size":"%s",' $(($1 % 3 + 1)) "${place[$1]}" "${light[$1]}" "${size[$1]}"
    printf '"angle":"eye level","camera":"%s","actors":[{"cast":"%s","enters":1,"action":"%s"}],' "${camera[$1]}" "$id" "$does"
    printf '"duration":%s,"transition":"cut","match":0}' "${seconds[$1]}"
}

{
    echo 'name = "gates"; takes = 1;'
    echo 'cast = ('
    for r in "${!references[@]}"; do
        [ "$r" = 0 ] || printf ','
        printf '{ id = "%s"; kind = "%s"; phrase = "%s"; image = "%s.png"; }\n' "${references[r]}" "${kinds[r]}" "${phrases[r]}" "${references[r]}"
    done
    echo '); videos = ('
    for ((video = 0; video < videos; video++)); do
        member $video
        {
            printf '{"cast":[{"id":"%s","kind":"%s","phrase":"%s"}],"shots":[' "$id" "$kind" "$phrase"
            for k in 0 1 2; do
                [ $k = 0 ] || printf ','
                shot $((3 * video + k))
            done
            printf ']}\n'
        } >"$WORK/plan$video.json"
        [ $video = 0 ] || printf ','
        printf '{ name = "v%02d"; plan = "plan%d.json"; seed = %d; }\n' "$video" "$video" $((1000 + RANDOM))
    done
    echo ');'
} >"$WORK/gates.cfg"

"$build/client/shotline" render "$WORK/gates.cfg" --pack "$pack" --state "$WORK/state" -o "$WORK/out" >"$WORK/files"
manifests=("$WORK"/out/*.manifest.json)
if [ "$what" = calibrate ]; then
    "$build/bench/gates" --state "$WORK/state" --pack "$pack" --missed --calibrate "$pack/gates.json" "${manifests[@]}"
else
    "$build/bench/gates" --state "$WORK/state" --pack "$pack" --missed "${manifests[@]}"
fi
