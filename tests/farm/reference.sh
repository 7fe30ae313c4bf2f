#!/usr/bin/env bash
# reference.sh SHOTLINE SWAPPED: two videos of one plan and seed, whose character has a reference image that differs in one
# colour which no word of the plan names. Each of their shots must show the colour of its own image.
program=$(realpath "$2")
. "$(dirname "$0")/lib.sh" "$1"
pack=${SHOTLINE_PACK:-$here/../../packs/tiny}
for which in a b; do
    cp "$here/reference_$which.png" "$work"
    cat >"$work/$which.cfg" <<END
name = "reference-$which";
takes = 1;
output = { crf = 10; };
cast = ( { id = "hero"; kind = "character"; phrase = "a green square monster with a crown"; image = "reference_$which.png"; } );
videos = ( { name = "$which"; plan = "plan.json"; seed = 3; } );
END
done
cp "$here/reference.json" "$work/plan.json"
for which in a b; do
    "$shotline" render "$work/$which.cfg" --pack "$pack" --state "$work/state" -o "$work" >"$work/said" 2>&1 ||
        fail "render $which: $(tail -n 3 "$work/said")"
done
swapped() { # MANIFEST-A MANIFEST-B
    "$program" "$work/state/blobs" "$work/$1.manifest.json" "$work/$2.manifest.json" "$work"/reference_[ab].png
}
swapped a b ||
    fail "the pattern does not follow the reference image"
swapped a a >/dev/null &&
    fail "a video is said to differ from itself"
swapped b a >/dev/null &&
    fail "the wrong image's colour passes as well"
echo "each shot shows the pattern of its own reference image"
