#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# run.sh PROGRAM RUNS MAX_LEN [CORPUS [GROWTH]]: a fixed number of runs of a libFuzzer program, from CORPUS ("": none). GROWTH is its
# -len_control: with 0 inputs are long from the beginning.
set -euo pipefail
program=$1 runs=$2 max_len=$3 corpus=${4:-} growth=${5:-100}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$work/log found=$work/found
mkdir "$found"
# A fixed seed: the test is repeatable; for a hunt run the program by hand, without -seed.
"$program" -seed=1 -runs="$runs" -max_len="$max_len" -len_control="$growth" -timeout=10 -rss_limit_mb=1024 \
    -artifact_prefix="$work/" -print_final_stats=1 "$found" ${corpus:+"$corpus"} 2>"$log" || {
    status=$?
    cat "$log"
    for artifact in "$work"/crash-* "$work"/timeout-* "$work"/oom-*; do
        [ -e "$artifact" ] && { echo "input that failed: $artifact"; base64 "$artifact"; }
    done
    exit "$status"
}
grep -E 'stat::(number_of_executed_units|operations)|Done|INITED' "$log"
