/* SPDX-License-Identifier: BSD-2-Clause */
/* What the chipset's functions show, and which bits of it a guest may write. */
#include "vmm/base/little_endian.h"
#include "vmm/pc/acpi_pm.h"
#include "vmm/pc/chipset.h"
#include "vmm/pc/pci_host.h"
#include "vmm/pc/portal_function.h"
#include "vmm/pc/vga.h"

#include <string.h>

/* Registers that no table names read as zero and ignore writes. */

static const struct pci_host_register host_bridge[] = {
    {"vendor",            0x00, 2, 0x8086,     0         },
    {"device",            0x02, 2, 0x1237,     0         },
    {"command",           0x04, 2, 0x0106,     0x0140    }, /* SERR, as firmware sets it */
    {"status",            0x06, 2, 0x0280,     0         },
    {"revision",          0x08, 1, 0x02,       0         },
    {"class",             0x0a, 2, 0x0600,     0         },
    {"latency timer",     0x0d, 1, 0x00,       0xf8      },
 /* SeaBIOS looks for fw_cfg only behind this subsystem id. */
    {"subsystem vendor",  0x2c, 2, 0x1af4,     0         },
    {"subsystem",         0x2e, 2, 0x1100,     0         },
    {"PMC configuration", 0x50, 2, 0x0000,     0xffff    },
    {"deturbo counter",   0x52, 1, 0x00,       0xff      },
    {"DRAM control",      0x57, 1, 0x01,       0x3f      },
    {"DRAM timing",       0x58, 1, 0x00,       0xff      },
 /* See pc_low_kinds(). Reset: all segments RAM, as after BIOS; with a BIOS none, as before it.
  */
    {"PAM0..3",           0x59, 4, 0x33333330, 0x33333330},
    {"PAM4..6",           0x5d, 3, 0x333333,   0x333333  },
    {"DRAM row 0..3",     0x60, 4, 0,          0xffffffff},
    {"DRAM row 4..7",     0x64, 4, 0,          0xffffffff},
    {"SMRAM control",     0x72, 1, 0x02,       0x78      },
};

static const struct pci_host_register isa_bridge[] = {
    {"vendor",             0x00, 2, 0x8086,     0         },
    {"device",             0x02, 2, 0x7000,     0         },
    {"command",            0x04, 2, 0x0107,     0x0108    },
    {"status",             0x06, 2, 0x0200,     0         },
    {"class",              0x0a, 2, 0x0601,     0         },
    {"header type",        0x0e, 1, 0x80,       0         }, /* several functions in this slot */
    {"subsystem vendor",   0x2c, 2, 0x1af4,     0         },
    {"subsystem",          0x2e, 2, 0x1100,     0         },
    {"I/O recovery timer", 0x4c, 1, 0x4d,       0xff      },
    {"X-bus chip select",  0x4e, 2, 0x0003,     0x01ff    },
    {"PIRQA..D route",     0x60, 4, 0x0b0b0a0a, 0x8f8f8f8f}, /* 10, 10, 11 and 11 */
    {"top of memory",      0x69, 1, 0x02,       0xfe      },
    {"miscellaneous",      0x6a, 2, 0x0000,     0x8085    },
    {"MIRQ0 route",        0x70, 1, 0x80,       0xef      },
    {"motherboard DMA",    0x76, 2, 0x0c0c,     0x8f8f    },
    {"chip select base",   0x78, 2, 0x0002,     0xffff    },
    {"deterministic",      0x82, 1, 0x00,       0x0f      },
    {"SMI control",        0xa0, 1, 0x08,       0x1f      },
    {"fast-off timer",     0xa8, 1, 0x0f,       0xff      },
};

static const struct pci_host_register power_management[] = {
    {"vendor",            0x00, 2, 0x8086,               0         },
    {"device",            0x02, 2, 0x7113,               0         },
    {"command",           0x04, 2, 0x0001,               0x0001    },
    {"status",            0x06, 2, 0x0280,               0         },
    {"revision",          0x08, 1, 0x03,                 0         },
    {"class",             0x0a, 2, 0x0680,               0         },
    {"subsystem vendor",  0x2c, 2, 0x1af4,               0         },
    {"subsystem",         0x2e, 2, 0x1100,               0         },
    {"interrupt line",    0x3c, 1, ACPI_PM_SCI_IRQ,      0xff      },
    {"interrupt pin",     0x3d, 1, 1,                    0         },
    {"PM base",           0x40, 4, ACPI_PM_BASE | 1,     0xffc0    },
    {"count A",           0x44, 4, 0,                    0xffffffff},
    {"count B",           0x48, 4, 0,                    0xffffffff},
    {"general input",     0x4c, 4, 0,                    0xffffffff},
    {"device resource D", 0x50, 4, 0,                    0xffffffff},
    {"device activity A", 0x54, 4, 0,                    0xffffffff},
 /* APMC_EN set tells SeaBIOS that system management mode needs no set-up: there is none. */
    {"device activity B", 0x58, 4, 1U << 25,             0xfdffffff},
    {"device resource A", 0x5c, 4, 0x10000000,           0         },
    {"device resource B", 0x60, 4, 0x60000000,           0         },
    {"device resource C", 0x64, 4, 0x08000000,           0         }, /* COM A at 3F8h */
    {"PM miscellaneous",  0x80, 1, 0x01,                 0x01      },
    {"SMBus base",        0x90, 4, CHIPSET_SMB_BASE | 1, 0xfff0    },
    {"SMBus host",        0xd2, 1, 0x09,                 0x0f      },
    {"SMBus slave",       0xd3, 1, 0,                    0xff      },
    {"SMBus shadow 1, 2", 0xd4, 2, 0,                    0xffff    },
};

