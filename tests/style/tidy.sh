#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tidy.sh CLANG_TIDY BUILD: clang-tidy over everything that BUILD/compile_commands.json compiles for
# the core and the loaders. A file that passed is not looked at again until it, a header or the
# settings change; BUILD/tidy keeps what passed.
set -euo pipefail
tidy=$1 build=$2
cache=$build/tidy
mkdir -p "$cache"

# How many states of a function the analyzer looks at. Its own limit, 225000, takes four times as long; give that, or
# more, for a longer look.
nodes=${PORTOLAN_TIDY_NODES:-50000}

# One key for all headers: a header may be included from anywhere.
headers=$(git ls-files -c -o --exclude-standard '*.h' .clang-tidy cmake | sort | xargs sha256sum | sha256sum | cut -c1-16)-$nodes

# A file is compiled for the target and for some tests on the host: once is enough here, for the target if it is.
# clang does not know these options of GCC's; they change nothing that it looks at.
mapfile -t files < <(/usr/bin/python3 - "$build/compile_commands.json" "$PWD" "$cache/compile_commands.json" <<'END'
import json, os, re, sys
top = sys.argv[2] + "/"
entries = {}
for entry in sorted(json.load(open(sys.argv[1])), key=lambda entry: "-fsanitize" in entry["command"]):
    name = os.path.realpath(entry["file"])
    relative = name[len(top):]
    if name.startswith(top) and name.endswith(".c") and relative.split("/")[0] in ("boot", "vmm", "drivers", "guest", "tools"):
        entry["command"] = re.sub(r" -fno-shrink-wrap| -mno-omit-leaf-frame-pointer| -fno-optimize-sibling-calls| -mindirect-branch\S*", "", entry["command"])
        entries.setdefault(relative, entry)
json.dump(list(entries.values()), open(sys.argv[3], "w"))
print("\n".join(sorted(entries)))
END
)
[ "${#files[@]}" -gt 5 ] || { echo "tidy: only ${#files[@]} files in compile_commands.json"; exit 1; }

# check FILE: exit 0 when FILE passes or passed before.
check() {
    local file=$1 key
    key=$cache/$(printf '%s' "$headers $file $(sha256sum <"$file")" | sha256sum | cut -c1-32)
    [ -e "$key" ] && return
    if "$tidy" -p "$cache" --quiet --extra-arg=-Wno-unknown-warning-option \
        --extra-arg=-Wno-ignored-optimization-argument --extra-arg=-Qunused-arguments \
        --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg="max-nodes=$nodes" \
        "$file" >"$key.log" 2>&1; then
        mv "$key.log" "$key"
    else
        cat "$key.log"
        rm -f "$key.log"
        return 1
    fi
}
export -f check
export tidy build cache headers nodes
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c 'check "$0" || exit 1'
echo "tidy: ${#files[@]} files"
