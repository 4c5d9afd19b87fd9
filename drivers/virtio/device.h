/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding virtio functions, their register structures, and the legacy registers that transitional
 * VFs have in a memory BAR ('MMR'). Virtio 1.3, section 4.1; docs/mmr-device.md for MMR.
 */
#ifndef PORTOLAN_DRIVERS_VIRTIO_DEVICE_H
#define PORTOLAN_DRIVERS_VIRTIO_DEVICE_H

#include "drivers/pci/function.h"
#include "drivers/pci/sriov.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define VIRTIO_VENDOR                    0x1af4U
#define VIRTIO_FUNCTIONS_MAX             64U
#define VIRTIO_CFG_LEGACY_MMR            10U /* cfg_type in the extended capability */
#define VIRTIO_DEVICE_TRANSITIONAL_FIRST 0x1000U
#define VIRTIO_DEVICE_MODERN_FIRST       0x1040U
#define VIRTIO_DEVICE_MODERN_LAST        0x107fU
#define VIRTIO_MMR_DEVICE_FIRST          0x10f9U
#define VIRTIO_MMR_DEVICE_LAST           0x10ffU
#define VIRTIO_LEGACY_HEADER             20U /* bytes of legacy registers before any device configuration */

enum virtio_type {
    VIRTIO_TYPE_NONE = 0,
    VIRTIO_TYPE_NET = 1,
    VIRTIO_TYPE_BLOCK = 2,
    VIRTIO_TYPE_CONSOLE = 3,
    VIRTIO_TYPE_ENTROPY = 4,
    VIRTIO_TYPE_BALLOON = 5,
    VIRTIO_TYPE_SCSI = 8,
    VIRTIO_TYPE_9P = 9
};

/* A structure of registers: LENGTH bytes from OFFSET of a BAR. length 0: not there. */
struct virtio_region {
    uint32_t offset;
    uint32_t length;
    uint8_t bar; /* 0..5 */
};

/* The structures of a modern (virtio 1.x) function; the first usable capability of each kind. */
struct virtio_regions {
    struct virtio_region common;
    struct virtio_region notify;
    struct virtio_region isr;
    struct virtio_region device;
    uint32_t notify_multiplier;
};

/*
 * The two readings of the extended capability: A has the body of struct virtio_pci_cap right after
 * the VSEC header, B has the whole of it.
 */
enum virtio_mmr_layout { VIRTIO_MMR_NONE = 0, VIRTIO_MMR_A, VIRTIO_MMR_B };

struct virtio_mmr {
    struct virtio_region region;
    uint16_t capability; /* offset of the extended capability */
    uint8_t layout;      /* enum virtio_mmr_layout */
};

/* A virtio function that the scan listed. */
struct virtio_function {
    const struct pci_function *pci;
    uint16_t type;    /* virtio device id, 0: could not be told */
    uint16_t vfs_mmr; /* VFs that are on and have an MMR capability */
    bool modern;      /* device id 1040h and up */
    bool complete;    /* has the common and notify structures that a 1.x driver needs */
    bool has_sriov;   /* 'sriov' is valid */
    struct virtio_regions regions;
    struct virtio_mmr mmr; /* of this function itself */
    struct pci_sriov sriov;
    struct virtio_mmr vf_mmr; /* of the first of those VFs */
};

/* The virtio type by PCI device id (1000h..103fh, 1040h..107fh, 10f9h..10ffh), 0: none of them. */
uint16_t virtio_type_of(uint16_t pci_device);

/* The type of a function: the id's, or for transitional and MMR ids what the subsystem id says. */
uint16_t virtio_type_resolve(uint16_t pci_device, uint16_t subsystem);

/* A short name such as "net"; "type N" is left to the caller: NULL for types without a name. */
const char *virtio_type_name(uint16_t type);

/*
 * Read the vendor capabilities of BDF into *REGIONS, overwritten. Capabilities that make no sense
 * are left out with a warning. Reads configuration space.
 */
void virtio_regions_read(bdf_t bdf, struct virtio_regions *regions);

/*
 * Find the MMR capability of BDF. BAR_SIZES, of 6, are the sizes of its BARs in bytes, 0 where not
 * known; NULL: none known. NOT_FOUND without one; DEVICE, with a warning, when one is there but
 * does not fit its BAR.
 */
enum status virtio_mmr_find(bdf_t bdf, const uint64_t *bar_sizes, struct virtio_mmr *mmr);

/*
 * List the virtio functions among those of pci_scan(), with what VFs they have. NO_MEMORY when
 * there are more than fit (those that fit are listed). Boot CPU, after pci_scan(); may open buses.
 */
enum status virtio_discover(void);

uint32_t virtio_count(void);
const struct virtio_function *virtio_function_at(uint32_t index);

#endif
