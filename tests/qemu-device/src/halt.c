/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a VF stops: it takes no more buffers, gives back those that it has,
 * and then has neither DMA nor interrupts.  Doorbells are remembered.
 */
#include "admin.h"
#include "backend.h"
#include "hold.h"
#include "staged.h"
#include "hw/pci/msix.h"
#include "hw/virtio/virtio-net.h"
#include "qemu/range.h"

#define MSIX_CONTROL    (PCI_MSIX_FLAGS + 1)    /* the byte with the bits */

static Halt *halt_of(PCIDevice *vf)
{
    return &vf_state(vf)->halt;
}

/* Devices of QEMU stop their timers and bottom halves with the machine. */
static void run_device(PCIDevice *vf, bool run)
{
    VirtIODevice *vdev = virtio_of(vf);

    vdev->vm_running = run && runstate_is_running();
    virtio_set_status(vdev, vdev->status);
}

/* The machine goes on: QEMU's device does so, too, unless it is told again. */
static void machine_changed(void *opaque, bool running, RunState state)
{
    if (running && halt_of(opaque)->phase != PHASE_RUNNING) {
        run_device(opaque, false);
    }
}

#define AFTER_DEVICES 1000

/* Doorbells */

static void remember_doorbell(Halt *h, unsigned queue)
{
    if (queue < TAP_QUEUES) {
        h->doorbells[queue / 64] |= 1ULL << queue % 64;
    }
}

bool halt_keeps_doorbell(PCIDevice *vf, unsigned queue)
{
    Halt *h = halt_of(vf);

    if (h->phase == PHASE_RUNNING) {
        return false;
    }
    remember_doorbell(h, queue);
    return true;
}

/* What was rung for and not taken yet is as good as rung for now. */
static void remember_unserved(PCIDevice *vf)
{
    VirtIODevice *vdev = virtio_of(vf);

    for (int n = 0; n < virtio_get_num_queues(vdev); n++) {
        hwaddr avail = virtio_queue_get_avail_addr(vdev, n);

        if (avail && tap_avail_index(vf, avail) !=
                     virtio_queue_get_last_avail_idx(vdev, n)) {
            remember_doorbell(halt_of(vf), n);
        }
    }
}

static void ring_doorbells(PCIDevice *vf)
{
    Halt *h = halt_of(vf);

    for (unsigned n = 0; n < TAP_QUEUES; n++) {
        if (h->doorbells[n / 64] >> n % 64 & 1) {
            virtio_queue_notify(virtio_of(vf), n);
        }
    }
    memset(h->doorbells, 0, sizeof(h->doorbells));
}

/* Interrupts */

/* As masked as by the Function Mask: what comes up is pending. */
static void mask_interrupts(PCIDevice *vf)
{
    vf->msix_function_masked = true;
}

static void unmask_interrupts(PCIDevice *vf)
{
    msix_write_config(vf, vf->msix_cap + MSIX_CONTROL, 0, 1);
}

static void write_control_masked(PCIDevice *vf, uint32_t addr, uint32_t val,
                                 int len)
{
    unsigned control = vf->msix_cap + MSIX_CONTROL;
    uint8_t mask = PCI_MSIX_FLAGS_MASKALL >> 8;
    unsigned shift = 8 * (control - addr);
    bool wanted = val >> shift & mask;

    vf_state(vf)->config_write(vf, addr, val | (uint32_t)mask << shift, len);
    if (!wanted) {
        vf->config[control] &= ~mask;
    }
    mask_interrupts(vf);
}

void halt_config_write(PCIDevice *vf, uint32_t addr, uint32_t val, int len)
{
    if (halt_of(vf)->phase >= PHASE_HALTED && msix_present(vf) &&
        range_covers_byte(addr, len, vf->msix_cap + MSIX_CONTROL)) {
        write_control_masked(vf, addr, val, len);
    } else {
        vf_state(vf)->config_write(vf, addr, val, len);
    }
}

/* QEMU notifies of no change of configuration while a device is disabled. */
static void notify_of_changes(PCIDevice *vf)
{
    VirtIODevice *vdev = virtio_of(vf);

    if (vdev->generation != halt_of(vf)->generation) {
        virtio_notify_config(vdev);
    }
}

/* Frames */

/*
 * What a peer has not accepted yet is lost, as networks lose frames.  QEMU
 * takes the next frame when it gives one back, unless DRIVER_OK is clear.
 */
static void finish_frames(PCIDevice *vf)
{
    VirtIODevice *vdev = virtio_of(vf);
    NICPeers *peers = &VIRTIO_NET(vdev)->nic_conf.peers;
    uint8_t status = vdev->status;

    vdev->status &= ~VIRTIO_CONFIG_S_DRIVER_OK;
    for (int i = 0; i < peers->queues; i++) {
        qemu_flush_or_purge_queued_packets(peers->ncs[i], true);
    }
    vdev->status = status;
}

static void accept_frames(PCIDevice *vf)
{
    VirtIONet *net = VIRTIO_NET(virtio_of(vf));

    for (int i = 0; i < net->nic_conf.peers.queues; i++) {
        qemu_flush_queued_packets(qemu_get_subqueue(net->nic, i));
    }
}

static bool is_net(PCIDevice *vf)
{
    return family_of(vf)->virtio_id == VIRTIO_ID_NET;
}

/* QEMU keeps what comes while a device has no driver, and a reset does not
 * make it forget.  The next driver must not get it. */
