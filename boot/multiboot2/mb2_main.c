/* SPDX-License-Identifier: BSD-2-Clause */
/* The Multiboot 2 loader: every step from start.S to the core, in order. */
#include "boot/boot_cpu.h"
#include "boot/core_elf.h"
#include "boot/handoff.h"
#include "boot/loader_log.h"
#include "boot/multiboot2/information.h"
#include "boot/multiboot2/mb2_console.h"
#include "boot/multiboot2/mb2_machine.h"
#include "boot/multiboot2/mb2_memory.h"
#include "boot/multiboot2/mb2_modules.h"
#include "boot/page_tables.h"
#include "vmm/base/log.h"
#include "vmm/base/types.h"

#include <string.h>

#define INFORMATION_MAX (128UL << 10)
#define STACK_SIZE      (32UL << 10)
#define RSDP_MAX        64UL

/* ACPI 6.4, 5.2.5.1: in the first KiB of the extended BIOS data area, or in the BIOS's memory. */
#define BIOS_EBDA_SEGMENT 0x40eUL
#define BIOS_EBDA_SIZE    1024UL
#define BIOS_START        0xe0000UL
#define BIOS_SIZE         0x20000UL
#define LOW_MEMORY_END    0xa0000UL

/* core_file.S, loader.lds */
extern const uint8_t core_file[], core_file_end[];
extern const uint8_t loader_start[], loader_end[];

static _Alignas(8) uint8_t information_copy[INFORMATION_MAX];
static _Alignas(16) uint8_t rsdp_copy[RSDP_MAX];
static _Alignas(16) uint8_t stack[STACK_SIZE];
static struct information information;
static struct memory memory;
static struct modules modules;
static struct core_image core;
static uint64_t core_base;
static struct boot_tables tables;
static struct handoff handoff;

_Noreturn void loader_main(uint64_t information_base, uint64_t tsc_entry);

/* Say what cannot be done, and return STATUS. */
static enum status fail(enum status status, const char *what)
{
    log_info("portolan: %s (%s)", what, status_name(status));
    return status;
}

static enum status read_information(uint64_t base)
{
    const uint8_t *source = (const uint8_t *)base;
    uint32_t size;

    memcpy(&size, source, sizeof(size));
    if (size < INFORMATION_SIZE_MIN || size > INFORMATION_MAX) {
        return fail(STATUS_INVALID, "the boot loader's information has an impossible size");
    }
    memcpy(information_copy, source, size);
    enum status status = information_parse(information_copy, size, &information);
    if (status != STATUS_OK) {
        return fail(status, "the boot loader's information cannot be read");
    }
    status = memory_init(&memory, &information);
    if (status != STATUS_OK) {
        return fail(status, "the boot loader's memory map cannot be used");
    }
    status = memory_claim(&memory, (uintptr_t)loader_start, (uintptr_t)(loader_end - loader_start));
    return status == STATUS_OK
               ? STATUS_OK
               : fail(status, "the memory map says that this image lies outside of free memory");
}

static enum status load_core(void)
{
    size_t size = (size_t)(core_file_end - core_file);

    enum status status = core_elf_check(core_file, size, &core);
    if (status != STATUS_OK) {
        return fail(status, "the VMM core in this image is damaged: copy portolan.mb2 again");
    }
    status = memory_take(&memory, core.size, &core_base);
    if (status != STATUS_OK) {
        return fail(status, "no memory below 4 GiB for the VMM core in one piece");
    }
    core_elf_load(core_file, &core, (void *)core_base);
    log_info("  VMM core: %lu KiB at 0x%lx", core.size >> 10, core_base);
    return STATUS_OK;
}

/* All memory is taken here: the map does not change any more. */
static enum status build_tables(void)
{
    bool has_1g = cpu_has_1g_pages();
    size_t pages = BOOT_TABLES_SLACK +
                   boot_tables_page_count(memory.regions, memory.region_count, has_1g, core.size);
    uint64_t base;

    if (pages > BOOT_TABLES_MAX || memory_take(&memory, pages * PAGE_SIZE, &base) != STATUS_OK) {
        return fail(STATUS_NO_MEMORY, "no memory below 4 GiB for the page tables");
    }
    tables = (struct boot_tables){(uint64_t *)base, hpa(base), pages, has_1g, 0};
    enum status status =
        boot_tables_build(&tables, memory.regions, memory.region_count, hpa(core_base), core.size);
    if (status != STATUS_OK) {
        return fail(status, "the page tables for the core cannot be built");
    }
    log_info("  memory: %lu MiB free of %zu regions",
             regions_total(memory.regions, memory.region_count, HANDOFF_MEMORY_USABLE) >> 20,
             memory.region_count);
    return STATUS_OK;
}

