/* SPDX-License-Identifier: BSD-2-Clause */
/* The registers of a local APIC, by MMIO and by MSR. */
#include "vmm/pc/lapic.h"

#include "vmm/pc/clock.h"

#define VERSION           (0x01000014U | (LAPIC_LVT_COUNT - 1) << 16) /* directed EOI, 14h */
#define SPURIOUS_VECTOR   0xffU
#define DFR_FLAT          0xffffffffU
#define DFR_FIXED_BITS    0x0fffffffU
#define BASE_BOOT_CPU     (1ULL << 8)
#define BASE_X2APIC       (1ULL << 10)
#define BASE_ENABLED      (1ULL << 11)
#define XAPIC_DESTINATION 24

#define ICR_BUSY     0x1000U
#define ICR_LOGICAL  0x0800U
#define ICR_ASSERT   0x4000U
#define ICR_LEVEL    0x8000U
#define ICR_LOW_BITS 0x000ccfffU

/* How a register may be reached. */
#define R  0x1U /* readable */
#define W  0x2U /* writable */
#define X1 0x4U /* exists in xAPIC mode */
#define X2 0x8U /* exists in x2APIC mode */
#define RW (R | W)
#define XX (X1 | X2)

/* The registers by offset / 16, with the bits a guest may write. */
static const struct {
    const char *name;
    uint32_t writable;
    uint32_t access;
} registers[] = {
    [0x02] = {"ID",                       0,            R | XX },
    [0x03] = {"version",                  0,            R | XX },
    [0x08] = {"task priority",            0xff,         RW | XX},
    [0x09] = {"arbitration priority",     0,            R | X1 },
    [0x0a] = {"processor priority",       0,            R | XX },
    [0x0b] = {"EOI",                      0,            W | XX },
    [0x0c] = {"remote read",              0,            R | X1 },
    [0x0d] = {"logical destination",      0xff000000,   RW | XX},
    [0x0e] = {"destination format",       0xf0000000,   RW | X1},
    [0x0f] = {"spurious vector",          0x13ff,       RW | XX},
    [0x10 ... 0x17] = {"in service",               0,            R | XX },
    [0x18 ... 0x1f] = {"trigger mode",             0,            R | XX },
    [0x20 ... 0x27] = {"request",                  0,            R | XX },
    [0x28] = {"error status",             0,            RW | XX},
    [0x30] = {"interrupt command",        ICR_LOW_BITS, RW | XX},
    [0x31] = {"interrupt command, high",  0xff000000,   RW | X1},
    [0x32] = {"LVT timer",                0x700ff,      RW | XX},
    [0x33 ... 0x34] = {"LVT thermal, performance", 0x107ff,      RW | XX},
    [0x35 ... 0x36] = {"LVT LINT0, LINT1",         0x1a7ff,      RW | XX},
    [0x37] = {"LVT error",                0x100ff,      RW | XX},
    [0x38] = {"initial count",            0xffffffff,   RW | XX},
    [0x39] = {"current count",            0,            R | XX },
    [0x3e] = {"divide configuration",     0xb,          RW | XX},
    [0x3f] = {"self IPI",                 0xff,         W | X2 },
};

static bool can(uint32_t offset, uint32_t wanted)
{
    uint32_t index = offset >> 4;

    return index < ARRAY_SIZE(registers) && (registers[index].access & wanted) == wanted;
}

static uint32_t x2apic_ldr(uint32_t id)
{
    return id >> 4 << 16 | 1U << (id & 15U);
}

static const struct field lapic_fields[] = {
    FIELD_ARRAY(struct lapic_state, irr, UINT32_MAX),
    FIELD_ARRAY(struct lapic_state, tmr, UINT32_MAX),
    FIELD_ARRAY(struct lapic_state, isr, UINT32_MAX),
    FIELD(struct lapic_state, pending_errors, 0xff),
    FIELD(struct lapic_state, mode, LAPIC_X2APIC),
    FIELD(struct lapic_state, ldr, UINT32_MAX),
    FIELD(struct lapic_state, dfr, UINT32_MAX),
    FIELD(struct lapic_state, svr, 0x13ff),
    FIELD_ARRAY(struct lapic_state, lvt, 0x7ffff),
    FIELD(struct lapic_state, tpr, 0xff),
    FIELD(struct lapic_state, esr, 0xff),
    FIELD(struct lapic_state, icr, UINT64_MAX),
    FIELD(struct lapic_state, initial_count, UINT32_MAX),
    FIELD(struct lapic_state, divide, 0xb),
    FIELD(struct lapic_state, last_now, CLOCK_LAST),
    FIELD(struct lapic_state, ran_out, 1),
    FIELD(struct lapic_state, count_start, CLOCK_LAST),
    FIELD(struct lapic_state, tsc_deadline, UINT64_MAX),
    FIELD(struct lapic_state, tsc_offset, UINT64_MAX),
};

