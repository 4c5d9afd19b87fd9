#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build.sh BUILD_DIR: builds BUILD_DIR/portolan-mmr.so for the QEMU that is installed.
#
# The headers come from the source package of the very package that is installed, through apt, from
# the system's own sources in a private copy under BUILD_DIR; nothing of the system is changed and
# root is not needed. A QEMU that no package owns: set PORTOLAN_QEMU to the binary and
# PORTOLAN_QEMU_SOURCE to its unpacked source.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: ${0##*/} BUILD_DIR" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
build=$(cd "$1" && pwd)
python=/usr/bin/python3
so=$build/portolan-mmr.so

say() { printf 'qemu-device: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

qemu=$(command -v "${PORTOLAN_QEMU:-qemu-system-x86_64}") ||
    die "no ${PORTOLAN_QEMU:-qemu-system-x86_64}: install the package qemu-system-x86"

# What the result depends on: this binary, this source tree, these files.
fingerprint() {
    printf '%s\n' "${PORTOLAN_QEMU_SOURCE:-package}"
    stat -L -c '%n %s %Y' "$qemu"
    cat "$here"/build.sh "$here"/patches.py "$here"/src/*.[ch] | sha256sum
}

is_current() { [ -e "$so" ] && [ "$(cat "$build/stamp" 2>/dev/null)" = "$wanted" ]; }

wanted=$(fingerprint)
is_current && exit 0
exec 9>"$build/lock"
flock 9
is_current && exit 0

for tool in gcc objcopy pkg-config apt-get patch xz "$python"; do
    command -v "$tool" >/dev/null ||
        die "$tool is missing: install gcc libglib2.0-dev libpixman-1-dev pkg-config dpkg-dev python3"
done
pkg-config --exists glib-2.0 pixman-1 ||
    die "headers are missing: install libglib2.0-dev libpixman-1-dev"

# "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)"
version=$("$qemu" --version | sed -n '1s/^QEMU emulator version //p')

# The sources that apt has, as sources of source packages.
write_sources() {
    local list parts file
    list=$(apt-config shell f Dir::Etc::sourcelist/f) && eval "$list" && list=${f:-}
    parts=$(apt-config shell d Dir::Etc::sourceparts/d) && eval "$parts" && parts=${d:-}
    mkdir -p "$apt/parts"
    rm -f "$apt"/parts/*
    for file in "$list" "$parts"/*.list; do
        [ -r "$file" ] || continue
        sed -n 's/^[[:space:]]*deb[[:space:]]\+/deb-src /p' "$file" | grep -v 'cdrom:' || true
    done | sort -u >"$apt/sources.list"
    for file in "$parts"/*.sources; do
        [ -r "$file" ] || continue
        sed 's/^[Tt]ypes:.*/Types: deb-src/' "$file" >"$apt/parts/${file##*/}"
    done
}

# Only how to reach the archive is taken over: hooks of the system may want root.
write_apt_conf() {
    apt-config dump | grep '^Acquire::' >"$apt/apt.conf" || true
    cat >>"$apt/apt.conf" <<END
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "$apt/parts";
Dir::State "$apt/state";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
APT::Sandbox::User "";
END
}

download() {
    local package=$1 source_version=$2 apt=$build/apt
    mkdir -p "$apt"/{state,lists/partial,cache/archives/partial} "$build/download"
    : >"$apt/status"
    write_sources
    write_apt_conf
    say "reading the archive's list of source packages"
    # A third party's archive without sources is no failure: the next step decides.
    APT_CONFIG=$apt/apt.conf apt-get -q update >"$apt/log" 2>&1 || true
    say "downloading $package $source_version (about 25 MB)"
    (cd "$build/download" && APT_CONFIG=$apt/apt.conf apt-get -q source --download-only \
        --only-source "$package=$source_version" >>"$apt/log" 2>&1) || {
        cat "$apt/log" >&2
        die "the archive has no source of the installed $package $source_version: bring it up to" \
            "date with 'apt-get install qemu-system-x86' and try again"
    }
    rm -rf "$apt"
}

# Only headers and the QAPI schema are needed, and Debian's changes to those.
unpack() {
    local files=("$build"/download/*.orig.tar.*) debian=("$build"/download/*.debian.tar.*)
    mkdir -p "$tree.tmp"
    say "unpacking the headers"
    tar -C "$tree.tmp" --strip-components=1 --wildcards -xf "${files[0]}" \
        '*/include' '*/qapi' '*/scripts/qapi*' '*/linux-headers' '*/tcg/i386' '*/ebpf'
    tar -C "$tree.tmp" -xf "${debian[0]}" debian/patches
    "$python" "$here/patches.py" "$tree.tmp" | patch -d "$tree.tmp" -p1 -s -f
}

fetch_source() {
    local package source_version
    read -r package source_version < <(dpkg-query -W \
        -f '${source:Package} ${source:Version}\n' "$(owner)")
    # A rebuild (+b3) has no source of its own: this is the version it was built from.
    tree=$build/source-${source_version//[^A-Za-z0-9.+~-]/_}
    [ -e "$tree" ] && return
    rm -rf "$build"/source-* "$build/download"
    download "$package" "$source_version"
    unpack
    mv "$tree.tmp" "$tree"
    rm -rf "$build/download"
}

owner() {
    dpkg-query -S "$(readlink -f "$qemu")" 2>/dev/null | cut -d: -f1 | head -n 1 | grep . ||
        die "no package owns $qemu: set PORTOLAN_QEMU_SOURCE to its unpacked source"
}

# What QEMU's configure would find out, as far as its headers ask.
write_config() {
    local number=${version%% *} major minor micro option
    IFS=. read -r major minor micro <<<"$number"
    {
        for option in CONFIG_LINUX CONFIG_POSIX HOST_X86_64 CONFIG_EVENTFD CONFIG_ATOMIC64 \
            CONFIG_PTHREAD_SETNAME_NP_W_TID CONFIG_INT128 CONFIG_CMPXCHG128 CONFIG_IOVEC \
            CONFIG_TCG CONFIG_MODULES CONFIG_PLUGIN CONFIG_MADVISE CONFIG_FDATASYNC \
            CONFIG_EPOLL_CREATE1 HAVE_STRUCT_STAT_ST_ATIM; do
            echo "#define $option 1"
        done
        echo "#define QEMU_VERSION \"$number\""
        echo "#define QEMU_VERSION_MAJOR $major"
        echo "#define QEMU_VERSION_MINOR $minor"
        echo "#define QEMU_VERSION_MICRO $micro"
        echo "#define PORTOLAN_BUILT_FOR \"$version\""
    } >"$work/config-host.h"
    : >"$work/config-poison.h"
}

compile() {
    local work=$build/work includes flags
    rm -rf "$work"
    mkdir -p "$work/qapi"
    write_config
    say "generating QEMU's interface headers"
    "$python" -B "$tree/scripts/qapi-gen.py" -b -o "$work/qapi" "$tree/qapi/qapi-schema.json"
    read -ra includes < <(pkg-config --cflags glib-2.0 pixman-1)
    say "compiling for QEMU $version"
    flags=(-O2 -g -fPIC -std=gnu11 -Wall -Werror=implicit-function-declaration
        -fvisibility=hidden -fno-strict-aliasing -fno-common -fwrapv -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_LARGEFILE_SOURCE
        -iquote "$here/src" -iquote "$tree" -iquote "$tree/include" -iquote "$tree/tcg/i386"
        -iquote "$tree/host/include/x86_64" -iquote "$tree/host/include/generic"
        -I"$tree/include" -isystem "$tree/linux-headers" -I"$work" "${includes[@]}")
    (cd "$work" && printf '%s\0' "$here"/src/*.c |
        xargs -0 -n 1 -P "$(nproc)" gcc -c "${flags[@]}") ||
        die "the device does not know the inside of QEMU $version: use one that its README.md names"
    # Weak references let it load into any QEMU, so that it can say itself which one it wants.
    ld -r -o "$work/all" "$work"/*.o
    objcopy --weaken "$work/all"
    gcc -shared -o "$so.tmp" "$work/all"
    mv "$so.tmp" "$so"
}

if [ -n "${PORTOLAN_QEMU_SOURCE:-}" ]; then
    tree=$(cd "$PORTOLAN_QEMU_SOURCE" && pwd)
else
    fetch_source
fi
compile
printf '%s\n' "$wanted" >"$build/stamp"
say "ready: $so"
