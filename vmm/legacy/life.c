/* SPDX-License-Identifier: BSD-2-Clause */
/* A VF comes to a VM, is reset with it, breaks, and leaves. */
#include "vmm/base/log.h"
#include "vmm/host/instructions.h"
#include "vmm/host/time.h"
#include "vmm/legacy/legacy_edge.h"
#include "vmm/legacy/legacy_internal.h"

#include "drivers/virtio/device.h"

#include <string.h>

_Static_assert(LEGACY_VECTORS_MAX * 16U <= LEGACY_PBA_OFFSET, "the table ends before the PBA");
_Static_assert(LEGACY_VECTORS_MAX / 8U <= LEGACY_MMIO_SIZE - LEGACY_PBA_OFFSET, "the PBA fits");
_Static_assert(LEGACY_FUNCTIONS_MAX < UINT8_MAX, "the port table holds bytes");

/* How long a device may take to reset (docs/mmr-device.md, 7). */
#define RESET_NS 1000000000ULL

#define SLOT_SHIFT 3
#define TAG_OFFSET 2U /* of the text, behind its length */

void legacy_init(struct legacy_set *set, const char *vm)
{
    *set = (struct legacy_set){.vm = vm, .ports_lock = SPINLOCK(LOCK_PORTS)};
}

void legacy_life_await(struct legacy_function *f)
{
    do {
        (void)legacy_edge_wait(f, 0);
        cpu_relax();
    } while (!spinlock_try(&f->lock));
}

void legacy_life_set_bus_master(struct legacy_function *f, bool on)
{
    f->state.bus_master = on;
    if (f->bus_master_on != on) {
        f->bus_master_on = on;
        legacy_edge_bus_master(f, on);
    }
}

/* No interrupts to the guest, none from the VF, no DMA. */
static void quiet(struct legacy_function *f)
{
    legacy_interrupt_clear(f, false);
    legacy_life_set_bus_master(f, false);
    legacy_vectors_close_all(f);
}

void legacy_life_take_off(struct legacy_function *f)
{
    __atomic_store_n(&f->doorbell, NULL, __ATOMIC_RELEASE);
    quiet(f);
}

void legacy_life_lose(struct legacy_function *f, const char *why)
{
    if (legacy_is_lost(f)) {
        return;
    }
    f->lost_master = f->state.bus_master;
    __atomic_store_n(&f->state.lost, 1, __ATOMIC_RELEASE);
    legacy_life_take_off(f);
    log_warn("VM %s: VF " BDF_FORMAT " (slot %u) %s; %s. Other VFs go on.", f->set->vm,
             BDF_ARGS(f->setup.vf), f->setup.slot, why,
             legacy_gone(f) ? "it reads all ones until the VM is reset, which tries it again"
                            : "the guest waits until its standby has taken its place");
}

/* Until the status reads 0 the device may still do DMA, which the guest does not know of. */
static void wait_for_reset(struct legacy_function *f)
{
    uint64_t start = time_now_ns();

    while (legacy_transport_read(f, LEGACY_AREA_HEADER, LEGACY_STATUS, 1) != 0) {
        uint64_t passed = time_now_ns() - start;

        if (legacy_is_lost(f)) {
            return;
        }
        if (passed > RESET_NS) {
            legacy_life_lose(f, "did not finish a reset within 1 s");
            return;
        }
        if (!legacy_edge_wait(f, passed / 1000)) {
            legacy_life_lose(f, "did not finish a reset before its VM was stopped");
            return;
        }
        cpu_relax();
    }
}

void legacy_life_reset_device(struct legacy_function *f)
{
    legacy_transport_write(f, LEGACY_AREA_HEADER, LEGACY_STATUS, 1, 0);
    wait_for_reset(f);
    if (!legacy_is_lost(f)) {
        f->state.status = 0;
        legacy_vectors_restart(f);
    }
}

/* What a network device has without registers in memory, which have a length. A field is there if
 * its feature is offered; and what is beyond them, no legacy driver can know. */
