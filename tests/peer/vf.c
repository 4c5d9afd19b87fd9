/* SPDX-License-Identifier: BSD-2-Clause */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PCI_COMMAND 4U

uint8_t *memory;
static int container = -1;

noreturn void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)printf("FAILED: ");
    (void)vprintf(format, arguments);
    (void)printf("\n");
    va_end(arguments);
    exit(1);
}

void say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)printf("peer: ");
    (void)vprintf(format, arguments);
    (void)printf("\n");
    (void)fflush(stdout);
    va_end(arguments);
}

void expect_value(const char *name, uint64_t found, uint64_t wanted)
{
    if (found != wanted) {
        fail("%s: %#llx, not %#llx", name, (unsigned long long)found, (unsigned long long)wanted);
    }
}

static int control(int fd, unsigned long request, void *argument, const char *name)
{
    int result = ioctl(fd, request, argument);

    if (result < 0) {
        fail("%s: %s", name, strerror(errno));
    }
    return result;
}
#define CONTROL(fd, request, argument) control(fd, request, (void *)(uintptr_t)(argument), #request)

void container_open(void)
{
    container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
    memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (container < 0 || memory == MAP_FAILED) {
        fail("no container, or no memory: %s", strerror(errno));
    }
}

/* The first group decides about the IOMMU; then memory can be mapped. */
static void container_add(int group)
{
    static bool is_mapped;
    struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
                                           .flags =
                                               VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
                                           .vaddr = (uintptr_t)memory,
                                           .iova = MEMORY_IOVA,
                                           .size = MEMORY_SIZE};

    CONTROL(group, VFIO_GROUP_SET_CONTAINER, &container);
    if (!is_mapped) {
        CONTROL(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
        CONTROL(container, VFIO_IOMMU_MAP_DMA, &map);
        is_mapped = true;
    }
}

static int open_group(const char *bdf)
{
    char path[128], target[256];
    ssize_t length;
    int group;

    (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
    length = readlink(path, target, sizeof(target) - 1);
    if (length < 0) {
        fail("%s has no IOMMU group: %s", bdf, strerror(errno));
    }
    target[length] = 0;
    (void)snprintf(path, sizeof(path), "/dev/vfio/%.32s", strrchr(target, '/') + 1);
    group = open(path, O_RDWR | O_CLOEXEC);
    if (group < 0) {
        fail("%s: %s", path, strerror(errno));
    }
    return group;
}

void vf_open(struct vf *vf, const char *bdf)
{
    int group = open_group(bdf);

    *vf = (struct vf){
        .bdf = bdf, .events = {-1, -1, -1}
    };
    container_add(group);
    vf->device = CONTROL(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
    for (unsigned i = 0; i <= VFIO_PCI_CONFIG_REGION_INDEX; i++) {
        struct vfio_region_info info = {.argsz = sizeof(info), .index = i};

        CONTROL(vf->device, VFIO_DEVICE_GET_REGION_INFO, &info);
        if (i < 6) {
            vf->bars[i] = info.offset;
            vf->bar_sizes[i] = info.size;
        } else if (i == VFIO_PCI_CONFIG_REGION_INDEX) {
            vf->config = info.offset;
        }
    }
}

int vf_try_read(const struct vf *vf, uint64_t offset, unsigned size, uint64_t *value)
{
    ssize_t done;

    *value = 0;
    done = pread(vf->device, value, size, (off_t)offset);
    return done == (ssize_t)size ? 0 : done < 0 ? errno : EIO;
}

int vf_try_write(const struct vf *vf, uint64_t offset, unsigned size, uint64_t value)
{
    ssize_t done = pwrite(vf->device, &value, size, (off_t)offset);

    return done == (ssize_t)size ? 0 : done < 0 ? errno : EIO;
}

uint64_t vf_read(const struct vf *vf, uint64_t offset, unsigned size)
{
    uint64_t value;
    int error = vf_try_read(vf, offset, size, &value);

    if (error) {
        fail("%s: read of %u bytes at %#llx: %s", vf->bdf, size, (unsigned long long)offset,
             strerror(error));
    }
    return value;
}

void vf_write(const struct vf *vf, uint64_t offset, unsigned size, uint64_t value)
{
    int error = vf_try_write(vf, offset, size, value);

    if (error) {
        fail("%s: write of %u bytes at %#llx: %s", vf->bdf, size, (unsigned long long)offset,
             strerror(error));
    }
}

void vf_set_command(const struct vf *vf, unsigned command)
{
    vf_write(vf, vf->config + PCI_COMMAND, 2, command);
}

void vf_enable_msix(struct vf *vf)
{
    struct vfio_irq_info info = {.argsz = sizeof(info), .index = VFIO_PCI_MSIX_IRQ_INDEX};
    struct {
        struct vfio_irq_set set;
        int32_t events[VECTORS];
    } request = {
        .set = {.argsz = sizeof(request),
                .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
                .index = VFIO_PCI_MSIX_IRQ_INDEX}
    };

    CONTROL(vf->device, VFIO_DEVICE_GET_IRQ_INFO, &info);
    request.set.count = info.count < VECTORS ? info.count : VECTORS;
    for (unsigned i = 0; i < request.set.count; i++) {
        vf->events[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        request.events[i] = vf->events[i];
    }
    CONTROL(vf->device, VFIO_DEVICE_SET_IRQS, &request);
}

void vf_wait_interrupt(const struct vf *vf, unsigned vector)
{
    struct pollfd ready = {.fd = vf->events[vector], .events = POLLIN};
    uint64_t count;

    if (poll(&ready, 1, -1) != 1 ||
        read(vf->events[vector], &count, sizeof(count)) != sizeof(count)) {
        fail("%s: no interrupt of vector %u", vf->bdf, vector);
    }
}

void vf_reset(struct vf *vf)
{
    struct vfio_irq_set off = {.argsz = sizeof(off),
                               .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
                               .index = VFIO_PCI_MSIX_IRQ_INDEX};

    if (vf->events[0] >= 0) {
        CONTROL(vf->device, VFIO_DEVICE_SET_IRQS, &off);
    }
    for (unsigned i = 0; i < VECTORS; i++) {
        if (vf->events[i] >= 0) {
            (void)close(vf->events[i]);
            vf->events[i] = -1;
        }
    }
    CONTROL(vf->device, VFIO_DEVICE_RESET, NULL);
}

struct state_feature {
    struct vfio_device_feature feature;
    struct vfio_device_feature_mig_state state;
};

unsigned vf_state(const struct vf *vf)
{
    struct state_feature get = {
        .feature = {.argsz = sizeof(get),
                    .flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE}
    };

    CONTROL(vf->device, VFIO_DEVICE_FEATURE, &get);
    return get.state.device_state;
}

int vf_set_state(const struct vf *vf, unsigned state)
{
    struct state_feature set = {
        .feature = {.argsz = sizeof(set),
                    .flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE},
        .state = {.device_state = state, .data_fd = -1                                   }
    };

    if (ioctl(vf->device, VFIO_DEVICE_FEATURE, &set) < 0) {
        fail("%s: to state %u: %s; it is in state %u", vf->bdf, state, strerror(errno),
             vf_state(vf));
    }
    expect_value("state", vf_state(vf), state);
    return set.state.data_fd;
}
