/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state of VFs, through the administration queue of their PF: stop, freeze, save, restore, and
 * what they wrote to memory. One interface to both protocols of docs/migration-abi.md, and to PFs
 * that have neither. Virtio 1.4, sections 2.12.1 (device parts); section 3 of that page for 2021.
 *
 * Nothing here touches the VF itself, and nothing decides what to do next: that is vmm/migrate's.
 * A struct vf_state is used by one CPU at a time; different ones, of one PF as well, by any.
 *
 * Errors of all that sends commands, beside those that are named: those of virtio_admin_execute();
 * the log has the command, the VF and the device's words. STATE also when the PF was reset since
 * vf_state_open(). UNSUPPORTED: the PF cannot do it.
 */
#ifndef PORTOLAN_DRIVERS_VIRTIO_VF_STATE_H
#define PORTOLAN_DRIVERS_VIRTIO_VF_STATE_H

#include "drivers/virtio/pf.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"
#include "vmm/host/guest_ram.h"

/* ---- What a PF can do ---- */

enum vf_state_kind { VF_STATE_NONE, VF_STATE_PARTS, VF_STATE_2021, VF_STATE_KINDS };

/* As START_TRACK has them. */
enum vf_track_mode {
    VF_TRACK_NONE = 0,
    VF_TRACK_PUSH_BITMAP = 1,
    VF_TRACK_PUSH_BYTEMAP = 2,
    VF_TRACK_PULL_BITMAP = 3,
    VF_TRACK_PULL_BYTEMAP = 4
};

#define VF_STATE_SIZE_MAX (1U << 20) /* bytes; a device that says more is refused */

/* The same for all PFs of a kind. */
struct vf_state_facts {
    const char *name;  /* for people and for compatibility strings; no blanks */
    bool can_migrate;  /* stop, save and restore; without it a VF only runs */
    bool has_config;   /* the state has all of the device configuration */
    uint32_t size_max; /* bytes of a state */
};

const struct vf_state_facts *vf_state_facts(enum vf_state_kind kind);

/* Of one PF, as probed. Read-only outside of drivers/virtio. */
struct vf_state_pf {
    struct virtio_pf *pf;
    enum vf_state_kind kind;
    uint16_t version[3];     /* 2021: IDENTITY's major, minor, ter */
    uint64_t capabilities;   /* 1.4: ids of the device's list, bit n: id n */
    uint8_t objects[2];      /* 1.4: that may exist at once, to get and to set */
    enum vf_track_mode mode; /* pull before push, bitmap before bytemap */
    uint64_t range_pages;    /* pages of 4 KiB in one range */
    uint32_t ranges;         /* of one VF */
    uint32_t generation;     /* counts the probes */
    uint64_t ids;            /* 1.4: objects that exist, or may; atomic */
    uint16_t left[64]; /* the VF whose object of that id is to be destroyed; 0: none; atomic */
};

/* The commands that virtio_admin_use() must be told will be used, beside others. */
#define VF_STATE_COMMANDS 0x3ff80ULL /* 07h to 11h */

/*
 * Find out what PF can do, after virtio_admin_use() gave the commands USED for the SR-IOV group:
 * once after each virtio_pf_start() and VF Enable. Handles that were opened before are void. Never
 * fails: what does not work is said in the log, and is not there. No VF notices. One CPU.
 */
void vf_state_probe(struct vf_state_pf *control, struct virtio_pf *pf, uint64_t used);

/* ---- Running, stopped, frozen ---- */

/*
 * STOPPED (QUIESCED): no DMA and no interrupts; what was taken was given back, or is listed in the
 * state. FROZEN: nor does its state change; before it is asked for, the guest must be kept from the
 * registers. UNKNOWN: after vf_state_open(), and after a failure that tells nothing.
 */
enum vf_state_level { VF_STATE_RUNNING, VF_STATE_STOPPED, VF_STATE_FROZEN, VF_STATE_UNKNOWN };

/* A VF of a PF. All but 'level' is drivers/virtio's. */
struct vf_state {
    struct vf_state_pf *control;
    enum vf_state_level level; /* as of the last command that ended */
    enum vf_state_level target, next;
    bool sent; /* 'command' leads to 'next' */
    bool busy; /* between vf_state_begin() and the end */
    uint16_t member;
    uint32_t generation;
    uint32_t size;         /* of the state that is open; 0: none */
    bool size_known;       /* and not only the most that it may be */
    int16_t object;        /* 1.4: id of the resource object; -1: none */
    uint64_t tracked;      /* pages from IOVA 0 on; 0: none */
    const struct ram *ram; /* whose pages they are */
    uint64_t reported;     /* pages that the last report had */
    struct virtio_dma map; /* of the push modes */
    uint8_t data[8];       /* of 'command' */
    struct virtio_admin_command command;
};

/*
 * Make VF the handle for VF number MEMBER, from 1, of CONTROL's PF. Sends nothing. Again after each
 * vf_state_probe(), and after each FLR of the VF (its tracking has ended then).
 */
