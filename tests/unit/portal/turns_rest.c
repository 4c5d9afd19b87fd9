/* SPDX-License-Identifier: BSD-2-Clause */
/* What portal_vm.c hands on to, and turns_test.c does not ask for. */
#include "vmm/portal/portal_vm.h"
#include "vmm/vm/service.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_memory.h"

#include <stdlib.h>

#define NOT_ASKED(type, name, ...) \
    type name(__VA_ARGS__)         \
    {                              \
        abort();                   \
    }

/* clang-format off */
NOT_ASKED(void, pc_portal_look, struct pc *pc, struct portal_look *look)
NOT_ASKED(void, pc_portal_tell, struct pc *pc, uint32_t session, uint32_t taken, uint32_t come, bool ended)
NOT_ASKED(enum status, portal_post, struct portal *portal, enum portal_wish wish, unsigned vm, const char *to)
NOT_ASKED(enum status, service_show, struct vm *vm, const struct vm *other, gpa_t address, uint64_t bytes, uint64_t offset, bool writable)
NOT_ASKED(bool, vm_is_up, const struct vm *vm)
NOT_ASKED(void, vm_memory_collect, struct vm *vm, uint64_t first, uint32_t words, uint64_t *bitmap)
NOT_ASKED(void *, vm_memory_pointer, const struct vm *vm, gpa_t at, uint64_t size)
NOT_ASKED(bool, vm_memory_run, const struct vm *vm, unsigned i, struct ram_run *run)
NOT_ASKED(const char *, vm_move_state_name, const struct vm *vm)
NOT_ASKED(enum status, vm_move_text, struct vm *vm, char *text)
NOT_ASKED(enum status, vm_move_vf_text, struct vm *vm, uint32_t vf, uint32_t driver, char *text)
NOT_ASKED(enum status, vm_press, struct vm *vm, enum vm_press which)
NOT_ASKED(enum status, vm_reset, struct vm *vm, const char *why)
NOT_ASKED(enum status, vm_request, struct vm *vm, uint32_t request)
NOT_ASKED(enum status, vm_stop, struct vm *vm, const char *why)
