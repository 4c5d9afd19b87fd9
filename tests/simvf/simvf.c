/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VF for machines that have none: in place of vmm/vf's binding to hardware, for tests on engines
 * without PCI Express. Every VM gets one, a disk in the VMM's memory with its legacy registers
 * (docs/mmr-device.md). All above is the product's: the guest's exits, vmm/legacy, the notify path,
 * vectors and interrupts of the host's CPUs.
 *
 * Its doorbell is a word of memory. The machine's last CPU, which no VM may have, is the device
 * (with one CPU it has registers only): it serves what is in the queue and sends the VMM's vector
 * to the CPU that the entry was opened for, as a message would.
 */
#include "tests/simvf/sim.h"

#include "drivers/iommu/iommu_edge.h"
#include "vmm/base/log.h"
#include "vmm/host/apic.h"
#include "vmm/host/instructions.h"
#include "vmm/host/smp.h"
#include "vmm/host/vector.h"
#include "vmm/legacy/legacy_edge.h"
#include "vmm/pc/pc_edge.h"
#include "vmm/pc/ports.h"

#define BLOCK_TYPE   2U
#define SLOT         4U
#define PIN_A        1U
#define BLOCK_LENGTH (LEGACY_HEADER_MSIX + 60U)
#define BELL_SILENT  0xffffU

static struct sim sims[CONFIG_VMS_MAX];

static struct sim *sim_of(struct legacy_function *function)
{
    return (struct sim *)((uintptr_t)function - offsetof(struct sim, vf.function));
}

/* ---- Registers; the registers lock is held ---- */

static void device_reset(struct sim *sim)
{
    sim->status = 0;
    sim->select = 0;
    sim->guest_features = 0;
    sim->config_vector = LEGACY_NO_VECTOR;
    sim->queue = (struct sim_queue){.vector = LEGACY_NO_VECTOR};
    __atomic_store_n(&sim->bell, BELL_SILENT, __ATOMIC_RELAXED);
}

static uint32_t config_read(uint32_t offset)
{
    const uint64_t sectors = SIM_SECTORS;

    return offset < sizeof(sectors) ? (uint32_t)(sectors >> 8 * offset) : 0;
}

uint32_t legacy_edge_mmr_read(struct legacy_function *function, uint32_t offset, unsigned width)
{
    const struct sim *sim = sim_of(function);
    bool ours = sim->select == 0;

    switch (offset) {
    case LEGACY_GUEST_FEATURES:
        return sim->guest_features;
    case LEGACY_QUEUE_PFN:
        return ours ? sim->queue.pfn : 0;
    case LEGACY_QUEUE_SIZE:
        return ours ? SIM_QUEUE_SIZE : 0;
    case LEGACY_QUEUE_SELECT:
        return sim->select;
    case LEGACY_STATUS:
        return sim->status;
    case LEGACY_CONFIG_VECTOR:
        return sim->config_vector;
    case LEGACY_QUEUE_VECTOR:
        return ours ? sim->queue.vector : LEGACY_NO_VECTOR;
    default:
        return offset >= LEGACY_HEADER_MSIX ? config_read(offset - LEGACY_HEADER_MSIX) : 0;
    }
}

static uint16_t vector_kept(uint32_t value)
{
    return (uint16_t)(value < SIM_ENTRIES ? value : LEGACY_NO_VECTOR);
}

