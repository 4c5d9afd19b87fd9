/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/guest_tables.h"
#include "vmm/pc/table_writer.h"

#include <string.h>

#define ALIGNMENT    64U /* what FACS and RSDP need, and more than the others do */
#define OEM_ID       "PRTLN "
#define OEM_TABLE_ID "VIRTPC  "
#define CREATOR      0x4e4c5450U /* "PTLN" */

#define HEADER_SIZE     36U
#define HEADER_LENGTH   4U
#define HEADER_CHECKSUM 9U
#define RSDP_SIZE       36U
#define RSDP_SIZE_1_0   20U
#define FADT_SIZE       244U
#define FADT_REVISION   3U
#define FACS_SIZE       64U

/* FADT flags: WBINVD works, C1 everywhere, no fixed sleep button or RTC wake, reset register. */
#define FADT_FLAGS 0x465U

/* Boot architecture: there are ISA devices and an 8042, there is no VGA. */
#define FADT_BOOT_ARCH 0x7U
#define CMOS_CENTURY   0x32U
#define NO_C2_LATENCY  0xfffU

/* A generic address in I/O space: space id, bits, offset, access size, address. */
#define GAS_IO(bits, access, port) \
    (1ULL | (uint64_t)(bits) << 8 | (uint64_t)(access) << 24 | (uint64_t)(port) << 32)
#define GAS_RESET       GAS_IO(8, 1, CHIPSET_PORT_RESET)
#define GAS_PM1_EVENT   GAS_IO(32, 2, ACPI_PM_BASE + ACPI_PM_STATUS)
#define GAS_PM1_CONTROL GAS_IO(16, 2, ACPI_PM_BASE + ACPI_PM_CONTROL)
#define GAS_PM_TIMER    GAS_IO(32, 3, ACPI_PM_BASE + ACPI_PM_TIMER)

static const struct table_field fadt[] = {
    {"profile: enterprise server", 45,  1, 4                             },
    {"SCI_INT",                    46,  2, ACPI_PM_SCI_IRQ               },
    {"SMI_CMD",                    48,  4, ACPI_PM_PORT_APM              },
    {"ACPI_ENABLE",                52,  1, ACPI_PM_ENABLE                },
    {"ACPI_DISABLE",               53,  1, ACPI_PM_DISABLE               },
    {"PM1a_EVT_BLK",               56,  4, ACPI_PM_BASE + ACPI_PM_STATUS },
    {"PM1a_CNT_BLK",               64,  4, ACPI_PM_BASE + ACPI_PM_CONTROL},
    {"PM_TMR_BLK",                 76,  4, ACPI_PM_BASE + ACPI_PM_TIMER  },
    {"PM1_EVT_LEN",                88,  1, 4                             },
    {"PM1_CNT_LEN",                89,  1, 2                             },
    {"PM_TMR_LEN",                 91,  1, 4                             },
    {"P_LVL2_LAT: none",           96,  2, NO_C2_LATENCY                 },
    {"P_LVL3_LAT: none",           98,  2, NO_C2_LATENCY                 },
    {"CENTURY",                    108, 1, CMOS_CENTURY                  },
    {"IAPC_BOOT_ARCH",             109, 2, FADT_BOOT_ARCH                },
    {"RESET_REG",                  116, 8, GAS_RESET                     },
    {"RESET_VALUE",                128, 1, CHIPSET_RESET_VALUE           },
    {"X_PM1a_EVT_BLK",             148, 8, GAS_PM1_EVENT                 },
    {"X_PM1a_CNT_BLK",             172, 8, GAS_PM1_CONTROL               },
    {"X_PM_TMR_BLK",               208, 8, GAS_PM_TIMER                  },
};

/* Interrupts whose pin, polarity or trigger differs from ISA's: flags 0dh is level, active high. */
static const struct {
    uint8_t irq;
    uint8_t gsi;
    uint8_t flags;
} overrides[] = {
    {0,  2,  0x0},
    {5,  5,  0xd},
    {9,  9,  0xd},
    {10, 10, 0xd},
    {11, 11, 0xd},
};

