/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bool vmx_enter(struct vcpu *vcpu, bool launched): the world switch (SDM 3, chapters 27 and 28). Interrupts are off at the call and
 * at the return. RSP, RIP and RFLAGS of the guest are in the VMCS, its other registers at the beginning of VCPU. False: VMLAUNCH or
 * VMRESUME refuses the VMCS's controls or the host's state, and the guest was not entered.
 *
 * After an exit vmx_notify() is asked first, with no more of the guest's registers put away than C may change. If it has
 * seen to the exit, the guest goes on at once: what has come in meanwhile ends its run before its first instruction.
 */
#include "vmm/vm/guest_registers.S"

    .set VMCS_HOST_RSP, 0x6c14

    .text
    .globl vmx_enter
    .type vmx_enter, @function
vmx_enter:
    save_own
    pushq %rdi
    movl $VMCS_HOST_RSP, %eax
    vmwrite %rsp, %rax
    load_kept
    testb %sil, %sil
1:
    movq 0*8(%rdi), %rax
    load_changed
    jnz 2f
    vmlaunch
    jmp 4f
2:
    vmresume
4:
    popq %rdi
    xorl %eax, %eax
    jmp 5f

    .globl vmx_exit_point
vmx_exit_point: /* the VMCS's host RIP */
    store_changed
    movq %rax, 0*8(%rdi)
    xorl %ebp, %ebp /* the end of a backtrace */
    call vmx_notify
    movq (%rsp), %rdi
    testb %al, %al
    jnz 1b
    store_kept
    fill_predictor
    addq $(8 * RETURNS_PREDICTED + 8), %rsp
    lfence /* the return that the last call in vain left over is not followed in speculation */
    movl $1, %eax
5:
    restore_own
    ret
    .size vmx_enter, . - vmx_enter

    .section .note.GNU-stack, "", @progbits
