#!/usr/bin/env bash
# quickstart - from a fresh clone on Debian 12 to a video: installs what is missing, builds, and renders
# deploy/quickstart.cfg with a farm of two workers on this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/packages.sh

install_packages $PACKAGES_BUILD $PACKAGES_RUN

echo "building"
cmake --preset release >/dev/null
cmake --build --preset release --target shotline shotline-coordinator shotline-worker -- --quiet

echo "rendering deploy/quickstart.cfg"
build/release/client/shotline render deploy/quickstart.cfg -o out --workers 2 --state build/state

echo
echo "the video: $PWD/out/two-monsters.mp4"
echo "its record: $PWD/out/two-monsters.manifest.json"
