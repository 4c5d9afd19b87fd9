#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# iso.sh BUILD CFG OUT.iso: a bootable ISO image with GRUB, for BIOS machines (also from a stick).
#
# It holds portolan.mb2, CFG as portolan.cfg and the files that CFG names (in CFG's folder, or of
# BUILD/linux), in /boot/portolan; its grub.cfg gives each to the VMM as a module, by the name that CFG has for it.
set -euo pipefail

build=$1 cfg=$2 out=$3
[ -r "$cfg" ] || { echo "iso: $cfg: cannot be read" >&2; exit 1; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"; rm -f "$out.tmp"' EXIT
root=$tmp/root
. "$(dirname "$0")/files.sh"
read_files "$build" "$cfg" "$tmp"
put() { # FILE NAME
    mkdir -p "$(dirname "$root/boot/portolan/$2")"
    cp -L --no-preserve=mode "$1" "$root/boot/portolan/$2"
}

# In GRUB's language, as in the shell's, all stands for itself between single quotes.
quoted() {
    printf "'%s'" "${1//\'/\'\\\'\'}"
}

# --nounzip: a module is the file, not what GRUB finds inside.
module() { # NAME
    printf 'module2 --nounzip %s %s\n' "$(quoted "/boot/portolan/$1")" "$(quoted "$1")"
}

put "$build/portolan.mb2" portolan.mb2
put "$cfg" portolan.cfg
for i in "${!names[@]}"; do
    put "${paths[$i]}" "${names[$i]}"
done
mkdir -p "$root/boot/grub"
{
    echo "set timeout=0"
    echo "insmod all_video"
    echo "multiboot2 /boot/portolan/portolan.mb2"
    module portolan.cfg
    for name in "${names[@]}"; do
        module "$name"
    done
    echo "boot"
} >"$root/boot/grub/grub.cfg"

grub-mkrescue -d /usr/lib/grub/i386-pc --output "$out.tmp" "$root" >"$tmp/log" 2>&1 || {
    cat "$tmp/log" >&2
    exit 1
}
mv "$out.tmp" "$out"
echo "iso: $out: $(($(stat -c %s "$out") / 1024)) KiB; burn it, give it to a virtual CD drive, or write it to a stick with: dd if=$out of=/dev/sdX bs=1M"
