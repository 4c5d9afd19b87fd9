/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that pokes at configuration space, ports and BAR 1 of its VFs, while the VFs work, break
 * and change their minds. After each step what must always hold is checked; the simulated VFs count
 * what the contract forbids.
 */
#include "tests/unit/legacy/fake_vf.h"
#include "vmm/host/guest_ram.h"
#include "vmm/legacy/inflight.h"

#include <stdlib.h>
#include <string.h>

#define FUNCTIONS 3U

static struct legacy_set set;
static struct legacy_function function[FUNCTIONS];
static struct legacy_inflight inflight; /* of the first */
static const struct ram ram = {.tracked = true};

struct input {
    const uint8_t *data;
    size_t left;
};

static uint32_t take(struct input *in, unsigned size)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < size && in->left != 0; i++) {
        value |= (uint32_t)*in->data++ << 8 * i;
        in->left--;
    }
    return value;
}

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* A value a driver might write, or anything. */
static uint32_t pick_value(struct input *in)
{
    static const uint32_t values[] = {0, 1, 2, 3, 7, 0xffff, 0xffffffff, 0xc000};
    uint8_t choice = (uint8_t)take(in, 1);

    return choice < 0xc0 ? values[choice % ARRAY_SIZE(values)] : take(in, 4);
}

static void access_config(struct input *in, uint8_t op)
{
    static const uint8_t offsets[] = {0x04, 0x06, 0x10, 0x14, 0x3c, 0x42, 0x40, 0x42};
    uint8_t choice = (uint8_t)take(in, 1);
    uint8_t devfn = (uint8_t)((2 + op % (FUNCTIONS + 1)) << 3);
    unsigned width = 1U << take(in, 1) % 3;
    uint8_t offset = choice < 0xc0 ? offsets[choice % ARRAY_SIZE(offsets)] : (uint8_t)take(in, 1);

    offset = (uint8_t)(offset & ~(width - 1));
    if ((op & 0x10U) != 0) {
        require((uint64_t)legacy_config_read(&set, devfn, offset, width) >> 8 * width == 0);
        return;
    }
    legacy_config_write(&set, devfn, offset, width, pick_value(in));
    legacy_settle(&set);
}

/* BARs meet: with each other, with the pc, with the ends of space. */
static void move_bar(struct input *in, uint8_t op)
{
    static const uint32_t places[] = {0xc000, 0xc040, 0xc100, 0x600, 0xffc0, 0x1ffc0, 0, 0xffe0};
    uint8_t choice = (uint8_t)take(in, 1);
    uint8_t devfn = (uint8_t)((2 + op % FUNCTIONS) << 3);

    legacy_config_write(&set, devfn, (op & 0x10U) != 0 ? 0x14 : 0x10, 4,
                        (op & 0x10U) != 0 ? LEGACY_MMIO_BASE + (choice & 3U) * LEGACY_MMIO_SIZE
                                          : places[choice % ARRAY_SIZE(places)]);
    legacy_settle(&set);
}

static void access_port(struct input *in, uint8_t op)
{
    const struct legacy_function *f = &function[op % FUNCTIONS];
    uint8_t choice = (uint8_t)take(in, 1);
    unsigned width = 1U << take(in, 1) % 3;
    uint16_t port = (uint16_t)(f->io_base + (choice < 0xf0 ? choice % 0x60 : take(in, 2)));
    uint32_t value;

    if ((op & 0x10U) != 0) {
        if (legacy_port_read(&set, port, width, &value)) {
            require((uint64_t)value >> 8 * width == 0);
        }
        return;
    }
    value = pick_value(in);
    if (width != 2 || !legacy_notify(&set, port, (uint16_t)value)) {
        (void)legacy_port_write(&set, port, width, value);
    }
}

/* What drivers do, so that the fuzzer need not find the sequences itself. */
static void drive(struct input *in, uint8_t op)
{
    const struct legacy_function *f = &function[op % FUNCTIONS];
    uint16_t port = (uint16_t)f->io_base;
    uint32_t queue = take(in, 1) % FAKE_QUEUES;

    (void)legacy_port_write(&set, (uint16_t)(port + LEGACY_QUEUE_SELECT), 2, queue);
    if ((op & 0x10U) != 0) {
        (void)legacy_port_write(&set, (uint16_t)(port + LEGACY_QUEUE_VECTOR), 2,
                                take(in, 1) % (FAKE_ENTRIES + 1));
    }
    (void)legacy_port_write(&set, (uint16_t)(port + LEGACY_QUEUE_PFN), 4, take(in, 1) & 3U);
}