void legacy_edge_mmr_write(struct legacy_function *function, uint32_t offset, unsigned width,
                           uint32_t value)
{
    struct sim *sim = sim_of(function);

    switch (offset) {
    case LEGACY_GUEST_FEATURES:
        sim->guest_features = value;
        break;
    case LEGACY_QUEUE_PFN:
        sim->queue.pfn = sim->select == 0 ? value : sim->queue.pfn;
        sim->queue.seen = 0;
        break;
    case LEGACY_QUEUE_SELECT:
        sim->select = (uint16_t)value;
        break;
    case LEGACY_QUEUE_NOTIFY:
        __atomic_store_n(&sim->bell, (uint16_t)value, __ATOMIC_RELEASE);
        break;
    case LEGACY_STATUS:
        sim->status = (uint8_t)value;
        if (value == 0) {
            device_reset(sim);
        }
        break;
    case LEGACY_CONFIG_VECTOR:
        sim->config_vector = vector_kept(value);
        break;
    case LEGACY_QUEUE_VECTOR:
        if (sim->select == 0) {
            sim->queue.vector = vector_kept(value);
        }
        break;
    default:
        break;
    }
}

enum status legacy_edge_admin(struct legacy_function *function, uint16_t opcode, const void *data,
                              size_t size, void *result, size_t result_size)
{
    return STATUS_UNSUPPORTED;
}

volatile uint16_t *legacy_edge_doorbell(struct legacy_function *function, bool owner, unsigned bar,
                                        uint64_t offset)
{
    return owner || bar != 0 || offset != LEGACY_QUEUE_NOTIFY ? NULL : &sim_of(function)->bell;
}

/* ---- The function, and its messages ---- */

bool legacy_edge_wait(struct legacy_function *function, uint64_t passed_us)
{
    return !pc_edge_is_stopping(sim_of(function)->set->owner.pc);
}

void legacy_edge_flr(struct legacy_function *const *function, unsigned count, enum status *status)
{
    for (unsigned i = 0; i < count; i++) {
        struct sim *sim = sim_of(function[i]);

        device_reset(sim);
        sim->master = sim->msix = false;
        status[i] = STATUS_OK;
    }
}

void legacy_edge_bus_master(struct legacy_function *function, bool on)
{
    sim_of(function)->master = on;
}

enum status legacy_edge_msix_enable(struct legacy_function *function)
{
    sim_of(function)->msix = true;
    return STATUS_OK;
}

static void handle(void *argument, unsigned entry)
{
    legacy_interrupt(argument, entry);
}

enum status legacy_edge_vector_open(struct legacy_function *function, unsigned entry)
{
    struct sim *sim = sim_of(function);
    struct sim_entry *to = &sim->entry[entry];
    struct cpu *cpu = cpu_by_index(sim->set->owner.config->cpus.cpu[0]);
    enum status status = vector_allocate(cpu, handle, function, entry, &to->vector);

    if (status == STATUS_OK) {
        __atomic_store_n(&to->state, 0, __ATOMIC_RELAXED);
        to->cpu = cpu;
    }
    return status;
}

void legacy_edge_vector_close(struct legacy_function *function, unsigned entry)
{
    struct sim_entry *to = &sim_of(function)->entry[entry];

    if (to->cpu) {
        vector_free(to->cpu, to->vector);
        to->cpu = NULL;
    }
}

/* What comes while it is masked is pending, and sent when it no longer is. */
static void send(struct sim_entry *entry)
{
    if (entry->cpu &&
        !(__atomic_fetch_or(&entry->state, SIM_PENDING, __ATOMIC_SEQ_CST) & SIM_MASKED)) {
        __atomic_fetch_and(&entry->state, ~SIM_PENDING, __ATOMIC_SEQ_CST);
        apic_send(entry->cpu->apic_id, entry->vector);
    }
}

void legacy_edge_vector_mask(struct legacy_function *function, unsigned entry, bool masked)
{
    struct sim_entry *to = &sim_of(function)->entry[entry];

    if (masked) {
        __atomic_fetch_or(&to->state, SIM_MASKED, __ATOMIC_SEQ_CST);
    } else if (__atomic_exchange_n(&to->state, 0, __ATOMIC_SEQ_CST) & SIM_PENDING) {
        send(to);
    }
}

bool legacy_edge_msi(struct legacy_function *function, uint64_t address, uint32_t data)
{
    return pc_msi(sim_of(function)->set->owner.pc, address, data);
}

