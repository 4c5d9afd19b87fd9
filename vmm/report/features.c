/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/report/features.h"

/*
 * CPUID leaves: Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E.
 * VMX capability MSRs: SDM volume 3, appendix A. In those of the controls, bit 32 + n says that
 * control n may be 1.
 */
#define LEAF_BASIC    0x00000001U
#define LEAF_EXTENDED 0x80000001U
#define LEAF_POWER    0x80000007U
#define LEAF_SVM      0x8000000aU
#define MSR_PIN       0x481U
#define MSR_SECONDARY 0x48bU
#define MSR_EPT       0x48cU
#define CONTROL(n)    (32 + (n))

#define SVM_SETUP \
    "enable SVM Mode in the firmware set-up (often under CPU configuration or Advanced > AMD CBS)"
#define VMX_SETUP                                                                            \
    "enable Intel Virtualization Technology (VT-x) in the firmware set-up (often under CPU " \
    "configuration)"

/* One row: name, where it is told, bit, vendor, parent, need, remedy. */
#define ROW(id, text, from, leaf, number, who, above, how, cure) \
    [FEATURE_##id] = {.name = (text),                            \
                      .source = SOURCE_##from,                   \
                      .where = (leaf),                           \
                      .bit = (number),                           \
                      .vendor = CPU_VENDOR_##who,                \
                      .parent = FEATURE_##above,                 \
                      .need = FEATURE_##how,                     \
                      .remedy = (cure)}