/* Where its BARs are when firmware has not moved them, and no VF is. */
static const struct pci_host_register vga[] = {
    {"vendor",           0x00, 2, 0x1234,     0         },
    {"device",           0x02, 2, 0x1111,     0         },
    {"command",          0x04, 2, 0x0003,     0x0107    },
    {"revision",         0x08, 1, 0x02,       0         },
    {"class",            0x0a, 2, 0x0300,     0         },
    {"video memory",     0x10, 4, 0xfd000008, 0xff000000},
    {"registers",        0x18, 4, 0xfebf0000, 0xfffff000},
    {"subsystem vendor", 0x2c, 2, 0x1af4,     0         },
    {"subsystem",        0x2e, 2, 0x1100,     0         },
    {"expansion ROM",    0x30, 4, 0,          0xffff0001},
    {"interrupt line",   0x3c, 1, 0,          0xff      },
};

/* Likewise; slot 31's INTA is PIRQC. */
static const struct pci_host_register portal[] = {
    {"vendor",           0x00, 2, 0x1234,     0         },
    {"device",           0x02, 2, 0x5054,     0         },
    {"command",          0x04, 2, 0x0002,     0x0506    },
    {"status",           0x06, 2, 0,          0         }, /* bit 3: portal_function_settle() */
    {"revision",         0x08, 1, 0x01,       0         },
    {"class",            0x0a, 2, 0xff00,     0         },
    {"registers",        0x10, 4, 0xfebee000, 0xfffff000},
    {"rings",            0x14, 4, 0xfebc0000, 0xfffe0000},
    {"window",           0x18, 4, 0xf800000c, 0xfc000000},
    {"window, high",     0x1c, 4, 0,          0xffffffff},
    {"subsystem vendor", 0x2c, 2, 0x1234,     0         },
    {"subsystem",        0x2e, 2, 0x5054,     0         },
    {"interrupt line",   0x3c, 1, 11,         0xff      },
    {"interrupt pin",    0x3d, 1, 1,          0         },
};

const struct pci_register_table pci_portal_registers = {portal, ARRAY_SIZE(portal), PORTAL_DEVFN};

const struct pci_register_table pci_vga_registers = {vga, ARRAY_SIZE(vga), VGA_DEVFN};

const struct pci_register_table pci_register_tables[PCI_FUNCTION_COUNT] = {
    [PCI_HOST_BRIDGE] = {host_bridge,      ARRAY_SIZE(host_bridge),      0x00},
    [PCI_ISA_BRIDGE] = {isa_bridge,       ARRAY_SIZE(isa_bridge),       0x08},
    [PCI_POWER_MANAGEMENT] = {power_management, ARRAY_SIZE(power_management), 0x0b},
};

void pci_table_reset(const struct pci_register_table *table, uint8_t *config)
{
    memset(config, 0, PCI_CONFIG_SIZE);
    for (unsigned i = 0; i < table->count; i++) {
        const struct pci_host_register *r = &table->registers[i];

        bytes_put(config + r->offset, r->size, r->reset);
    }
}

/* The bits of the byte at OFFSET that may be written. */
static uint8_t writable_bits(const struct pci_register_table *table, unsigned offset)
{
    for (unsigned i = 0; i < table->count; i++) {
        const struct pci_host_register *r = &table->registers[i];

        if (offset >= r->offset && offset < (unsigned)r->offset + r->size) {
            return (uint8_t)(r->writable >> 8 * (offset - r->offset));
        }
    }
    return 0;
}

bool pci_table_fits(const struct pci_register_table *table, const uint8_t *config)
{
    uint8_t fixed[PCI_CONFIG_SIZE];
    bool good = true;

    pci_table_reset(table, fixed);
    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
        good = good && ((config[i] ^ fixed[i]) & ~writable_bits(table, i)) == 0;
    }
    return good;
}

void pci_table_write(const struct pci_register_table *table, uint8_t *config, unsigned offset,
                     unsigned width, uint32_t value)
{
    for (unsigned i = 0; i < width; i++) {
        uint8_t mask = writable_bits(table, offset + i), *byte = config + offset + i;

        *byte = (uint8_t)((*byte & ~mask) | (value >> 8 * i & mask));
    }
}
