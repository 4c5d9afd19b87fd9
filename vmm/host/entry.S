/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The core's first instructions (boot/handoff.h): RDI = struct handoff, the loader's stack and page tables, interrupts off. The canary
 * is set here, before the first function that uses it, and the stack is left for one that the core's own tables map too.
 */
#define HANDOFF_ENTROPY 96
#define BOOT_STACK_SIZE 16384

    .text
    .globl core_entry
    .type core_entry, @function
core_entry:
    cli
    cld
    xorl %ebp, %ebp
    rdtsc
    shlq $32, %rdx
    orq %rdx, %rax
    movabsq $0x9e3779b97f4a7c15, %rcx
    imulq %rcx, %rax
    xorq HANDOFF_ENTROPY(%rdi), %rax
    xorb %al, %al /* a NUL in it stops overruns by strings */
    movq %rax, __stack_chk_guard
    leaq boot_stack_top(%rip), %rsp
    pushq $0 /* where a backtrace ends; and the alignment that a call leaves */
    jmp core_start
    .size core_entry, . - core_entry

    .section .bss
    .balign 8
    .globl __stack_chk_guard
__stack_chk_guard: .skip 8
    .balign 4096
    .globl boot_stack_guard
boot_stack_guard: .skip 4096 /* unmapped by vmm_tables_build() */
    .skip BOOT_STACK_SIZE
    .globl boot_stack_top
boot_stack_top:

    .section .note.GNU-stack, "", @progbits
