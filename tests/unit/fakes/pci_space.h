/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drivers/pci/pci_config.h on the host: a configuration space that tests build function by
 * function, segment 0, up to 256 buses of 256 functions.
 */
#ifndef PORTOLAN_TESTS_UNIT_FAKES_PCI_SPACE_H
#define PORTOLAN_TESTS_UNIT_FAKES_PCI_SPACE_H

#include "vmm/base/types.h"

/* Remove all functions; every bus is closed, and ECAM is there. */
void fake_pci_reset(void);

/* Firmware gives no ECAM: only 256 bytes can be reached. */
void fake_pci_without_ecam(void);

bdf_t fake_bdf(uint8_t bus, uint8_t device, uint8_t function);

/* Add a function with a plain header; returns its 4096 bytes, which the test may change. */
uint8_t *fake_pci_add(bdf_t bdf, uint16_t vendor, uint16_t device);

/* Take a function away. */
void fake_pci_remove(bdf_t bdf);

/* 4096 bytes: the bits of each register that can be written; at first all. */
uint8_t *fake_pci_mask(bdf_t bdf);

/* What devices do beyond keeping what is written: 'read' may change VALUE, 'write' comes after. */
struct fake_pci_hooks {
    void (*read)(bdf_t bdf, uint32_t offset, unsigned width, uint32_t *value);
    void (*write)(bdf_t bdf, uint32_t offset, unsigned width);
};
void fake_pci_hook(const struct fake_pci_hooks *new_hooks);

/* A bridge with a PCI Express capability of type PORT (enum pci_port). */
uint8_t *fake_pci_add_bridge(bdf_t bdf, uint8_t secondary, uint8_t subordinate, uint8_t port);

/* Append a capability of SIZE bytes to CONFIG's list; returns its offset. */
uint16_t fake_pci_cap(uint8_t *config, uint8_t id, uint8_t size);
uint16_t fake_pci_ext_cap(uint8_t *config, uint16_t id, uint16_t size);

/* PCI Express capability of an endpoint; FLR: with function level reset. */
void fake_pci_express(uint8_t *config, uint8_t port, bool flr);

/* SR-IOV capability; returns its offset. */
uint16_t fake_pci_sriov(uint8_t *config, uint16_t total, uint16_t first_offset, uint16_t stride,
                        uint16_t vf_device);

/* Switch NUM VFs on: each becomes a function of ids ffff:ffff; returns nothing of them. */
void fake_pci_enable_vfs(bdf_t pf, uint16_t sriov, uint16_t num);

/* The 4096 bytes of a function, NULL when there is none. */
uint8_t *fake_pci_config(bdf_t bdf);

void fake_put16(uint8_t *config, uint32_t offset, uint16_t value);
void fake_put32(uint8_t *config, uint32_t offset, uint32_t value);

/* Has BDF been written to? Accesses so far, and buses that are open. */
bool fake_pci_written(bdf_t bdf);
void fake_pci_forget_accesses(void);
unsigned long fake_pci_writes(void);
unsigned long fake_pci_reads(void);
unsigned fake_pci_open_buses(void);

#endif
