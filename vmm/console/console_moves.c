/* SPDX-License-Identifier: BSD-2-Clause */
/* What the console asks of VMs that go to other hosts: console_edge.h. */
#include "vmm/console/console.h"
#include "vmm/console/console_edge.h"
#include "vmm/portal/portal_vm.h"
#include "vmm/vm/vm.h"

#include <string.h>

enum status console_edge_vm_migrate(unsigned index, const char *to)
{
    const struct vm *vm = vm_by_index(index);
    bool cancel = strcmp(to, "cancel") == 0;

    if (!cancel && (vm_state(vm) != VM_RUNNING || vm_move_is_under_way(vm))) {
        return STATUS_STATE;
    }
    enum status status = portal_wish(cancel ? PORTAL_CANCEL : PORTAL_MIGRATE, index, to);

    if (status == STATUS_OK) {
        console_print("vm migrate %s: the service VM is told", vm->config->name);
    } else {
        console_print("vm migrate %s: %s", vm->config->name,
                      status == STATUS_NOT_FOUND ? "no service VM runs ('service = yes' in [vm])"
                                                 : "nobody in the service VM listens");
    }
    return status;
}

enum status console_edge_vm_resolve(unsigned index, bool here)
{
    struct vm *vm = vm_by_index(index);
    enum status status = vm_move_resolve(vm, here);

    if (status == STATUS_OK) {
        console_print("vm migrate %s: begun: %s", vm->config->name,
                      here ? "it runs here" : "it does not run here");
    }
    return status;
}