/* Does VALUE hold only what a guest may write at OFFSET? */
static bool is_writable(uint32_t offset, uint32_t value)
{
    return (value & ~registers[offset >> 4].writable) == 0;
}

static bool check_state(const void *state)
{
    const struct lapic_state *l = state;
    bool good = l->count_start <= l->last_now && is_writable(LAPIC_SVR, l->svr) &&
                is_writable(LAPIC_ICR, (uint32_t)l->icr) && is_writable(LAPIC_DIVIDE, l->divide) &&
                (l->dfr & DFR_FIXED_BITS) == DFR_FIXED_BITS &&
                (l->irr[0] | l->isr[0]) << LAPIC_VECTOR_MIN == 0;

    for (unsigned i = 0; i < LAPIC_LVT_COUNT; i++) {
        good = good && is_writable(LAPIC_LVT + 16 * i, l->lvt[i]);
    }
    return good && (l->mode == LAPIC_X2APIC || is_writable(LAPIC_LDR, l->ldr));
}

const struct section lapic_section =
    SECTION(struct lapic_state, "lapic", 1, lapic_fields, check_state);

static void set_mode(struct lapic *l, enum lapic_mode mode)
{
    lapic_store(&l->state.mode, mode);
    if (mode == LAPIC_X2APIC) {
        lapic_store(&l->state.ldr, x2apic_ldr(l->id));
    }
}

void lapic_derive(struct lapic *l)
{
    set_mode(l, l->state.mode);
    lapic_timer_derive(l);
}

void lapic_init(struct lapic *l)
{
    for (unsigned i = 0; i < ARRAY_SIZE(l->state.irr); i++) {
        lapic_store(&l->state.irr[i], 0);
        lapic_store(&l->state.tmr[i], 0);
        l->state.isr[i] = 0;
    }
    for (unsigned i = 0; i < LAPIC_LVT_COUNT; i++) {
        lapic_store(&l->state.lvt[i], LAPIC_LVT_MASKED);
    }
    lapic_store(&l->state.pending_errors, 0);
    lapic_store(&l->state.ldr, l->state.mode == LAPIC_X2APIC ? x2apic_ldr(l->id) : 0);
    lapic_store(&l->state.dfr, DFR_FLAT);
    lapic_store(&l->state.svr, SPURIOUS_VECTOR);
    l->state.tpr = 0;
    l->state.esr = 0;
    l->state.icr = 0;
    lapic_timer_reset(l);
}

void lapic_power_on(struct lapic *l, uint32_t id, uint64_t tsc_hz)
{
    *l = (struct lapic){.id = id, .tsc_hz = tsc_hz, .state.mode = LAPIC_XAPIC};
    lapic_init(l);
}

static uint32_t read_register(struct lapic *l, uint32_t offset, uint64_t now)
{
    uint32_t word = offset >> 4 & 7U;

    switch (offset) {
    case LAPIC_ID:
        return l->state.mode == LAPIC_X2APIC ? l->id : l->id << XAPIC_DESTINATION;
    case LAPIC_VERSION:
        return VERSION;
    case LAPIC_TPR:
        return l->state.tpr;
    case LAPIC_APR: /* gone since the Pentium 4; the processor priority is as good an answer */
    case LAPIC_PPR:
        return lapic_ppr(l);
    case LAPIC_LDR:
        return l->state.ldr;
    case LAPIC_DFR:
        return l->state.dfr;
    case LAPIC_SVR:
        return l->state.svr;
    case LAPIC_ESR:
        return l->state.esr;
    case LAPIC_ICR:
        return (uint32_t)l->state.icr;
    case LAPIC_ICR_HIGH:
        return (uint32_t)(l->state.icr >> 32);
    case LAPIC_INITIAL:
        return l->state.initial_count;
    case LAPIC_CURRENT:
        return lapic_timer_current(l, now);
    case LAPIC_DIVIDE:
        return l->state.divide;
    default:
        break;
    }
    if (offset >= LAPIC_LVT && offset < LAPIC_LVT + 16 * LAPIC_LVT_COUNT) {
        return l->state.lvt[(offset - LAPIC_LVT) >> 4];
    }
    if (offset >= LAPIC_IRR && offset < LAPIC_ESR) {
        return lapic_load(&l->state.irr[word]);
    }
    if (offset >= LAPIC_TMR && offset < LAPIC_IRR) {
        return lapic_load(&l->state.tmr[word]);
    }
    return offset >= LAPIC_ISR && offset < LAPIC_TMR ? l->state.isr[word] : 0;
}

