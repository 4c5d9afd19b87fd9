/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PF: QEMU's virtio-pci device with SR-IOV, ARI and an administration
 * queue.
 */
#include "device.h"
#include "backend.h"
#include "gaps.h"
#include "qapi/error.h"
#include "qemu/range.h"
#include "qemu/units.h"
#include "hw/pci/pci_bus.h"

#define DEFAULT_VFS         4
#define DEFAULT_NULL_SIZE   (64 * MiB)
#define DEFAULT_VSEC_ID     0x4d52
#define DEFAULT_OBJECTS     255
#define DEFAULT_DIRTY_RANGES 4

/* Device ids of VFs without a legacy block: the modern ones. */
#define MODERN_DEVICE_ID_BASE 0x1040

typedef struct VFBar {
    int number;
    uint8_t type;
    uint64_t size;
} VFBar;

static bool check_block_place(const PFState *s, Error **errp)
{
    uint32_t first = s->mmr_bar == VF_BAR_MODERN ? VF_FREE_OFFSET : 0;

    if (s->mmr_bar != VF_BAR_OWN && s->mmr_bar != VF_BAR_MODERN) {
        error_setg(errp, "mmr-bar=%u is in use: choose 0 or 4", s->mmr_bar);
        return false;
    }
    if (s->mmr_offset < first || s->mmr_offset % 4) {
        error_setg(errp, "mmr-offset=0x%x in BAR %u: choose a multiple of 4, "
                   "0x%x or more", s->mmr_offset, s->mmr_bar, first);
        return false;
    }
    return true;
}

static bool check_bus(PCIDevice *d, Error **errp)
{
    PCIBus *bus = pci_get_bus(d);
    const char *type = object_get_typename(OBJECT(d));
    uint32_t vfs = pf_state(d)->vfs;

    if (!pci_bus_is_express(bus) || pci_bus_is_root(bus)) {
        error_setg(errp, "%s needs a PCIe link of its own: add a "
                   "pcie-root-port and give its id with bus=", type);
        return false;
    }
    if (d->devfn + vfs >= PCI_DEVFN_MAX) {
        error_setg(errp, "vfs=%u and function number %d of the PF make more "
                   "than 256 functions: lower vfs", vfs, d->devfn);
        return false;
    }
    return true;
}

static bool check_properties(PCIDevice *d, Error **errp)
{
    const Family *f = family_of(d);
    const PFState *s = pf_state(d);

    if (!vsec_layout_known(s->vsec_layout)) {
        error_setg(errp, "vsec-layout=%s is not known: choose A or B",
                   s->vsec_layout);
        return false;
    }
    if (s->vf_queue_size && !f->queue_size_property) {
        error_setg(errp, "%s has queues of a fixed size: leave vf-queue-size "
                   "out", f->pf_type);
        return false;
    }
    if (s->vf_queues == 0) {
        error_setg(errp, "vf-queues=0: use 1 or more");
        return false;
    }
    return check_block_place(s, errp) && check_bus(d, errp);
}

static bool choose_abi(PFState *s, Error **errp)
{
    static const char *const names[] = {
        [ABI_NONE] = "none", [ABI_VIRTIO_1_4] = "1.4", [ABI_2021] = "2021",
    };

    for (int i = 0; i < ARRAY_SIZE(names); i++) {
        if (!strcmp(s->migration, names[i])) {
            s->abi = i;
            return true;
        }
    }
    error_setg(errp, "migration=%s is not known: choose none, 1.4 or 2021",
               s->migration);
    return false;
}

static bool split_backends(PFState *s, Error **errp)
{
    unsigned n;

    s->backend = g_strsplit(s->vf_backends ? s->vf_backends : "", ":", -1);
    n = g_strv_length(s->backend);
    if (n > s->vfs) {
        error_setg(errp, "vf-backends names %u back ends for vfs=%u: raise "
                   "vfs or shorten the list", n, s->vfs);
        return false;
    }
    s->backend = g_renew(char *, s->backend, s->vfs + 1);
    for (; n < s->vfs; n++) {
        s->backend[n] = g_strdup("");
    }
    s->backend[n] = NULL;
    return true;
}

static void init_vf_bars(PCIDevice *d, void (*init)(PCIDevice *, const VFBar *))
{
    const PFState *s = pf_state(d);
    const VFBar bars[] = {
        { VF_BAR_MSIX, PCI_BASE_ADDRESS_SPACE_MEMORY, VF_MSIX_BAR_SIZE },
        { VF_BAR_MODERN, PCI_BASE_ADDRESS_MEM_TYPE_64 |
                         PCI_BASE_ADDRESS_MEM_PREFETCH,
          vf_modern_bar_size(s) },
        { VF_BAR_OWN, PCI_BASE_ADDRESS_SPACE_MEMORY, vf_mmr_bar_size(s) },
    };
    int n = s->mmr && s->mmr_bar == VF_BAR_OWN ? 3 : 2;

    for (int i = 0; i < n; i++) {
        init(d, &bars[i]);
    }
}

