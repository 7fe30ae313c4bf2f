#!/usr/bin/env bash
# Each bad input gives one clear line, a failure's exit code, and nothing half-written.
. "$(dirname "$0")/lib.sh" "$1"
micro_pack "$work/pack"

# refused CODE "WORDS" COMMAND...: the exit code, one line on stderr, which holds the words, and nothing in the output folder.
# refused_late: the same, but progress may have been told before.
refused() {
    refused_late "$@"
    [ "$(wc -l <"$work/stderr")" -eq 1 ] || fail "$3...: expected one line, found: $(cat "$work/stderr")"
}
refused_late() {
    local code=$1 words=$2 status
    shift 2
    rm -rf "$work/out"
    "$@" >"$work/stdout" 2>"$work/stderr"
    status=$?
    [ $status -eq "$code" ] || fail "$*: exit code $status, expected $code: $(cat "$work/stderr")"
    [ "$(grep -c '^shotline: ' "$work/stderr")" -eq 1 ] || fail "$*: expected one line, found: $(cat "$work/stderr")"
    tail -n 1 "$work/stderr" | grep -F -- "$words" | grep -q '^shotline: ' ||
        fail "$*: expected \"$words\", found: $(cat "$work/stderr")"
    [ -z "$(ls -A "$work/out" 2>/dev/null)" ] || fail "$*: left $(ls -A "$work/out")"
    echo "refused: $(tail -n 1 "$work/stderr" | sed "s#$work/##g")"
}
render() {
    "$shotline" render "$@" -o "$work/out" --state "$work/state" --pack "${pack:-$work/pack}" --workers 1
}
campaign() {
    printf '%s\n' "$1" >"$work/c.cfg"
}

# Campaign files and the command line: refused before anything starts.
campaign 'videos = ( { name = "v"; prompt = "x"; colour = 3; } );'
refused 1 "c.cfg:1: videos[0].colour: unknown key" render "$work/c.cfg"
campaign 'videos = ( { name = "v"; prompt = 7; } );'
refused 1 "c.cfg:1: videos[0].prompt: expected text in quotes, found an integer" render "$work/c.cfg"
campaign 'cast = ( { id = "mia"; kind = "character"; phrase = "x"; image = "none.png"; } );
videos = ( { name = "v"; prompt = "x"; } );'
refused 1 "c.cfg:1: cast[0].image: cannot read the reference image" render "$work/c.cfg"
refused 1 "none.cfg" render "$work/none.cfg"
refused 2 "--duration" render --prompt x --duration 12x
refused 2 "expected one of" render
echo x >"$work/file"
refused 1 "file/out" "$shotline" render --prompt x -o "$work/file/out" --state "$work/state" --pack "$work/pack"

# Nobody there.
refused 1 "unreachable coordinator" "$shotline" status --farm "ipc://$work/nobody" --timeout 0.5
SHOTLINE_FARM=ipc://$work/nobody refused 1 "unreachable coordinator" "$shotline" plan --prompt x --timeout 0.5
refused 2 "ipc:///" "$shotline" status --farm "nonsense"
refused 2 "is not the number of a campaign" "$shotline" cancel 99999999999999999999
refused 2 "--pack: a farm plans with its own" "$shotline" plan --prompt x --farm "ipc://$work/nobody" --pack "$work/pack"

# Where nobody says which farm: a folder in which somebody else could answer is not asked.
mkdir "$work/run" && ln -s "$work" "$work/run/shotline"
XDG_RUNTIME_DIR=$work/run refused 1 "expected a folder of this user" "$shotline" status
rm -r "$work/run"

# Packs.
spoil() {
    pack=$work/spoiled
    rm -rf "$pack"
    cp -r "$work/pack" "$pack"
}
spoil && rm "$pack/vae/diffusion_pytorch_model.safetensors"
refused 1 "vae: no weights: expected diffusion_pytorch_model.safetensors" render --prompt x
spoil && truncate -s 100000 "$pack/transformer/diffusion_pytorch_model.safetensors"
refused 1 "transformer/diffusion_pytorch_model.safetensors" render --prompt x
spoil && LC_ALL=C sed -i 's/\("condition_embedder.text_embedder.linear_1.weight":{"dtype":"F32","shape":\)\[64,48\]/\1[48,64]/' \
    "$pack/transformer/diffusion_pytorch_model.safetensors"
refused_late 1 "text_embedder.linear_1.weight" render --prompt x
spoil && sed -i 's/WanVACETransformer3DModel/UNet2DModel/' "$pack/transformer/config.json"
refused 1 "UNet2DModel" render --prompt x
spoil && rm "$pack/shotline.json"
refused 1 "shotline.json" render --prompt x
spoil && sed -i 's/"steps": 40/"steps": "eight"/' "$pack/shotline.json"
refused 1 "shotline.json: steps: expected an integer, found text" render --prompt x
pack=

# A plan that the pack cannot shoot.
sed 's/"forest"/"volcano"/' "$here/plan.json" >"$work/plan.json"
refused_late 1 "volcano" render --plan "$work/plan.json"

# A reference that is no picture, and one that only starts like one.
echo "not a picture" >"$work/mia.png"
campaign 'cast = ( { id = "mia"; kind = "character"; phrase = "a red round monster"; image = "mia.png"; } );
videos = ( { name = "v"; prompt = "mia"; duration = 2; } );'
refused 1 "c.cfg:1: cast[0].image: expected a PNG or JPEG picture" render "$work/c.cfg"
printf '\x89PNG\r\n\x1a\n and nothing more' >"$work/mia.png"
refused_late 1 "reference image" render "$work/c.cfg"

# A full disk: no file may grow beyond 16 KiB.
full_disk() {
    (
        trap '' XFSZ
        ulimit -f 16
        render --plan "$here/plan.json" --name v
    )
}
rm -rf "$work/state"
refused 1 "state/farm.db: prepare the file: disk I/O error" full_disk
