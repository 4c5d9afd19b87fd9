/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The same of another hypervisor: tests/bench/peer/device.h. Its device is QEMU's 'edu', whose
 * registers the guest reaches without an exit; a write raises its interrupt, another one lowers it.
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"
#include "guest/vbench/vbench.h"

#define REGISTERS   0xe0000000UL
#define IDENTITY    0x00
#define RAISE       0x60
#define LOWER       0x64
#define IDENTITY_IS 0xedU /* the lowest byte */
#define PORT_MODE   0xc000
#define PORT_NOTIFY 0xc010
#define PORT_ISR    0xc013 /* answered as the registers of a device in user space are */
#define PIN         17
#define REASON      1U

static void handle_message(struct guest_frame *frame)
{
    interrupt.arrived = rdtsc();
    mmio_write(REGISTERS + LOWER, REASON);
    mmio_write(APIC_BASE + APIC_EOI, 0);
    interrupt.ended = rdtsc();
    interrupt.taken++;
}

static void handle_intx(struct guest_frame *frame)
{
    interrupt.arrived = rdtsc();
    (void)inb(PORT_ISR);
    mmio_write(REGISTERS + LOWER, REASON);
    mmio_write(APIC_BASE + APIC_EOI, 0);
    interrupt.ended = rdtsc();
    interrupt.taken++;
}

static uint64_t ask(void)
{
    unsigned before = interrupt.taken;
    uint64_t start = rdtsc();

    mmio_write(REGISTERS + RAISE, REASON);
    for (unsigned i = 0; i < POLLS && interrupt.taken == before; i++) {
        cpu_relax();
    }
    return start;
}

void measure_peer(void)
{
    test_group("the peer");
    if (!CHECK_EQUAL(mmio_read(REGISTERS + IDENTITY) & 0xff, IDENTITY_IS)) {
        test_end();
    }
    (void)measure_notify(PORT_NOTIFY);
    interrupt_set_handler(VECTOR_INTX, handle_intx);
    interrupt_set_handler(VECTOR_DISK, handle_message);
    ioapic_route(PIN, VECTOR_INTX | LEVEL, 0);
    outb(PORT_MODE, 0);
    measure_interrupt("intx", "intx_whole", ask, 0);
    outb(PORT_MODE, 1);
    measure_interrupt("msix", "msix_whole", ask, 0);
}
