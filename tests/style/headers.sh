#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# headers.sh BUILD: every header of the VMM compiles by itself.
set -euo pipefail
build=$1
mapfile -t headers < <(git ls-files 'vmm/*.h' 'drivers/*.h' 'boot/*.h' ':!boot/efi')
[ "${#headers[@]}" -gt 10 ] || { echo "headers: only ${#headers[@]} files found: not a checkout?"; exit 1; }
failed=0
for header in "${headers[@]}"; do
    gcc -std=gnu17 -ffreestanding -fsyntax-only -Wall -Wextra -Werror -Wno-unused-parameter -I. \
        -isystem "$build/newlib/build/targ-include" \
        -isystem "$build/newlib/source/newlib/libc/include" -x c - <<<"#include \"$header\"" ||
        { echo "headers: $header does not stand alone"; failed=1; }
done
echo "headers: ${#headers[@]} checked"
exit "$failed"
