/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile PF: every register reads as the input says, and whenever the driver waits or notifies,
 * the device writes what the input says to the DMA memory. The driver must come to an end, stay in
 * its memory, and believe nothing that cannot be.
 */
#include "drivers/pci/pci_config.h"
#include "drivers/virtio/pf.h"
#include "tests/unit/fakes/pci_space.h"
#include "tests/unit/fakes/physical.h"
#include "vmm/host/mmio.h"
#include "vmm/host/pool.h"
#include "vmm/host/time.h"

#include <stdlib.h>
#include <string.h>

#define BAR      0xfe000000ULL
#define BAR_SIZE 0x10000U
#define IOVA     0x40000000ULL
/* Bytes of a result that the device writes: more than one doorbell, or one with a small offset. */
#define RESULT       18U
#define RESULT_SMALL 10U
#define COMMANDS     6U
#define DESC_NEXT    1U
#define DESC_WRITE   2U
#define POLLS        64U
#define TIMEOUT_MS   20U
#define TRIES        15U /* of a command */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t left;
static uint8_t bar[BAR_SIZE];
static uint8_t dma[VIRTIO_ADMIN_MEMORY] __attribute__((aligned(PAGE_SIZE)));
static struct virtio_pf pf;
static uint8_t *config;
static uint16_t used_index;

static uint8_t next(void)
{
    if (left == 0) {
        return 0;
    }
    left--;
    return *input++;
}

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* The first writable part of the buffer at HEAD, the last, and how long all of them are. */
static const struct virtqueue_desc *find_writable(const struct virtqueue_rings *rings,
                                                  unsigned head, const struct virtqueue_desc **last,
                                                  uint32_t *length)
{
    const struct virtqueue_desc *first = NULL;

    *last = &rings->desc[head];
    *length = 0;
    for (unsigned i = 0; i < VIRTQUEUE_SIZE_MAX; i++) {
        const struct virtqueue_desc *desc = *last;

        if ((desc->flags & DESC_WRITE) != 0) {
            first = first ? first : desc;
            *length += desc->length;
        }
        if ((desc->flags & DESC_NEXT) == 0) {
            break;
        }
        *last = &rings->desc[desc->next % VIRTQUEUE_SIZE_MAX];
    }
    return first ? first : *last;
}

/* In the DMA memory, unless it has written elsewhere itself. */
static uint8_t *at_iova(uint64_t iova, uint32_t size)
{
    uint64_t at = iova - IOVA;

    return dma + (range_fits(at, size, sizeof(dma)) ? at : 0);
}

/* Answer as a device should, but with the input's numbers where the first byte has a bit. */
static void answer(uint8_t how)
{
    struct virtqueue_rings *rings = (struct virtqueue_rings *)dma;
    uint16_t size = pf.admin.queue.size != 0 ? pf.admin.queue.size : 1;
    unsigned next_one = (uint16_t)(rings->avail.index - 1U) % size;
    unsigned head = rings->avail.ring[next_one] % VIRTQUEUE_SIZE_MAX;
    const struct virtqueue_desc *last;
    uint32_t length;
    const struct virtqueue_desc *first = find_writable(rings, head, &last, &length);
    bool old = last->length == 1 && length > 0; /* 2021 has its status there */
    uint8_t *page = at_iova(first->address, RESULT + VIRTIO_ADMIN_TAIL);
    uint8_t *status = at_iova(last->address, 1);

    length = (how & 1) != 0 ? next() : length;
    for (unsigned i = 0; i < ((how & 32) != 0 ? RESULT : RESULT_SMALL) && (how & 2) != 0; i++) {
        page[(old ? 0 : VIRTIO_ADMIN_TAIL) + i] = next();
    }
    for (unsigned i = 0; i < VIRTIO_ADMIN_TAIL && !old; i++) {
        page[i] = (how & 16) != 0 ? next() : 0;
    }
    if (old) {
        *status = (how & 16) != 0 ? next() : 0;
    }
    rings->used.ring[used_index % size].id = (how & 4) != 0 ? next() : head;
    rings->used.ring[used_index % size].length = length;
    used_index = (uint16_t)(used_index + ((how & 8) != 0 ? next() : 1));
    rings->used.index = used_index;
}

static bool mastering(void)
{
    return (config[PCI_COMMAND] & PCI_COMMAND_BUS_MASTER) != 0;
}

