#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# image_test.sh TOOLS BUILD FOREIGN: the images that are made hold a packed kernel unpacked, and other files as they are.
set -euo pipefail
tools=$1 build=$2 foreign=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export MTOOLS_SKIP_CHECK=1 MTOOLSRC=/dev/null

mkdir "$work/boot"
cp "$foreign/xen.gz" "$work/boot/xen.gz"
cp "$foreign/xen.gz" "$work/boot/module.gz"
cat >"$work/xen.cfg" <<'END'
[vm xen]
cpus = 1
memory = 64M
multiboot = boot/xen.gz
module = boot/module.gz
END
compare() { # WHERE
    cmp "$work/xen.gz" "$foreign/xen" && cmp "$work/module.gz" "$foreign/xen.gz" ||
        { echo "$1: wrong files" && exit 1; }
    rm -f "$work"/*.gz
}
"$tools/image.sh" "$build" "$work/xen.cfg" "$work/out.img"
for name in xen.gz module.gz; do
    mcopy -i "$work/out.img@@$((2048 * 512))" "::EFI/BOOT/boot/$name" "$work/$name"
done
compare image.sh
"$tools/iso.sh" "$build" "$work/xen.cfg" "$work/out.iso"
for name in xen.gz module.gz; do
    xorriso -osirrox on -indev "$work/out.iso" -extract "/boot/portolan/boot/$name" "$work/$name" 2>/dev/null
done
compare iso.sh

# What cannot be loaded never becomes an image.
sed -i 's/64M/2M/' "$work/xen.cfg"
for tool in image iso; do
    ! output=$("$tools/$tool.sh" "$build" "$work/xen.cfg" "$work/bad.$tool" 2>&1) &&
        [[ $output == *"VM 'xen' cannot be loaded"* ]] && [ ! -e "$work/bad.$tool" ] ||
        { echo "$tool.sh took a VM that cannot be loaded: $output" && exit 1; }
done
echo "image.sh and iso.sh: 2 files each as they should be, and 2 refusals"
