# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# A state of apt's own in the folder $apt, for fetch.sh of guest/linux and build.sh of tests/peer: packages come from the
# system's own sources, with the archive's signatures checked, and nothing of the system is changed. Needs no root.

# The system's sources of packages. That one is for the system's architecture alone does not matter here.
apt_write_sources() {
    local list parts file
    list=$(apt-config shell f Dir::Etc::sourcelist/f) && eval "$list" && list=${f:-}
    parts=$(apt-config shell d Dir::Etc::sourceparts/d) && eval "$parts" && parts=${d:-}
    mkdir -p "$apt/parts"
    rm -f "$apt"/parts/*
    for file in "$list" "$parts"/*.list; do
        [ -r "$file" ] || continue
        sed -n -e 's/arch=[^] ]*//' -e 's/^[[:space:]]*deb[[:space:]]\+/deb /p' "$file" |
            grep -v 'cdrom:' || true
    done | sort -u >"$apt/sources.list"
    for file in "$parts"/*.sources; do
        [ -r "$file" ] || continue
        sed -e 's/^[Tt]ypes:.*/Types: deb/' -e '/^[Aa]rchitectures:/d' "$file" >"$apt/parts/${file##*/}"
    done
}

# apt_write_conf ARCHITECTURE...: only how to reach the archive is taken over: hooks of the system may want root.
apt_write_conf() {
    mkdir -p "$apt"/{state,lists/partial,cache/archives/partial}
    : >"$apt/status"
    apt-config dump | grep '^Acquire::' | grep -v '^Acquire::IndexTargets' >"$apt/apt.conf" || true
    cat >>"$apt/apt.conf" <<END
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "$apt/parts";
Dir::State "$apt/state";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
#clear APT::Architectures;
APT::Architectures {$(printf ' "%s";' "$@") };
APT::Sandbox::User "";
Acquire::Languages "none";
END
}
