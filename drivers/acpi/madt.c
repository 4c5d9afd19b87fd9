/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/acpi/acpi_parse.h"

enum { MADT_LOCAL_APIC = 36, MADT_ENTRIES = 44 };

#define CPU_FLAG_ENABLED    0x1U
#define CPU_FLAG_ONLINE     0x2U
#define APIC_ID_BROADCAST   0xffU
#define X2APIC_ID_BROADCAST 0xffffffffU
#define IOAPIC_ALIGN        16U

enum madt_entry {
    ENTRY_LOCAL_APIC = 0,
    ENTRY_IOAPIC = 1,
    ENTRY_ADDRESS = 5,
    ENTRY_X2APIC = 9,
    ENTRY_TYPES
};

/* The size that the standard gives each entry; 0: not looked at. */
static const uint8_t entry_sizes[ENTRY_TYPES] = {
    [ENTRY_LOCAL_APIC] = 8, [ENTRY_IOAPIC] = 12, [ENTRY_ADDRESS] = 12, [ENTRY_X2APIC] = 16};

static bool cpu_known(const struct acpi_madt *madt, uint32_t apic_id)
{
    for (uint32_t i = 0; i < madt->cpu_count; i++) {
        if (madt->cpus[i].apic_id == apic_id) {
            return true;
        }
    }
    return false;
}

static void add_cpu(struct acpi_parse *parse, struct acpi_cpu cpu, uint32_t flags,
                    uint32_t broadcast)
{
    struct acpi_madt *madt = &parse->facts->madt;

    if ((flags & CPU_FLAG_ENABLED) == 0) {
        madt->cpus_online_capable += (flags & CPU_FLAG_ONLINE) != 0;
        return;
    }
    if (cpu.apic_id == broadcast) {
        acpi_complain(parse, "CPU with UID %u has the broadcast APIC id; left out", cpu.uid);
    } else if (cpu_known(madt, cpu.apic_id)) {
        acpi_complain(parse, "APIC id %u is listed twice; used once", cpu.apic_id);
    } else if (madt->cpu_count == ACPI_CPUS_MAX) {
        madt->cpus_left_out++;
    } else {
        madt->cpus[madt->cpu_count++] = cpu;
    }
}

static void add_ioapic(struct acpi_parse *parse, struct acpi_ioapic ioapic)
{
    struct acpi_madt *madt = &parse->facts->madt;

    for (uint32_t i = 0; i < madt->ioapic_count; i++) {
        if (madt->ioapics[i].base.raw == ioapic.base.raw ||
            madt->ioapics[i].gsi_base == ioapic.gsi_base) {
            acpi_complain(parse, "IOAPIC %u has the address or GSI base of IOAPIC %u; left out",
                          ioapic.id, madt->ioapics[i].id);
            return;
        }
    }
    if (ioapic.base.raw == 0 || ioapic.base.raw % IOAPIC_ALIGN != 0) {
        acpi_complain(parse, "IOAPIC %u has the impossible address %#llx; left out", ioapic.id,
                      (unsigned long long)ioapic.base.raw);
    } else if (madt->ioapic_count == ACPI_IOAPICS_MAX) {
        acpi_complain(parse, "more than %u IOAPICs; IOAPIC %u left out", ACPI_IOAPICS_MAX,
                      ioapic.id);
    } else {
        madt->ioapics[madt->ioapic_count++] = ioapic;
    }
}

static void read_entry(struct acpi_parse *parse, struct acpi_window entry)
{
    switch (window_u8(entry, 0)) {
    case ENTRY_LOCAL_APIC:
        add_cpu(parse,
                (struct acpi_cpu){.uid = window_u8(entry, 2), .apic_id = window_u8(entry, 3)},
                window_u32(entry, 4), APIC_ID_BROADCAST);
        break;
    case ENTRY_X2APIC:
        add_cpu(parse,
                (struct acpi_cpu){.uid = window_u32(entry, 12), .apic_id = window_u32(entry, 4)},
                window_u32(entry, 8), X2APIC_ID_BROADCAST);
        break;
    case ENTRY_IOAPIC:
        add_ioapic(parse, (struct acpi_ioapic){.id = window_u8(entry, 2),
                                               .base = hpa(window_u32(entry, 4)),
                                               .gsi_base = window_u32(entry, 8)});
        break;
    case ENTRY_ADDRESS:
        parse->facts->madt.local_apic = hpa(window_u64(entry, 4));
        break;
    default: /* what the VMM leaves alone, other architectures' and later versions' entries */
        break;
    }
}

void madt_parse(struct acpi_parse *parse)
{
    struct acpi_madt *madt = &parse->facts->madt;
    struct acpi_list list = {.window = parse->table,
                             .what = "entry",
                             .at = MADT_ENTRIES,
                             .length_at = 1,
                             .length_width = 1,
                             .least = 2};

    *madt = (struct acpi_madt){.present = true,
                               .local_apic = hpa(window_u32(parse->table, MADT_LOCAL_APIC))};
    while (acpi_list_next(parse, &list)) {
        uint8_t type = window_u8(list.entry, 0);

        if (type < ENTRY_TYPES && list.entry.size < entry_sizes[type]) {
            acpi_complain(parse, "entry at offset %u of type %u is cut to %u bytes; left out",
                          list.at - list.entry.size, type, list.entry.size);
        } else {
            read_entry(parse, list.entry);
        }
    }
    if (madt->cpus_left_out > 0) {
        acpi_complain(parse, "%u CPUs beyond the first %u are not used", madt->cpus_left_out,
                      ACPI_CPUS_MAX);
    }
}
