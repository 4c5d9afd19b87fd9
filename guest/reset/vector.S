/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From 64-bit mode down to real mode, and to the reset vector: the last resort of old systems. The part after the first far
 * return runs at RESET_CODE, below 1 MiB, where real mode can reach it; main() copies it there.
 */
#define RESET_CODE 0x9000
#define AT(label) (RESET_CODE + (label - reset_code))

    .text
    .code64
    .globl reset_by_vector
reset_by_vector:
    cli
    movl $RESET_CODE, %esp
    lgdt guest_gdt_pointer
    pushq $0x18
    pushq $RESET_CODE
    lretq

    .section .rodata
    .globl reset_code
reset_code:
    .code32
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %ss
    movl %cr0, %eax /* leave paging, and with it long mode */
    andl $0x7fffffff, %eax
    movl %eax, %cr0
    movl $0xc0000080, %ecx
    rdmsr
    andl $~0x100, %eax
    wrmsr
    ljmp $0x20, $AT(sixteen)
    .code16
sixteen:
    movw $0x28, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl %cr0, %eax
    andl $~1, %eax
    movl %eax, %cr0
    ljmp $0xf000, $0xfff0
    .globl reset_code_end
reset_code_end:

    .section .note.GNU-stack, "", @progbits
