/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From 64-bit mode down to real mode and back: long → compatibility → protected → real → protected with
 * PAE-less paging, another task and back → protected → long. Copied to MODES_CODE, below 1 MiB, where real mode can reach it.
 *
 * Each station leaves its mark in MODES_MARKS; modes_descend() returns to its caller in 64-bit mode.
 */
#define MODES_CODE  0x9000
#define MODES_MARKS 0xa000
#define MODES_STACK 0xb000
#define AT(label) (MODES_CODE + (label - modes_code))
#define MARK(n, value) movl $value, MODES_MARKS + 4 * n

    .text
    .code64
    .globl modes_descend
modes_descend:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushfq
    cli
    sidt saved_idt
    sgdt saved_gdt
    movq %rsp, saved_stack
    movl $MODES_STACK, %esp
    lgdt guest_gdt_pointer
    movl $AT(compatibility), %eax
    pushq $0x18
    pushq %rax
    lretq
back:
    movq saved_stack, %rsp
    lgdt saved_gdt
    lidt saved_idt
    movq saved_gdt + 2, %rax
    andb $~2, 0x35(%rax) /* the 64-bit TSS, busy since it was loaded first */
    movl $0x30, %eax
    ltr %ax
    popfq
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    .section .rodata
    .globl modes_code
modes_code:
    .code32
compatibility:
    MARK(0, 0xc0)
    movl $0xa5, %esi /* kept over the task switch */
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %cr0, %eax /* leave paging, and with it long mode */
    andl $0x7fffffff, %eax
    movl %eax, %cr0
    movl $0xc0000080, %ecx
    rdmsr
    andl $~0x100, %eax
    wrmsr
    movl %cr4, %eax
    andl $~0x20, %eax
    movl %eax, %cr4
    MARK(1, 0x32)
    ljmp $0x20, $AT(sixteen)
    .code16
sixteen: /* real mode keeps the limits: 64 KiB is what it needs, and FS has none (SDM 3, 9.9.2) */
    movw $0x28, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw %ax, %fs
    movw %ax, %gs
    movl %cr0, %eax
    andl $~1, %eax
    movl %eax, %cr0
    ljmp $0, $AT(real)
real:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $MODES_STACK, %sp
    lidt AT(real_idt)
    movl $0x16, MODES_MARKS + 8
    movw $0x1234, %ax
    pushw %ax
    popw %bx
    movw %bx, MODES_MARKS + 12
    movl $0, 0x40 * 4 /* a real-mode interrupt, through the vector table at 0 */
    movw $AT(real_handler), 0x40 * 4
    int $0x40
    movw $0xffff, %ax /* FFFF:0010 is linear 0x100000, A20 being on */
    movw %ax, %fs
    movl %fs:0x10, %eax
    movl %eax, MODES_MARKS + 16
    lgdtl guest_gdt_copy
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x18, $AT(protected)
real_handler:
    movl $0x40, MODES_MARKS + 20
    iretw
    .code32
protected:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movl $MODES_STACK, %esp
    MARK(6, 0x33)
    movl %cr4, %eax /* two-level paging with 4 MiB pages */
    orl $0x10, %eax
    movl %eax, %cr4
    movl $modes_page_directory, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    MARK(7, 0x22)
    movw $0x30, %ax
    ltr %ax
    cmpl $0, modes_no_task
    jne 1f
    lcall $0x38, $0 /* a task switch, which saves this task's registers and loads the other's */
    clts
1:
    movl %esi, MODES_MARKS + 36
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0
    movl %cr4, %eax
    andl $~0x10, %eax
    movl %eax, %cr4
    movl %cr4, %eax /* PAE paging, still 32-bit */
    orl $0x20, %eax
    movl %eax, %cr4
    movl $modes_pae_pointers, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    MARK(8, 0x9a)
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0
    movl $back, %ebx
    movl $guest_enter_long_mode, %eax
    jmp *%eax
    .globl modes_task
modes_task: /* the registers are those of the TSS but for the flags, which have NT */
    pushfl
    popl MODES_MARKS + 40
    movl %esi, MODES_MARKS + 44
    movl $0, %esi
    iretl
    .balign 4
real_idt:
    .word 0x3ff
    .long 0
    .globl modes_code_end
modes_code_end:

    .section .bss
    .balign 8
saved_stack: .skip 8
saved_idt:   .skip 16
saved_gdt:   .skip 16

    .set guest_gdt_copy, 0xc000

    .section .note.GNU-stack, "", @progbits
