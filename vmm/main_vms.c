/* SPDX-License-Identifier: BSD-2-Clause */

#include "vmm/base/log.h"
#include "vmm/console/console.h"
#include "vmm/host/smp.h"
#include "vmm/host/timer.h"
#include "vmm/main.h"
#include "vmm/migrate/migrate.h"
#include "vmm/portal/portal_vm.h"
#include "vmm/svm/svm.h"
#include "vmm/vf/vf.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/checkpoint.h"
#include "vmm/vm/model.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_edge.h"
#include "vmm/vmx/vmx.h"

/* A UART's FIFO of 16 characters fills in 1.4 ms at 115200 baud. */
#define SERVICE_PERIOD_NS 1000000U

static const struct backend *const backends[] = {&svm_backend, &vmx_backend};
static void (*idle_action)(void);
static bool was_busy = true; /* so that a boot without VMs counts as having become idle */

void main_create_vms(void)
{
    if (main_config()->vm_count == 0) {
        return;
    }
    if (backend_choose(backends, ARRAY_SIZE(backends)) != STATUS_OK) {
        log_warn("no VM is started: this CPU has neither SVM nor VMX with all that VMs need; the "
                 "configuration of docs/examples/report.cfg tells what is missing");
        return;
    }
    model_init();
    vm_create_all(main_config());
    if (migrate_create(main_config()) != STATUS_OK) {
        log_warn("VFs cannot be saved or moved: no memory for their records");
    }
    portal_create();
    vf_check_isolation(main_config()->vmm.unsafe_dma);
}

static void start_vms(void)
{
    for (unsigned i = 0; i < vm_count(); i++) {
        struct vm *vm = vm_by_index(i);

        if (vm->config->autostart) {
            (void)(vm->config->incoming ? vm_await(vm) : vm_start(vm));
        }
    }
}

static bool waits_for_operator(void)
{
    for (unsigned i = 0; i < vm_count(); i++) {
        if (!vm_by_index(i)->config->autostart) {
            return true;
        }
    }
    return false;
}

static void poll_migration(void)
{
    int vm = migrate_poll();

    if (vm >= 0 && vm_request(vm_by_index((unsigned)vm), VM_REQUEST_MIGRATE) != STATUS_OK) {
        migrate_cancel();
    }
}

/* On CPU 0, from its idle loop or between two exits of the vCPU that it runs. */
static uint64_t serve(uint64_t now)
{
    bool busy = vm_running() > 0;

    (void)console_poll(now);
    vf_poll_faults();
    checkpoint_poll();
    poll_migration();
    portal_poll();
    if (was_busy && !busy) {
        idle_action();
    }
    was_busy = busy;
    return now + SERVICE_PERIOD_NS;
}

void main_serve(void (*finish)(void))
{
    idle_action = finish;
    start_vms();
    /* VMs that wait to be started by hand are no reason to switch the machine off at once. */
    was_busy = vm_running() > 0 || !waits_for_operator();
    timer_set_service(serve);
    smp_idle();
}
