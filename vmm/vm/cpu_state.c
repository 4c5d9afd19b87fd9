/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/cpu_state.h"

#define ATTRIBUTES_CODE 0x9bU
#define ATTRIBUTES_DATA 0x93U
#define ATTRIBUTES_LDT  0x82U
#define ATTRIBUTES_TSS  0x8bU
#define REAL_LIMIT      0xffffU

static const uint16_t reset_attributes[STATE_SEGMENTS] = {
    [STATE_ES] = ATTRIBUTES_DATA,  [STATE_CS] = ATTRIBUTES_CODE, [STATE_SS] = ATTRIBUTES_DATA,
    [STATE_DS] = ATTRIBUTES_DATA,  [STATE_FS] = ATTRIBUTES_DATA, [STATE_GS] = ATTRIBUTES_DATA,
    [STATE_LDTR] = ATTRIBUTES_LDT, [STATE_TR] = ATTRIBUTES_TSS,
};

void state_set_reset(struct vcpu_state *state)
{
    *state = (struct vcpu_state){
        .rip = 0xfff0,
        .rflags = RFLAGS_FIXED,
        .cr0 = CR0_CD | CR0_NW | CR0_ET,
        .dr6 = DR6_RESET,
        .dr7 = DR7_RESET,
        .pat = PAT_RESET,
    };
    for (unsigned i = 0; i < STATE_SEGMENTS; i++) {
        state->segment[i].limit = REAL_LIMIT;
        state->segment[i].attributes = reset_attributes[i];
    }
    state->segment[STATE_CS].selector = 0xf000;
    state->segment[STATE_CS].base = 0xffff0000;
}

void state_set_startup(struct vcpu_state *state, uint8_t vector)
{
    state_set_reset(state);
    state->rip = 0;
    state->segment[STATE_CS].selector = (uint16_t)(vector << 8);
    state->segment[STATE_CS].base = (uint64_t)vector << 12;
}
