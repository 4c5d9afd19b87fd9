/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk's first sector: loads the rest of the program behind itself by INT 13h, and calls it. All
 * of it is real mode with segments that begin at 0.
 */
#define HERE   0x7c00
#define STACK  0x7000
#define SECTOR 512

    .code16
    .section .start, "ax"
    .globl _start
_start:
    ljmp $0, $1f /* some BIOSes begin at 07C0:0000 */
1:  cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $STACK, %sp
    sti
    cld
    movb %dl, boot_drive
    movw $packet, %si
    movb $0x42, %ah
    int $0x13
    jc failed
    movw $bss_start, %di
    movw $bss_end, %cx
    subw %di, %cx
    xorb %al, %al
    rep stosb
    calll bios_main
failed:
    movw $0x3f8, %dx
    movb $'!', %al
    outb %al, %dx
2:  hlt
    jmp 2b

    .balign 4
packet:
    .byte 16, 0
    .word sectors_behind
    .word HERE + SECTOR, 0
    .long 1, 0
    .globl boot_drive
boot_drive:
    .byte 0

    .org SECTOR - 2
    .word 0xaa55

/*
 * void bios_call(unsigned number, struct registers *registers): INT NUMBER with the registers, and
 * what it leaves in them. regparm(3): EAX, EDX. Order: EAX EBX ECX EDX ESI EDI EBP, DS ES, FLAGS.
 */
    .text
    .globl bios_call
bios_call:
    pushal
    pushw %ds
    pushw %es
    movb %al, number
    movl %edx, saved
    movl 4(%edx), %ebx
    movl 8(%edx), %ecx
    movl 16(%edx), %esi
    movl 20(%edx), %edi
    movl 24(%edx), %ebp
    pushl (%edx)
    pushw 28(%edx)
    movw 30(%edx), %es
    movl 12(%edx), %edx
    popw %ds
    popl %eax
    jmp 1f /* a CPU that has the INT already fetches it anew */
1:  .byte 0xcd
number:
    .byte 0
    cld
    pushfl
    pushl %eax
    pushw %ds
    xorw %ax, %ax
    movw %ax, %ds
    movl saved, %eax
    popw 28(%eax)
    popl (%eax)
    popl 32(%eax)
    movl %ebx, 4(%eax)
    movl %ecx, 8(%eax)
    movl %edx, 12(%eax)
    movl %esi, 16(%eax)
    movl %edi, 20(%eax)
    movl %ebp, 24(%eax)
    movw %es, 30(%eax)
    popw %es
    popw %ds
    popal
    retl

    .bss
saved:
    .long 0
