/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions of VMX, and the registers that stay the guest's, for C: vmcs.h. Failures set CF or ZF (SDM 3, 31.2). */
    .macro function name
    .balign 16
    .globl \name
    .type \name, @function
\name:
    .endm

    .macro with_operand name, insn:vararg
    function \name
    pushq %rdi
    \insn (%rsp)
    seta %al
    popq %rdi /* changes no flags, and they are read already */
    ret
    .size \name, . - \name
    .endm

    .text
    /* From vmcs.h, with the field in RDI. */
    function vmx_refused_access
    subq $8, %rsp
    call vmx_refused_field /* does not return */
    .size vmx_refused_access, . - vmx_refused_access

    with_operand vmx_on, vmxon
    with_operand vmcs_clear, vmclear
    with_operand vmcs_load, vmptrld

    function vmx_invept
    pushq $0
    pushq %rsi
    invept (%rsp), %rdi
    leaq 16(%rsp), %rsp
    jbe vmx_refused_access
    ret
    .size vmx_invept, . - vmx_invept

    function vmx_read_cr2
    movq %cr2, %rax
    ret
    .size vmx_read_cr2, . - vmx_read_cr2

    function vmx_write_cr2
    movq %rdi, %cr2
    ret
    .size vmx_write_cr2, . - vmx_write_cr2

    function vmx_read_dr6
    movq %db6, %rax
    ret
    .size vmx_read_dr6, . - vmx_read_dr6

    function vmx_write_dr6
    movq %rdi, %db6
    ret
    .size vmx_write_dr6, . - vmx_write_dr6

    function vmx_serve_nmi
    int $2
    ret
    .size vmx_serve_nmi, . - vmx_serve_nmi

    .section .note.GNU-stack, "", @progbits
