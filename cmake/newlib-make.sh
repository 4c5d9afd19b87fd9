#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# newlib-make.sh DIR: build all of newlib in the configured folder DIR.
set -euo pipefail
cd "$1"
if ! make -j"$(nproc)" >make.log 2>&1; then
    tail -n 20 make.log >&2
    exit 1
fi
