/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/pci/sriov_machine.h"

#include "drivers/pci/caps.h"
#include "drivers/pci/room.h"
#include "drivers/pci/scan.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pci_space.h"
#include "tests/unit/fakes/ports.h"
#include "vmm/host/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

const bdf_t port = {.bus = 0, .devfn = 0x10};
const bdf_t pf = {.bus = 1, .devfn = 0};
uint8_t *port_config;
uint8_t *config;
uint16_t cap;
static uint64_t start_us;

uint64_t elapsed_us(void)
{
    return fake_time_us() - start_us;
}

/* Root port to buses 1..LAST with GIB of prefetchable window, whether it has ARI or not. */
void add_port(uint8_t last, uint64_t gib, bool ari)
{
    port_config = fake_pci_add_bridge(port, 1, last, PCI_PORT_ROOT);
    fake_model_windows(port, 0xc0000000, 2 * MIB, HIGH, gib << 30, true);
    fake_put32(port_config, 0x40 + 0x24U, ari ? 1U << 5 : 0);
    if (!ari) {
        fake_put16(fake_pci_mask(port), 0x40 + 0x28U, 0);
    }
}

uint8_t *add_pf(bdf_t bdf, uint16_t total)
{
    config = fake_pci_add(bdf, 0x1af4, 0x1041);
    fake_pci_express(config, PCI_PORT_ENDPOINT, true);
    cap = fake_pci_sriov(config, total, 0, 0, 0x10f9);
    fake_pci_ext_cap(config, PCI_EXT_CAP_ARI, 8);
    fake_put32(config, cap + (uint32_t)PCI_SRIOV_PAGE_SIZE, 2); /* as nobody should leave it */
    return config;
}

/* What PF does; its VF BARs: 0 of 4 KiB, 4 of 32 KiB. */
void behave(struct fake_sriov how)
{
    how.capability = cap;
    fake_model_sriov(&how);
    fake_model_bar(how.pf, cap + 0x24U, 0, 4096, 0);
    fake_model_bar(how.pf, cap + 0x34U, 0xc, 32768, 0);
}

void init(void)
{
    assert_int_equal(pci_scan(), STATUS_OK);
    assert_int_equal(pci_room_init(), STATUS_OK);
    fake_pci_forget_accesses();
}

/* VFs right behind the PF, with ARI only where there are more than 7. */
void add_plain(uint16_t total)
{
    add_port(1, 1, true);
    add_pf(pf, total);
    behave((struct fake_sriov){
        .pf = pf, .offset = {1, 1},
             .stride = {1, 1}
    });
    init();
}

int set_up(void **state)
{
    time_delay_us(2000000); /* what tests before have switched off has settled */
    start_us = fake_time_us();
    fake_model_reset();
    fake_log_clear();
    return 0;
}

int tear_down(void **state)
{
    for (uint32_t i = 0; i < PCI_PFS_MAX; i++) {
        if (pci_pf_at(i) != NULL) {
            assert_int_equal(pci_vf_disable(pci_pf_at(i)->function->bdf), STATUS_OK);
        }
    }
    assert_int_equal(fake_model_violations(), 0);
    fake_pci_reset();
    return 0;
}
