#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# total.sh WHAT TOTAL PROGRAM RUNS MAX_LEN CORPUS [PROGRAM RUNS MAX_LEN CORPUS]...: run.sh for each, one after the other (CORPUS '-':
# none); fails unless all of them together did TOTAL of WHAT: number_of_executed_units, or operations where a program counts them.
set -euo pipefail
what=$1 wanted=$2 total=0 growth=100
[ "$what" != operations ] || growth=0
shift 2
while [ $# -ge 4 ]; do
    corpus=$4
    [ "$corpus" != - ] || corpus=
    out=$("$(dirname "${BASH_SOURCE[0]}")/run.sh" "$1" "$2" "$3" "$corpus" "$growth") || {
        printf '%s\n' "$out"
        exit 1
    }
    count=$(sed -n "s/^stat::$what: *//p" <<<"$out")
    printf '%-24s %10d\n' "$(basename "$1")" "$count"
    total=$((total + count))
    shift 4
done
printf '%-24s %10d %s, none of which failed\n' all "$total" "$what"
[ "$total" -ge "$wanted" ]
