/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/agent/vm_table.h"

#include "guest/agent/portal_client.h"

#include <string.h>

struct vm_table vm_table;

static const char *const names[VM_STATES + 1] = {
    "off",         "starting", "running", "paused",   "moving",
    "handed-over", "incoming", "ready",   "stopping", "unknown",
};

const char *vm_state_name(enum vm_state state)
{
    return names[state];
}

static enum vm_state read_state(const char *line)
{
    char value[16];
    unsigned state = 0;

    if (!agent_find_value(line, "state", value, sizeof(value))) {
        return VM_STATES;
    }
    while (state < VM_STATES && strcmp(names[state], value) != 0) {
        state++;
    }
    return (enum vm_state)state;
}

static bool read_flag(const char *line, const char *key)
{
    char value[8];

    return agent_find_value(line, key, value, sizeof(value)) && strcmp(value, "yes") == 0;
}

struct vm_entry *vm_table_find(const char *name)
{
    for (uint32_t i = 0; i < vm_table.count; i++) {
        if (strcmp(vm_table.vm[i].name, name) == 0) {
            return &vm_table.vm[i];
        }
    }
    return NULL;
}

struct vm_entry *vm_table_only(void)
{
    struct vm_entry *only = NULL;

    for (uint32_t i = 0; i < vm_table.count; i++) {
        if (!vm_table.vm[i].service) {
            if (only != NULL) {
                return NULL;
            }
            only = &vm_table.vm[i];
        }
    }
    return only;
}

/* The tag of a question: VM + 1, or 0 for 'hello'. They are answered in order. What an older
 * session said of the VMs stays until each is told anew: they are the same ones. */
void vm_table_ask(void)
{
    vm_table.known = false;
    (void)portal_ask(PORTAL_ASKER_TABLE, 0, "hello");
}

static void take_vm(uint32_t index, const char *answer)
{
    struct vm_entry vm = {.state = read_state(answer),
                          .index = index,
                          .cpus = (uint32_t)agent_find_number(answer, "cpus"),
                          .memory = agent_find_number(answer, "memory"),
                          .vfs = (uint32_t)agent_find_number(answer, "vfs"),
                          .migrate = read_flag(answer, "migrate"),
                          .incoming = read_flag(answer, "incoming"),
                          .service = read_flag(answer, "service")};

    struct vm_entry *old;

    vm.runs = vm.state == VM_RUNNING || vm.state == VM_MOVING;
    if (!agent_find_value(answer, "vm", vm.name, sizeof(vm.name))) {
        return;
    }
    old = vm_table_find(vm.name);
    if (old != NULL) {
        *old = vm;
    } else if (vm_table.count < VM_TABLE_MAX) {
        vm_table.vm[vm_table.count++] = vm;
    }
}

void vm_table_answered(const char *answer)
{
    static uint32_t vms, asked;

    if (strncmp(answer, "ok", 2) != 0) {
        agent_say("the portal: %s", answer);
        vm_table.known = true; /* those that there are */
        return;
    }
    if (agent_find_value(answer, "portolan", vm_table.portolan, sizeof(vm_table.portolan))) {
        vms = (uint32_t)agent_find_number(answer, "vms");
        asked = 0;
    } else {
        take_vm(asked - 1, answer);
    }
    if (asked < vms && asked < VM_TABLE_MAX) {
        (void)portal_ask(PORTAL_ASKER_TABLE, 0, "vm %u", asked++);
    } else {
        vm_table.known = true;
    }
}

struct vm_entry *vm_table_event(const char *line, enum vm_state *before)
{
    char name[VM_NAME_MAX];
    struct vm_entry *vm =
        agent_find_value(line, "vm", name, sizeof(name)) ? vm_table_find(name) : NULL;

    if (vm != NULL) {
        *before = vm->state;
        vm->state = read_state(line);
    }
    return vm;
}
