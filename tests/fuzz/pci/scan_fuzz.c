/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Enumeration and virtio discovery over functions whose configuration space is fuzzed. The input
 * is cut into functions: bus, devfn, and bytes for the header, the capability areas and the first
 * extended capabilities, in that order.
 */
#include "drivers/pci/scan.h"
#include "drivers/virtio/device.h"
#include "tests/unit/fakes/pci_space.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 256U /* of the input, for each function */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Put the chunk's bytes where they matter: header and capabilities, and from 100h on. */
static void function_add(const uint8_t *chunk)
{
    bdf_t bdf = {.bus = chunk[0] % 8, .devfn = chunk[1] % 64};
    uint8_t *config;

    if (fake_pci_config(bdf) != NULL) {
        return;
    }
    config = fake_pci_add(bdf, 0x1af4, (uint16_t)(0x1000 + chunk[2]));
    memcpy(config + 4, chunk + 4, 124);
    memcpy(config + 0x100, chunk + 128, 128);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fake_pci_reset();
    for (size_t at = 0; at + CHUNK <= size; at += CHUNK) {
        function_add(data + at);
    }
    (void)pci_scan();
    (void)virtio_discover();
    for (uint32_t i = 0; i < pci_count(); i++) {
        const struct pci_function *function = pci_function_at(i);
        struct pci_bar bars[PCI_BARS_MAX];
        struct pci_msix msix;

        pci_bars_read(function->bdf, PCI_BAR0, PCI_BARS_MAX, bars);
        if (function->msix != 0) {
            (void)pci_msix_read(function->bdf, function->msix, &msix);
        }
        if (pci_find(function->bdf) != function) {
            abort(); /* the list is not sorted, or has someone twice */
        }
    }
    for (uint32_t i = 0; i < virtio_count(); i++) {
        const struct virtio_function *function = virtio_function_at(i);

        if (function->regions.common.bar >= PCI_BARS_MAX ||
            (function->mmr.layout != VIRTIO_MMR_NONE &&
             function->mmr.region.length < VIRTIO_LEGACY_HEADER)) {
            abort();
        }
    }
    return 0;
}
