/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI function by which a service VM speaks to the VMM: 1f.0, 1234:5054. Its registers stand in
 * docs/portal.md. Here are the registers, the indexes of the rings and the interrupt; what the
 * rings hold, and what the window shows, is vmm/portal's.
 *
 * Every function needs the pc lock, but those that get a copy of the state.
 */
#ifndef PORTOLAN_VMM_PC_PORTAL_FUNCTION_H
#define PORTOLAN_VMM_PC_PORTAL_FUNCTION_H

#include "vmm/base/fields.h"
#include "vmm/base/types.h"

#define PORTAL_DEVFN     0xf8U
#define PORTAL_REGISTERS 0x1000U      /* bytes of BAR 0 */
#define PORTAL_RING      0x10000U     /* bytes of each of the two rings, which BAR 1 shows */
#define PORTAL_WINDOW    (64UL << 20) /* bytes of BAR 2 */

enum portal_register {
    PORTAL_MAGIC = 0x00,
    PORTAL_VERSION = 0x04,
    PORTAL_RING_SIZE = 0x08,
    PORTAL_WINDOW_SIZE = 0x0c,
    PORTAL_SENT = 0x10,
    PORTAL_TAKEN = 0x14,
    PORTAL_COME = 0x18,
    PORTAL_READ = 0x1c,
    PORTAL_STATUS = 0x20,
    PORTAL_ENABLE = 0x24,
    PORTAL_SESSION = 0x28
};

#define PORTAL_STATUS_NEWS  1U
#define PORTAL_STATUS_ENDED 2U

enum portal_bar { PORTAL_BAR_REGISTERS, PORTAL_BAR_RINGS, PORTAL_BAR_WINDOW };

struct portal_function_state {
    uint32_t session; /* never 0 */
    uint32_t sent;    /* bytes ever put into the ring to the VMM, and how many it has taken */
    uint32_t taken;
    uint32_t come; /* likewise from it */
    uint32_t read;
    uint8_t status; /* PORTAL_STATUS_... */
    uint8_t enable; /* PORTAL_STATUS_NEWS: it drives INTA */
    uint8_t config[256];
};

struct portal_function {
    struct portal_function_state state;
    bool present; /* configuration */
};

/* What the guest says. */
struct portal_look {
    uint32_t session, sent, read;
    bool ended;
};

extern const struct section portal_section; /* struct portal_function_state */

/* The session has ended, and the guest may begin another. Also without the function. */
void portal_function_reset(struct portal_function *f);

/* WIDTH bytes at OFFSET of BAR 0; all but 32-bit accesses read all ones, and are ignored. */
uint32_t portal_function_read(const struct portal_function *f, uint32_t offset, unsigned width);

/* True: it is a doorbell, vmm/portal is to look. */
bool portal_function_write(struct portal_function *f, uint32_t offset, unsigned width,
                           uint32_t value);

void portal_function_look(const struct portal_function *f, struct portal_look *look);

/* So much has been taken and has come; ENDED: the session is over, the guest may begin another.
 * Nothing, if SESSION is no more. */
void portal_function_tell(struct portal_function *f, uint32_t session, uint32_t taken,
                          uint32_t come, bool ended);

/* Its configuration space, or what drives INTA, may have changed. Returns INTA's level. */
bool portal_function_settle(struct portal_function *f);

/* Where BAR shows its memory; 0: nowhere, or where a guest has no BARs: below the end RAM_END of
 * what lies above 4 GiB, or elsewhere in the first 4 GiB than in the hole. */
uint64_t portal_function_base(const struct portal_function_state *state, enum portal_bar bar,
                              uint64_t ram_end);

#endif
