#!/usr/bin/env bash
# refusals - golden-check must fail, with a line that says why, on folders that are broken or do not agree.
#   refusals.sh GOLDEN_CHECK GOLDENS
set -u
check=$1 goldens=$2 failures=0
folder=$(mktemp -d "${TMPDIR:-/tmp}/shotline-refusals-XXXXXX")
trap 'rm -rf "$folder"' EXIT
ln -s "$goldens/models" "$folder/models"

# expect CASE SAYS COMMAND...: after COMMAND, run in a copy of the case, golden-check exits 1 and its line says SAYS.
expect() {
    local case=$1 says=$2 line status
    shift 2
    rm -rf "$folder/cases"
    mkdir "$folder/cases"
    cp -r "$goldens/cases/$case" "$folder/cases/"
    (cd "$folder/cases/$case" && "$@") || { echo "$case: could not do: $*"; failures=$((failures + 1)); return; }
    line=$("$check" --device ref "$folder" 2>&1)
    status=$?
    [ $status -eq 1 ] && grep -q "^$case .* FAIL .*$says" <<<"$line" && return
    echo "$case after $*: exit code $status, expected 1 and a line with FAIL and \"$says\":"
    echo "$line"
    failures=$((failures + 1))
}

halve() {
    truncate -s $(($(stat -c %s "$1") / 2)) "$1"
}

# The exponent of the last value, which the payload ends with.
spoil() {
    printf '\177' | dd of="$1" bs=1 seek=$(($(stat -c %s "$1") - 1)) conv=notrunc status=none
}

expect 05_unipc_shift3_steps4 'unknown kind "scheduler_none"' sed -i 's/"scheduler_unipc"/"scheduler_none"/' case.json
expect 05_unipc_shift3_steps4 'largest: ' spoil expected.safetensors
expect 05_unipc_shift3_steps4 'case.json' halve case.json
for case in 01_umt5_a 02_t2v_base 03_vace_ref 04_vae_decode_1f 04_vae_encode_1f 05_euler_shift3_steps4 06_pipe_t2v \
    06_pipe_vace_noref 07_qwen3_tied; do
    expect $case 'expected.safetensors is missing' rm expected.safetensors
    expect $case 'inputs.safetensors' rm inputs.safetensors
    expect $case 'inputs.safetensors' halve inputs.safetensors
    expect $case 'expected.safetensors' halve expected.safetensors
done
expect 01_umt5_bf16 'model.safetensors' halve text_encoder/model.safetensors
expect 01_umt5_bf16 'shared.weight' sed -i 's/"d_model": 64/"d_model": 48/' text_encoder/config.json
expect 06_pipe_t2v_text 'max_sequence_length' sed -i 's/"max_sequence_length": 64/"max_sequence_length": 1e12/' case.json
expect 08_qwen_tok_tied 'expected.json' rm expected.json
expect 08_qwen_tok_tied 'differs: ids of text' sed -i 's/A cat walks/A dog walks/' expected.json

[ $failures -eq 0 ] && echo "all refused"
exit $((failures > 0))
