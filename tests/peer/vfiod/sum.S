/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A boot sector, or a program that iPXE loads: one line to the debug port, then the machine is off. What BIOS
 * loaded from a disk reads 64 sectors behind itself by INT 13h, and says the sum of their 16-bit words.
 */
.code16
.globl _start
_start:
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	testb	$0x80, %dl		/* a hard disk's number; iPXE has none */
	movw	$network, %si
	jz	say
	movw	$packet, %si
	movb	$0x42, %ah
	int	$0x13
	movw	$failed, %si
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
network: .asciz	"loaded by network\n"
failed:	.asciz	"the disk cannot be read\n"
disk:	.ascii	"sum "
digits:	.asciz	"........\n"
	.org	510
	.word	0xaa55
