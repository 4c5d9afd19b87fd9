#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# branches.sh CORE: the VMM's code has no indirect jump or call, whose predictor guests can train, but the one to a CPU's
# first stack, before it has any guest.
set -euo pipefail
code=$(objdump -d --no-show-raw-insn "$1")
[ "$(grep -c '^[0-9a-f]* <' <<<"$code")" -gt 100 ] || { echo "branches: $1 has no code"; exit 1; }
found=$(awk '/^[0-9a-f]+ </ { name = $2 } /(call|jmp) +\*/ { print name, $0 }' <<<"$code" | grep -v '^<cpu_enter_main_stack>:' || true)
[ -z "$found" ] || { printf 'branches: compiled without the flags of cmake/core.cmake?\n%s\n' "$found"; exit 1; }
