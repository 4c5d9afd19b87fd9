/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VF: QEMU's transitional virtio-pci device, its legacy registers in a
 * memory BAR, and the configuration space that PCIe gives a VF.
 */
#include "legacy.h"
#include "backend.h"
#include "hold.h"
#include "protocol_2021.h"
#include "staged.h"
#include "qapi/error.h"
#include "qemu/range.h"

uint64_t vf_mmr_bar_size(const PFState *pf)
{
    return pow2ceil((uint64_t)pf->mmr_offset + MMR_PAGE);
}

uint64_t vf_modern_bar_size(const PFState *pf)
{
    return pf->mmr && pf->mmr_bar == VF_BAR_MODERN
           ? vf_mmr_bar_size(pf) : pow2ceil(VF_FREE_OFFSET);
}

static const char *backend_name(PCIDevice *vf)
{
    return pf_state(pf_of(vf))->backend[vf_number(vf) - 1];
}

/* Configuration space */

/*
 * Only Bus Master is the VF's own in Command; PCIe has no INTx for a VF.
 * QEMU decides by these bits, so they are hidden, not cleared.
 */
static uint8_t visible_byte(uint32_t addr, uint8_t value)
{
    switch (addr) {
    case PCI_VENDOR_ID ... PCI_DEVICE_ID + 1:
        return 0xff;    /* the PF's capability has them */
    case PCI_COMMAND:
        return value & PCI_COMMAND_MASTER;
    case PCI_STATUS:
        return value & ~PCI_STATUS_INTERRUPT;
    case PCI_COMMAND + 1:
    case PCI_HEADER_TYPE:
    case PCI_INTERRUPT_PIN:
        return 0;
    default:
        return value;
    }
}

static uint32_t vf_config_read(PCIDevice *d, uint32_t addr, int len)
{
    VFState *s = vf_state(d);
    uint8_t bytes[4];

    if (s->is_dead) {
        return UINT32_MAX >> (32 - 8 * len);
    }
    stl_le_p(bytes, s->config_read(d, addr, len));
    for (int i = 0; i < len; i++) {
        bytes[i] = visible_byte(addr + i, bytes[i]);
    }
    return ldl_le_p(bytes);
}

static bool is_flr(PCIDevice *d, uint32_t addr, uint32_t val, int len)
{
    unsigned high = d->exp.exp_cap + PCI_EXP_DEVCTL + 1;

    return range_covers_byte(addr, len, high) &&
           val >> 8 * (high - addr) & PCI_EXP_DEVCTL_BCR_FLR >> 8;
}

static void vf_config_write(PCIDevice *d, uint32_t addr, uint32_t val, int len)
{
    bool flr = is_flr(d, addr, val, len);

    if (vf_state(d)->is_dead) {
        return;
    }
    if (flr) {
        halt_begin_reset(d);
    }
    if (!(d->config[PCI_COMMAND] & PCI_COMMAND_MASTER) && addr == PCI_COMMAND &&
        val & PCI_COMMAND_MASTER) {
        tap_settle(d);
    }
    halt_config_write(d, addr, val, len);
    dma_follow_bus_number(d);
    if (flr) {
        staged_forget(d);
        old_reset(d);
        halt_end_reset(d);
    }
    halt_after_write(d);
}

