/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps of the fuzz guest, and the ways into and out of the cage. */
#include "guest/fuzz/layout.h"

#define FRAME        (STATE_TRAP_STACK - 40) /* where the CPU puts RIP, CS, RFLAGS, RSP, SS */
#define KERNEL_FLAGS 2
#define FLAG_RF 0x10000

    .text
    .macro entry vector
    .balign 16
    pushq $\vector
    jmp fuzz_trap
    .endm

    .balign 16
    .globl fuzz_entries
fuzz_entries:
    .set vector, 0
    .rept 256
    .altmacro
    entry %vector
    .noaltmacro
    .set vector, vector + 1
    .endr

/*
 * An interrupt may come with any vector, so the vector does not tell whether there is an error
 * code: the stack pointer does, for the stack always starts at the same place.
 */
fuzz_trap:
    pushq %rax
    movabsq $STATE_BASE, %rax
    cmpq $0, STATE_CAGED(%rax)
    movq $0, STATE_CAGED(%rax)
    jne caged
    pushq %rcx
    movq 16(%rsp), %rcx
    movq %rcx, STATE_VECTOR(%rax)
    movq STATE_RECOVER_RIP(%rax), %rcx
    testq %rcx, %rcx
    jz unasked
    movabsq $FRAME, %rsp
    movq %rcx, (%rsp)
    movq $SEL_CODE64, 8(%rsp)
    movq $KERNEL_FLAGS, 16(%rsp)
    movq STATE_RECOVER_RSP(%rax), %rcx
    movq %rcx, 24(%rsp)
    movq $SEL_DATA, 32(%rsp)
    iretq
/* A breakpoint that random code left behind may hit the fuzzer: go on, once without it. */
unasked:
    cmpq $1, STATE_VECTOR(%rax)
    jne fatal
    popq %rcx
    popq %rax
    addq $8, %rsp
    orl $FLAG_RF, 16(%rsp)
    iretq
fatal:
    movabsq $FRAME, %rcx
    movq (%rcx), %rcx
    movq %rcx, STATE_RIP(%rax)
    movq STATE_GOOD_CR0(%rax), %rcx
    movq %rcx, %cr0
    movq STATE_GOOD_CR4(%rax), %rcx
    movq %rcx, %cr4
    movq STATE_GOOD_CR3(%rax), %rcx
    movq %rcx, %cr3
    andq $-16, %rsp
    call fuzz_fatal
1:  hlt
    jmp 1b

caged:
    movq %rcx, STATE_REGS + 8(%rax)
    movq %rdx, STATE_REGS + 16(%rax)
    movq %rbx, STATE_REGS + 24(%rax)
    movq %rbp, STATE_REGS + 40(%rax)
    movq %rsi, STATE_REGS + 48(%rax)
    movq %rdi, STATE_REGS + 56(%rax)
    movq %r8, STATE_REGS + 64(%rax)
    movq %r9, STATE_REGS + 72(%rax)
    movq %r10, STATE_REGS + 80(%rax)
    movq %r11, STATE_REGS + 88(%rax)
    movq %r12, STATE_REGS + 96(%rax)
    movq %r13, STATE_REGS + 104(%rax)
    movq %r14, STATE_REGS + 112(%rax)
    movq %r15, STATE_REGS + 120(%rax)
    popq %rcx
    movq %rcx, STATE_REGS(%rax)
    popq %rcx
    movq %rcx, STATE_VECTOR(%rax)
    xorl %ecx, %ecx
    movabsq $FRAME, %rdx
    cmpq %rdx, %rsp
    je 1f
    movq (%rsp), %rcx
1:  movq %rcx, STATE_ERROR(%rax)
    movq (%rdx), %rcx
    movq %rcx, STATE_RIP(%rax)
    movq 8(%rdx), %rcx
    movq %rcx, STATE_CS(%rax)
    movq 16(%rdx), %rcx
    movq %rcx, STATE_RFLAGS(%rax)
    movq 24(%rdx), %rcx
    movq %rcx, STATE_REGS + 32(%rax)
step:
    movq $0, STATE_NMIS(%rax)
    movabsq $FRAME - 64, %rsp
    andq $-16, %rsp
    cld
    call fuzz_step
    testb %al, %al
    jz leave

/* Into the cage with what the state says. */
resume:
    movabsq $STATE_BASE, %rax
    movabsq $FRAME, %rsp
    movq STATE_RIP(%rax), %rcx
    movq %rcx, (%rsp)
    movq STATE_CS(%rax), %rcx
    movq %rcx, 8(%rsp)
    movq STATE_RFLAGS(%rax), %rcx
    movq %rcx, 16(%rsp)
    movq STATE_REGS + 32(%rax), %rcx
    movq %rcx, 24(%rsp)
    movq STATE_SS(%rax), %rcx
    movq %rcx, 32(%rsp)
    movq STATE_REGS + 8(%rax), %rcx
    movq STATE_REGS + 16(%rax), %rdx
    movq STATE_REGS + 24(%rax), %rbx
    movq STATE_REGS + 40(%rax), %rbp
    movq STATE_REGS + 48(%rax), %rsi
    movq STATE_REGS + 56(%rax), %rdi
    movq STATE_REGS + 64(%rax), %r8
    movq STATE_REGS + 72(%rax), %r9
    movq STATE_REGS + 80(%rax), %r10
    movq STATE_REGS + 88(%rax), %r11
    movq STATE_REGS + 96(%rax), %r12
    movq STATE_REGS + 104(%rax), %r13
    movq STATE_REGS + 112(%rax), %r14
    movq STATE_REGS + 120(%rax), %r15
    movq $1, STATE_CAGED(%rax)
    movq STATE_REGS(%rax), %rax
    iretq

    .globl fuzz_enter
