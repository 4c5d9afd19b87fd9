/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/portal/portal_edge.h by the machine's VMs. */
#include "vmm/portal/portal_vm.h"

#include "vmm/base/log.h"
#include "vmm/host/instructions.h"
#include "vmm/host/pool.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"
#include "vmm/portal/portal_edge.h"
#include "vmm/vm/service.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_edge.h"
#include "vmm/vm/vm_memory.h"

#define TURN_MS 1U /* what one exit may take, too */

static struct portal *portal; /* NULL: there is no service VM */
static struct vm *service;
static uint64_t turn_began; /* TSC */
static uint32_t turns;      /* begun and ended: odd while there is one; atomic */
static uint32_t starts;     /* bit VM: to be started; atomic */
static uint32_t awaits;     /* likewise, to be made as vm_move_await() does */

_Static_assert(PORTAL_VMS_MAX >= CONFIG_VMS_MAX && PORTAL_CHANNELS > CONFIG_VM_VFS_MAX + 1, "");
_Static_assert(PORTAL_TEXT_MAX >= VM_MOVE_TEXT_MAX && PORTAL_WHOLE == VM_MOVE_WHOLE, "");

void portal_create(void)
{
    for (unsigned i = 0; i < vm_count() && !service; i++) {
        service = vm_by_index(i)->config->service ? vm_by_index(i) : NULL;
    }
    if (!service) {
        return;
    }
    portal = pool_allocate(sizeof(*portal), PAGE_SIZE);
    if (!portal) {
        log_warn("VM '%s' has no portal that answers: no memory for it", service->config->name);
        return;
    }
    portal_init(portal, service->rings);
}

static void ring(void)
{
    vcpu_request(service->vcpu[0], VCPU_REQUEST_PORTAL);
}

/* ---- When it is looked at ---- */

/* Who stops a VM waits for the end of the turn: only in one may the portal look at others. */
static void begin_turn(void)
{
    __atomic_fetch_add(&turns, 1, __ATOMIC_SEQ_CST);
    turn_began = cpu_read_tsc();
}

static void end_turn(void)
{
    __atomic_fetch_add(&turns, 1, __ATOMIC_SEQ_CST);
}

void vm_edge_portal(unsigned vm)
{
    if (!portal || vm != service->index) {
        return;
    }
    begin_turn();
    bool more = portal_run(portal);

    end_turn();
    if (more) {
        ring();
    }
}

void vm_edge_portal_ended(unsigned vm)
{
    bool ended = !portal || vm != service->index;

    while (!ended) {
        begin_turn();
        ended = portal_end(portal);
        end_turn();
        timer_service();
        cpu_relax();
    }
}

void vm_edge_move_ended(unsigned vm)
{
    if (portal) {
        ring();
    }
}

/* On a CPU of that VM. */
void vm_edge_hide(unsigned vm)
{
    if (!portal || vm == service->index) {
        return;
    }
    service_hide(service, 0, PORTAL_WINDOW);
    uint32_t now = __atomic_load_n(&turns, __ATOMIC_SEQ_CST);

    while ((now & 1) != 0 && __atomic_load_n(&turns, __ATOMIC_SEQ_CST) == now) {
        timer_service(); /* the turn may be waiting for a device */
        cpu_relax();
    }
}

/* What is said of what comes of it is the service VM's doing. */
static void order_by_service(struct vm *vm)
{
    __atomic_store_n(&vm->by_service, true, __ATOMIC_RELAXED);
}

/* What the service VM wants of VMs that are off; vm_start() and vm_await() are CPU 0's alone. */
static void start_all(uint32_t *wanted, bool without_program)
{
    uint32_t left = __atomic_exchange_n(wanted, 0, __ATOMIC_SEQ_CST);

    for (; left != 0; left &= left - 1) {
        struct vm *vm = vm_by_index((unsigned)__builtin_ctz(left));

        order_by_service(vm);
        if ((without_program ? vm_move_await(vm) : vm_start(vm)) != STATUS_OK) {
            guest_log(&vm->orders_log, LOG_WARN,
                      "not started, as the service VM wants: it is not off");
        }
    }
}

void portal_poll(void)
{
    start_all(&starts, false);
    start_all(&awaits, true);
    if (portal && portal_has_events(portal)) {
        ring();
    }
}

enum status portal_wish(enum portal_wish wish, unsigned vm, const char *to)
{
    if (!portal || vm_state(service) != VM_RUNNING) {
        return STATUS_NOT_FOUND;
    }
    enum status status = portal_post(portal, wish, vm, to);

    if (status == STATUS_OK) {
        ring();
    }
    return status;
}

bool portal_edge_must_pause(void)
{
    return cpu_read_tsc() - turn_began >= time_facts()->tsc_khz * TURN_MS || timer_service_is_due();
}

/* ---- The function ---- */

