/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/pci/bars.h"

#include "drivers/pci/pci_config.h"
#include "vmm/base/log.h"

#define ALL_ONES      0xffffffffU
#define IO_ADDRESS    (~0x3U)
#define IO_SIZE_MAX   0x10000ULL
#define MEMORY_FLAGS  0xfULL
#define ROM_ADDRESS   0xfffff800U
#define DECODE        (PCI_COMMAND_IO | PCI_COMMAND_MEMORY)
#define TYPE_RESERVED 0x6U

static const char fault_type[] = "its type changes while it is sized, or does not exist";
static const char fault_mask[] = "the size it claims is no power of two";
static const char fault_silly[] = "the size it claims is beyond what such a BAR can have";
static const char fault_place[] = "its address does not fit its size, or lies beyond 52 bits";
static const char fault_half[] = "it is the lower half of a 64-bit one, and the last";
static const char fault_kept[] = "it does not take back its address";

/* Write ONES to the dword at OFFSET, return what it reads then, and put it back. */
static uint32_t probe(bdf_t bdf, uint32_t offset, uint32_t ones, uint32_t original)
{
    uint32_t mask;

    pci_config_write(bdf, offset, 4, ones);
    mask = pci_config_read(bdf, offset, 4);
    pci_config_write(bdf, offset, 4, original);
    return mask;
}

/* The size of a BAR whose address bits MASK are writable; TOP has all bits of its width. */
static const char *size_decode(uint64_t mask, uint64_t top, uint64_t max, struct pci_bar *bar)
{
    uint64_t size = (~mask & top) + 1;

    if ((size & (size - 1)) != 0) {
        return fault_mask;
    }
    if (mask == 0 || size > max) {
        return fault_silly;
    }
    if (bar->base % size != 0 || !range_fits(bar->base, size, PCI_ADDRESS_LIMIT)) {
        return fault_place;
    }
    bar->size = size;
    return NULL;
}

static const char *size_io(uint32_t mask, struct pci_bar *bar)
{
    uint32_t bits = mask & IO_ADDRESS;

    if ((bits & 0xffff0000U) == 0) {
        bits |= 0xffff0000U; /* the upper half need not exist */
    }
    return size_decode(bits, ALL_ONES, IO_SIZE_MAX, bar);
}

/* The BAR at OFFSET; decoding is off. NULL: it is good, or not there (kind NONE). */
static const char *size_bar(bdf_t bdf, uint32_t offset, bool last, struct pci_bar *bar)
{
    uint32_t low = pci_config_read(bdf, offset, 4);
    uint32_t mask = probe(bdf, offset, ALL_ONES, low);
    uint32_t flags = (mask & PCI_BAR_FLAG_IO) != 0 ? ~IO_ADDRESS : (uint32_t)MEMORY_FLAGS;
    uint32_t high = 0;
    uint32_t high_mask;

    *bar = (struct pci_bar){0};
    if (mask == 0 || (low == ALL_ONES && mask == ALL_ONES)) {
        return NULL; /* not there, or the function is gone */
    }
    *bar = pci_bar_decode((low & ~flags) | (mask & flags));
    if ((low & flags) != (mask & flags) ||
        (bar->kind != PCI_BAR_IO && (mask & PCI_BAR_FLAG_TYPE) == TYPE_RESERVED)) {
        bar->kind = bar->kind == PCI_BAR_MEMORY_64 ? PCI_BAR_MEMORY_32 : bar->kind;
        return fault_type;
    }
    if (bar->kind == PCI_BAR_IO) {
        return size_io(mask, bar);
    }
    if (bar->kind == PCI_BAR_MEMORY_32) {
        return size_decode(mask & ~MEMORY_FLAGS, ALL_ONES, 1ULL << 31, bar);
    }
    if (last) {
        bar->kind = PCI_BAR_MEMORY_32;
        return fault_half;
    }
    high = pci_config_read(bdf, offset + 4, 4);
    high_mask = probe(bdf, offset + 4, ALL_ONES, high);
    bar->base |= (uint64_t)high << 32;
    return size_decode((uint64_t)high_mask << 32 | (mask & ~MEMORY_FLAGS), ~0ULL, PCI_BAR_SIZE_MAX,
                       bar);
}

/* COUNT BARs at OFFSET, with what is wrong with each in FAULTS. Decoding is off. */
static void size_all(bdf_t bdf, uint32_t offset, uint32_t count, struct pci_bar *bars,
                     const char **faults)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t low = pci_config_read(bdf, offset + 4 * i, 4);

        faults[i] = size_bar(bdf, offset + 4 * i, i + 1 == count, &bars[i]);
        if (pci_config_read(bdf, offset + 4 * i, 4) != low) {
            faults[i] = fault_kept;
            bars[i].size = 0;
        }
        if (bars[i].kind == PCI_BAR_MEMORY_64) {
            bars[++i] = (struct pci_bar){0};
            faults[i] = NULL;
        }
    }
}

/* Log what is wrong with which; DEVICE if something is. */
static enum status report(bdf_t bdf, const char *what, uint32_t count, const char *const *faults)
{
    enum status status = STATUS_OK;

