/* SPDX-License-Identifier: BSD-2-Clause */
/* What one vCPU sees: device memory, the APIC's MSRs, and the interrupts to deliver. */
#include "vmm/pc/irq_lines.h"
#include "vmm/pc/pc.h"
#include "vmm/pc/pc_edge.h"

#define REGISTER_STRIDE 16U
#define REGISTER_SIZE   4U
#define EXCEPTIONS      32 /* vectors that may mean one, too */

/* Virtual time for a local APIC: never before its last. Lets its timer expire on the way. */
static uint64_t clock_of(struct lapic *l, uint64_t now)
{
    l->state.last_now = now > l->state.last_now ? now : l->state.last_now;
    lapic_timer_run(l, l->state.last_now);
    return l->state.last_now;
}

/* Do for the other parts of the machine what a write to a local APIC entails. */
static void carry_out(struct pc *p, const struct lapic_effect *effect)
{
    switch (effect->kind) {
    case LAPIC_EFFECT_IPI:
        (void)apic_bus_deliver(p, &effect->message);
        break;
    case LAPIC_EFFECT_EOI:
        pc_edge_lock(p);
        ioapic_end_of_interrupt(p, &p->ioapic, effect->message.vector);
        pc_edge_unlock(p);
        break;
    case LAPIC_EFFECT_ROUTING:
        pc_edge_lock(p);
        irq_update_routing(p);
        pc_edge_unlock(p);
        break;
    case LAPIC_EFFECT_NONE:
        break;
    }
}

static uint32_t read_lapic(struct pc *p, unsigned vcpu, uint32_t offset, uint64_t now)
{
    struct lapic *l = &p->lapic[vcpu];

    return lapic_mmio_read(l, offset, clock_of(l, now));
}

static void write_lapic(struct pc *p, unsigned vcpu, uint32_t offset, uint32_t value, uint64_t now)
{
    struct lapic *l = &p->lapic[vcpu];
    struct lapic_effect effect = {.kind = LAPIC_EFFECT_NONE};

    now = clock_of(l, now);
    lapic_mmio_write(l, offset, value, now, &effect);
    lapic_timer_run(l, now);
    carry_out(p, &effect);
}

/* Two registers are written far more often than all others, and never look at the time. */
void pc_lapic_written(struct pc *pc, unsigned vcpu, uint32_t offset, uint32_t value, uint64_t now)
{
    struct lapic *l = &pc->lapic[vcpu];
    struct lapic_effect effect = {.kind = LAPIC_EFFECT_NONE};

    if (offset == LAPIC_TPR) {
        lapic_write_tpr(l, value);
        return;
    }
    if (offset == LAPIC_EOI) {
        lapic_end_of_interrupt(l, &effect);
        if (effect.kind != LAPIC_EFFECT_NONE) {
            carry_out(pc, &effect);
        }
        return;
    }
    write_lapic(pc, vcpu, offset - offset % REGISTER_STRIDE, value, now);
}

void pc_lapic_ended(struct pc *pc, unsigned vcpu, uint8_t vector)
{
    struct lapic_effect effect = {.kind = LAPIC_EFFECT_NONE};

    lapic_has_ended(&pc->lapic[vcpu], vector, &effect);
    carry_out(pc, &effect);
}

static uint64_t read_vga(struct pc *p, gpa_t at, unsigned width, uint64_t now)
{
    pc_edge_lock(p);
    pc_advance(p, now);
    uint64_t value = vga_memory_read(&p->vga, at.raw, width, p->board.now);
    pc_edge_unlock(p);
    return value;
}

static void write_vga(struct pc *p, gpa_t at, unsigned width, uint64_t value)
{
    pc_edge_lock(p);
    vga_memory_write(&p->vga, at.raw, width, value);
    uint32_t size = vga_take_clear(&p->vga);
    pc_edge_unlock(p);
    vga_clear(&p->vga, size);
}

static uint64_t read_flash(struct pc *p, gpa_t at, unsigned width)
{
    pc_edge_lock(p);
    uint64_t value = flash_read(&p->flash, (uint32_t)(at.raw - p->flash.base), width);
    pc_edge_unlock(p);
    return value;
}

static void write_flash(struct pc *p, gpa_t at, unsigned width, uint64_t value)
{
    pc_edge_lock(p);
    bool was = flash_is_array(&p->flash);

    flash_write(&p->flash, (uint32_t)(at.raw - p->flash.base), width, value);
    bool changed = flash_is_array(&p->flash) != was;

    pc_edge_unlock(p);
    if (changed) {
        pc_edge_flash_changed(p);
    }
}

