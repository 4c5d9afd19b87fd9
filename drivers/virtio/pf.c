/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/virtio/pf.h"

#include "drivers/pci/pci_config.h"
#include "vmm/base/format.h"
#include "vmm/base/log.h"
#include "vmm/host/pool.h"

#define NET_F_MAC          (1ULL << 5) /* the device configuration begins with the MAC address */
#define NET_MAC_SIZE       6U
#define BLOCK_SECTOR_SHIFT 11U /* from sectors of 512 bytes to MiB */
#define IDENTITY_MAX       48U

enum status virtio_pf_allocate(struct virtio_dma *memory)
{
    void *va = pool_allocate(VIRTIO_ADMIN_MEMORY, PAGE_SIZE);

    if (va == NULL) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    *memory = (struct virtio_dma){.va = va, .iova = pool_hpa(va).raw, .size = VIRTIO_ADMIN_MEMORY};
    return STATUS_OK;
}

/* What tells this PF from others of its kind, for the log. */
static void identify(const struct virtio_pf *pf, uint64_t offered, char *text, size_t size)
{
    uint8_t mac[NET_MAC_SIZE];
    uint32_t sectors[2];

    text[0] = '\0';
    if (pf->function->type == VIRTIO_TYPE_NET && (offered & NET_F_MAC) != 0 &&
        virtio_transport_config(&pf->transport, 0, 1, NET_MAC_SIZE, mac) == STATUS_OK) {
        (void)format(text, size, " %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
                     mac[4], mac[5]);
    }
    if (pf->function->type == VIRTIO_TYPE_BLOCK &&
        virtio_transport_config(&pf->transport, 0, 4, 2, sectors) == STATUS_OK) {
        (void)format(text, size, " of %lu MiB",
                     ((uint64_t)sectors[1] << 32 | sectors[0]) >> BLOCK_SECTOR_SHIFT);
    }
}

static void report(const struct virtio_pf *pf)
{
    const struct virtio_transport *transport = &pf->transport;
    const char *type = virtio_type_name(pf->function->type);
    char identity[IDENTITY_MAX];

    identify(pf, virtio_transport_offered(transport), identity, sizeof(identity));
    if (pf->has_admin) {
        log_info("virtio " BDF_FORMAT ": %s PF%s is up, features %#lx, admin queue %u with %u "
                 "entries",
                 BDF_ARGS(transport->bdf), type != NULL ? type : "?", identity, transport->features,
                 pf->admin.queue.index, pf->admin.queue.size);
    } else {
        log_info("virtio " BDF_FORMAT ": %s PF%s is up, features %#lx, no admin queue",
                 BDF_ARGS(transport->bdf), type != NULL ? type : "?", identity,
                 transport->features);
    }
}

/* From reset to DRIVER_OK. Virtio 1.3, section 3.1.1. */
static enum status bring_up(struct virtio_pf *pf, const struct virtio_dma *memory)
{
    /*
     * SR_IOV must be taken before VFs are switched on; a device of hardware may refuse to work
     * without the two about the pc, which ask nothing more of a driver like this (chapter 6).
     */
    uint64_t wanted = VIRTIO_F_ACCESS_PLATFORM | VIRTIO_F_ORDER_PLATFORM | VIRTIO_F_ADMIN_VQ |
                      VIRTIO_F_MIGRATION | VIRTIO_F_TRACK_ALL |
                      (pf->function->has_sriov ? VIRTIO_F_SR_IOV : 0);
    enum status status = virtio_transport_negotiate(&pf->transport, VIRTIO_F_VERSION_1, wanted);

    if (status != STATUS_OK) {
        return status;
    }
    virtio_common_write(&pf->transport, VIRTIO_COMMON_CONFIG_VECTOR, 2, VIRTIO_NO_VECTOR);
    pf->has_admin = (pf->transport.features & VIRTIO_F_ADMIN_VQ) != 0;
    if (pf->has_admin) {
        status = virtio_admin_set_up(&pf->admin, &pf->transport, memory);
    }
    return status == STATUS_OK ? virtio_transport_start(&pf->transport) : status;
}

enum status virtio_pf_start(struct virtio_pf *pf, const struct virtio_function *function,
                            const struct virtio_bar *bars, const struct virtio_dma *memory)
{
    bdf_t bdf = function->pci->bdf;
    enum status status;

    pf->function = function;
    pf->has_admin = false;
    pf->transport = (struct virtio_transport){0};
    virtio_admin_clear(&pf->admin);
    (void)pci_config_change(bdf, PCI_COMMAND, PCI_COMMAND_BUS_MASTER,
                            PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_OFF);
    status = virtio_transport_map(&pf->transport, bdf, &function->regions, bars);
    if (status != STATUS_OK) {
        return status;
    }
    status = virtio_transport_reset(&pf->transport);
    if (status != STATUS_OK) {
        virtio_transport_unmap(&pf->transport);
        return status;
    }
    /* Not before: until it was reset, the device may have been told to write anywhere. */
    (void)pci_config_change(bdf, PCI_COMMAND, 0, PCI_COMMAND_BUS_MASTER);
    status = bring_up(pf, memory);
    if (status != STATUS_OK) {
        log_warn("virtio " BDF_FORMAT ": the PF cannot be driven (%s); it is left reset, without "
                 "bus mastering",
                 BDF_ARGS(bdf), status_name(status));
        (void)virtio_pf_stop(pf);
        return status;
    }
    report(pf);
    return STATUS_OK;
}

enum status virtio_pf_stop(struct virtio_pf *pf)
{
    enum status status;

    virtio_admin_release(&pf->admin);
    status = virtio_transport_reset(&pf->transport);
    (void)pci_config_change(pf->transport.bdf, PCI_COMMAND, PCI_COMMAND_BUS_MASTER, 0);
    virtio_transport_unmap(&pf->transport);
    return status;
}
