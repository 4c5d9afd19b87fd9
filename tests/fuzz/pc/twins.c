/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two machines, one guest. One of them is saved now and then, filled with A5h, and built anew from
 * what was saved; the guest must not be able to tell. Or: a machine is loaded from state that
 * somebody made up, and must bear whatever the guest does then.
 */
#include "tests/fuzz/pc/guest.h"
#include "tests/unit/pc/fake_edge.h"
#include "vmm/pc/clock.h"
#include "vmm/state/state.h"

#include <stdio.h>
#include <string.h>

#define STREAM_MAX    16384U
#define require(what) guest_require(what, __LINE__)

static struct pc machines[2];
static struct fake_edge edges[2];
static uint8_t rams[2][FAKE_RAM_SIZE];
static uint8_t streams[2][STREAM_MAX];

static size_t save(const struct pc *pc, uint8_t *stream)
{
    struct state_writer w;

    state_writer_init(&w, stream, STREAM_MAX);
    state_put_all(&w, pc_sections, pc_section_count, pc->config.vcpu_count, pc);
    require(!state_overflowed(&w));
    return w.used;
}

static bool load(struct pc *pc, const uint8_t *stream, size_t size, bool must)
{
    struct state_reader r;

    state_reader_init(&r, stream, size);
    enum status status =
        state_get_all(&r, pc_sections, pc_section_count, pc->config.vcpu_count, pc);
    status = status == STATUS_OK ? state_end(&r) : status;
    if (status != STATUS_OK && must) {
        fprintf(stderr, "%s\n", r.problem);
    }
    return status == STATUS_OK;
}

/* Does a row of SECTION hold the byte AT? */
static bool is_held(const struct section *section, size_t at)
{
    for (uint32_t f = 0; f < section->fields; f++) {
        const struct field *row = &section->field[f];

        for (uint32_t i = 0; i < row->count; i++) {
            if (at - row->offset - (size_t)row->stride * i < row->width) {
                return true;
            }
        }
    }
    /* The one derived value that lies within a structure of state. */
    return section == &pic_section && at == offsetof(struct pic_chip, lines);
}

/* What no row holds is padding, and zero: a member without a row would not be for long. */
static void check_rows(const struct pc *pc)
{
    for (unsigned i = 0; i < pc_section_count; i++) {
        const struct section_place *place = &pc_sections[i];
        uint32_t instances = place->instances != 0 ? place->instances : GUEST_VCPUS;

        for (size_t n = 0; n < instances * (size_t)place->section->size; n++) {
            size_t instance = n / place->section->size;
            size_t at = n % place->section->size;
            const uint8_t *byte = (const uint8_t *)pc + place->offset + instance * place->stride;

            require(byte[at] == 0 || is_held(place->section, at));
        }
    }
}

/* Save, fill, load, derive; save again: the same bytes, and only kicks reach the VM. */
static void checkpoint(struct pc *pc)
{
    struct fake_edge before;
    size_t size = save(pc, streams[0]);

    pc_fill(pc, 0xa5);
    memcpy(&before, &fake_edge, sizeof(before));
    require(load(pc, streams[0], size, true));
    pc_derive(pc);
    memcpy(before.kicks, fake_edge.kicks, sizeof(before.kicks));
    before.deadline_changes = fake_edge.deadline_changes;
    require(memcmp(&before, &fake_edge, sizeof(before)) == 0);
    require(save(pc, streams[1]) == size && memcmp(streams[0], streams[1], size) == 0);
}

static void compare_vcpus(void)
{
    for (unsigned vcpu = 0; vcpu < GUEST_VCPUS; vcpu++) {
        require(pc_vcpu_next_event(&machines[0], vcpu) == pc_vcpu_next_event(&machines[1], vcpu));
        require(pc_interrupt_pending(&machines[0], vcpu) ==
                pc_interrupt_pending(&machines[1], vcpu));
        require(pc_interrupt_blocked_by_cr8(&machines[0], vcpu) ==
                pc_interrupt_blocked_by_cr8(&machines[1], vcpu));
    }
}

