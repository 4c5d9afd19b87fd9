/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/config/config_check.h"
#include "vmm/config/config_keys.h"

#include <string.h>

static void machine_check_cpus(const struct config_vm *vm, const struct config_machine *machine,
                               struct config_report *report)
{
    for (uint32_t i = 0; i < vm->cpus.count; i++) {
        uint16_t cpu = vm->cpus.cpu[i];

        if (cpu >= machine->cpu_count) {
            config_error(report, vm->lines.key[VM_CPUS],
                         "CPU %u is given to VM '%s', but this machine has CPUs 0 to %u", cpu,
                         vm->name, machine->cpu_count - 1);
            config_fix(report, "choose CPUs from 0 to %u", machine->cpu_count - 1);
        } else if (!machine->cpu_usable[cpu]) {
            config_error(report, vm->lines.key[VM_CPUS],
                         "CPU %u is given to VM '%s', but it did not start", cpu, vm->name);
            config_fix(report, "choose another CPU; the log says more about CPU %u", cpu);
        }
    }
}

/* Who has a CPU: 1 and above are VMs. CPU 0 is the VMM's own, unless a VM has it. */
#define OWNER_VMM    0
#define OWNER_NOBODY UINT8_MAX

static uint8_t owners[ARRAY_SIZE(((struct config_machine *)0)->core)];

static void machine_set_owners(const struct config *config)
{
    memset(owners, OWNER_NOBODY, sizeof(owners));
    owners[0] = OWNER_VMM;
    for (uint32_t i = 0; i < config->vm_count; i++) {
        for (uint32_t n = 0; n < config->vms[i].cpus.count; n++) {
            owners[config->vms[i].cpus.cpu[n]] = (uint8_t)(i + 1);
        }
    }
}

/* A thread of CPU's core that belongs to another than OWNER, one below END; cpu_count: none. */
static uint32_t machine_find_sibling(const struct config_machine *machine, uint32_t cpu,
                                     uint8_t owner, uint8_t end)
{
    uint32_t i = 0;

    while (i < machine->cpu_count &&
           (machine->core[i] != machine->core[cpu] || owners[i] == owner || owners[i] >= end)) {
        i++;
    }
    return i;
}

/* A free CPU whose core is nobody's but OWNER's; cpu_count: none. */
static uint32_t machine_find_free(const struct config_machine *machine, uint8_t owner)
{
    uint32_t i = 0;

    while (i < machine->cpu_count &&
           (owners[i] != OWNER_NOBODY || !machine->cpu_usable[i] ||
            machine_find_sibling(machine, i, owner, OWNER_NOBODY) < machine->cpu_count)) {
        i++;
    }
    return i;
}

/*
 * Threads of one core see much of what the other does. Of two VMs the later one is warned of, and
 * has its CPU replaced in thought, so that what is advised fits together.
 */
static void machine_check_thread(const struct config *config, uint32_t vm, uint16_t cpu,
                                 const struct config_machine *machine, struct config_report *report)
{
    const char *name = config->vms[vm].name;
    uint8_t owner = (uint8_t)(vm + 1);
    uint32_t sibling = machine_find_sibling(machine, cpu, owner, owner);

    if (cpu >= machine->cpu_count || sibling == machine->cpu_count) {
        return;
    }
    if (owners[sibling] == OWNER_VMM) {
        config_warning(report, config->vms[vm].lines.key[VM_CPUS],
                       "CPU %u of VM '%s' is a thread of the same core as CPU %u, the VMM's own",
                       cpu, name, sibling);
    } else {
        config_warning(report, config->vms[vm].lines.key[VM_CPUS],
                       "CPU %u of VM '%s' is a thread of the same core as CPU %u of VM '%s'", cpu,
                       name, sibling, config->vms[owners[sibling] - 1].name);
    }
    uint32_t instead = machine_find_free(machine, owner);

    owners[cpu] = OWNER_NOBODY;
    if (instead < machine->cpu_count) {
        owners[instead] = owner;
        config_fix(report,
                   "give VM '%s' CPU %u instead of CPU %u; if they may learn each other's secrets, "
                   "write 'share_cores = yes' in [vmm]",
                   name, instead, cpu);
    } else {
        config_fix(report,
                   "take CPU %u from VM '%s', as no other core is free; if they may learn each "
                   "other's secrets, write 'share_cores = yes' in [vmm]",
                   cpu, name);
    }
}

static void machine_check_threads(const struct config *config, const struct config_machine *machine,
                                  struct config_report *report)
{
    machine_set_owners(config);
    for (uint32_t i = 0; i < config->vm_count && !config->vmm.share_cores; i++) {
        for (uint32_t n = 0; n < config->vms[i].cpus.count; n++) {
            machine_check_thread(config, i, config->vms[i].cpus.cpu[n], machine, report);
        }
    }
}

/* The memory of all VMs that came before, this one's, and where it stops fitting. */
static uint64_t machine_check_memory(const struct config_vm *vm, uint64_t before,
                                     const struct config_machine *machine,
                                     struct config_report *report)
{
    uint64_t left = machine->memory > before ? machine->memory - before : 0;

