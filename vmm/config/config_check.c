/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/config/config_check.h"

#include "vmm/config/config_keys.h"

#include <string.h>

static bool given(const struct config_lines *lines, unsigned key)
{
    return lines->key[key] != 0;
}

static void check_required(const struct config_vm *vm, struct config_report *report)
{
    static const struct {
        enum config_vm_key key;
        const char *example;
    } required[] = {
        {VM_CPUS,   "cpus = 1"     },
        {VM_MEMORY, "memory = 512M"}
    };

    for (unsigned i = 0; i < ARRAY_SIZE(required); i++) {
        if (!given(&vm->lines, required[i].key)) {
            config_error(report, vm->lines.section, "the VM '%s' has no '%s'", vm->name,
                         config_sections[SECTION_VM].keys[required[i].key].name);
            config_fix(report, "add a line such as '%s'", required[i].example);
        }
    }
}

/*
 * Exactly one of kernel, multiboot and firmware says what runs; but with kernel_rom firmware brings
 * the kernel.
 */
static void check_boot(const struct config_vm *vm, struct config_report *report)
{
    static const enum config_vm_key sources[] = {VM_KERNEL, VM_MULTIBOOT, VM_FIRMWARE};
    const struct config_key *keys = config_sections[SECTION_VM].keys;
    int first = -1;

    for (unsigned i = 0; i < ARRAY_SIZE(sources); i++) {
        if (!given(&vm->lines, sources[i]) ||
            (sources[i] == VM_KERNEL && given(&vm->lines, VM_KERNEL_ROM))) {
            continue;
        }
        if (first >= 0) {
            config_error(report, vm->lines.key[sources[i]],
                         "the VM '%s' has '%s', and '%s' as well (line %u)", vm->name,
                         keys[sources[i]].name, keys[first].name, vm->lines.key[first]);
            config_fix(report, "%s",
                       first == VM_KERNEL && sources[i] == VM_FIRMWARE
                           ? "keep one of the two, or add 'kernel_rom' for a kernel that needs a "
                             "BIOS"
                           : "keep one of the two: it says what the VM starts with");
            return;
        }
        first = (int)sources[i];
    }
    if (first < 0 && !given(&vm->lines, VM_KERNEL)) {
        config_error(report, vm->lines.section, "the VM '%s' has nothing to start with", vm->name);
        config_fix(report, "add 'kernel', 'multiboot' or 'firmware' with the name of a file");
    }
}

/* Keys that mean something only beside others. */
static void check_companions(const struct config_vm *vm, struct config_report *report)
{
    static const struct {
        enum config_vm_key key, needs, or_needs;
    } companions[] = {
        {VM_INITRD,     VM_KERNEL,    VM_KERNEL   },
        {VM_KERNEL_ROM, VM_KERNEL,    VM_KERNEL   },
        {VM_KERNEL_ROM, VM_FIRMWARE,  VM_FIRMWARE },
        {VM_NET_ROM,    VM_FIRMWARE,  VM_FIRMWARE },
        {VM_NVRAM,      VM_FIRMWARE,  VM_FIRMWARE },
        {VM_MODULE,     VM_MULTIBOOT, VM_MULTIBOOT},
        {VM_CMDLINE,    VM_KERNEL,    VM_MULTIBOOT},
        {VM_BOOT,       VM_FIRMWARE,  VM_FIRMWARE },
        {VM_BOOT_MENU,  VM_FIRMWARE,  VM_FIRMWARE },
        {VM_VGA,        VM_FIRMWARE,  VM_FIRMWARE },
        {VM_VGA_ROM,    VM_FIRMWARE,  VM_FIRMWARE },
    };
    const struct config_key *keys = config_sections[SECTION_VM].keys;

    for (unsigned i = 0; i < ARRAY_SIZE(companions); i++) {
        if (given(&vm->lines, companions[i].key) && !given(&vm->lines, companions[i].needs) &&
            !given(&vm->lines, companions[i].or_needs)) {
            config_error(report, vm->lines.key[companions[i].key],
                         "'%s' means nothing without '%s'", keys[companions[i].key].name,
                         keys[companions[i].needs].name);
            config_fix(report, "remove the line, or add '%s'", keys[companions[i].needs].name);
        }
    }
}

static bool has_cpu(const struct config_vm *vm, uint16_t cpu)
{
    for (uint32_t i = 0; i < vm->cpus.count; i++) {
        if (vm->cpus.cpu[i] == cpu) {
            return true;
        }
    }
    return false;
}

static void check_cpus(const struct config_vm *vm, const struct config_vm *other,
                       struct config_report *report)
{
    for (uint32_t i = 0; i < vm->cpus.count; i++) {
        if (has_cpu(other, vm->cpus.cpu[i])) {
            config_error(report, vm->lines.key[VM_CPUS],
                         "CPU %u is given to VM '%s', but VM '%s' has it already (line %u)",
                         vm->cpus.cpu[i], vm->name, other->name, other->lines.key[VM_CPUS]);
            config_fix(report, "remove %u from one of the two 'cpus' lines", vm->cpus.cpu[i]);
        }
    }
}

