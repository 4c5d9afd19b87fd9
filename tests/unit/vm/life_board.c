/* SPDX-License-Identifier: BSD-2-Clause */
/* What VMs of the tests have no screen, flash, portal and power button for; and who logs. */
#include "tests/unit/fakes/log.h"
#include "tests/unit/vm/life.h"
#include "vmm/vm/checkpoint.h"
#include "vmm/vm/dirty.h"
#include "vmm/vm/low_memory.h"
#include "vmm/vm/nvram.h"
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

enum status nvram_create(struct vm *vm)
{
    return STATUS_OK;
}

void nvram_destroy(struct vm *vm) {}

enum status nvram_begin(struct vm *vm, struct pc_config *config)
{
    return STATUS_OK;
}

void nvram_settle(struct vm *vm) {}

enum status service_create(struct vm *vm)
{
    return STATUS_OK;
}

void service_destroy(struct vm *vm) {}
void service_begin(struct vm *vm, struct pc_config *config) {}
void service_settle(struct vm *vm) {}

/* A button that was held, or is pressed now: time goes on. */
void pc_power_button(struct pc *pc, uint64_t now)
{
    const struct vm *vm = (const void *)((const char *)pc - offsetof(struct vm, pc));

    check(!__atomic_load_n(&vm->frozen, __ATOMIC_SEQ_CST));
    __atomic_fetch_add(&life.presses, 1, __ATOMIC_SEQ_CST);
}

void pc_nmi(struct pc *pc) {}

enum status rom_create(struct vm *vm)
{
    return STATUS_OK;
}

void rom_destroy(struct vm *vm) {}

enum status dirty_create(struct vm *vm)
{
    return STATUS_OK;
}

void dirty_destroy(struct vm *vm) {}

/* It is what is made last. */
enum status checkpoint_create(struct vm *vm)
{
    return life.last_status;
}

void checkpoint_destroy(struct vm *vm) {}

static _Thread_local struct cpu *this_cpu;

struct cpu *life_be(struct cpu *cpu)
{
    struct cpu *before = this_cpu;

    this_cpu = cpu;
    return before;
}

bool life_log_passes(void)
{
    struct guest_log *guest = this_cpu ? this_cpu->guest_log : NULL;
    uint64_t dropped;

    return !guest || guest_log_pass(guest, fake_log_now_ns, &dropped);
}