/* clang-format off: a table is read by its columns */
const struct feature features[FEATURE_COUNT] = {
    ROW(NX, "NX", EDX, LEAF_EXTENDED, 20, OTHER, NX, NEEDED,
        "enable Execute Disable / No-Execute in the firmware set-up"),
    ROW(PAGES_1G, "1G pages", EDX, LEAF_EXTENDED, 26, OTHER, PAGES_1G, WANTED,
        "more page-table memory and TLB misses"),
    ROW(X2APIC, "x2APIC", ECX, LEAF_BASIC, 21, OTHER, X2APIC, WANTED,
        "slower IPIs, and no CPUs with APIC ids above 254; enable x2APIC in the firmware set-up"),
    ROW(INVARIANT_TSC, "invariant TSC", EDX, LEAF_POWER, 8, OTHER, INVARIANT_TSC, WANTED,
        "time drifts when the CPU changes its frequency; disable deep C-states and frequency "
        "scaling"),
    ROW(TSC_DEADLINE, "TSC deadline", ECX, LEAF_BASIC, 24, OTHER, TSC_DEADLINE, WANTED,
        "timers are set through the slower APIC counter"),

    ROW(SVM, "SVM", ECX, LEAF_EXTENDED, 2, AMD, SVM, NEEDED, SVM_SETUP),
    ROW(SVM_NPT, "NPT", EDX, LEAF_SVM, 0, AMD, SVM, NEEDED,
        "this CPU is too old (nested paging came with Barcelona, 2007)"),
    ROW(SVM_NEXT_RIP, "next-RIP save", EDX, LEAF_SVM, 3, AMD, SVM, WANTED,
        "exits decode the guest's instruction to step over it"),
    ROW(SVM_DECODE_ASSISTS, "decode assists", EDX, LEAF_SVM, 7, AMD, SVM, WANTED,
        "MMIO exits read the instruction from the guest's memory"),
    ROW(SVM_FLUSH_BY_ASID, "flush by ASID", EDX, LEAF_SVM, 6, AMD, SVM, WANTED,
        "flushing one guest's TLB flushes all"),
    ROW(SVM_CLEAN_BITS, "VMCB clean bits", EDX, LEAF_SVM, 5, AMD, SVM, WANTED,
        "every entry loads the whole VMCB"),
    ROW(SVM_PAUSE_FILTER, "pause filter", EDX, LEAF_SVM, 10, AMD, SVM, WANTED,
        "spinning guests are not noticed"),
    ROW(SVM_VGIF, "vGIF", EDX, LEAF_SVM, 16, AMD, SVM, WANTED, "only nested guests would use it"),
    ROW(SVM_AVIC, "AVIC", EDX, LEAF_SVM, 13, AMD, SVM, WANTED,
        "guests' APIC accesses and interrupts cost exits; enable AVIC in the firmware set-up"),
    ROW(SVM_TSC_RATIO, "TSC ratio", EDX, LEAF_SVM, 4, AMD, SVM, WANTED,
        "VMs migrate only between machines of the same TSC frequency"),
    ROW(SVM_LBR, "LBR virtualization", EDX, LEAF_SVM, 1, AMD, SVM, WANTED,
        "guests have no last-branch records"),

    ROW(VMX, "VMX", ECX, LEAF_BASIC, 5, INTEL, VMX, NEEDED, VMX_SETUP),
    ROW(VMX_EPT, "EPT", MSR, MSR_SECONDARY, CONTROL(1), INTEL, VMX, NEEDED,
        "this CPU is too old (EPT came with Nehalem, 2008)"),
    ROW(VMX_EPT_LEVELS, "EPT of four levels", MSR, MSR_EPT, 6, INTEL, VMX_EPT, NEEDED,
        "this CPU is too old"),
    ROW(VMX_EPT_2M, "EPT 2M pages", MSR, MSR_EPT, 16, INTEL, VMX_EPT, NEEDED,
        "this CPU is too old"),
    ROW(VMX_EPT_1G, "EPT 1G pages", MSR, MSR_EPT, 17, INTEL, VMX_EPT, WANTED,
        "more page-table memory and TLB misses"),
    ROW(VMX_EPT_WB, "EPT write-back", MSR, MSR_EPT, 14, INTEL, VMX_EPT, NEEDED,
        "this CPU is too old"),
    ROW(VMX_UNRESTRICTED, "unrestricted guest", MSR, MSR_SECONDARY, CONTROL(7), INTEL, VMX, NEEDED,
        "this CPU is too old (unrestricted guest came with Westmere, 2010)"),
    ROW(VMX_RDTSCP, "RDTSCP in VMs", MSR, MSR_SECONDARY, CONTROL(3), INTEL, VMX, NEEDED,
        "this CPU is too old"),
    ROW(VMX_INVEPT, "INVEPT", MSR, MSR_EPT, 20, INTEL, VMX_EPT, NEEDED, "this CPU is too old"),
    ROW(VMX_INVEPT_ALL, "INVEPT of all", MSR, MSR_EPT, 26, INTEL, VMX_INVEPT, NEEDED,
        "this CPU is too old"),
    ROW(VMX_INVEPT_SINGLE, "INVEPT of one", MSR, MSR_EPT, 25, INTEL, VMX_INVEPT, WANTED,
        "flushing one guest's TLB flushes all"),
    ROW(VMX_VPID, "VPID", MSR, MSR_SECONDARY, CONTROL(5), INTEL, VMX, WANTED,
        "every entry and exit flushes the TLB"),
    ROW(VMX_TSC_SCALING, "TSC scaling", MSR, MSR_SECONDARY, CONTROL(25), INTEL, VMX, WANTED,
        "VMs migrate only between machines of the same TSC frequency"),
    ROW(VMX_APIC_ACCESSES, "APICv accesses", MSR, MSR_SECONDARY, CONTROL(0), INTEL, VMX, WANTED,
        "guests' APIC accesses cost exits"),
    ROW(VMX_APIC_REGISTERS, "APICv registers", MSR, MSR_SECONDARY, CONTROL(8), INTEL, VMX, WANTED,
        "guests' APIC accesses cost exits"),
    ROW(VMX_APIC_INTERRUPTS, "APICv interrupts", MSR, MSR_SECONDARY, CONTROL(9), INTEL, VMX, WANTED,
        "delivering an interrupt and its EOI cost exits"),
    ROW(VMX_POSTED_INTERRUPTS, "posted interrupts", MSR, MSR_PIN, CONTROL(7), INTEL, VMX, WANTED,
        "interrupts of passed-through devices cost exits"),
    ROW(VMX_PML, "PML", MSR, MSR_SECONDARY, CONTROL(17), INTEL, VMX, WANTED,
        "finding the pages to migrate costs a fault for each"),
};
/* clang-format on */