static bool same_vf(const struct config_vf *a, const struct config_vf *b)
{
    return bdf_equal(a->pf, b->pf) && a->index == b->index;
}

static void check_vf_once(const struct config_vf *vf, const struct config_vm *vm,
                          const struct config_vf *other, const struct config_vm *other_vm,
                          struct config_report *report)
{
    if (!same_vf(vf, other)) {
        return;
    }
    config_error(report, vf->line,
                 "VF " BDF_FORMAT "/%u is given to VM '%s', but VM '%s' has it already (line %u)",
                 BDF_ARGS(vf->pf), vf->index, vm->name, other_vm->name, other->line);
    config_fix(report, "remove one of the two 'vf' lines, or choose another VF");
}

static void check_vfs_of(const struct config_vm *vm, const struct config_vm *other,
                         struct config_report *report)
{
    for (uint32_t i = 0; i < vm->vfs.count; i++) {
        uint32_t end = vm == other ? i : other->vfs.count;

        for (uint32_t j = 0; j < end; j++) {
            check_vf_once(&vm->vfs.vf[i], vm, &other->vfs.vf[j], other, report);
        }
    }
}

static void check_standby_free(const struct config_vm *vm, const struct config_vm *other,
                               const struct config_vf *taken, struct config_report *report)
{
    if (same_vf(&vm->standby, taken)) {
        config_error(report, vm->standby.line,
                     "VF " BDF_FORMAT "/%u is to be the standby of VM '%s', but VM '%s' has it "
                     "already (line %u)",
                     BDF_ARGS(taken->pf), taken->index, vm->name, other->name, taken->line);
        config_fix(report, "choose a VF that stands nowhere else");
    }
}

static void check_standby(const struct config *config, uint32_t index, struct config_report *report)
{
    const struct config_vm *vm = &config->vms[index];

    if (vm->standby.line == 0) {
        return;
    }
    if (vm->vfs.count != 1) {
        config_error(report, vm->standby.line, "VM '%s' has a 'standby', but %s", vm->name,
                     vm->vfs.count == 0 ? "no VF" : "more than one VF");
        config_fix(report, "a standby takes the place of the VM's only VF: remove the line, or "
                           "have one 'vf' line");
    }
    for (uint32_t i = 0; i < config->vm_count; i++) {
        const struct config_vm *other = &config->vms[i];

        for (uint32_t k = 0; k < other->vfs.count; k++) {
            check_standby_free(vm, other, &other->vfs.vf[k], report);
        }
        if (i < index && other->standby.line != 0) {
            check_standby_free(vm, other, &other->standby, report);
        }
    }
}

static const struct config_pf *find_pf(const struct config *config, bdf_t bdf)
{
    for (uint32_t i = 0; i < config->pf_count; i++) {
        if (bdf_equal(config->pfs[i].bdf, bdf)) {
            return &config->pfs[i];
        }
    }
    return NULL;
}

static void check_vf_exists(const struct config *config, const struct config_vf *vf,
                            struct config_report *report)
{
    const struct config_pf *pf = find_pf(config, vf->pf);

    if (!pf) {
        config_error(report, vf->line,
                     "VF %u of " BDF_FORMAT " is wanted, but that PF has no section", vf->index,
                     BDF_ARGS(vf->pf));
        config_fix(report, "add [pf " BDF_FORMAT "] with 'num_vfs = %u' or more", BDF_ARGS(vf->pf),
                   vf->index + 1);
    } else if (pf->num_vfs != CONFIG_VFS_FIT && vf->index >= pf->num_vfs) {
        config_error(report, vf->line,
                     "VF %u of " BDF_FORMAT " is wanted, but 'num_vfs' is %u (line %u)", vf->index,
                     BDF_ARGS(vf->pf), pf->num_vfs, pf->lines.key[PF_NUM_VFS]);
        config_fix(report, "VFs are numbered from 0: raise 'num_vfs' to %u, or choose a lower VF",
                   vf->index + 1);
    }
}

