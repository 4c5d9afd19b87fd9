/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry points of all 256 vectors. Each pushes an error code, if the CPU has not, and its number; trap_common saves the registers
 * as struct trap_frame and calls trap_handle(). The VMM never leaves ring 0, so GS is always its own.
 */
    .text
    .altmacro
    .macro trap_entry vector
    .balign 16
    .if \vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21 || \vector == 29 || \vector == 30
    .else
    pushq $0
    .endif
    pushq $\vector
    jmp trap_common
    .endm

    .balign 16
    .globl trap_entries
    .type trap_entries, @object
trap_entries:
    .set vector, 0
    .rept 256
    trap_entry %vector
    .set vector, vector + 1
    .endr
    .balign 16
    .size trap_entries, . - trap_entries

    .type trap_common, @function
trap_common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    movq %rsp, %rbx /* kept across the call; the frame need not be aligned to 16 */
    andq $-16, %rsp
    call trap_handle
    movq %rbx, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq
    .size trap_common, . - trap_common

    .section .note.GNU-stack, "", @progbits
