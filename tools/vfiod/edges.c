/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/legacy/legacy_edge.h over the VF, simulated or of this machine. One thread: locks are never
 * contended. */
#include "tools/vfiod/device.h"
#include "tools/vfiod/function.h"
#include "tools/vfiod/hostvf.h"

#include "drivers/virtio/admin.h"
#include "vmm/base/little_endian.h"
#include "vmm/host/guest_ram.h"
#include "vmm/legacy/legacy_edge.h"

static struct sim *sim_of(const struct legacy_function *f)
{
    (void)f; /* there is one in a process */
    return &function.sim;
}

/* Of the block: without MSI-X device configuration is 4 bytes nearer. */
static uint32_t normal(const struct sim *sim, uint32_t offset)
{
    return sim->msix || offset < LEGACY_HEADER_INTX ? offset : offset + 4;
}

uint32_t legacy_edge_mmr_read(struct legacy_function *f, uint32_t offset, unsigned width)
{
    struct sim *sim = sim_of(f);

    return function.hosted ? hostvf_read(offset, width) : sim_read(sim, normal(sim, offset), width);
}

void legacy_edge_mmr_write(struct legacy_function *f, uint32_t offset, unsigned width,
                           uint32_t value)
{
    struct sim *sim = sim_of(f);

    if (function.hosted) {
        hostvf_write(offset, width, value);
    } else {
        sim_write(sim, normal(sim, offset), width, value);
    }
}

/* docs/mmr-device.md, 9: where the area of OPCODE begins in the block; 0 beyond it: not one. */
static bool area_of(uint16_t opcode, uint32_t *first, uint32_t *end)
{
    bool config =
        opcode == VIRTIO_ADMIN_LEGACY_DEVICE_READ || opcode == VIRTIO_ADMIN_LEGACY_DEVICE_WRITE;

    *first = config ? LEGACY_HEADER_MSIX : 0;
    *end = config ? LEGACY_HEADER_MSIX + UINT8_MAX : LEGACY_HEADER_MSIX;
    return config || opcode == VIRTIO_ADMIN_LEGACY_COMMON_READ ||
           opcode == VIRTIO_ADMIN_LEGACY_COMMON_WRITE;
}

enum status legacy_edge_admin(struct legacy_function *f, uint16_t opcode, const void *data,
                              size_t size, void *result, size_t result_size)
{
    struct sim *sim = sim_of(f);
    bool write = result_size == 0;
    size_t width = write ? size - VIRTIO_LEGACY_HEADER_SIZE : result_size;
    uint32_t first, end;

    if (!area_of(opcode, &first, &end) || size < VIRTIO_LEGACY_HEADER_SIZE || width > 4) {
        return STATUS_DEVICE; /* no LEGACY_NOTIFY_INFO: a notification is a command */
    }
    first += *(const uint8_t *)data;
    if (first + width > end) {
        return STATUS_NOTE(STATUS_DEVICE);
    }
    if (write) {
        const uint8_t *value = (const uint8_t *)data + VIRTIO_LEGACY_HEADER_SIZE;

        sim_write(sim, first, (unsigned)width, (uint32_t)bytes_get(value, (unsigned)width));
    } else {
        bytes_put(result, (unsigned)width, sim_read(sim, first, (unsigned)width));
    }
    return STATUS_OK;
}

/* There is no place where a store would tell the device: notifications are register writes. */
volatile uint16_t *legacy_edge_doorbell(struct legacy_function *f, bool owner, unsigned bar,
                                        uint64_t offset)
{
    return NULL;
}

void legacy_edge_flr(struct legacy_function *const *f, unsigned count, enum status *status)
{
    for (unsigned i = 0; i < count; i++) {
        status[i] = STATUS_OK;
        if (function.hosted) {
            status[i] = hostvf_flr();
        } else {
            sim_flr(sim_of(f[i]));
        }
    }
}

void legacy_edge_bus_master(struct legacy_function *f, bool on)
{
    if (function.hosted) {
        hostvf_bus_master(on);
    } else {
        sim_of(f)->bus_master = on;
    }
}

enum status legacy_edge_msix_enable(struct legacy_function *f)
{
    if (function.hosted) {
        return hostvf_msix(true);
    }
    sim_of(f)->msix = true;
    return STATUS_OK;
}

enum status legacy_edge_vector_open(struct legacy_function *f, unsigned entry)
{
    if (function.hosted) {
        return hostvf_vector_open(entry);
    }
    sim_of(f)->entry[entry] = (struct sim_entry){.open = true};
    return STATUS_OK;
}

void legacy_edge_vector_close(struct legacy_function *f, unsigned entry)
{
    if (function.hosted) {
        hostvf_vector_close(entry);
    } else {
        sim_of(f)->entry[entry] = (struct sim_entry){.masked = true};
    }
}

void legacy_edge_vector_mask(struct legacy_function *f, unsigned entry, bool masked)
{
    if (function.hosted) {
        hostvf_vector_mask(entry, masked);
    } else {
        sim_of(f)->entry[entry].masked = masked;
    }
}

/* The data of an entry is its number: vdev_vector_wanted() wrote it. */
bool legacy_edge_msi(struct legacy_function *f, uint64_t address, uint32_t data)
{
    vfiod_vector(data);
    return true;
}

/* While it is stopped nothing of it reaches the client. */
void legacy_edge_intx(struct legacy_function *f, bool level)
{
    function.line = level;
    if (!f->irq.paused) {
        vfiod_intx(level);
    }
}

bool legacy_edge_wait(struct legacy_function *f, uint64_t passed_us)
{
    return true;
}

bool legacy_edge_port_claimed(struct legacy_set *set, uint16_t port, unsigned width)
{
    return false;
}

/* Only requests that are followed need these, and none are. */
void *ram_pointer(const struct ram *ram, gpa_t at, uint64_t size)
{
    return NULL;
}

void ram_mark(const struct ram *ram, gpa_t at, uint64_t size) {}