static void check_slots(const struct config_vm *vm, struct config_report *report)
{
    for (uint32_t i = 0; i < vm->vfs.count; i++) {
        if (vm->vga && vm->vfs.vf[i].slot == CONFIG_SLOT_VGA) {
            config_error(report, vm->vfs.vf[i].line, "slot %u of VM '%s' is its screen's (line %u)",
                         CONFIG_SLOT_VGA, vm->name,
                         vm->lines.key[vm->lines.key[VM_VGA] != 0 ? VM_VGA : VM_VGA_ROM]);
            config_fix(report, "choose another slot, or leave it out, or write 'vga = no'");
        }
        if (vm->service && vm->vfs.vf[i].slot == CONFIG_SLOT_PORTAL) {
            config_error(report, vm->vfs.vf[i].line, "slot %u of VM '%s' is its portal's (line %u)",
                         CONFIG_SLOT_PORTAL, vm->name, vm->lines.key[VM_SERVICE]);
            config_fix(report, "choose another slot, or leave it out");
        }
        for (uint32_t j = 0; j < i; j++) {
            if (vm->vfs.vf[i].slot != CONFIG_SLOT_AUTO &&
                vm->vfs.vf[i].slot == vm->vfs.vf[j].slot) {
                config_error(report, vm->vfs.vf[i].line,
                             "slot %u of VM '%s' is taken already (line %u)", vm->vfs.vf[i].slot,
                             vm->name, vm->vfs.vf[j].line);
                config_fix(report, "choose another slot, or leave it out");
            }
        }
    }
}

/* One VM carries others, and stays itself. */
static void check_service(const struct config *config, uint32_t index, struct config_report *report)
{
    const struct config_vm *vm = &config->vms[index];

    for (uint32_t i = 0; i < index && vm->service; i++) {
        if (config->vms[i].service) {
            config_error(report, vm->lines.key[VM_SERVICE],
                         "VM '%s' is to be the service VM, but VM '%s' is it already (line %u)",
                         vm->name, config->vms[i].name, config->vms[i].lines.key[VM_SERVICE]);
            config_fix(report, "remove one of the two 'service' lines");
        }
    }
    if (vm->service && vm->migrate) {
        config_error(report, vm->lines.key[VM_MIGRATE],
                     "VM '%s' is the service VM (line %u), which cannot be moved", vm->name,
                     vm->lines.key[VM_SERVICE]);
        config_fix(report, "remove the 'migrate' line");
    }
}

/* Keys that may be given, but are not carried out yet. */
static void check_not_yet(const struct config_vm *vm, struct config_report *report)
{
    if (vm->modern) {
        config_warning(report, vm->lines.key[VM_MODERN],
                       "'modern' is not carried out yet: VM '%s' sees the legacy interface of its "
                       "VFs alone",
                       vm->name);
        config_fix(report, "use a guest with legacy virtio drivers, and remove the line");
    }
}

static void check_vm(const struct config *config, uint32_t index, struct config_report *report)
{
    const struct config_vm *vm = &config->vms[index];

    check_required(vm, report);
    check_boot(vm, report);
    check_companions(vm, report);
    check_not_yet(vm, report);
    for (uint32_t i = 0; i <= index; i++) {
        if (i < index) {
            check_cpus(vm, &config->vms[i], report);
        }
        check_vfs_of(vm, &config->vms[i], report);
    }
    for (uint32_t i = 0; i < vm->vfs.count; i++) {
        check_vf_exists(config, &vm->vfs.vf[i], report);
    }
    if (vm->standby.line != 0) {
        check_vf_exists(config, &vm->standby, report);
    }
    check_standby(config, index, report);
    check_service(config, index, report);
    check_slots(vm, report);
}

static void check_pf(const struct config_pf *pf, struct config_report *report)
{
    static const enum config_pf_key place[] = {PF_MMR_BAR, PF_MMR_OFFSET, PF_MMR_LENGTH};
    uint32_t found = 0, line = 0;

    if (!given(&pf->lines, PF_NUM_VFS)) {
        config_error(report, pf->lines.section, "the PF " BDF_FORMAT " has no 'num_vfs'",
                     BDF_ARGS(pf->bdf));
        config_fix(report, "add 'num_vfs' with the number of VFs to turn on, or 'num_vfs = fit'");
    }
    for (unsigned i = 0; i < ARRAY_SIZE(place); i++) {
        found += given(&pf->lines, place[i]);
        line = given(&pf->lines, place[i]) ? pf->lines.key[place[i]] : line;
    }
    if (found > 0 && found < ARRAY_SIZE(place)) {
        config_error(report, line, "the place of the registers is given in part only");
        config_fix(report,
                   "give 'mmr_bar', 'mmr_offset' and 'mmr_length' together, or none of them");
    }
    if (pf->transport == CONFIG_TRANSPORT_ADMIN && found > 0) {
        config_error(report, line,
                     "registers in memory are placed, but 'transport = admin' does not use them "
                     "(line %u)",
                     pf->lines.key[PF_TRANSPORT]);
        config_fix(report, "remove the 'mmr_' lines, or write 'transport = mmr'");
    }
}

void config_check(const struct config *config, struct config_report *report)
{
    for (uint32_t i = 0; i < config->vm_count; i++) {
        check_vm(config, i, report);
    }
    for (uint32_t i = 0; i < config->pf_count; i++) {
        check_pf(&config->pfs[i], report);
    }
}