/* What the VM was asked for; kicks may be more after a load, never missing ones. */
static void compare_edges(void)
{
    struct fake_edge *a = &edges[0];
    struct fake_edge *b = &edges[1];

    for (unsigned vcpu = 0; vcpu < GUEST_VCPUS; vcpu++) {
        require(a->kicks[vcpu] >= b->kicks[vcpu]);
    }
    require(memcmp(a->nmis, b->nmis, sizeof(a->nmis)) == 0);
    require(memcmp(a->inits, b->inits, sizeof(a->inits)) == 0);
    require(memcmp(a->sipis, b->sipis, sizeof(a->sipis)) == 0);
    require(a->resets == b->resets && a->power_offs == b->power_offs);
    require(a->debug_exits == b->debug_exits && a->debug_exit_value == b->debug_exit_value);
    require(a->console_length == b->console_length);
    require(memcmp(a->console, b->console, sizeof(a->console)) == 0);
    require(a->pci_devfn == b->pci_devfn && a->pci_offset == b->pci_offset);
    require(a->pci_written == b->pci_written);
    require(a->ram_accesses == b->ram_accesses && memcmp(a->ram, b->ram, FAKE_RAM_SIZE) == 0);
    require(a->locked == 0 && a->bad_locking == 0);
}

static void compare(const struct guest *guests)
{
    require(guests[0].seen == guests[1].seen);
    require(guests[0].now == guests[1].now && guests[0].left == guests[1].left);
    require(pc_next_event(&machines[0]) == pc_next_event(&machines[1]));
    compare_vcpus();
    compare_edges();
}

static void run_vcpus(struct pc *pc, uint64_t now)
{
    for (unsigned vcpu = 0; vcpu < GUEST_VCPUS; vcpu++) {
        pc_vcpu_run(pc, vcpu, now);
    }
}

/* The byte before each step says whether the first machine is built anew after it. */
static void run_twins(const uint8_t *data, size_t size)
{
    struct guest guests[2];

    for (unsigned i = 0; i < 2; i++) {
        guest_begin(&guests[i], &machines[i], data, size);
        memset(rams[i], 0, sizeof(rams[i]));
        fake_edge.ram = rams[i];
        edges[i] = fake_edge;
    }
    while (guests[0].left != 0) {
        for (unsigned i = 0; i < 2; i++) {
            uint8_t when = (uint8_t)guest_take(&guests[i], 1);

            fake_edge = edges[i];
            guest_step(&guests[i], (uint8_t)guest_take(&guests[i], 1));
            if ((when & 2U) != 0) {
                run_vcpus(&machines[i], guests[i].now);
            }
            if (i == 0 && (when & 7U) == 7) {
                checkpoint(&machines[0]);
            }
            edges[i] = fake_edge;
        }
        compare(guests);
    }
    size = save(&machines[0], streams[0]);
    check_rows(&machines[1]);
    require(save(&machines[1], streams[1]) == size && memcmp(streams[0], streams[1], size) == 0);
}

/* Give one element of the state of PC a value that its row allows. */
static void change(struct guest *g, struct pc *pc)
{
    const struct section_place *place = &pc_sections[guest_take(g, 1) % pc_section_count];
    const struct field *row = &place->section->field[guest_take(g, 1) % place->section->fields];
    uint32_t instances = place->instances != 0 ? place->instances : GUEST_VCPUS;
    uint8_t *at = (uint8_t *)pc + place->offset + guest_take(g, 1) % instances * place->stride;
    uint64_t index = guest_take(g, 2) % row->count;
    uint64_t value = guest_take(g, row->width);

    value = row->max == UINT64_MAX ? value : value % (row->max + 1);
    memcpy(at + row->offset + row->stride * index, &value, row->width);
}

static void run_made_up(const uint8_t *data, size_t size)
{
    struct guest guest;

    guest_begin(&guest, &machines[0], data, size);
    unsigned changes = (unsigned)guest_take(&guest, 1) % 16;
    for (unsigned i = 0; i < changes; i++) {
        change(&guest, &machines[0]);
    }
    size_t length = save(&machines[0], streams[0]);
    if (!load(&machines[0], streams[0], length, false)) {
        return;
    }
    guest.now = machines[0].board.now;
    pc_derive(&machines[0]);
    while (guest.left != 0) {
        guest_step(&guest, (uint8_t)guest_take(&guest, 1));
        require(pc_next_event(&machines[0]) > guest.now);
        run_vcpus(&machines[0], guest.now);
    }
    require(fake_edge.locked == 0 && fake_edge.bad_locking == 0);
    checkpoint(&machines[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    if ((data[0] & 3U) == 0) {
        run_made_up(data + 1, size - 1);
    } else {
        run_twins(data + 1, size - 1);
    }
    return 0;
}