static unsigned net_config_length(struct legacy_function *f)
{
    static const struct {
        uint32_t feature;
        unsigned end;
    } fields[] = {
        {1U << 3,  12}, /* mtu */
        {1U << 22, 10}, /* max_virtqueue_pairs */
        {1U << 16, 8 }, /* status */
    };
    uint32_t features = legacy_transport_read(f, LEGACY_AREA_HEADER, LEGACY_HOST_FEATURES, 4);

    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        if (features & fields[i].feature) {
            return fields[i].end;
        }
    }
    return 6; /* mac */
}

/* Tag text beyond its length does not exist in the device. */
static unsigned config_length(struct legacy_function *f)
{
    const struct legacy_setup *setup = &f->setup;
    unsigned length = f->type->config_length;

    if (setup->transport == LEGACY_TRANSPORT_MMR &&
        setup->block_length - LEGACY_HEADER_MSIX < length) {
        length = setup->block_length - LEGACY_HEADER_MSIX;
    }
    if (setup->transport != LEGACY_TRANSPORT_MMR && f->type->type == VIRTIO_TYPE_NET) {
        length = net_config_length(f);
    }
    if (f->type->type == VIRTIO_TYPE_9P && length >= TAG_OFFSET) {
        uint32_t tag = legacy_transport_read(f, LEGACY_AREA_CONFIG, 0, 2);

        length = tag < length - TAG_OFFSET ? tag + TAG_OFFSET : length;
    }
    return length;
}

/* Bytes of I/O space for LENGTH bytes of device configuration: a power of two, 32..256. */
static uint32_t io_size(unsigned length)
{
    uint32_t size = 32;

    while (size < LEGACY_HEADER_MSIX + length) {
        size *= 2;
    }
    return size;
}

/* Everything as after power-on but the VF itself and configuration space. */
static void stop_using(struct legacy_function *f)
{
    quiet(f);
    __atomic_store_n(&f->state.lost, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&f->standby, f->setup.standby, __ATOMIC_RELEASE);
    for (unsigned entry = 0; entry < LEGACY_VECTORS_MAX; entry++) {
        f->state.table[entry] = (struct legacy_msix_entry){.control = ENTRY_MASKED};
    }
    legacy_interrupt_set_masks(f, false, false);
    __atomic_store_n(&f->irq.first_entry_isr,
                     (uint8_t)(LEGACY_ISR_CONFIG | (f->vectors > 1 ? 0 : LEGACY_ISR_QUEUE)),
                     __ATOMIC_RELEASE);
    f->command_bus_master = false;
    f->vf_msix = false;
}

/* STATUS: how the FLR went. */
static enum status start_using(struct legacy_function *f, enum status status)
{
    if (status == STATUS_OK) {
        status = legacy_edge_msix_enable(f);
        f->vf_msix = true;
    }
    if (status != STATUS_OK) {
        legacy_life_lose(f, "cannot be reset, or has no MSI-X that works");
        return STATUS_NOTE(status);
    }
    legacy_transport_find_doorbell(f);
    legacy_life_reset_device(f);
    return legacy_is_lost(f) ? STATUS_NOTE(STATUS_DEVICE) : STATUS_OK;
}

static enum status refuse(const struct legacy_set *set, const struct legacy_setup *setup,
                          enum status status, const char *why)
{
    log_warn("VM %s: VF " BDF_FORMAT " cannot be given to it: %s", set->vm, BDF_ARGS(setup->vf),
             why);
    return STATUS_NOTE(status);
}

static enum status check(const struct legacy_set *set, const struct legacy_setup *setup)
{
    if (set->count == LEGACY_FUNCTIONS_MAX) {
        return refuse(set, setup, STATUS_NO_MEMORY, "a VM has at most 16 VFs");
    }
    if (legacy_type_find(setup->type) == NULL) {
        return refuse(
            set, setup, STATUS_UNSUPPORTED,
            "its type has no legacy interface (only net, block, console, entropy, balloon, "
            "SCSI and 9P have)");
    }
    if (setup->vectors == 0) {
        return refuse(set, setup, STATUS_UNSUPPORTED, "it has no MSI-X");
    }
    if (setup->transport == LEGACY_TRANSPORT_MMR &&
        (setup->block_length < LEGACY_HEADER_MSIX || setup->block_offset % 4 != 0)) {
        return refuse(set, setup, STATUS_INVALID,
                      "its block of legacy registers is shorter than 24 bytes or not aligned to 4");
    }
    return STATUS_OK;
}

