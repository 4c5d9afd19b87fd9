/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot of the VMM core, as a list of calls: core_start() on the loader's stack and tables,
 * core_main() on its own.
 */
#include "vmm/main.h"
#include "boot/handoff.h"
#include "vmm/base/log.h"
#include "vmm/console/console.h"
#include "vmm/console/sinks.h"
#include "vmm/host/apic.h"
#include "vmm/host/cpuid.h"
#include "vmm/host/frame.h"
#include "vmm/host/instructions.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/paging.h"
#include "vmm/host/pool.h"
#include "vmm/host/selftest.h"
#include "vmm/host/smp.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"
#include "vmm/host/trap.h"
#include "vmm/report/report.h"
#include "vmm/vf/vf.h"

#include "drivers/acpi/acpi.h"
#include "drivers/pci/acs.h"
#include "drivers/pci/pci_config.h"
#include "drivers/pci/scan.h"
#include "drivers/virtio/device.h"

#define POOL_BYTES         (4ULL << 20)
#define REGIONS_MAX        1024U
#define SERIAL_PORT        0x3f8U
#define SERIAL_BAUD        115200U
#define PHYSICAL_BITS_LEAF 0x80000008U

static struct handoff handoff; /* our copy: the loader's lies in memory that is freed */
static struct handoff_region regions[REGIONS_MAX];
static struct platform_facts facts;

void core_start(const struct handoff *loader);

static void core_main(void);

static void copy_handoff(const struct handoff *loader)
{
    if (loader->magic != HANDOFF_MAGIC || loader->version != HANDOFF_VERSION ||
        loader->size != sizeof(handoff)) {
        cpu_halt_forever(); /* there is no way yet to say why: nothing but this is certain to work
                             */
    }
    handoff = *loader;
    log_raw((const char *)handoff.log, handoff.log_size);
    const struct handoff_region *from = (const struct handoff_region *)handoff.regions;

    if (handoff.region_count > REGIONS_MAX) {
        log_warn("memory: %u regions of the firmware's map are not used: more than %u",
                 handoff.region_count - REGIONS_MAX, REGIONS_MAX);
        handoff.region_count = REGIONS_MAX;
    }
    for (uint32_t i = 0; i < handoff.region_count; i++) {
        regions[i] = from[i];
    }
}

static unsigned physical_bits(void)
{
    return cpuid_read(0x80000000, 0).eax >= PHYSICAL_BITS_LEAF
               ? cpuid_read(PHYSICAL_BITS_LEAF, 0).eax & 0xff
               : 36;
}

/* A step without which the boot cannot go on: the machine's fault, not ours, so no panic. */
static void must(enum status status, const char *what, const char *remedy)
{
    if (status != STATUS_OK) {
        log_warn("the VMM cannot start: %s (%s); %s", what, status_name(status), remedy);
        log_flush();
        cpu_halt_forever();
    }
}

void core_start(const struct handoff *loader)
{
    static const char bad_map[] =
        "the firmware's memory map leaves too little: update the firmware";

    trap_init_early();
    copy_handoff(loader);
    (void)log_start_serial(SERIAL_PORT, SERIAL_BAUD); /* until the configuration says otherwise */
    must(frame_init(regions, handoff.region_count, physical_bits()), "no free RAM", bad_map);
    must(pool_init(POOL_BYTES), "no 4 MiB of free RAM in one piece below 4 GiB", bad_map);
    must(vmm_tables_build(&handoff), "no memory for page tables", bad_map);
    vmm_tables_load();
    window_set_physical_bits(physical_bits());
    must(cpu_setup_boot(), "no memory for CPU 0", bad_map);
    cpu_enter_main_stack(core_main);
}

static void start_cpus(const struct acpi_madt *madt, uint32_t max)
{
    static uint32_t ids[ACPI_CPUS_MAX];

    for (uint32_t i = 0; i < madt->cpu_count; i++) {
        ids[i] = madt->cpus[i].apic_id;
    }
    pic_silence();
    must(apic_init(madt->local_apic), "CPU 0 has no local APIC",
         "enable it in the firmware set-up");
    apic_enable_cpu();
    (void)smp_start(ids, madt->cpu_count, max);
    log_info("CPUs: %u found, %u started", cpu_count(), cpu_count_started());
}

static void print_report(void)
{
    report_gather(cpu_count_started(), frame_count(), &facts);
    (void)report_print(&facts);
    uint64_t tables = paging_table_pages() * PAGE_SIZE;

    log_info("VMM: %lu KiB image, %lu KiB of RAM in use, %lu KiB of page tables",
             vmm_image_size() >> 10, (pool_used() - tables) >> 10, tables >> 10);
}

/* No VM runs, or runs any more: what 'when_idle' says. */
static void finish(void)
{
    enum config_idle idle = (enum config_idle)main_config()->vmm.when_idle;

    switch (idle) {
    case CONFIG_IDLE_POWEROFF:
        log_info("no VM is running: the machine is switched off (when_idle = poweroff)");
        log_flush();
        if (acpi_power_off(acpi_facts()) != STATUS_OK) {
            log_warn("the firmware describes no way to switch this machine off: it is halted");
        }
        break;
    case CONFIG_IDLE_RESET:
        log_info("no VM is running: the machine is reset (when_idle = reset)");
        log_flush();
        (void)acpi_reset(acpi_facts());
        break;
    case CONFIG_IDLE_HALT:
        log_info("no VM is running: the machine idles (when_idle = halt)");
        break;
    }
}

static void core_main(void)
{
    const struct config_vmm *settings = main_configure(&handoff);

    if (settings->framebuffer) {
        (void)log_start_screen(&handoff.framebuffer);
    }
    log_info("Portolan " PORTOLAN_VERSION);
    (void)acpi_init(hpa(handoff.rsdp));
    const struct acpi_facts *acpi = acpi_facts();

    (void)time_init(
        acpi->fadt.pm_timer.space == ACPI_SPACE_IO ? (uint16_t)acpi->fadt.pm_timer.address : 0,
        handoff.tsc_entry);
    start_cpus(&acpi->madt, settings->cpus_max);
    must(timer_init(), "the local APIC's timer does not count", "update the firmware");
    pci_config_init(&acpi->mcfg);
    (void)pci_scan();
    pci_acs_init();
    vf_confine_devices(physical_bits());
    (void)virtio_discover();
    print_report();
    selftest_fault((enum selftest_fault)settings->selftest_fault);
    if (main_check_machine(&facts) == STATUS_OK) {
        vf_start_pfs(main_config(), regions, handoff.region_count);
        main_create_vms();
    }
    console_init();
    main_serve(finish);
}