static void forget_frames(PCIDevice *vf)
{
    NICPeers *peers = &VIRTIO_NET(virtio_of(vf))->nic_conf.peers;

    for (int i = 0; i < peers->queues; i++) {
        qemu_purge_queued_packets(peers->ncs[i]);
    }
}

/* Phases */

static void halted(PCIDevice *vf)
{
    Halt *h = halt_of(vf);
    Command *c = h->waiter;

    h->phase = PHASE_HALTED;
    h->generation = virtio_of(vf)->generation;
    mask_interrupts(vf);
    halt_close(vf);
    h->waiter = NULL;
    if (c) {
        admin_complete(c);
    }
}

static void look_whether_idle(void *opaque)
{
    PCIDevice *vf = opaque;

    if (halt_of(vf)->phase == PHASE_DRAINING && !halt_of(vf)->resetting &&
        tap_idle(vf)) {
        halted(vf);
    }
}

/* It has yet to finish doing so, and to send the interrupt. */
void halt_given_back(PCIDevice *vf)
{
    if (halt_of(vf)->phase == PHASE_DRAINING) {
        qemu_bh_schedule(halt_of(vf)->bh);
    }
}

void halt_begin(PCIDevice *vf, Command *c)
{
    Halt *h = halt_of(vf);

    if (!h->bh) {
        h->bh = qemu_bh_new(look_whether_idle, vf);
        h->machine = qemu_add_vm_change_state_handler_prio(
            machine_changed, vf, AFTER_DEVICES);
    }
    if (family_of(vf)->backend->forget) {
        family_of(vf)->backend->forget(vf);
    }
    if (!pf_state(pf_of(vf))->list_in_flight) {
        hold_release(vf);
    }
    remember_unserved(vf);
    tap_close_gate(vf);
    h->phase = PHASE_DRAINING;
    run_device(vf, false);
    if (is_net(vf)) {
        finish_frames(vf);
        /* What comes from here on is for the driver that it will have. */
        if (!(virtio_of(vf)->status & VIRTIO_CONFIG_S_DRIVER_OK)) {
            forget_frames(vf);
        }
    }
    if (tap_idle(vf)) {
        halted(vf);     /* at once, so that runs repeat */
    } else {
        h->waiter = c;
        c->later = true;
    }
}

void halt_freeze(PCIDevice *vf, bool freeze)
{
    halt_of(vf)->phase = freeze ? PHASE_FROZEN : PHASE_HALTED;
}

void halt_open(PCIDevice *vf)
{
    vf_state(vf)->tap.closed = false;
    vf_follow_master(vf);
}

void halt_close(PCIDevice *vf)
{
    vf_state(vf)->tap.closed = true;
    vf_follow_master(vf);
}

void halt_end(PCIDevice *vf)
{
    Halt *h = halt_of(vf);

    h->phase = PHASE_RUNNING;
    tap_open_gate(vf);
    halt_open(vf);
    unmask_interrupts(vf);
    run_device(vf, true);
    staged_replay(vf);
    hold_follow(vf);
    ring_doorbells(vf);
    if (is_net(vf)) {
        accept_frames(vf);
    }
    notify_of_changes(vf);
}

static void fail_waiter(Halt *h, void (*fail)(Command *c))
{
    Command *c = h->waiter;

    h->waiter = NULL;
    if (c) {
        fail(c);
        admin_complete(c);
    }
}

void halt_die(PCIDevice *vf)
{
    fail_waiter(halt_of(vf), admin_fail_dead);
}

/* A command that meets a reset takes effect after it. */
void halt_begin_reset(PCIDevice *vf)
{
    hold_drop(vf);
    halt_of(vf)->resetting = true;
}

void halt_end_reset(PCIDevice *vf)
{
    Halt *h = halt_of(vf);
    Command *c = h->waiter;

    h->resetting = false;
    if (is_net(vf)) {
        forget_frames(vf);
    }
    if (h->phase == PHASE_RUNNING) {
        return;
    }
    h->waiter = NULL;
    memset(h->doorbells, 0, sizeof(h->doorbells));
    halt_end(vf);
    if (c) {
        halt_begin(vf, c);
    }
    if (c && h->phase == PHASE_HALTED) {
        admin_complete(c);
    }
}

void halt_forget(Command *c)
{
    if (c->vf && halt_of(c->vf)->waiter == c) {
        halt_of(c->vf)->waiter = NULL;
    }
}

void halt_exit(PCIDevice *vf)
{
    Halt *h = halt_of(vf);

    fail_waiter(h, admin_fail_gone);
    hold_exit(vf);
    if (h->bh) {
        qemu_bh_delete(h->bh);
        qemu_del_vm_change_state_handler(h->machine);
        h->bh = NULL;
    }
}

/* QEMU's device forgets on a reset that it is disabled. */
void halt_after_write(PCIDevice *vf)
{
    Phase phase = halt_of(vf)->phase;

    if (!vf_state(vf)->tap.present) {
        return;
    }
    tap_queue_changed(vf);
    if (phase >= PHASE_HALTED) {
        vf_follow_master(vf);
    } else if (phase == PHASE_DRAINING) {
        qemu_bh_schedule(halt_of(vf)->bh);
    }
}

bool halt_drops_write(PCIDevice *vf)
{
    if (halt_of(vf)->phase != PHASE_FROZEN) {
        return false;
    }
    pf_state(pf_of(vf))->frozen_writes++;
    return true;
}
