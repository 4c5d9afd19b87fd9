/* SPDX-License-Identifier: BSD-2-Clause */

    .section .text
    .globl  cpu_enter_core
    .type   cpu_enter_core, @function
/* cpu_enter_core(RDI root, RSI stack, RDX entry, RCX hand-off); see boot/handoff.h. */
cpu_enter_core:
    cli
    cld
    /* Translations that the firmware made global would outlive its page tables. */
    mov     %cr4, %rax
    and     $~0x80, %rax
    mov     %rax, %cr4
    mov     %rdi, %cr3
    mov     %rsi, %rsp
    mov     %rcx, %rdi
    xor     %ebp, %ebp
    /* As after a call, with a return address that no code has. */
    push    $0
    jmp     *%rdx
    .size   cpu_enter_core, . - cpu_enter_core

    .section .note.GNU-stack, "", @progbits
