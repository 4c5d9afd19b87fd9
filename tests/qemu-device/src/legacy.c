/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The legacy registers of a VF.
 *
 * QEMU's virtio-pci implements them (proxy->bar), and is more lenient than a
 * device may be expected to be: it decodes the start offset and ignores the
 * width.  Here an access that is not one whole register is refused and
 * counted, so that a driver which needs leniency is found out.
 */
#include "legacy.h"
#include "hold.h"
#include "staged.h"
#include "qemu/log.h"
#include "hw/pci/msix.h"
#include "standard-headers/linux/virtio_pci.h"

static const Field header[] = {
    { VIRTIO_PCI_HOST_FEATURES, 4, 4 },
    { VIRTIO_PCI_GUEST_FEATURES, 4, 4 },
    { VIRTIO_PCI_QUEUE_PFN, 4, 4 },
    { VIRTIO_PCI_QUEUE_NUM, 2, 2 },
    { VIRTIO_PCI_QUEUE_SEL, 2, 2 },
    { VIRTIO_PCI_QUEUE_NOTIFY, 2, 2 },
    { VIRTIO_PCI_STATUS, 1, 1 },
    { VIRTIO_PCI_ISR, 1, 1 },
    /* only while MSI-X is enabled */
    { VIRTIO_MSI_CONFIG_VECTOR, 2, 2 },
    { VIRTIO_MSI_QUEUE_VECTOR, 2, 2 },
};

static unsigned header_size(PCIDevice *vf)
{
    return VIRTIO_PCI_CONFIG_OFF(msix_enabled(vf));
}

const Field *legacy_field(PCIDevice *vf, bool config, unsigned offset)
{
    const Family *f = family_of(vf);
    const Field *field;

    if (!config) {
        return offset < header_size(vf)
               ? field_at(header, ARRAY_SIZE(header), offset) : NULL;
    }
    field = field_at(f->config, f->config_fields, offset);
    if (field && field->offset + field->size > virtio_of(vf)->config_len) {
        return NULL;
    }
    return field;
}

static uint64_t qemu_read(PCIDevice *vf, hwaddr addr, unsigned size)
{
    uint64_t value = 0;

    memory_region_dispatch_read(&VIRTIO_PCI(vf)->bar, addr, &value,
                                size_memop(size) | MO_LE,
                                MEMTXATTRS_UNSPECIFIED);
    return value;
}

static void qemu_write(PCIDevice *vf, hwaddr addr, uint64_t value,
                       unsigned size)
{
    memory_region_dispatch_write(&VIRTIO_PCI(vf)->bar, addr, value,
                                 size_memop(size) | MO_LE,
                                 MEMTXATTRS_UNSPECIFIED);
}

static uint32_t slow_reset_reads(PCIDevice *vf)
{
    Faults *faults = &pf_state(pf_of(vf))->faults;

    return !faults->vf || faults->vf == vf_number(vf) ? faults->slow_reset : 0;
}

/*
 * QEMU turns bus mastering on when the status becomes ACKNOWLEDGE | DRIVER,
 * for guests that never do it.  No VF does that: the host owns the bit.
 */
static void write_status(PCIDevice *vf, uint8_t status)
{
    VFState *s = vf_state(vf);
    bool master = vf->config[PCI_COMMAND] & PCI_COMMAND_MASTER;

    if (status == 0) {
        staged_forget(vf);
    }
    if (status == 0 && virtio_of(vf)->status != 0) {
        s->reset_reads = slow_reset_reads(vf);
        if (s->reset_reads) {
            return;
        }
        hold_drop(vf);
    }
    qemu_write(vf, VIRTIO_PCI_STATUS, status, 1);
    if (!master) {
        pci_default_write_config(vf, PCI_COMMAND,
                                 vf->config[PCI_COMMAND] & ~PCI_COMMAND_MASTER,
                                 1);
    }
}

/* A slow reset: the device runs on until the status was read often enough. */
static uint8_t read_status(PCIDevice *vf)
{
    VFState *s = vf_state(vf);
    uint8_t status = virtio_of(vf)->status;

    if (s->reset_reads && --s->reset_reads == 0) {
        hold_drop(vf);
        qemu_write(vf, VIRTIO_PCI_STATUS, 0, 1);
    }
    return status;
}

/* Another kind of reset may have come first and have done the work. */
static bool reset_pending(PCIDevice *vf)
{
    VFState *s = vf_state(vf);

    if (virtio_of(vf)->status == 0) {
        s->reset_reads = 0;
    }
    return s->reset_reads != 0;
}

