#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# check-core.sh PASS1 FINAL [KIB]: what the build promises of the VMM core, which has KIB at most.
set -euo pipefail
pass1=$1 final=$2 size_max=$((${3:-512} * 1024))

fail() {
    echo "check-core: $*" >&2
    rm -f "$final"
    exit 1
}

# The second pass has moved nothing, or the table of symbols would lie.
moved=$(join -j 2 -o 1.1,2.1,0 <(nm --defined-only "$pass1" | awk '$2 ~ /^[tT]$/ { print $1, $3 }' | sort -k 2,2 -u) \
    <(nm --defined-only "$final" | awk '$2 ~ /^[tT]$/ { print $1, $3 }' | sort -k 2,2 -u) | awk '$1 != $2' | head -n 3)
[ -z "$moved" ] || fail "the symbol table has moved code: $moved"

# The guests' floating-point and vector registers stay in the CPU while the VMM runs; only vmm/host/fpu.c copies them out and in.
vector=$(objdump -d --no-show-raw-insn "$final" |
    awk '/^[0-9a-f]+ <.*>:$/ { skip = $2 ~ /^<fpu_/ } !skip' |
    grep -E '%[xyz]mm[0-9]|%st\b|%mm[0-7]|\b(fxsave|fxrstor|xsave|xrstor|fninit|emms)' | head -n 3 || true)
[ -z "$vector" ] || fail "an instruction uses floating-point or vector registers:"$'\n'"$vector"

# W^X in the file already.
if readelf -lW "$final" | awk '$1 == "LOAD"' | grep -q 'RWE'; then
    fail "a segment is both writable and executable"
fi

stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
objcopy --strip-all "$final" "$stripped"
size=$(stat -c %s "$stripped")
[ "$size" -le "$size_max" ] || fail "the core has $size bytes, more than $size_max"
echo "core: $((size / 1024)) KiB, $(size "$final" | awk 'NR == 2 { print int($4 / 1024) }') KiB in memory"
