/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/portal/fake_machine.h"

#include "vmm/base/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_machine fake;
struct portal fake_portal;

#define must(truth)                                                           \
    do {                                                                      \
        if (!(truth)) {                                                       \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #truth); \
            abort();                                                          \
        }                                                                     \
    } while (0)

static const char *const names[FAKE_VMS] = {"a", "b", "s", "p"};
static uint8_t stream[FAKE_STREAM], record[FAKE_RECORD];

static bool is(const struct vm *vm, const char *state)
{
    return strcmp(vm->state, state) == 0;
}

void fake_start(void)
{
    memset(&fake, 0, offsetof(struct fake_machine, ring));
    memset(fake.window, 0, sizeof(fake.window));
    fake.pause_after = fake.progress = fake.data_lasts = fake.data_gone = 0;
    fake.fails = STATUS_OK;
    fake.ends_at_once = true;
    for (unsigned i = 0; i < FAKE_VMS; i++) {
        fake.vm[i].state = i == VM_B ? "off" : "running";
        fake.vm[i].record = PORTAL_WHOLE;
        fake.vm[i].order = VM_MOVE_NONE;
    }
    for (unsigned i = 0; i < FAKE_STREAM; i++) {
        stream[i] = (uint8_t)(i * 7);
        record[i % FAKE_RECORD] = (uint8_t)(i * 3);
    }
    memset(&fake_portal, 0, sizeof(fake_portal));
    portal_function_reset(&fake.function);
    portal_init(&fake_portal, fake.ring);
}

bool fake_orders_end(void)
{
    bool ended = false;

    for (unsigned i = 0; i < FAKE_VMS; i++) {
        ended |= fake.vm[i].busy;
        fake.vm[i].busy = false;
    }
    return ended;
}

void fake_settle(void)
{
    for (unsigned i = 0; i < 20; i++) {
        (void)portal_run(&fake_portal);
        (void)fake_orders_end();
    }
    /* Nobody waits for a VM that nobody has. */
    must(fake_portal.move.open || !is(&fake.vm[VM_A], "moving"));
    for (unsigned i = 0; i < FAKE_VMS; i++) {
        must(!fake.vm[i].exposed || (fake_portal.move.open && fake_portal.move.vm == i));
    }
    must(fake_portal.move.open || !fake.vm[VM_A].tracked || is(&fake.vm[VM_A], "handed-over") ||
         is(&fake.vm[VM_A], "off"));
}

/* ---- The function ---- */

void portal_edge_look(struct portal_look *look)
{
    portal_function_look(&fake.function, look);
}

void portal_edge_tell(uint32_t session, uint32_t taken, uint32_t come, bool ended)
{
    portal_function_tell(&fake.function, session, taken, come, ended);
}

bool portal_edge_must_pause(void)
{
    static unsigned steps;

    return fake.pause_after != 0 && ++steps % fake.pause_after == 0;
}

static void set_window(uint64_t offset, uint64_t bytes, uint8_t value)
{
    must(bytes != 0 && (offset | bytes) % PAGE_SIZE == 0 &&
         range_fits(offset, bytes, PORTAL_WINDOW));
    memset(fake.window + offset / PAGE_SIZE, value, bytes / PAGE_SIZE);
}

enum status portal_edge_show(unsigned vm, uint64_t address, uint64_t bytes, uint64_t offset,
                             bool writable)
{
    must(portal_edge_ram(vm, address, (uint32_t)bytes) != NULL);
    must(!writable || is(&fake.vm[vm], "incoming"));
    set_window(offset, bytes, writable ? 2 : 1);
    return STATUS_OK;
}

void portal_edge_hide(uint64_t offset, uint64_t bytes)
{
    set_window(offset, bytes, 0);
}

/* ---- VMs ---- */

bool portal_edge_vm(unsigned vm, struct portal_vm *info)
{
    if (vm >= FAKE_VMS) {
        return false;
    }
    *info = (struct portal_vm){.vm = &fake.vm[vm],
                               .name = names[vm],
                               .state = fake.vm[vm].state,
                               .cpus = 1,
                               .vfs = vm == VM_A || vm == VM_B ? FAKE_VFS : 0,
                               .memory = FAKE_RAM,
                               .service = vm == VM_S,
                               .migrates = vm == VM_A,
                               .incoming = vm == VM_B,
                               .resets = fake.vm[vm].resets,
                               .powerdowns = fake.vm[vm].powerdowns};
    return true;
}

