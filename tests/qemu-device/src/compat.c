/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What differs between the QEMU versions this device builds for.
 */
#include "compat.h"
#include "qemu/range.h"

#if QEMU_VERSION_MAJOR >= 10

#include <malloc.h>
#include "accel/tcg/cpu-ops.h"

CompatInterrupt *compat_hook_do_interrupt(CPUClass *class,
                                          CompatInterrupt *ours)
{
    static TCGCPUOps hooked;

    if (!class->tcg_ops) {
        return NULL;
    }
    hooked = *class->tcg_ops;
    hooked.do_interrupt = ours;
    CompatInterrupt *before = class->tcg_ops->do_interrupt;
    class->tcg_ops = &hooked;
    return before;
}

/* There is no way to ask; what malloc() gave for one is a few bytes more. */
bool compat_has_instance_size(const char *type, size_t size)
{
    Object *obj = object_new(type);
    size_t given = malloc_usable_size(obj);

    object_unref(obj);
    return given >= size && given - size < 32;
}

void compat_ari_init(PCIDevice *d, uint16_t position)
{
    pcie_ari_init(d, position);
}

bool compat_sriov_init(PCIDevice *pf, uint16_t position, const char *vf_type,
                       uint16_t vf_device_id, uint16_t vfs, Error **errp)
{
    return pcie_sriov_pf_init(pf, position, vf_type, vf_device_id, vfs, vfs,
                              1, 1, errp);
}

void compat_pf_class_init(DeviceClass *dc)
{
}

void compat_pf_config_write(PCIDevice *pf, PCIConfigWriteFunc *next,
                            uint32_t addr, uint32_t val, int len)
{
    next(pf, addr, val, len);
}

#else

#include "hw/core/tcg-cpu-ops.h"

/* Devices do not see the functions from do_interrupt() on: there are nine. */
CompatInterrupt *compat_hook_do_interrupt(CPUClass *class,
                                          CompatInterrupt *ours)
{
    static struct {
        struct TCGCPUOps seen;
        CompatInterrupt *do_interrupt;
        void *others[8];
    } hooked;

    if (!class->tcg_ops) {
        return NULL;
    }
    memcpy(&hooked, class->tcg_ops, sizeof(hooked));
    CompatInterrupt *before = hooked.do_interrupt;
    hooked.do_interrupt = ours;
    class->tcg_ops = &hooked.seen;
    return before;
}

bool compat_has_instance_size(const char *type, size_t size)
{
    return object_type_get_instance_size(type) == size;
}

void compat_ari_init(PCIDevice *d, uint16_t position)
{
    pcie_ari_init(d, position, 0);
}

bool compat_sriov_init(PCIDevice *pf, uint16_t position, const char *vf_type,
                       uint16_t vf_device_id, uint16_t vfs, Error **errp)
{
    pcie_sriov_pf_init(pf, position, vf_type, vf_device_id, vfs, vfs, 1, 1);
    return true;
}

static GPtrArray *enabled_vfs(PCIDevice *pf)
{
    GPtrArray *vfs = g_ptr_array_new();

    for (int i = 0; i < pcie_sriov_num_vfs(pf); i++) {
        g_ptr_array_add(vfs, pcie_sriov_get_vf_at_index(pf, i));
    }
    return vfs;
}

/* unregister_vfs() keeps the reference of pci_new(): no VF would ever go. */
static void drop_disabled_vfs(PCIDevice *pf, GPtrArray *before)
{
    if (!pcie_sriov_num_vfs(pf)) {
        g_ptr_array_foreach(before, (GFunc)object_unref, NULL);
    }
}

/*
 * NumVFs is read-only while VF Enable is set, and keeps its value when VF
 * Enable is cleared.
 */
static void write_sriov(PCIDevice *pf, PCIConfigWriteFunc *next,
                        uint32_t addr, uint32_t val, int len)
{
    g_autoptr(GPtrArray) before = enabled_vfs(pf);
    uint16_t offset = pf->exp.sriov_cap + PCI_SRIOV_NUM_VF;
    uint16_t num_vfs = pci_get_word(pf->config + offset);

    next(pf, addr, val, len);
    if (before->len && !pcie_sriov_num_vfs(pf)) {
        pci_set_word(pf->config + offset, num_vfs);
    }
    pci_set_word(pf->wmask + offset, pcie_sriov_num_vfs(pf) ? 0 : 0xffff);
    drop_disabled_vfs(pf, before);
}

void compat_pf_config_write(PCIDevice *pf, PCIConfigWriteFunc *next,
                            uint32_t addr, uint32_t val, int len)
{
    if (ranges_overlap(addr, len, pf->exp.sriov_cap, PCI_EXT_CAP_SRIOV_SIZEOF)) {
        write_sriov(pf, next, addr, val, len);
    } else {
        next(pf, addr, val, len);
    }
}

static void reset_sriov_registers(PCIDevice *pf)
{
    uint8_t *cap = pf->config + pf->exp.sriov_cap;

    pci_set_word(cap + PCI_SRIOV_CTRL, 0);
    pci_set_word(cap + PCI_SRIOV_NUM_VF, 0);
    pci_set_word(cap + PCI_SRIOV_SYS_PGSIZE, 1);
    for (int i = 0; i < PCI_SRIOV_NUM_BARS; i++) {
        pci_set_long(cap + PCI_SRIOV_BAR + i * 4,
                     pf->exp.sriov_pf.vf_bar_type[i]);
    }
    pci_set_word(pf->wmask + pf->exp.sriov_cap + PCI_SRIOV_NUM_VF, 0xffff);
}

static void pf_reset(DeviceState *dev)
{
    PCIDevice *pf = PCI_DEVICE(dev);
    ObjectClass *parent = object_class_get_parent(object_get_class(OBJECT(dev)));
    g_autoptr(GPtrArray) before = enabled_vfs(pf);

    pcie_sriov_pf_disable_vfs(pf);
    drop_disabled_vfs(pf, before);
    reset_sriov_registers(pf);
    DEVICE_CLASS(parent)->reset(dev);
}

void compat_pf_class_init(DeviceClass *dc)
{
    dc->reset = pf_reset;
}

#endif
