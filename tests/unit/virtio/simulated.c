/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/virtio/simulated.h"

#include "drivers/pci/pci_config.h"
#include "drivers/pci/scan.h"
#include "drivers/virtio/registers.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pci_space.h"
#include "tests/unit/fakes/physical.h"
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

static void require(bool condition)
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

/* The SIZE bytes at IOVA of DMA memory; an address outside it is the driver's fault. */
static uint8_t *dma_at(uint64_t iova, uint64_t size)
{
    require(iova >= SIM_IOVA && range_fits(iova - SIM_IOVA, size, sizeof(dma)));
    return dma + (iova - SIM_IOVA);
}

static uint16_t get16(const uint8_t *from)
{
    return (uint16_t)(from[0] | from[1] << 8);
}

static uint64_t get64(const uint8_t *from)
{
    uint64_t value;

    memcpy(&value, from, sizeof(value));
    return value;
}

/* Only the used ring's index and entries are the device's. */
static uint8_t *used_ring(void)
{
    return dma_at(sim.addresses[2], 4 + 8ULL * sim.queue_size);
}

void sim_set_used_index(uint16_t index)
{
    memcpy(used_ring() + 2, &index, sizeof(index));
}

static void put_used(uint32_t id, uint32_t length)
{
    uint8_t *ring = used_ring();
    uint16_t index = get16(ring + 2);

    memcpy(ring + 4 + 8UL * (index % sim.queue_size), &id, 4);
    memcpy(ring + 8 + 8UL * (index % sim.queue_size), &length, 4);
    sim_set_used_index((uint16_t)(index + 1));
}

static void fail(struct sim_command *c, uint16_t qualifier)
{
    c->status = 22;
    c->qualifier = qualifier;
}

static void list_use(struct sim_command *c)
{
    uint64_t list = get64(c->data);

    require(c->data_size == 8);
    if ((list & ~(c->group == 1 ? sim.opcodes : sim.self_opcodes)) != 0) {
        fail(c, 3);
    } else {
        sim.use[c->group] = list;
    }
}

/* Commands 2 to 5: the length is meant exactly. */
static void legacy_access(struct sim_command *c)
{
    uint16_t opcode = c->opcode;
    uint64_t member = c->member;
    bool write = opcode == 2 || opcode == 4;
    uint8_t *area = opcode < 4 ? sim.vf_common[member - 1] : sim.vf_device[member - 1];
    uint32_t size = opcode < 4 ? sizeof(sim.vf_common[0]) : SIM_DEVICE_SIZE;
    uint32_t width = write ? c->data_size - 8 : c->room;

    require(c->data_size >= 8 && get64(c->data) >> 8 == 0); /* the padding is zero */
    if (width == 0 || width > 4 || !range_fits(c->data[0], width, size)) {
        fail(c, 3);
    } else if (write) {
        memcpy(area + c->data[0], c->data + 8, width);
    } else {
        memcpy(c->result, area + c->data[0], width);
        c->length = width;
    }
}

static void notify_info(struct sim_command *c)
{
    for (unsigned i = 0; i < SIM_NOTIFY_COUNT; i++) {
        c->result[16UL * i] = sim.notify[i].flags;
        c->result[16UL * i + 1] = sim.notify[i].bar;
        memcpy(c->result + 16UL * i + 8, &sim.notify[i].offset, 8);
    }
    c->length = 64;
}

/* Is the command one of those that are to fail? */
static bool is_to_fail(const struct sim_command *c)
{
    if (sim.fail_count == 0 || (sim.fail_only != 0 && sim.fail_only != c->opcode)) {
        return false;
    }
    if (sim.fail_after > 0) {
        sim.fail_after--;
        return false;
    }
    sim.fail_count -= sim.fail_count != SIM_FOR_EVER;
    return true;
}

static void list_query(struct sim_command *c)
{
    uint64_t all = c->group == 1 ? sim.opcodes : sim.self_opcodes;

    c->length = sim.list_size > 8 ? sim.list_size : 8;
    for (uint32_t i = 0; i < c->length; i++) {
        c->result[i] = (uint8_t)(i * 7 + i / 251);
    }
    memcpy(c->result, &all, 8);
}

