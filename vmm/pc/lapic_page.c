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

static uint8_t highest_of(unsigned index, uint32_t word)
{
    return (uint8_t)(32 * index + 31 - (unsigned)__builtin_clz(word));
}

static uint8_t lend_word(struct lapic *l, uint32_t *page, unsigned index, uint8_t highest)
{
    uint32_t request = __atomic_exchange_n(&l->state.irr[index], 0, __ATOMIC_ACQUIRE);

    page[at(LAPIC_IRR, index)] |= request;
    return request != 0 ? highest_of(index, request) : highest;
}

/* As a rule there is one. */
uint8_t lapic_lend_requests(struct lapic *l, uint32_t *page)
{
    const volatile lapic_pair_t *pairs = (const volatile lapic_pair_t *)l->state.irr;
    uint8_t highest = 0;

    for (unsigned i = 0; i < WORDS / 2; i++) {
        if (pairs[i] != 0) {
            highest = lend_word(l, page, 2 * i, highest);
            highest = lend_word(l, page, 2 * i + 1, highest);
        }
    }
    return highest;
}

void lapic_lend_levels(uint32_t *page, unsigned index, uint64_t word)
{
    page[at(LAPIC_TMR, 2 * index)] = (uint32_t)word;
    page[at(LAPIC_TMR, 2 * index + 1)] = (uint32_t)(word >> 32);
}

uint8_t lapic_lend(const struct lapic *l, uint32_t *page)
{
    uint8_t highest = 0;

    for (unsigned i = 0; i < WORDS; i++) {
        uint32_t service = l->state.isr[i];

        if (service != 0) {
            highest = highest_of(i, service);
        }
        page[at(LAPIC_IRR, i)] = 0;
        page[at(LAPIC_ISR, i)] = service;
    }
    page[at(LAPIC_TPR, 0)] = l->state.tpr;
    return highest;
}

void lapic_read_back(struct lapic *l, const uint32_t *page)
{
    for (unsigned i = 0; i < WORDS; i++) {
        l->state.isr[i] = page[at(LAPIC_ISR, i)];
    }
    l->state.tpr = page[at(LAPIC_TPR, 0)] & 0xffU;
    l->state.icr = (uint64_t)(page[at(LAPIC_ICR_HIGH, 0)] & ICR_HIGH) << 32 |
                   (page[at(LAPIC_ICR, 0)] & ICR_LOW);
}

uint8_t lapic_take_back(struct lapic *l, const uint32_t *page)
{
    uint8_t highest = 0;

    for (unsigned i = 0; i < WORDS; i++) {
        uint32_t request = page[at(LAPIC_IRR, i)];

        if (request != 0) {
            highest = highest_of(i, request);
            __atomic_fetch_or(&l->state.irr[i], request, __ATOMIC_RELEASE);
        }
    }
    lapic_read_back(l, page);
    return highest;
}
