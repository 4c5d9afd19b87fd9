/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The firmware tables of the virtual PC: ACPI (RSDP, RSDT, XSDT, FADT, FACS, MADT, DSDT; ACPI 6.5,
 * chapter 5) and the MP table (MultiProcessor Specification 1.4).
 */
#ifndef PORTOLAN_VMM_PC_GUEST_TABLES_H
#define PORTOLAN_VMM_PC_GUEST_TABLES_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"
#include "vmm/pc/pc.h"

/* Enough for PC_VCPUS_MAX vCPUs. */
#define TABLES_SIZE_MAX 0x2000U

/*
 * Where kernels look for the MP floating pointer (MultiProcessor Specification 1.4, chapter 4) and,
 * from E0000h on, for the RSDP.
 */
#define TABLES_AREA_BASE 0xf0000U

struct tables {
    uint32_t size; /* bytes of the image used */
    gpa_t rsdp;
    gpa_t mp; /* floating pointer */
};

/*
 * Write the tables for CONFIG into the SIZE bytes at IMAGE, which the guest sees at
 * TABLES_AREA_BASE; the VM reports that memory as reserved. RANGE: SIZE is too small.
 */
enum status tables_build(const struct pc_config *config, uint8_t *image, uint32_t size,
                         struct tables *tables);

/* What a VM's firmware gets by fw_cfg; the files point into it. */
struct firmware_files {
    uint8_t tables[TABLES_SIZE_MAX];
    uint8_t loader[0x1000];
    uint8_t memory[40]; /* etc/e820 */
};

/*
 * Offer the files that SeaBIOS and OVMF read: ACPI tables with the commands that place them, and
 * the memory map. MP, SMBIOS and PIR tables are the firmware's. FILES is overwritten, and stays as
 * long as PC runs; after pc_init(), before any vCPU runs. RANGE: too small.
 */
enum status firmware_files_add(struct pc *pc, struct firmware_files *files);

#endif
