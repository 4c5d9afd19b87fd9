/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uint32_t vmx_enter(struct vcpu *vcpu, bool launched): the world switch (SDM 3, chapters 27 and 28). Interrupts are off at the call
 * and at the return. RSP, RIP and RFLAGS of the guest are in the VMCS, its other registers at the beginning of VCPU. The exit's
 * reason, as the VMCS has it; VMX_NOT_ENTERED: VMLAUNCH or VMRESUME refuses the VMCS's controls or the host's state.
 *
 * After an exit by an instruction for a port vmx_quick() is asked first, with no more of the guest's registers put away than
 * C may change. If it has seen to the exit, the guest goes on at once: what has come in meanwhile ends its run before its first
 * instruction. The predictor of returns is not filled then: each return behind the exit is one of a call behind it.
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
    .set VMX_NOT_ENTERED, 0xffffffff /* vmx.h */

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
    movq 0*8(%rdi), %rax
    load_changed
    jnz 2f
    vmlaunch
    jmp 4f
2:
    vmresume
4:
    popq %rdi
    movl $VMX_NOT_ENTERED, %eax
    jmp 7f

    .globl vmx_exit_point
vmx_exit_point: /* the VMCS's host RIP */
    store_changed
    movq %rax, 0*8(%rdi)
    xorl %ebp, %ebp /* the end of a backtrace */
    read_field VMCS_EXIT_REASON, %rax
    cmpl $VMCS_EXIT_IO, %eax
    jne 6f
    read_field VMCS_QUALIFICATION, %rsi
    read_field VMCS_LENGTH, %rdx
    read_field VMCS_RIP, %rcx
    addq %rcx, %rdx
    read_field VMCS_RFLAGS, %rcx
    read_field VMCS_INTERRUPTIBILITY, %r8
    call vmx_quick
    movq (%rsp), %rdi
    testq %rax, %rax
    jz 5f
    movl $VMCS_RIP, %edx
    vmwrite %rax, %rdx
    movq 0*8(%rdi), %rax
    load_changed
    vmresume
    jmp 4b
5:
    movl $VMCS_EXIT_IO, %eax
6:
    store_kept
    fill_predictor
    addq $(8 * RETURNS_PREDICTED + 8), %rsp
    lfence /* the return that the last call in vain left over is not followed in speculation */
7:
    restore_own
    ret
    .size vmx_enter, . - vmx_enter

    .section .note.GNU-stack, "", @progbits
