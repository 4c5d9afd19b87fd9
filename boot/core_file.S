/* SPDX-License-Identifier: BSD-2-Clause */
/* The VMM core's ELF file, as it was built. */

    .section .rodata
    .balign 16
    .globl  core_file
    .globl  core_file_end
core_file:
    .incbin PORTOLAN_CORE_ELF
core_file_end:

    .section .note.GNU-stack, "", @progbits
