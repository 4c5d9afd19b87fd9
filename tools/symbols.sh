#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# symbols.sh ELF OUT.S: the functions of ELF as a table for vmm/host/backtrace.c, which says how names are packed.
set -euo pipefail
nm -n --defined-only "$1" | awk '
    # Three characters in 16 bits, the last word with fewer, or with none.
    function digit(c) { return index("abcdefghijklmnopqrstuvwxyz0123456789_.", c) ? index("abcdefghijklmnopqrstuvwxyz0123456789_.", c) : 39 }
    function pack(text,    i, k, word, out) {
        for (i = 1; ; i += 3) {
            word = 0
            for (k = 0; k < 3; k++)
                word = word * 40 + (i + k <= length(text) ? digit(substr(text, i + k, 1)) : 0)
            out = out (i > 1 ? ", " : "") word
            words++
            if (i + 2 > length(text)) return out
        }
    }
    BEGIN { n = 0 }
    $2 ~ /^[tT]$/ && $3 !~ /^(core_text|core_text_end|\.L.*)$/ && $1 >= "ffffffff80000000" {
        if ($1 == last) next # two names for one place: the first
        last = $1; address[n] = $1; name[n++] = $3
    }
    END {
        if (n < 10) { print "symbols: only " n " functions found" > "/dev/stderr"; exit 1 }
        print "/* SPDX-License-Identifier: BSD-2-Clause */\n/* Made by tools/symbols.sh. */"
        print "    .section .symbols, \"a\"\n    .balign 8"
        print "    .globl symbol_table, symbol_count, symbol_names\nsymbol_table:"
        words = 0
        for (i = 0; i < n; i++) {
            at = words; packed[i] = pack(name[i])
            printf "    .long 0x%s - 0xffffffff80000000\n    .short %d\n", address[i], at
        }
        if (words > 65535) { print "symbols: the names are too long" > "/dev/stderr"; exit 1 }
        print "    .balign 4\nsymbol_count: .long " n "\nsymbol_names:"
        for (i = 0; i < n; i++) print "    .short " packed[i]
        print "    .section .note.GNU-stack, \"\", @progbits"
    }' >"$2"
