/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the world switches of all vendors have in common, to be included: the general registers of a struct vcpu, at whose
 * beginning they lie, and the callee-saved ones of ours. RAX and RSP are each vendor's own.
 */

    .set RETURNS_PREDICTED, 32

    .macro save_own
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    .endm

    .macro restore_own
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    .endm

    /* Those that C keeps, from the vCPU at RDI: once for an entry that may be followed by others. */
    .macro load_kept
    movq 3*8(%rdi), %rbx
    movq 12*8(%rdi), %r12
    movq 13*8(%rdi), %r13
    movq 14*8(%rdi), %r14
    movq 15*8(%rdi), %r15
    .endm

    .macro store_kept
    movq %rbx, 3*8(%rdi)
    movq %r12, 12*8(%rdi)
    movq %r13, 13*8(%rdi)
    movq %r14, 14*8(%rdi)
    movq %r15, 15*8(%rdi)
    .endm

    /* Those that C may change. RDI, the vCPU, is the guest's afterwards. */
    .macro load_changed
    movq 1*8(%rdi), %rcx
    movq 2*8(%rdi), %rdx
    movq 5*8(%rdi), %rbp
    movq 6*8(%rdi), %rsi
    movq 8*8(%rdi), %r8
    movq 9*8(%rdi), %r9
    movq 10*8(%rdi), %r10
    movq 11*8(%rdi), %r11
    movq 7*8(%rdi), %rdi
    .endm

    /* On top of the stack is the vCPU, and stays; RDI is it afterwards. */
    .macro store_changed
    xchgq %rdi, (%rsp)
    movq %rcx, 1*8(%rdi)
    movq %rdx, 2*8(%rdi)
    movq %rbp, 5*8(%rdi)
    movq %rsi, 6*8(%rdi)
    movq %r8, 8*8(%rdi)
    movq %r9, 9*8(%rdi)
    movq %r10, 10*8(%rdi)
    movq %r11, 11*8(%rdi)
    popq 7*8(%rdi)
    pushq %rdi
    .endm

    /* Returns to before this function: the guest must not have said where to. A call in vain for each entry of the predictor;
     * what they have pushed stays on the stack. */
    .macro fill_predictor
    .rept RETURNS_PREDICTED
    call 3f
    int3
3:
    .endr
    .endm
