/* SPDX-License-Identifier: BSD-2-Clause */
/* What VMs of the tests have no screen, portal and power button for. */
#include "tests/unit/vm/life.h"
#include "vmm/vm/service.h"
#include "vmm/vm/video.h"

enum status video_create(struct vm *vm)
{
    return STATUS_OK;
}

void video_destroy(struct vm *vm) {}

enum status video_begin(struct vm *vm, struct pc_config *config)
{
    return STATUS_OK;
}

void video_settle(struct vm *vm) {}

enum status service_create(struct vm *vm)
{
    return STATUS_OK;
}

void service_destroy(struct vm *vm) {}
void service_begin(struct vm *vm, struct pc_config *config) {}
void service_settle(struct vm *vm) {}
void pc_power_button(struct pc *pc, uint64_t now) {}
