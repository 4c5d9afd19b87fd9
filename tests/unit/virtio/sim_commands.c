/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulated PF's administration queue: the commands that it takes, what it does of them, and
 * its answers. */
#include "tests/unit/virtio/simulated_internal.h"

#include "vmm/base/little_endian.h"

#include <string.h>

uint8_t *sim_used_ring(void)
{
    return sim_dma_at(sim.addresses[2], 4 + 8ULL * sim.queue_size);
}

void sim_set_used_index(uint16_t index)
{
    memcpy(sim_used_ring() + 2, &index, sizeof(index));
}

static void put_used(uint32_t id, uint32_t length)
{
    uint8_t *ring = sim_used_ring();
    uint16_t index = sim_get16(ring + 2);

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
    uint64_t list = bytes_get64(c->data);

    sim_require(c->data_size == 8);
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

    sim_require(c->data_size >= 8 && bytes_get64(c->data) >> 8 == 0); /* the padding is zero */
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
    const uint8_t *ring = sim_dma_at(sim.addresses[0], 16ULL * sim.queue_size);
    uint64_t seen = 0;
    uint16_t at = head, flags;

    *chain = (struct chain){.parts = 0};
    do {
        const uint8_t *desc = ring + 16UL * at;
        uint32_t length;

        sim_require(at < sim.queue_size && !(seen >> at & 1));
        seen |= 1ULL << at;
        memcpy(&length, desc + 8, 4);
        flags = sim_get16(desc + 12);
        sim_require(length > 0 && (flags & ~3U) == 0);
        chain->part[chain->parts] = sim_dma_at(bytes_get64(desc), length);
        chain->length[chain->parts] = length;
        if (flags & 2) {
            chain->writable += length;
        } else {
            sim_require(chain->writable == 0);
            memcpy(chain->request + chain->readable, chain->part[chain->parts], length);
            chain->readable += length;
            chain->first_writable = chain->parts + 1;
        }
        chain->parts++;
        at = sim_get16(desc + 14);
    } while (flags & 1);
    if (chain->request[0] >= 64) { /* of 2021: header and status have descriptors of their own */
        sim_require(chain->length[0] == 2 && chain->length[chain->parts - 1] == 1);
    } else {
        sim_require(chain->readable >= 24 && chain->writable >= 8);
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
    sim_require(size == 0);
}

static void read_request(const struct chain *chain, struct sim_command *c)
{
    bool old = chain->request[0] >= 64;
    uint32_t header = old ? 2 : 24;

    memset(c, 0, sizeof(*c));
    c->opcode =
        old ? (uint16_t)(chain->request[0] << 8 | chain->request[1]) : sim_get16(chain->request);
    c->data = chain->request + header;
    c->data_size = chain->readable - header;
    c->room = chain->writable - (old ? 1 : 8);
    if (!old) {
        sim_require(bytes_get64(chain->request + 4) == 0 &&
                    bytes_get64(chain->request + 8) == 0); /* reserved */
        c->group = sim_get16(chain->request + 2);
        c->member = bytes_get64(chain->request + 16);
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

void sim_command_begin(void)
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

uint32_t sim_command_duration(uint16_t head)
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

    sim_require((sim.kept & 1U << slot) != 0);
    sim.kept &= ~(1U << slot);
    sim.head = (uint16_t)(2 * slot);
    execute();
    sim.head = head;
}

void sim_command_finish(uint16_t head)
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
        sim_set_used_index((uint16_t)(sim_get16(sim_used_ring() + 2) - 1));
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
