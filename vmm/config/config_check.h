/* SPDX-License-Identifier: BSD-2-Clause */
/* Does the configuration fit together; does it fit the machine. */
#ifndef PORTOLAN_VMM_CONFIG_CONFIG_CHECK_H
#define PORTOLAN_VMM_CONFIG_CONFIG_CHECK_H

#include "vmm/config/config.h"

/* Check what can be checked without the machine; config_parse() calls it. Pure. */
void config_check(const struct config *config, struct config_report *report);

struct config_machine_pf {
    bdf_t bdf;
    uint32_t total_vfs;
    bool has_sriov;
};

/* The machine, as far as the check wants to know it. */
struct config_machine {
    bool can_run_vms; /* SVM or VMX is there and may be used */
    bool has_iommu;
    uint32_t cpu_count;   /* indices 0 to cpu_count - 1 ... */
    bool cpu_usable[256]; /* ... of which these were started ... */
    uint32_t core[256];   /* ... and which are threads of one core: those with the same number */
    uint64_t memory;      /* bytes that VMs can have */
    uint32_t pf_count;
    struct config_machine_pf pfs[64]; /* virtio PFs */
};

/* Check the configuration, parsed without error, against MACHINE. INVALID when there is an error.
 * Pure. */
enum status config_check_machine(const struct config *config, const struct config_machine *machine,
                                 struct config_report *report);

#endif
