/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/virtio/simulated_internal.h"

#include "drivers/pci/pci_config.h"
#include "drivers/pci/scan.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pci_space.h"
#include "tests/unit/fakes/physical.h"
#include "vmm/host/mmio.h"
#include "vmm/host/pool.h"
#include "vmm/host/time.h"

#include <stdlib.h>
#include <string.h>

#define DEVICE_OFFSET 0x2000U
#define NOTIFY_OFFSET 0x3000U
#define NOTIFY_LENGTH 0x100U
#define MULTIPLIER    4U
#define POOL_HPA      0x1000000ULL

struct sim sim;

static uint8_t bar[SIM_BAR_SIZE];
static uint8_t dma[VIRTIO_ADMIN_MEMORY] __attribute__((aligned(PAGE_SIZE)));

void sim_require(bool condition)
{
    if (!condition) {
        abort();
    }
}

void sim_reset(void)
{
    uint8_t *config;

    fake_pci_reset();
    fake_physical_reset();
    fake_log_clear();
    fake_physical_add(SIM_PF_BAR, bar, sizeof(bar));
    config = fake_pci_add(fake_bdf(0, 2, 0), VIRTIO_VENDOR, 0x1041);
    fake_pci_sriov(config, SIM_VFS, 1, 1, 0x1041);
    (void)pci_config_open(0, 0);
    (void)pci_scan();
    memset(dma, 0xee, sizeof(dma));
    sim = (struct sim){
        .offered = SIM_FEATURES | SIM_ADMIN,
        .num_queues = 3,
        .admin_index = 4,
        .admin_num = 1,
        .queue_max = 128,
        .notify_off = 4,
        .opcodes = SIM_OPCODES,
        .self_opcodes = 3,
        .vf_enable = true,
        .device = {0x52, 0x54, 0, 0x12, 0x34, 0x56},
        .notify = {{2, 4, 0x3000}  }
    };
}

const struct virtio_bar *sim_bars(void)
{
    static const struct virtio_bar bars[PCI_BARS_MAX] = {
        [4] = {{SIM_PF_BAR}, SIM_BAR_SIZE}
    };

    return bars;
}

struct virtio_dma sim_memory(void)
{
    return (struct virtio_dma){.va = dma, .iova = SIM_IOVA, .size = sizeof(dma)};
}

const struct virtio_function *sim_function(void)
{
    static struct virtio_function function;

    function = (struct virtio_function){
        .pci = pci_function_at(0),
        .type = VIRTIO_TYPE_NET,
        .modern = true,
        .complete = true,
        .has_sriov = true,
        .regions = {.common = {.bar = 4, .offset = 0, .length = 0x40},
                    .device = {.bar = 4, .offset = DEVICE_OFFSET, .length = SIM_DEVICE_SIZE},
                    .notify = {.bar = 4, .offset = NOTIFY_OFFSET, .length = NOTIFY_LENGTH},
                    .notify_multiplier = MULTIPLIER}
    };
    return &function;
}

uint8_t *sim_dma_at(uint64_t iova, uint64_t size)
{
    sim_require(iova >= SIM_IOVA && range_fits(iova - SIM_IOVA, size, sizeof(dma)));
    return dma + (iova - SIM_IOVA);
}

uint16_t sim_get16(const uint8_t *from)
{
    return (uint16_t)(from[0] | from[1] << 8);
}

static bool mastering(void)
{
    return (pci_config_read(fake_bdf(0, 2, 0), PCI_COMMAND, 2) & PCI_COMMAND_BUS_MASTER) != 0;
}

static void doorbell(uint32_t queue)
{
    const uint8_t *avail = sim_dma_at(sim.addresses[1], 4 + 2ULL * sim.queue_size);

    sim_require(queue == sim.admin_index && sim.queue_enable == 1);
    sim_require((sim.status & VIRTIO_STATUS_DRIVER_OK) != 0);
    sim_require(mastering());
    sim_require(sim_get16(avail) == 1); /* no interrupts */
    sim_require((uint16_t)(sim.taken + 1) == sim_get16(avail + 2));
    sim.head = sim_get16(avail + 4 + 2UL * (sim.taken % sim.queue_size));
    sim_require(sim.head < sim.queue_size && !(sim.kept & 1U << sim.head / 2));
    sim_require(!(sim.flying >> sim.head & 1));
    sim.taken++;
    sim.commands++;
    sim_command_begin();
    sim.flying |= 1ULL << sim.head;
    unsigned flying = bit_count(sim.flying);

    sim.together = flying > sim.together ? flying : sim.together;
    sim.due[sim.head] = sim.microseconds + sim_command_duration(sim.head);
    if (sim.due[sim.head] == sim.microseconds) {
        sim_command_finish(sim.head);
    }
}