    uint64_t wanted = vm->memory + (vm->vga ? CONFIG_VGA_MEMORY : 0);

    if (wanted > left) {
        config_error(
            report, vm->lines.key[VM_MEMORY],
            "VM '%s' wants %lu MiB, but of this machine's memory only %lu MiB are left for it",
            vm->name, (unsigned long)(wanted >> 20), (unsigned long)(left >> 20));
        config_fix(report,
                   "lower the 'memory' of this VM or of those before it; all VMs can have %lu MiB",
                   (unsigned long)(machine->memory >> 20));
    }
    return before + wanted;
}

static const struct config_machine_pf *machine_find_pf(const struct config_machine *machine,
                                                       bdf_t bdf)
{
    for (uint32_t i = 0; i < machine->pf_count; i++) {
        if (bdf_equal(machine->pfs[i].bdf, bdf)) {
            return &machine->pfs[i];
        }
    }
    return NULL;
}

static void machine_check_pf(const struct config_pf *pf, const struct config_machine *machine,
                             struct config_report *report)
{
    const struct config_machine_pf *found = machine_find_pf(machine, pf->bdf);

    if (!found) {
        config_error(report, pf->lines.section, "there is no virtio device at " BDF_FORMAT,
                     BDF_ARGS(pf->bdf));
        config_fix(report,
                   "the report lists the virtio devices of this machine with their addresses");
    } else if (!found->has_sriov) {
        config_error(report, pf->lines.section, "the virtio device at " BDF_FORMAT " has no SR-IOV",
                     BDF_ARGS(pf->bdf));
        config_fix(report,
                   "enable SR-IOV in the firmware set-up and on the card, or use another device");
    } else if (pf->num_vfs > found->total_vfs) {
        config_error(report, pf->lines.key[PF_NUM_VFS],
                     "'num_vfs' is %u, but " BDF_FORMAT " can have %u", pf->num_vfs,
                     BDF_ARGS(pf->bdf), found->total_vfs);
        config_fix(report, "lower it to %u or less", found->total_vfs);
    }
}

/* VFs of PFs that get as many as fit: there are never more than the device has. */
static void machine_check_vf(const struct config_vf *vf, const struct config_machine *machine,
                             struct config_report *report)
{
    const struct config_machine_pf *found = machine_find_pf(machine, vf->pf);

    if (found && found->has_sriov && vf->index >= found->total_vfs) {
        config_error(report, vf->line, "VF %u of " BDF_FORMAT " is wanted, but it can have %u",
                     vf->index, BDF_ARGS(vf->pf), found->total_vfs);
        config_fix(report, "VFs are numbered from 0: choose a lower VF");
    }
}

static void machine_check_vfs(const struct config_vm *vm, const struct config_machine *machine,
                              struct config_report *report)
{
    for (uint32_t i = 0; i < vm->vfs.count; i++) {
        machine_check_vf(&vm->vfs.vf[i], machine, report);
    }
    if (vm->standby.line != 0) {
        machine_check_vf(&vm->standby, machine, report);
    }
}

static void machine_check_dma(const struct config *config, const struct config_machine *machine,
                              struct config_report *report)
{
    if (machine->has_iommu) {
        return;
    }
    for (uint32_t i = 0; i < config->vm_count; i++) {
        const struct config_vm *vm = &config->vms[i];

        if (vm->vfs.count == 0) {
            continue;
        }
        if (config->vmm.unsafe_dma) {
            config_warning(report, vm->vfs.vf[0].line,
                           "VM '%s' gets a VF without an IOMMU: it can read and write all memory",
                           vm->name);
            config_fix(report, "trust it with that, or enable the IOMMU in the firmware set-up");
        } else {
            config_error(report, vm->vfs.vf[0].line,
                         "VM '%s' gets a VF, but this machine has no IOMMU to confine its DMA",
                         vm->name);
            config_fix(
                report,
                "enable the IOMMU (VT-d, AMD-Vi) in the firmware set-up; only if this VM may "
                "do anything, write 'unsafe_dma = yes' in [vmm]");
        }
    }
}

enum status config_check_machine(const struct config *config, const struct config_machine *machine,
                                 struct config_report *report)
{
    uint64_t memory = 0;

    if (config->vm_count > 0 && !machine->can_run_vms) {
        config_error(report, config->vms[0].lines.section,
                     "this machine cannot run VMs: the report says what is missing");
        config_fix(report, "enable SVM or VT-x in the firmware set-up");
    }
    for (uint32_t i = 0; i < config->vm_count; i++) {
        machine_check_cpus(&config->vms[i], machine, report);
        memory = machine_check_memory(&config->vms[i], memory, machine, report);
        machine_check_vfs(&config->vms[i], machine, report);
    }
    for (uint32_t i = 0; i < config->pf_count; i++) {
        machine_check_pf(&config->pfs[i], machine, report);
    }
    machine_check_threads(config, machine, report);
    machine_check_dma(config, machine, report);
    return report->errors ? STATUS_NOTE(STATUS_INVALID) : STATUS_OK;
}
