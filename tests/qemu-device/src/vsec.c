/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The extended capability that says where the legacy block is.  The proposal
 * does not fix its payload; both readings of it are offered.
 */
#include "device.h"

#define VIRTIO_PCI_CAP_LEGACY_MMR 10

typedef struct Layout {
    const char *name;
    uint16_t length;        /* of the whole capability */
    uint8_t cfg_type;       /* offsets of the fields in it */
    uint8_t bar;
    uint8_t offset;
    uint8_t block_length;
} Layout;

static const Layout layouts[] = {
    /* the fields of virtio_pci_cap, packed behind the header */
    { "A", 20, 8, 9, 12, 16 },
    /* a whole virtio_pci_cap behind the header */
    { "B", 24, 11, 12, 16, 20 },
};

static const Layout *find_layout(const char *name)
{
    for (int i = 0; i < ARRAY_SIZE(layouts); i++) {
        if (!strcmp(layouts[i].name, name)) {
            return &layouts[i];
        }
    }
    return NULL;
}

bool vsec_layout_known(const char *layout)
{
    return find_layout(layout) != NULL;
}

void vsec_add(PCIDevice *vf, uint32_t length)
{
    PFState *pf = pf_state(pf_of(vf));
    const Layout *l = find_layout(pf->vsec_layout);
    uint8_t *cap = vf->config + VF_EXT_CAP_VSEC;

    pcie_add_capability(vf, PCI_EXT_CAP_ID_VNDR, 1, VF_EXT_CAP_VSEC, l->length);
    pci_set_long(cap + 4, pf->vsec_id | 1 << 16 | l->length << 20);
    pci_set_byte(cap + l->cfg_type, VIRTIO_PCI_CAP_LEGACY_MMR);
    pci_set_byte(cap + l->bar, pf->mmr_bar);
    pci_set_long(cap + l->offset, pf->mmr_offset);
    pci_set_long(cap + l->block_length, length);
}
