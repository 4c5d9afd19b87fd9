/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The legacy virtio functions of one VM: what a guest with old drivers sees of its VFs.
 * docs/legacy.md explains; legacy_edge.h is what is needed from below; docs/mmr-device.md is the
 * contract with the device.
 *
 * Who calls what. A guest's port access goes first to legacy_notify() (writes of two bytes), then
 * to legacy_port_read() or legacy_port_write(), then to the pc: legacy_edge_port_claimed() keeps
 * these off the pc's own ports. Memory of the PCI hole goes to legacy_mmio_read() or
 * legacy_mmio_write() and then to the pc, which has nothing there; other device memory to the pc
 * only. Configuration space comes through pc_edge_pci_read() and pc_edge_pci_write(). After EVERY
 * write of a guest to the PCI data ports (CFCh..CFFh), on the same CPU, without the pc lock
 * and before the guest goes on, the VM layer calls legacy_settle(). The VMM's interrupt handlers
 * call legacy_interrupt().
 *
 * Locks (docs/architecture.md has all of them): the function's registers lock (sequences of
 * register accesses; may be held until a device has reset), its interrupt lock (with interrupts
 * off, a few instructions), the pc lock. legacy_config_read() and legacy_config_write() are
 * called with the pc lock held and take none. All others are called without any of them.
 *
 * Guest input may be anything, in every order, from several vCPUs at once.
 */
#ifndef PORTOLAN_VMM_LEGACY_LEGACY_H
#define PORTOLAN_VMM_LEGACY_LEGACY_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"
#include "vmm/host/mmio.h"
#include "vmm/host/spinlock.h"
#include "vmm/legacy/legacy_state.h"
#include "vmm/legacy/register_layout.h"

struct legacy_inflight;
struct ram;

#define LEGACY_FUNCTIONS_MAX 16U /* of one VM */

#define LEGACY_MMIO_SIZE  4096U /* BAR 1: MSI-X table, PBA in the second half */
#define LEGACY_PBA_OFFSET 2048U

/* Where BARs lie after a reset: function n has page n of each. */
#define LEGACY_IO_BASE   0xc000U
#define LEGACY_IO_STEP   0x100U
#define LEGACY_MMIO_BASE 0xe0000000U

/* I/O BARs are multiples of this, so that each of these pages of ports has one owner. */
#define LEGACY_PORT_PAGE  32U
#define LEGACY_PORT_PAGES (0x10000U / LEGACY_PORT_PAGE)

enum legacy_transport { LEGACY_TRANSPORT_MMR, LEGACY_TRANSPORT_ADMIN };

/* What the VM layer knows of a VF when it gives it to a VM. */
struct legacy_setup {
    bdf_t vf;
    uint16_t type;          /* virtio device id */
    uint16_t vectors;       /* entries of the VF's MSI-X table, at least 1 */
    uint8_t slot;           /* PCI device number for the guest, 2..31, no other VF's */
    uint8_t interrupt_line; /* what the BIOS would write there */
    bool standby;           /* another VF takes its place when it is lost */
    const struct ram *ram;  /* the VM's */
    /* Its requests are followed here, as they must be with a standby. NULL: they are not. */
    struct legacy_inflight *inflight;
    enum legacy_transport transport;
    uint8_t block_bar; /* these three for LEGACY_TRANSPORT_MMR: where the block is */
    uint64_t block_offset;
    uint32_t block_length;
};

/* What interrupts depend on besides the state; under the interrupt lock. */
struct legacy_interrupts {
    struct spinlock lock;
    bool paused;                        /* messages of the VF are recorded, and nothing else */
    bool msix;                          /* the guest's MSI-X Enable, in force */
    bool function_mask;                 /* likewise */
    bool intx_disable;                  /* likewise */
    bool line;                          /* the level that was given to the platform */
    uint8_t first_entry_isr;            /* what a message of entry 0 means to a guest with INTx */
    uint64_t held[LEGACY_VECTOR_WORDS]; /* entries of the VF that are masked meanwhile */
    uint64_t arrived[LEGACY_VECTOR_WORDS]; /* entries whose message came while paused */
};