/* What the device does while the driver is not looking. */
static void device_step(void)
{
    uint8_t what = next();

    if (!mastering() || what < 64) {
        return;
    }
    if (what < 80) { /* anything anywhere */
        size_t at = ((size_t)next() << 8 | next()) % sizeof(dma);

        dma[at] = next();
        return;
    }
    answer(what);
}

uint32_t mmio_read(const volatile void *address, unsigned width)
{
    size_t at = (size_t)((const volatile uint8_t *)address - bar);
    uint32_t value = 0;

    require(at % width == 0 && range_fits(at, width, sizeof(bar)));
    /* Half of the time what the driver likes to see: it gets nowhere otherwise. */
    if (at < VIRTIO_COMMON_SIZE_ADMIN && (next() & 1) == 0) {
        memcpy(&value, bar + at, width);
        return value;
    }
    for (unsigned i = 0; i < width; i++) {
        value |= (uint32_t)next() << 8 * i;
    }
    return value;
}

void mmio_write(volatile void *address, unsigned width, uint32_t value)
{
    size_t at = (size_t)((volatile uint8_t *)address - bar);

    require(at % width == 0 && range_fits(at, width, sizeof(bar)));
    if (at < VIRTIO_COMMON_SIZE_ADMIN && at != VIRTIO_COMMON_DEVICE_FEATURE_SELECT) {
        memcpy(bar + at, &value, width);
    }
    device_step();
}

void time_delay_us(uint64_t us)
{
    require(us > 0);
    device_step();
}

void *pool_allocate(uint64_t size, uint64_t align)
{
    abort(); /* the memory comes from here */
}

hpa_t pool_hpa(const void *memory)
{
    abort();
}

static struct virtio_region region(void)
{
    return (struct virtio_region){
        .bar = next() % 8, .offset = next() * 64U, .length = next() * 16U};
}

static void check_list(void)
{
    uint64_t used;

    (void)virtio_admin_use(&pf.admin, VIRTIO_GROUP_SRIOV, VIRTIO_LEGACY_COMMANDS, &used);
    require((used & ~(VIRTIO_LEGACY_COMMANDS | 3)) == 0);
}

static void check_read(void)
{
    static const uint8_t offset[VIRTIO_LEGACY_HEADER_SIZE];
    uint32_t value = 0;
    struct virtio_admin_command command = {.opcode = VIRTIO_ADMIN_LEGACY_DEVICE_READ,
                                           .group = VIRTIO_GROUP_SRIOV,
                                           .member = 1,
                                           .data = offset,
                                           .data_size = sizeof(offset),
                                           .result = &value,
                                           .result_size = 2,
                                           .whole = true};
    enum status status = virtio_admin_execute(&pf.admin, &command);

    require(value <= UINT16_MAX && (status != STATUS_OK || command.result_length == 2));
}

static void check_list_of_doorbells(void)
{
    uint8_t list[65];
    struct virtio_admin_command command = {.opcode = VIRTIO_ADMIN_LEGACY_NOTIFY_INFO,
                                           .group = VIRTIO_GROUP_SRIOV,
                                           .member = 1,
                                           .result = list,
                                           .result_size = sizeof(list) - 1};

    list[64] = 0x5a;
    if (virtio_admin_execute(&pf.admin, &command) == STATUS_OK) {
        require(command.result_length <= 64);
        for (uint32_t i = command.result_length; i < 64; i++) {
            require(list[i] == 0);
        }
    }
    require(list[64] == 0x5a);
}

static void write_register(uint32_t value)
{
    uint8_t data[12] = {4};
    struct virtio_admin_command command = {.opcode = VIRTIO_ADMIN_LEGACY_COMMON_WRITE,
                                           .group = VIRTIO_GROUP_SRIOV,
                                           .member = 2,
                                           .data = data,
                                           .data_size = sizeof(data)};

    memcpy(data + 8, &value, sizeof(value));
    (void)virtio_admin_execute(&pf.admin, &command);
}

/* In the framing of 2021: a status of its own, and a result that may have any bytes. */
static void save_state(void)
{
    static const uint16_t data[12] = {1};
    uint8_t result[33];
    struct virtio_admin_command command = {.opcode = VIRTIO_2021_SAVE,
                                           .group = VIRTIO_GROUP_SRIOV,
                                           .member = 1,
                                           .data = data,
                                           .data_size = sizeof(data),
                                           .more = data,
                                           .more_size = next() % sizeof(data),
                                           .result = result,
                                           .result_size = sizeof(result) - 1,
                                           .result_room = next() * 64U,
                                           .result_at = next()};
    enum status status;

    result[32] = 0x5a;
    status = virtio_admin_execute(&pf.admin, &command);

    require(result[32] == 0x5a && (status != STATUS_OK || command.status == VIRTIO_ADMIN_OK));
}