void portal_edge_vf(unsigned vm, unsigned vf, struct portal_vf *info)
{
    must(vm <= VM_B && vf < FAKE_VFS);
    *info = (struct portal_vf){.pf = 0x0108, .number = (uint16_t)vf, .devfn = 0x18, .type = 2};
}

enum status portal_edge_command(unsigned vm, enum portal_command command)
{
    must(vm < FAKE_VMS && command <= PORTAL_AWAIT);
    fake.vm[vm].commands |= 1U << command;
    if (command == PORTAL_AWAIT) {
        if (vm != VM_B || !is(&fake.vm[vm], "off")) {
            return STATUS_STATE;
        }
        fake.vm[vm].state = "incoming";
    }
    return STATUS_OK;
}

void portal_edge_progress(unsigned vm, const char *text)
{
    must(vm < FAKE_VMS && strlen(text) < PORTAL_LINE_MAX);
    fake.progress++;
}

bool portal_edge_run(unsigned vm, unsigned i, struct vfio_user_area *run)
{
    must(vm < FAKE_VMS);
    *run = (struct vfio_user_area){i * FAKE_RAM, FAKE_RAM / 2};
    return i < 2;
}

void portal_edge_expose(unsigned vm, bool exposed)
{
    must(vm < FAKE_VMS && vm != VM_S);
    fake.vm[vm].exposed = exposed;
}

uint8_t *portal_edge_ram(unsigned vm, uint64_t address, uint32_t size)
{
    must(vm < FAKE_VMS);
    if (!fake.vm[vm].exposed) {
        return NULL;
    }
    if (range_fits(address, size, FAKE_RAM / 2)) {
        return fake.vm[vm].ram + address;
    }
    return address >= FAKE_RAM && range_fits(address - FAKE_RAM, size, FAKE_RAM / 2)
               ? fake.vm[vm].ram + FAKE_RAM / 2 + (address - FAKE_RAM)
               : NULL;
}

void portal_edge_collect(unsigned vm, uint64_t first, uint32_t count, uint64_t *bitmap)
{
    must(vm == VM_A && fake.vm[vm].tracked && !fake.vm[vm].busy && first % 64 == 0 && count != 0);
    for (uint32_t i = 0; i < count; i++) {
        bitmap[i] = first / 64 + i;
    }
}

/* ---- Orders: which state each wants, and leads to; NULL: any, the same ---- */

static const struct {
    const char *from, *to;
} effects[VM_MOVE_ORDERS] = {
    [VM_MOVE_TRACK] = {NULL,       NULL      },
      [VM_MOVE_UNTRACK] = {NULL,       NULL      },
    [VM_MOVE_REPORT] = {NULL,       NULL      },
      [VM_MOVE_STOP] = {"running",  "moving"  },
    [VM_MOVE_SAVE_VF] = {"moving",   NULL      },
      [VM_MOVE_GO_ON] = {"moving",   "running" },
    [VM_MOVE_LOAD_VF] = {"incoming", NULL      },
      [VM_MOVE_LOAD] = {"incoming", "ready"   },
    [VM_MOVE_RUN] = {"ready",    "running" },
      [VM_MOVE_DISCARD] = {"incoming", "incoming"},
};

enum status vm_move_begin(struct vm *vm, enum vm_move_order order, uint32_t vf)
{
    must((vm == &fake.vm[VM_A] || vm == &fake.vm[VM_B]) && order != VM_MOVE_NONE &&
         order < VM_MOVE_ORDERS && !vm->busy);
    if ((order != VM_MOVE_SAVE_VF && order != VM_MOVE_LOAD_VF ? 0 : vf) >= FAKE_VFS) {
        return STATUS_NOT_FOUND;
    }
    if ((effects[order].from != NULL && !is(vm, effects[order].from)) ||
        (order == VM_MOVE_SAVE_VF && vm->record != PORTAL_WHOLE)) {
        return STATUS_STATE;
    }
    /* What is not allowed must not be tried: these are the portal's own to know. */
    must(order != VM_MOVE_TRACK || !vm->tracked);
    must((order != VM_MOVE_UNTRACK && order != VM_MOVE_REPORT) || vm->tracked);
    vm->busy = true;
    vm->order = order;
    vm->vf = vf;
    return STATUS_OK;
}

