/* SPDX-License-Identifier: BSD-2-Clause */
/* HLT: woken by an interrupt, by one that was there before, after STI's shadow; and not while
 * interrupts are off. */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"

#define VECTOR 0x61
#define ROUNDS 200

static volatile unsigned count;
static volatile uint64_t resumed_at;

static void handle(struct guest_frame *frame)
{
    count++;
    resumed_at = frame->rip;
    apic_write(APIC_EOI, 0);
}

int main(void)
{
    pic_mask_all();
    apic_enable();
    interrupt_set_handler(VECTOR, handle);
    apic_write(APIC_TIMER_DIVIDE, 0x0b);
    apic_write(APIC_LVT_TIMER, VECTOR);

    test_group("the timer wakes HLT");
    for (unsigned i = 1; i <= ROUNDS; i++) {
        apic_write(APIC_TIMER_INITIAL, 20000);
        irq_wait();
        CHECK_EQUAL(count, i);
    }

    test_group("an interrupt that waits is taken after the HLT that STI shields");
    uint64_t after_hlt;

    apic_send(0, ICR_SELF | ICR_ASSERT | VECTOR);
    __asm__ volatile("sti; hlt; 1: cli; lea 1b(%%rip), %0" : "=r"(after_hlt)::"memory");
    CHECK_EQUAL(count, ROUNDS + 1);
    CHECK_EQUAL(resumed_at, after_hlt);

    test_group("MOV SS shields one instruction as well");
    uint64_t selector = 0x10, after_nop;

    apic_send(0, ICR_SELF | ICR_ASSERT | VECTOR);
    __asm__ volatile("sti; mov %1, %%ss; nop; 1: cli; lea 1b(%%rip), %0"
                     : "=r"(after_nop)
                     : "r"(selector)
                     : "memory");
    CHECK_EQUAL(count, ROUNDS + 2);
    test_end();
}
