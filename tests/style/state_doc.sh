#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# state_doc.sh PROGRAM [--write]: the tables of docs/state.md are those of the sources.
set -euo pipefail
program=$1 page=docs/state.md
mark='<!-- From here on: tests/style/state_doc.sh build/tests/unit/state/unit-state-tables --write -->'
grep -qxF -e "$mark" "$page" || { echo "state_doc: $page has no line '$mark'"; exit 1; }
wanted=$(mktemp)
trap 'rm -f "$wanted"' EXIT
{ sed "/^<!-- From here on/q" "$page"; "$program" --print; } >"$wanted"
if [ "${2:-}" = --write ]; then
    cat "$wanted" >"$page"
    exit
fi
[ "$(grep -c '^### ' "$wanted")" -gt 10 ] || { echo "state_doc: hardly any sections"; exit 1; }
diff -u "$page" "$wanted" || { echo "state_doc: $page is not what the sources say; run the command that stands in it"; exit 1; }
