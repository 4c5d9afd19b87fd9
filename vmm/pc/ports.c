/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/ports.h"

#include "vmm/pc/irq_lines.h"
#include "vmm/pc/pc.h"
#include "vmm/pc/pc_edge.h"

/* Widths that a device takes in one piece, as a set. */
#define W1 0x1U
#define W2 0x2U
#define W4 0x4U

#define DEBUG_EXIT_SIZE      4U
#define DEBUG_OUTPUT_PRESENT 0xe9U /* as QEMU's debug console reads */

enum port_device {
    PORT_PIC,
    PORT_PIT,
    PORT_PIT_GATE,
    PORT_I8042,
    PORT_RTC,
    PORT_POST,
    PORT_SYSTEM_A,
    PORT_APM,
    PORT_DELAY,
    PORT_UART,
    PORT_FW_CFG_SELECT,
    PORT_FW_CFG_DATA,
    PORT_FW_CFG_DMA,
    PORT_DEBUG_OUTPUT,
    PORT_PCI_ADDRESS,
    PORT_RESET,
    PORT_PCI_DATA,
    PORT_PM,
    PORT_SMB,
    PORT_DEBUG_EXIT,
    PORT_VGA,
    PORT_VBE
};

struct port_range {
    uint16_t first;
    uint16_t last;
    uint8_t widths;
    enum port_device device;
};

/*
 * THE table: what a guest's access to a port reaches, by rising .first. Entries may overlap in
 * different widths.
 */
static const struct port_range ranges[] = {
    {0x020,              0x021,                W1,           PORT_PIC          },
    {0x040,              0x043,                W1,           PORT_PIT          },
    {0x060,              0x060,                W1,           PORT_I8042        },
    {0x061,              0x061,                W1,           PORT_PIT_GATE     },
    {0x064,              0x064,                W1,           PORT_I8042        },
    {0x070,              0x073,                W1,           PORT_RTC          },
    {0x080,              0x080,                W1,           PORT_POST         },
    {0x092,              0x092,                W1,           PORT_SYSTEM_A     },
    {0x0a0,              0x0a1,                W1,           PORT_PIC          },
    {0x0b2,              0x0b3,                W1,           PORT_APM          },
    {0x0ed,              0x0ed,                W1,           PORT_DELAY        },
    {0x3f8,              0x3ff,                W1,           PORT_UART         },
    {PORTS_DEBUG_OUTPUT, PORTS_DEBUG_OUTPUT,   W1,           PORT_DEBUG_OUTPUT },
    {0x4d0,              0x4d1,                W1,           PORT_PIC          },
    {0x510,              0x511,                W2,           PORT_FW_CFG_SELECT},
    {0x511,              0x511,                W1,           PORT_FW_CFG_DATA  },
    {FW_CFG_PORT_DMA,    FW_CFG_PORT_DMA_LAST, W4,           PORT_FW_CFG_DMA   },
    {0xcf8,              0xcfb,                W4,           PORT_PCI_ADDRESS  },
    {0xcf9,              0xcf9,                W1,           PORT_RESET        },
    {0xcfc,              0xcff,                W1 | W2 | W4, PORT_PCI_DATA     },
};

/* The blocks that have no fixed place: .first and .last are relative to pc->window[]. */
static const struct port_range windows[PORT_WINDOW_COUNT] = {
    [PORT_WINDOW_PM] = {0, ACPI_PM_SIZE - 1,     W1 | W2 | W4, PORT_PM        },
    [PORT_WINDOW_SMB] = {0, CHIPSET_SMB_SIZE - 1, W1,           PORT_SMB       },
    [PORT_WINDOW_DEBUG_EXIT] = {0, DEBUG_EXIT_SIZE - 1,  W1 | W2 | W4, PORT_DEBUG_EXIT},
    [PORT_WINDOW_VGA] = {0, VGA_PORTS_SIZE - 1,   W1,           PORT_VGA       },
    [PORT_WINDOW_VBE] = {0, 1,                    W2,           PORT_VBE       },
    [PORT_WINDOW_VBE_DATA] = {0, 1,                    W2,           PORT_VBE       },
    [PORT_WINDOW_VBE_OTHER] = {0, 1,                    W2,           PORT_VBE       },
};

static unsigned in_window(const struct pc *p, enum port_window_id id, uint16_t port)
{
    return (unsigned)port - p->window[id];
}

