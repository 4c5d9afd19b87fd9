/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * void svm_enter(struct vcpu *vcpu, hpa_t vmcb, hpa_t host): the world switch (AMD APM 2, 15.5). Interrupts are off at the call and
 * at the return: between CLGI and STGI nothing can come in, so STI only makes VMRUN save a host RFLAGS in which a physical
 * interrupt ends the guest's run; it is taken when the caller allows interrupts. RAX and RSP of the guest are in the VMCB, its
 * other registers at the beginning of VCPU.
 *
 * After an exit svm_quick() is asked first, with no more of the guest's registers put away than C may change. If it has
 * seen to the exit, the guest goes on at once: what has come in meanwhile ends its run before its first instruction. The
 * predictor of returns is not filled then: each return behind the exit is one of a call behind it.
 */
#include "vmm/vm/guest_registers.S"

    .text
    .globl svm_enter
    .type svm_enter, @function
svm_enter:
    save_own
    pushq %rdx
    pushq %rsi
    pushq %rdi
    movq %rsi, %rax
    clgi
    sti
    load_kept
1:
    vmload %rax
    load_changed
    vmrun %rax
    vmsave %rax
    store_changed
    movq 16(%rsp), %rax
    vmload %rax /* GS, TR and the rest of ours: before an exception or an interrupt may come */
    xorl %ebp, %ebp /* the end of a backtrace */
    call svm_quick
    testb %al, %al
    movq (%rsp), %rdi
    movq 8(%rsp), %rax
    jnz 1b
    store_kept
    fill_predictor
    addq $(8 * RETURNS_PREDICTED + 24), %rsp
    restore_own
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
