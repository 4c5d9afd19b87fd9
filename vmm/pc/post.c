/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/post.h"

#include "vmm/pc/pc.h"
#include "vmm/pc/ports.h"

#define LVT_LEVEL  0x8000U
#define LVT_EXTINT (LVT_LEVEL | APIC_DELIVERY_EXTINT << 8)
#define LVT_NMI    (LVT_LEVEL | APIC_DELIVERY_NMI << 8)

static const struct {
    uint16_t port;
    uint8_t value;
} words[] = {
    {0x20,              0x11}, /* 8259s: edges, cascaded; vectors 08h and 70h */
    {0x21,              0x08},
    {0x21,              0x04},
    {0x21,              0x01},
    {0xa0,              0x11},
    {0xa1,              0x70},
    {0xa1,              0x02},
    {0xa1,              0x01},
    {0x21,              0xfb}, /* all masked but the cascade: nobody here serves an interrupt */
    {0xa1,              0xff},
    {PIC_PORT_ELCR + 1, 0x0e}, /* levels: the SCI, 9, and the PIRQs' lines, 10 and 11 */
    {0x43,              0x34}, /* 8254: the tick of 18.2 Hz */
    {0x40,              0x00},
    {0x40,              0x00},
    {0x43,              0x54}, /* memory's refresh */
    {0x41,              0x12},
    {0x43,              0xb6}, /* the speaker, which is off */
    {0x42,              0x00},
    {0x42,              0x00},
    {0x70,              0x0a}, /* RTC: it runs, in 24 hours, without interrupts */
    {0x71,              0x26},
    {0x70,              0x0b},
    {0x71,              0x02},
};

void post_run(struct pc *pc)
{
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        ports_write(pc, words[i].port, 1, words[i].value);
    }
}

void post_run_lapic(struct lapic *l)
{
    if (l->id == 0) {
        lapic_store(&l->state.svr, lapic_load(&l->state.svr) | LAPIC_SVR_ENABLED);
        lapic_store(&l->state.lvt[LAPIC_LVT_LINT0], LVT_EXTINT);
        lapic_store(&l->state.lvt[LAPIC_LVT_LINT1], LVT_NMI);
    }
}
