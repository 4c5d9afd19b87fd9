/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of vmm/legacy share. Locks: see legacy.h. */
#ifndef PORTOLAN_VMM_LEGACY_LEGACY_INTERNAL_H
#define PORTOLAN_VMM_LEGACY_LEGACY_INTERNAL_H

#include "vmm/base/little_endian.h"
#include "vmm/legacy/legacy.h"

/* Offsets in configuration space (PCI 3.0, 6.1). */
#define CONFIG_COMMAND 0x04U
#define CONFIG_STATUS  0x06U
#define CONFIG_BAR0    0x10U
#define CONFIG_BAR1    0x14U
#define CONFIG_MSIX    0x40U

#define COMMAND_IO           0x0001U
#define COMMAND_MEMORY       0x0002U
#define COMMAND_MASTER       0x0004U
#define COMMAND_INTX_DISABLE 0x0400U

#define MSIX_ENABLE        0x8000U
#define MSIX_FUNCTION_MASK 0x4000U

#define ENTRY_MASKED 0x1U /* MSI-X vector control */

static inline bool bit_get(const uint64_t *words, unsigned bit)
{
    return (words[bit / 64] >> bit % 64 & 1U) != 0;
}

static inline void bit_set(uint64_t *words, unsigned bit)
{
    words[bit / 64] |= 1ULL << bit % 64;
}

static inline void bit_clear(uint64_t *words, unsigned bit)
{
    words[bit / 64] &= ~(1ULL << bit % 64);
}

/* Lost, and the guest is to see it: no other VF takes its place. */
static inline bool legacy_gone(const struct legacy_function *f)
{
    return legacy_is_lost(f) && !__atomic_load_n(&f->standby, __ATOMIC_ACQUIRE);
}

static inline bool has_ring(const struct legacy_function *f, unsigned queue)
{
    return f->state.queue[queue].pfn != 0;
}

/* ---- legacy_transport.c: the VF's registers; the registers lock is held ---- */

enum legacy_area { LEGACY_AREA_HEADER, LEGACY_AREA_CONFIG };

/*
 * One register or element of AREA, whole, with its own width. What a lost VF would answer is all
 * ones; a VF whose every register reads so is lost from then on.
 */
uint32_t legacy_transport_read(struct legacy_function *f, enum legacy_area area, unsigned offset,
                               unsigned width);

/* As above. When it returns, the VF has the value, as a legacy driver's OUT promises. */
void legacy_transport_write(struct legacy_function *f, enum legacy_area area, unsigned offset,
                            unsigned width, uint32_t value);

/* Find where notifications go, if there is such a place. At creation. */
void legacy_transport_find_doorbell(struct legacy_function *f);

/* ---- legacy_registers.c: the guest's view of BAR 0; the registers lock is held ---- */

uint32_t legacy_registers_read(struct legacy_function *f, unsigned offset, unsigned width);
void legacy_registers_write(struct legacy_function *f, unsigned offset, unsigned width,
                            uint32_t value);

/* Tell the VF that QUEUE has news. */
void legacy_notify_queue(struct legacy_function *f, uint16_t queue);

/* ---- vectors.c: who gets which entry of the VF; the registers lock is held ---- */

/* The VF was reset by its status register: forget the vectors, make a new start. */
void legacy_vectors_restart(struct legacy_function *f);

/* The guest's MSI-X Enable is now ON. */
void legacy_vectors_switch(struct legacy_function *f, bool on);

/* The guest wrote a vector register. */
void legacy_vectors_set_config(struct legacy_function *f, uint16_t vector);
void legacy_vectors_set_queue(struct legacy_function *f, uint16_t vector);

/* The selected queue is about to get a ring. False: it has no vector, do not start it. */
bool legacy_vectors_prepare_queue(struct legacy_function *f);

void legacy_vectors_close_all(struct legacy_function *f);

/* ---- interrupt.c ---- */

/* A state without interrupts, MSI-X as given. Takes the interrupt lock. */
void legacy_interrupt_clear(struct legacy_function *f, bool msix);

/* Deliver what may have been missed while vectors changed. Takes the interrupt lock. */
void legacy_interrupt_recover(struct legacy_function *f);

/* INTx Disable and the function mask, from configuration space. Takes the interrupt lock. */
void legacy_interrupt_set_masks(struct legacy_function *f, bool intx_disable, bool function_mask);

/* The guest reads the ISR. Takes the interrupt lock. */
uint8_t legacy_interrupt_read_isr(struct legacy_function *f);

/* Interrupts as the loaded state and configuration space have them. Takes the interrupt lock. */
void legacy_interrupt_derive(struct legacy_function *f, uint32_t command, uint32_t msix);

/* ---- config_space.c; no vCPU runs ---- */

/* Configuration space as a BIOS leaves it. */
void legacy_config_reset(struct legacy_function *f, unsigned index);

/* Does CONFIG, which may be anything, differ from the function's only where a guest may write? */
bool legacy_config_fits(const struct legacy_function *f, const uint8_t *config);

/* Derive ports, Bus Master and interrupts from configuration space. The registers lock is held. */
void legacy_config_derive(struct legacy_function *f);

/* ---- legacy_ports.c ---- */

/* The function's BARs are at IO and MMIO from now on; 0: not decoded. Takes the ports lock. */
void legacy_ports_place(struct legacy_function *f, uint32_t io, uint32_t mmio);

/* What the platform claims may have changed. Takes the ports lock. */
void legacy_ports_recheck(struct legacy_set *set);

/* ---- life.c ---- */

/* As legacy_life_acquire(), which somebody else's lock has kept from it. */
void legacy_life_await(struct legacy_function *f);

/* Take the registers lock for a guest's access: it may be held until a device has answered. */
static inline void legacy_life_acquire(struct legacy_function *f)
{
    if (!spinlock_try(&f->lock)) {
        legacy_life_await(f);
    }
}

/* Write 0 to the status and wait until the VF has reset. The registers lock is held. */
void legacy_life_reset_device(struct legacy_function *f);

/* The VF is out of order: warn, and take it off. The registers lock is held. */
void legacy_life_lose(struct legacy_function *f, const char *why);

/* The VF is lost: no doorbell, no interrupts, no DMA. The registers lock is held. */
void legacy_life_take_off(struct legacy_function *f);

/* Drive Bus Master of the VF. The registers lock is held. */
void legacy_life_set_bus_master(struct legacy_function *f, bool on);

#endif
