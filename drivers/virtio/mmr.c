/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/virtio/mmr.h"

#include "drivers/pci/pci_config.h"
#include "vmm/base/little_endian.h"
#include "vmm/base/log.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/mmio.h"

/* Where the block is, by the configuration. */
static enum status place_configured(const struct mmr_place *place, const struct virtio_bar *bars,
                                    hpa_t *base, uint64_t *length)
{
    const struct virtio_bar *bar = &bars[place->bar % PCI_BARS_MAX];

    if (place->bar >= PCI_BARS_MAX || place->length < MMR_LENGTH_MIN || place->offset % 4 != 0 ||
        !range_fits(place->offset, place->length, bar->size)) {
        log_warn("virtio: [pf " BDF_FORMAT "]: mmr_bar, mmr_offset and mmr_length give %#lx bytes "
                 "at %#lx of VF BAR %u, which has %#lx bytes; at least %u bytes at a multiple of 4 "
                 "must lie in it",
                 BDF_ARGS(place->pf), place->length, place->offset, place->bar, bar->size,
                 MMR_LENGTH_MIN);
        return STATUS_NOTE(STATUS_INVALID);
    }
    *base = hpa(bar->base.raw + place->offset);
    *length = place->length;
    return STATUS_OK;
}

/* Where the block is, by the VF's capability. */
static enum status place_found(bdf_t vf, const struct virtio_bar *bars, hpa_t *base,
                               uint64_t *length)
{
    uint64_t sizes[PCI_BARS_MAX];
    struct virtio_mmr found;
    enum status status;

    for (unsigned i = 0; i < PCI_BARS_MAX; i++) {
        sizes[i] = bars[i].size;
    }
    status = virtio_mmr_find(vf, sizes, &found);
    if (status != STATUS_OK) {
        return status;
    }
    /* The search takes a BAR of size 0 for one whose size is not known: here it is no BAR. */
    if (found.region.length < MMR_LENGTH_MIN || found.region.offset % 4 != 0 ||
        !range_fits(found.region.offset, found.region.length, sizes[found.region.bar])) {
        log_warn(
            "virtio " BDF_FORMAT ": the legacy block, %u bytes at %#x of BAR %u (%#lx bytes), "
            "is too short, misaligned or not in its BAR; mmr_bar, mmr_offset and mmr_length in "
            "[pf] can say where it is",
            BDF_ARGS(vf), found.region.length, found.region.offset, found.region.bar,
            sizes[found.region.bar]);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    *base = hpa(bars[found.region.bar].base.raw + found.region.offset);
    *length = found.region.length;
    return STATUS_OK;
}

enum status mmr_open(bdf_t vf, uint16_t vf_device, const struct virtio_bar *bars,
                     const struct mmr_place *place, struct mmr *mmr)
{
    uint64_t length = 0;
    hpa_t base = hpa(0);
    uint32_t type;
    enum status status = place != NULL && place->length > 0
                             ? place_configured(place, bars, &base, &length)
                             : place_found(vf, bars, &base, &length);

    *mmr = (struct mmr){0};
    if (status != STATUS_OK) {
        return status;
    }
    type = place != NULL && place->type > 0
               ? place->type
               : virtio_type_resolve(vf_device, (uint16_t)pci_config_read(vf, PCI_SUBSYSTEM_ID, 2));
    if (type == VIRTIO_TYPE_NONE) {
        log_warn("virtio " BDF_FORMAT ": device id %#x does not tell the type of the device; "
                 "mmr_type in [pf] can",
                 BDF_ARGS(vf), vf_device);
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    *mmr = (struct mmr){.base = base,
                        .length = (uint32_t)(length < MMR_LENGTH_MAX ? length : MMR_LENGTH_MAX),
                        .type = (uint16_t)type};
    mmr->registers = map_physical(base, mmr->length, MAP_DEVICE);
    return mmr->registers != NULL ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

void mmr_close(struct mmr *mmr)
{
    if (mmr->registers != NULL) {
        map_release(mmr->registers, mmr->length);
    }
    *mmr = (struct mmr){0};
}

static bool reachable(const struct mmr *mmr, uint32_t offset, unsigned width)
{
    return offset % width == 0 && range_fits(offset, width, mmr->length);
}

uint32_t mmr_read(const struct mmr *mmr, uint32_t offset, unsigned width)
{
    return reachable(mmr, offset, width) ? mmio_read(mmr->registers + offset, width)
                                         : all_ones(width);
}

void mmr_write(const struct mmr *mmr, uint32_t offset, unsigned width, uint32_t value)
{
    if (reachable(mmr, offset, width)) {
        mmio_write(mmr->registers + offset, width, value);
    }
}
