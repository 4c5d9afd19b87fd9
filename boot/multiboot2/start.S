/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Multiboot 2 header, and the way from the boot loader's 32-bit protected mode (Multiboot 2, 3.3) to 64-bit C: EAX = the loader's
 * magic number, EBX = the boot information; paging, interrupts and the GDT's contents are not to be relied on.
 */
#define HEADER_MAGIC        0xe85250d6
#define HEADER_ARCH_I386    0
#define TAG_END             0
#define TAG_INFORMATION     1
#define TAG_FRAMEBUFFER     5
#define TAG_MODULE_ALIGN    6
#define OPTIONAL            1
#define INFORMATION_MEMORY  6
#define LOADER_MAGIC        0x36d76289

#define CR0_PG              (1 << 31)
#define CR4_PAE             (1 << 5)
#define MSR_EFER            0xc0000080
#define EFER_LME            (1 << 8)
#define EFLAGS_ID           (1 << 21)
#define CPUID_EXTENDED      0x80000000
#define CPUID_LONG_MODE     (1 << 29) /* of leaf 80000001, EDX */

#define ENTRY_TABLE         0x03 /* present, writable */
#define ENTRY_PAGE_2M       0x83
#define MAPPED_2M_PAGES     2048 /* 4 GiB: all that a boot loader of 32 bits can have used */

#define SELECTOR_CODE       0x08
#define SELECTOR_DATA       0x10

#define COM1                0x3f8
#define LSR_ROOM            0x20
#define SERIAL_POLLS        100000

    .section .multiboot2, "a"
    .balign 8
header:
    .long   HEADER_MAGIC, HEADER_ARCH_I386, header_end - header
    .long   0x100000000 - (HEADER_MAGIC + HEADER_ARCH_I386 + (header_end - header))
    .short  TAG_INFORMATION, 0
    .long   12, INFORMATION_MEMORY
    .balign 8
    .short  TAG_FRAMEBUFFER, OPTIONAL
    .long   20, 1024, 768, 32
    .balign 8
    .short  TAG_MODULE_ALIGN, 0
    .long   8
    .short  TAG_END, 0
    .long   8
header_end:

    .section .text.start, "ax"
    .code32
    .globl  multiboot2_start
    .type   multiboot2_start, @function
multiboot2_start:
    cli
    cld
    movl    %eax, %ebp
    rdtsc
    movl    %eax, tsc_entry
    movl    %edx, tsc_entry + 4
    movl    $stack_end, %esp
    movl    $not_multiboot2, %esi
    cmpl    $LOADER_MAGIC, %ebp
    jne     fail
    movl    %ebx, %edi

    movl    $not_64_bit, %esi
    call    cpu_has_long_mode
    jz      fail

    /* One to one: PML4, PDPT and four directories of 2 MiB pages. */
    movl    $(tables_3 + ENTRY_TABLE), tables_4
    movl    $(tables_2 + ENTRY_TABLE), %eax
    xorl    %ecx, %ecx
1:  movl    %eax, tables_3(, %ecx, 8)
    addl    $4096, %eax
    incl    %ecx
    cmpl    $4, %ecx
    jne     1b
    movl    $ENTRY_PAGE_2M, %eax
    xorl    %ecx, %ecx
2:  movl    %eax, tables_2(, %ecx, 8)
    addl    $(2 << 20), %eax
    incl    %ecx
    cmpl    $MAPPED_2M_PAGES, %ecx
    jne     2b

    /* AMD APM vol. 2, 14.6.1: PAE, CR3, long mode, paging. */
    movl    $CR4_PAE, %eax
    movl    %eax, %cr4
    movl    $tables_4, %eax
    movl    %eax, %cr3
    movl    $MSR_EFER, %ecx
    rdmsr
    orl     $EFER_LME, %eax
    wrmsr
    movl    %cr0, %eax
    orl     $CR0_PG, %eax
    movl    %eax, %cr0
    lgdt    descriptors_pointer
    ljmp    $SELECTOR_CODE, $start_64

/* Sets ZF if this CPU has no 64-bit mode; keeps ESI and EDI. */
cpu_has_long_mode:
    pushfl
    popl    %eax
    movl    %eax, %ecx
    xorl    $EFLAGS_ID, %eax
    pushl   %eax
    popfl
    pushfl
    popl    %eax
    cmpl    %eax, %ecx
    je      1f
    movl    $CPUID_EXTENDED, %eax
    cpuid
    cmpl    $(CPUID_EXTENDED + 1), %eax
    jb      2f
    movl    $(CPUID_EXTENDED + 1), %eax
    cpuid
    testl   $CPUID_LONG_MODE, %edx
1:  ret
2:  xorl    %eax, %eax
    ret

/* Print the text at ESI on COM1, set up as the C code sets it up, and halt. A UART that is not there takes no time. */
fail:
    movl    $serial_setup, %ebx
1:  movzwl  (%ebx), %edx
    movb    2(%ebx), %al
    outb    %al, %dx
    addl    $3, %ebx
    cmpl    $serial_setup_end, %ebx
    jne     1b
2:  movl    $SERIAL_POLLS, %ecx
    movl    $(COM1 + 5), %edx
3:  inb     %dx, %al
    testb   $LSR_ROOM, %al
    loopz   3b
    lodsb
    testb   %al, %al
    jz      4f
    movl    $COM1, %edx
    outb    %al, %dx
    jmp     2b
4:  hlt
    jmp     4b

    .code64
start_64:
    movl    $SELECTOR_DATA, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %ss
    xorl    %eax, %eax
    movl    %eax, %fs
    movl    %eax, %gs
    xorl    %ebp, %ebp
    movl    %edi, %edi /* the upper half is not defined after the change of mode */
    movq    tsc_entry, %rsi
    movl    $stack_end, %esp
    pushq   $0
    jmp     loader_main
    .size   multiboot2_start, . - multiboot2_start

    .section .rodata.start, "a"
not_multiboot2:
    .asciz  "portolan: not started by a Multiboot 2 boot loader: in GRUB, use the command multiboot2\r\n"
not_64_bit:
    .asciz  "portolan: this CPU has no 64-bit mode: Portolan cannot run on it\r\n"
/* Port and value: 115200 baud, 8 data bits, no parity, FIFO on. */
serial_setup:
    .macro  setup offset, value
    .short  COM1 + \offset
    .byte   \value
    .endm
    setup   1, 0x00
    setup   3, 0x80
    setup   0, 0x01
    setup   1, 0x00
    setup   3, 0x03
    setup   2, 0x07
    setup   4, 0x03
serial_setup_end:
    .balign 8
descriptors:
    .quad   0
    .quad   0x00af9b000000ffff /* 64-bit code */
    .quad   0x00cf93000000ffff /* data */
descriptors_pointer:
    .short  descriptors_pointer - descriptors - 1
    .long   descriptors

    .section .bss.start, "aw", @nobits
    .balign 4096
tables_4: .skip 4096
tables_3: .skip 4096
tables_2: .skip 4 * 4096
    .skip   16384
stack_end:
tsc_entry: .skip 8

    .section .note.GNU-stack, "", @progbits
