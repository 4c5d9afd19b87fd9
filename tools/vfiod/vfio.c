/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/vfiod/vfio.h"

#include "tools/vfiod/device.h"

#include "vmm/base/format.h"
#include "vmm/base/little_endian.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define PATH_SIZE 256U

_Static_assert(VFIO_PCI_CONFIG_REGION_INDEX < VFIO_REGIONS, "linux/vfio.h");

/* ---- Opening ---- */

static bool complain(const char *bdf, const char *what)
{
    vfiod_say("--vf=%s: %s: %s", bdf, what, strerror(errno));
    return false;
}

static bool open_group(struct vfio *v, const char *bdf)
{
    struct vfio_group_status status = {.argsz = sizeof(status)};
    char path[PATH_SIZE], link[PATH_SIZE];
    const char *number;
    ssize_t length;

    (void)format(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
    length = readlink(path, link, sizeof(link) - 1);
    if (length < 0) {
        return complain(bdf, "no such function, or it has no IOMMU group");
    }
    link[length] = '\0';
    number = strrchr(link, '/');
    (void)format(path, sizeof(path), "/dev/vfio/%s", number != NULL ? number + 1 : link);
    v->group = open(path, O_RDWR | O_CLOEXEC);
    if (v->group < 0) {
        return complain(bdf, "its group cannot be opened: is vfio-pci its driver?");
    }
    if (ioctl(v->group, VFIO_GROUP_GET_STATUS, &status) != 0) {
        return complain(bdf, "its group");
    }
    if ((status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0) {
        vfiod_say("--vf=%s: other functions of its IOMMU group have drivers of Linux's", bdf);
        return false;
    }
    return true;
}

/* Without an IOMMU, or one that remaps interrupts, this fails; and with a kernel that cannot unmap
 * all at once (before 5.12), where memory of a client that left would stay the VF's. */
static bool open_container(struct vfio *v, const char *bdf)
{
    v->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
    if (v->container < 0) {
        return complain(bdf, "/dev/vfio/vfio");
    }
    if (ioctl(v->container, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
        ioctl(v->container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1 ||
        ioctl(v->container, VFIO_CHECK_EXTENSION, VFIO_UNMAP_ALL) != 1 ||
        ioctl(v->group, VFIO_GROUP_SET_CONTAINER, &v->container) != 0 ||
        ioctl(v->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) != 0) {
        return complain(bdf, "there is no IOMMU for it, or Linux is too old");
    }
    return true;
}

static bool read_regions(struct vfio *v)
{
    for (unsigned i = 0; i < VFIO_REGIONS; i++) {
        struct vfio_region_info info = {.argsz = sizeof(info), .index = i};

        if (ioctl(v->device, VFIO_DEVICE_GET_REGION_INFO, &info) != 0) {
            return false;
        }
        v->at[i] = info.offset;
        v->size[i] = info.size;
    }
    return true;
}

static bool open_device(struct vfio *v, const char *bdf)
{
    struct vfio_device_info info = {.argsz = sizeof(info)};
    struct vfio_irq_info irq = {.argsz = sizeof(irq), .index = VFIO_PCI_MSIX_IRQ_INDEX};

    v->device = ioctl(v->group, VFIO_GROUP_GET_DEVICE_FD, bdf);
    if (v->device < 0 || ioctl(v->device, VFIO_DEVICE_GET_INFO, &info) != 0 || !read_regions(v) ||
        ioctl(v->device, VFIO_DEVICE_GET_IRQ_INFO, &irq) != 0) {
        return complain(bdf, "it cannot be had");
    }
    if ((info.flags & VFIO_DEVICE_FLAGS_PCI) == 0 || (info.flags & VFIO_DEVICE_FLAGS_RESET) == 0) {
        vfiod_say("--vf=%s: it cannot be reset", bdf);
        return false;
    }
    v->vectors = irq.count;
    return true;
}

bool vfio_open(struct vfio *v, const char *bdf)
{
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

    *v = (struct vfio){.container = -1, .group = -1, .device = -1};
    /* What is mapped counts; who may not raise the limit is told when it is reached. */
    (void)setrlimit(RLIMIT_MEMLOCK, &all);
    if (open_group(v, bdf) && open_container(v, bdf) && open_device(v, bdf)) {
        return true;
    }
    vfio_close(v);
    return false;
}

void vfio_close(struct vfio *v)
{
    const int all[] = {v->device, v->group, v->container};

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        if (all[i] >= 0) {
            (void)close(all[i]);
        }
    }
    v->container = v->group = v->device = -1;
}

/* ---- Registers ---- */

/* By system calls, not by a mapping: what goes wrong there is an error, and no signal. */
uint32_t vfio_read(const struct vfio *v, unsigned region, uint64_t offset, unsigned width)
{
    uint32_t value = 0;

    if (!range_fits(offset, width, v->size[region]) ||
        pread(v->device, &value, width, (off_t)(v->at[region] + offset)) != (ssize_t)width) {
        return all_ones(width);
    }
    return value;
}

void vfio_write(const struct vfio *v, unsigned region, uint64_t offset, unsigned width,
                uint32_t value)
{
    if (range_fits(offset, width, v->size[region])) {
        (void)!pwrite(v->device, &value, width, (off_t)(v->at[region] + offset));
    }
}

enum status vfio_reset(const struct vfio *v)
{
    return ioctl(v->device, VFIO_DEVICE_RESET) == 0 ? STATUS_OK : STATUS_NOTE(STATUS_DEVICE);
}

/* ---- Interrupts ---- */

static int set_vector(const struct vfio *v, uint32_t vector, int event)
{
    union {
        struct vfio_irq_set set;
        uint8_t bytes[sizeof(struct vfio_irq_set) + sizeof(event)];
    } request = {
        .set = {.argsz = sizeof(request),
                .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
                .index = VFIO_PCI_MSIX_IRQ_INDEX,
                .start = vector,
                .count = 1}
    };

    memcpy(request.bytes + sizeof(request.set), &event, sizeof(event));
    return ioctl(v->device, VFIO_DEVICE_SET_IRQS, &request);
}

/* The first request says how many vectors there will be: one that asks for the last, without an
 * event, is for all. */
enum status vfio_msix(const struct vfio *v, uint32_t count)
{
    struct vfio_irq_set off = {.argsz = sizeof(off),
                               .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
                               .index = VFIO_PCI_MSIX_IRQ_INDEX};
    int done =
        count != 0 ? set_vector(v, count - 1, -1) : ioctl(v->device, VFIO_DEVICE_SET_IRQS, &off);

    return done == 0 ? STATUS_OK : STATUS_NOTE(STATUS_DEVICE);
}

enum status vfio_vector(const struct vfio *v, uint32_t vector, int event)
{
    return set_vector(v, vector, event) == 0 ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

/* ---- Memory ---- */

static enum status status_of(int error)
{
    switch (error) {
    case ENOMEM:
        return STATUS_NOTE(STATUS_NO_MEMORY);
    case ENOSPC:
        return STATUS_NOTE(STATUS_NO_ROOM);
    case EEXIST:
        return STATUS_NOTE(STATUS_CONFLICT);
    default:
        return STATUS_NOTE(STATUS_INVALID);
    }
}

enum status vfio_map(const struct vfio *v, uint64_t iova, uint64_t size, void *here, bool readable,
                     bool writable)
{
    struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
                                           .flags = (readable ? VFIO_DMA_MAP_FLAG_READ : 0) |
                                                    (writable ? VFIO_DMA_MAP_FLAG_WRITE : 0),
                                           .vaddr = (uintptr_t)here,
                                           .iova = iova,
                                           .size = size};

    return ioctl(v->container, VFIO_IOMMU_MAP_DMA, &map) == 0 ? STATUS_OK : status_of(errno);
}

void vfio_unmap(const struct vfio *v, uint64_t iova, uint64_t size)
{
    struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof(unmap), .iova = iova, .size = size};

    if (size == UINT64_MAX) {
        unmap.size = 0;
        unmap.flags = VFIO_DMA_UNMAP_FLAG_ALL;
    }
    if (ioctl(v->container, VFIO_IOMMU_UNMAP_DMA, &unmap) != 0) {
        vfiod_say("memory at %#llx stays mapped: %s", (unsigned long long)iova, strerror(errno));
    }
}

const unsigned long *vfio_requests(unsigned *count)
{
    static const unsigned long requests[] = {VFIO_DEVICE_RESET, VFIO_DEVICE_SET_IRQS,
                                             VFIO_IOMMU_MAP_DMA, VFIO_IOMMU_UNMAP_DMA};

    *count = ARRAY_SIZE(requests);
    return requests;
}