void portal_edge_look(struct portal_look *look)
{
    pc_portal_look(&service->pc, look);
}

void portal_edge_tell(uint32_t session, uint32_t taken, uint32_t come, bool ended)
{
    pc_portal_tell(&service->pc, session, taken, come, ended);
}

enum status portal_edge_show(unsigned vm, uint64_t address, uint64_t bytes, uint64_t offset,
                             bool writable)
{
    return service_show(service, vm_by_index(vm), gpa(address), bytes, offset, writable);
}

void portal_edge_hide(uint64_t offset, uint64_t bytes)
{
    service_hide(service, offset, bytes);
}

/* ---- VMs ---- */

bool portal_edge_vm(unsigned index, struct portal_vm *info)
{
    struct vm *vm = vm_by_index(index);

    if (!vm) {
        return false;
    }
    *info = (struct portal_vm){
        .vm = vm,
        .name = vm->config->name,
        .state = vm_move_state_name(vm),
        .cpus = vm->vcpu_count,
        .vfs = vm->config->vfs.count,
        .memory = vm->config->memory,
        .service = vm->config->service != 0,
        .migrates = vm->config->migrate != 0,
        .incoming = vm->config->incoming != 0,
        .resets = __atomic_load_n(&vm->resets, __ATOMIC_RELAXED),
        .powerdowns = __atomic_load_n(&vm->powerdowns, __ATOMIC_RELAXED),
    };
    return true;
}

/* While it does not run nobody knows which slots were chosen for it. */
void portal_edge_vf(unsigned index, unsigned vf, struct portal_vf *info)
{
    const struct vm *vm = vm_by_index(index);
    const struct config_vf *place = &vm->config->vfs.vf[vf];
    const struct legacy_setup *setup =
        vm_is_up(vm) && vf < vm->vfs.legacy.count ? &vm->vfs.legacy.function[vf]->setup : NULL;

    *info = (struct portal_vf){
        .pf = (uint16_t)(place->pf.bus << 8 | place->pf.devfn),
        .number = (uint16_t)place->index,
        .devfn = (uint8_t)((setup ? setup->slot : place->slot) << 3),
        .type = setup ? setup->type : 0,
    };
}

enum status portal_edge_command(unsigned index, enum portal_command command)
{
    static const char why[] = "the service VM wants it";
    struct vm *vm = vm_by_index(index);

    order_by_service(vm);
    switch (command) {
    case PORTAL_PAUSE:
        return vm_request(vm, VM_REQUEST_PAUSE);
    case PORTAL_RESUME:
        return vm_request(vm, VM_REQUEST_RESUME);
    case PORTAL_RESET:
        return vm_reset(vm, why);
    case PORTAL_POWERDOWN:
        return vm_press(vm, VM_PRESS_POWER);
    case PORTAL_STOP:
        return vm_stop(vm, why);
    case PORTAL_AWAIT:
        if (!vm->config->incoming) {
            return STATUS_UNSUPPORTED;
        }
        break;
    case PORTAL_START:
        break;
    }
    if (vm_state(vm) != VM_STOPPED) {
        return STATUS_STATE;
    }
    __atomic_fetch_or(command == PORTAL_AWAIT ? &awaits : &starts, 1U << index, __ATOMIC_SEQ_CST);
    return STATUS_OK;
}

void portal_edge_progress(unsigned vm, const char *text)
{
    guest_log(&vm_by_index(vm)->orders_log, LOG_INFO, "on its way: %s", text);
}

/* ---- Memory ---- */

bool portal_edge_run(unsigned vm, unsigned i, struct vfio_user_area *run)
{
    struct ram_run memory;

    if (!vm_memory_run(vm_by_index(vm), i, &memory)) {
        return false;
    }
    *run = (struct vfio_user_area){memory.at.raw, memory.size};
    return true;
}

void portal_edge_expose(unsigned vm, bool exposed)
{
    __atomic_store_n(&vm_by_index(vm)->exposed, exposed, __ATOMIC_SEQ_CST);
}

uint8_t *portal_edge_ram(unsigned index, uint64_t address, uint32_t size)
{
    const struct vm *vm = vm_by_index(index);

    return __atomic_load_n(&vm->exposed, __ATOMIC_SEQ_CST)
               ? vm_memory_pointer(vm, gpa(address), size)
               : NULL;
}

void portal_edge_collect(unsigned vm, uint64_t first, uint32_t count, uint64_t *bitmap)
{
    vm_memory_collect(vm_by_index(vm), first, count, bitmap);
}

/* ---- Moves ---- */

enum status portal_edge_text(unsigned vm, uint32_t vf, uint32_t driver, char *text)
{
    return vf == PORTAL_WHOLE ? vm_move_text(vm_by_index(vm), text)
                              : vm_move_vf_text(vm_by_index(vm), vf, driver, text);
}
