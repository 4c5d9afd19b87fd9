/* SPDX-License-Identifier: BSD-2-Clause */
/* The console font (GNU Unifont, from Debian's psf-unifont), unpacked by the build. */
    .section .rodata
    .balign 16
    .globl screen_font
screen_font:
    .incbin PORTOLAN_FONT, 0, 4 + 256 * 16

    .section .note.GNU-stack, "", @progbits