/* Numbers for the console, each under the lock that guards what it counts; read without. */
struct legacy_counters {
    uint64_t reads;              /* of the VF's registers */
    uint64_t writes;             /* of them, without those of legacy_notify() */
    uint64_t notifies;           /* by legacy_notify(); atomic, no lock */
    uint64_t refused;            /* commands that the device refused */
    uint64_t ignored;            /* accesses of the guest that reach no register */
    uint64_t interrupts;         /* from the VF */
    uint64_t interrupts_late;    /* of them, those that nobody wants any more */
    uint64_t messages;           /* MSI-X to the guest */
    uint64_t messages_invalid;   /* to an address that is no interrupt; dropped */
    uint64_t messages_unclaimed; /* that no local APIC accepted */
    uint64_t intx;               /* rises of the line */
};

struct legacy_function {
    struct legacy_set *set;
    const struct legacy_type *type;
    struct legacy_setup setup;
    uint32_t io_size;
    uint16_t vectors; /* entries that the guest sees */
    uint8_t devfn;

    struct legacy_state state;

    /* The binding. Without a lock: the notify path and the lookups. 0: not there. */
    volatile uint16_t *doorbell; /* NULL: notifications are register writes */
    uint32_t io_base;
    uint32_t mmio_base;
    uint32_t notify_port;

    /* What legacy_settle() needs of configuration space; atomic. */
    uint32_t attention; /* something to settle */
    uint32_t wanted_bar[2];
    uint32_t wanted_command;
    uint32_t wanted_msix; /* MSI-X message control */

    struct spinlock lock; /* the registers lock; what follows is under it */
    uint8_t config_length;
    bool bus_master_on;      /* Bus Master of the VF as it was last driven */
    bool command_bus_master; /* as the guest has it */
    bool vf_msix;            /* MSI-X Enable of the VF */
    bool lost_master;        /* lost: 'bus_master' of the state until then */
    bool rebuilding;         /* legacy_rebuild(): its state may be none */
    bool standby; /* if it is lost the guest waits for another VF to take its place; atomic */
    uint64_t touched[LEGACY_QUEUE_WORDS]; /* queues whose vector the VF may have */
    uint64_t open[LEGACY_VECTOR_WORDS];   /* entries that have a vector of the VMM */
    struct legacy_counters counters;

    struct legacy_interrupts irq;
};

/* All functions of a VM. */
struct legacy_set {
    const char *vm; /* its name, for messages */
    bool hidden;    /* functions that are added are paused, and the guest sees none of them */
    uint32_t count;
    struct legacy_function *function[LEGACY_FUNCTIONS_MAX];
    struct spinlock ports_lock;
    uint8_t owner[LEGACY_PORT_PAGES]; /* 1 + index of the function at these ports; 0: none */
};

/* An empty set for the VM called VM, which must stay. */
void legacy_init(struct legacy_set *set, const char *vm);

/*
 * Give a VF to the VM: reset it, take over its interrupts, and show it as SETUP says. The storage
 * FUNCTION is the caller's and is overwritten; it belongs to SET until legacy_release(). The VF's
 * DMA must already be confined. No vCPU runs.
 *
 * INVALID: the VF's block makes no sense; NO_MEMORY: the set is full or no interrupt vector is
 * left; UNSUPPORTED: no transitional type, or no MSI-X; TIMEOUT, DEVICE: the VF does not work. The
 * log says which; then FUNCTION is not part of the set.
 */
enum status legacy_add(struct legacy_set *set, struct legacy_function *function,
                       const struct legacy_setup *setup);

/*
 * Their VM is to be reset: no interrupts and no DMA of any function from here to legacy_reset(), so
 * that none of them gets into the new life of the pc. No vCPU runs.
 */
void legacy_silence(struct legacy_set *set);

/*
 * Reset all functions with their VM: FLR, registers, configuration space, BARs as a BIOS leaves
 * them. A VF that was lost gets another try. No vCPU runs; after pc_reset().
 */
void legacy_reset(struct legacy_set *set);