void legacy_edge_intx(struct legacy_function *function, bool level)
{
    pc_set_intx(sim_of(function)->set->owner.pc, function->devfn, PIN_A, level);
}

bool legacy_edge_port_claimed(struct legacy_set *set, uint16_t port, unsigned width)
{
    const struct vf_set *vfs =
        (const struct vf_set *)((uintptr_t)set - offsetof(struct vf_set, legacy));

    return ports_claim(vfs->owner.pc, port, width);
}

/* ---- vf.h ---- */

static void device_look(struct sim *sim)
{
    if (!__atomic_load_n(&sim->live, __ATOMIC_ACQUIRE) ||
        __atomic_load_n(&sim->bell, __ATOMIC_ACQUIRE) == BELL_SILENT ||
        !spinlock_try(&sim->vf.function.lock)) {
        return;
    }
    bool rung = __atomic_exchange_n(&sim->bell, BELL_SILENT, __ATOMIC_ACQUIRE) != BELL_SILENT;

    if (rung && sim->master && sim_queue_serve(sim) && sim->msix &&
        sim->queue.vector < SIM_ENTRIES) {
        send(&sim->entry[sim->queue.vector]);
    }
    spinlock_release(&sim->vf.function.lock);
}

static void device_run(void *argument)
{
    for (unsigned i = 0;; i = (i + 1) % CONFIG_VMS_MAX) {
        device_look(&sims[i]);
        cpu_relax();
    }
}

void vf_poll_faults(void) {}

void iommu_edge_fault(const struct iommu_fault *fault) {}

enum status vf_create(struct vf_set *set, const struct vf_owner *owner)
{
    struct sim *sim = &sims[owner->index];
    int8_t line = owner->pc->pirq_gsi[pci_host_pirq(SLOT << 3, PIN_A)];

    *set = (struct vf_set){.owner = *owner, .fault_log.vm = owner->config->name};
    legacy_init(&set->legacy, owner->config->name);
    sim->set = sim->vf.set = set;
    set->vf[set->count++] = &sim->vf;
    sim->vf.setup = (struct legacy_setup){
        .type = BLOCK_TYPE,
        .vectors = SIM_ENTRIES,
        .slot = SLOT,
        .interrupt_line = line < 0 ? UINT8_MAX : (uint8_t)line,
        .ram = owner->ram,
        .transport = LEGACY_TRANSPORT_MMR,
        .block_length = BLOCK_LENGTH,
    };
    log_info("VM '%s': slot %u is a simulated disk", owner->config->name, SLOT);
    return owner->index == 0 && cpu_count() > 1
               ? smp_call(cpu_by_index(cpu_count() - 1), device_run, NULL)
               : STATUS_OK;
}

enum status vf_bind(struct vf_set *set)
{
    struct sim *sim = &sims[set->owner.index];
    enum status status = legacy_add(&set->legacy, &sim->vf.function, &sim->vf.setup);

    __atomic_store_n(&sim->live, status == STATUS_OK, __ATOMIC_RELEASE);
    return status;
}

void vf_destroy(struct vf_set *set) {}

void vf_unbind(struct vf_set *set)
{
    __atomic_store_n(&sims[set->owner.index].live, false, __ATOMIC_RELEASE);
    legacy_release(&set->legacy);
}

/* ---- What the rest of vmm/vf and vmm/migrate ask of VFs: there are none ---- */

struct vf_set *vf_set_at(unsigned index)
{
    return NULL;
}

enum status vf_find(struct vf *vf)
{
    return STATUS_UNSUPPORTED;
}

void vf_find_again(struct vf_set *set, const struct pf *pf) {}

void vf_note_release(struct vf_set *set, enum status status) {}

void vf_is_new(struct vf *vf) {}

void vf_reset_each(struct vf *const *vf, uint32_t count, enum status *status)
{
    for (uint32_t i = 0; i < count; i++) {
        status[i] = STATUS_UNSUPPORTED;
    }
}
