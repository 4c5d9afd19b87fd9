/* SPDX-License-Identifier: BSD-2-Clause */
/* What tests of SR-IOV begin with: PFs behind root ports, in the model of
 * tests/unit/fakes/pci_model.h. */
#pragma once

#include "drivers/pci/pci_vf.h"
#include "tests/unit/fakes/pci_model.h"

#include <stdint.h>

#define MIB  (1ULL << 20)
#define HIGH (1ULL << 38) /* where prefetchable windows begin */

extern const bdf_t port;
extern const bdf_t pf;       /* behind it */
extern uint8_t *port_config; /* of the port that was added last */
extern uint8_t *config;      /* of the PF that was added last */
extern uint16_t cap;         /* its SR-IOV capability */

/* Time that the model's delays took since set_up(). */
uint64_t elapsed_us(void);

/* Root port to buses 1..LAST with GIB of prefetchable window, whether it has ARI or not. */
void add_port(uint8_t last, uint64_t gib, bool ari);
uint8_t *add_pf(bdf_t bdf, uint16_t total);

/* What a PF does; its VF BARs: 0 of 4 KiB, 4 of 32 KiB. */
void behave(struct fake_sriov how);

/* All is added: scan. */
void init(void);

/* VFs right behind the PF, with ARI only where there are more than 7. */
void add_plain(uint16_t total);

int set_up(void **state);
int tear_down(void **state);