static void run(struct sim_command *c)
{
    uint16_t opcode = c->opcode, group = c->group;
    uint64_t list = group <= 1 ? sim.use[group] | 3 : 0;

    if (is_to_fail(c)) {
        c->status = sim.fail_status;
        c->qualifier = sim.fail_qualifier;
    } else if (sim.more && sim.more(c)) {
        return;
    } else if (group > 1 || (group == 1 && !sim.vf_enable) || (group == 0 && !sim.self_opcodes)) {
        fail(c, 4);
    } else if (opcode > 6 || (list >> opcode & 1) == 0) {
        fail(c, 2);
    } else if (opcode == 0) {
        list_query(c);
    } else if (opcode == 1) {
        list_use(c);
    } else if (c->member < 1 || c->member > SIM_VFS) {
        fail(c, 5);
    } else if (opcode == 6) {
        notify_info(c);
    } else {
        legacy_access(c);
    }
}

/* Both sides of a chain: the bytes of its parts one after the other. */
struct chain {
    uint8_t request[VIRTIO_ADMIN_PART_MAX];
    uint32_t readable, writable;
    unsigned parts, first_writable;
    uint8_t *part[VIRTQUEUE_SIZE_MAX];
    uint32_t length[VIRTQUEUE_SIZE_MAX];
};

/* Descriptors must be of one buffer only, writable parts behind the others. */
static void follow(struct chain *chain, uint16_t head)
{
    const uint8_t *ring = dma_at(sim.addresses[0], 16ULL * sim.queue_size);
    uint64_t seen = 0;
    uint16_t at = head, flags;

    *chain = (struct chain){.parts = 0};
    do {
        const uint8_t *desc = ring + 16UL * at;
        uint32_t length;

        require(at < sim.queue_size && !(seen >> at & 1));
        seen |= 1ULL << at;
        memcpy(&length, desc + 8, 4);
        flags = get16(desc + 12);
        require(length > 0 && (flags & ~3U) == 0);
        chain->part[chain->parts] = dma_at(get64(desc), length);
        chain->length[chain->parts] = length;
        if (flags & 2) {
            chain->writable += length;
        } else {
            require(chain->writable == 0);
            memcpy(chain->request + chain->readable, chain->part[chain->parts], length);
            chain->readable += length;
            chain->first_writable = chain->parts + 1;
        }
        chain->parts++;
        at = get16(desc + 14);
    } while (flags & 1);
    if (chain->request[0] >= 64) { /* of 2021: header and status have descriptors of their own */
        require(chain->length[0] == 2 && chain->length[chain->parts - 1] == 1);
    } else {
        require(chain->readable >= 24 && chain->writable >= 8);
    }
}

static void answer(struct chain *chain, uint32_t at, const void *from, uint32_t size)
{
    const uint8_t *bytes = from;

    for (unsigned i = chain->first_writable; i < chain->parts && size > 0; i++) {
        uint32_t length = chain->length[i];

        for (; at < length && size > 0; at++, size--) {
            chain->part[i][at] = bytes ? *bytes++ : 0xdd;
        }
        at -= length;
    }
    require(size == 0);
}

static void read_request(const struct chain *chain, struct sim_command *c)
{
    bool old = chain->request[0] >= 64;
    uint32_t header = old ? 2 : 24;

    memset(c, 0, sizeof(*c));
    c->opcode =
        old ? (uint16_t)(chain->request[0] << 8 | chain->request[1]) : get16(chain->request);
    c->data = chain->request + header;
    c->data_size = chain->readable - header;
    c->room = chain->writable - (old ? 1 : 8);
    if (!old) {
        require(get64(chain->request + 4) == 0 && get64(chain->request + 8) == 0); /* reserved */
        c->group = get16(chain->request + 2);
        c->member = get64(chain->request + 16);
    }
}

/* The result, zeroes, and the status at the end of all. */
static void answer_2021(struct chain *chain, const struct sim_command *c)
{
    uint8_t status = (uint8_t)(c->status | c->qualifier);
    uint8_t zeroes[VIRTIO_ADMIN_RESULT_MAX] = {0};

    answer(chain, 0, zeroes, c->room);
    answer(chain, 0, c->result, c->length);
    if (sim.result_cut == 0) {
        answer(chain, c->room, &status, 1);
    }
    put_used(sim.head, sim.writable - sim.result_cut);
}

