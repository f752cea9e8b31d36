# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Which Debian packages beck needs, and installing those that are missing: the one list, for ./try and
# ./check. To be sourced.

packages_build=(
    gcc meson ninja-build pkg-config python3
    libevent-dev libfuse3-dev libisal-dev liblmdb-dev liblz4-dev libpcre2-dev librdkafka-dev libsnappy-dev
    libsystemd-dev libxxhash-dev libzstd-dev zlib1g-dev
)

# What the session of ./try uses besides.
packages_try=("${packages_build[@]}" fuse3 kcat)

# What the tests use besides.
# shellcheck disable=SC2034 # ./check uses it
packages_check=(
    "${packages_try[@]}"
    btrfs-progs clang clang-format g++ git less libclang-rt-14-dev libcmocka-dev mandoc
    python3-confluent-kafka python3-kafka ripgrep rsync shellcheck zsh
)

# What the clients stage uses besides: Java, Maven to fetch Java libraries with, and pip for Python.
# shellcheck disable=SC2034 # ./check uses it
packages_clients=(default-jdk-headless maven python3-venv)

# And Debian's go, node and cargo, where there is no other: many clients need newer ones than Debian's.
for_program() {
    command -v "$1" >/dev/null || packages_clients+=("${@:2}")
}
for_program go golang-go
for_program npm nodejs npm
for_program cargo cargo

# Run a command as root: as it is, or by sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Is this package installed?
package_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

# Install those of the named packages that are missing, saying which. Fails where that cannot be done.
install_packages() {
    local missing=() package
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        echo "This is no Debian: see to it that you have what these packages have:"
        echo "    $*"
        return 0
    fi
    for package in "$@"; do
        package_installed "$package" || missing+=("$package")
    done
    if [ "${#missing[@]}" -eq 0 ]; then
        return 0
    fi
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        echo "Packages are missing, and there is no sudo to install them with. As root, run:" >&2
        echo "    apt-get install --no-install-recommends ${missing[*]}" >&2
        return 1
    fi
    echo "Installing packages: ${missing[*]}"
    # What fails goes to stderr; stdout is a line or more for each of some hundred packages.
    as_root apt-get update -qq </dev/null >/dev/null ||
        echo "apt-get update failed; going on with the lists that are there" >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "${missing[@]}" </dev/null >/dev/null || return 1
}
