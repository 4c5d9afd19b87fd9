#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# fetch.sh APT TO PACKAGE:ARCHITECTURE...: download packages of Debian, of any architecture, without installing
# anything and without root.
#
# They come through apt, which checks the archive's signatures, from the system's own sources in a private copy in
# APT; nothing of the system is changed. TO/PACKAGE:ARCHITECTURE is then a file with the name of the .deb in TO. Of a
# package that only names the newest kernel (linux-image-amd64), the kernel is what is downloaded.
set -euo pipefail
# shellcheck source=../../tools/apt.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../tools/apt.sh"

apt=$1 to=$2
shift 2

say() { printf 'linux-images: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

read_lists() {
    say "reading the archive's lists of packages"
    # One list of several that fails (a third party's, a mirror being updated) is no failure: whether the packages
    # are there decides.
    apt-get -q --error-on=any update >"$apt/log" 2>&1 || say "not all lists could be read; what the others have is used"
    : >"$apt/ready"
}

# The name of the kernel that a package without contents depends on; any other package is meant itself.
real_name() {
    case $1 in
    linux-image-*.*) printf '%s\n' "${1%:*}" ;; # a kernel itself
    linux-image-*)
        apt-cache show --no-all-versions "$1" 2>>"$apt/log" |
            sed -n 's/^Depends:.*\(linux-image-[^ ,]*\).*/\1/p' | grep . || return 1
        ;;
    *) printf '%s\n' "${1%:*}" ;;
    esac
}

fetch() {
    local wanted=$1 architecture=${1##*:} name deb
    name=$(real_name "$wanted") || {
        cat "$apt/log" >&2
        die "the archive cannot be reached, or has no $wanted (what apt says is above): check the network and" \
            "the sources in /etc/apt, and try again"
    }
    say "downloading $name:$architecture"
    (cd "$to" && apt-get -q download "$name:$architecture" >>"$apt/log" 2>&1) || {
        cat "$apt/log" >&2
        die "$name:$architecture could not be downloaded (what apt says is above): try again"
    }
    # Debian writes the colon of a version as %3a in a file's name.
    deb=$(cd "$to" && printf '%s\n' "${name}"_*_"$architecture".deb | tail -n 1)
    [ -e "$to/$deb" ] || die "apt has downloaded $name:$architecture, but there is no $to/$deb"
    printf '%s\n' "$deb" >"$to/$wanted"
}

if [ ! -e "$apt/ready" ]; then
    apt_write_sources
    apt_write_conf amd64 i386
fi
export APT_CONFIG=$apt/apt.conf # the system's own configuration, until here
[ -e "$apt/ready" ] || read_lists
for package in "$@"; do
    [ -e "$to/$package" ] || fetch "$package"
done