/* The registers lock is held. */
static enum status take_over(struct legacy_set *set, struct legacy_function *f)
{
    enum status status;

    stop_using(f);
    legacy_edge_flr(&f, 1, &status);
    status = start_using(f, status);
    if (status != STATUS_OK) {
        return status;
    }
    f->config_length = (uint8_t)config_length(f);
    f->io_size = io_size(f->config_length);
    legacy_config_reset(f, set->count);
    return legacy_is_lost(f) ? STATUS_NOTE(STATUS_DEVICE) : STATUS_OK;
}

enum status legacy_add(struct legacy_set *set, struct legacy_function *f,
                       const struct legacy_setup *setup)
{
    enum status status = check(set, setup);

    if (status != STATUS_OK) {
        return status;
    }
    memset(f, 0, sizeof(*f));
    spinlock_init(&f->lock, LOCK_REGISTERS);
    spinlock_init(&f->irq.lock, LOCK_INTERRUPTS);
    f->set = set;
    f->irq.paused = set->hidden;
    f->setup = *setup;
    f->type = legacy_type_find(setup->type);
    f->vectors = setup->vectors < LEGACY_VECTORS_MAX ? setup->vectors : LEGACY_VECTORS_MAX;
    f->devfn = (uint8_t)(setup->slot << SLOT_SHIFT);
    spinlock_acquire(&f->lock);
    status = take_over(set, f);
    spinlock_release(&f->lock);
    if (status == STATUS_OK) {
        set->function[set->count++] = f;
        legacy_settle(set);
    }
    return status;
}

/* The registers lock of every function, in the set's order; no vCPU runs, so nobody else has one.
 */
static void lock_all(struct legacy_set *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        spinlock_acquire(&set->function[i]->lock);
    }
}

static void unlock_all(struct legacy_set *set)
{
    for (unsigned i = set->count; i > 0; i--) {
        spinlock_release(&set->function[i - 1]->lock);
    }
}

void legacy_silence(struct legacy_set *set)
{
    lock_all(set);
    for (unsigned i = 0; i < set->count; i++) {
        quiet(set->function[i]);
    }
    unlock_all(set);
}

void legacy_reset(struct legacy_set *set)
{
    enum status status[LEGACY_FUNCTIONS_MAX];

    lock_all(set);
    for (unsigned i = 0; i < set->count; i++) {
        stop_using(set->function[i]);
    }
    legacy_edge_flr(set->function, set->count, status);
    for (unsigned i = 0; i < set->count; i++) {
        /* If it fails it has warned; the function then reads all ones. */
        (void)start_using(set->function[i], status[i]);
        legacy_config_reset(set->function[i], i);
    }
    unlock_all(set);
    legacy_settle(set);
}

void legacy_release(struct legacy_set *set)
{
    enum status status[LEGACY_FUNCTIONS_MAX];

    lock_all(set);
    for (unsigned i = 0; i < set->count; i++) {
        __atomic_store_n(&set->function[i]->doorbell, NULL, __ATOMIC_RELEASE);
        legacy_forsake(set->function[i]); /* CPU 0 looks at it no more */
        quiet(set->function[i]);
    }
    legacy_edge_flr(set->function, set->count, status);
    unlock_all(set);
    for (unsigned i = 0; i < set->count; i++) {
        if (status[i] != STATUS_OK) {
            log_warn("VM %s: VF " BDF_FORMAT " cannot be reset; do not give it to another VM",
                     set->vm, BDF_ARGS(set->function[i]->setup.vf));
        }
    }
    legacy_init(set, set->vm);
}
