/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bool vmx_enter(struct vcpu *vcpu, bool launched): the world switch (SDM 3, chapters 27 and 28). Interrupts are off at the call and
 * at the return. RSP, RIP and RFLAGS of the guest are in the VMCS, its other registers at the beginning of VCPU. False: VMLAUNCH or
 * VMRESUME refuses the VMCS's controls or the host's state, and the guest was not entered.
 *
 * After an exit vmx_notify() is asked first, with no more of the guest's registers put away than C may change. If it has
 * seen to the exit, the guest goes on at once: what has come in meanwhile ends its run before its first instruction.
 */
    .set RETURNS_PREDICTED, 32
    .set VMCS_HOST_RSP, 0x6c14

    .text
    .globl vmx_enter
    .type vmx_enter, @function
vmx_enter:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    movl $VMCS_HOST_RSP, %eax
    vmwrite %rsp, %rax
    movq 3*8(%rdi), %rbx
    movq 12*8(%rdi), %r12
    movq 13*8(%rdi), %r13
    movq 14*8(%rdi), %r14
    movq 15*8(%rdi), %r15
    testb %sil, %sil
1:
    movq 0*8(%rdi), %rax
    movq 1*8(%rdi), %rcx
    movq 2*8(%rdi), %rdx
    movq 5*8(%rdi), %rbp
    movq 6*8(%rdi), %rsi
    movq 8*8(%rdi), %r8
    movq 9*8(%rdi), %r9
    movq 10*8(%rdi), %r10
    movq 11*8(%rdi), %r11
    movq 7*8(%rdi), %rdi
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
    xchgq %rdi, (%rsp)
    movq %rax, 0*8(%rdi)
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
    xorl %ebp, %ebp /* the end of a backtrace */
    call vmx_notify
    movq (%rsp), %rdi
    testb %al, %al
    jnz 1b
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
    addq $(8 * RETURNS_PREDICTED + 8), %rsp
    lfence /* the return that the last call in vain left over is not followed in speculation */
    movl $1, %eax
5:
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
    .size vmx_enter, . - vmx_enter

    .section .note.GNU-stack, "", @progbits