/* Start a system description table; its length is fixed here. */
static uint32_t begin(struct table_writer *w, const char *signature, unsigned revision,
                      uint32_t length)
{
    uint32_t offset = table_reserve(w, length, ALIGNMENT);

    table_put_bytes(w, offset, signature, 4);
    table_put(w, offset + HEADER_LENGTH, 4, length);
    table_put(w, offset + 8, 1, revision);
    table_put_bytes(w, offset + 10, OEM_ID, 6);
    table_put_bytes(w, offset + 16, OEM_TABLE_ID, 8);
    table_put(w, offset + 24, 4, 1);
    table_put(w, offset + 28, 4, CREATOR);
    table_put(w, offset + 32, 4, 1);
    return offset;
}

static uint32_t write_dsdt(struct table_writer *w)
{
    uint32_t offset = table_reserve(w, dsdt_aml_size, ALIGNMENT);

    table_put_bytes(w, offset, dsdt_aml, dsdt_aml_size); /* has its checksum */
    return offset;
}

static uint32_t write_facs(struct table_writer *w)
{
    uint32_t offset = table_reserve(w, FACS_SIZE, ALIGNMENT);

    table_put_bytes(w, offset, "FACS", 4);
    table_put(w, offset + HEADER_LENGTH, 4, FACS_SIZE);
    table_put(w, offset + 32, 1, 1); /* version; no checksum in this one */
    return offset;
}

static uint32_t write_fadt(struct table_writer *w, const struct pc_config *config, uint32_t facs,
                           uint32_t dsdt)
{
    uint32_t offset = begin(w, "FACP", FADT_REVISION, FADT_SIZE);

    table_put_fields(w, offset, fadt, ARRAY_SIZE(fadt));
    table_put(w, offset + 112, 4, FADT_FLAGS);
    table_put_pointer(w, offset + 36, 4, facs);
    table_put_pointer(w, offset + 40, 4, dsdt);
    table_put_pointer(w, offset + 140, 8, dsdt);
    table_checksum(w, offset, FADT_SIZE, offset + HEADER_CHECKSUM);
    return offset;
}

#define MADT_CPU_SIZE      8U
#define MADT_IOAPIC_SIZE   12U
#define MADT_OVERRIDE_SIZE 10U
#define MADT_NMI_SIZE      6U

static uint32_t write_madt(struct table_writer *w, const struct pc_config *config)
{
    uint32_t length = HEADER_SIZE + 8 + config->vcpu_count * MADT_CPU_SIZE + MADT_IOAPIC_SIZE +
                      (uint32_t)ARRAY_SIZE(overrides) * MADT_OVERRIDE_SIZE + MADT_NMI_SIZE;
    uint32_t offset = begin(w, "APIC", 1, length);
    uint32_t at = offset + HEADER_SIZE;

    table_put(w, at, 4, LAPIC_BASE);
    table_put(w, at + 4, 4, 1); /* the 8259s exist */
    at += 8;
    for (uint32_t cpu = 0; cpu < config->vcpu_count; cpu++, at += MADT_CPU_SIZE) {
        table_put(w, at, 8, 0 | MADT_CPU_SIZE << 8 | cpu << 16 | cpu << 24 | 1ULL << 32);
    }
    table_put(w, at, 4, 1 | MADT_IOAPIC_SIZE << 8);
    table_put(w, at + 4, 4, IOAPIC_BASE);
    at += MADT_IOAPIC_SIZE;
    for (unsigned i = 0; i < ARRAY_SIZE(overrides); i++, at += MADT_OVERRIDE_SIZE) {
        table_put(w, at, 4, 2 | MADT_OVERRIDE_SIZE << 8 | (uint32_t)overrides[i].irq << 24);
        table_put(w, at + 4, 4, overrides[i].gsi);
        table_put(w, at + 8, 2, overrides[i].flags);
    }
    table_put(w, at, 6, 4 | MADT_NMI_SIZE << 8 | 0xffU << 16 | 1ULL << 40); /* all CPUs, LINT1 */
    table_checksum(w, offset, length, offset + HEADER_CHECKSUM);
    return offset;
}

