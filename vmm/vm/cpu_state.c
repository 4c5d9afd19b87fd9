/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/cpu_state.h"

#include <string.h>

#define REAL_LIMIT 0xffffU

static const uint16_t reset_attributes[STATE_SEGMENTS] = {
    [STATE_ES] = SEGMENT_DATA16, [STATE_CS] = SEGMENT_CODE16, [STATE_SS] = SEGMENT_DATA16,
    [STATE_DS] = SEGMENT_DATA16, [STATE_FS] = SEGMENT_DATA16, [STATE_GS] = SEGMENT_DATA16,
    [STATE_LDTR] = SEGMENT_LDT,  [STATE_TR] = SEGMENT_TSS,
};

/* INIT leaves from STAR to the time alone, the FPU and the model registers. */
void state_set_init(struct cpu_state *state)
{
    uint64_t caches = state->cr0 & (CR0_CD | CR0_NW);

    memset(state, 0, offsetof(struct cpu_state, star));
    memset(&state->cpl, 0, offsetof(struct cpu_state, model) - offsetof(struct cpu_state, cpl));
    state->rip = 0xfff0;
    state->rflags = RFLAGS_FIXED;
    state->cr0 = caches | CR0_ET;
    state->dr6 = DR6_RESET;
    state->dr7 = DR7_RESET;
    memset(state->fpu.dr, 0, sizeof(state->fpu.dr));
    for (unsigned i = 0; i < STATE_SEGMENTS; i++) {
        state->segment[i].limit = REAL_LIMIT;
        state->segment[i].attributes = reset_attributes[i];
    }
    state->segment[STATE_CS].selector = 0xf000;
    state->segment[STATE_CS].base = 0xffff0000;
}

void state_set_reset(struct cpu_state *state)
{
    memset(state, 0, sizeof(*state));
    fpu_set_reset(&state->fpu);
    state->cr0 = CR0_CD | CR0_NW;
    state->pat = PAT_RESET;
    state_set_init(state);
}

void state_set_startup(struct cpu_state *state, uint8_t vector)
{
    state->rip = 0;
    state->segment[STATE_CS].selector = (uint16_t)(vector << 8);
    state->segment[STATE_CS].base = (uint64_t)vector << 12;
    state->activity = VCPU_RUNNING;
}
