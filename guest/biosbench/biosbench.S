/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A boot sector that measures the BIOS under it: the TSC at its own first byte; INT 13h that reads 64 KiB of the second disk, and INT 10h
 * that writes a screen full of text, all of which scrolls. Each is done some times and then twice as often, between waits for a
 * character of COM1, so that who counts exits outside knows what one of them takes (tests/bench/biosbench.py).
 */
#define HERE    0x7c00
#define READS   128
#define SCREENS 1
#define UART    0x3f8
#define VECTOR  0x0c   /* IRQ 4's */
#define BUFFER  0x1000 /* a segment */
#define SECTORS 128
#define SCREEN  (80 * 25)

    .code16
    .section .start, "ax"
    .globl _start
_start:
    rdtsc
    ljmp $0, $1f
1:  cli
    xorw %bx, %bx
    movw %bx, %ds
    movw %bx, %ss
    movw $HERE, %sp
    cld
    movw $boot, %si
    call report
    movw $nothing, 4 * VECTOR
    movw %bx, 4 * VECTOR + 2
    sti
    movw $started, %si
    call wait
    movw $25, %cx /* to the screen's last line */
2:  movw $0x0e0a, %ax
    int $0x10
    loop 2b

    movw $reads_a, %si
    movw $read, %di
    movw $READS, %bp
    call twice
    movw $scroll_a, %si
    movw $scroll, %di
    movw $SCREENS, %bp
    call twice
    movw $end, %si
    call wait
3:  cli
    hlt
    jmp 3b

/* What DI does BP times, and 2 * BP times; a wait before each, of which SI is the first's name. */
twice:
    call wait
    movw %bp, %cx
    call times
    incb 6(%si) /* "a" to "b" */
    call wait
    movw %bp, %cx
    addw %bp, %cx
times:
    pushaw
    rdtsc
    pushl %eax
    call *%di
    rdtsc
    popl %ebx
    subl %ebx, %eax
    movl %eax, last
    popaw
    loop times
    movl last, %eax
    pushw %si
    xorl %edx, %edx
    movw 2(%di), %si /* what it is called */
    call report
    popw %si
    ret

read:
    jmp 1f
    .word reads
1:  movb $0x42, %ah
    movb $0x81, %dl
    movw $packet, %si
    int $0x13
    jc failed
    ret

scroll:
    jmp 1f
    .word scrolls
1:  movw $SCREEN, %cx
2:  movw $0x0e2e, %ax
    int $0x10
    loop 2b
    ret

/* Say the name at SI, and sleep until a character comes: nothing else interrupts. */
wait:
    pushw %si
    movw $waits, %si
    call say
    popw %si
    pushw %si
    call say
    movw $end_of_line, %si
    call say
    cli
    movb $0xef, %al
    outb %al, $0x21
    movb $0xff, %al
    outb %al, $0xa1
    movw $(UART + 4), %dx
    movb $8, %al
    outb %al, %dx
    movw $(UART + 1), %dx
    movb $1, %al
    outb %al, %dx
    sti
    hlt
    cli
    xorb %al, %al
    outb %al, %dx
    movw $UART, %dx
    inb %dx, %al
    movb $0x20, %al
    outb %al, $0x20
    movb $0xb8, %al
    outb %al, $0x21
    sti
    popw %si
    ret
nothing:
    iretw

failed:
    movw $failure, %si
    call say
    jmp 3b

/* The text at SI and EDX:EAX in 16 digits. */
report:
    call say
    pushl %eax
    movl %edx, %eax
    call number
    popl %eax
    call number
    movw $end_of_line, %si
say: /* the text at SI to COM1 */
    pushaw
1:  lodsb
    testb %al, %al
    jz 2f
    call put
    jmp 1b
2:  popaw
    ret

number: /* EAX in hexadecimal */
    movw $8, %cx
1:  roll $4, %eax
    pushl %eax
    andb $15, %al
    addb $'0', %al
    cmpb $'9', %al
    jbe 2f
    addb $('a' - '9' - 1), %al
2:  call put
    popl %eax
    loop 1b
    ret

put:
    movb %al, %ah
    movw $(UART + 5), %dx
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    movw $UART, %dx
    movb %ah, %al
    outb %al, %dx
    ret

    .balign 4
packet:
    .byte 16, 0
    .word SECTORS
    .word 0, BUFFER
    .long 0, 0
last:
    .long 0
boot:
    .asciz "count boot "
reads:
    .asciz "count read "
scrolls:
    .asciz "count scroll "
started:
    .asciz "started"
waits:
    .asciz "waits "
reads_a:
    .asciz "reads_a"
scroll_a:
    .asciz "write_a"
end:
    .asciz "the_end"
failure:
    .asciz "FAIL: INT 13h"
end_of_line:
    .asciz "\r\n"
    .org 510
    .word 0xaa55
