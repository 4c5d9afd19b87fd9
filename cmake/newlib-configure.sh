#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# newlib-configure.sh TARBALL DIR: unpack newlib into DIR/source, configure it in DIR/build.
set -euo pipefail
tarball=$1 dir=$2
rm -rf "$dir" && mkdir -p "$dir/unpack" "$dir/build"
tar -xJf "$tarball" -C "$dir/unpack"
mv "$dir"/unpack/* "$dir/source"
rmdir "$dir/unpack"
cd "$dir/build"
if ! CC=gcc \
    CFLAGS="-O2 -g -ffreestanding -mno-red-zone -fno-pic -fno-pie -fno-stack-protector -fcf-protection=none -ffunction-sections -fdata-sections" \
    "$dir/source/newlib/configure" --host=x86_64-elf --disable-multilib \
    --disable-newlib-supplied-syscalls --disable-nls \
    AR=ar RANLIB=ranlib AS=as LD=ld READELF=readelf >configure.log 2>&1; then
    tail -n 20 configure.log >&2
    exit 1
fi
# The headers are made by the first make rule that wants them; the VMM needs them now.
make -s stmp-targ-include >>configure.log 2>&1
test -e targ-include/newlib.h
