/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/acpi/madt.h"

#include "drivers/acpi/complain.h"

enum {
    MADT_LOCAL_APIC = 36,
    MADT_FLAGS = 40,
    MADT_ENTRIES = 44,
};

#define MADT_FLAG_8259      0x1U
#define CPU_FLAG_ENABLED    0x1U
#define CPU_FLAG_ONLINE     0x2U
#define APIC_ID_BROADCAST   0xffU
#define X2APIC_ID_BROADCAST 0xffffffffU
#define IOAPIC_ALIGN        16U
#define INTI_POLARITY_LOW   0x3U
#define INTI_TRIGGER_LEVEL  0x3U
#define UID_ALL_8           0xffU

enum madt_entry {
    ENTRY_LOCAL_APIC = 0,
    ENTRY_IOAPIC = 1,
    ENTRY_OVERRIDE = 2,
    ENTRY_NMI_SOURCE = 3,
    ENTRY_LOCAL_NMI = 4,
    ENTRY_ADDRESS = 5,
    ENTRY_X2APIC = 9,
    ENTRY_X2APIC_NMI = 10,
    ENTRY_TYPES
};

/* The size that the standard gives each entry; 0: not looked at. */
static const uint8_t entry_sizes[ENTRY_TYPES] = {
    [ENTRY_LOCAL_APIC] = 8, [ENTRY_IOAPIC] = 12,  [ENTRY_OVERRIDE] = 10, [ENTRY_NMI_SOURCE] = 8,
    [ENTRY_LOCAL_NMI] = 6,  [ENTRY_ADDRESS] = 12, [ENTRY_X2APIC] = 16,   [ENTRY_X2APIC_NMI] = 12,
};

static struct acpi_inti inti_decode(uint16_t flags)
{
    return (struct acpi_inti){
        .active_low = (flags & 3U) == INTI_POLARITY_LOW,
        .level_triggered = (flags >> 2 & 3U) == INTI_TRIGGER_LEVEL,
    };
}

static bool cpu_known(const struct acpi_madt *madt, uint32_t apic_id)
{
    for (uint32_t i = 0; i < madt->cpu_count; i++) {
        if (madt->cpus[i].apic_id == apic_id) {
            return true;
        }
    }
    return false;
}

static void add_cpu(struct acpi_madt *madt, struct acpi_complaints *complaints, struct acpi_cpu cpu,
                    uint32_t flags, uint32_t broadcast)
{
    if ((flags & CPU_FLAG_ENABLED) == 0) {
        madt->cpus_online_capable += (flags & CPU_FLAG_ONLINE) != 0;
        return;
    }
    if (cpu.apic_id == broadcast) {
        acpi_complain(complaints, "CPU with UID %u has the broadcast APIC id; left out", cpu.uid);
    } else if (cpu_known(madt, cpu.apic_id)) {
        acpi_complain(complaints, "APIC id %u is listed twice; used once", cpu.apic_id);
    } else if (madt->cpu_count == ACPI_CPUS_MAX) {
        madt->cpus_left_out++;
    } else {
        madt->cpus[madt->cpu_count++] = cpu;
    }
}

static void add_ioapic(struct acpi_madt *madt, struct acpi_complaints *complaints,
                       struct acpi_ioapic ioapic)
{
    for (uint32_t i = 0; i < madt->ioapic_count; i++) {
        if (madt->ioapics[i].base.raw == ioapic.base.raw ||
            madt->ioapics[i].gsi_base == ioapic.gsi_base) {
            acpi_complain(complaints,
                          "IOAPIC %u has the address or GSI base of IOAPIC %u; left out", ioapic.id,
                          madt->ioapics[i].id);
            return;
        }
    }
    if (ioapic.base.raw == 0 || ioapic.base.raw % IOAPIC_ALIGN != 0) {
        acpi_complain(complaints, "IOAPIC %u has the impossible address %#llx; left out", ioapic.id,
                      (unsigned long long)ioapic.base.raw);
    } else if (madt->ioapic_count == ACPI_IOAPICS_MAX) {
        acpi_complain(complaints, "more than %u IOAPICs; IOAPIC %u left out", ACPI_IOAPICS_MAX,
                      ioapic.id);
    } else {
        madt->ioapics[madt->ioapic_count++] = ioapic;
    }
}

static void add_override(struct acpi_madt *madt, struct acpi_complaints *complaints,
                         struct acpi_window entry)
{
    struct acpi_override override = {.source = window_u8(entry, 3),
                                     .gsi = window_u32(entry, 4),
                                     .inti = inti_decode(window_u16(entry, 8))};

    if (window_u8(entry, 2) != 0 || override.source >= 16) {
        acpi_complain(complaints, "override of bus %u interrupt %u, which is no ISA interrupt",
                      window_u8(entry, 2), override.source);
        return;
    }
    for (uint32_t i = 0; i < madt->override_count; i++) {
        if (madt->overrides[i].source == override.source) {
            acpi_complain(complaints, "ISA interrupt %u is overridden twice; the first one counts",
                          override.source);
            return;
        }
    }
    madt->overrides[madt->override_count++] = override;
}