static void write_status(uint8_t value)
{
    if (value == 0) {
        sim.reset_mastering = mastering();
        sim.reset_left = sim.reset_reads;
        if (sim.reset_left == 0) {
            sim.status = 0;
        }
        sim.queue_enable = 0;
        sim.taken = 0;
        sim.flying = 0;
        sim.kept = 0;
        sim.use[0] = sim.use[1] = 0;
        return;
    }
    sim_require((sim.status & ~value) == 0); /* bits are only added */
    if ((value & ~sim.status & VIRTIO_STATUS_FEATURES_OK) != 0) {
        sim_require((sim.accepted & ~sim.offered) == 0);
        if (sim.refuse_features) {
            value &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
        }
    }
    if (sim.refuse_start) {
        value &= (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
    }
    sim.status = value;
}

static uint8_t read_status(void)
{
    uint8_t value = sim.status;

    if (sim.reset_left > 0 && sim.reset_left != SIM_FOR_EVER && --sim.reset_left == 0) {
        sim.status = 0;
    }
    return value;
}

static uint32_t common_read(uint32_t offset)
{
    switch (offset) {
    case VIRTIO_COMMON_DEVICE_FEATURE:
        return sim.device_select < 2 ? (uint32_t)(sim.offered >> 32 * sim.device_select) : 0;
    case VIRTIO_COMMON_NUM_QUEUES:
        return sim.num_queues;
    case VIRTIO_COMMON_STATUS:
        return read_status();
    case VIRTIO_COMMON_GENERATION:
        return sim.generation;
    case VIRTIO_COMMON_QUEUE_SIZE:
        sim_require(sim.queue_select == sim.admin_index);
        return sim.queue_size;
    case VIRTIO_COMMON_QUEUE_ENABLE:
        return sim.queue_enable;
    case VIRTIO_COMMON_QUEUE_NOTIFY_OFF:
        return sim.notify_off;
    case VIRTIO_COMMON_ADMIN_INDEX:
        sim_require((sim.accepted & SIM_ADMIN) != 0);
        return sim.admin_index;
    case VIRTIO_COMMON_ADMIN_NUM:
        return sim.admin_num;
    default:
        abort(); /* the driver has no business there */
    }
}

static void enable_queue(void)
{
    sim_require((sim.status & VIRTIO_STATUS_FEATURES_OK) != 0);
    sim_require((sim.status & VIRTIO_STATUS_DRIVER_OK) == 0);
    sim_require(sim.queue_size >= 2 && (sim.queue_size & (sim.queue_size - 1)) == 0);
    sim_require(sim.addresses[0] % 16 == 0 && sim.addresses[1] % 2 == 0 &&
                sim.addresses[2] % 4 == 0);
    (void)sim_dma_at(sim.addresses[0], 16ULL * sim.queue_size);
    (void)sim_dma_at(sim.addresses[1], 4 + 2ULL * sim.queue_size);
    (void)sim_used_ring();
    sim.queue_enable = !sim.refuse_enable;
}

static void address_write(uint32_t offset, uint32_t value)
{
    uint64_t *address = &sim.addresses[(offset - VIRTIO_COMMON_QUEUE_DESC) / 8];

    *address = offset % 8 == 0 ? (*address & ~0xffffffffULL) | value
                               : (uint32_t)*address | (uint64_t)value << 32;
}

static void common_write(uint32_t offset, uint32_t value)
{
    switch (offset) {
    case VIRTIO_COMMON_DEVICE_FEATURE_SELECT:
        sim.device_select = value;
        break;
    case VIRTIO_COMMON_DRIVER_FEATURE_SELECT:
        sim.driver_select = value;
        break;
    case VIRTIO_COMMON_DRIVER_FEATURE:
        sim_require(sim.driver_select < 2 && (sim.status & VIRTIO_STATUS_FEATURES_OK) == 0);
        sim.accepted &= ~(0xffffffffULL << 32 * sim.driver_select);
        sim.accepted |= (uint64_t)value << 32 * sim.driver_select;
        break;
    case VIRTIO_COMMON_CONFIG_VECTOR:
    case VIRTIO_COMMON_QUEUE_VECTOR:
        sim_require(value == VIRTIO_NO_VECTOR);
        break;
    case VIRTIO_COMMON_STATUS:
        write_status((uint8_t)value);
        break;
    case VIRTIO_COMMON_QUEUE_SELECT:
        sim.queue_select = (uint16_t)value;
        sim.queue_size = sim.queue_max;
        break;
    case VIRTIO_COMMON_QUEUE_SIZE:
        sim.queue_size = sim.refuse_size ? sim.queue_size : (uint16_t)value;
        break;
    case VIRTIO_COMMON_QUEUE_ENABLE:
        sim_require(value == 1);
        enable_queue();
        break;
    default:
        sim_require(offset >= VIRTIO_COMMON_QUEUE_DESC && offset < VIRTIO_COMMON_SIZE);
        address_write(offset, value);
        break;
    }
}

/* Every register has one width. */
static unsigned natural_width(uint32_t offset)
{
    if (offset < VIRTIO_COMMON_CONFIG_VECTOR ||
        (offset >= VIRTIO_COMMON_QUEUE_DESC && offset < VIRTIO_COMMON_SIZE)) {
        return 4;
    }
    return offset == VIRTIO_COMMON_STATUS || offset == VIRTIO_COMMON_GENERATION ? 1 : 2;
}

static bool in_bar(const volatile void *address, uint32_t *offset)
{
    uintptr_t at = (uintptr_t)address - (uintptr_t)bar;

    *offset = (uint32_t)at;
    return at < sizeof(bar);
}

uint32_t mmio_read(const volatile void *address, unsigned width)
{
    uint32_t offset, value = 0;

    sim_require(in_bar(address, &offset));
    if (sim.all_ones) {
        return UINT32_MAX >> (32 - 8 * width);
    }
    if (offset < VIRTIO_COMMON_SIZE_ADMIN) {
        sim_require(width == natural_width(offset));
        return common_read(offset);
    }
    sim_require(offset >= DEVICE_OFFSET &&
                range_fits(offset - DEVICE_OFFSET, width, SIM_DEVICE_SIZE));
    if (sim.config_changes > 0) {
        sim.config_changes -= sim.config_changes != SIM_FOR_EVER;
        sim.generation++;
        sim.device[0]++;
        sim.device[4]++;
    }
    memcpy(&value, sim.device + offset - DEVICE_OFFSET, width);
    return value;
}

void mmio_write(volatile void *address, unsigned width, uint32_t value)
{
    uint32_t offset;

    sim_require(in_bar(address, &offset));
    if (sim.all_ones) {
        return;
    }
    if (offset < VIRTIO_COMMON_SIZE_ADMIN) {
        sim_require(width == natural_width(offset));
        common_write(offset, value);
    } else {
        sim_require(offset == NOTIFY_OFFSET + sim.notify_off * MULTIPLIER && width == 2);
        doorbell(value);
    }
}

void time_delay_us(uint64_t us)
{
    void (*meanwhile)(void) = sim.meanwhile;

    sim.microseconds += us;
    for (uint16_t head = 0; head < VIRTQUEUE_SIZE_MAX; head++) {
        if ((sim.flying >> head & 1) && sim.microseconds >= sim.due[head]) {
            sim_command_finish(head);
        }
    }
    sim.meanwhile = NULL;
    if (meanwhile) {
        meanwhile();
    }
}

void *pool_allocate(uint64_t size, uint64_t align)
{
    sim_require(size == sizeof(dma) && align == PAGE_SIZE);
    return dma;
}

hpa_t pool_hpa(const void *memory)
{
    sim_require(memory == dma);
    return hpa(POOL_HPA);
}