static uint32_t read_ioapic(struct pc *p, uint32_t offset)
{
    pc_edge_lock(p);
    uint32_t value = ioapic_read(&p->ioapic, offset);
    pc_edge_unlock(p);
    return value;
}

static void write_ioapic(struct pc *p, uint32_t offset, uint32_t value, uint64_t now)
{
    pc_edge_lock(p);
    pc_advance(p, now);
    ioapic_write(p, &p->ioapic, offset, value);
    irq_update_routing(p);
    pc_settle(p);
    pc_edge_unlock(p);
}

enum device { DEVICE_NONE, DEVICE_LAPIC, DEVICE_IOAPIC, DEVICE_VGA, DEVICE_PORTAL, DEVICE_FLASH };

/* All device memory that there is; the local APIC is that of the vCPU that asks. */
static enum device find(const struct pc *p, unsigned vcpu, gpa_t address, uint32_t *offset)
{
    *offset = (uint32_t)(address.raw % PAGE_SIZE);
    if (address.raw - LAPIC_BASE < LAPIC_SIZE && pc_lapic_has_page(p, vcpu)) {
        return DEVICE_LAPIC;
    }
    if (address.raw - IOAPIC_BASE < IOAPIC_SIZE) {
        return DEVICE_IOAPIC;
    }
    return vga_claims(&p->vga, address.raw)       ? DEVICE_VGA
           : pc_portal_claims(p, address.raw)     ? DEVICE_PORTAL
           : flash_claims(&p->flash, address.raw) ? DEVICE_FLASH
                                                  : DEVICE_NONE;
}

static uint64_t width_mask(unsigned width)
{
    return width == 8 ? UINT64_MAX : (1ULL << 8 * width) - 1;
}

/* Parts of a register read as its bytes; what lies between registers reads as zero. */
bool pc_mmio_read(struct pc *pc, unsigned vcpu, gpa_t address, unsigned width, uint64_t now,
                  uint64_t *value)
{
    uint32_t offset = 0;
    enum device device = find(pc, vcpu, address, &offset);
    uint32_t within = offset % REGISTER_STRIDE;
    uint64_t raw = 0;

    if (device == DEVICE_NONE) {
        __atomic_fetch_add(&pc->unclaimed.mmio, 1, __ATOMIC_RELAXED);
        *value = width_mask(width);
        return false;
    }
    if (device == DEVICE_VGA) {
        *value = read_vga(pc, address, width, now);
        return true;
    }
    if (device == DEVICE_PORTAL) {
        *value = width == 4 ? pc_portal_read(pc, offset, width) : width_mask(width);
        return true;
    }
    if (device == DEVICE_FLASH) {
        *value = read_flash(pc, address, width);
        return true;
    }
    if (within < REGISTER_SIZE) {
        uint32_t reg = offset - within;

        raw = device == DEVICE_LAPIC ? read_lapic(pc, vcpu, reg, now) : read_ioapic(pc, reg);
    }
    *value = raw >> 8 * (within % REGISTER_SIZE) & width_mask(width);
    return true;
}

/* Both APICs want whole aligned 32-bit writes (SDM 11.4.1); anything else is dropped. */
bool pc_mmio_write(struct pc *pc, unsigned vcpu, gpa_t address, unsigned width, uint64_t value,
                   uint64_t now)
{
    uint32_t offset = 0;
    enum device device = find(pc, vcpu, address, &offset);

    if (device == DEVICE_VGA) {
        write_vga(pc, address, width, value);
        return true;
    }
    if (device == DEVICE_PORTAL) {
        pc_portal_write(pc, offset, width, (uint32_t)value);
        return true;
    }
    if (device == DEVICE_FLASH) {
        write_flash(pc, address, width, value);
        return true;
    }
    if (device == DEVICE_NONE || offset % REGISTER_STRIDE != 0 || width < REGISTER_SIZE) {
        __atomic_fetch_add(&pc->unclaimed.mmio, 1, __ATOMIC_RELAXED);
        return device != DEVICE_NONE;
    }
    if (device == DEVICE_LAPIC) {
        write_lapic(pc, vcpu, offset, (uint32_t)value, now);
    } else {
        write_ioapic(pc, offset, (uint32_t)value, now);
    }
    return true;
}

static enum status counted(struct pc *p, enum status status)
{
    if (status != STATUS_OK) {
        __atomic_fetch_add(&p->unclaimed.msrs, 1, __ATOMIC_RELAXED);
    }
    return status;
}