/* RSDT (4-byte entries) or XSDT (8-byte entries) pointing to FADT and MADT. */
static uint32_t write_root(struct table_writer *w, const char *signature, unsigned entry_size,
                           uint32_t fadt_offset, uint32_t madt_offset)
{
    uint32_t length = HEADER_SIZE + 2 * entry_size;
    uint32_t offset = begin(w, signature, 1, length);

    table_put_pointer(w, offset + HEADER_SIZE, entry_size, fadt_offset);
    table_put_pointer(w, offset + HEADER_SIZE + entry_size, entry_size, madt_offset);
    table_checksum(w, offset, length, offset + HEADER_CHECKSUM);
    return offset;
}

static void write_rsdp(struct table_writer *w, uint32_t rsdp, uint32_t rsdt, uint32_t xsdt)
{
    table_put_bytes(w, rsdp, "RSD PTR ", 8);
    table_put_bytes(w, rsdp + 9, OEM_ID, 6);
    table_put(w, rsdp + 15, 1, 2);
    table_put(w, rsdp + 20, 4, RSDP_SIZE);
    table_put_pointer(w, rsdp + 16, 4, rsdt);
    table_put_pointer(w, rsdp + 24, 8, xsdt);
    table_checksum(w, rsdp, RSDP_SIZE_1_0, rsdp + 8);
    table_checksum(w, rsdp, RSDP_SIZE, rsdp + 32);
}

static void write_acpi(struct table_writer *w, const struct pc_config *config, uint32_t rsdp)
{
    uint32_t facs = write_facs(w);
    uint32_t fadt_offset = write_fadt(w, config, facs, write_dsdt(w));
    uint32_t madt = write_madt(w, config);
    uint32_t rsdt = write_root(w, "RSDT", 4, fadt_offset, madt);
    uint32_t xsdt = write_root(w, "XSDT", 8, fadt_offset, madt);

    write_rsdp(w, rsdp, rsdt, xsdt);
}

enum status tables_build(const struct pc_config *config, uint8_t *image, uint32_t size,
                         struct tables *tables)
{
    struct table_writer w = {.image = image, .size = size, .base = TABLES_AREA_BASE};
    uint32_t rsdp = table_reserve(&w, RSDP_SIZE, ALIGNMENT);

    write_acpi(&w, config, rsdp);
    uint32_t mp = mp_table_write(&w, config);
    if (w.overflow) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    *tables = (struct tables){
        .size = w.used,
        .rsdp = gpa(TABLES_AREA_BASE + rsdp),
        .mp = gpa(TABLES_AREA_BASE + mp),
    };
    return STATUS_OK;
}

/* A range of the memory map as QEMU's fw_cfg gives it: address, length, type (RAM). */
static void put_range(struct table_writer *w, uint64_t at, uint64_t size)
{
    uint32_t offset = size != 0 ? table_reserve(w, 20, 1) : 0;

    if (size != 0) {
        table_put(w, offset, 8, at);
        table_put(w, offset + 8, 8, size);
        table_put(w, offset + 16, 4, 1);
    }
}

enum status firmware_files_add(struct pc *pc, struct firmware_files *files)
{
    const struct pc_config *config = &pc->config;
    struct table_writer w = {.image = files->tables, .size = sizeof(files->tables)};
    struct table_writer loader = {.image = files->loader, .size = sizeof(files->loader)};
    struct table_writer memory = {.image = files->memory, .size = sizeof(files->memory)};

    memset(files, 0, sizeof(*files));
    uint32_t rsdp = table_reserve(&w, RSDP_SIZE, ALIGNMENT);

    table_split(&w, &loader);
    write_acpi(&w, config, rsdp);
    put_range(&memory, 0, config->memory_below_4g);
    put_range(&memory, 1ULL << 32, config->memory_above_4g);
    if (w.overflow || loader.overflow || memory.overflow) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    fw_cfg_add_file(&pc->fw_cfg, TABLE_FILE_ROOT, w.image, w.split);
    fw_cfg_add_file(&pc->fw_cfg, TABLE_FILE_REST, w.image + w.split, w.used - w.split);
    fw_cfg_add_file(&pc->fw_cfg, "etc/table-loader", loader.image, loader.used);
    fw_cfg_add_file(&pc->fw_cfg, "etc/e820", memory.image, memory.used);
    return STATUS_OK;
}
