/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A boot sector, or a program that iPXE loads: it reads the 64 sectors behind the first of the disk by INT 13h, says the sum
 * of their 16-bit words at the debug port, or that there is no disk, and switches the machine off.
 */
.code16
.globl _start
_start:
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	movw	$packet, %si
	movw	$0x4200, %ax
	movb	$0x80, %dl
	int	$0x13
	movw	$none, %si
	jc	say
	movw	$0x8000, %si
	movw	$(64 * 512 / 2), %cx
	xorl	%ebx, %ebx
	xorl	%eax, %eax
1:	lodsw
	addl	%eax, %ebx
	loop	1b
	movw	$8, %cx
	movw	$digits, %di
2:	roll	$4, %ebx
	movb	%bl, %al
	andb	$15, %al
	addb	$'0', %al
	cmpb	$'9', %al
	jbe	3f
	addb	$('a' - '9' - 1), %al
3:	stosb
	loop	2b
	movw	$disk, %si
say:	lodsb
	testb	%al, %al
	jz	off
	outb	%al, $0xe9
	jmp	say
off:	movw	$0x604, %dx		/* QEMU's ACPI: S5 */
	movw	$0x2000, %ax
	outw	%ax, %dx
	cli
	hlt
packet:	.byte	16, 0
	.word	64, 0x8000, 0
	.quad	1
none:	.asciz	"no disk can be read\n"
disk:	.ascii	"sum "
digits:	.asciz	"........\n"
	.org	510
	.word	0xaa55
