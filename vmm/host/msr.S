/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bool fpu_write_xcr0(uint64_t value): as below, for XSETBV of register 0.
 * bool msr_try_read(uint32_t msr, uint64_t *value), bool msr_try_write(uint32_t msr, uint64_t value):
 * false when the instruction at label 1 faults; then the trap handler goes on at label 2.
 */
    .text
    .globl msr_try_read
    .type msr_try_read, @function
msr_try_read:
    movl %edi, %ecx
1:  rdmsr
    shlq $32, %rdx
    orq %rdx, %rax
    movq %rax, (%rsi)
    movl $1, %eax
    ret
2:  xorl %eax, %eax
    ret
    .size msr_try_read, . - msr_try_read
    .pushsection .expected_faults, "a"
    .quad 1b, 2b
    .popsection

    .globl msr_try_write
    .type msr_try_write, @function
msr_try_write:
    movl %edi, %ecx
    movl %esi, %eax
    movq %rsi, %rdx
    shrq $32, %rdx
1:  wrmsr
    movl $1, %eax
    ret
2:  xorl %eax, %eax
    ret
    .size msr_try_write, . - msr_try_write
    .pushsection .expected_faults, "a"
    .quad 1b, 2b
    .popsection

    .globl fpu_write_xcr0
    .type fpu_write_xcr0, @function
fpu_write_xcr0:
    xorl %ecx, %ecx
    movl %edi, %eax
    movq %rdi, %rdx
    shrq $32, %rdx
1:  xsetbv
    movl $1, %eax
    ret
2:  xorl %eax, %eax
    ret
    .size fpu_write_xcr0, . - fpu_write_xcr0
    .pushsection .expected_faults, "a"
    .quad 1b, 2b
    .popsection

    .section .note.GNU-stack, "", @progbits
