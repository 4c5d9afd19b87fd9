#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# qemu.sh OUT: a QEMU of Debian's newer suites, which is a client of vfio-user.
#
#   OUT/qemu       runs it, with all that it needs of its own suite; nothing is installed, and no root is needed
#   OUT/root       its files, with ROMs
#   OUT/release    its version
#
# Exit 77: it cannot be had here; the last line says why.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: ${0##*/} OUT" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=newer.sh
. "$here/newer.sh"
mkdir -p "$1"
out=$(cd "$1" && pwd)
apt=$out/apt
root=$out/root

# The first whose vfio-user-pci speaks to servers.
oldest=10.1

# The loader of its own libraries runs it.
write_runner() {
    local loader libraries=$root/usr/lib/x86_64-linux-gnu
    loader=$(find "$root" -name 'ld-linux-x86-64.so.2' | head -n 1)
    [ -n "$loader" ] || cannot "a loader in these packages"
    cat >"$out/qemu" <<END
#!/bin/sh
export QEMU_MODULE_DIR="$libraries/qemu"
exec "$loader" --library-path "$libraries" "$root/usr/bin/qemu-system-x86_64" \\
    -L "$root/usr/share/seabios" -L "$root/usr/share/qemu" "\$@"
END
    chmod 755 "$out/qemu"
}

find_version() {
    version=$("$out/qemu" --version 2>>"$apt/log" | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p')
    [ -n "$version" ] || cannot "a QEMU that runs here: what it says is above"
    dpkg --compare-versions "$version" ge "$oldest" ||
        cannot "the archive's newest QEMU is $version, and $oldest is the first that is a client of vfio-user"
    "$out/qemu" -device vfio-user-pci,help 2>>"$apt/log" | grep 'socket=' >/dev/null ||
        cannot "Debian's QEMU $version was built without vfio-user-pci"
}

begin "$here/qemu.sh" || exit 0
rm -rf "$out/stamp" "$root" "$apt"
read_newer
say "downloading QEMU (50 MB)"
fetch qemu-system-x86 ipxe-qemu
mkdir -p "$root"
while read -r deb; do
    dpkg-deb -x "$deb" "$root"
done < <(find "$apt/cache/archives" -name '*.deb')
write_runner
find_version
printf '%s\n' "$version" >"$out/release"
rm -rf "$apt"
fingerprint "$here/qemu.sh" >"$out/stamp"
say "ready: QEMU $version"
