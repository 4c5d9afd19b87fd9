/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The properties of a PF: its configuration, the faults to inject, counters.
 */
#include "device.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "hw/qdev-core.h"

typedef enum Kind { KIND_BOOL, KIND_U32, KIND_SIZE, KIND_STR } Kind;

/* FIXED properties cannot change once the device exists. */
typedef enum Access { FIXED, RUNTIME, COUNTER } Access;

typedef struct PFProperty {
    const char *name;
    Kind kind;
    Access access;
    size_t offset;
    uint32_t max;
    const char *description;
} PFProperty;

#define AT(field) offsetof(PFState, field)
#define ANY UINT32_MAX

static const PFProperty properties[] = {
    { "vfs", KIND_U32, FIXED, AT(vfs), 255,
      "TotalVFs of the SR-IOV capability" },
    { "vf-backends", KIND_STR, FIXED, AT(vf_backends), 0,
      "back ends of VF 1, 2...: names separated by ':', may be empty" },
    { "null-size", KIND_SIZE, FIXED, AT(null_size), 0,
      "size of a disk without a back end" },
    { "mmr", KIND_BOOL, FIXED, AT(mmr), 0,
      "VFs have a legacy block in a memory BAR" },
    { "mmr-bar", KIND_U32, FIXED, AT(mmr_bar), 4,
      "BAR of the legacy block: 4 (with the modern registers) or 0 (alone)" },
    { "mmr-offset", KIND_U32, FIXED, AT(mmr_offset), 0x10000000,
      "offset of the legacy block in its BAR" },
    { "vsec-layout", KIND_STR, FIXED, AT(vsec_layout), 0,
      "layout of the VSEC: A or B" },
    { "vsec-id", KIND_U32, FIXED, AT(vsec_id), 0xffff, "VSEC ID" },
    { "vf-queue-size", KIND_U32, FIXED, AT(vf_queue_size), 1024,
      "size of a VF's queues; 0 is QEMU's default" },
    /* 63 pairs have 128 vectors: what VF_MSIX_BAR_SIZE has place for. */
    { "vf-queues", KIND_U32, FIXED, AT(vf_queues), 63,
      "request queues, or queue pairs, of a VF" },
    { "vf-one-mac", KIND_BOOL, FIXED, AT(vf_one_mac), 0,
      "net VFs have one address, as those of one VM should" },
    { "migration", KIND_STR, FIXED, AT(migration), 0,
      "how VFs are migrated: none, 1.4 or 2021" },
    { "parts-get-limit", KIND_U32, FIXED, AT(parts_get_limit), 255,
      "virtio 1.4: resource objects to get device parts with" },
    { "parts-set-limit", KIND_U32, FIXED, AT(parts_set_limit), 255,
      "virtio 1.4: resource objects to set device parts with" },
    { "strict-lists", KIND_BOOL, FIXED, AT(strict_lists), 0,
      "lists of commands are the standard's, not what Linux needs" },
    { "list-in-flight", KIND_BOOL, FIXED, AT(list_in_flight), 0,
      "2021: requests that are held are listed in the state, not finished" },
    { "answer-at-once", KIND_BOOL, FIXED, AT(answer_at_once), 0,
      "block requests are answered before the write that notifies returns" },
    { "dirty-modes", KIND_U32, FIXED, AT(dirty_modes), 15,
      "2021: maps of dirty pages: 1, 2 push bitmap, bytemap; 4, 8 pull" },
    { "dirty-ranges", KIND_U32, FIXED, AT(dirty_ranges), 255,
      "2021: ranges that a VF can have maps of" },

    { "fault-vf", KIND_U32, RUNTIME, AT(faults.vf), 255,
      "VF number that the faults are about; 0 is every VF" },
    { "fault-all-ones", KIND_BOOL, RUNTIME, AT(faults.all_ones), 0,
      "every read of the VF gives all-ones" },
    { "fault-hold", KIND_BOOL, RUNTIME, AT(faults.hold), 0,
      "block requests are taken but not given to the back end" },
    { "fault-hold-most", KIND_U32, RUNTIME, AT(faults.hold_most), ANY,
      "how many fault-hold keeps of each VF; later ones pass them" },
    { "fault-slow-reset", KIND_U32, RUNTIME, AT(faults.slow_reset), ANY,
      "how often the legacy status reads non-zero after 0 was written" },
    { "fault-admin-count", KIND_U32, RUNTIME, AT(faults.admin_count), ANY,
      "how many administration commands fail; 0xffffffff is all" },
    { "fault-admin-skip", KIND_U32, RUNTIME, AT(faults.admin_skip), ANY,
      "of the commands that would be hit, so many are not, first" },
    { "fault-admin-opcode", KIND_U32, RUNTIME, AT(faults.admin_opcode), 0xffff,
      "opcode that fails; 0xffff is any" },
    { "fault-admin-hang", KIND_BOOL, RUNTIME, AT(faults.admin_hang), 0,
      "commands that fail never complete" },
    { "fault-admin-break", KIND_BOOL, RUNTIME, AT(faults.admin_break), 0,
      "nor does any later command: the PF needs a reset" },
    { "fault-admin-late", KIND_U32, RUNTIME, AT(faults.admin_late), ANY,
      "they are carried out, and answered so many milliseconds later" },
    { "fault-admin-short", KIND_U32, RUNTIME, AT(faults.admin_short), ANY,
      "they are carried out; so many bytes of the answer are missing" },
    { "fault-admin-corrupt", KIND_U32, RUNTIME, AT(faults.admin_corrupt), ANY,
      "they are carried out; this byte of the result, from 1, is wrong" },
    { "fault-admin-die", KIND_U32, RUNTIME, AT(faults.admin_die), 2,
      "their VF is gone from the bus: 1 before, 2 after it" },
    { "fault-admin-status", KIND_U32, RUNTIME, AT(faults.admin_status), 0xffff,
      "status of commands that fail" },
    { "fault-admin-qualifier", KIND_U32, RUNTIME, AT(faults.admin_qualifier),
      0xffff, "status qualifier of commands that fail" },

    { "admin-commands", KIND_U32, COUNTER, AT(admin_commands), 0,
      "administration commands received" },
    { "bad-accesses", KIND_U32, COUNTER, AT(bad_accesses), 0,
      "accesses to legacy blocks that were not to one register" },
    { "stray-dma", KIND_U32, COUNTER, AT(stray_dma), 0,
      "accesses to memory that VFs tried while they were stopped" },
    { "frozen-writes", KIND_U32, COUNTER, AT(frozen_writes), 0,
      "writes to registers of VFs that were frozen" },
};

