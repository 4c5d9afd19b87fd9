/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/legacy/legacy_edge.h, in front of the simulated VFs. It watches the locks, too. */
#include "vmm/legacy/legacy_edge.h"

#include "tests/unit/legacy/fake_vf.h"
#include "vmm/host/guest_ram.h"
#include "vmm/host/time.h"

#include <string.h>

#define NS_PER_LOOK 1000000ULL
#define CONFIG_BASE 0x18U

/* ---- The edge: registers ---- */

static bool held(const struct spinlock *lock)
{
    return __atomic_load_n(&lock->next, __ATOMIC_RELAXED) !=
           __atomic_load_n(&lock->serving, __ATOMIC_RELAXED);
}

static struct fake_vf *enter_registers(const struct legacy_function *f)
{
    fake.bad_locking += !held(&f->lock);
    return fake_vf_of(f);
}

static void enter_interrupts(const struct legacy_function *f)
{
    fake.bad_locking += !held(&f->irq.lock);
}

/* From the offset in the block to that with MSI-X enabled; 14h..17h may not be reached without. */
static uint32_t normal(const struct fake_vf *vf, uint32_t offset)
{
    return vf->msix || offset < LEGACY_HEADER_INTX ? offset : offset + 4;
}

uint32_t legacy_edge_mmr_read(struct legacy_function *f, uint32_t offset, unsigned width)
{
    struct fake_vf *vf = enter_registers(f);

    vf->bad += f->setup.transport != LEGACY_TRANSPORT_MMR;
    vf->bad += offset + width > f->setup.block_length;
    return fake_device_read(vf, normal(vf, offset), width);
}

void legacy_edge_mmr_write(struct legacy_function *f, uint32_t offset, unsigned width,
                           uint32_t value)
{
    struct fake_vf *vf = enter_registers(f);

    vf->bad += f->setup.transport != LEGACY_TRANSPORT_MMR;
    vf->bad += offset + width > f->setup.block_length;
    fake_device_write(vf, normal(vf, offset), width, value);
}

static void admin_read(struct fake_vf *vf, uint32_t offset, void *result, size_t size)
{
    uint32_t value = fake_device_read(vf, offset, (unsigned)size);

    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)result)[i] = (uint8_t)(value >> 8 * i);
    }
}

static void admin_write(struct fake_vf *vf, uint32_t offset, const uint8_t *data, size_t size)
{
    uint32_t value = 0;

    for (size_t i = 8; i < size; i++) {
        value |= (uint32_t)data[i] << 8 * (i - 8);
    }
    for (size_t i = 1; i < 8; i++) {
        vf->bad += data[i] != 0;
    }
    fake_device_write(vf, offset, (unsigned)size - 8, value);
}

enum status legacy_edge_admin(struct legacy_function *f, uint16_t opcode, const void *data,
                              size_t size, void *result, size_t result_size)
{
    struct fake_vf *vf = enter_registers(f);
    unsigned bad = vf->bad;
    uint32_t base = opcode == 4 || opcode == 5 ? CONFIG_BASE : 0;

    vf->bad += f->setup.transport != LEGACY_TRANSPORT_ADMIN;
    if (vf->dead) {
        return STATUS_TIMEOUT;
    }
    if (vf->unknown) {
        return STATUS_NOT_FOUND;
    }
    switch (opcode) {
    case 2:
    case 4:
        if (size > 8 && size <= 12) {
            admin_write(vf, base + *(const uint8_t *)data, data, size);
            break;
        }
        vf->bad++;
        break;
    case 3:
    case 5:
        if (size == 8 && result_size <= 4) {
            admin_read(vf, base + *(const uint8_t *)data, result, result_size);
            break;
        }
        vf->bad++;
        break;
    case 6:
        if (vf->no_doorbell) {
            return STATUS_DEVICE;
        }
        memcpy(result, vf->notify_reply, result_size);
        break;
    default:
        vf->bad++;
        break;
    }
    return vf->bad == bad ? STATUS_OK : STATUS_DEVICE;
}

/* BAR 2 is where doorbells are: the VF's has one at 40h and the block's at 1010h. */
volatile uint16_t *legacy_edge_doorbell(struct legacy_function *f, bool owner, unsigned bar,
                                        uint64_t offset)
{
    struct fake_vf *vf = fake_vf_of(f);

    vf->bad += offset % 2 != 0 || bar > 5;
    if (vf->no_doorbell || owner || bar != 2 || (offset != 0x40 && offset != 0x1010)) {
        return NULL;
    }
    return &vf->doorbell;
}

