#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# total.sh TOTAL PROGRAM RUNS MAX_LEN CORPUS [PROGRAM RUNS MAX_LEN CORPUS]...: run.sh for each, one after the other (CORPUS '-':
# none); fails unless all of them together executed TOTAL inputs.
set -euo pipefail
wanted=$1 total=0
shift
while [ $# -ge 4 ]; do
    corpus=()
    [ "$4" = - ] || corpus=("$4")
    out=$("$(dirname "${BASH_SOURCE[0]}")/run.sh" "$1" "$2" "$3" "${corpus[@]}") || {
        printf '%s\n' "$out"
        exit 1
    }
    count=$(sed -n 's/^stat::number_of_executed_units: *//p' <<<"$out")
    printf '%-24s %10d\n' "$(basename "$1")" "$count"
    total=$((total + count))
    shift 4
done
printf '%-24s %10d executions, none of which failed\n' all "$total"
[ "$total" -ge "$wanted" ]
