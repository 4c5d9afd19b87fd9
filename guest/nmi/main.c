/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Non-maskable interrupts: one that comes while the handler of another runs is taken before the
 * instruction that the handler's IRET returns to; flags, debug status and single-stepping stay the
 * program's own, also where that IRET faults at first.
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"

#include <stdio.h>
#include <string.h>

#define VECTOR_DB    1
#define VECTOR_NMI   2
#define VECTOR_GP    13
#define FLAG_TF      (1UL << 8)
#define FLAG_RF      (1UL << 16)
#define BAD_SELECTOR 0x1000
#define ROUNDS       200
#define NMI_TO_SELF  (APIC_BASE + APIC_ICR)
#define NOTHING      (APIC_BASE + APIC_ESR)

static volatile unsigned nmis, steps, faults;
static unsigned wanted; /* NMIs in all; each but the last asks for the next */
static bool lenient;
static bool spoil; /* let the first one's IRET fault */
static struct guest_frame seen[4];
static uint64_t good_cs, fault_flags;

static void handle_nmi(struct guest_frame *frame)
{
    seen[nmis++] = *frame;
    if (nmis < wanted) {
        apic_send(apic_id(), ICR_NMI | ICR_ASSERT);
        if (spoil) {
            good_cs = frame->cs;
            frame->cs = BAD_SELECTOR;
        }
    }
}

/* The IRET of handle_nmi()'s frame: mend it. */
static void handle_gp(struct guest_frame *frame)
{
    faults++;
    fault_flags = frame->rflags;
    ((uint64_t *)frame->rsp)[1] = good_cs;
}

static void handle_db(struct guest_frame *frame)
{
    steps++;
}

static uint64_t read_dr6(void)
{
    uint64_t value;

    __asm__ volatile("mov %%db6, %0" : "=r"(value));
    return value;
}

static void write_dr6(uint64_t value)
{
    __asm__ volatile("mov %0, %%db6" ::"r"(value));
}

/* Count in a register until COUNT NMIs have come. */
static void count_until(unsigned count)
{
    nmis = 0;
    wanted = count;
    apic_write(APIC_ICR_HIGH, apic_id() << 24);
    mmio_write(NMI_TO_SELF, ICR_NMI | ICR_ASSERT);
    __asm__ volatile("xor %%r12d, %%r12d\n"
                     "1: inc %%r12\n"
                     "mov %%r12, %%r13\n"
                     "cmp %1, %0\n"
                     "jb 1b" ::"m"(nmis),
                     "r"(count)
                     : "r12", "r13", "cc", "memory");
}

static void check_same_place(unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        CHECK_EQUAL(seen[i].rip, seen[0].rip);
        CHECK_EQUAL(seen[i].r12, seen[0].r12);
        CHECK_EQUAL(seen[i].r13, seen[0].r13);
        CHECK_EQUAL(seen[i].rsp, seen[0].rsp);
        CHECK_EQUAL(seen[i].rflags, seen[0].rflags);
        CHECK_EQUAL(seen[i].rflags & FLAG_TF, 0);
    }
}

static void test_back_to_back(void)
{
    test_group("an NMI that waits comes where the handler returns to");
    write_dr6(0xffff0ff1); /* as if a breakpoint had been hit */
    for (unsigned round = 0; round < ROUNDS && test_failures() == 0; round++) {
        count_until(2 + round % 3);
        CHECK_EQUAL(nmis, 2 + round % 3);
        check_same_place(2 + round % 3);
        CHECK_EQUAL(read_dr6(), 0xffff0ff1);
    }
}

/* Single-step some instructions, of which the first writes VALUE to ADDRESS. */
static unsigned step(uint64_t address, uint32_t value)
{
    steps = 0;
    __asm__ volatile("pushfq\n"
                     "orq %2, (%%rsp)\n"
                     "popfq\n"
                     "movl %1, (%0)\n"
                     "nop\n"
                     "nop\n"
                     "pushfq\n"
                     "andq %3, (%%rsp)\n"
                     "popfq" ::"r"(address),
                     "r"(value), "i"(FLAG_TF), "i"(~(long)FLAG_TF)
                     : "cc", "memory");
    return steps;
}

static void test_single_steps(void)
{
    test_group("a program that steps itself sees each instruction once");
    unsigned without = step(NOTHING, 0);

    CHECK(without > 0);
    for (unsigned round = 0; round < ROUNDS && test_failures() == 0; round++) {
        nmis = 0;
        wanted = 2;
        CHECK_EQUAL(step(NMI_TO_SELF, ICR_NMI | ICR_ASSERT), without);
        CHECK_EQUAL(nmis, 2);
        CHECK_EQUAL(seen[1].rip, seen[0].rip);
        CHECK_EQUAL(seen[1].rflags, seen[0].rflags);
    }
}

static void test_iret_that_faults(void)
{
    test_group("an IRET that faults shows the flags of the handler");
    spoil = true;
    for (unsigned round = 0; round < ROUNDS && test_failures() == 0; round++) {
        faults = 0;
        count_until(2);
        CHECK_EQUAL(nmis, 2);
        CHECK_EQUAL(faults, 1);
        CHECK_EQUAL(fault_flags & FLAG_TF, 0);
        CHECK(lenient || (fault_flags & FLAG_RF)); /* QEMU 7.2 pushes it as it is */
    }
    spoil = false;
}

int main(void)
{
    lenient = strstr(guest_command_line(), "lenient") != NULL;
    pic_mask_all();
    apic_enable();
    interrupt_set_handler(VECTOR_NMI, handle_nmi);
    interrupt_set_handler(VECTOR_GP, handle_gp);
    interrupt_set_handler(VECTOR_DB, handle_db);
    test_back_to_back();
    if (strstr(guest_command_line(), "no-steps")) {
        printf("skipped: steps that exit: Bochs 2.7 takes their trap in the host\n");
    } else {
        test_single_steps();
        test_iret_that_faults(); /* the VMM steps it */
    }
    test_end();
}