/* ---- The edge: the function ---- */

static enum status reset_one(struct fake_vf *vf)
{
    for (unsigned i = 0; i < FAKE_ENTRIES; i++) {
        vf->bad += vf->entry[i].open;
        vf->entry[i] = (struct fake_entry){.masked = true};
    }
    vf->flrs++;
    vf->msix = false;
    vf->bus_master = false;
    vf->reset_reads = 0;
    vf->select = 0;
    fake_device_reset(vf);
    return vf->flr_fails ? STATUS_TIMEOUT : STATUS_OK;
}

void legacy_edge_flr(struct legacy_function *const *function, unsigned count, enum status *status)
{
    fake.flr_rounds++;
    for (unsigned i = 0; i < count; i++) {
        status[i] = reset_one(enter_registers(function[i]));
    }
}

void legacy_edge_bus_master(struct legacy_function *f, bool on)
{
    enter_registers(f)->bus_master = on;
}

enum status legacy_edge_msix_enable(struct legacy_function *f)
{
    enter_registers(f)->msix = true;
    return STATUS_OK;
}

enum status legacy_edge_vector_open(struct legacy_function *f, unsigned entry)
{
    struct fake_vf *vf = enter_registers(f);
    unsigned used = 0;

    for (unsigned i = 0; i < FAKE_ENTRIES; i++) {
        used += vf->entry[i].open;
    }
    if (used >= vf->vmm_vectors) {
        return STATUS_NO_MEMORY;
    }
    if (entry >= FAKE_ENTRIES || vf->entry[entry].open || !vf->msix) {
        vf->bad++;
        return STATUS_INVALID;
    }
    vf->entry[entry] = (struct fake_entry){.open = true};
    return STATUS_OK;
}

void legacy_edge_vector_close(struct legacy_function *f, unsigned entry)
{
    struct fake_vf *vf = enter_registers(f);

    vf->bad += entry >= FAKE_ENTRIES || !vf->entry[entry].open;
    vf->entry[entry] = (struct fake_entry){.masked = true};
}

/* ---- The edge: interrupts ---- */

void legacy_edge_vector_mask(struct legacy_function *f, unsigned entry, bool masked)
{
    struct fake_vf *vf = fake_vf_of(f);

    enter_interrupts(f);
    if (entry >= FAKE_ENTRIES || !vf->entry[entry].open || vf->entry[entry].masked == masked) {
        vf->bad++;
        return;
    }
    vf->entry[entry].masked = masked;
}

bool legacy_edge_msi(struct legacy_function *f, uint64_t address, uint32_t data)
{
    enter_interrupts(f);
    fake_vf_of(f)->bad += address >> 20 != 0xfee;
    fake.message[fake.messages++ % FAKE_LOG] =
        (struct fake_message){.address = address, .data = data};
    return !fake.reject_messages;
}

void legacy_edge_intx(struct legacy_function *f, bool level)
{
    unsigned n = f->setup.vf.devfn;

    enter_interrupts(f);
    fake.same_lines += fake.line[n] == level;
    __atomic_store_n(&fake.line[n], level, __ATOMIC_SEQ_CST);
    fake.rises[n] += level;
}

/* ---- The edge: the rest ---- */

bool legacy_edge_wait(struct legacy_function *function, uint64_t passed_us)
{
    fake.waits++;
    return fake.stops_at == 0 || passed_us < fake.stops_at;
}

uint8_t fake_ram[FAKE_RAM] __attribute__((aligned(4096)));

void *ram_pointer(const struct ram *ram, gpa_t at, uint64_t size)
{
    return at.raw <= FAKE_RAM && size <= FAKE_RAM - at.raw ? &fake_ram[at.raw] : NULL;
}

void ram_mark(const struct ram *ram, gpa_t at, uint64_t size)
{
    fake.marks++;
}

bool legacy_edge_port_claimed(struct legacy_set *set, uint16_t port, unsigned width)
{
    return port + width - 1U >= fake.claimed_first && port <= fake.claimed_last;
}

uint64_t time_now_ns(void)
{
    return fake.now += NS_PER_LOOK;
}
