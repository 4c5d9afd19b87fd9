/* SPDX-License-Identifier: BSD-2-Clause */
/* A local APIC as the page that a CPU virtualises: Intel SDM 3, 30.1 and 30.4. */
#include "vmm/pc/lapic.h"

#define WORDS     8U
#define PAGE_STEP 4U /* words from one register to the next */
#define ICR_HIGH  0xff000000U
#define ICR_LOW   0x000ccfffU

/* Where the word INDEX of the register at OFFSET stands. */
static unsigned at(uint32_t offset, unsigned index)
{
    return offset / (uint32_t)sizeof(uint32_t) + PAGE_STEP * index;
}

void lapic_lend(struct lapic *l, uint32_t *page, struct lapic_lent *lent)
{
    *lent = (struct lapic_lent){0};
    for (unsigned i = 0; i < WORDS; i++) {
        uint32_t service = l->state.isr[i], request = 0;

        if (lapic_load(&l->state.irr[i]) != 0) {
            request = __atomic_exchange_n(&l->state.irr[i], 0, __ATOMIC_ACQUIRE);
            lent->request = (uint8_t)(32 * i + 31 - (unsigned)__builtin_clz(request));
        }
        if (service != 0) {
            lent->service = (uint8_t)(32 * i + 31 - (unsigned)__builtin_clz(service));
        }
        lent->level[i] = lapic_load(&l->state.tmr[i]);
        page[at(LAPIC_IRR, i)] = request;
        page[at(LAPIC_ISR, i)] = service;
        page[at(LAPIC_TMR, i)] = lent->level[i];
    }
    page[at(LAPIC_TPR, 0)] = l->state.tpr;
}

uint8_t lapic_take_back(struct lapic *l, const uint32_t *page)
{
    uint8_t highest = 0;

    for (unsigned i = 0; i < WORDS; i++) {
        uint32_t request = page[at(LAPIC_IRR, i)];

        if (request != 0) {
            highest = (uint8_t)(32 * i + 31 - (unsigned)__builtin_clz(request));
            __atomic_fetch_or(&l->state.irr[i], request, __ATOMIC_RELEASE);
        }
        l->state.isr[i] = page[at(LAPIC_ISR, i)];
    }
    l->state.tpr = page[at(LAPIC_TPR, 0)] & 0xffU;
    l->state.icr = (uint64_t)(page[at(LAPIC_ICR_HIGH, 0)] & ICR_HIGH) << 32 |
                   (page[at(LAPIC_ICR, 0)] & ICR_LOW);
    return highest;
}
