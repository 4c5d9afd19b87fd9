/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmm/legacy/legacy_edge.h on the host: VFs that are as strict as docs/mmr-device.md lets a device
 * be, and a recorder for what reaches the guest.
 */
#ifndef PORTOLAN_TESTS_UNIT_LEGACY_FAKE_VF_H
#define PORTOLAN_TESTS_UNIT_LEGACY_FAKE_VF_H

#include "vmm/legacy/legacy.h"

#define FAKE_VFS     4U
#define FAKE_QUEUES  6U
#define FAKE_ENTRIES 8U
#define FAKE_LOG     256U
#define FAKE_RAM     0x100000U

struct fake_queue {
    uint32_t pfn;
    uint16_t size;
    uint16_t vector;
    bool works; /* the device took buffers since the ring was set */
};

struct fake_entry {
    bool open;
    bool masked;
    bool pending;
};

/* A register access, in the order in which they came. */
struct fake_access {
    uint32_t offset; /* in the block as if MSI-X were enabled: device configuration from 18h */
    uint32_t value;
    uint8_t width;
    bool write;
};

struct fake_vf {
    /* What the device is. */
    uint16_t type;
    uint8_t config_size;
    uint8_t config[256];
    uint32_t features;
    unsigned vector_limit; /* vectors the device accepts are below this */
    unsigned vmm_vectors;  /* vectors the VMM has for it */
    unsigned slow_reset;   /* reads of the status until a reset is done */
    bool pfn_zero_resets;  /* as QEMU's device does */
    bool keeps_select;     /* a reset does not change the selected queue */
    bool never_resets;
    bool dead;    /* all ones; commands time out */
    bool unknown; /* to its PF, by commands */
    bool flr_fails;
    bool no_doorbell;
    uint8_t notify_reply[64]; /* of NOTIFY_INFO */

    /* Its state. */
    uint32_t guest_features;
    uint16_t select;
    uint16_t config_vector;
    uint8_t status;
    unsigned reset_reads; /* left of a slow reset */
    bool msix;
    bool bus_master;
    struct fake_queue queue[FAKE_QUEUES];
    struct fake_entry entry[FAKE_ENTRIES];
    uint16_t doorbell;

    /* What was done to it. */
    unsigned bad; /* accesses, commands or calls that the contract forbids */
    unsigned flrs;
    unsigned resets; /* by the status */
    unsigned accesses;
    struct fake_access log[FAKE_LOG];
};

struct fake_message {
    uint64_t address;
    uint32_t data;
};

struct fake_machine {
    struct fake_vf vf[FAKE_VFS];
    bool line[FAKE_VFS];
    unsigned rises[FAKE_VFS];
    unsigned messages;
    struct fake_message message[FAKE_LOG]; /* the last ones */
    bool reject_messages;
    uint16_t claimed_first; /* ports of the pc; first > last: none */
    uint16_t claimed_last;
    uint64_t now;
    unsigned bad_locking;
    unsigned same_lines; /* a line was driven to the level that it had */
    unsigned flr_rounds; /* calls of legacy_edge_flr() */
    unsigned marks;      /* calls of ram_mark() */
    unsigned waits;      /* calls of legacy_edge_wait() */
    uint64_t stops_at;   /* us that a reset has taken when the VM is about to stop; 0: it is not */
};

extern struct fake_machine fake;
extern uint8_t fake_ram[FAKE_RAM]; /* of the VM, from address 0 */

/* A machine whose VF n, with bus address devfn n, is a device of TYPE. */
void fake_clear(uint16_t type);

/* How to give VF N to a VM, at slot 2 + N. */
struct legacy_setup fake_setup(unsigned n, enum legacy_transport transport);

/* Forget the accesses so far. */
void fake_forget(unsigned n);

/* How often a register was written with VALUE. */
unsigned fake_writes(unsigned n, uint32_t offset, uint32_t value);

/* The device used a buffer of QUEUE, or changed its configuration: it sends what it has to send. */
void fake_complete(struct legacy_function *f, unsigned queue);
void fake_config_change(struct legacy_function *f);

/* The device itself, for fake_edge.c. OFFSET is that of the block with MSI-X enabled. */
struct fake_vf *fake_vf_of(const struct legacy_function *f);
uint32_t fake_device_read(struct fake_vf *vf, uint32_t offset, unsigned width);
void fake_device_write(struct fake_vf *vf, uint32_t offset, unsigned width, uint32_t value);
void fake_device_reset(struct fake_vf *vf);

/* Send what an unmasked entry of the VF had pending; true if there was something. */
bool fake_run(struct legacy_function *f);

#endif