static uint32_t read_device(struct pc *p, enum port_device device, uint16_t port, unsigned width)
{
    switch (device) {
    case PORT_PIC:
        return pic_read(&p->pic, port);
    case PORT_PIT:
        return pit_read(&p->pit, port, p->board.now);
    case PORT_PIT_GATE:
        return pit_control_read(&p->pit, p->board.now);
    case PORT_I8042:
        return i8042_read(&p->kbc, port);
    case PORT_RTC:
        return rtc_read(&p->rtc, port, p->board.now);
    case PORT_POST:
        return p->chipset.post_code;
    case PORT_SYSTEM_A:
        return chipset_read_port_a(&p->chipset, i8042_a20(&p->kbc));
    case PORT_APM:
        return acpi_pm_apm_read(&p->pm, port);
    case PORT_UART:
        return uart_read(&p->uart, port - UART_PORT, p->board.now);
    case PORT_FW_CFG_DATA:
        return fw_cfg_read(&p->fw_cfg);
    case PORT_FW_CFG_DMA:
        return fw_cfg_dma_read(port);
    case PORT_DEBUG_OUTPUT:
        return p->config.debug_output ? DEBUG_OUTPUT_PRESENT : 0xff;
    case PORT_PCI_ADDRESS:
        return p->pci.address;
    case PORT_RESET:
        return p->chipset.reset_control;
    case PORT_PCI_DATA:
        return pci_host_read_data(p, &p->pci, port - PCI_PORT_DATA, width);
    case PORT_PM:
        return acpi_pm_read(&p->pm, in_window(p, PORT_WINDOW_PM, port), width, p->board.now);
    case PORT_SMB:
        return p->chipset.smb[in_window(p, PORT_WINDOW_SMB, port)];
    case PORT_VGA:
        return vga_port_read(&p->vga, port, p->board.now);
    case PORT_VBE:
        return vga_vbe_read(&p->vga, port);
    case PORT_DEBUG_EXIT:
        return 0; /* as QEMU's device, so that guests can probe for it */
    case PORT_DELAY:
    case PORT_FW_CFG_SELECT:
        break; /* write only */
    }
    return 0xffff;
}

static void write_system_a(struct pc *p, uint8_t value)
{
    bool a20;

    if (chipset_write_port_a(&p->chipset, value, &a20) == CHIPSET_RESET) {
        pc_edge_reset(p);
    }
    i8042_set_a20(&p->kbc, a20);
}

static void write_uart(struct pc *p, uint16_t port, uint8_t value)
{
    uint8_t sent;

    if (uart_write(&p->uart, port - UART_PORT, value, p->board.now, &sent)) {
        uart_set_full(&p->uart, !pc_edge_console_write(p, sent));
    }
}

static void write_pci_data(struct pc *p, uint16_t port, unsigned width, uint32_t value)
{
    pci_host_write_data(p, &p->pci, port - PCI_PORT_DATA, width, value);
    irq_update_pirqs(p);
    ports_place_windows(p);
}

/* The devices whose registers are bytes. */
static void write_byte(struct pc *p, enum port_device device, uint16_t port, uint8_t value)
{
    switch ((unsigned)device) {
    case PORT_PIC:
        pic_write(&p->pic, port, value);
        break;
    case PORT_PIT:
        pit_write(&p->pit, port, value, p->board.now);
        break;
    case PORT_PIT_GATE:
        pit_control_write(&p->pit, value, p->board.now);
        break;
    case PORT_I8042:
        if (i8042_write(&p->kbc, port, value) == I8042_RESET) {
            pc_edge_reset(p);
        }
        break;
    case PORT_RTC:
        rtc_write(&p->rtc, port, value, p->board.now);
        break;
    case PORT_POST:
        p->chipset.post_code = value;
        break;
    case PORT_SYSTEM_A:
        write_system_a(p, value);
        break;
    case PORT_APM:
        acpi_pm_apm_write(&p->pm, port, value);
        break;
    case PORT_UART:
        write_uart(p, port, value);
        break;
    case PORT_RESET:
        if (chipset_write_reset(&p->chipset, value) == CHIPSET_RESET) {
            pc_edge_reset(p);
        }
        break;
    case PORT_DEBUG_OUTPUT:
        if (p->config.debug_output) {
            (void)pc_edge_console_write(p, value);
        }
        break;
    case PORT_SMB:
        chipset_smb_write(&p->chipset, in_window(p, PORT_WINDOW_SMB, port), value);
        break;
    case PORT_VGA:
        vga_port_write(&p->vga, port, value);
        break;
    default: /* the delay port; fw_cfg data, which is read only */
        break;
    }
}

static void write_device(struct pc *p, enum port_device device, uint16_t port, unsigned width,
                         uint32_t value)
{
    switch ((unsigned)device) {
    case PORT_FW_CFG_SELECT:
        fw_cfg_select(&p->fw_cfg, (uint16_t)value);
        break;
    case PORT_FW_CFG_DMA:
        fw_cfg_dma_write(&p->fw_cfg, port, value);
        break;
    case PORT_PCI_ADDRESS:
        pci_host_write_address(&p->pci, value);
        break;
    case PORT_PCI_DATA:
        write_pci_data(p, port, width, value);
        break;
    case PORT_PM:
        if (acpi_pm_write(&p->pm, in_window(p, PORT_WINDOW_PM, port), width, value, p->board.now) ==
            ACPI_PM_POWER_OFF) {
            pc_edge_power_off(p);
        }
        break;
    case PORT_VBE:
        vga_vbe_write(&p->vga, port, (uint16_t)value);
        break;
    case PORT_DEBUG_EXIT:
        pc_edge_debug_exit(p, value);
        break;
    default:
        write_byte(p, device, port, (uint8_t)value);
        break;
    }
}

