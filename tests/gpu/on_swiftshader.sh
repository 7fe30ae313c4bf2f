#!/bin/sh
# Runs a test program on SwiftShader: on_swiftshader.sh FOLDER PROGRAM [ARGS...]. Exit 77 (skipped) when tests/gpu/swiftshader.sh has not put it there.
set -eu
folder=$1
shift
"$(dirname "$0")/swiftshader.sh" "$folder" --no-download || exit $?
VK_DRIVER_FILES="$folder/swiftshader.json" VK_ICD_FILENAMES="$folder/swiftshader.json" exec "$@"