static void access_memory(struct input *in, uint8_t op)
{
    const struct legacy_function *f = &function[op % FUNCTIONS];
    uint8_t choice = (uint8_t)take(in, 1);
    unsigned width = 1U << take(in, 1) % 4;
    uint64_t at = f->mmio_base + (choice < 0xc0 ? choice & 0xfcU : take(in, 2) & 0xfffU);
    uint64_t value = (take(in, 1) & 1U) != 0 ? 0xfee00000U : pick_value(in);

    if ((op & 0x10U) != 0) {
        (void)legacy_mmio_write(&set, gpa(at), width, value);
    } else if (legacy_mmio_read(&set, gpa(at), width, &value) && width < 8) {
        require(value >> 8 * width == 0);
    }
}

static void break_vf(struct input *in, struct fake_vf *vf)
{
    uint8_t how = (uint8_t)take(in, 1);
    uint8_t value = (uint8_t)take(in, 1);

    switch (how % 8U) {
    case 0:
        vf->dead = value == 0;
        break;
    case 1:
        vf->slow_reset = value;
        break;
    case 2:
        vf->never_resets = value == 0;
        break;
    case 3:
        vf->vector_limit = value % (FAKE_ENTRIES + 1);
        break;
    case 4:
        vf->vmm_vectors = value % (FAKE_ENTRIES + 1);
        break;
    case 5:
        vf->pfn_zero_resets = (value & 1U) != 0;
        break;
    case 6:
        vf->flr_fails = value == 0;
        break;
    default:
        vf->keeps_select = (value & 1U) != 0;
        break;
    }
}

/* A pause in which the state of VF N goes out and in again, and the VF goes on. */
static void carry_over(unsigned n, unsigned queue)
{
    static struct legacy_state state;
    struct legacy_function *f = &function[n];
    unsigned messages = fake.messages;

    legacy_pause(&set);
    state = *legacy_save(f);
    memset(&f->state, 0xa5, sizeof(f->state));
    fake_complete(f, queue);
    require(legacy_load(f, &state) == STATUS_OK);
    require(fake.messages == messages);
    fake_config_change(f);
    fake.same_lines = 0;
    legacy_resume(&set);
}

/* No head twice, none that is no head. */
static void check_offered(const struct legacy_function *f, unsigned queue)
{
    const struct legacy_queue *q = &f->state.queue[queue];
    const uint16_t *avail = (uint16_t *)(void *)&fake_ram[q->pfn * 4096UL + 16UL * q->size];
    bool seen[1024] = {false};
    uint16_t from, to;

    legacy_indexes(f, queue, &to, &from);
    require((uint16_t)(to - from) <= q->size);
    for (; from != to; from++) {
        uint16_t head = avail[2 + from % q->size];

        require(head < q->size && !seen[head]);
        seen[head] = true;
    }
}

/* The rings of the VF that is followed change under its feet; then it may be its end. */
static void change_rings(struct input *in)
{
    uint8_t *page = &fake_ram[(size_t)(1 + take(in, 1) % 6) * 4096];
    struct legacy_function *f = &function[0];
    unsigned queue;

    for (unsigned i = take(in, 1) % 8; i > 0; i--) {
        uint8_t at = (uint8_t)take(in, 1);

        page[at < 0x40 ? at : 2] = (uint8_t)(at < 0x40 ? take(in, 1) : page[2] + at % 8);
        if ((at & 1U) != 0) {
            legacy_inflight_poll(f);
        }
    }
    if (legacy_offer_again(f, &queue) != STATUS_OK) {
        require(queue < LEGACY_QUEUES_MAX && f->state.queue[queue].pfn != 0);
        return;
    }
    for (unsigned i = 0; i < FAKE_QUEUES; i++) {
        if (f->state.queue[i].pfn != 0 && f->state.queue[i].pfn < 8) {
            check_offered(f, i);
        }
    }
}

static void device(struct input *in, uint8_t op)
{
    unsigned n = op % FUNCTIONS;
    uint8_t value = (uint8_t)take(in, 1);

    switch (op >> 4 & 7U) {
    case 0:
    case 1:
        fake_complete(&function[n], value % FAKE_QUEUES);
        break;
    case 2:
        fake_config_change(&function[n]);
        break;
    case 3:
        (void)fake_run(&function[n]);
        break;
    case 4:
        fake.reject_messages = (value & 1U) != 0;
        fake.claimed_last = (uint16_t)(0x600 + (value & 0x3fU));
        break;
    case 5:
        break_vf(in, &fake.vf[n]);
        break;
    case 6:
        if (value < 16) {
            legacy_reset(&set);
        } else if (value < 128) {
            carry_over(n, value % FAKE_QUEUES);
        } else {
            change_rings(in);
        }
        break;
    default: /* a message that the VF should not send; the vector's handler exists */
        if (value >= FAKE_ENTRIES || fake.vf[n].entry[value].open) {
            legacy_interrupt(&function[n], value);
        }
        break;
    }
}