/* A pointer that the compiler does not take for one to its own first page. */
static const uint8_t *low_memory(uint64_t base)
{
    __asm__("" : "+r"(base));
    return (const uint8_t *)base;
}

static uint64_t rsdp_search_at(uint64_t base, size_t size)
{
    size_t at = rsdp_search(low_memory(base), size);

    return at < size ? base + at : 0;
}

/* The boot loader's copy, in memory that stays, or else where a BIOS has it. */
static uint64_t find_rsdp(void)
{
    uint16_t segment;
    uint64_t rsdp = 0;

    if (information.rsdp != NULL && rsdp_is_sound(information.rsdp, information.rsdp_size)) {
        size_t size = information.rsdp_size < RSDP_MAX ? information.rsdp_size : RSDP_MAX;
        memcpy(rsdp_copy, information.rsdp, size);
        return (uintptr_t)rsdp_copy;
    }
    memcpy(&segment, low_memory(BIOS_EBDA_SEGMENT), sizeof(segment));
    uint64_t ebda = (uint64_t)segment << 4;
    if (ebda != 0 && range_fits(ebda, BIOS_EBDA_SIZE, LOW_MEMORY_END)) {
        rsdp = rsdp_search_at(ebda, BIOS_EBDA_SIZE);
    }
    if (rsdp == 0) {
        rsdp = rsdp_search_at(BIOS_START, BIOS_SIZE);
    }
    if (rsdp == 0) {
        log_info("portolan: neither boot loader nor BIOS name ACPI tables (RSDP); "
                 "turn ACPI on in the BIOS set-up");
    }
    return rsdp;
}

static struct handoff_framebuffer find_framebuffer(void)
{
    const struct information_framebuffer *screen = &information.framebuffer;
    struct handoff_framebuffer framebuffer = framebuffer_convert(screen);

    if (framebuffer.pixel == HANDOFF_PIXEL_NONE) {
        log_info("  no screen for the log (type %u, %u x %u, %u bits): it goes to the serial line "
                 "only",
                 screen->type, screen->width, screen->height, screen->bits);
    }
    return framebuffer;
}

static void fill_handoff(uint64_t tsc_entry)
{
    handoff = (struct handoff){
        .magic = HANDOFF_MAGIC,
        .version = HANDOFF_VERSION,
        .size = sizeof(struct handoff),
        .source = HANDOFF_SOURCE_MULTIBOOT2,
        .region_count = (uint32_t)memory.region_count,
        .regions = (uintptr_t)memory.regions,
        .modules = (uintptr_t)modules.modules,
        .module_count = modules.count,
        .core_base = core_base,
        .core_size = core.size,
        .rsdp = find_rsdp(),
        .framebuffer = find_framebuffer(),
        .entropy = cpu_mix_bits(cpu_read_random() ^ cpu_mix_bits(cpu_read_tsc())),
        .tsc_entry = tsc_entry,
    };
}

static enum status boot(uint64_t information_base)
{
    enum status status = read_information(information_base);

    if (status == STATUS_OK) {
        status = modules_match(&information, &memory, &modules);
    }
    if (status == STATUS_OK) {
        status = load_core();
    }
    return status == STATUS_OK ? build_tables() : status;
}

void loader_main(uint64_t information_base, uint64_t tsc_entry)
{
    console_init();
    log_info("Portolan " PORTOLAN_VERSION ", Multiboot 2 loader");
    if (boot(information_base) == STATUS_OK) {
        fill_handoff(tsc_entry);
        pci_quiesce();
        log_info("  entering the core");
        handoff.log = (uintptr_t)loader_log(&handoff.log_size);
        console_flush();
        cpu_enter_core(tables.base.raw, (uintptr_t)stack + STACK_SIZE, core.entry,
                       (uintptr_t)&handoff);
    }
    log_info("portolan: not started; the machine is halted: mend what is said above and reset it");
    console_flush();
    struct handoff_framebuffer screen = framebuffer_convert(&information.framebuffer);
    console_show(&screen);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}
