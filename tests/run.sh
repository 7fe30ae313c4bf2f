#!/usr/bin/env bash
# run - installs what is missing, builds, and runs all tests twice: as they are, and under ASan and UBSan.
# The last line states what passed; the exit code is 0 only when nothing failed.
set -uo pipefail
cd "$(dirname "$0")/.."
. deploy/packages.sh

install_packages $PACKAGES_BUILD $PACKAGES_RUN $PACKAGES_TEST || exit 1

# Drivers keep memory until the process ends, which is not ours to mend. Everything else that leaks fails its test.
export LSAN_OPTIONS="suppressions=$PWD/tests/leaks.supp:print_suppressions=0"
export ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1"
export UBSAN_OPTIONS="print_stacktrace=1"

# A second software Vulkan for the exact kernels. Where it cannot be had, its tests are skipped.
tests/gpu/swiftshader.sh build/dev/swiftshader || echo "no SwiftShader here: its tests are skipped"
mkdir -p build/asan/swiftshader
cp build/dev/swiftshader/swiftshader.json build/asan/swiftshader/ 2>/dev/null

total=0 failed=0 skipped=0
run_preset() {
    local preset=$1 log=build/$1/tests.log
    shift
    cmake --preset "$preset" >/dev/null && cmake --build --preset "$preset" -- --quiet || {
        echo "$preset: the build failed"
        failed=$((failed + 1))
        return
    }
    ctest --preset "$preset" -j "$(nproc)" --no-tests=error "$@" 2>&1 | tee "$log" | grep -vE '^ *Start +[0-9]+:'
    local status=${PIPESTATUS[0]}
    local ran bad
    ran=$(sed -nE 's/.*tests failed out of ([0-9]+).*/\1/p' "$log" | tail -n 1)
    bad=$(sed -nE 's/.* ([0-9]+) tests failed out of.*/\1/p' "$log" | tail -n 1)
    total=$((total + ${ran:-0}))
    failed=$((failed + ${bad:-0}))
    skipped=$((skipped + $(grep -c '\*\*\*Skipped' "$log")))
    # ctest itself may fail where no test did: then nothing was tested.
    [ "$status" -eq 0 ] || [ "${bad:-0}" -gt 0 ] || failed=$((failed + 1))
    echo "$preset: ${ran:-0} tests, ${bad:-0} failed"
}

run_preset dev
run_preset asan

passed=$((total - failed - skipped))
[ $passed -ge 0 ] || passed=0
[ "$skipped" -eq 0 ] || echo "$skipped skipped (no device or tool for them here)"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
