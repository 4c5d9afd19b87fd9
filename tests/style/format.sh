#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# format.sh CLANG_FORMAT: every C file is as .clang-format wants it.
set -euo pipefail
mapfile -t files < <(git ls-files '*.c' '*.h' ':!tests/qemu-device')
[ "${#files[@]}" -gt 10 ] || { echo "format: only ${#files[@]} files found: not a checkout?"; exit 1; }
"$1" --dry-run -Werror "${files[@]}"
echo "format: ${#files[@]} files"
