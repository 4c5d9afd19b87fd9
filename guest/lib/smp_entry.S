/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a started CPU begins: real mode, copied to SMP_TRAMPOLINE (guest/lib/smp.c). */
#define SMP_TRAMPOLINE 0x8000

    .section .rodata
    .code16
    .globl smp_trampoline
smp_trampoline:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl SMP_TRAMPOLINE + (gdt_pointer - smp_trampoline)
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x08, $SMP_TRAMPOLINE + (protected - smp_trampoline)
    .code32
protected:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $smp_boot_stack_top, %esp
    movl $smp_entry64, %ebx
    movl $guest_enter_long_mode, %eax
    jmp *%eax
    .balign 8
gdt:
    .quad 0
    .quad 0x00CF9B000000FFFF
    .quad 0x00CF93000000FFFF
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long SMP_TRAMPOLINE + (gdt - smp_trampoline)
    .globl smp_trampoline_end
smp_trampoline_end:

    .text
    .code64
smp_entry64:
    movq smp_stack, %rsp
    xorl %ebp, %ebp
    call smp_main
1:  cli
    hlt
    jmp 1b

    .section .bss
    .balign 16
    .skip 256
smp_boot_stack_top:

    .section .note.GNU-stack, "", @progbits