/* Take all VFs away from the VM, reset and quiet. No vCPU runs any more. */
void legacy_release(struct legacy_set *set);

/* ---- Pause, save and load; no vCPU runs from legacy_pause() to legacy_resume() ---- */

/*
 * From here on messages of the VFs are only recorded, and so not lost: one of each entry, the VF
 * keeps the rest. legacy_resume() delivers them. VFs go on with DMA.
 */
void legacy_pause(struct legacy_set *set);
void legacy_resume(struct legacy_set *set);

/* The state of a paused FUNCTION, complete; valid until it is resumed. */
const struct legacy_state *legacy_save(struct legacy_function *function);

/*
 * A paused FUNCTION is about to be saved, loaded again and compared (BEGUN), or has been: meanwhile
 * CPU 0 does not follow its requests, nor give it up. legacy_fill() makes its state BYTEs, but for
 * 'lost', at which others may look. Takes the registers lock.
 */
void legacy_rebuild(struct legacy_function *function, bool begun);
void legacy_fill(struct legacy_function *function, uint8_t byte);

/*
 * Give a paused FUNCTION the state FROM, whose fields are in their ranges and may else be anything,
 * and derive from it what follows: ports, line, masks, Bus Master. What was recorded during the
 * pause stays recorded. The VF's registers are not touched. INVALID, and nothing is changed: FROM
 * makes no sense, or is that of a function with another configuration space.
 */
enum status legacy_load(struct legacy_function *function, const struct legacy_state *from);

/*
 * FUNCTION's state was that of another VF: write its vectors, and what the guest wrote to the
 * device configuration, into the VF that it has now, whose queues exist. If the VF does not take
 * the vectors, it is lost. Paused.
 */
void legacy_rebind(struct legacy_function *function);

/* ---- From one VF to another (docs/migration.md) ---- */

/* What decides whether a function can go to another VF. */
struct legacy_description {
    uint16_t type;
    uint16_t vectors;
    uint8_t config_length;
    uint32_t features;        /* that the device offers */
    uint32_t driver_features; /* that the guest's driver took */
    uint8_t config[LEGACY_DEVICE_CONFIG];
    uint16_t queue_size[LEGACY_QUEUES_MAX]; /* 0: no such queue, or nobody has asked */
};

/*
 * Describe FUNCTION without an effect on it. With FEATURES it is one that nobody uses: they are
 * written as a driver's, for all queues that such a driver finds. DEVICE: it is lost. Takes the
 * registers lock.
 */
enum status legacy_describe(struct legacy_function *function, const uint32_t *features,
                            struct legacy_description *description);

/*
 * TO, which was added to a set of its own, takes the place of FROM in the VM, with its ports and
 * its line; FROM keeps its VF. Both are paused then. Called with both exchanged it undoes that. TO
 * has still to be loaded with FROM's state. Its VF is not touched.
 */
void legacy_hand_over(struct legacy_function *from, struct legacy_function *to);

/* Give FUNCTION's entries vectors where those of LIKE have some. NO_MEMORY: none are left. */
enum status legacy_open_vectors(struct legacy_function *function,
                                const struct legacy_function *like);

/*
 * A device that is told to run looks at its rings: LEND it Bus Master for that, also if the guest
 * has taken it away. Without LEND it is again as the guest has it. Paused, and loaded.
 */
void legacy_lend_master(struct legacy_function *function, bool lend);

/* What FROM's VF has sent since its state was saved counts as TO's, which took its place. Paused.
 */
void legacy_take_messages(struct legacy_function *to, struct legacy_function *from);

/* Notify each queue of FUNCTION but those in IDLE, and note an interrupt of each, and with CONFIG
 * one for a change of configuration, for the end of the pause. */
void legacy_poke(struct legacy_function *function, bool config,
                 const uint64_t idle[LEGACY_QUEUE_WORDS]);

/*
 * FUNCTION has the state that another VF's guest left it: write it into the VF, which is as new,
 * and whose device is quiesced. Paused.
 */
void legacy_replay(struct legacy_function *function);

