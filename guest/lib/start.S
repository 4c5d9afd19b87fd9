/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry of every test guest: a Multiboot 1 image, entered in 32-bit protected mode without paging,
 * that goes to 64-bit mode with the first 4 GiB mapped one to one in 2 MiB pages, and calls main().
 *
 * The boot information (EBX) is kept in guest_boot_info. SSE is switched on: newlib is built with it.
 */
#define MULTIBOOT_MAGIC 0x1BADB002
#define MULTIBOOT_FLAGS 0x00000003 /* page-aligned modules, memory information */

#define CR0_PE (1 << 0)
#define CR0_MP (1 << 1)
#define CR0_EM (1 << 2)
#define CR0_WP (1 << 16)
#define CR0_PG (1 << 31)
#define CR4_PAE (1 << 5)
#define CR4_OSFXSR (3 << 9) /* OSFXSR and OSXMMEXCPT */
#define MSR_EFER 0xC0000080
#define EFER_LME (1 << 8)
#define EFER_NXE (1 << 11)

    .section .multiboot, "a"
    .balign 4
    .long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

    .text
    .code32
    .globl guest_start
guest_start:
    cli
    cld
    movl $guest_stack_top, %esp
    movl %ebx, guest_boot_info
    movl $guest_start64, %ebx
    jmp guest_enter_long_mode

/*
 * Go to 64-bit mode with the tables at guest_pml4 and jump to EBX; ESP is kept. Also used by the
 * other CPUs, and by guests that went elsewhere.
 */
    .globl guest_enter_long_mode
guest_enter_long_mode:
    call guest_fill_tables
    movl %cr4, %eax
    orl $(CR4_PAE | CR4_OSFXSR), %eax
    movl %eax, %cr4
    movl $guest_pml4, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $(EFER_LME | EFER_NXE), %eax
    wrmsr
    movl %cr0, %eax
    andl $~CR0_EM, %eax
    orl $(CR0_PG | CR0_WP | CR0_MP | CR0_PE), %eax
    movl %eax, %cr0
    lgdt guest_gdt_pointer
    ljmp $0x08, $1f
    .code64
1:  movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl %ebx, %ebx
    jmp *%rbx

    .code32
/* Fill the tables; each CPU writes the same values, so that it does no harm to do it again. */
guest_fill_tables:
    movl $guest_pdpt + 3, guest_pml4
    xorl %ecx, %ecx
1:  movl %ecx, %eax
    shll $12, %eax
    addl $guest_pd + 3, %eax
    movl %eax, guest_pdpt(, %ecx, 8)
    incl %ecx
    cmpl $4, %ecx
    jne 1b
    xorl %ecx, %ecx
2:  movl %ecx, %eax
    shll $21, %eax
    orl $0x83, %eax
    movl %eax, guest_pd(, %ecx, 8)
    incl %ecx
    cmpl $2048, %ecx
    jne 2b
    ret

    .code64
guest_start64:
    movq $guest_stack_top, %rsp
    xorl %ebp, %ebp
    call guest_setup
    call main
    movl %eax, %edi
    call exit
1:  hlt
    jmp 1b

    .section .data
    .balign 8
    .globl guest_gdt
guest_gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF /* 08 code, 64-bit */
    .quad 0x00CF93000000FFFF /* 10 data, flat */
    .quad 0x00CF9B000000FFFF /* 18 code, 32-bit, flat */
    .quad 0x00009B000000FFFF /* 20 code, 16-bit, base 0 */
    .quad 0x000093000000FFFF /* 28 data, 16-bit, base 0 */
    .quad 0                  /* 30 TSS, two entries, filled in by guest_setup */
    .quad 0
guest_gdt_end:
    .globl guest_gdt_pointer
guest_gdt_pointer:
    .word guest_gdt_end - guest_gdt - 1
    .quad guest_gdt

    .globl guest_boot_info
guest_boot_info:
    .long 0

    .section .bss
    .balign 4096
    .globl guest_pml4
guest_pml4: .skip 4096
    .globl guest_pdpt
guest_pdpt: .skip 4096
    .globl guest_pd
guest_pd:   .skip 4 * 4096
    .skip 65536
guest_stack_top:

    .section .note.GNU-stack, "", @progbits
