/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vfiod/fake_vfio.h"

#include "tools/vfiod/vfio.h"

#include <stdlib.h>
#include <string.h>

#define CONFIG      7U /* region, as Linux numbers them */
#define CONFIG_SIZE 256U
#define IO_SIZE     64U
#define COMMAND_IO  1U

enum { VENDOR = 0, DEVICE = 2, COMMAND = 4, BAR0 = 0x10, SUBSYSTEM = 0x2e };
enum { PFN = 8, SIZE = 12, SELECT = 14, NOTIFY = 16, STATUS = 18, CONFIG_VECTOR = 20, VECTOR = 22 };

struct fake_vfio fake_vfio;
static uint16_t vector[FAKE_VFIO_QUEUES], config_vector;

void fake_vfio_start(uint32_t queues, uint32_t vectors)
{
    fake_vfio = (struct fake_vfio){
        .queues = queues, .vectors = vectors, .vendor = 0x1af4, .refuses = FAKE_VFIO_NOTHING};
    memset(fake_vfio.event, 0xff, sizeof(fake_vfio.event));
}

bool vfio_open(struct vfio *v, const char *bdf)
{
    *v = (struct vfio){.container = -1, .group = -1, .device = -1, .vectors = fake_vfio.vectors};
    v->size[0] = IO_SIZE;
    v->size[CONFIG] = CONFIG_SIZE;
    return true;
}

void vfio_close(struct vfio *v) {}

static uint32_t read_config(uint64_t offset)
{
    switch (offset) {
    case VENDOR:
        return fake_vfio.vendor;
    case DEVICE:
        return 0x1041;
    case COMMAND:
        return fake_vfio.command;
    case BAR0:
        return fake_vfio.memory ? 0 : 1;
    default:
        return 0;
    }
}

static uint32_t read_register(uint64_t offset)
{
    bool there = fake_vfio.select < fake_vfio.queues;

    switch (offset) {
    case PFN:
        return there ? fake_vfio.pfn[fake_vfio.select] : 0;
    case SIZE:
        return there ? 256 : 0;
    case SELECT:
        return fake_vfio.select;
    case STATUS:
        return fake_vfio.status;
    case CONFIG_VECTOR:
        return config_vector;
    case VECTOR:
        return there ? vector[fake_vfio.select] : 0xffff;
    default:
        return 0;
    }
}

/* virtio-vfio-pci refuses accesses without it. */
static bool io_is_on(void)
{
    return (fake_vfio.command & COMMAND_IO) != 0;
}

uint32_t vfio_read(const struct vfio *v, unsigned region, uint64_t offset, unsigned width)
{
    if (offset + width > v->size[region]) {
        abort();
    }
    if (region == CONFIG) {
        return read_config(offset);
    }
    return io_is_on() ? read_register(offset) : UINT32_MAX >> (32 - 8 * width);
}

void vfio_write(const struct vfio *v, unsigned region, uint64_t offset, unsigned width,
                uint32_t value)
{
    bool there = fake_vfio.select < fake_vfio.queues;

    if (offset + width > v->size[region]) {
        abort();
    }
    if (region == CONFIG) {
        fake_vfio.command = offset == COMMAND ? (uint16_t)value : fake_vfio.command;
    } else if (!io_is_on()) {
        return;
    } else if (offset == SELECT) {
        fake_vfio.select = (uint16_t)value;
    } else if (offset == NOTIFY) {
        fake_vfio.notified[value % FAKE_VFIO_QUEUES]++;
    } else if (offset == STATUS) {
        fake_vfio.status = (uint8_t)value;
    } else if (offset == CONFIG_VECTOR) {
        config_vector = (uint16_t)value;
    } else if (offset == PFN && there) {
        fake_vfio.pfn[fake_vfio.select] = value;
    } else if (offset == VECTOR && there) {
        vector[fake_vfio.select] = (uint16_t)value;
    }
}

enum status vfio_reset(const struct vfio *v)
{
    if (fake_vfio.msix != 0) {
        abort(); /* hostvf.c is to switch it off first */
    }
    fake_vfio.resets++;
    fake_vfio.status = fake_vfio.select = 0;
    fake_vfio.command &= (uint16_t)~COMMAND_IO;
    memset(fake_vfio.pfn, 0, sizeof(fake_vfio.pfn));
    return STATUS_OK;
}

enum status vfio_msix(const struct vfio *v, uint32_t count)
{
    if (fake_vfio.refuses == (count != 0)) {
        return STATUS_NOTE(STATUS_DEVICE);
    }
    fake_vfio.msix = count;
    return STATUS_OK;
}

enum status vfio_vector(const struct vfio *v, uint32_t which, int event)
{
    if (which >= fake_vfio.msix) {
        abort();
    }
    fake_vfio.event[which] = event;
    return STATUS_OK;
}

enum status vfio_map(const struct vfio *v, uint64_t iova, uint64_t size, void *here, bool readable,
                     bool writable)
{
    fake_vfio.maps++;
    return STATUS_OK;
}

void vfio_unmap(const struct vfio *v, uint64_t iova, uint64_t size)
{
    fake_vfio.maps = size == UINT64_MAX ? 0 : fake_vfio.maps - 1;
}

const unsigned long *vfio_requests(unsigned *count)
{
    *count = 0;
    return NULL;
}
