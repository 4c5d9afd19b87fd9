# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# What build.sh and qemu.sh share: packages of Debian's newer suites through a private state of apt's in $apt, and the folder
# $out of what is made of them.

suite=trixie
tests_peer=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../tools/apt.sh
. "$tests_peer/../../tools/apt.sh"

say() { printf 'peer: %s\n' "$*" >&2; }

# cannot REASON: no failure of the project's.
cannot() {
    [ ! -e "$apt/log" ] || tail -n 20 "$apt/log" >&2
    printf 'cannot be had: %s\n' "$*"
    exit 77
}

# fingerprint FILE: what OUT was made by.
fingerprint() { cat "$1" "$tests_peer/newer.sh" | sha256sum; }

is_current() { [ "$(cat "$out/stamp" 2>/dev/null)" = "$(fingerprint "$1")" ]; }

# begin FILE TOOL...: wait for another that does the same; false: it is done.
begin() {
    local file=$1 tool
    shift
    is_current "$file" && return 1
    exec 9>"$out/lock"
    flock 9
    is_current "$file" && return 1
    for tool in apt-get dpkg-deb "$@"; do
        command -v "$tool" >/dev/null || cannot "$tool: install apt dpkg kmod util-linux xz-utils tar"
    done
}

# The sources that have the system's own suite, with newer suites in its place; no others.
newer_sources() {
    local codename file
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    apt_write_sources
    awk -v old="$codename" -v new="$suite" '{
        for (i = 2; i <= NF; i++) if ($i == old) { $i = new; print; $i = new "-backports"; print; next }
    }' "$apt/sources.list" >"$apt/newer.list"
    mv "$apt/newer.list" "$apt/sources.list"
    for file in "$apt"/parts/*.sources; do
        [ -e "$file" ] || continue
        awk -v old="$codename" -v new="$suite" 'BEGIN { RS = "" } {
            count = split($0, lines, "\n"); text = ""; hit = 0
            for (i = 1; i <= count; i++) {
                fields = split(lines[i], field, " ")
                if (field[1] == "Suites:") {
                    for (j = 2; j <= fields; j++) if (field[j] == old) hit = 1
                    lines[i] = "Suites: " new " " new "-backports"
                }
                text = text lines[i] "\n"
            }
            if (hit) print text
        }' "$file" >"$file.newer"
        mv "$file.newer" "$file"
    done
    cat "$apt/sources.list" "$apt"/parts/*.sources 2>/dev/null | grep -q "$suite-backports" ||
        cannot "the system's sources of packages have no suite '$codename' of Debian's to find '$suite-backports' beside"
}

# The lists of the newer suites, and no others.
read_newer() {
    mkdir -p "$apt"
    newer_sources
    apt_write_conf amd64
    export APT_CONFIG=$apt/apt.conf # the system's own configuration, until here
    say "reading the lists of $suite and $suite-backports"
    apt-get -q --error-on=any update >"$apt/log" 2>&1 || say "not all lists could be read; what the others have is used"
}

# fetch PACKAGE...: with all that they need.
fetch() {
    apt-get -q -y --no-install-recommends -t "$suite-backports" --download-only install "$@" >>"$apt/log" 2>&1 ||
        cannot "these packages of $suite-backports: $*"
}

debs() { find "$apt/cache/archives" -name "$1_*.deb"; }
