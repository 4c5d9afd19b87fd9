/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ports of a PC that are a register and no device: system control port A (92h), reset control
 * (CF9h), the POST code and delay ports, and the SMBus host of the PM function, which has no
 * devices. 82371SB (PIIX3) 2.5; 82371AB (PIIX4) 11.3. Every function needs the pc lock.
 */
#ifndef PORTOLAN_VMM_PC_CHIPSET_H
#define PORTOLAN_VMM_PC_CHIPSET_H

#include "vmm/base/fields.h"
#include "vmm/base/types.h"

#define CHIPSET_PORT_RESET 0xcf9U
#define CHIPSET_SMB_BASE   0x700U /* where the SMBus host lies until the guest moves it */
#define CHIPSET_SMB_SIZE   0x10U

#define CHIPSET_RESET_VALUE 0x06U /* written to CF9h: reset CPU and system, now */

struct chipset_state {
    uint8_t reset_control;
    bool fast_reset; /* port 92h bit 0 as written */
    uint8_t post_code;
    uint8_t smb[CHIPSET_SMB_SIZE];
};

extern const struct section chipset_section; /* struct chipset_state */

enum chipset_request { CHIPSET_NOTHING, CHIPSET_RESET };

/* CF9h: a reset happens when bit 2 rises. */
enum chipset_request chipset_write_reset(struct chipset_state *chipset, uint8_t value);

/* Port 92h: a reset happens when bit 0 rises. A20 belongs to the i8042's output port. */
uint8_t chipset_read_port_a(const struct chipset_state *chipset, bool a20);
enum chipset_request chipset_write_port_a(struct chipset_state *chipset, uint8_t value, bool *a20);

/* SMBus host registers, OFFSET < CHIPSET_SMB_SIZE: every transaction ends with "device error". */
void chipset_smb_write(struct chipset_state *chipset, unsigned offset, uint8_t value);

#endif