/* Answer the chain at sim.head. */
static void execute(void)
{
    static struct chain chain;
    static struct sim_command c;

    follow(&chain, sim.head);
    sim.readable = chain.readable;
    sim.writable = chain.writable;
    sim.parts = chain.parts;
    read_request(&chain, &c);
    run(&c);
    c.length = c.length < c.room ? c.length : c.room;
    if (c.opcode >= VIRTIO_2021_OPCODES) {
        answer_2021(&chain, &c);
        return;
    }
    c.length -= sim.result_cut < c.length ? sim.result_cut : c.length;
    if (sim.answer == SIM_UNWRITTEN || sim.answer == SIM_NO_RESULT) {
        static const uint8_t good[8];

        answer(&chain, 0, good, sim.answer == SIM_NO_RESULT ? 8 : 0);
        put_used(sim.head, sim.writable);
        return;
    }
    answer(&chain, 0, NULL, sim.writable); /* beyond the used length anything may stand */
    uint16_t tail[4] = {c.status, c.qualifier};

    answer(&chain, 0, tail, 8);
    answer(&chain, 8, c.result, c.length);
    put_used(sim.answer == SIM_BAD_ID ? sim.head + 1U : sim.head,
             sim.answer == SIM_TOO_LONG    ? sim.writable + 1
             : sim.answer == SIM_TOO_SHORT ? 3
                                           : 8 + c.length);
}

/* The command at sim.head has come. */
static void begin(void)
{
    static struct chain chain;
    static struct sim_command c;

    if (sim.begin) {
        follow(&chain, sim.head);
        sim.writable = chain.writable;
        read_request(&chain, &c);
        sim.begin(&c);
    }
}

/* How long the command at HEAD takes. */
static uint32_t duration(uint16_t head)
{
    static struct chain chain;
    static struct sim_command c;

    if (sim.slow_only == 0) {
        return sim.answer_us;
    }
    follow(&chain, head);
    read_request(&chain, &c);
    return c.opcode == sim.slow_only ? sim.answer_us : 0;
}

void sim_answer_late(unsigned slot)
{
    uint16_t head = sim.head;

    require((sim.kept & 1U << slot) != 0);
    sim.kept &= ~(1U << slot);
    sim.head = (uint16_t)(2 * slot);
    execute();
    sim.head = head;
}

/* The command at HEAD is done, in the way of sim.answer. */
static void finish(uint16_t head)
{
    sim.flying &= ~(1ULL << head);
    sim.head = head;
    if (sim.late_first) {
        sim.late_first = false;
        sim_answer_late((unsigned)__builtin_ctz(sim.kept));
    }
    switch (sim.answer) {
    case SIM_SILENT:
        sim.kept |= 1U << sim.head / 2;
        break;
    case SIM_NEEDS_RESET:
        sim.status |= VIRTIO_STATUS_NEEDS_RESET;
        break;
    case SIM_VANISH:
        sim.all_ones = true;
        break;
    case SIM_BACK:
        sim_set_used_index((uint16_t)(get16(used_ring() + 2) - 1));
        break;
    case SIM_JUMP:
        execute();
        put_used(sim.head, 8);
        break;
    case SIM_GOOD:
    case SIM_BAD_ID:
    case SIM_TOO_LONG:
    case SIM_TOO_SHORT:
    case SIM_UNWRITTEN:
    case SIM_NO_RESULT:
        execute();
        break;
    }
}

static bool mastering(void)
{
    return (pci_config_read(fake_bdf(0, 2, 0), PCI_COMMAND, 2) & PCI_COMMAND_BUS_MASTER) != 0;
}