static bool takes(const struct port_range *range, uint32_t base, uint32_t port, unsigned width)
{
    return port + width - 1 <= base + range->last && port >= base + range->first &&
           (range->widths & width) != 0 && ((port - base) & (width - 1)) == 0;
}

static uint32_t base_of(const struct pc *p, unsigned id)
{
    return __atomic_load_n(&p->window[id], __ATOMIC_RELAXED);
}

/* Does the device take the access, or a byte of it? */
static bool takes_part(const struct port_range *range, uint32_t base, uint32_t port, unsigned width)
{
    return port <= base + range->last && port + width > base + range->first &&
           ((range->widths & W1) != 0 || takes(range, base, port, width));
}

/* Always the same few windows, so that their loop is none. */
static inline __attribute__((always_inline)) const struct port_range *find_window(
    const struct pc *p, uint32_t port, unsigned width, bool part, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++) {
        uint32_t base = base_of(p, i);

        if (base != 0 && (part ? takes_part(&windows[i], base, port, width)
                               : takes(&windows[i], base, port, width))) {
            return &windows[i];
        }
    }
    return NULL;
}

/* The first device that takes the whole access in one piece, or, with PART, a byte of it; or NULL.
 */
static inline __attribute__((always_inline)) const struct port_range *find(const struct pc *p,
                                                                           uint32_t port,
                                                                           unsigned width,
                                                                           bool part)
{
    for (unsigned i = 0; i < ARRAY_SIZE(ranges) && ranges[i].first < port + width; i++) {
        if (part ? takes_part(&ranges[i], 0, port, width) : takes(&ranges[i], 0, port, width)) {
            return &ranges[i];
        }
    }
    const struct port_range *window = find_window(p, port, width, part, 0, PORT_WINDOW_VGA);

    return window || !p->vga.memory
               ? window
               : find_window(p, port, width, part, PORT_WINDOW_VGA, PORT_WINDOW_COUNT);
}

bool ports_claim(const struct pc *pc, uint16_t port, unsigned width)
{
    return !pc_port_is_free(pc, port, width) && find(pc, port, width, true) != NULL;
}

uint32_t ports_read(struct pc *pc, uint16_t port, unsigned width)
{
    const struct port_range *range = find(pc, port, width, false);
    uint32_t value = 0;

    if (range != NULL) {
        return read_device(pc, range->device, port, width);
    }
    for (unsigned i = 0; i < width; i++) {
        uint16_t at = (uint16_t)(port + i);

        range = find(pc, at, 1, false);
        value |= (range != NULL ? read_device(pc, range->device, at, 1) & 0xffU : 0xffU) << 8 * i;
    }
    return value;
}

void ports_write(struct pc *pc, uint16_t port, unsigned width, uint32_t value)
{
    const struct port_range *range = find(pc, port, width, false);

    if (range != NULL) {
        write_device(pc, range->device, port, width, value);
        return;
    }
    for (unsigned i = 0; i < width; i++) {
        uint16_t at = (uint16_t)(port + i);

        range = find(pc, at, 1, false);
        if (range != NULL) {
            write_device(pc, range->device, at, 1, value >> 8 * i & 0xffU);
        }
    }
}

static bool place(struct pc *p, unsigned id, uint16_t first)
{
    return __atomic_exchange_n(&p->window[id], first, __ATOMIC_RELAXED) != first;
}

static void mark_pages(uint32_t *pages, uint32_t first, uint32_t last)
{
    for (uint32_t page = first >> PORT_PAGE_SHIFT; page <= last >> PORT_PAGE_SHIFT; page++) {
        pages[page / 32] |= 1U << page % 32;
    }
}

/* Who looks without the lock sees no page without its device meanwhile. */
static void find_pages(struct pc *p)
{
    uint32_t pages[PORT_PAGE_WORDS] = {0};

    for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
        mark_pages(pages, ranges[i].first, ranges[i].last);
    }
    for (unsigned i = 0; i < PORT_WINDOW_COUNT; i++) {
        if (p->window[i] != 0) {
            mark_pages(pages, p->window[i], p->window[i] + windows[i].last);
        }
    }
    for (unsigned i = 0; i < PORT_PAGE_WORDS; i++) {
        __atomic_store_n(&p->port_pages[i], pages[i], __ATOMIC_RELAXED);
    }
}

void ports_place_windows(struct pc *pc)
{
    bool moved = !pc_has_page(pc, ranges[0].first >> PORT_PAGE_SHIFT); /* the first time */

    moved |= place(pc, PORT_WINDOW_PM, pci_host_pm_base(&pc->pci));
    moved |= place(pc, PORT_WINDOW_SMB, pci_host_smb_base(&pc->pci));
    for (unsigned i = 0; i < 3; i++) {
        moved |= place(pc, PORT_WINDOW_VBE + i, pc->vga.memory ? VGA_VBE_PORTS + i : 0);
    }
    moved |= place(pc, PORT_WINDOW_VGA, pc->vga.memory ? VGA_PORTS : 0);
    moved |= place(pc, PORT_WINDOW_DEBUG_EXIT, pc->config.debug_exit);
    if (moved) {
        find_pages(pc);
    }
}