void vf_state_open(struct vf_state *vf, struct vf_state_pf *control, uint16_t member);

/*
 * Begin to bring VF to TARGET, step by step from where it is, up or down; it may be there already.
 * A set of VFs is begun all together: the device drains them at the same time. Then call
 * vf_state_done() until it says so; VF must stay where it is in memory until then. CONFLICT: it is
 * busy. UNSUPPORTED: the PF has no commands, and TARGET is not RUNNING.
 *
 * To RUNNING on the target: Bus Master, the IOMMU and MSI-X must be set, and each queue be notified
 * afterwards. What was written is taken up then.
 */
enum status vf_state_begin(struct vf_state *vf, enum vf_state_level target);

/*
 * Is it at its end? Then *STATUS is OK and 'level' the target, or *STATUS is a failure and 'level'
 * where it stayed, or UNKNOWN (TIMEOUT: until the answer comes nothing can be sent for this VF).
 * PASSED_US is how long the caller waited since the last call: time limits are sums of these. Look
 * every 100 us or so. Any CPU, no lock held.
 */
bool vf_state_done(struct vf_state *vf, uint32_t passed_us, enum status *status);

/* ---- Save and restore; VF is FROZEN, else STATE ---- */

/*
 * Open the state for reading: *SIZE is the most bytes that it may have, at most
 * VF_STATE_SIZE_MAX. vf_state_close() must follow, whatever comes between. NO_MEMORY: as many
 * are open as the PF allows ('objects'; open them one after the other).
 */
enum status vf_state_open_save(struct vf_state *vf, uint32_t *size);

/*
 * Read LENGTH bytes of the state from OFFSET on, any part in any order. *GOT are the bytes that
 * there are; fewer than LENGTH only at the end of the state. DEVICE: the answer is not whole.
 * Whether the whole makes sense is vf_state_check()'s to say.
 */
enum status vf_state_read(struct vf_state *vf, uint32_t offset, void *buffer, uint32_t length,
                          uint32_t *got);

/*
 * Write a whole state of this kind, SIZE bytes that have passed vf_state_check(). The device checks
 * it now or when the VF leaves FROZEN. INVALID: it does not fit this VF, which is as it was; after
 * any other failure only an FLR makes sure of that.
 */
enum status vf_state_write(struct vf_state *vf, const void *state, uint32_t size);

/* The end of vf_state_open_save(); harmless at any time. */
void vf_state_close(struct vf_state *vf);

/* ---- The form of a state; pure ---- */

/* One part (1.4) or field (2021). */
struct vf_state_part {
    uint32_t type;
    const char *name; /* never NULL */
    bool optional;
    uint64_t selector; /* 1.4: of the header; 2021: 0 */
    const uint8_t *value;
    uint32_t length;
};

/*
 * The part of STATE, SIZE bytes of KIND, at *AT (0: the first), which moves on. NOT_FOUND: that was
 * the last. INVALID: it is cut off.
 */
enum status vf_state_next(enum vf_state_kind kind, const void *state, uint32_t size, uint32_t *at,
                          struct vf_state_part *part);

/*
 * Do the parts of STATE add up to SIZE and come in the order of the protocol, none of them twice?
 * INVALID, with a line in the log. What the values mean is the device's to check.
 */
enum status vf_state_check(enum vf_state_kind kind, const void *state, uint32_t size);

/*
 * STATE has passed vf_state_check(): let the used index of each of its rings below QUEUES be
 * USED[queue], as it is in memory, with as many requests taken and not given back as before. Of a
 * kind without indexes it stays as it is.
 */
void vf_state_rewind(enum vf_state_kind kind, uint8_t *state, uint32_t size, const uint16_t *used,
                     unsigned queues);

/* ---- What the VF writes to memory ---- */

/* Bytes of DMA memory that vf_state_track() needs for PAGES; 0: none, the maps are pulled. */
uint64_t vf_state_map_size(const struct vf_state_pf *control, uint64_t pages);

/*
 * Note what VF writes to RAM, where IOVAs are guest addresses, from the moment that this returns.
 * MAP: as vf_state_map_size() says for the pages up to ram_end(), whole pages, mapped in the PF's
 * IOMMU domain, the device's until vf_state_untrack() is OK, or DEVICE; after any other failure of
 * either, until an FLR of the VF; else NULL. Tracking that somebody left behind is ended first.
 * RANGE: more pages than the PF can track. CONFLICT: it is tracked.
 */
enum status vf_state_track(struct vf_state *vf, const struct ram *ram,
                           const struct virtio_dma *map);

/*
 * Add to the RAM's marks what was written since the last call, and have the device forget it;
 * 'reported' pages. The last report is due when the VF is STOPPED. On failure all pages whose
 * report was not had are added.
 */
enum status vf_state_report(struct vf_state *vf);

/*
 * End it, also when the migration failed: else the next could not begin. OK when VF is not tracked.
 * DEVICE: the maps were not complete, all pages count as written.
 */
enum status vf_state_untrack(struct vf_state *vf);

#endif
