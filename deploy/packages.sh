# packages - what Shotline needs from Debian 12; sourced by quickstart.sh and tests/run.sh.

PACKAGES_BUILD="gcc libc6-dev cmake ninja-build pkg-config glslc protobuf-c-compiler protobuf-compiler
    libconfig-dev libsodium-dev libjansson-dev libczmq-dev libzmq3-dev libprotobuf-c-dev libsqlite3-dev libvulkan-dev
    libpcre2-dev libutf8proc-dev libavcodec-dev libavformat-dev libavutil-dev libswscale-dev libcmocka-dev"
PACKAGES_RUN="mesa-vulkan-drivers"
PACKAGES_TEST="vulkan-validationlayers libopenblas-dev procps"

# install_packages NAME...: installs those that are missing, as root or by sudo. Says nothing when all are there.
install_packages() {
    local missing=() name
    for name in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "these packages are missing, and neither root nor sudo is at hand: ${missing[*]}" >&2
            return 1
        }
        as_root=(sudo)
    fi
    echo "installing ${missing[*]}"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
