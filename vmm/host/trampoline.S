/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a started CPU begins: real mode, CS = page >> 4, IP = 0 (Intel SDM 3, 9.4.4). The page is copied to RAM below 1 MiB, so all
 * addresses are relative to it; EBX holds its address. The block at the end is filled in by smp.c.
 */
#define CR0_PE    (1 << 0)
#define CR0_PG    (1 << 31)
#define CR4_PAE   (1 << 5)
#define MSR_EFER  0xc0000080
#define EFER_LME_NXE ((1 << 8) | (1 << 11))
#define AT(label) (label - trampoline)

    .section .rodata.trampoline, "a"
    .balign 16
    .globl trampoline, trampoline_data, trampoline_end
    .code16
trampoline:
    cli
    movw %cs, %ax
    movw %ax, %ds
    movzwl %ax, %ebx
    shll $4, %ebx
    leal AT(gdt)(%ebx), %eax
    movl %eax, AT(gdt_pointer) + 2
    leal AT(protected)(%ebx), %eax
    movl %eax, AT(far_protected)
    leal AT(long_mode)(%ebx), %eax
    movl %eax, AT(far_long)
    lgdtl AT(gdt_pointer)
    movl %cr0, %eax
    orl $CR0_PE, %eax
    movl %eax, %cr0
    ljmpl *AT(far_protected)

    .code32
protected:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl %cr4, %eax
    orl $CR4_PAE, %eax
    movl %eax, %cr4
    movl AT(trampoline_data)(%ebx), %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME_NXE, %eax
    wrmsr
    movl %cr0, %eax
    orl $CR0_PG, %eax
    movl %eax, %cr0
    ljmpl *AT(far_long)(%ebx)

    .code64
long_mode:
    movq AT(trampoline_data) + 8(%rbx), %rsp
    movq AT(trampoline_data) + 16(%rbx), %rdi
    movq AT(trampoline_data) + 24(%rbx), %rax
    xorl %ebp, %ebp
    pushq $0
    jmp *%rax

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff /* 08: 32-bit code */
    .quad 0x00cf93000000ffff /* 10: data */
    .quad 0x00af9b000000ffff /* 18: 64-bit code */
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long 0
    .balign 8
far_protected:
    .long 0
    .word 0x08
    .balign 8
far_long:
    .long 0
    .word 0x18
    .balign 8
trampoline_data: /* struct trampoline_data in smp.c */
    .quad 0, 0, 0, 0
trampoline_end:

    .section .note.GNU-stack, "", @progbits