/* No other VF takes FUNCTION's place: if it is lost its guest sees that. Any CPU. */
void legacy_forsake(struct legacy_function *function);

/* FUNCTION's VF is lost. Any CPU. */
static inline bool legacy_is_lost(const struct legacy_function *function)
{
    return __atomic_load_n(&function->state.lost, __ATOMIC_ACQUIRE);
}

/* FUNCTION is no VM's any more: no interrupts and no DMA of its VF. */
void legacy_retire(struct legacy_function *function);

/* FUNCTION's VF cannot go on: it is lost, with the message WHY. legacy_try_give_up() is for CPU 0,
 * and does nothing, and is false, while somebody has the registers lock, or it is rebuilt. */
void legacy_give_up(struct legacy_function *function, const char *why);
bool legacy_try_give_up(struct legacy_function *function, const char *why);

/* ---- Any vCPU ---- */

/* Configuration space of slots 2..31, as pc_edge_pci_read() and pc_edge_pci_write() have it. */
uint32_t legacy_config_read(struct legacy_set *set, uint8_t devfn, uint8_t offset, unsigned width);
void legacy_config_write(struct legacy_set *set, uint8_t devfn, uint8_t offset, unsigned width,
                         uint32_t value);

/* Carry out what the last configuration write asked for: see the top of this file. */
void legacy_settle(struct legacy_set *set);

/*
 * WIDTH 1, 2 or 4. False: no function is at PORT, or the platform has a device there, which goes
 * first.
 */
bool legacy_port_read(struct legacy_set *set, uint16_t port, unsigned width, uint32_t *value);
bool legacy_port_write(struct legacy_set *set, uint16_t port, unsigned width, uint32_t value);

/* A function has PORT, or a port near it. */
static inline bool legacy_port_is_ours(const struct legacy_set *set, uint16_t port)
{
    return __atomic_load_n(&set->owner[port / LEGACY_PORT_PAGE], __ATOMIC_RELAXED) != 0;
}

/*
 * The same, but false, too, where that might take long (there is a command to the PF to wait for, a
 * reset, or somebody else who has the registers lock) and where the VF is lost, by this very access
 * even: what stands above is to be asked then.
 */
bool legacy_port_read_now(struct legacy_set *set, uint16_t port, unsigned width, uint32_t *value);
bool legacy_port_write_now(struct legacy_set *set, uint16_t port, unsigned width, uint32_t value);

/* At PORT is a function that is lost and whose place another VF takes soon: an access that has just
 * been made is to be made again. */
bool legacy_port_waits(const struct legacy_set *set, uint16_t port);

/* WIDTH 1, 2, 4 or 8. False: no function is there. */
bool legacy_mmio_read(struct legacy_set *set, gpa_t address, unsigned width, uint64_t *value);
bool legacy_mmio_write(struct legacy_set *set, gpa_t address, unsigned width, uint64_t value);

/*
 * The VF sent the message of entry ENTRY of its MSI-X table. Any CPU, in an interrupt handler,
 * without a lock that legacy_ functions take under interrupts off.
 */
void legacy_interrupt(struct legacy_function *function, unsigned entry);

/*
 * The path of a queue notification: a write of 2 bytes. True: done, with one store to the device.
 * False: it is something else. No lock; the store is posted, as the contract allows.
 */
static inline bool legacy_notify(const struct legacy_set *set, uint16_t port, uint16_t queue)
{
    size_t owner = __atomic_load_n(&set->owner[port / LEGACY_PORT_PAGE], __ATOMIC_RELAXED);
    struct legacy_function *function;
    volatile uint16_t *doorbell;

    if (owner == 0) {
        return false;
    }
    function = set->function[owner - 1];
    doorbell = __atomic_load_n(&function->doorbell, __ATOMIC_RELAXED);
    if (__atomic_load_n(&function->notify_port, __ATOMIC_RELAXED) != port || doorbell == NULL) {
        return false;
    }
    mmio_write16(doorbell, queue);
    __atomic_fetch_add(&function->counters.notifies, 1, __ATOMIC_RELAXED);
    return true;
}

#endif