static void add_nmi_source(struct acpi_madt *madt, struct acpi_complaints *complaints,
                           struct acpi_window entry)
{
    if (madt->nmi_source_count == ACPI_NMI_SOURCES_MAX) {
        acpi_complain(complaints, "more than %u NMI sources; GSI %u left out", ACPI_NMI_SOURCES_MAX,
                      window_u32(entry, 4));
        return;
    }
    madt->nmi_sources[madt->nmi_source_count++] = (struct acpi_nmi_source){
        .gsi = window_u32(entry, 4), .inti = inti_decode(window_u16(entry, 2))};
}

static void add_local_nmi(struct acpi_madt *madt, struct acpi_complaints *complaints,
                          struct acpi_local_nmi nmi)
{
    if (nmi.lint > 1) {
        acpi_complain(complaints, "NMI on local APIC pin %u, which does not exist; left out",
                      nmi.lint);
    } else if (madt->local_nmi_count == ACPI_LOCAL_NMIS_MAX) {
        acpi_complain(complaints, "more than %u local NMIs; that of UID %u left out",
                      ACPI_LOCAL_NMIS_MAX, nmi.uid);
    } else {
        madt->local_nmis[madt->local_nmi_count++] = nmi;
    }
}

static void add_local_nmi_8(struct acpi_madt *madt, struct acpi_complaints *complaints,
                            struct acpi_window entry)
{
    uint8_t uid = window_u8(entry, 2);

    add_local_nmi(madt, complaints,
                  (struct acpi_local_nmi){.uid = uid == UID_ALL_8 ? ACPI_UID_ALL : uid,
                                          .inti = inti_decode(window_u16(entry, 3)),
                                          .lint = window_u8(entry, 5)});
}

static void read_entry(struct acpi_madt *madt, struct acpi_complaints *complaints,
                       struct acpi_window entry)
{
    switch (window_u8(entry, 0)) {
    case ENTRY_LOCAL_APIC:
        add_cpu(madt, complaints,
                (struct acpi_cpu){.uid = window_u8(entry, 2), .apic_id = window_u8(entry, 3)},
                window_u32(entry, 4), APIC_ID_BROADCAST);
        break;
    case ENTRY_X2APIC:
        add_cpu(madt, complaints,
                (struct acpi_cpu){.uid = window_u32(entry, 12), .apic_id = window_u32(entry, 4)},
                window_u32(entry, 8), X2APIC_ID_BROADCAST);
        break;
    case ENTRY_IOAPIC:
        add_ioapic(madt, complaints,
                   (struct acpi_ioapic){.id = window_u8(entry, 2),
                                        .base = hpa(window_u32(entry, 4)),
                                        .gsi_base = window_u32(entry, 8)});
        break;
    case ENTRY_OVERRIDE:
        add_override(madt, complaints, entry);
        break;
    case ENTRY_NMI_SOURCE:
        add_nmi_source(madt, complaints, entry);
        break;
    case ENTRY_LOCAL_NMI:
        add_local_nmi_8(madt, complaints, entry);
        break;
    case ENTRY_X2APIC_NMI:
        add_local_nmi(madt, complaints,
                      (struct acpi_local_nmi){.uid = window_u32(entry, 4),
                                              .inti = inti_decode(window_u16(entry, 2)),
                                              .lint = window_u8(entry, 8)});
        break;
    case ENTRY_ADDRESS:
        madt->local_apic = hpa(window_u64(entry, 4));
        break;
    default: /* other architectures' and later versions' entries */
        break;
    }
}

static void read_entries(struct acpi_madt *madt, struct acpi_complaints *complaints,
                         struct acpi_window table)
{
    uint32_t offset = MADT_ENTRIES;

    while (offset < table.size) {
        struct acpi_window entry = window_part(table, offset, window_u8(table, offset + 1));
        uint8_t type = window_u8(entry, 0);

        if (entry.size < 2 || entry.size != window_u8(table, offset + 1)) {
            acpi_complain(complaints,
                          "entry at offset %u has length %u of %u left; the rest is lost", offset,
                          window_u8(table, offset + 1), table.size - offset);
            return;
        }
        if (type < ENTRY_TYPES && entry.size < entry_sizes[type]) {
            acpi_complain(complaints, "entry at offset %u of type %u is cut to %u bytes; left out",
                          offset, type, entry.size);
        } else {
            read_entry(madt, complaints, entry);
        }
        offset += entry.size;
    }
}

enum status madt_parse(struct acpi_window table, struct acpi_madt *madt)
{
    struct acpi_complaints complaints = {"MADT", 0};

    *madt = (struct acpi_madt){0};
    if (table.size < MADT_ENTRIES) {
        acpi_complain(&complaints, "table of %u bytes, needs at least %u", table.size,
                      (unsigned)MADT_ENTRIES);
        return STATUS_NOTE(STATUS_INVALID);
    }
    madt->present = true;
    madt->local_apic = hpa(window_u32(table, MADT_LOCAL_APIC));
    madt->has_8259 = (window_u32(table, MADT_FLAGS) & MADT_FLAG_8259) != 0;
    read_entries(madt, &complaints, table);
    if (madt->cpus_left_out > 0) {
        acpi_complain(&complaints, "%u CPUs beyond the first %u are not used", madt->cpus_left_out,
                      ACPI_CPUS_MAX);
    }
    acpi_complaints_close(&complaints);
    return STATUS_OK;
}
