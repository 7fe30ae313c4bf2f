#!/bin/sh
# Fetches SwiftShader, a second software Vulkan, for the conformance tests: unpacks Debian's chromium-common into FOLDER and leaves
# FOLDER/swiftshader.json, the driver description that VK_DRIVER_FILES names. No browser is installed. Exit 77: not to be had here.
#
# Usage: swiftshader.sh FOLDER [--no-download]
set -eu

folder=${1:?usage: swiftshader.sh FOLDER [--no-download]}
mkdir -p "$folder"
cd "$folder"
folder=$PWD
[ -f swiftshader.json ] && exit 0
[ "${2:-}" = "--no-download" ] && { echo "SwiftShader is not in $folder"; exit 77; }

work=$(mktemp -d "$folder/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download chromium-common >download.log 2>&1 || { echo "chromium-common cannot be downloaded"; cat download.log; exit 77; }
for deb in chromium-common*.deb; do
    dpkg-deb -x "$deb" tree
done
library=$(find tree -name libvk_swiftshader.so | head -n 1)
[ -n "$library" ] || { echo "chromium-common has no libvk_swiftshader.so"; exit 77; }
mv "$library" "$folder/libvk_swiftshader.so"
cat >"$work/swiftshader.json" <<JSON
{ "file_format_version": "1.0.0", "ICD": { "library_path": "$folder/libvk_swiftshader.so", "api_version": "1.3.0" } }
JSON
mv "$work/swiftshader.json" "$folder/swiftshader.json"
