/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/pc/pc_edge.h on the host: records what the virtual PC asked of its VM. */
#ifndef PORTOLAN_TESTS_UNIT_PC_FAKE_EDGE_H
#define PORTOLAN_TESTS_UNIT_PC_FAKE_EDGE_H

#include "vmm/pc/pc.h"

#define FAKE_RAM_SIZE 0x8000U

struct fake_edge {
    int locked;
    void (*unlocked)(void); /* what another vCPU does as soon as the lock is free; once */
    unsigned bad_locking;   /* taken twice, given back without being held */
    unsigned kicks[PC_VCPUS_MAX];
    unsigned nmis[PC_VCPUS_MAX];
    unsigned inits[PC_VCPUS_MAX];
    unsigned sipis[PC_VCPUS_MAX];
    uint8_t sipi_vector;
    unsigned resets;
    unsigned rings; /* of the portal */
    unsigned flash_changes;
    unsigned power_offs;
    unsigned debug_exits;
    uint32_t debug_exit_value;
    unsigned deadline_changes;
    unsigned console_length;
    bool console_full; /* it takes no more than it has */
    char console[256];
    uint32_t pci_value; /* what functions of the VM read as */
    uint8_t pci_devfn;
    uint8_t pci_offset;
    uint32_t pci_written;
    uint8_t *ram; /* the guest's, FAKE_RAM_SIZE bytes from 0 on */
    unsigned ram_accesses;
};

extern struct fake_edge fake_edge;

void fake_edge_clear(void);

/* From here on sources of a line that no device of the board is. */
#define FAKE_SOURCE IRQ_SOURCES

/* Drive GSI as the board's devices do, from SOURCE, FAKE_SOURCE..31. Takes the lock. */
void fake_edge_set_irq(struct pc *pc, unsigned source, unsigned gsi, bool level);

/* Every test's machine: VCPUS vCPUs, 512 MiB, a TSC of 2.5 GHz, a keyboard. */
struct pc_config fake_edge_config(unsigned vcpus);

#endif