static void step(struct input *in)
{
    uint8_t op = (uint8_t)take(in, 1);

    if ((op & 0x80U) != 0) {
        device(in, op);
        return;
    }
    switch (op >> 5 & 3U) {
    case 0:
        if ((op & 0x0cU) == 0) {
            move_bar(in, op);
        } else {
            access_config(in, op);
        }
        break;
    case 1:
        access_port(in, op);
        break;
    case 2:
        drive(in, op);
        break;
    default:
        access_memory(in, op);
        break;
    }
}

/* Interrupts of a running queue find their way: the VF has vectors that the VMM has open. */
static void check_vectors(const struct legacy_function *f, const struct fake_vf *vf)
{
    for (unsigned i = 0; i < FAKE_QUEUES; i++) {
        uint16_t vector = vf->queue[i].vector;

        require(vector == LEGACY_NO_VECTOR || vf->entry[vector].open);
        require(f->irq.msix ? vector == LEGACY_NO_VECTOR || vector == f->state.queue[i].vector
                            : !vf->queue[i].works || vector <= 1);
    }
    require(f->irq.msix || (vf->config_vector == 0 && vf->entry[0].open));
    for (unsigned i = 0; i < FAKE_ENTRIES; i++) {
        const struct legacy_interrupts *irq = &f->irq;
        bool masked = irq->function_mask || (f->state.table[i].control & 1U) != 0;
        bool pending = (f->state.pending[0] >> i & 1U) != 0;

        require(!pending || (irq->msix && masked)); /* an interrupt that could go has gone */
        require(!vf->entry[i].open || !vf->entry[i].masked || (irq->msix && masked));
    }
}

static void check(void)
{
    require(fake.bad_locking == 0 && fake.same_lines == 0);
    for (unsigned n = 0; n < FUNCTIONS; n++) {
        const struct legacy_function *f = &function[n];
        const struct fake_vf *vf = &fake.vf[n];

        require(vf->bad == 0);
        require(fake.line[n] == (f->state.isr != 0 && !f->irq.msix && !f->irq.intx_disable));
        require(!f->state.lost || (f->doorbell == NULL && !vf->bus_master && f->state.isr == 0));
        require((f->state.lost != 0) == (f->doorbell == NULL));
        if (!f->state.lost && !vf->dead) {
            require(vf->msix && vf->bus_master == f->state.bus_master);
            check_vectors(f, vf);
        }
    }
}

/* The table of ports says what the BARs say. */
static void check_ports(void)
{
    for (unsigned page = 0; page < LEGACY_PORT_PAGES; page++) {
        unsigned port = page * LEGACY_PORT_PAGE;
        unsigned owner = 0;

        for (unsigned n = FUNCTIONS; n-- > 0;) {
            const struct legacy_function *f = &function[n];

            if (f->io_base != 0 && port >= f->io_base && port < f->io_base + f->io_size) {
                owner = n + 1;
            }
        }
        require(set.owner[page] == owner);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t types[] = {1, 2, 3, 4, 5, 8, 9};
    struct input in = {.data = data, .left = size};
    uint8_t kind = (uint8_t)take(&in, 1);

    fake_clear(types[(kind & 0x7fU) % ARRAY_SIZE(types)]);
    fake.claimed_first = 0x600;
    memset(fake_ram, 0, 8UL * 4096);
    legacy_init(&set, "fuzz");
    for (unsigned n = 0; n < FUNCTIONS; n++) {
        struct legacy_setup setup = fake_setup(
            n, (kind & 0x80U) != 0 && n != 0 ? LEGACY_TRANSPORT_ADMIN : LEGACY_TRANSPORT_MMR);

        setup.ram = &ram;
        setup.inflight = n == 0 ? &inflight : NULL;
        setup.standby = n == 0 && (kind & 0x40U) != 0;
        require(legacy_add(&set, &function[n], &setup) == STATUS_OK);
    }
    while (in.left != 0) {
        step(&in);
        check();
    }
    check_ports();
    legacy_release(&set);
    for (unsigned n = 0; n < FUNCTIONS; n++) {
        require(!fake.vf[n].bus_master && !fake.line[n] && fake.vf[n].bad == 0);
    }
    return 0;
}