    for (uint32_t i = 0; i < count; i++) {
        if (faults[i] != NULL) {
            log_warn("PCI " BDF_FORMAT ": %s %u is not used: %s", BDF_ARGS(bdf), what, i,
                     faults[i]);
            status = STATUS_DEVICE;
        }
    }
    return status == STATUS_OK ? STATUS_OK : STATUS_NOTE(status);
}

static const char *size_rom(const struct pci_function *function, struct pci_bar *rom)
{
    uint32_t offset = function->header == PCI_HEADER_DEVICE ? PCI_ROM : PCI_BRIDGE_ROM;
    uint32_t original = pci_config_read(function->bdf, offset, 4);
    /* Ones only in the address: its lowest bit would enable the ROM. */
    uint32_t mask = probe(function->bdf, offset, ROM_ADDRESS, original);

    if ((mask & ROM_ADDRESS) == 0 || original == ALL_ONES) {
        return NULL;
    }
    *rom = (struct pci_bar){.kind = PCI_BAR_MEMORY_32, .base = original & ROM_ADDRESS};
    return size_decode(mask & ROM_ADDRESS, ALL_ONES, 1ULL << 31, rom);
}

enum status pci_bars_size(const struct pci_function *function, struct pci_bar bars[PCI_BARS_MAX],
                          struct pci_bar *rom)
{
    static const uint32_t counts[] = {
        [PCI_HEADER_DEVICE] = PCI_BARS_MAX, [PCI_HEADER_BRIDGE] = 2, [PCI_HEADER_CARDBUS] = 1};
    bdf_t bdf = function->bdf;
    uint32_t count = counts[function->header];
    uint32_t command = pci_config_read(bdf, PCI_COMMAND, 2);
    const char *faults[PCI_BARS_MAX] = {0};
    const char *rom_fault = NULL;
    enum status status;

    for (uint32_t i = 0; i < PCI_BARS_MAX; i++) {
        bars[i] = (struct pci_bar){0};
    }
    *rom = (struct pci_bar){0};
    if (command == 0xffffU) {
        return STATUS_OK; /* the function is gone */
    }
    pci_config_write(bdf, PCI_COMMAND, 2, command & ~DECODE);
    size_all(bdf, PCI_BAR0, count, bars, faults);
    if (function->header != PCI_HEADER_CARDBUS) {
        rom_fault = size_rom(function, rom);
    }
    pci_config_write(bdf, PCI_COMMAND, 2, command);
    status = report(bdf, "BAR", count, faults);
    return rom_fault == NULL ? status : report(bdf, "expansion ROM", 1, &rom_fault);
}

static const char *vf_bar_fault(const struct pci_bar *bar)
{
    if (bar->kind == PCI_BAR_IO) {
        return "VFs may not have I/O space";
    }
    return bar->size != 0 && bar->size < PAGE_SIZE ? "it is smaller than the system page size"
                                                   : NULL;
}

enum status pci_bars_size_vf(bdf_t pf, struct pci_sriov *sriov)
{
    uint32_t control_at = sriov->capability + (uint32_t)PCI_SRIOV_CONTROL;
    uint32_t control = pci_config_read(pf, control_at, 2);
    bool decoding = (control & PCI_SRIOV_CONTROL_MEMORY) != 0;
    const char *faults[PCI_BARS_MAX] = {0};

    if (decoding) {
        pci_config_write(pf, control_at, 2, control & ~PCI_SRIOV_CONTROL_MEMORY);
    }
    size_all(pf, sriov->capability + (uint32_t)PCI_SRIOV_BAR0, PCI_BARS_MAX, sriov->bars, faults);
    if (decoding) {
        pci_config_write(pf, control_at, 2, control);
    }
    for (uint32_t i = 0; i < PCI_BARS_MAX; i++) {
        const char *fault = vf_bar_fault(&sriov->bars[i]);

        if (fault != NULL && faults[i] == NULL) {
            faults[i] = fault;
            sriov->bars[i].size = 0;
        }
    }
    return report(pf, "VF BAR", PCI_BARS_MAX, faults);
}

enum status pci_bar_write(bdf_t bdf, uint32_t offset, const struct pci_bar *bar, uint64_t address)
{
    uint32_t low = pci_config_read(bdf, offset, 4) & (uint32_t)MEMORY_FLAGS;
    uint64_t kept;

    pci_config_write(bdf, offset, 4, (uint32_t)address | low);
    kept = pci_config_read(bdf, offset, 4) & ~(uint32_t)MEMORY_FLAGS;
    if (bar->kind == PCI_BAR_MEMORY_64) {
        pci_config_write(bdf, offset + 4, 4, (uint32_t)(address >> 32));
        kept |= (uint64_t)pci_config_read(bdf, offset + 4, 4) << 32;
    }
    if (kept != address) {
        log_warn("PCI " BDF_FORMAT ": the BAR at %#x does not take the address %#lx", BDF_ARGS(bdf),
                 offset, (unsigned long)address);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    return STATUS_OK;
}