static void limit_config_space(PCIDevice *d)
{
    VFState *s = vf_state(d);
    uint8_t *express = d->wmask + d->exp.exp_cap;

    memset(d->wmask, 0, PCI_CONFIG_HEADER_SIZE);
    pci_set_word(d->wmask + PCI_COMMAND, PCI_COMMAND_MASTER);
    pci_set_word(d->config + PCI_COMMAND, PCI_COMMAND_INTX_DISABLE);
    /* The PF has the controls of the link and of errors. */
    pci_set_word(express + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
    pci_set_word(express + PCI_EXP_DEVCTL2, 0);
    pci_set_word(express + PCI_EXP_LNKCTL, 0);

    s->config_read = d->config_read;
    d->config_read = vf_config_read;
    s->config_write = d->config_write;
    d->config_write = vf_config_write;
}

void vf_follow_mse(PCIDevice *vf, bool mse)
{
    uint16_t command = pci_get_word(vf->config + PCI_COMMAND);

    command &= ~PCI_COMMAND_MEMORY;
    command |= mse ? PCI_COMMAND_MEMORY : 0;
    pci_set_word(vf->config + PCI_COMMAND, command);
    /* QEMU maps the BARs anew on a write of Command, whatever is written. */
    pci_default_write_config(vf, PCI_COMMAND, command, 2);
}

/* BARs */

static uint64_t dead_read(void *opaque, hwaddr addr, unsigned size)
{
    return UINT64_MAX;
}

static void dead_write(void *opaque, hwaddr addr, uint64_t value,
                       unsigned size)
{
}

static const MemoryRegionOps dead_ops = {
    .read = dead_read,
    .write = dead_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
};

static void add_bar(PCIDevice *d, int number, MemoryRegion *bar,
                    MemoryRegion *dead)
{
    memory_region_init_io(dead, OBJECT(d), &dead_ops, d, "portolan-dead",
                          memory_region_size(bar));
    memory_region_set_enabled(dead, false);
    memory_region_add_subregion_overlap(bar, 0, dead, 100);
    pcie_sriov_vf_register_bar(d, number, bar);
}

static void add_registers(PCIDevice *d, MemoryRegion *region,
                          const MemoryRegionOps *ops, const char *name,
                          uint64_t size, MemoryRegion *bar, uint64_t offset)
{
    memory_region_init_io(region, OBJECT(d), ops, d, name, size);
    /* It passes accesses on to another region of the same device. */
    region->disable_reentrancy_guard = true;
    memory_region_add_subregion(bar, offset, region);
}

/* virtio-pci registered ordinary BARs; a VF has none. */
static void forget_ordinary_bars(PCIDevice *d)
{
    for (int i = 0; i < PCI_ROM_SLOT; i++) {
        memset(&d->io_regions[i], 0, sizeof(d->io_regions[i]));
        d->io_regions[i].addr = PCI_BAR_UNMAPPED;
    }
    memset(d->config + PCI_BASE_ADDRESS_0, 0, 4 * 6);
    memset(d->cmask + PCI_BASE_ADDRESS_0, 0, 4 * 6);
}

static MemoryRegion *block_bar(PCIDevice *d)
{
    bool own = pf_state(pf_of(d))->mmr_bar == VF_BAR_OWN;

    return own ? &vf_state(d)->own_bar : &VIRTIO_PCI(d)->modern_bar;
}

static bool migrates(PCIDevice *vf)
{
    return pf_state(pf_of(vf))->abi != ABI_NONE;
}

static void add_block(PCIDevice *d)
{
    PFState *pf = pf_state(pf_of(d));
    VFState *s = vf_state(d);
    uint64_t length = memory_region_size(&VIRTIO_PCI(d)->bar);

    if (pf->mmr_bar == VF_BAR_OWN) {
        memory_region_init(&s->own_bar, OBJECT(d), "portolan-mmr",
                           vf_mmr_bar_size(pf));
        add_bar(d, VF_BAR_OWN, &s->own_bar, &s->dead[2]);
    }
    add_registers(d, &s->block, &legacy_block_ops, "portolan-legacy", length,
                  block_bar(d), pf->mmr_offset);
    vsec_add(d, length);
}

/* Without a legacy block the VF is a modern device to all but the PF. */
static void look_modern(PCIDevice *d)
{
    pci_config_set_revision(d->config, 1);
    pci_set_word(d->config + PCI_SUBSYSTEM_ID, PCI_SUBDEVICE_ID_QEMU);
}

static void arrange_bars(PCIDevice *d)
{
    VirtIOPCIProxy *proxy = VIRTIO_PCI(d);
    PFState *pf = pf_state(pf_of(d));
    VFState *s = vf_state(d);

    forget_ordinary_bars(d);
    memory_region_set_size(&proxy->modern_bar, vf_modern_bar_size(pf));
    add_bar(d, VF_BAR_MODERN, &proxy->modern_bar, &s->dead[0]);
    add_bar(d, VF_BAR_MSIX, &d->msix_exclusive_bar, &s->dead[1]);
    add_registers(d, &s->doorbell, &legacy_doorbell_ops, "portolan-doorbell",
                  2, &proxy->modern_bar, VF_DOORBELL_OFFSET);
    if (pf->mmr) {
        add_block(d);
    } else {
        look_modern(d);
    }
    if (migrates(d)) {
        guard_init(d);
        tap_init(d);
    }
    hold_init(d);
}

/* A subregion holds a reference to its owner: the VF would never go. */
static void remove_regions(PCIDevice *d)
{
    VirtIOPCIProxy *proxy = VIRTIO_PCI(d);
    PFState *pf = pf_state(pf_of(d));
    VFState *s = vf_state(d);

    memory_region_del_subregion(&proxy->modern_bar, &s->dead[0]);
    memory_region_del_subregion(&d->msix_exclusive_bar, &s->dead[1]);
    memory_region_del_subregion(&proxy->modern_bar, &s->doorbell);
    if (pf->mmr) {
        memory_region_del_subregion(block_bar(d), &s->block);
    }
    if (pf->mmr && pf->mmr_bar == VF_BAR_OWN) {
        memory_region_del_subregion(&s->own_bar, &s->dead[2]);
    }
    if (migrates(d)) {
        guard_exit(d);
        tap_exit(d);
    }
}

/* What is gone from the bus, or stopped, starts no DMA. */
void vf_follow_master(PCIDevice *vf)
{
    VFState *s = vf_state(vf);

    virtio_set_disabled(virtio_of(vf), s->is_dead || s->tap.closed ||
                        !(vf->config[PCI_COMMAND] & PCI_COMMAND_MASTER));
}

void vf_apply_faults(PCIDevice *vf)
{
    const Faults *f = &pf_state(pf_of(vf))->faults;
    VFState *s = vf_state(vf);
    bool was_dead = s->is_dead;

    s->is_dead = s->died ||
                 (f->all_ones && (!f->vf || f->vf == vf_number(vf)));
    memory_region_transaction_begin();
    for (int i = 0; i < VF_BARS; i++) {
        if (memory_region_is_mapped(&s->dead[i])) {
            memory_region_set_enabled(&s->dead[i], s->is_dead);
        }
    }
    memory_region_transaction_commit();
    if (was_dead) {
        tap_settle(vf);
    }
    vf_follow_master(vf);
    if (s->is_dead) {
        halt_die(vf);
    }
    hold_follow(vf);
}

/* Life */

static bool configure(PCIDevice *d, Error **errp)
{
    const Family *f = family_of(d);
    PFState *pf = pf_state(pf_of(d));
    VirtIOPCIProxy *proxy = VIRTIO_PCI(d);

    proxy->disable_legacy = ON_OFF_AUTO_OFF;
    proxy->flags &= ~VIRTIO_PCI_FLAG_USE_IOEVENTFD;
    if (pf->vf_queue_size &&
        !object_property_set_uint(OBJECT(d), f->queue_size_property,
                                  pf->vf_queue_size, errp)) {
        return false;
    }
    if (f->queues_property &&
        !object_property_set_uint(OBJECT(d), f->queues_property,
                                  pf->vf_queues, errp)) {
        return false;
    }
    return !f->backend->attach || f->backend->attach(d, backend_name(d), errp);
}

/*
 * virtio-pci registers ordinary BARs, which QEMU refuses to a VF: it does
 * not see one meanwhile.
 */
static void realize_virtio(PCIDevice *d, Error **errp)
{
    PCIDevice *pf = pf_of(d);

    d->exp.sriov_vf.pf = NULL;
    PCI_DEVICE_CLASS(parent_class(d))->realize(d, errp);
    d->exp.sriov_vf.pf = pf;
}

static void populate(PCIDevice *d, Error **errp)
{
    const BackendOps *backend = family_of(d)->backend;

    if (backend->populate) {
        vf_state(d)->child = backend->populate(d, backend_name(d), errp);
    }
}

static void vf_realize(PCIDevice *d, Error **errp)
{
    ERRP_GUARD();

    if (!pf_of(d)) {
        error_setg(errp, "%s comes with its PF: add a %s instead",
                   family_of(d)->vf_type, family_of(d)->pf_type);
        return;
    }
    if (!configure(d, errp)) {
        return;
    }
    realize_virtio(d, errp);
    if (*errp) {
        return;
    }
    compat_ari_init(d, EXT_CAP_ARI);
    arrange_bars(d);
    limit_config_space(d);
    dma_through_function(d);
    dma_follow_bus_number(d);
    populate(d, errp);
    vf_apply_faults(d);
}

static void vf_exit(PCIDevice *d)
{
    const BackendOps *backend = family_of(d)->backend;

    halt_exit(d);
    admin_forget_vf(d);
    staged_forget(d);
    old_reset(d);
    if (backend->release) {
        backend->release(d, backend_name(d));
    }
    remove_regions(d);
    PCI_DEVICE_CLASS(parent_class(d))->exit(d);
}

void vf_class_init(ObjectClass *oc, CompatClassData data)
{
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(oc);

    pc->realize = vf_realize;
    pc->exit = vf_exit;
    pc->romfile = NULL;
    DEVICE_CLASS(oc)->user_creatable = false;
}