static void *field_of(Object *obj, const PFProperty *p)
{
    return (char *)pf_state(obj) + p->offset;
}

static void get_property(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    const PFProperty *p = opaque;
    void *field = field_of(obj, p);
    char *empty = (char *)"";

    switch (p->kind) {
    case KIND_BOOL:
        visit_type_bool(v, name, field, errp);
        break;
    case KIND_U32:
        visit_type_uint32(v, name, field, errp);
        break;
    case KIND_SIZE:
        visit_type_size(v, name, field, errp);
        break;
    case KIND_STR:
        visit_type_str(v, name, *(char **)field ? field : &empty, errp);
        break;
    }
}

static void set_u32(Visitor *v, const char *name, const PFProperty *p,
                    uint32_t *field, Error **errp)
{
    uint32_t value;

    if (!visit_type_uint32(v, name, &value, errp)) {
        return;
    }
    if (value > p->max) {
        error_setg(errp, "%s=%" PRIu32 " is out of range: use 0 to %" PRIu32,
                   name, value, p->max);
        return;
    }
    *field = value;
}

static void set_str(Visitor *v, const char *name, char **field, Error **errp)
{
    char *value;

    if (visit_type_str(v, name, &value, errp)) {
        g_free(*field);
        *field = value;
    }
}

static void apply_faults(PCIDevice *pf)
{
    for (int i = 0; i < pcie_sriov_num_vfs(pf); i++) {
        vf_apply_faults(pcie_sriov_get_vf_at_index(pf, i));
    }
}

/* Whoever sets it says anew which VFs are gone. */
static void revive(PCIDevice *pf)
{
    for (int i = 0; i < pcie_sriov_num_vfs(pf); i++) {
        vf_state(pcie_sriov_get_vf_at_index(pf, i))->died = false;
    }
}

static void set_property(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    const PFProperty *p = opaque;
    void *field = field_of(obj, p);

    if (p->access == FIXED && DEVICE(obj)->realized) {
        error_setg(errp, "%s is fixed once the device exists: set it with "
                   "-device", name);
        return;
    }
    switch (p->kind) {
    case KIND_BOOL:
        visit_type_bool(v, name, field, errp);
        break;
    case KIND_U32:
        set_u32(v, name, p, field, errp);
        break;
    case KIND_SIZE:
        visit_type_size(v, name, field, errp);
        break;
    case KIND_STR:
        set_str(v, name, field, errp);
        break;
    }
    if (DEVICE(obj)->realized) {
        if (field == &pf_state(obj)->faults.all_ones) {
            revive(PCI_DEVICE(obj));
        }
        apply_faults(PCI_DEVICE(obj));
    }
}

void properties_add(ObjectClass *oc)
{
    static const char *const types[] = {
        [KIND_BOOL] = "bool", [KIND_U32] = "uint32",
        [KIND_SIZE] = "size", [KIND_STR] = "str",
    };

    for (int i = 0; i < ARRAY_SIZE(properties); i++) {
        const PFProperty *p = &properties[i];

        object_class_property_add(oc, p->name, types[p->kind], get_property,
                                  p->access == COUNTER ? NULL : set_property,
                                  NULL, (void *)p);
        object_class_property_set_description(oc, p->name, p->description);
    }
}
