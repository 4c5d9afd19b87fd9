/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a PF and of a VF, and what the parts of the device ask of
 * each other.
 */
#ifndef PORTOLAN_DEVICE_H
#define PORTOLAN_DEVICE_H

#include "compat.h"
#include "hw/virtio/virtio.h"
#include "hw/virtio/virtio-bus.h"
#include "hw/virtio/virtio-pci.h"
#include "dirty.h"
#include "families.h"
#include "halt.h"
#include "tap.h"

/* BARs of a VF.  QEMU's virtio-pci puts MSI-X and the modern registers there. */
#define VF_BAR_OWN          0       /* only with mmr-bar=0 */
#define VF_BAR_MSIX         1
#define VF_BAR_MODERN       4       /* 64-bit */
#define VF_MSIX_BAR_SIZE    0x1000

/* In the modern BAR, behind what QEMU's virtio-pci has there. */
#define VF_DOORBELL_OFFSET  0x4000
#define VF_FREE_OFFSET      0x5000

/* The page that holds the legacy block belongs to it alone. */
#define MMR_PAGE            0x1000

/* Extended capabilities.  What follows the last one is the caller's. */
#define EXT_CAP_ARI         0x100
#define PF_EXT_CAP_SRIOV    0x140
#define VF_EXT_CAP_VSEC     0x110

/* What goes wrong, and for whom; set while the machine runs. */
typedef struct Faults {
    uint32_t vf;                /* VF number from 1; 0 is every VF */
    bool all_ones;
    uint32_t slow_reset;        /* reads of the status before it is 0 */
    uint32_t admin_count;       /* commands still to be hit */
    uint32_t admin_skip;        /* of them, those that pass before */
    uint32_t admin_opcode;
    bool admin_hang;
    bool admin_break;
    uint32_t admin_late;        /* ms */
    uint32_t admin_short;       /* bytes missing */
    uint32_t admin_corrupt;     /* byte of the result, from 1 */
    uint32_t admin_die;
    uint32_t admin_status;
    uint32_t admin_qualifier;
    bool hold;                  /* block requests are kept from the back end */
    uint32_t hold_most;         /* of a VF; later ones pass them */
} Faults;

#define FAULT_ANY_OPCODE 0xffff

typedef struct Admin {
    uint16_t index;             /* of the queue */
    uint64_t used[2];           /* opcodes of LIST_USE, by group type */
    GPtrArray *pending;         /* commands not answered yet */
} Admin;

/* How VFs are migrated. */
typedef enum Abi {
    ABI_NONE,
    ABI_VIRTIO_1_4,
    ABI_2021,
} Abi;

/* State of a VF that is FREEZED, in the 2021 protocol. */
typedef struct Freeze {
    GByteArray *saved;
    GByteArray *restored;       /* as far as it is there */
    GByteArray *covered;        /* which bytes of it are there */
} Freeze;

/* Resource objects of virtio 1.4. */
typedef struct PartsObject {
    uint32_t id;
    uint8_t kind;               /* to get or to set */
    uint8_t vf;                 /* VF number */
} PartsObject;

typedef struct Resources {
    GArray *objects;            /* PartsObject */
    uint8_t limits[2];          /* that the driver set, by kind */
} Resources;

typedef struct PFState {
    /* properties */
    uint32_t vfs;
    char *vf_backends;
    uint64_t null_size;
    bool mmr;
    uint32_t mmr_bar;
    uint32_t mmr_offset;
    char *vsec_layout;
    uint32_t vsec_id;
    uint32_t vf_queue_size;
    uint32_t vf_queues;
    bool vf_one_mac;
    char *migration;
    uint32_t parts_get_limit;
    uint32_t parts_set_limit;
    bool strict_lists;
    bool list_in_flight;
    bool answer_at_once;
    uint32_t dirty_modes;       /* bit n is mode n + 1 */
    uint32_t dirty_ranges;      /* of a VF */
    Faults faults;
    /* counters, read as properties */
    uint32_t admin_commands;
    uint32_t bad_accesses;
    uint32_t stray_dma;
    uint32_t frozen_writes;

    char **backend;             /* of each VF; "" has none of its own */
    Abi abi;
    Admin admin;
    Resources resources;
    MemoryRegion common;
    PCIConfigWriteFunc *config_write;
} PFState;

#define VF_BARS 3

typedef struct VFState {
    MemoryRegion block;
    MemoryRegion own_bar;       /* of the block, with mmr-bar=0 */
    MemoryRegion doorbell;
    MemoryRegion dead[VF_BARS]; /* hides a BAR while the VF answers all-ones */
    bool died;                  /* by a command */
    bool is_dead;
    uint32_t reset_reads;       /* reads of the status until the reset is done */
    Tap tap;
    Halt halt;
    Dirty dirty;
    MemoryRegion guard;
    struct Image *staged;       /* takes effect when the VF is resumed */
    GArray *held;               /* requests kept from the back end */
    bool held_passed;           /* by others that came later */
    Freeze freeze;
    bool told;                  /* a status, since FLR */
    DeviceState *child;         /* the disk or the port on the VF's own bus */
    PCIConfigReadFunc *config_read;
    PCIConfigWriteFunc *config_write;
} VFState;

/* State lies behind the instance of QEMU's own type. */
static inline size_t state_offset(const Family *f)
{
    return ROUND_UP(f->parent_size, 16);
}

static inline PFState *pf_state(void *pf)
{
    return (PFState *)((char *)pf + state_offset(family_of(pf)));
}

static inline VFState *vf_state(void *vf)
{
    return (VFState *)((char *)vf + state_offset(family_of(vf)));
}

static inline PCIDevice *pf_of(PCIDevice *vf)
{
    return vf->exp.sriov_vf.pf;
}

/* VFs count from 1, as the member ids of the administration queue do. */
static inline unsigned vf_number(PCIDevice *vf)
{
    return vf->exp.sriov_vf.vf_number + 1;
}

static inline VirtIODevice *virtio_of(PCIDevice *function)
{
    return virtio_bus_get_device(&VIRTIO_PCI(function)->bus);
}

static inline ObjectClass *parent_class(PCIDevice *function)
{
    return object_class_by_name(family_of(function)->parent);
}

/* pf.c, vf.c */
void pf_class_init(ObjectClass *oc, CompatClassData data);
void pf_instance_init(Object *obj);
void pf_instance_finalize(Object *obj);
void vf_class_init(ObjectClass *oc, CompatClassData data);
uint64_t vf_mmr_bar_size(const PFState *pf);
uint64_t vf_modern_bar_size(const PFState *pf);
void vf_apply_faults(PCIDevice *vf);
void vf_follow_mse(PCIDevice *vf, bool mse);
void vf_follow_master(PCIDevice *vf);

/* properties.c */
void properties_add(ObjectClass *oc);

/* vsec.c */
bool vsec_layout_known(const char *layout);
void vsec_add(PCIDevice *vf, uint32_t length);

/* dma.c */
void dma_through_function(PCIDevice *d);
void dma_follow_bus_number(PCIDevice *d);

/* guard.c */
void guard_init(PCIDevice *vf);
void guard_exit(PCIDevice *vf);

/* common.c */
void common_init(PCIDevice *pf);

/* admin.c */
void admin_init(PCIDevice *pf);
void admin_reset(PCIDevice *pf);
void admin_exit(PCIDevice *pf);
/* VF goes: commands that are not answered yet are not about it any more. */
void admin_forget_vf(PCIDevice *vf);

#endif
