/* SPDX-License-Identifier: BSD-2-Clause */
#include "device.h"

#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define BAR_AT         0xe0000000UL
#define SLOT           1
#define PINS           24
#define GSI_MSI        PINS
#define GSI_INTX       17
#define MSI_ADDRESS    0xfee00000U
#define MSI_VECTOR     0x52
#define COMMAND        4
#define COMMAND_MEMORY 2
#define COMMAND_MASTER 4

static int vm_fd, device, trigger, resample;

static int control(int fd, unsigned long request, void *argument, const char *name)
{
    int result = ioctl(fd, request, argument);

    if (result < 0) {
        err(1, "%s", name);
    }
    return result;
}
#define CONTROL(fd, request, argument) control(fd, request, (void *)(argument), #request)

static int new_event(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0) {
        err(1, "eventfd");
    }
    return fd;
}

/* The notification: nobody waits for it, which is what it costs at least. */
static void open_doorbell(void)
{
    struct kvm_ioeventfd doorbell = {
        .addr = DEVICE_PORT_NOTIFY, .len = 2, .fd = new_event(), .flags = KVM_IOEVENTFD_FLAG_PIO};

    CONTROL(vm_fd, KVM_IOEVENTFD, &doorbell);
}

static void open_group(const char *name, const char *bdf)
{
    char path[64];
    int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC), group;

    (void)snprintf(path, sizeof(path), "/dev/vfio/%s", name);
    group = open(path, O_RDWR | O_CLOEXEC);
    if (container < 0 || group < 0) {
        err(1, "%s", path);
    }
    CONTROL(group, VFIO_GROUP_SET_CONTAINER, &container);
    CONTROL(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    device = CONTROL(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
}

static void map_registers(void)
{
    struct vfio_region_info bar = {.argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX};
    struct vfio_region_info config = {.argsz = sizeof(config),
                                      .index = VFIO_PCI_CONFIG_REGION_INDEX};
    uint16_t command = COMMAND_MEMORY | COMMAND_MASTER;

    CONTROL(device, VFIO_DEVICE_GET_REGION_INFO, &bar);
    CONTROL(device, VFIO_DEVICE_GET_REGION_INFO, &config);
    if (pwrite(device, &command, sizeof(command), (off_t)config.offset + COMMAND) !=
        sizeof(command)) {
        err(1, "the device's Command register");
    }
    void *registers =
        mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)bar.offset);

    if (registers == MAP_FAILED) {
        err(1, "the device's BAR 0");
    }
    struct kvm_userspace_memory_region region = {.slot = SLOT,
                                                 .guest_phys_addr = BAR_AT,
                                                 .memory_size = bar.size,
                                                 .userspace_addr = (uint64_t)registers};

    CONTROL(vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static void route(void)
{
    static struct {
        struct kvm_irq_routing head;
        struct kvm_irq_routing_entry entry[PINS + 1];
    } table = {.head.nr = PINS + 1};

    for (unsigned i = 0; i < PINS; i++) {
        table.entry[i] = (struct kvm_irq_routing_entry){
            .gsi = i, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {KVM_IRQCHIP_IOAPIC, i}
        };
    }
    table.entry[PINS] = (struct kvm_irq_routing_entry){
        .gsi = GSI_MSI,
        .type = KVM_IRQ_ROUTING_MSI,
        .u.msi = {.address_lo = MSI_ADDRESS, .data = MSI_VECTOR}
    };
    CONTROL(vm_fd, KVM_SET_GSI_ROUTING, &table);
}

void device_open(int vm, const char *group, const char *bdf)
{
    vm_fd = vm;
    open_doorbell();
    open_group(group, bdf);
    map_registers();
    route();
    trigger = new_event();
    resample = new_event();
}

/* What the device's interrupt INDEX does: signal FD (TRIGGER), or be unmasked by it (UNMASK). */
static void set_irq(unsigned index, unsigned action, int fd)
{
    struct {
        struct vfio_irq_set head;
        int fd;
    } set = {
        .head = {.argsz = sizeof(set),
                 .flags = VFIO_IRQ_SET_DATA_EVENTFD | action,
                 .index = index,
                 .count = 1},
        .fd = fd
    };

    CONTROL(device, VFIO_DEVICE_SET_IRQS, &set);
}

static void stop_irq(unsigned index)
{
    struct vfio_irq_set none = {.argsz = sizeof(none),
                                .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
                                .index = index};

    CONTROL(device, VFIO_DEVICE_SET_IRQS, &none);
}

void device_set_mode(uint32_t mode)
{
    static struct kvm_irqfd old;

    if (old.fd) {
        old.flags = KVM_IRQFD_FLAG_DEASSIGN;
        CONTROL(vm_fd, KVM_IRQFD, &old);
        stop_irq(VFIO_PCI_INTX_IRQ_INDEX);
    }
    old = (struct kvm_irqfd){.fd = (uint32_t)trigger, .gsi = mode ? GSI_MSI : GSI_INTX};
    if (!mode) {
        old.flags = KVM_IRQFD_FLAG_RESAMPLE;
        old.resamplefd = (uint32_t)resample;
    }
    CONTROL(vm_fd, KVM_IRQFD, &old);
    if (mode) {
        set_irq(VFIO_PCI_MSI_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, trigger);
    } else {
        set_irq(VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, trigger);
        set_irq(VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK, resample);
    }
}
