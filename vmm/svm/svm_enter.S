/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * void svm_enter(struct vcpu *vcpu, hpa_t vmcb, hpa_t host): the world switch (AMD APM 2, 15.5). Interrupts are off at the call and
 * at the return: between CLGI and STGI nothing can come in, so STI only makes VMRUN save a host RFLAGS in which a physical
 * interrupt ends the guest's run; it is taken when the caller allows interrupts. RAX and RSP of the guest are in the VMCB, its
 * other registers at the beginning of VCPU.
 *
 * After an exit svm_notify() is asked first, with no more of the guest's registers put away than C may change. If it has
 * seen to the exit, the guest goes on at once: what has come in meanwhile ends its run before its first instruction.
 */
    .set RETURNS_PREDICTED, 32

    .text
    .globl svm_enter
    .type svm_enter, @function
svm_enter:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdx
    pushq %rsi
    pushq %rdi
    movq %rsi, %rax
    clgi
    sti
    vmload %rax
    movq 3*8(%rdi), %rbx
    movq 12*8(%rdi), %r12
    movq 13*8(%rdi), %r13
    movq 14*8(%rdi), %r14
    movq 15*8(%rdi), %r15
1:
    movq 1*8(%rdi), %rcx
    movq 2*8(%rdi), %rdx
    movq 5*8(%rdi), %rbp
    movq 6*8(%rdi), %rsi
    movq 8*8(%rdi), %r8
    movq 9*8(%rdi), %r9
    movq 10*8(%rdi), %r10
    movq 11*8(%rdi), %r11
    movq 7*8(%rdi), %rdi
    vmrun %rax
    vmsave %rax
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
    movq 16(%rsp), %rax
    vmload %rax /* GS, TR and the rest of ours: before an exception or an interrupt may come */
    xorl %ebp, %ebp /* the end of a backtrace */
    call svm_notify
    movq (%rsp), %rdi
    testb %al, %al
    jz 2f
    movq 8(%rsp), %rax
    vmload %rax
    jmp 1b
2:
    movq %rbx, 3*8(%rdi)
    movq %r12, 12*8(%rdi)
    movq %r13, 13*8(%rdi)
    movq %r14, 14*8(%rdi)
    movq %r15, 15*8(%rdi)
    /* Returns to before this function: the guest must not have said where to. A call in vain for each entry of the predictor. */
    .rept RETURNS_PREDICTED
    call 3f
    int3
3:
    .endr
    addq $(8 * RETURNS_PREDICTED + 24), %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    cli
    stgi
    ret
    .size svm_enter, . - svm_enter

/* void svm_save_host(hpa_t host): what VMLOAD brings back after each exit. */
    .globl svm_save_host
    .type svm_save_host, @function
svm_save_host:
    movq %rdi, %rax
    vmsave %rax
    ret
    .size svm_save_host, . - svm_save_host

    .section .note.GNU-stack, "", @progbits
