/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bool vmx_enter(struct vcpu *vcpu, bool launched): the world switch (SDM 3, chapters 27 and 28). Interrupts are off at the call and
 * at the return. RSP, RIP and RFLAGS of the guest are in the VMCS, its other registers at the beginning of VCPU. False: VMLAUNCH or
 * VMRESUME refuses the VMCS's controls or the host's state, and the guest was not entered.
 *
 * After an exit by an instruction for a port vmx_notify() is asked first, with no more of the guest's registers put away than
 * C may change. If it has seen to the exit, the guest goes on at once: what has come in meanwhile ends its run before its first
 * instruction.
 */
#include "vmm/vm/guest_registers.S"

    /* vmcs.h */
    .set VMCS_EXIT_REASON, 0x4402
    .set VMCS_LENGTH, 0x440c
    .set VMCS_INTERRUPTIBILITY, 0x4824
    .set VMCS_QUALIFICATION, 0x6400
    .set VMCS_RIP, 0x681e
    .set VMCS_RFLAGS, 0x6820
    .set VMCS_HOST_RSP, 0x6c14
    .set VMCS_EXIT_IO, 30

    .macro read_field field, register
    movl $\field, %eax
    vmread %rax, \register
    .endm

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
    read_field VMCS_EXIT_REASON, %rax
    cmpl $VMCS_EXIT_IO, %eax
    jne 6f
    read_field VMCS_QUALIFICATION, %rsi
    read_field VMCS_RIP, %rdx
    read_field VMCS_LENGTH, %rcx
    read_field VMCS_RFLAGS, %r8
    read_field VMCS_INTERRUPTIBILITY, %r9
    addq %rdx, %rcx
    pushq %rcx
    call vmx_notify
    popq %rdx
    movq (%rsp), %rdi
    testb %al, %al
    jz 6f
    movl $VMCS_RIP, %eax
    vmwrite %rdx, %rax /* leaves ZF = 0: VMRESUME */
    jmp 1b
6:
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