/* Several at once, each looked at in turn. */
static void stop_all(void)
{
    static struct virtio_admin_command command[COMMANDS * VIRTIO_ADMIN_SLOTS];
    static unsigned begun;
    static const uint8_t stop[8] = {1};
    unsigned first = begun % (COMMANDS - 1) * VIRTIO_ADMIN_SLOTS, over = 0;
    bool done[VIRTIO_ADMIN_SLOTS] = {false};

    begun++;
    for (unsigned i = 0; i < VIRTIO_ADMIN_SLOTS; i++) {
        command[first + i] = (struct virtio_admin_command){.opcode = VIRTIO_ADMIN_MODE_SET,
                                                           .group = VIRTIO_GROUP_SRIOV,
                                                           .member = 3 + i,
                                                           .data = stop,
                                                           .data_size = sizeof(stop),
                                                           .background = true,
                                                           .timeout_ms = 1};
        virtio_admin_begin(&command[first + i]);
    }
    for (unsigned polls = 0; over < VIRTIO_ADMIN_SLOTS; polls++) {
        require(polls < POLLS * TRIES * (POLLS + 1));
        for (unsigned i = 0; i < VIRTIO_ADMIN_SLOTS; i++) {
            enum status status;

            if (!done[i] && virtio_admin_poll(&pf.admin, &command[first + i], 500, &status)) {
                done[i] = true;
                over++;
            }
        }
        device_step();
    }
}

static void use(void)
{
    for (unsigned i = 0; i < COMMANDS && left > 0; i++) { /* then it only keeps silent */
        switch (next() % 6) {
        case 0:
            check_list();
            break;
        case 1:
            check_read();
            break;
        case 2:
            check_list_of_doorbells();
            break;
        case 3:
            save_state();
            break;
        case 4:
            stop_all();
            break;
        default:
            write_register(i);
            break;
        }
    }
    require(virtio_admin_count(&pf.admin).sent <= COMMANDS * VIRTIO_ADMIN_SLOTS * TRIES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct pci_function pci;
    static const struct virtio_bar bars[PCI_BARS_MAX] = {
        [4] = {{BAR}, BAR_SIZE}
    };
    struct virtio_dma memory = {.va = dma, .iova = IOVA, .size = sizeof(dma)};
    struct virtio_function function = {.pci = &pci, .type = 1, .has_sriov = true};

    input = data;
    left = size;
    used_index = 0;
    memset(bar, 0, sizeof(bar));
    fake_pci_reset();
    config = fake_pci_add(fake_bdf(0, 0, 0), VIRTIO_VENDOR, 0x1041);
    (void)pci_config_open(0, 0);
    fake_physical_reset();
    fake_physical_add(BAR, bar, sizeof(bar));
    function.type = next() % 3;
    if ((next() & 3) != 0) { /* as a rule in a sound place, with registers that allow a start */
        bar[VIRTIO_COMMON_DEVICE_FEATURE] = 0x23;
        bar[VIRTIO_COMMON_DEVICE_FEATURE + 1] = 2;
        bar[VIRTIO_COMMON_ADMIN_INDEX] = 3;
        bar[VIRTIO_COMMON_ADMIN_NUM] = 1;
        bar[VIRTIO_COMMON_NUM_QUEUES] = 3;
        bar[VIRTIO_COMMON_QUEUE_SIZE] = 8;
        function.regions.common = (struct virtio_region){.bar = 4, .length = 64};
        function.regions.notify = (struct virtio_region){.bar = 4, .offset = 4096, .length = 4096};
        function.regions.device = (struct virtio_region){.bar = 4, .offset = 8192, .length = 64};
    } else {
        function.regions.common = region();
        function.regions.notify = region();
        function.regions.device = region();
    }
    function.regions.notify_multiplier = next() * 2U;
    if (virtio_pf_start(&pf, &function, bars, &memory) == STATUS_OK) {
        require(mastering());
        pf.admin.timeout_ms = TIMEOUT_MS;
        use();
        (void)virtio_pf_stop(&pf);
    }
    require(!mastering() && fake_physical_windows() == 0);
    return 0;
}