fuzz_enter:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movabsq $STATE_BASE, %rax
    movq %rsp, STATE_LEAVE_RSP(%rax)
    movl $SEL_USER_DATA, %ecx
    movl %ecx, %ds
    movl %ecx, %es
    movq STATE_CAGE_CR3(%rax), %rcx
    movabsq $FRAME, %rsp /* the stack so far is read-only from here on */
    movq %rcx, %cr3
    jmp step

/*
 * Out of the cage. By IRET, because NMIs are blocked when the watchdog's NMI was the end.
 */
leave:
    movabsq $STATE_BASE, %rax
    call restore_controls
    movq STATE_LEAVE_RSP(%rax), %rsp
    lgdt STATE_GDTR(%rax)
    lidt STATE_IDTR(%rax)
    movl $SEL_DATA, %ecx
    movl %ecx, %ds
    movl %ecx, %es
    movl %ecx, %ss
    xorl %ecx, %ecx
    movl %ecx, %fs
    movl %ecx, %gs
    fninit
    ldmxcsr STATE_MXCSR(%rax)
    movq %rsp, %rcx
    pushq $SEL_DATA
    pushq %rcx
    pushq $KERNEL_FLAGS
    pushq $SEL_CODE64
    pushq $1f
    iretq
1:  popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

/* RAX: the state; kept. RCX is lost. A write is an exit of the VM, so only what differs is written. */
restore_controls:
    movq %cr4, %rcx
    cmpq %rcx, STATE_GOOD_CR4(%rax)
    je 1f
    movq STATE_GOOD_CR4(%rax), %rcx
    movq %rcx, %cr4
1:  movq %cr0, %rcx
    cmpq %rcx, STATE_GOOD_CR0(%rax)
    je 2f
    movq STATE_GOOD_CR0(%rax), %rcx
    movq %rcx, %cr0
2:  movq %cr3, %rcx
    cmpq %rcx, STATE_GOOD_CR3(%rax)
    je 3f
    movq STATE_GOOD_CR3(%rax), %rcx
    movq %rcx, %cr3
3:  ret

/*
 * NMIs: the watchdog. In the cage, many of them without a step in between mean that the code runs
 * on by itself; go to the step handler then, with vector 2. Out of it, after that many, the PIT is
 * set again: it may have been told to be faster than this handler, which nothing else gets past.
 */
    .globl fuzz_nmi
    .balign 16
fuzz_nmi:
    pushq %rax
    movabsq $STATE_BASE, %rax
    incq STATE_NMI_TOTAL(%rax)
    incq STATE_NMIS(%rax)
    cmpq $NMI_LIMIT, STATE_NMIS(%rax)
    jae 2f
1:  popq %rax
    iretq
2:  cmpq $0, STATE_CAGED(%rax)
    jne 3f
    movq $0, STATE_NMIS(%rax)
    movb $0x34, %al
    outb %al, $0x43
    movb $PIT_PERIOD & 0xff, %al
    outb %al, $0x40
    movb $PIT_PERIOD >> 8, %al
    outb %al, $0x40
    jmp 1b
3:  movq $0, STATE_CAGED(%rax)
    movq $2, STATE_VECTOR(%rax)
    movq $0, STATE_RIP(%rax)
    jmp step

/* int fuzz_try(fuzz_stub stub, uint64_t a, uint64_t b) */
    .globl fuzz_try
fuzz_try:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $8, %rsp
    movabsq $STATE_BASE, %rax
    movq %rsp, STATE_RECOVER_RSP(%rax)
    movq $1f, STATE_RECOVER_RIP(%rax)
    movq $-1, STATE_VECTOR(%rax)
    movq %rdi, %rcx
    movq %rsi, %rdi
    movq %rdx, %rsi
    call *%rcx
    movabsq $STATE_BASE, %rcx
    movq %rax, STATE_RESULT(%rcx)
1:  movabsq $STATE_BASE, %rax
    call restore_controls
    movq $0, STATE_RECOVER_RIP(%rax)
    movq STATE_VECTOR(%rax), %rax
    addq $8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

/* Where SYSCALL, SYSENTER and the call gate of the cage arrive. */
    .globl fuzz_landing
fuzz_landing:
    ud2

    .section .note.GNU-stack, "", @progbits
