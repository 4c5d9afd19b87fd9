/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The capability report: the first screen. What this machine has, what is missing, what that
 * costs, and what to change in the firmware set-up. docs/report.md explains it line by line.
 */
#ifndef PORTOLAN_VMM_REPORT_REPORT_H
#define PORTOLAN_VMM_REPORT_REPORT_H

#include "vmm/report/facts.h"

/* What the core knows and the report cannot find out by itself. */
struct report_machine {
    uint32_t cpus_started;
    uint64_t memory_total;   /* bytes of RAM */
    uint64_t memory_usable;  /* bytes that the frame allocator has to give */
    uint64_t memory_largest; /* bytes of its longest 2 MiB-aligned run */
};

enum report_verdict {
    REPORT_READY,          /* VMs with passthrough */
    REPORT_NO_PASSTHROUGH, /* VMs, but no device can be passed through */
    REPORT_CANNOT_RUN      /* something the VMM needs is missing */
};

/*
 * Read CPUID, MSRs and IOMMU registers of this machine into *FACTS, overwritten. ACPI, PCI and
 * virtio are taken from acpi_facts(), pci_scan() and virtio_discover(), which come before. Boot
 * CPU.
 */
void report_gather(const struct report_machine *machine, struct platform_facts *facts);

/* Write the report on FACTS to the log (level info), and return its verdict. Any CPU. */
enum report_verdict report_print(const struct platform_facts *facts);

/* The verdict alone. Pure. */
enum report_verdict report_verdict(const struct platform_facts *facts);

#endif
