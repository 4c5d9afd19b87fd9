/* SPDX-License-Identifier: BSD-2-Clause */
/* The 256 entry points of the guests' IDT; each pushes its vector and goes to guest_trap(). */
    .text
    .macro entry vector
    .balign 16
    .if \vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21 || \vector == 29 || \vector == 30
    nop /* the CPU has pushed an error code */
    nop
    .else
    pushq $0
    .endif
    pushq $\vector
    jmp trap_common
    .endm

    .balign 16
    .globl guest_trap_entries
guest_trap_entries:
    .set vector, 0
    .rept 256
    .altmacro
    entry %vector
    .noaltmacro
    .set vector, vector + 1
    .endr

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
    movq %rsp, %rbp
    andq $-16, %rsp
    call guest_trap
    movq %rbp, %rsp
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

    .section .note.GNU-stack, "", @progbits