/* QEMU 10.0 makes the VFs before their BARs can be declared. */
static void announce_bar(PCIDevice *d, const VFBar *bar)
{
    d->exp.sriov_pf.vf_bar_type[bar->number] = bar->type;
}

static void declare_bar(PCIDevice *d, const VFBar *bar)
{
    pcie_sriov_pf_init_vf_bar(d, bar->number, bar->type, bar->size);
}

static bool init_sriov(PCIDevice *d, Error **errp)
{
    const Family *f = family_of(d);
    PFState *s = pf_state(d);
    uint16_t device_id = s->mmr ? f->mmr_device_id
                                : MODERN_DEVICE_ID_BASE + f->virtio_id;

    init_vf_bars(d, announce_bar);
    compat_ari_init(d, EXT_CAP_ARI);
    if (!compat_sriov_init(d, PF_EXT_CAP_SRIOV, f->vf_type, device_id, s->vfs,
                           errp)) {
        return false;
    }
    init_vf_bars(d, declare_bar);
    return true;
}

static void vfs_follow_mse(PCIDevice *d)
{
    uint8_t *sriov = d->config + d->exp.sriov_cap;
    bool mse = pci_get_word(sriov + PCI_SRIOV_CTRL) & PCI_SRIOV_CTRL_MSE;

    for (int i = 0; i < pcie_sriov_num_vfs(d); i++) {
        vf_follow_mse(pcie_sriov_get_vf_at_index(d, i), mse);
    }
}

/* In one transaction: QEMU would render all of memory anew for each VF. */
static void pf_config_write(PCIDevice *d, uint32_t addr, uint32_t val, int len)
{
    memory_region_transaction_begin();
    compat_pf_config_write(d, pf_state(d)->config_write, addr, val, len);
    dma_follow_bus_number(d);
    if (ranges_overlap(addr, len, d->exp.sriov_cap, PCI_EXT_CAP_SRIOV_SIZEOF)) {
        vfs_follow_mse(d);
    }
    memory_region_transaction_commit();
}

static void pf_realize(PCIDevice *d, Error **errp)
{
    ERRP_GUARD();
    const Family *f = family_of(d);
    PFState *s = pf_state(d);

    if (!check_properties(d, errp) || !choose_abi(s, errp) || !split_backends(s, errp) ||
        (f->backend->attach && !f->backend->attach(d, "", errp))) {
        return;
    }
    PCI_DEVICE_CLASS(parent_class(d))->realize(d, errp);
    if (*errp) {
        return;
    }
    admin_init(d);
    common_init(d);
    dma_through_function(d);
    s->config_write = d->config_write;
    d->config_write = pf_config_write;
    memory_region_transaction_begin();
    init_sriov(d, errp);
    memory_region_transaction_commit();
}

static void pf_exit(PCIDevice *d)
{
    if (d->exp.sriov_cap) {
        pcie_sriov_pf_exit(d);
    }
    memory_region_del_subregion(&VIRTIO_PCI(d)->modern_bar,
                                &pf_state(d)->common);
    admin_exit(d);
    PCI_DEVICE_CLASS(parent_class(d))->exit(d);
}

void pf_instance_init(Object *obj)
{
    const Family *f = family_of(obj);
    PFState *s = pf_state(obj);
    VirtIOPCIProxy *proxy = VIRTIO_PCI(obj);

    s->vfs = DEFAULT_VFS;
    s->null_size = DEFAULT_NULL_SIZE;
    s->mmr = true;
    s->mmr_bar = VF_BAR_MODERN;
    s->mmr_offset = VF_FREE_OFFSET;
    s->vsec_layout = g_strdup("A");
    s->vsec_id = DEFAULT_VSEC_ID;
    s->vf_queues = 1;
    s->migration = g_strdup("none");
    s->dirty_modes = 15;
    s->dirty_ranges = DEFAULT_DIRTY_RANGES;
    s->parts_get_limit = s->parts_set_limit = DEFAULT_OBJECTS;
    s->resources.objects = g_array_new(false, false, sizeof(PartsObject));
    s->faults.admin_opcode = FAULT_ANY_OPCODE;
    s->faults.admin_status = 22;
    s->faults.hold_most = UINT32_MAX;
    s->faults.admin_qualifier = 1;

    proxy->disable_legacy = ON_OFF_AUTO_ON;
    proxy->nvectors = f->pf_vectors;
    /* A doorbell does its work before it returns, so that runs repeat. */
    proxy->flags &= ~VIRTIO_PCI_FLAG_USE_IOEVENTFD;
    if (f->queues_property) {
        object_property_set_uint(obj, f->queues_property, 1, &error_abort);
    }
}

void pf_instance_finalize(Object *obj)
{
    PFState *s = pf_state(obj);

    g_strfreev(s->backend);
    g_free(s->vf_backends);
    g_free(s->vsec_layout);
    g_free(s->migration);
    g_array_free(s->resources.objects, true);
}

void pf_class_init(ObjectClass *oc, CompatClassData data)
{
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(oc);

    pc->realize = pf_realize;
    pc->exit = pf_exit;
    pc->romfile = NULL;
    compat_pf_class_init(DEVICE_CLASS(oc));
    properties_add(oc);
    gaps_add_property(oc);
}