static enum status act(struct vm *vm)
{
    if (vm->order == VM_MOVE_LOAD &&
        (vm->loaded != (1U << FAKE_VFS) - 1 || vm->added != FAKE_STREAM)) {
        return STATUS_INVALID;
    }
    if (vm->order == VM_MOVE_LOAD_VF && (vm->record != vm->vf || vm->record_added != FAKE_RECORD)) {
        vm->record = PORTAL_WHOLE;
        return STATUS_INVALID;
    }
    if (effects[vm->order].to != NULL) {
        vm->state = effects[vm->order].to;
    }
    switch ((unsigned)vm->order) {
    case VM_MOVE_TRACK:
    case VM_MOVE_UNTRACK:
        vm->tracked = vm->order == VM_MOVE_TRACK;
        break;
    case VM_MOVE_REPORT:
        vm->reports++;
        break;
    case VM_MOVE_SAVE_VF:
        vm->record = vm->vf;
        break;
    case VM_MOVE_LOAD_VF:
        vm->loaded |= 1U << vm->vf;
        vm->record = PORTAL_WHOLE;
        break;
    case VM_MOVE_DISCARD:
        vm->loaded = vm->added = 0;
        break;
    default:
        break;
    }
    vm->order = VM_MOVE_NONE; /* it has been done */
    return STATUS_OK;
}

/* What undoes a move fails only if somebody has stopped the VM. */
static enum status fail(struct vm *vm)
{
    if (vm->order == VM_MOVE_UNTRACK || vm->order == VM_MOVE_GO_ON || vm->order == VM_MOVE_RUN ||
        vm->order == VM_MOVE_DISCARD) {
        vm->state = "off";
        vm->tracked = vm->exposed = false;
        memset(fake.window, 0, sizeof(fake.window));
    }
    return fake.fails;
}

bool vm_move_done(struct vm *vm, enum status *status)
{
    vm->busy &= !fake.ends_at_once;
    if (vm->busy) {
        return false;
    }
    if (vm->order != VM_MOVE_NONE) {
        vm->result = fake.fails != STATUS_OK ? fail(vm) : act(vm);
        fake.fails = STATUS_OK;
        vm->order = VM_MOVE_NONE;
    }
    *status = vm->result;
    return true;
}

/* ---- Data ---- */

const uint8_t *vm_move_data(struct vm *vm, uint32_t vf, uint32_t *size)
{
    bool whole = vf == PORTAL_WHOLE;

    must(vm == &fake.vm[VM_A]);
    if (whole ? !is(vm, "moving") && !is(vm, "handed-over") : vm->record != vf) {
        return NULL;
    }
    if (fake.data_lasts != 0 && --fake.data_lasts == 0) {
        vm->state = "off";
        vm->record = PORTAL_WHOLE;
    }
    *size = (whole ? FAKE_STREAM : FAKE_RECORD) - fake.data_gone;
    return whole ? stream : record;
}

enum status vm_move_data_add(struct vm *vm, uint32_t vf, const uint8_t *bytes, uint32_t size)
{
    bool whole = vf == PORTAL_WHOLE;
    uint32_t *added = whole ? &vm->added : &vm->record_added;

    must(vm == &fake.vm[VM_B] && size != 0);
    if (!is(vm, "incoming") || (!whole && vm->record != vf && vm->record != PORTAL_WHOLE)) {
        return STATUS_STATE;
    }
    if (!whole && vm->record == PORTAL_WHOLE) {
        vm->record = vf;
        vm->record_added = 0;
    }
    if (size > (whole ? FAKE_STREAM : FAKE_RECORD) - *added) {
        return STATUS_RANGE;
    }
    *added += size;
    return STATUS_OK;
}

void vm_move_data_clear(struct vm *vm, uint32_t vf)
{
    if (vf == PORTAL_WHOLE) {
        vm->added = 0;
    } else if (vm->record == vf) {
        vm->record = PORTAL_WHOLE;
    }
}

enum status portal_edge_text(unsigned vm, uint32_t vf, uint32_t driver, char *text)
{
    must(vm < FAKE_VMS && vm != VM_S && (vf == PORTAL_WHOLE || vf < FAKE_VFS));
    (void)format(text, PORTAL_TEXT_MAX, "text of %s %u %x", names[vm], vf, driver);
    return STATUS_OK;
}

enum status vm_move_hand_over(struct vm *vm)
{
    must(is(vm, "moving"));
    vm->state = "handed-over";
    return STATUS_OK;
}

enum status vm_move_confirm(struct vm *vm)
{
    if (!is(vm, "handed-over")) {
        return STATUS_STATE;
    }
    vm->state = "off";
    return STATUS_OK;
}