static void doorbell(uint32_t queue)
{
    const uint8_t *avail = dma_at(sim.addresses[1], 4 + 2ULL * sim.queue_size);

    require(queue == sim.admin_index && sim.queue_enable == 1);
    require((sim.status & VIRTIO_STATUS_DRIVER_OK) != 0);
    require(mastering());
    require(get16(avail) == 1); /* no interrupts */
    require((uint16_t)(sim.taken + 1) == get16(avail + 2));
    sim.head = get16(avail + 4 + 2UL * (sim.taken % sim.queue_size));
    require(sim.head < sim.queue_size && !(sim.kept & 1U << sim.head / 2));
    require(!(sim.flying >> sim.head & 1));
    sim.taken++;
    sim.commands++;
    begin();
    sim.flying |= 1ULL << sim.head;
    unsigned flying = bit_count(sim.flying);

    sim.together = flying > sim.together ? flying : sim.together;
    sim.due[sim.head] = sim.microseconds + duration(sim.head);
    if (sim.due[sim.head] == sim.microseconds) {
        finish(sim.head);
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
    require((sim.status & ~value) == 0); /* bits are only added */
    if ((value & ~sim.status & VIRTIO_STATUS_FEATURES_OK) != 0) {
        require((sim.accepted & ~sim.offered) == 0);
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
        require(sim.queue_select == sim.admin_index);
        return sim.queue_size;
    case VIRTIO_COMMON_QUEUE_ENABLE:
        return sim.queue_enable;
    case VIRTIO_COMMON_QUEUE_NOTIFY_OFF:
        return sim.notify_off;
    case VIRTIO_COMMON_ADMIN_INDEX:
        require((sim.accepted & SIM_ADMIN) != 0);
        return sim.admin_index;
    case VIRTIO_COMMON_ADMIN_NUM:
        return sim.admin_num;
    default:
        abort(); /* the driver has no business there */
    }
}

static void enable_queue(void)
{
    require((sim.status & VIRTIO_STATUS_FEATURES_OK) != 0);
    require((sim.status & VIRTIO_STATUS_DRIVER_OK) == 0);
    require(sim.queue_size >= 2 && (sim.queue_size & (sim.queue_size - 1)) == 0);
    require(sim.addresses[0] % 16 == 0 && sim.addresses[1] % 2 == 0 && sim.addresses[2] % 4 == 0);
    (void)dma_at(sim.addresses[0], 16ULL * sim.queue_size);
    (void)dma_at(sim.addresses[1], 4 + 2ULL * sim.queue_size);
    (void)used_ring();
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
        require(sim.driver_select < 2 && (sim.status & VIRTIO_STATUS_FEATURES_OK) == 0);
        sim.accepted &= ~(0xffffffffULL << 32 * sim.driver_select);
        sim.accepted |= (uint64_t)value << 32 * sim.driver_select;
        break;
    case VIRTIO_COMMON_CONFIG_VECTOR:
    case VIRTIO_COMMON_QUEUE_VECTOR:
        require(value == VIRTIO_NO_VECTOR);
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
        require(value == 1);
        enable_queue();
        break;
    default:
        require(offset >= VIRTIO_COMMON_QUEUE_DESC && offset < VIRTIO_COMMON_SIZE);
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

uint32_t virtio_register_read(const volatile void *address, unsigned width)
{
    uint32_t offset, value = 0;

    require(in_bar(address, &offset));
    if (sim.all_ones) {
        return UINT32_MAX >> (32 - 8 * width);
    }
    if (offset < VIRTIO_COMMON_SIZE_ADMIN) {
        require(width == natural_width(offset));
        return common_read(offset);
    }
    require(offset >= DEVICE_OFFSET && range_fits(offset - DEVICE_OFFSET, width, SIM_DEVICE_SIZE));
    if (sim.config_changes > 0) {
        sim.config_changes -= sim.config_changes != SIM_FOR_EVER;
        sim.generation++;
        sim.device[0]++;
        sim.device[4]++;
    }
    memcpy(&value, sim.device + offset - DEVICE_OFFSET, width);
    return value;
}

void virtio_register_write(volatile void *address, unsigned width, uint32_t value)
{
    uint32_t offset;

    require(in_bar(address, &offset));
    if (sim.all_ones) {
        return;
    }
    if (offset < VIRTIO_COMMON_SIZE_ADMIN) {
        require(width == natural_width(offset));
        common_write(offset, value);
    } else {
        require(offset == NOTIFY_OFFSET + sim.notify_off * MULTIPLIER && width == 2);
        doorbell(value);
    }
}

void time_delay_us(uint64_t us)
{
    void (*meanwhile)(void) = sim.meanwhile;

    sim.microseconds += us;
    for (uint16_t head = 0; head < VIRTQUEUE_SIZE_MAX; head++) {
        if ((sim.flying >> head & 1) && sim.microseconds >= sim.due[head]) {
            finish(head);
        }
    }
    sim.meanwhile = NULL;
    if (meanwhile) {
        meanwhile();
    }
}

void *pool_allocate(uint64_t size, uint64_t align)
{
    require(size == sizeof(dma) && align == PAGE_SIZE);
    return dma;
}

hpa_t pool_hpa(const void *memory)
{
    require(memory == dma);
    return hpa(POOL_HPA);
}