static void send_ipi(struct lapic *l, uint64_t icr, struct lapic_effect *effect)
{
    uint32_t low = (uint32_t)icr;
    uint8_t delivery = low >> 8 & 7U;
    bool wide = l->state.mode == LAPIC_X2APIC;

    if (delivery == APIC_DELIVERY_INIT && (low & (ICR_ASSERT | ICR_LEVEL)) == ICR_LEVEL) {
        return; /* the "INIT level de-assert" of old boot code does nothing since the Pentium 4 */
    }
    if ((delivery == APIC_DELIVERY_FIXED || delivery == APIC_DELIVERY_LOWEST) &&
        (low & 0xffU) < LAPIC_VECTOR_MIN) {
        lapic_raise_error(l, LAPIC_ERROR_SEND_VECTOR);
        return;
    }
    effect->kind = LAPIC_EFFECT_IPI;
    effect->message = (struct apic_message){
        .destination = (uint32_t)(wide ? icr >> 32 : icr >> (32 + XAPIC_DESTINATION)),
        .vector = (uint8_t)low,
        .delivery = delivery,
        .shorthand = low >> 18 & 3U,
        .sender = (uint8_t)l->id,
        .logical = (low & ICR_LOGICAL) != 0,
        .wide = wide,
    };
}

static void write_svr(struct lapic *l, uint32_t value)
{
    lapic_store(&l->state.svr, value);
    if ((value & LAPIC_SVR_ENABLED) == 0) {
        for (unsigned i = 0; i < LAPIC_LVT_COUNT; i++) {
            lapic_store(&l->state.lvt[i], l->state.lvt[i] | LAPIC_LVT_MASKED);
        }
    }
}

static void write_lvt(struct lapic *l, unsigned index, uint32_t value, uint64_t now,
                      struct lapic_effect *effect)
{
    if ((l->state.svr & LAPIC_SVR_ENABLED) == 0) {
        value |= LAPIC_LVT_MASKED;
    }
    if (index == LAPIC_LVT_TIMER) {
        lapic_timer_write_lvt(l, value, now);
        return;
    }
    lapic_store(&l->state.lvt[index], value);
    if (index == LAPIC_LVT_LINT0) {
        effect->kind = LAPIC_EFFECT_ROUTING;
    }
}

/* VALUE holds only bits that the table lets through. */
static void write_register(struct lapic *l, uint32_t offset, uint32_t value, uint64_t now,
                           struct lapic_effect *effect)
{
    switch (offset) {
    case LAPIC_TPR:
        lapic_write_tpr(l, value);
        break;
    case LAPIC_EOI:
        lapic_end_of_interrupt(l, effect);
        break;
    case LAPIC_LDR:
        lapic_store(&l->state.ldr, value);
        effect->kind = LAPIC_EFFECT_ROUTING;
        break;
    case LAPIC_DFR:
        lapic_store(&l->state.dfr, value | DFR_FIXED_BITS);
        effect->kind = LAPIC_EFFECT_ROUTING;
        break;
    case LAPIC_SVR:
        write_svr(l, value);
        effect->kind = LAPIC_EFFECT_ROUTING;
        break;
    case LAPIC_ESR:
        l->state.esr = __atomic_exchange_n(&l->state.pending_errors, 0, __ATOMIC_RELAXED);
        break;
    case LAPIC_ICR:
        l->state.icr = (l->state.icr & ~0xffffffffULL) | value;
        send_ipi(l, l->state.icr, effect);
        break;
    case LAPIC_ICR_HIGH:
        l->state.icr = (l->state.icr & 0xffffffffULL) | (uint64_t)value << 32;
        break;
    case LAPIC_INITIAL:
        lapic_timer_write_initial(l, value, now);
        break;
    case LAPIC_DIVIDE:
        lapic_timer_write_divide(l, value, now);
        break;
    default: /* can() leaves the local vector table only */
        write_lvt(l, (offset - LAPIC_LVT) >> 4, value, now, effect);
        break;
    }
}

uint32_t lapic_mmio_read(struct lapic *l, uint32_t offset, uint64_t now)
{
    if (!can(offset, X1)) {
        lapic_raise_error(l, LAPIC_ERROR_REGISTER);
    }
    return can(offset, R | X1) ? read_register(l, offset, now) : 0;
}

