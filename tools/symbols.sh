#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# symbols.sh ELF OUT.S: the functions of ELF as a table for vmm/host/backtrace.c.
set -euo pipefail
nm -n --defined-only "$1" | awk '
    $2 ~ /^[tT]$/ && $3 !~ /^(core_text|core_text_end|\.L.*)$/ && $1 >= "ffffffff80000000" {
        if ($1 == last) next # two names for one place: the first
        last = $1; address[n] = $1; name[n++] = $3
    }
    END {
        if (n < 10) { print "symbols: only " n + 0 " functions found" > "/dev/stderr"; exit 1 }
        print "/* SPDX-License-Identifier: BSD-2-Clause */\n/* Made by tools/symbols.sh. */"
        print "    .section .symbols, \"a\"\n    .balign 8"
        print "    .globl symbol_table, symbol_count, symbol_names\nsymbol_table:"
        for (i = 0; i < n; i++) {
            printf "    .long 0x%s - 0xffffffff80000000, %d\n", address[i], offset
            offset += length(name[i]) + 1
        }
        print "symbol_count: .long " n "\nsymbol_names:"
        for (i = 0; i < n; i++) printf "    .asciz \"%s\"\n", name[i]
        print "    .section .note.GNU-stack, \"\", @progbits"
    }' >"$2"
