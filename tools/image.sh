#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# image.sh BUILD CFG OUT [FILE=NAME...]: a bootable disk image (GPT with one EFI system partition).
#
# The partition holds portolan.efi as \EFI\BOOT\BOOTX64.EFI, CFG as portolan.cfg beside it and the
# files that CFG names, at the same relative places: those in CFG's folder, or of BUILD/linux. FILE=NAME adds FILE as \EFI\BOOT\NAME.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin # sfdisk, for users who are not root

build=$1 cfg=$2 out=$3
shift 3
[ -r "$cfg" ] || { echo "image: $cfg: cannot be read" >&2; exit 1; }
export MTOOLS_SKIP_CHECK=1 MTOOLSRC=/dev/null

tmp=$out.tmp unpacked=$(mktemp -d)
trap 'rm -rf "$tmp" "$unpacked"' EXIT
. "$(dirname "$0")/files.sh"
read_files "$build" "$cfg" "$unpacked"

loader=$build/portolan.efi
bytes=$(stat -c %s "$loader" "$cfg" "${paths[@]}" | awk '{ n += $1 } END { print n }')
# FAT32 wants 65,525 clusters or more; one sector each keeps the smallest image at 36 MiB.
sectors=$(((bytes + bytes / 16) / 512 + 70000))
first=2048
rm -f "$tmp"
truncate -s $(((first + sectors + 2048) * 512)) "$tmp"
sfdisk -q "$tmp" <<END
label: gpt
start=$first, size=$sectors, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name="Portolan"
END
esp=$tmp@@$((first * 512))
mformat -i "$esp" -F -c 1 -T "$sectors" -h 255 -s 63 -v PORTOLAN ::

# put FILE NAME: copy to \EFI\BOOT\NAME, with the folders on the way.
put() {
    local path=EFI/BOOT part so_far=
    case $2 in */*) path=$path/$(dirname "$2") ;; esac
    IFS=/ read -ra parts <<<"$path"
    for part in "${parts[@]}"; do
        so_far=$so_far/$part
        mmd -i "$esp" -D s "::$so_far" >/dev/null 2>&1 || true
    done
    mcopy -i "$esp" -D o "$1" "::EFI/BOOT/$2"
}

put "$loader" BOOTX64.EFI
put "$cfg" portolan.cfg
for i in "${!names[@]}"; do
    put "${paths[$i]}" "${names[$i]}"
done
for extra in "$@"; do
    put "${extra%%=*}" "${extra#*=}"
done
mv "$tmp" "$out"
echo "image: $out: $((bytes / 1024)) KiB in $(((first + sectors + 2048) / 2048)) MiB; write it to a stick with: dd if=$out of=/dev/sdX bs=1M"