void lapic_mmio_write(struct lapic *l, uint32_t offset, uint32_t value, uint64_t now,
                      struct lapic_effect *effect)
{
    if (!can(offset, X1)) {
        lapic_raise_error(l, LAPIC_ERROR_REGISTER);
    } else if (can(offset, W)) {
        write_register(l, offset, value & registers[offset >> 4].writable, now, effect);
    }
}

void lapic_fill_page(struct lapic *l, uint32_t *page)
{
    for (uint32_t offset = 0; offset < ARRAY_SIZE(registers) << 4; offset += 16) {
        /* Reading the current count makes an exit, whatever stands here. */
        if (can(offset, R | X1) && offset != LAPIC_CURRENT) {
            page[offset / sizeof(*page)] = read_register(l, offset, 0);
        }
    }
}

static uint64_t base_value(const struct lapic *l)
{
    return LAPIC_BASE | (l->id == 0 ? BASE_BOOT_CPU : 0) |
           (l->state.mode == LAPIC_X2APIC ? BASE_X2APIC : 0) |
           (l->state.mode != LAPIC_DISABLED ? BASE_ENABLED : 0);
}

/* SDM figure 11-27: from disabled only to xAPIC, from x2APIC only to disabled. */
static enum status write_base(struct lapic *l, uint64_t value, struct lapic_effect *effect)
{
    bool enabled = (value & BASE_ENABLED) != 0;
    bool extended = (value & BASE_X2APIC) != 0;
    enum lapic_mode mode = !enabled ? LAPIC_DISABLED : extended ? LAPIC_X2APIC : LAPIC_XAPIC;

    if ((value & ~(BASE_ENABLED | BASE_X2APIC | BASE_BOOT_CPU)) != LAPIC_BASE ||
        (extended && !enabled) || (l->state.mode == LAPIC_X2APIC && mode == LAPIC_XAPIC) ||
        (l->state.mode == LAPIC_DISABLED && mode == LAPIC_X2APIC)) {
        return STATUS_INVALID;
    }
    if (mode == l->state.mode) {
        return STATUS_OK;
    }
    set_mode(l, mode);
    if (mode == LAPIC_DISABLED) {
        lapic_init(l); /* it comes back as after power-on */
    }
    effect->kind = LAPIC_EFFECT_ROUTING;
    return STATUS_OK;
}

static enum status write_x2apic(struct lapic *l, uint32_t offset, uint64_t value, uint64_t now,
                                struct lapic_effect *effect)
{
    if (offset == LAPIC_ICR) {
        value &= ~(uint64_t)ICR_BUSY; /* hardware ignores it, as kernels that keep it rely on */
        if ((value & 0xffffffffU & ~ICR_LOW_BITS) != 0) {
            return STATUS_INVALID;
        }
        l->state.icr = value;
        send_ipi(l, l->state.icr, effect);
        return STATUS_OK;
    }
    if (!can(offset, W | X2) || offset == LAPIC_LDR ||
        (value & ~(uint64_t)registers[offset >> 4].writable) != 0) {
        return STATUS_INVALID;
    }
    if (offset == LAPIC_SELF_IPI) {
        send_ipi(l, (uint64_t)APIC_TO_SELF << 18 | value, effect);
        return STATUS_OK;
    }
    write_register(l, offset, (uint32_t)value, now, effect);
    return STATUS_OK;
}

enum status lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t now, uint64_t *value)
{
    if (msr == LAPIC_MSR_BASE) {
        *value = base_value(l);
        return STATUS_OK;
    }
    if (msr == LAPIC_MSR_TSC_DEADLINE) {
        *value = lapic_timer_deadline(l);
        return STATUS_OK;
    }
    if (msr < LAPIC_MSR_X2APIC || msr > LAPIC_MSR_X2APIC_LAST) {
        return STATUS_INVALID;
    }
    uint32_t offset = (msr - LAPIC_MSR_X2APIC) << 4;

    if (l->state.mode != LAPIC_X2APIC || !can(offset, R | X2)) {
        return STATUS_INVALID;
    }
    *value = offset == LAPIC_ICR ? l->state.icr : read_register(l, offset, now);
    return STATUS_OK;
}

enum status lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t value, uint64_t now,
                            struct lapic_effect *effect)
{
    if (msr == LAPIC_MSR_BASE) {
        return write_base(l, value, effect);
    }
    if (msr < LAPIC_MSR_X2APIC || msr > LAPIC_MSR_X2APIC_LAST || l->state.mode != LAPIC_X2APIC) {
        return STATUS_INVALID;
    }
    return write_x2apic(l, (msr - LAPIC_MSR_X2APIC) << 4, value, now, effect);
}