void legacy_reset(PCIDevice *vf)
{
    vf_state(vf)->reset_reads = 0;
    hold_drop(vf);
    qemu_write(vf, VIRTIO_PCI_STATUS, 0, 1);
}

static uint64_t read_register(PCIDevice *vf, hwaddr addr, unsigned size)
{
    reset_pending(vf);
    /* Reading it would clear it. */
    if (addr == VIRTIO_PCI_ISR && vf_state(vf)->halt.phase == PHASE_FROZEN) {
        return virtio_of(vf)->isr;
    }
    return addr == VIRTIO_PCI_STATUS ? read_status(vf)
                                     : qemu_read(vf, addr, size);
}

static void write_register(PCIDevice *vf, hwaddr addr, uint64_t value,
                           unsigned size)
{
    if (reset_pending(vf) || halt_drops_write(vf) ||
        (addr == VIRTIO_PCI_QUEUE_NOTIFY && halt_keeps_doorbell(vf, value))) {
        return;
    }
    if (addr == VIRTIO_PCI_STATUS) {
        write_status(vf, value);
    } else {
        if (addr == VIRTIO_PCI_QUEUE_PFN && !value) {
            hold_drop(vf);  /* QEMU resets the device */
        }
        qemu_write(vf, addr, value, size);
    }
    halt_after_write(vf);
}

/*
 * Header registers are accessed whole.  Device configuration is accessed
 * aligned, up to four bytes at a time, inside one field.
 */
static bool access_allowed(PCIDevice *vf, hwaddr addr, unsigned size)
{
    bool config = addr >= header_size(vf);
    unsigned offset = addr - (config ? header_size(vf) : 0);
    const Field *field = legacy_field(vf, config, offset);

    if (!field) {
        return false;
    }
    if (!config) {
        return offset == field->offset && size == field->size;
    }
    return size <= 4 && offset % size == 0 &&
           offset + size <= field->offset + field->size;
}

static bool check_access(PCIDevice *vf, const char *what, hwaddr addr,
                         unsigned size)
{
    if (access_allowed(vf, addr, size)) {
        return true;
    }
    pf_state(pf_of(vf))->bad_accesses++;
    qemu_log_mask(LOG_GUEST_ERROR, "%s %u: %s of %u bytes at legacy offset "
                  "0x%" HWADDR_PRIx " is not an access to one register\n",
                  vf->name, vf_number(vf), what, size, addr);
    return false;
}

static uint64_t block_read(void *opaque, hwaddr addr, unsigned size)
{
    PCIDevice *vf = opaque;

    return check_access(vf, "read", addr, size)
           ? read_register(vf, addr, size) : UINT64_MAX;
}

static void block_write(void *opaque, hwaddr addr, uint64_t value,
                        unsigned size)
{
    PCIDevice *vf = opaque;

    if (check_access(vf, "write", addr, size)) {
        write_register(vf, addr, value, size);
    }
}

/* Every width and alignment gets here, to be refused here. */
const MemoryRegionOps legacy_block_ops = {
    .read = block_read,
    .write = block_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

static uint64_t doorbell_read(void *opaque, hwaddr addr, unsigned size)
{
    return 0;
}

static void doorbell_write(void *opaque, hwaddr addr, uint64_t value,
                           unsigned size)
{
    if (addr == 0 && size == 2) {
        write_register(opaque, VIRTIO_PCI_QUEUE_NOTIFY, value, size);
    }
}

const MemoryRegionOps legacy_doorbell_ops = {
    .read = doorbell_read,
    .write = doorbell_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
};

static void read_whole(PCIDevice *vf, const Field *field, uint8_t *bytes)
{
    uint32_t value = read_register(vf, field->offset, field->size);

    stl_le_p(bytes, value);
}

void legacy_read_bytes(PCIDevice *vf, bool config, const Field *field,
                       unsigned offset, uint8_t *to, unsigned n)
{
    uint8_t bytes[4];

    if (!config) {
        read_whole(vf, field, bytes);
        memcpy(to, bytes + offset - field->offset, n);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        to[i] = read_register(vf, header_size(vf) + offset + i, 1);
    }
}

void legacy_write_bytes(PCIDevice *vf, bool config, const Field *field,
                        unsigned offset, const uint8_t *from, unsigned n)
{
    uint8_t bytes[4];

    if (!config) {
        if (n < field->size) {
            read_whole(vf, field, bytes);
        }
        memcpy(bytes + offset - field->offset, from, n);
        write_register(vf, field->offset,
                       field->size == 4 ? (uint32_t)ldl_le_p(bytes) :
                       field->size == 2 ? lduw_le_p(bytes) : bytes[0],
                       field->size);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        write_register(vf, header_size(vf) + offset + i, from[i], 1);
    }
}