enum status pc_msr_read(struct pc *pc, unsigned vcpu, uint32_t msr, uint64_t now, uint64_t *value)
{
    struct lapic *l = &pc->lapic[vcpu];

    return counted(pc, lapic_msr_read(l, msr, clock_of(l, now), value));
}

enum status pc_msr_write(struct pc *pc, unsigned vcpu, uint32_t msr, uint64_t value, uint64_t now)
{
    struct lapic *l = &pc->lapic[vcpu];
    struct lapic_effect effect = {.kind = LAPIC_EFFECT_NONE};

    now = clock_of(l, now);
    if (msr == LAPIC_MSR_TSC_DEADLINE) {
        lapic_timer_write_deadline(l, value, now);
        lapic_timer_run(l, now);
        return STATUS_OK;
    }
    enum status status = lapic_msr_write(l, msr, value, now, &effect);
    lapic_timer_run(l, now);
    carry_out(pc, &effect);
    return counted(pc, status);
}

uint8_t pc_cr8_read(const struct pc *pc, unsigned vcpu)
{
    return (uint8_t)(pc->lapic[vcpu].state.tpr >> 4);
}

void pc_cr8_write(struct pc *pc, unsigned vcpu, uint8_t value)
{
    pc->lapic[vcpu].state.tpr = (uint32_t)(value & 0xfU) << 4;
}

bool pc_extint_pending(const struct pc *pc, unsigned vcpu)
{
    return __atomic_load_n(&pc->pic_output, __ATOMIC_ACQUIRE) != 0 &&
           (__atomic_load_n(&pc->pic_targets, __ATOMIC_RELAXED) >> vcpu & 1U) != 0;
}

bool pc_interrupt_pending(const struct pc *pc, unsigned vcpu)
{
    return pc_extint_pending(pc, vcpu) || lapic_pending(&pc->lapic[vcpu]) >= 0;
}

/* ExtINT goes before everything the local APIC holds (SDM 11.1). */
int pc_extint_take(struct pc *pc, unsigned vcpu)
{
    int vector = -1;

    pc_edge_lock(pc);
    if (pc_extint_pending(pc, vcpu)) { /* another vCPU may have been quicker */
        vector = pic_acknowledge(&pc->pic);
        irq_update_intr(pc);
    }
    pc_edge_unlock(pc);
    return vector;
}

int pc_interrupt_take(struct pc *pc, unsigned vcpu)
{
    struct lapic *l = &pc->lapic[vcpu];

    if (pc_extint_pending(pc, vcpu)) {
        int vector = pc_extint_take(pc, vcpu);

        if (vector >= 0) {
            return vector;
        }
    }
    int vector = lapic_pending(l);
    if (vector >= 0) {
        lapic_take(l, (uint8_t)vector);
    }
    return vector;
}

uint8_t pc_interrupt_offer(struct pc *pc, unsigned vcpu, uint8_t except)
{
    struct lapic *l = &pc->lapic[vcpu];
    int vector = pc_extint_pending(pc, vcpu) ? -1 : lapic_pending(l);

    if (vector < EXCEPTIONS || vector == except) {
        return 0;
    }
    lapic_offer(l, (uint8_t)vector);
    return (uint8_t)vector;
}

void pc_interrupt_settle(struct pc *pc, unsigned vcpu, uint8_t vector, bool taken)
{
    lapic_settle(&pc->lapic[vcpu], vector, taken);
}

bool pc_interrupt_blocked_by_cr8(const struct pc *pc, unsigned vcpu)
{
    return lapic_blocked_by_tpr(&pc->lapic[vcpu]);
}

void pc_set_tsc_rate(struct pc *pc, uint64_t hz)
{
    pc->config.tsc_hz = hz;
    for (unsigned vcpu = 0; vcpu < pc->config.vcpu_count; vcpu++) {
        pc->lapic[vcpu].tsc_hz = hz;
    }
}

void pc_vcpu_set_tsc_offset(struct pc *pc, unsigned vcpu, uint64_t offset, uint64_t now)
{
    struct lapic *l = &pc->lapic[vcpu];

    lapic_timer_set_tsc_offset(l, offset, clock_of(l, now));
}

void pc_vcpu_run(struct pc *pc, unsigned vcpu, uint64_t now)
{
    (void)clock_of(&pc->lapic[vcpu], now);
}

uint64_t pc_vcpu_next_event(const struct pc *pc, unsigned vcpu)
{
    return lapic_timer_next_event(&pc->lapic[vcpu]);
}
